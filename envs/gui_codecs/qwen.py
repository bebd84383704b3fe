"""Qwen's mobile_use: actions as JSON arguments of a tool call, also the form of UI-S1's files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..gui import GuiAction
from .units import InUnits, ParseError, Units, check_lost, choice, missing, place_of, point_of, text_of

_BUTTONS = {"Back": GuiAction("back"), "Home": GuiAction("home"), "Enter": GuiAction("press", key="Enter")}


@dataclass(frozen=True)
class MobileUse(InUnits):
    """The arguments of a mobile_use call, a dict or its JSON text, with or without <tool_call> and name around it.

    coordinate and coordinate2 are [x, y] in the units given: pixels of the (resized) screenshot, or 0 to 999 for
    Qwen3-VL, ``Units(999, 999)``. swipe is the finger's path; times are seconds.
    """

    units: Units

    def decode(self, source: str | Mapping[str, Any]) -> GuiAction:
        """The action of a call. Raises ParseError with the character of the text, or the key, that is wrong."""
        record = _arguments(source) if isinstance(source, str) else source
        names = {
            **{"click": "tap", "long_press": "long_press", "swipe": "scroll", "type": "type", "open": "open"},
            **{"wait": "wait", "terminate": "done", "answer": "answer", "system_button": "button"},
        }
        kind = choice(record, "action", names)
        if kind == "button":
            return choice(record, "button", _BUTTONS)
        if kind in ("tap", "long_press"):
            ms = self._ms(record) if kind == "long_press" else 0
            return GuiAction(kind, point_of(record, self.units, "coordinate"), ms=ms)
        if kind == "scroll":
            start, end = (point_of(record, self.units, key) for key in ("coordinate", "coordinate2"))
            if start == end:
                raise ParseError(record, "coordinate2", "another point than coordinate")
            return GuiAction("scroll", start, end)
        if kind in ("type", "open"):
            return GuiAction(kind, text=text_of(record, "text"))
        if kind == "wait":
            return GuiAction("wait", ms=self._ms(record))
        if kind == "answer":
            return GuiAction("done", text=text_of(record, "text"), status="success")
        return GuiAction("done", status=choice(record, "status", {"success": "success", "failure": "infeasible"}))

    def _ms(self, record: Mapping[str, Any]) -> int:
        seconds = record.get("time", 0)
        if type(seconds) not in (int, float) or not 0 <= seconds <= 60:
            raise ParseError(record, "time", "seconds, 0 to 60")
        return round(1000 * seconds)

    def encode(self, action: GuiAction) -> dict[str, Any]:
        """The arguments of the call. Raises ValueError for what mobile_use cannot say."""
        check_lost(action, "mobile_use", "text" if action.type in ("type", "open", "done") else "point")
        kind, seconds = action.type, {"time": action.ms / 1000} if action.ms else {}
        for button, pressed in _BUTTONS.items():
            if action == pressed:
                return {"action": "system_button", "button": button}
        if kind in ("tap", "long_press"):
            point = list(self.units.write(place_of(action)))
            return {"action": "click" if kind == "tap" else kind, "coordinate": point} | seconds
        if kind == "scroll":
            if action.point2 is None:
                raise ValueError(f"{action} has no path: expected point and point2, as mobile_use's swipe has")
            first, last = (list(self.units.write(point)) for point in (place_of(action), action.point2))
            return {"action": "swipe", "coordinate": first, "coordinate2": last}
        if kind in ("type", "open"):
            return {"action": kind, "text": action.text}
        if kind == "wait":
            return {"action": "wait"} | seconds
        if kind == "done" and action.text:
            if action.status != "success":
                raise ValueError(f"mobile_use has no answer with a failure: got {action}")
            return {"action": "answer", "text": action.text}
        if kind == "done":
            return {"action": "terminate", "status": "success" if action.status == "success" else "failure"}
        raise missing(action, "mobile_use")


def _arguments(text: str) -> Mapping[str, Any]:
    """The arguments in the JSON of a call."""
    start = text.find("<tool_call>")
    start = 0 if start < 0 else start + len("<tool_call>")
    end = text.find("</tool_call>", start)
    body = text[start : end if end >= 0 else len(text)]
    lead = start + len(body) - len(body.lstrip())
    try:
        record = json.loads(body.strip())
    except json.JSONDecodeError as error:
        raise ParseError(text, lead + error.pos, f"JSON ({error.msg})") from None
    if isinstance(record, dict) and "arguments" in record:
        record = record["arguments"]
    if not isinstance(record, dict):
        raise ParseError(text, lead, "a JSON object")
    return record
