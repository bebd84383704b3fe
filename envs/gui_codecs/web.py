"""Actions on web pages: Mind2Web's operations, MiniWoB++'s actions and demonstrations, BrowserGym's calls."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..gui import KEYS, GuiAction
from .units import InUnits, ParseError, Units, check_lost, choice, missing, place_of, point_of, text_of

_MINIWOB_PAGE = Units(160, 210)
_AT: dict[str, Any] = {"CLICK_COORDS": "tap", "DBLCLICK_COORDS": "double_tap", "MOVE_COORDS": "hover"}
_VIEW: dict[str, Any] = {"SCROLL_UP_COORDS": "up", "SCROLL_DOWN_COORDS": "down"}
_TEXT = ("TYPE_TEXT", "FOCUS_ELEMENT_AND_TYPE_TEXT")
_DEMO_AT: dict[str, Any] = {"click": "tap", "double_click": "double_tap"}
_CALLS: dict[str, Any] = {
    **{"click": "tap", "mouse_click": "tap", "dblclick": "double_tap", "mouse_dblclick": "double_tap"},
    **{"hover": "hover", "mouse_move": "hover"},
}
_OPERATIONS = {"CLICK": "tap", "HOVER": "hover", "ENTER": "press", "TYPE": "type", "SELECT": "select"}


@dataclass(frozen=True)
class Mind2Web(InUnits):
    """A dict of ``operation`` and ``value`` at the middle of the first positive box, ``bbox_xywh`` [[x, y, w, h], …].

    units: the picture's pixels, where the boxes are in pixels of that picture. Steps whose positives all vanished from
    the page have no box: CLICK and SELECT then say no place, and are refused. (Deng et al., NeurIPS 2023.)
    """

    units: Units

    def decode(self, record: Mapping[str, Any]) -> GuiAction:
        """The action of a step. Raises ParseError that names the key."""
        kind = choice(record, "operation", _OPERATIONS)
        if kind == "press":
            return GuiAction("press", key="Enter")
        boxes = record.get("bbox_xywh")
        point = self._middle(record, boxes[0]) if isinstance(boxes, Sequence) and boxes else None
        if kind == "type":
            return GuiAction("type", point, text=text_of(record, "value"))
        if point is None:
            raise ParseError(record, "bbox_xywh", "a box [x, y, width, height]: this step has no positive")
        return GuiAction(kind, point, text=text_of(record, "value") if kind == "select" else "")

    def _middle(self, record: Mapping[str, Any], box: Any) -> tuple[float, float]:
        if not isinstance(box, Sequence) or [type(part) in (int, float) for part in box] != [True] * 4:
            raise ParseError(record, "bbox_xywh", "boxes of four numbers, [x, y, width, height]")
        x, y, w, h = box
        return point_of({"bbox_xywh": [x + w / 2, y + h / 2]}, self.units, "bbox_xywh")

    def encode(self, action: GuiAction) -> dict[str, Any]:
        """``operation``, ``value`` and a box of no size at the point. ValueError for what Mind2Web cannot say."""
        check_lost(action, "Mind2Web", "point", *(["text"] if action.type in ("type", "select") else []))
        for operation, kind in _OPERATIONS.items():
            if kind == action.type and (kind != "press" or action.key == "Enter"):
                boxes = [[*self.units.write(action.point), 0, 0]] if action.point else []
                return {"operation": operation, "value": action.text, "bbox_xywh": boxes}
        raise missing(action, "Mind2Web")


@dataclass(frozen=True)
class MiniWoB(InUnits):
    """MiniWoB++'s action, a dict with ``action_type`` by name (which ids mean which differs between its presets).

    coords are pixels of the page; ref is an element's own number there, kept as ``element``. It scrolls the view by a
    wheel at the coords. A drag is two actions there, and has no one record. Keys are written its way: <Enter>, C-a.
    """

    units: Units = _MINIWOB_PAGE

    def decode(self, record: Mapping[str, Any]) -> GuiAction:
        """The action of a record. Raises ParseError that names the key."""
        names = ("NONE", *_AT, *_VIEW, *_TEXT, "CLICK_ELEMENT", "PRESS_KEY")
        kind = choice(record, "action_type", {name: name for name in names})
        if kind in _AT:
            return GuiAction(_AT[kind], point_of(record, self.units, "coords"))
        if kind in _VIEW:
            return GuiAction("scroll", point_of(record, self.units, "coords"), direction=_VIEW[kind])
        if kind == "PRESS_KEY":
            return GuiAction("press", key=self._key(record))
        if kind == "NONE":
            return GuiAction("noop")
        element = 0
        if kind != "TYPE_TEXT":
            element = record.get("ref", 0)
            if type(element) is not int or element < 1:
                raise ParseError(record, "ref", "an element's number, 1 or more")
        return (
            GuiAction("tap", element=element)
            if kind == "CLICK_ELEMENT"
            else GuiAction("type", element=element, text=text_of(record, "text"))
        )

    def _key(self, record: Mapping[str, Any]) -> str:
        text = text_of(record, "key")
        modifiers = {"C-": "Control+", "S-": "Shift+", "A-": "Alt+", "M-": "Meta+"}
        held = modifiers.get(text[:2], "") if len(text) > 2 else ""
        key = held + text.removeprefix(text[:2] if held else "").strip("<>")
        if key not in KEYS:
            raise ParseError(record, "key", "a key of the schema, such as '<Enter>' or 'C-a'")
        return key

    def encode(self, action: GuiAction) -> dict[str, Any]:
        """The record of an action. Raises ValueError for what MiniWoB++ cannot say."""
        check_lost(action, "MiniWoB++", "point", "element", *(["text"] if action.type == "type" else []))
        kind, at = action.type, {}
        if action.point is not None:
            at = {"coords": list(self.units.write(action.point))}
        if kind == "noop":
            return {"action_type": "NONE"}
        if kind == "tap" and action.element:
            return {"action_type": "CLICK_ELEMENT", "ref": action.element}
        for name, known in _AT.items():
            if kind == known and at:
                return {"action_type": name, **at}
        if kind == "scroll" and action.direction in _VIEW.values() and at:
            return {"action_type": f"SCROLL_{action.direction.upper()}_COORDS", **at}
        if kind == "type" and action.point is None:
            focus = {"ref": action.element} if action.element else {}
            return {"action_type": _TEXT[bool(focus)], "text": action.text, **focus}
        if kind == "press":
            held, _, key = action.key.rpartition("+")
            return {
                "action_type": "PRESS_KEY",
                "key": (held[:1] + "-" if held else "") + (key if len(key) == 1 else f"<{key}>"),
            }
        raise missing(action, "MiniWoB++")


@dataclass(frozen=True)
class MiniWoBDemo(InUnits):
    """A recorded human action, ``{"type": "click", "x": 89, "y": 62}``, in pixels of the page.

    Of a scroll the recorder kept neither way nor amount: its direction is "none", not known.
    """

    units: Units = _MINIWOB_PAGE

    def decode(self, record: Mapping[str, Any]) -> GuiAction:
        """The action of a step. Raises ParseError that names the key."""
        names = (*_DEMO_AT, "drag", "type", "press", "scroll")
        kind = choice(record, "type", {name: name for name in names})
        if kind in _DEMO_AT:
            return GuiAction(_DEMO_AT[kind], point_of(record, self.units, "x", "y"))
        if kind == "drag":
            start, end = (point_of(record, self.units, *keys) for keys in (("x", "y"), ("x2", "y2")))
            return GuiAction("drag", start, end)
        if kind == "type":
            return GuiAction("type", text=text_of(record, "text"))
        return (
            GuiAction("press", key=choice(record, "key", {k: k for k in KEYS[1:]}))
            if kind == "press"
            else GuiAction("scroll")
        )

    def encode(self, action: GuiAction) -> dict[str, Any]:
        """The record of an action. Raises ValueError for what the demonstrations cannot say."""
        check_lost(action, "a demonstration", "point", *(["text"] if action.type == "type" else []))
        for name, kind in _DEMO_AT.items():
            if action.type == kind:
                return {"type": name, **dict(zip("xy", self.units.write(place_of(action)), strict=True))}
        if action.type == "drag" and action.point2:
            x2, y2 = self.units.write(action.point2)
            return {
                "type": "drag",
                **dict(zip("xy", self.units.write(place_of(action)), strict=True)),
                "x2": x2,
                "y2": y2,
            }
        if action.type in ("type", "press"):
            return (
                {"type": "type", "text": action.text} if action.type == "type" else {"type": "press", "key": action.key}
            )
        if action.type == "scroll":
            return {"type": "scroll"}
        raise missing(action, "a demonstration")


@dataclass(frozen=True)
class BrowserGym(InUnits):
    """One of BrowserGym's calls, a line of Python, such as ``click('13')`` and ``mouse_click(12.5, 80)``.

    An element is its bid, where that is a number, plus 1 (0 is none here). scroll(dx, dy) moves the view, by pixels.
    """

    units: Units  # of the page as seen, in pixels

    def decode(self, text: str) -> GuiAction:
        """The action of a call. Raises ParseError with the character."""
        name, values = self._call(text)

        def need(*kinds: type | tuple[type, ...]) -> list[Any]:
            if len(values) != len(kinds):
                raise ParseError(text, text.find("(") + 1, f"{len(kinds)} arguments for {name}")
            for (value, at), kind in zip(values, kinds, strict=True):
                if isinstance(value, bool) or not isinstance(value, kind):
                    raise ParseError(text, at, "text" if kind is str else "a number")
            return [value for value, _ in values]

        number = (int, float)
        if name in _CALLS:
            kind: Any = _CALLS[name]
            if name.startswith("mouse"):
                return GuiAction(kind, self._point(text, need(number, number)))
            return GuiAction(kind, element=self._element(text, need(str)[0], values))
        if name == "mouse_drag_and_drop":
            ends = need(number, number, number, number)
            return GuiAction("drag", self._point(text, ends[:2]), self._point(text, ends[2:], 2))
        if name in ("fill", "select_option"):
            bid, words = need(str, str)
            kind = "type" if name == "fill" else "select"
            return GuiAction(kind, element=self._element(text, bid, values), text=words, clear=name == "fill")
        if name == "scroll":
            return self._scroll(text, need(number, number))
        if name in ("keyboard_type", "keyboard_insert_text", "goto"):
            return GuiAction("open" if name == "goto" else "type", text=need(str)[0])
        if name == "keyboard_press":
            return GuiAction("press", key=self._key(text, need(str)[0], values))
        if name == "noop":
            ms = need(number)[0] if values else 1000  # BrowserGym's own default
            if not 0 <= ms <= 60_000:
                raise ParseError(text, values[0][1], "milliseconds, 0 to 60000")
            return GuiAction("wait", ms=round(ms)) if ms else GuiAction("noop")
        if name == "go_back":
            need()
            return GuiAction("back")
        return GuiAction("done", text=need(str)[0], status="success" if name.startswith("send") else "infeasible")

    def _call(self, text: str) -> tuple[str, list[tuple[Any, int]]]:
        """Name of the call, and its arguments, each with the character where it stands."""
        names = [*_CALLS, "mouse_drag_and_drop", "fill", "select_option", "scroll", "keyboard_type", "goto"]
        names += ["keyboard_insert_text", "keyboard_press", "noop", "go_back", "send_msg_to_user", "report_infeasible"]
        if not isinstance(text, str):
            raise ParseError(text, "", "text")
        lead = len(text) - len(text.lstrip())
        try:
            node = ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            raise ParseError(text, lead + max((error.offset or 1) - 1, 0), "one call in Python") from None
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in names:
            raise ParseError(text, lead, f"a call of one of {names}")
        if node.keywords:
            raise ParseError(text, lead + node.keywords[0].col_offset, "arguments by position only")
        values = []
        for argument in node.args:
            at = lead + argument.col_offset
            try:
                values.append((ast.literal_eval(argument), at))
            except (TypeError, ValueError):
                raise ParseError(text, at, "text or a number") from None
        return node.func.id, values

    def _point(self, text: str, values: Sequence[float], first: int = 0) -> tuple[float, float]:
        try:
            return self.units.read(*values)
        except ValueError as error:
            raise ParseError(text, text.find("(") + 1, str(error)) from None

    def _element(self, text: str, bid: str, values: list[tuple[Any, int]]) -> int:
        if not bid.isdecimal():
            raise ParseError(
                text, values[0][1], "a bid that is a number; bids of frames, such as 'a51', have no number"
            )
        return int(bid) + 1

    def _scroll(self, text: str, moved: Sequence[float]) -> GuiAction:
        x, y = moved
        if (x == 0) == (y == 0):
            raise ParseError(text, text.find("(") + 1, "pixels along one axis, 0 along the other")
        return GuiAction("scroll", direction=("right" if x > 0 else "left") if x else ("down" if y > 0 else "up"))

    def _key(self, text: str, key: str, values: list[tuple[Any, int]]) -> str:
        if key not in KEYS:
            raise ParseError(text, values[0][1], "a key of the schema, such as 'Enter' or 'Control+a'")
        return key

    def encode(self, action: GuiAction, pixels: float = 100) -> str:
        """The call of an action; a scroll moves so many pixels. Raises ValueError for what BrowserGym cannot say."""
        kind, words, bid = action.type, repr(action.text), repr(str(action.element - 1))
        check_lost(action, "BrowserGym", "point", "element", "text", "clear")
        for name, known in _CALLS.items():
            if kind == known and name.startswith("mouse") == (action.element == 0):
                return f"{name}({bid})" if action.element else f"{name}({self._written(action.point)})"
        if kind == "drag":
            return f"mouse_drag_and_drop({self._written(action.point)}, {self._written(action.point2)})"
        if kind == "scroll" and action.direction != "none":
            x, y = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}[action.direction]
            return f"scroll({x * pixels:g}, {y * pixels:g})"
        if kind == "type" and action.point is None and bool(action.element) == action.clear:  # a fill empties the field
            return f"fill({bid}, {words})" if action.element else f"keyboard_type({words})"
        if kind == "select" and action.element:
            return f"select_option({bid}, {words})"
        if kind == "done":
            return f"{'send_msg_to_user' if action.status == 'success' else 'report_infeasible'}({words})"
        plain = {"noop": "noop(0)", "back": "go_back()", "open": f"goto({words})", "wait": f"noop({action.ms})"}
        plain["press"] = f"keyboard_press({action.key!r})"
        if kind not in plain or (kind == "wait" and not action.ms):
            raise missing(action, "BrowserGym")
        return plain[kind]

    def _written(self, point: tuple[float, float] | None) -> str:
        x, y = self.units.write(point or (0, 0))
        return f"{x}, {y}"
