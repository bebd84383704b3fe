"""Coordinates of a source made fractions of the screen and back, and errors that say where a source is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

from ethogram.simulator import check_is

from ..gui import GuiAction

Scrolls = Literal["finger", "view"]  # which of the two a source's direction names


class ParseError(ValueError):
    """Text or a record that is no action of its dialect.

    at: the character of the text, from 0, or the key of the record that is wrong; "" for all of it. expected: what
    should stand there.
    """

    def __init__(self, source: Any, at: int | str, expected: str) -> None:
        self.source, self.at, self.expected = source, at, expected
        if at == "":
            super().__init__(f"{source!r:.200} is a {type(source).__name__}: expected {expected}")
        elif isinstance(at, int):
            found = repr(source[at : at + 20]) if at < len(source) else "the end"
            super().__init__(f"character {at} of {source!r:.200}: expected {expected}, got {found}")
        else:
            found = repr(source[at]) if isinstance(source, Mapping) and at in source else "nothing"
            super().__init__(f"{at!r} of {source!r:.200}: expected {expected}, got {found:.60}")


@dataclass(frozen=True)
class Units:
    """Units of a source's coordinates: ``width`` and ``height`` are the screen's, x first.

    whole: coordinates are written as ints, rounded to the nearest; a point that was read comes back exactly.
    """

    width: float
    height: float
    whole: bool = True

    def __post_init__(self) -> None:
        check_is("width", self.width, Real, "a number")
        check_is("height", self.height, Real, "a number")
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"the screen is {self.width} x {self.height}: expected more than 0 each way")

    def read(self, x: float, y: float) -> tuple[float, float]:
        """The point as fractions of the screen. Raises ValueError for one that lies outside, or is NaN."""
        if not (0 <= x <= self.width and 0 <= y <= self.height):
            raise ValueError(f"a point on the screen, x from 0 to {self.width:g} and y from 0 to {self.height:g}")
        return x / self.width, y / self.height

    def write(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point, given in fractions, in these units."""
        x, y = point[0] * self.width, point[1] * self.height
        return (round(x), round(y)) if self.whole else (x, y)


class InUnits:
    """A codec whose points are in units; some say also whose way a scroll's direction is."""

    units: Units

    def __post_init__(self) -> None:
        check_is("units", self.units, Units, "Units(width, height) of the screen")
        if (scrolls := getattr(self, "scrolls", "view")) not in get_args(Scrolls):
            raise ValueError(f"scrolls is {scrolls!r}: expected one of {list(get_args(Scrolls))}")


FRACTIONS = Units(1, 1, whole=False)
THOUSANDTHS = Units(1000, 1000)


def point_of(record: Mapping[str, Any], units: Units, *keys: str) -> tuple[float, float]:
    """The point under one key, [x, y], or under two, x and y. Raises ParseError that names the key."""
    value = record.get(keys[0]) if len(keys) == 1 else [record.get(key) for key in keys]
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(part) in (int, float) for part in value):
        wrong = next((key for key in keys if type(record.get(key)) not in (int, float)), keys[0])
        raise ParseError(record, wrong, "two numbers" if len(keys) == 1 else "a number")
    try:
        return units.read(*value)
    except ValueError as error:
        raise ParseError(record, keys[0], str(error)) from None


def text_of(record: Mapping[str, Any], key: str) -> str:
    """The text under a key; ParseError where it is none."""
    if not isinstance(record.get(key), str):
        raise ParseError(record, key, "text")
    return str(record[key])


def choice(record: Mapping[str, Any], key: str, names: Mapping[Any, Any]) -> Any:
    """``names`` of what stands under a key; ParseError with the names there are, or for what is no record."""
    if not isinstance(record, Mapping):
        raise ParseError(record, "", f"a dict with {key!r}")
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str) or value not in names:
        raise ParseError(record, key, f"one of {list(names)}")
    return names[value]


def place_of(action: GuiAction) -> tuple[float, float]:
    """The point of an action that a dialect of points is to write; ValueError where there is only an element."""
    if action.point is None:
        raise ValueError(f"{action} has no point: expected one, such as the middle of the element's box")
    return action.point


def check_lost(action: GuiAction, dialect: str, *kept: str) -> None:
    """Raise ValueError for a parameter that a dialect has no place for, but for durations and a scroll's path."""
    plain = {"point": None, "element": 0, "text": "", "clear": False, "submit": False}
    if lost := [name for name, none in plain.items() if name not in kept and getattr(action, name) != none]:
        if action.type == "scroll" and lost == ["point"]:
            return
        raise ValueError(f"{dialect} has no {' and no '.join(lost)} for {action.type}: got {action}")


def missing(action: GuiAction, dialect: str) -> ValueError:
    """The error for an action type that a dialect does not have."""
    return ValueError(f"{dialect} has no {action.type}: got {action}")
