"""Actions as recorded on phones: Android in the Wild, AndroidControl, GUI-Odyssey, and AndroidWorld's JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..gui import DIRECTIONS, GuiAction, opposite
from .units import (
    FRACTIONS,
    THOUSANDTHS,
    InUnits,
    ParseError,
    Units,
    check_lost,
    choice,
    missing,
    place_of,
    point_of,
    text_of,
)

TAP_AT_MOST = 0.04  # of the screen, between touch and lift: further apart is a swipe (AITW's action_matching.py)
_VIEWS = {name: name for name in DIRECTIONS[1:]}


@dataclass(frozen=True)
class AITW:
    """Android in the Wild and AITZ: a dict of result_action_type, result_touch_yx, result_lift_yx, result_action_text.

    Fractions of the screen, y first. Types: 3 type, 4 touch to lift (a tap where both are at most 0.04 apart), 5 back,
    6 home, 7 Enter, 10 complete, 11 impossible. A scroll is the finger's path. (Rawles et al., NeurIPS 2023.)
    """

    def decode(self, record: Mapping[str, Any]) -> GuiAction:
        """The action of a step. Raises ParseError that names the key."""
        plain = {
            5: GuiAction("back"),
            6: GuiAction("home"),
            7: GuiAction("press", key="Enter"),
            10: GuiAction("done", status="success"),
            11: GuiAction("done", status="infeasible"),
        }
        kind = choice(record, "result_action_type", {3: 3, 4: 4, **plain})
        if kind == 3:
            return GuiAction("type", text=text_of(record, "result_action_text"))
        if kind != 4:
            return kind
        touch, lift = (point_of(record, FRACTIONS, f"result_{end}_yx")[::-1] for end in ("touch", "lift"))
        if math.dist(touch, lift) <= TAP_AT_MOST:
            return GuiAction("tap", touch)
        return GuiAction("scroll", touch, lift)

    def encode(self, action: GuiAction) -> dict[str, Any]:
        """The keys of a step. Raises ValueError for what AITW cannot say."""
        check_lost(action, "AITW", "text" if action.type == "type" else "point")
        touch = lift = (-1.0, -1.0)
        if action.type == "tap":
            kind, touch, lift = 4, place_of(action), place_of(action)
        elif action.type == "scroll":
            if action.point2 is None or action.amount <= TAP_AT_MOST:
                raise ValueError(f"{action} has no path longer than {TAP_AT_MOST}: AITW would read it as a tap")
            kind, touch, lift = 4, place_of(action), action.point2
        elif action.type == "press" and action.key == "Enter":
            kind = 7
        elif action.type == "done":
            kind = 10 if action.status == "success" else 11
        elif action.type in ("type", "back", "home"):
            kind = {"type": 3, "back": 5, "home": 6}[action.type]
        else:
            raise missing(action, "AITW")
        return {
            "result_action_type": kind,
            "result_action_text": action.text,
            "result_touch_yx": [touch[1], touch[0]],
            "result_lift_yx": [lift[1], lift[0]],
        }


@dataclass(frozen=True)
class AndroidJSON(InUnits):
    """AndroidWorld's JSONAction, and AndroidControl's actions, which have the same keys: x, y are pixels of the screen.

    A scroll's direction is the view's. "swipe" is the finger's direction there. (Rawles et al., 2024; Li et al., 2024.)
    Elements are counted from 0 in ``index``, from 1 here.
    """

    units: Units  # Units(width, height) of the screenshot

    def decode(self, record: Mapping[str, Any]) -> GuiAction:
        """The action of a record. Raises ParseError that names the key."""
        plain = {
            "navigate_back": GuiAction("back"),
            "navigate_home": GuiAction("home"),
            "keyboard_enter": GuiAction("press", key="Enter"),
            "wait": GuiAction("wait"),
            "unknown": GuiAction("noop"),
        }
        places = {"click": "tap", "double_tap": "double_tap", "long_press": "long_press", "input_text": "type"}
        others = ("scroll", "swipe", "open_app", "status", "answer")
        kind = choice(record, "action_type", {**plain, **places, **{name: name for name in others}})
        if isinstance(kind, GuiAction):
            return kind
        if kind in places.values():
            at = self._place(record, optional=kind == "type")
            if kind == "type":
                return GuiAction("type", **at, text=text_of(record, "text"), clear=record.get("clear_text") is True)
            return GuiAction(kind, **at)
        if kind in ("scroll", "swipe"):
            direction = choice(record, "direction", _VIEWS)
            at = {} if kind == "swipe" else self._place(record, optional=True)
            return GuiAction("scroll", **at, direction=opposite(direction) if kind == "swipe" else direction)
        if kind == "open_app":
            return GuiAction("open", text=text_of(record, "app_name"))
        if kind == "answer":
            return GuiAction("done", text=text_of(record, "text"), status="success")
        statuses = {"complete": "success", "infeasible": "infeasible"}
        return GuiAction("done", status=choice(record, "goal_status", statuses))

    def _place(self, record: Mapping[str, Any], optional: bool) -> dict[str, Any]:
        if record.get("index") is not None:
            if type(record["index"]) is not int or record["index"] < 0:
                raise ParseError(record, "index", "an element's number, 0 or more")
            return {"element": record["index"] + 1}
        if optional and record.get("x") is None and record.get("y") is None:
            return {}
        return {"point": point_of(record, self.units, "x", "y")}

    def encode(self, action: GuiAction) -> dict[str, Any]:
        """The record of an action. Raises ValueError for what the format cannot say."""
        check_lost(action, "AndroidJSON", "point", "element", "text", "clear")
        at: dict[str, Any] = {}
        if action.element:
            at = {"index": action.element - 1}
        elif action.point is not None:
            at = dict(zip("xy", self.units.write(action.point), strict=True))
        kind = action.type
        if kind in ("tap", "double_tap", "long_press"):
            return {"action_type": "click" if kind == "tap" else kind, **at}
        if kind == "type":
            return {"action_type": "input_text", "text": action.text, **at} | (
                {"clear_text": True} if action.clear else {}
            )
        if kind == "scroll":
            return {"action_type": "scroll", "direction": action.direction} | (at if action.element else {})
        if kind == "open":
            return {"action_type": "open_app", "app_name": action.text}
        if kind == "done" and action.text:
            if action.status != "success":
                raise ValueError(f"AndroidJSON has no answer with an infeasible task: got {action}")
            return {"action_type": "answer", "text": action.text}
        if kind == "done":
            return {"action_type": "status", "goal_status": {"success": "complete"}.get(action.status, "infeasible")}
        if kind == "press" and action.key == "Enter":
            return {"action_type": "keyboard_enter"}
        plain = {"back": "navigate_back", "home": "navigate_home", "wait": "wait", "noop": "unknown"}
        if kind not in plain:
            raise missing(action, "AndroidJSON")
        return {"action_type": plain[kind]}


@dataclass(frozen=True)
class Odyssey:
    """GUI-Odyssey's annotations: a dict of ``action`` and ``info``; points [x, y] in thousandths of the screen.

    CLICK holds a point, [[x, y]], or a key: KEY_HOME, KEY_BACK, KEY_APPSELECT. SCROLL is the finger's path, two points.
    (Lu et al., 2024.)
    """

    def decode(self, record: Mapping[str, Any]) -> GuiAction:
        """The action of a step. Raises ParseError that names the key."""
        names = ("CLICK", "LONG_PRESS", "SCROLL", "TEXT", "TYPE", "COMPLETE", "INCOMPLETE")
        kind, info = choice(record, "action", {name: name for name in names}), record.get("info")
        keys = {"KEY_HOME": "home", "KEY_BACK": "back", "KEY_APPSELECT": "recent"}
        if kind in ("TEXT", "TYPE"):
            return GuiAction("type", text=text_of(record, "info"))
        if kind in ("COMPLETE", "INCOMPLETE"):
            return GuiAction("done", status="success" if kind == "COMPLETE" else "infeasible")
        if isinstance(info, str) and kind != "SCROLL":
            return GuiAction(choice(record, "info", keys))
        count = 2 if kind == "SCROLL" else 1
        if not isinstance(info, list) or len(info) < count:
            raise ParseError(record, "info", f"{count} points, [[x, y]{', [x, y]' * (count - 1)}]")
        points = [point_of({"info": point}, THOUSANDTHS, "info") for point in info[:count]]
        if kind != "SCROLL":
            return GuiAction("tap" if kind == "CLICK" else "long_press", points[0])
        if points[0] == points[1]:
            raise ParseError(record, "info", "two points that differ")
        return GuiAction("scroll", points[0], points[1])

    def encode(self, action: GuiAction) -> dict[str, Any]:
        """``action`` and ``info`` of a step. Raises ValueError for what the format cannot say."""
        check_lost(action, "GUI-Odyssey", "text" if action.type == "type" else "point")
        if action.type == "type":
            return {"action": "TEXT", "info": action.text}
        if action.type in ("tap", "long_press"):
            point = list(THOUSANDTHS.write(place_of(action)))
            return {"action": "CLICK" if action.type == "tap" else "LONG_PRESS", "info": [point]}
        if action.type == "scroll" and action.point and action.point2:
            return {"action": "SCROLL", "info": [list(THOUSANDTHS.write(p)) for p in (action.point, action.point2)]}
        if action.type == "scroll":
            raise ValueError(f"{action} has no path: expected point and point2, which GUI-Odyssey records")
        if action.type == "done":
            return {"action": "COMPLETE" if action.status == "success" else "INCOMPLETE", "info": ""}
        keys = {"home": "KEY_HOME", "back": "KEY_BACK", "recent": "KEY_APPSELECT"}
        if action.type not in keys:
            raise missing(action, "GUI-Odyssey")
        return {"action": "CLICK", "info": keys[action.type]}
