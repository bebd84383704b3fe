"""App: a procedural app as arrays; what screens hold, what elements do, what an episode draws, and what is wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ethogram.simulator import check_is, check_number, checked_int

from .words import VOCABULARY

if TYPE_CHECKING:
    import networkx

ELEMENTS = 8  # places for elements on a screen
WORDS = 4  # of a goal
MOST_DRAWN = 1_000_000  # of groups of variables, and of shifts
DIALOG = ("variable", "word", "dialog")
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

    Raises ValueError, which says where, for a number of a screen, variable or word that there is not.
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

    def __post_init__(self) -> None:
        screens, variables, words = self.num_screens - 1, self.num_variables - 1, len(VOCABULARY) - 1
        if screens < 0 or variables < 0:
            raise ValueError(f"{screens + 1} screens and {variables + 1} variables: expected one of each at least")
        word, screen, variable = (-1 - variables, words), (-1, screens), (-1, variables)
        spans = [(0, len(KINDS) - 1), word, word, screen, variable, word, (0, variables + 1), variable]
        _check_spans("element {1} of screen {0}", Element._fields, self.elements, spans)
        spans = [word, (1, words + 1), (0, MOST_DRAWN), (-MOST_DRAWN, MOST_DRAWN), variable]
        _check_spans("variable {0}", Variable._fields, self.variables, spans)
        _check_spans("screen {0}", ("above", "below"), self.scrolls, [(0, screens)] * 2)
        _check_spans("screen {0}, as for its dialog,", DIALOG, self.dialogs, [variable, (-1, words), screen])
        _check_spans("the goal", ["word"] * WORDS, self.goal, [word] * WORDS)
        _check_spans("wanted {0}", ("variable", "variable", "rule"), self.wanted, [(0, variables)] * 2 + [(0, 1)])
        _check_spans("needed {0}", ("screen", "variable"), self.needed, [(0, screens), (0, variables)])
        sets, adds = self.elements[..., 4], self.elements[..., 6]
        if ((sets >= 0) & (sets + adds > variables + 1)).any():
            raise ValueError(
                f"an element adds to variables beyond the last, {variables}: expected sets + adds up to it"
            )
        last = self.variables[:, 0] + self.variables[:, 1] - 1
        if (self.variables[:, 0] >= 0).logical_and(last > words).any():
            raise ValueError(f"variable {int(last.argmax())} has words up to {int(last.max())}: expected up to {words}")
        checked_int("answer", self.answer, -1, variables)
        checked_int("horizon", self.horizon, 1)
        check_number("memoryless", self.memoryless, 0, 1)
        check_is("name", self.name, str, "text")

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
        stands as a dialog, or None. An edge has ``actions``: (type of action, number of the element in ``elements``, or
        -1) of all that can lead there: "tap", "type", "scroll", "home", and "back" where one came that way. What one
        does without another screen being shown has none.
        """
        import networkx

        found: networkx.DiGraph[int] = networkx.DiGraph()
        over = {dialog: s for s, (_, _, dialog) in enumerate(self.dialogs.tolist()) if dialog >= 0}
        for s, elements in enumerate(self.elements.tolist()):
            found.add_node(s, elements=[Element(*e) for e in elements if e[0] != EMPTY], over=over.get(s))

        def lead(start: int, end: int, action: tuple[str, int]) -> None:
            for there in {end, int(self.dialogs[end, 2])} - {start, -1}:
                found.add_edge(start, there)
                found[start][there].setdefault("actions", []).append(action)

        for s in range(self.num_screens):
            here = over.get(s, s)
            opens = int(self.dialogs[here, 0])  # the variable that opens and closes a dialog here
            for number, element in enumerate(found.nodes[s]["elements"]):
                if element.leads >= 0:
                    lead(s, element.leads, ("tap", number))
                    lead(element.leads, here, ("back", -1))
                elif 0 <= element.sets <= opens < element.sets + max(element.adds, 1):
                    lead(s, here, ("tap", number))
                if element.fills == opens >= 0:
                    lead(s, here, ("type", number))
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


def _check_spans(what: str, names: Sequence[str], table: Tensor, spans: Sequence[tuple[int, int]]) -> None:
    """Raise ValueError, which says where, unless each column of a table (…, k) lies in its span."""
    if table.dtype is not torch.int64 or table.shape[-1] != len(spans):
        raise ValueError(f"{what.format(0, 0)} is {table.dtype} {tuple(table.shape)}: expected int64 (…, {len(spans)})")
    low, high = torch.tensor(spans, device=table.device).T
    wrong = (table < low) | (table > high)
    if wrong.any():
        *at, k = wrong.nonzero()[0].tolist()
        value = int(table[(*at, k)])
        raise ValueError(f"{what.format(*at)} has {names[k]} {value}: expected {low[k]} to {high[k]}")


def _check_ints(what: str, values: Sequence[int], names: Sequence[str]) -> None:
    """Raise TypeError, which names the field, unless all are ints."""
    for name, value in zip(names, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{what} has {name} {value!r}: expected an int; of a word, VOCABULARY.index(word)")


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
    Raises ValueError for a screen with more than 8 elements, for variables out of order and as ``App`` does.
    """
    for s, elements in enumerate(screens):
        if len(elements) > ELEMENTS:
            raise ValueError(f"screen {s} has {len(elements)} elements: expected at most {ELEMENTS}")
        for e, element in enumerate(elements):
            check_is(f"element {e} of screen {s}", element, Element, "an Element")
            _check_ints(f"element {e} of screen {s}", element, Element._fields)
    if len(goal) > WORDS:
        raise ValueError(f"goal has {len(goal)} words: expected at most {WORDS}")
    _check_ints("goal", goal, ["word"] * len(goal))
    if odd := [pair for pair in wanted if len(pair) not in (2, 3)]:
        raise ValueError(f"wanted has {odd[0]}: expected (a, b) or (a, b, 1), numbers of variables")
    for v, variable in enumerate(variables):
        check_is(f"variable {v}", variable, Variable, "a Variable")
        _check_ints(f"variable {v}", variable, Variable._fields)
        asked = [variable.hides, -1 - variable.base] if variable.hides >= 0 else [-1 - variable.base]
        if any(w >= v or (w >= 0 and variables[w].hides >= 0) for w in asked) or (variable.hides < 0 <= asked[-1]):
            raise ValueError(f"variable {v} is {variable}: expected one that hides, and earlier ones that do not")
    padded = [[*elements, *[Element()] * (ELEMENTS - len(elements))] for elements in screens]
    scrolls = [[s - (s - 1 in below), s + (s in below)] for s in range(len(screens))]
    return App(
        elements=torch.tensor(padded, dtype=torch.int64).reshape(-1, ELEMENTS, len(Element._fields)),
        scrolls=torch.tensor(scrolls, dtype=torch.int64).reshape(-1, 2),
        dialogs=torch.tensor([(dialogs or {}).get(s, (-1, -1, -1)) for s in range(len(screens))]).reshape(-1, 3),
        variables=torch.tensor(variables, dtype=torch.int64).reshape(-1, len(Variable._fields)),
        goal=torch.tensor([*goal, *[0] * (WORDS - len(goal))]),
        wanted=torch.tensor([(*pair, 0)[:3] for pair in wanted], dtype=torch.int64).reshape(-1, 3),
        needed=torch.tensor(needed, dtype=torch.int64).reshape(-1, 2),
        answer=answer,
        horizon=horizon,
        memoryless=memoryless,
        name=name,
    )
