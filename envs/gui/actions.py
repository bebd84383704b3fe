"""Actions on a screen: sixteen action types with parameters, one by one and batched.

Points are fractions of the observed screen, x first, from the top left corner. A scroll says where the finger goes
(``point`` to ``point2``) and where the view goes (``direction``), which is the other way: a finger that moves up brings
what stands further down into view.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import check_is, checked_int

Type = Literal[
    "noop",
    "tap",
    "double_tap",
    "long_press",
    "hover",
    "drag",
    "scroll",
    "type",
    "select",
    "press",
    "back",
    "home",
    "recent",
    "open",
    "wait",
    "done",
]
Direction = Literal["none", "up", "down", "left", "right"]
Status = Literal["none", "success", "infeasible"]
Point = tuple[float, float]

TYPES: tuple[Type, ...] = get_args(Type)  # frozen: an id is a place in it, and new types go to its end
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
STATUSES: tuple[Status, ...] = get_args(Status)
NAMED_KEYS = (
    *("Enter", "Tab", "Escape", "Backspace", "Delete", "Space", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"),
    *("Home", "End", "PageUp", "PageDown"),
)
CHARACTER_KEYS = tuple("abcdefghijklmnopqrstuvwxyz0123456789`-=[]\\;',./")  # unshifted, as on a US keyboard
MODIFIERS = ("Shift", "Control", "Alt", "Meta")
KEYS = (
    "none",
    *NAMED_KEYS,
    *CHARACTER_KEYS,
    *(f"{modifier}+{key}" for modifier in MODIFIERS for key in (*NAMED_KEYS, *CHARACTER_KEYS)),
)
USED_BY: dict[str, tuple[Type, ...]] = {  # the types that have a use for a parameter
    "point": ("tap", "double_tap", "long_press", "hover", "drag", "scroll", "type", "select"),
    "point2": ("drag", "scroll"),
    "element": ("tap", "double_tap", "long_press", "hover", "drag", "scroll", "type", "select"),
    "direction": ("scroll",),
    "text": ("type", "select", "open", "done"),
    "key": ("press",),
    "ms": ("long_press", "drag", "wait"),
    "status": ("done",),
    "clear": ("type",),
    "submit": ("type",),
}
MOST_MS = 60_000
LONGEST_TEXT = 256
CHARACTERS = "".join(chr(code) for code in (*range(32, 127), *range(160, 592)))  # Latin; Gymnasium's own lack the space

_TYPE_IDS = {name: i for i, name in enumerate(TYPES)}
_DIRECTION_IDS = {name: i for i, name in enumerate(DIRECTIONS)}
_STATUS_IDS = {name: i for i, name in enumerate(STATUSES)}
_KEY_IDS = {name: i for i, name in enumerate(KEYS)}
_AT_A_PLACE = {"tap", "double_tap", "long_press", "hover"}  # a point or an element
_PLACE_ALLOWED = _AT_A_PLACE | {"drag", "scroll", "type", "select"}
_OPPOSITE: dict[str, Direction] = {"up": "down", "down": "up", "left": "right", "right": "left"}


def along(start: Point, end: Point) -> Direction:
    """Where a movement goes, by its longer axis; the vertical one where both are as long. "none": it does not move."""
    x, y = end[0] - start[0], end[1] - start[1]
    if x == y == 0:
        return "none"
    if abs(x) > abs(y):
        return "right" if x > 0 else "left"
    return "down" if y > 0 else "up"


def opposite(direction: str) -> Direction:
    """Up for down and so on: where the view goes if the finger goes there, and the other way round."""
    return _OPPOSITE[direction]


@dataclass(frozen=True)
class GuiAction:
    """One action. Which parameters a type has: see ``docs/gui_metrics.md``; the others stay at their defaults.

    type: one of TYPES.
    point, point2: (x, y) fractions of the screen, 0 to 1 from the top left; the finger's path for scroll and drag.
    element: the number of an element on the screen, from 1; 0 for none.
    direction: where the view goes when scrolling: one of DIRECTIONS. Left out, it follows from the finger's path;
        without a path either, it is not known.
    text: typed, selected, an app or URL to open, or the answer given with "done".
    key: one of KEYS, such as "Enter" or "Control+a". ms: how long to press or wait, 0 to 60,000.
    status: how the task ended, one of STATUSES. clear, submit: empty the field first, press Enter last.

    Raises ValueError for a value outside these, a parameter the type needs and lacks, or one it has no use for.
    """

    type: Type
    point: Point | None = None
    point2: Point | None = None
    element: int = 0
    direction: Direction = "none"
    text: str = ""
    key: str = "none"
    ms: int = 0
    status: Status = "none"
    clear: bool = False
    submit: bool = False

    def __post_init__(self) -> None:
        for name, value, names in (
            ("type", self.type, TYPES),
            ("direction", self.direction, DIRECTIONS),
            ("status", self.status, STATUSES),
            ("key", self.key, KEYS),
        ):
            if value not in names:
                shown = "one of KEYS, such as 'Enter' or 'Control+a'" if name == "key" else f"one of {list(names)}"
                raise ValueError(f"{name} is {value!r:.60}: expected {shown}")
        for name, point in (("point", self.point), ("point2", self.point2)):
            if point is not None and (
                not isinstance(point, tuple)
                or len(point) != 2
                or not all(isinstance(part, Real) and 0 <= part <= 1 for part in point)
            ):
                raise ValueError(
                    f"{name} is {point}: expected fractions of the screen, (x, y) from 0 to 1; give pixels to a codec"
                )
        checked_int("ms", self.ms, 0, MOST_MS)
        checked_int("element", self.element, 0)  # 0: none
        check_is("text", self.text, str, "text")
        if self.type == "scroll" and self.direction == "none" and self.point and self.point2:
            moved = along(self.point, self.point2)
            object.__setattr__(self, "direction", _OPPOSITE.get(moved, "none"))
        if problem := self._misfit():
            raise ValueError(f"a {self.type} {problem}")

    def _misfit(self) -> str:
        """Say what its parameters lack, or have too much; "" for an action that is well formed."""
        kind, placed = self.type, self.point is not None or self.element > 0
        if kind in _AT_A_PLACE and not placed:
            return "has neither point nor element: expected one"
        if kind == "drag" and (self.point is None or self.point2 is None):
            return "lacks point or point2: expected where the finger goes down and up"
        if kind == "scroll" and self.point2 is not None and self.point in (None, self.point2):
            return "goes nowhere: expected a direction, or a point and another point2"
        if kind == "press" and self.key == "none":
            return "has no key: expected one of KEYS"
        if kind == "done" and self.status == "none":
            return "has no status: expected 'success' or 'infeasible'"
        spare = {
            "point": placed and kind not in _PLACE_ALLOWED,
            "point2": self.point2 is not None and kind not in ("drag", "scroll"),
            "direction": self.direction != "none" and kind != "scroll",
            "text": bool(self.text) and kind not in ("type", "select", "open", "done"),
            "key": self.key != "none" and kind != "press",
            "ms": self.ms > 0 and kind not in ("long_press", "drag", "wait"),
            "status": self.status != "none" and kind != "done",
            "clear or submit": (self.clear or self.submit) and kind != "type",
        }
        return next((f"has a {name}: expected none" for name, wrong in spare.items() if wrong), "")

    @property
    def finger(self) -> Direction:
        """Where the finger goes when scrolling: the other way than the view."""
        return _OPPOSITE.get(self.direction, "none")

    @property
    def amount(self) -> float:
        """How far the finger goes, as a fraction of the screen; 0 where no path is known."""
        return math.dist(self.point, self.point2) if self.point and self.point2 else 0.0

    def as_json(self) -> dict[str, Any]:
        """The parameters that are not at their defaults, as JSON holds them."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "GuiAction":
        """The action that ``as_json`` wrote. Raises ValueError for what is no action."""
        if not isinstance(saved, Mapping):
            raise ValueError(
                f"the action is {saved!r:.60}: expected an object with type and parameters; text needs a codec's decode"
            )
        names = [field.name for field in fields(cls)]
        if unknown := sorted(set(saved) - set(names)):
            raise ValueError(f"the action has {unknown}: expected some of {names}")
        if "type" not in saved:
            raise ValueError(f"the action has no type: expected one of {list(TYPES)}")
        parts = {name: _checked(name, value) for name, value in saved.items()}
        return cls(**parts)


def _checked(name: str, value: Any) -> Any:
    """A parameter as it stands in JSON, made ours."""
    kinds: dict[str, type] = {"element": int, "ms": int, "clear": bool, "submit": bool}
    if name in ("point", "point2"):
        if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(v) in (int, float) for v in value):
            raise ValueError(f"{name} is {value!r:.60}: expected two numbers")
        return (float(value[0]), float(value[1]))
    kind = kinds.get(name, str)
    if type(value) is not kind:
        raise ValueError(f"{name} is {value!r:.60}: expected {'an' if kind is int else 'a'} {kind.__name__}")
    return value


class GuiActions(NamedTuple):
    """Actions of n rows, (n,) or (n, T) each, all parameters always there; ``_asdict()`` is what a History records."""

    type: Tensor  # (…) int64, a place in TYPES
    point: Tensor  # (…, 2) float32, x first; 0 where there is none
    point2: Tensor  # (…, 2) float32
    element: Tensor  # (…) int64, 0 for none
    direction: Tensor  # (…) int64, a place in DIRECTIONS
    text: Any  # (…) NumPy array of str
    key: Tensor  # (…) int64, a place in KEYS
    ms: Tensor  # (…) float32
    status: Tensor  # (…) int64, a place in STATUSES
    clear: Tensor  # (…) int64, 0 or 1
    submit: Tensor  # (…) int64, 0 or 1

    @classmethod
    def of(cls, actions: Sequence[GuiAction]) -> "GuiActions":
        """A batch (n,) of single actions."""
        check_is("actions", actions, (list, tuple), "GuiActions in a list")
        for action in actions:
            check_is("one of the actions", action, GuiAction, "a GuiAction")

        def points(name: str) -> Tensor:
            found = [getattr(action, name) or (0.0, 0.0) for action in actions]
            return torch.tensor(found, dtype=torch.float32).reshape(len(actions), 2)

        return cls(
            torch.tensor([_TYPE_IDS[a.type] for a in actions], dtype=torch.int64),
            points("point"),
            points("point2"),
            torch.tensor([a.element for a in actions], dtype=torch.int64),
            torch.tensor([_DIRECTION_IDS[a.direction] for a in actions], dtype=torch.int64),
            np.array([a.text for a in actions], dtype=object),
            torch.tensor([_KEY_IDS[a.key] for a in actions], dtype=torch.int64),
            torch.tensor([a.ms for a in actions], dtype=torch.float32),
            torch.tensor([_STATUS_IDS[a.status] for a in actions], dtype=torch.int64),
            torch.tensor([int(a.clear) for a in actions], dtype=torch.int64),
            torch.tensor([int(a.submit) for a in actions], dtype=torch.int64),
        )

    def row(self, *at: int) -> GuiAction:
        """One action of the batch: ``row(i)``, or ``row(i, t)`` of a batch with time.

        A batch holds (0, 0) for no point. So a place that the type may do without reads as none at (0, 0), with an
        element for what is done at a place.
        """
        kind = TYPES[int(self.type[at])]
        element = int(self.element[at])
        first, last = (tuple(points[at].tolist()) for points in (self.point, self.point2))
        optional = kind in ("type", "select") or element > 0
        if kind == "scroll":
            here = first if any(first) or any(last) else None
            there = last if any(last) and last != first else None
        else:
            here = None if kind not in _PLACE_ALLOWED or (optional and first == (0, 0)) else first
            there = last if kind == "drag" else None
        return GuiAction(
            kind,
            here,
            there,
            element,
            DIRECTIONS[int(self.direction[at])],
            str(self.text[at]),
            KEYS[int(self.key[at])],
            int(self.ms[at].item()),
            STATUSES[int(self.status[at])],
            bool(self.clear[at]),
            bool(self.submit[at]),
        )


def action_space(most_elements: int, *, texts: int | None = None, characters: str = CHARACTERS) -> spaces.Dict:
    """The Dict space of one action, all parameters always there; its keys are the fields of ``GuiActions``.

    most_elements: how many elements a screen has at most; element 0 is none.
    texts: where free text is chosen from so many strings (of the screen, of the goal), for policies over arrays; None:
        text as such, up to 256 of the characters.
    """
    checked_int("most_elements", most_elements, 0)
    text: spaces.Space[Any] = spaces.Text(LONGEST_TEXT, min_length=0, charset=characters)
    return spaces.Dict(
        {
            "type": spaces.Discrete(len(TYPES)),
            "point": spaces.Box(0, 1, (2,), np.float32),
            "point2": spaces.Box(0, 1, (2,), np.float32),
            "element": spaces.Discrete(most_elements + 1),
            "direction": spaces.Discrete(len(DIRECTIONS)),
            "text": text if texts is None else spaces.Discrete(texts),
            "key": spaces.Discrete(len(KEYS)),
            "ms": spaces.Box(0, MOST_MS, (), np.float32),
            "status": spaces.Discrete(len(STATUSES)),
            "clear": spaces.Discrete(2),
            "submit": spaces.Discrete(2),
        }
    )
