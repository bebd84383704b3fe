"""App: a procedural app as arrays; what screens hold, what elements do, what an episode draws, and what is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

ELEMENTS = 8  # places for elements on a screen
WORDS = 4  # of a goal
STACK = 8  # screens that Back remembers
EMPTY, TEXT, BUTTON, INPUT, ITEM, ICON = range(6)
KINDS = ("", "text", "button", "input", "item", "icon")
FLAGS = ("clickable", "editable", "scrollable")


class Element(NamedTuple):
    """One thing on a screen. A word is an id of the vocabulary, or ``shown(v)``: what variable v is."""

    kind: int = EMPTY
    label: int = 0  # its first word
    content: int = 0  # its second
    leads: int = -1  # the screen that a tap opens; -1 for none
    sets: int = -1  # the variable that a tap changes
    gives: int = 0  # to this word
    adds: int = 0  # or, if 1, to the next word: it counts, from "0" to "9"
    fills: int = -1  # the variable that typed text goes to


class Variable(NamedTuple):
    """A word that differs from episode to episode: ``base + (d + shift) % choices``, d being the draw of its group.

    Variables of one group and as many choices share their luck: of one shift they are equal, of others they differ.
    With ``hides``, the variable is what that earlier one is where (d + shift) % choices is 0, and ``base`` elsewhere.
    """

    base: int
    choices: int = 1
    group: int = 0
    shift: int = 0
    hides: int = -1


def shown(variable: int) -> int:
    """The word that stands for what a variable is."""
    return -1 - variable


@dataclass(frozen=True, eq=False)
class App:
    """An app and the task that is set in it; S screens, V variables. All arrays are int64.

    The first screen is where episodes begin and Home leads.
    """

    elements: Tensor  # (S, 8, 8): as ``Element``
    scrolls: Tensor  # (S, 2): the screens above and below, its own where there is none
    variables: Tensor  # (V, 5): as ``Variable``
    goal: Tensor  # (4,) words
    wanted: Tensor  # (W, 2): variables that are to be equal when the policy says that it is done
    needed: Tensor  # (D, 2): screens where a decision falls, and the variable on which it depends
    horizon: int  # steps
    memoryless: float  # the highest chance of success of a policy that sees nothing but the present screen
    name: str = field(default="app")

    @property
    def num_screens(self) -> int:
        """S."""
        return len(self.elements)

    @property
    def num_variables(self) -> int:
        """V."""
        return len(self.variables)

    @property
    def visible(self) -> Tensor:
        """(D,) bool: whether a decision can be read off the screen on which it falls, or off the goal."""
        screen, variable = self.needed.T
        there = self.elements[screen][:, :, 1:3].flatten(1)  # (D, 16) words
        return ((there == -1 - variable[:, None]).any(1)) | (self.goal == -1 - variable[:, None]).any(1)


def made(
    name: str,
    screens: Sequence[Sequence[Element]],
    variables: Sequence[Variable],
    goal: Sequence[int],
    wanted: Sequence[tuple[int, int]],
    needed: Sequence[tuple[int, int]],
    horizon: int,
    memoryless: float,
    below: Sequence[int] = (),
) -> App:
    """An app from its parts, filled up with empty places. below: screens that scroll down to the one after them."""
    padded = [[*elements, *[Element()] * (ELEMENTS - len(elements))] for elements in screens]
    scrolls = [[s - (s - 1 in below), s + (s in below)] for s in range(len(screens))]
    return App(
        elements=torch.tensor(padded),
        scrolls=torch.tensor(scrolls),
        variables=torch.tensor(variables),
        goal=torch.tensor([*goal, *[0] * (WORDS - len(goal))]),
        wanted=torch.tensor(wanted),
        needed=torch.tensor(needed).reshape(-1, 2),
        horizon=horizon,
        memoryless=memoryless,
        name=name,
    )
