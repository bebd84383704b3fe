"""Actions in capitals: OS-Atlas's ``CLICK <point>[[x,y]]</point>`` and HAR's ``CLICK:(x,y)``."""

from dataclasses import dataclass
from typing import Any

from ..gui import DIRECTIONS, GuiAction, opposite
from .scanner import Scanner
from .units import THOUSANDTHS, InUnits, Scrolls, Units, check_lost, missing, place_of

_VIEWS = {name.upper(): name for name in DIRECTIONS[1:]}
_PLACES: dict[str, Any] = {"CLICK": "tap", "LONG_PRESS": "long_press", "DOUBLE_CLICK": "double_tap"}
_ENTER = GuiAction("press", key="Enter")
_ENDS = {"COMPLETE": GuiAction("done", status="success"), "IMPOSSIBLE": GuiAction("done", status="infeasible")}
_ATLAS = {
    **{"PRESS_BACK": GuiAction("back"), "PRESS_HOME": GuiAction("home"), "PRESS_RECENT": GuiAction("recent")},
    **{"ENTER": _ENTER, "WAIT": GuiAction("wait"), **_ENDS},
}
_HAR = {
    **{"BACK": GuiAction("back"), "HOME": GuiAction("home"), "PRESS_RECENT": GuiAction("recent")},
    **{"ENTER": _ENTER, **_ENDS},
}


def _written(name: str, units: Units, action: GuiAction, form: str) -> str:
    x, y = units.write(place_of(action))
    return name + (form % (f"{x},{y}" if units.whole else f"{x:g},{y:g}"))


def _scroll(scan: Scanner, scrolls: Scrolls) -> GuiAction:
    direction = _VIEWS[scan.take(*_VIEWS)]
    return GuiAction("scroll", direction=direction if scrolls == "view" else opposite(direction))


def _name(scan: Scanner, names: list[str]) -> str:
    scan.spaces()
    start = scan.at
    name = scan.word(f"one of {names}")
    if name not in names:
        scan.at = start
        scan.fail(f"one of {names}")
    return name


@dataclass(frozen=True)
class OSAtlas(InUnits):
    """OS-Atlas's action line, alone or after "actions:": text in [brackets], points in thousandths of the screen.

    scrolls: what SCROLL [UP] names: the view's way in its AndroidControl files, whose labels it keeps.
    """

    units: Units = THOUSANDTHS
    scrolls: Scrolls = "view"

    def decode(self, text: str) -> GuiAction:
        """The action. Raises ParseError with the character."""
        scan = Scanner(text)
        if (at := text.rfind("actions:")) >= 0:
            scan.at = at + len("actions:")
        name = _name(scan, [*_PLACES, "TYPE", "SCROLL", "OPEN_APP", *_ATLAS])
        if name in _PLACES:
            scan.take("<point>[[")
            action = GuiAction(_PLACES[name], scan.pair(self.units))
            scan.take("]]</point>")
        elif name == "SCROLL":
            scan.take("[")
            action = _scroll(scan, self.scrolls)
            scan.take("]")
        elif name in ("TYPE", "OPEN_APP"):
            scan.take("[")
            start, scan.at = scan.at, len(text.rstrip())
            if not text.endswith("]", start, scan.at):
                scan.fail("']'")
            action = GuiAction("type" if name == "TYPE" else "open", text=text[start : scan.at - 1])
        else:
            action = _ATLAS[name]
        scan.over()
        return action

    def encode(self, action: GuiAction) -> str:
        """The line of an action. Raises ValueError for what OS-Atlas cannot say."""
        check_lost(action, "OS-Atlas", "text" if action.type in ("type", "open") else "point")
        for name, kind in _PLACES.items():
            if action.type == kind:
                return _written(name, self.units, action, " <point>[[%s]]</point>")
        if action.type == "scroll":
            return f"SCROLL [{(action.direction if self.scrolls == 'view' else action.finger).upper()}]"
        if action.type in ("type", "open"):
            return f"{'TYPE' if action.type == 'type' else 'OPEN_APP'} [{action.text}]"
        if action.type == "wait":
            return "WAIT"
        return next((name for name, bare in _ATLAS.items() if action == bare), "") or _refuse(action, "OS-Atlas")


@dataclass(frozen=True)
class HAR(InUnits):
    """HAR-GUI's answer, alone or in <answer> and </answer>; points in pixels of the screenshot.

    TYPE:text on phones, TYPE:(x,y,text) and SELECT:(x,y,option) on pages.
    scrolls: what SCROLL:UP names; the finger's way in its GUI-Odyssey data, which are that data's paths.
    """

    units: Units
    scrolls: Scrolls = "finger"

    def decode(self, text: str) -> GuiAction:
        """The action. Raises ParseError with the character."""
        scan = Scanner(text).within("<answer>", "</answer>")
        name = _name(scan, [*_PLACES, "TYPE", "SELECT", "SCROLL", *_HAR])
        if name in _HAR:
            action = _HAR[name]
        elif name == "SCROLL":
            scan.take(":")
            action = _scroll(scan, self.scrolls)
        elif name in _PLACES:
            scan.take(":")
            scan.take("(")
            action = GuiAction(_PLACES[name], scan.pair(self.units))
            scan.take(")")
        else:
            scan.take(":")
            return self._worded(scan, name)
        scan.over()
        return action

    def _worded(self, scan: Scanner, name: str) -> GuiAction:
        """TYPE and SELECT, whose text goes on to the end."""
        text = scan.text[scan.at : scan.end].strip()
        placed = text.startswith("(") and text.endswith(")") and text[1:2].isdigit()
        if name == "TYPE" and not placed:
            return GuiAction("type", text=text)
        scan.take("(")
        point = scan.pair(self.units)
        scan.take(",")
        start, scan.at = scan.at, scan.at + len(scan.text[scan.at : scan.end].rstrip())
        if not scan.text.endswith(")", start, scan.at):
            scan.fail("')'")
        return GuiAction("type" if name == "TYPE" else "select", point, text=scan.text[start : scan.at - 1])

    def encode(self, action: GuiAction) -> str:
        """The answer that gives an action. Raises ValueError for what HAR cannot say, or would read otherwise."""
        check_lost(action, "HAR", "point", *(["text"] if action.type in ("type", "select") else []))
        for name, kind in _PLACES.items():
            if action.type == kind:
                return _written(name, self.units, action, ":(%s)")
        if action.type == "scroll":
            return f"SCROLL:{(action.direction if self.scrolls == 'view' else action.finger).upper()}"
        if action.type == "type" and action.point is None:
            if action.text != action.text.strip() or (action.text[:1] == "(" and action.text[-1] == ")"):
                raise ValueError(f"HAR would read {action.text!r} otherwise: expected no brackets or blanks around it")
            return f"TYPE:{action.text}"
        if action.type in ("type", "select"):
            return _written(action.type.upper(), self.units, action, f":(%s,{action.text.replace('%', '%%')})")
        return next((name for name, bare in _HAR.items() if action == bare), "") or _refuse(action, "HAR")


def _refuse(action: GuiAction, dialect: str) -> str:
    raise missing(action, dialect)
