r"""Actions written as calls, ``click(start_box='(x,y)')``: the grammar of HiconAgent and of UI-TARS."""

from dataclasses import dataclass
from typing import Any, Literal

from ..gui import DIRECTIONS, KEYS, GuiAction, opposite
from .scanner import Scanner, quote
from .units import InUnits, Scrolls, Units, check_lost, missing, place_of

_BARE = {
    "press_back": GuiAction("back"),
    "press_home": GuiAction("home"),
    "press_recent": GuiAction("recent"),
    "press_enter": GuiAction("press", key="Enter"),
    "impossible": GuiAction("done", status="infeasible"),
    "call_user": GuiAction("done", status="infeasible"),
}
_PLACES: dict[str, Any] = {
    **{"click": "tap", "left_double": "double_tap", "left_single": "tap", "long_press": "long_press", "hover": "hover"},
}
_ARGUMENTS = {  # call -> its arguments, needed ones first, and how many those are
    **dict.fromkeys(_PLACES, (("start_box",), 1)),
    "long_press": (("start_box", "time"), 1),
    "drag": (("start_box", "end_box"), 2),
    "scroll": (("direction", "start_box", "end_box"), 0),
    "type": (("content",), 1),
    "open_app": (("app_name",), 1),
    "hotkey": (("key",), 1),
    "wait": (("time",), 0),
    "finished": (("content",), 0),
    **dict.fromkeys(_BARE, ((), 0)),
}
_SAME = {"point": "start_box", "start_point": "start_box", "end_point": "end_box"}
_KEY_NAMES = {key.lower(): key for key in KEYS[1:]}
_KEY_NAMES |= {"ctrl": "Control", "shift": "Shift", "alt": "Alt", "cmd": "Meta", "esc": "Escape", "return": "Enter"}
_KEY_NAMES |= {key.lower().removeprefix("arrow"): key for key in KEYS if key.startswith("Arrow")}


@dataclass(frozen=True)
class Calls(InUnits):
    r"""The text of one call. Points: ``'(x,y)'``, ``'<point>x y</point>'`` or a box ``'[x1,y1,x2,y2]'`` (its middle).

    units: of the points: pixels of the picture that a model saw, or thousandths (UI-TARS before 1.5).
    scrolls: what ``direction`` names: the view's way ("Show more information on the direction side", UI-TARS; and
        AndroidControl's labels, which HiconAgent has) or the finger's.
    dialect: what is written: "hicon" has press_enter, press_recent and impossible where "ui_tars" has hotkey and
        call_user; both are read. Typed text that ends in a line feed is submitted.
    """

    units: Units
    scrolls: Scrolls = "view"
    dialect: Literal["hicon", "ui_tars"] = "ui_tars"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dialect not in ("hicon", "ui_tars"):
            raise ValueError(f"dialect is {self.dialect!r}: expected 'hicon' or 'ui_tars'")

    def decode(self, text: str) -> GuiAction:
        """The action of a call, alone or in <action> and </action>. Raises ParseError with the character."""
        scan = Scanner(text).within("<action>", "</action>")
        scan.spaces()
        start = scan.at
        name = scan.word("the name of a call, such as click")
        if name not in _ARGUMENTS:
            scan.at = start
            scan.fail(f"one of {list(_ARGUMENTS)}")
        values = self._values(scan, *_ARGUMENTS[name])
        if name in _BARE:
            return _BARE[name]
        if name in _PLACES:
            return GuiAction(_PLACES[name], self._point(scan, values["start_box"]), ms=self._ms(scan, values))
        if name == "drag":
            return GuiAction("drag", self._point(scan, values["start_box"]), self._point(scan, values["end_box"]))
        if name == "scroll":
            return self._scroll(scan, values)
        if name == "hotkey":
            return GuiAction("press", key=self._key(scan, values["key"]))
        if name == "wait":
            return GuiAction("wait", ms=self._ms(scan, values))
        content = next(iter(values.values()), ("", 0))[0]
        if name == "type":
            return GuiAction("type", text=content.removesuffix("\n"), submit=content.endswith("\n"))
        return (
            GuiAction("open", text=content) if name == "open_app" else GuiAction("done", text=content, status="success")
        )

    def _values(self, scan: Scanner, names: tuple[str, ...], needed: int) -> dict[str, tuple[str, int]]:
        """Argument -> (its text, where it begins) in the brackets, up to the end of the text."""
        scan.take("(")
        values: dict[str, tuple[str, int]] = {}
        while scan.maybe(")") is None:
            if values:
                scan.take(",")
            scan.spaces()
            start = scan.at
            name = scan.word(f"an argument, one of {list(names)}" if names else "')'")
            name = _SAME.get(name, name)
            if name not in names or name in values:
                scan.at = start
                left = [other for other in names if other not in values]
                scan.fail(f"one of {left}" if left else "')'")
            scan.take("=")
            values[name] = scan.quoted()
        scan.over()
        if absent := [name for name in names[:needed] if name not in values]:
            scan.at -= 1
            scan.fail(f"the argument {absent[0]}")
        return values

    def _point(self, scan: Scanner, value: tuple[str, int]) -> tuple[float, float]:
        text, start = value
        inner = Scanner(scan.text, start, start + len(text))
        inner.maybe("<|box_start|>")
        opened = inner.take("(", "<point>", "[")
        point = inner.pair(self.units, "" if opened == "<point>" else ",")
        if opened == "[" or inner.maybe(","):
            if opened == "[":
                inner.take(",")
            corner = inner.pair(self.units)
            point = ((point[0] + corner[0]) / 2, (point[1] + corner[1]) / 2)
        inner.take({"(": ")", "[": "]", "<point>": "</point>"}[opened])
        inner.maybe("<|box_end|>")
        inner.over()
        return point

    def _scroll(self, scan: Scanner, values: dict[str, tuple[str, int]]) -> GuiAction:
        first, last = (self._point(scan, values[k]) if k in values else None for k in ("start_box", "end_box"))
        if last is not None and first in (None, last):
            scan.at = values["end_box"][1]
            scan.fail("another point than start_box")
        if "direction" not in values:
            if last is None:
                scan.at -= 1
                scan.fail("a direction, or start_box and end_box")
            return GuiAction("scroll", first, last)
        direction, scan.at = values["direction"]
        if direction not in DIRECTIONS[1:]:
            scan.fail(f"one of {list(DIRECTIONS[1:])}")
        view = direction if self.scrolls == "view" else opposite(direction)
        return GuiAction("scroll", first, last, direction=view)

    def _key(self, scan: Scanner, value: tuple[str, int]) -> str:
        text, scan.at = value
        key = "+".join(_KEY_NAMES.get(part.lower(), part) for part in text.replace("+", " ").split())
        if key not in KEYS:
            scan.fail("a key, such as 'enter' or 'ctrl c'")
        return key

    def _ms(self, scan: Scanner, values: dict[str, tuple[str, int]]) -> int:
        if "time" not in values:
            return 0
        text, start = values["time"]
        inner = Scanner(scan.text, start, start + len(text))
        seconds = inner.number()
        inner.over()
        if not 0 <= seconds <= 60:
            inner.at = start
            inner.fail("seconds, 0 to 60")
        return round(1000 * seconds)

    def encode(self, action: GuiAction) -> str:
        """The call of an action. Raises ValueError for what the grammar cannot say."""
        kind = action.type
        kept = ["text"] if kind in ("type", "open", "done") else ["point"]
        check_lost(action, self.dialect, *kept, "submit")
        seconds = f", time='{action.ms / 1000:g}'" if action.ms else ""
        for name, written in {v: k for k, v in _PLACES.items() if k != "left_single"}.items():
            if kind == name:
                return (
                    f"{written}(start_box={self._written(place_of(action))}{seconds if kind == 'long_press' else ''})"
                )
        if kind == "drag" and action.point2:
            return f"drag(start_box={self._written(place_of(action))}, end_box={self._written(action.point2)})"
        if kind == "scroll":
            way = action.direction if self.scrolls == "view" else action.finger
            at = "".join(
                f"{name}={self._written(point)}, "
                for name, point in (("start_box", action.point), ("end_box", action.point2))
                if point
            )
            return f"scroll({at}direction='{way}')"
        if kind == "type":
            return f"type(content={quote(action.text + chr(10) * action.submit)})"
        if kind == "open":
            return f"open_app(app_name={quote(action.text)})"
        if kind == "wait":
            return f"wait({seconds.removeprefix(', ')})"
        if kind == "done" and action.status == "success":
            return f"finished({f'content={quote(action.text)}' if action.text else ''})"
        return self._bare(action)

    def _bare(self, action: GuiAction) -> str:
        hidden = {"call_user"} if self.dialect == "hicon" else {"impossible", "press_enter", "press_recent"}
        for name, bare in _BARE.items():
            if action == bare and name not in hidden:
                return f"{name}()"
        if action.type == "press" and self.dialect == "ui_tars":
            return f"hotkey(key='{action.key.replace('+', ' ').lower().replace('control', 'ctrl')}')"
        raise missing(action, self.dialect)

    def _written(self, point: tuple[float, float]) -> str:
        x, y = self.units.write(point)
        return f"'({x:g},{y:g})'" if not self.units.whole else f"'({x},{y})'"
