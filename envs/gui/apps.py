"""App: a procedural app as arrays; what screens hold, what elements do, what an episode draws, and what is wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    import networkx

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
    adds: int = 0  # or, if 1, to the next word: it counts, from "0" to "9"; k > 1: see ``App``
    fills: int = -1  # the variable that typed text goes to


class Variable(NamedTuple):
    """A word that differs from episode to episode: ``base + (d + shift) % choices``, d being the draw of its group.

    Variables of one group and as many choices share their luck: of one shift they are equal, of others they differ.
    With ``hides``, the variable is what that earlier one is where (d + shift) % choices is 0, and ``base`` elsewhere,
    which may then be ``shown(v)``: what another earlier one is. Neither of these hides anything itself.
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

    An episode begins on screen 0 with an empty stack, each variable a word as ``Variable`` says. What is shown is the
    screen, or its dialog, if it has one that is open: while a certain variable is a certain word. An element looks
    as it does for what variables are at that time: a word w < 0 stands for variable -1 - w. Then, for an action,

    * tap, on an element shown: first ``sets``: that variable becomes the word ``gives`` (``adds`` 0); or the word
      after its own, "9" at the most (``adds`` 1); or, of the k variables from ``sets`` on, the first that is no text
      becomes the word, none if all are taken (``adds`` k > 1). Then ``leads``: the screen, not its dialog, goes on the
      stack, of which the last 8 stay, and the screen led to is there instead.
    * type, on an element shown: the variable ``fills`` becomes the word typed, whatever it was.
    * scroll up, down: to the screen above or below. back: to the screen last put on the stack, taken off it; nothing
      where it is empty. A dialog must be answered: while one is open these two do nothing.
    * home: screen 0, and an empty stack; a dialog left open stays open.
    * done: the variable ``answer`` becomes the action's text, and the episode ends: it is right if all of ``wanted``
      holds.

    Anything else, and a tap or a word where no element takes one, changes nothing.
    """

    elements: Tensor  # (S, 8, 8): as ``Element``
    scrolls: Tensor  # (S, 2): the screens above and below, its own where there is none
    dialogs: Tensor  # (S, 3): the screen that stands over it while a variable is a word: variable, word, screen; or -1
    variables: Tensor  # (V, 5): as ``Variable``
    goal: Tensor  # (4,) words
    wanted: Tensor  # (W, 3): two variables that are to be equal (0), or the first no lower a word than the second (1)
    needed: Tensor  # (D, 2): screens where a decision falls, and the variable on which it depends
    answer: int  # the variable that the text of done goes to; -1 for none
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

    def graph(self) -> "networkx.DiGraph[int]":
        """The screens and dialogs as a graph: an edge for each two of which the one may be shown right after the other.

        A node is the number of a screen, with ``elements``, its ``Element``s, and ``over``, the screen over which it
        stands as a dialog, or None. An edge has ``actions``: (type of action, number of the element, or -1) of all that
        lead there: "tap", "scroll", "home", and "back" where one came that way. Taps after which the same is shown
        have none.
        """
        import networkx

        found: networkx.DiGraph[int] = networkx.DiGraph()
        over = {dialog: s for s, (_, _, dialog) in enumerate(self.dialogs.tolist()) if dialog >= 0}
        for s, elements in enumerate(self.elements.tolist()):
            found.add_node(s, elements=[Element(*e) for e in elements if e[0] != EMPTY], over=over.get(s))

        def lead(start: int, end: int, action: tuple[str, int]) -> None:
            for there in [end, *(dialog for dialog, screen in over.items() if screen == end)]:
                if there != start:
                    found.add_edge(start, there)
                    found[start][there].setdefault("actions", []).append(action)

        for s, data in list(found.nodes(data=True)):
            for number, element in enumerate(data["elements"]):
                if element.leads >= 0:
                    lead(s, element.leads, ("tap", number))
                    lead(element.leads, over.get(s, s), ("back", -1))
                elif s in over and element.sets == self.dialogs[over[s], 0]:
                    found.add_edge(s, over[s], actions=[("tap", number)])
            for end in sorted({*self.scrolls[s].tolist()} - {s}):
                lead(s, end, ("scroll", -1))
            lead(s, 0, ("home", -1))
        return found

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
    wanted: Sequence[tuple[int, ...]],
    needed: Sequence[tuple[int, int]],
    horizon: int,
    memoryless: float,
    below: Sequence[int] = (),
    dialogs: Mapping[int, tuple[int, int, int]] | None = None,
    answer: int = -1,
) -> App:
    """An app from its parts, filled up with empty places.

    wanted: (a, b), two variables that are to be equal, or (a, b, 1), a word a that is no lower than b. below: screens
    that scroll down to the one after them. dialogs: for a screen, (variable, word, dialog): another screen that stands
    over it while the variable is that word. answer: the variable that the text of done goes to.
    Raises ValueError for a screen with more than 8 elements and for variables out of order.
    """
    for s, elements in enumerate(screens):
        if len(elements) > ELEMENTS:
            raise ValueError(f"screen {s} has {len(elements)} elements: expected at most {ELEMENTS}")
    for v, variable in enumerate(variables):
        asked = [variable.hides, -1 - variable.base] if variable.hides >= 0 else [-1 - variable.base]
        if any(w >= v or (w >= 0 and variables[w].hides >= 0) for w in asked) or (variable.hides < 0 <= asked[-1]):
            raise ValueError(f"variable {v} is {variable}: expected one that hides, and earlier ones that do not")
    padded = [[*elements, *[Element()] * (ELEMENTS - len(elements))] for elements in screens]
    scrolls = [[s - (s - 1 in below), s + (s in below)] for s in range(len(screens))]
    return App(
        elements=torch.tensor(padded),
        scrolls=torch.tensor(scrolls),
        dialogs=torch.tensor([(dialogs or {}).get(s, (-1, -1, -1)) for s in range(len(screens))]),
        variables=torch.tensor(variables),
        goal=torch.tensor([*goal, *[0] * (WORDS - len(goal))]),
        wanted=torch.tensor([(*pair, 0)[:3] for pair in wanted]),
        needed=torch.tensor(needed).reshape(-1, 2),
        answer=answer,
        horizon=horizon,
        memoryless=memoryless,
        name=name,
    )
