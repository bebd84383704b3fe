"""Forms: the questions from which an action is made, one after the other; of any space, and of screens.

``form.ask(seen)`` is a generator that yields a question and is sent its answer, and returns the action of one row, as
NumPy has it.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from ethogram.envs.gui.actions import DIRECTIONS, KEYS, STATUSES, TYPES, USED_BY
from ethogram.envs.sessions.slates import Slates
from ethogram.simulator import Column, check_is
from ethogram.simulator.gym import checked_space, stack

from .questions import LETTERS, LEVELS, Choice, Predicate, Question, Score, Written, bounds, parts_of, written

MOST_OPTIONS = len(LETTERS) ** 3

Names = Mapping[str, Sequence[str]]  # field -> the words of its ids, as worlds have them
Asking = Generator[Question, Any, Any]


class Form(Protocol):
    """Asks for an action, and stacks the actions of rows."""

    def ask(self, seen: Any) -> Asking:
        """The questions of one row, by what it sees (NumPy's arrays, or a dict of such); returns its action."""
        ...

    def stack(self, actions: Sequence[Any], device: torch.device) -> Column:
        """The actions of n rows as a column."""
        ...


@dataclass(frozen=True, eq=False)
class Asked:
    """The form of an action space: one question for each number or flag in it.

    space: Discrete, MultiDiscrete, MultiBinary, bounded Box, ``Slates``, Text, and Dict of these.
    names: words of ids, by field; ``"item"`` of slates; ``"action"`` where the action is no Dict. They may be the
    world's, such as titles, and are fenced. parts: names for the entries of a MultiDiscrete or MultiBinary action, such
    as ("isolate", "work"). Entries of two values without words are predicates. Each entry is asked by itself; chained:
    what was decided of those before is told, at the cost of a question for each way so far.
    """

    space: gymnasium.Space[Any]
    names: Names = field(default_factory=dict)
    parts: Sequence[str] = ()
    chained: bool = False

    def __post_init__(self) -> None:
        check_is("space", self.space, gymnasium.Space, "a world's action_space")
        check_is("names", self.names, Mapping, "a dict of fields to words")
        checked_space(self.space, "action")
        _some(self.ask(None))  # says what cannot be asked

    def ask(self, seen: Any) -> Asking:
        """The questions, which are the same whatever is seen."""
        return _asked(self.space, "action", self.names, tuple(self.parts), not self.chained)

    def stack(self, actions: Sequence[Any], device: torch.device) -> Column:
        """(n, …) as the space batches them."""
        return stack(self.space, actions, device)


@dataclass(frozen=True, eq=False)
class Whole(Asked):
    """The same action asked for in one go, as JSON of ``schema_of(space)``: one call, but no distribution."""

    def ask(self, seen: Any) -> Asking:
        """A single question."""
        return (yield written(self.space, "action"))


def _some(asking: Asking) -> Any:
    """The action of who gives the first answer to every question."""
    answer = None
    try:
        while True:
            question = asking.send(answer)
            answer = "" if isinstance(question, Written) else question.value(0, 0.0)
    except StopIteration as end:
        return end.value


def _asked(
    space: gymnasium.Space[Any], name: str, names: Names, parts: tuple[str, ...] = (), apart: bool = False
) -> Asking:
    """The questions of a space; returns one of its elements."""
    words = names.get(name.rpartition(".")[2], ())
    if isinstance(space, spaces.Discrete):
        place = yield from choose(name, int(space.n), words, int(space.start))
        return space.dtype.type(space.start + place)
    if isinstance(space, Slates):
        return (yield from _slate(space, names.get("item", ())))
    if isinstance(space, spaces.Text):
        return (yield written(space, name))
    if isinstance(space, spaces.Dict | spaces.Tuple):
        found, inside = {}, "" if name == "action" else f"{name}."
        for key, part in parts_of(space):
            found[key] = yield from _asked(part, inside + key, names, apart=apart)
        return found if isinstance(space, spaces.Dict) else tuple(found.values())
    return (yield from _entries(space, name, words, parts, apart))


def choose(
    name: str,
    count: int,
    texts: Sequence[str] = (),
    first: int = 0,
    labels: Sequence[str] = (),
    apart: bool = False,
) -> Asking:
    """One of ``count`` options, a place from 0: by one question where 26 letters are enough, else group by group.

    texts: the world's words for the options, by id: those of ids below ``first`` are passed over. labels: ours; numbers
    from ``first`` on without them.
    """
    if count > MOST_OPTIONS:
        raise ValueError(f"'{name}' has {count:,} options: expected at most {MOST_OPTIONS:,}; use a Box for numbers")
    if texts and (first < 0 or len(texts) != first + count):
        expected = (
            f"{first + count}, one for each option" if first == 0 else f"{first + count}, one for each id from 0 on"
        )
        expected = expected if first >= 0 else f"none, as its ids begin at {first}"
        raise ValueError(f"names has {len(texts)} words for '{name}': expected {expected}")
    texts = texts[first:]
    if count == 1:
        return 0
    options = tuple(labels) or tuple(str(first + i) for i in range(count))
    if count <= len(LETTERS):
        return (yield Choice(name, options, tuple(texts), apart))
    size = ceil(count / len(LETTERS)) if count <= len(LETTERS) ** 2 else len(LETTERS) ** 2
    spans = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    groups = [f"{options[span][0]} to {options[span][-1]}" for span in spans]
    said = [f"{texts[span][0]} … {texts[span][-1]}" for span in spans] if texts else []
    group = yield from choose(f"{name}/{count}", len(spans), said, labels=groups, apart=apart)
    inside = spans[group]
    place = yield from choose(name, inside.stop - inside.start, texts[inside], labels=options[inside], apart=apart)
    return inside.start + place


def _entries(space: Any, name: str, words: Sequence[str], parts: tuple[str, ...], apart: bool) -> Asking:
    """The entries of an array, one by one."""
    low, high = (end.reshape(-1).tolist() for end in bounds(space))
    if parts and len(parts) != len(low):
        raise ValueError(f"parts has {len(parts)} names: expected {len(low)}, one for each entry of {space}")
    numbers, whole = isinstance(space, spaces.Box), np.issubdtype(space.dtype, np.integer)
    entries = []
    for i, (least, most) in enumerate(zip(low, high, strict=True)):
        called = parts[i] if parts else f"{name}.{i}" if len(low) > 1 else name
        if not numbers and (least, most) == (0, 1) and not words:
            entries.append((yield Predicate(called, apart)))
        elif not numbers or (whole and most - least < LEVELS):
            place = yield from choose(called, most - least + 1, () if numbers else words, least, apart=apart)
            entries.append(least + place)
        else:
            entries.append((yield Score(called, least, most, whole, apart)) if least < most else least)
    return np.array(entries, space.dtype).reshape(space.shape)


def _slate(space: Slates, titles: Sequence[str]) -> Asking:
    """A list item by item, each of those that are left; from the second on it may end."""
    if titles and len(titles) != space.num_items:
        raise ValueError(f"names has {len(titles)} items: expected {space.num_items}, as {space!r}")
    slate, left = np.full(space.length, -1, np.int64), list(range(space.num_items))
    for position in range(space.length):
        end = position > 0
        labels = [f"item {item}" for item in left] + ["nothing more"] * end
        texts = [*(titles[item] for item in left), *[""] * end] if titles else []
        place = yield from choose(f"position {position + 1}", len(labels), texts, labels=labels)
        if place == len(left):
            break
        slate[position] = left.pop(place)
    return slate


class Element(NamedTuple):
    """One thing that stands on a screen."""

    number: int  # as actions name it, from 1
    kind: str  # as the world says; "" if it does not
    text: str  # data, as is what stands in it:
    value: str


def elements_of(names: Names, seen: Any) -> list[Element]:
    """The elements of the present screen, in the order of their numbers; none where screens are not told in words."""
    field = "label" if isinstance(seen, Mapping) and "label" in seen else "text"
    if not isinstance(seen, Mapping) or "box" not in seen or field not in seen:
        return []
    there = (seen["box"] != 0).any(1)
    if isinstance(lines := seen[field], str):
        texts = lines.split("\n")
    else:
        texts = [" ".join(filter(None, (names[field][i] for i in np.atleast_1d(ids).tolist()))) for ids in lines]
    kinds = [names["kind"][kind] for kind in seen["kind"].tolist()] if "kind" in seen and "kind" in names else []
    values = seen["value"].split("\n") if isinstance(seen.get("value"), str) else []
    lines = [[column[k] if k < len(column) else "" for column in (kinds, texts, values)] for k in range(len(there))]
    return [Element(k + 1, *lines[k]) for k in np.flatnonzero(there).tolist()]


@dataclass(frozen=True, eq=False)
class Clicks:
    """The form of a user in a session, who clicks one of the items shown, or none.

    names: "item", the titles. The observation is that of a session's ``user``, of which "slate" is read here; the
    action is (m,) bool.
    """

    names: Names = field(default_factory=dict)

    def ask(self, seen: Any) -> Asking:
        """Which of the positions that hold an item."""
        shown = [item for item in seen["slate"].tolist() if item >= 0]
        labels = [*(f"item {item}" for item in shown), "nothing"]
        titles = self.names.get("item", ())
        texts = [*(titles[item] for item in shown), ""] if titles else []
        place = yield from choose("click", len(labels), texts, labels=labels)
        clicks = np.zeros(len(seen["slate"]), np.bool_)
        clicks[place : place + 1] = place < len(shown)
        return clicks

    def stack(self, actions: Sequence[Any], device: torch.device) -> Column:
        """(n, m) bool."""
        return torch.from_numpy(np.stack(actions)).to(device)


@dataclass(frozen=True, eq=False)
class OnScreen:
    """The form of actions on a screen: the type first, then those parameters alone that it has a use for.

    space: as ``envs.gui.action_space`` makes it, or a part of that, such as ``SymbolicGui``'s. names: the world's.
    types: those that are offered; all of TYPES by default. Elements are those on the present screen; words are those of
    the goal and the screen, and any other after "another text". Parameters that a type may do without are left out,
    but for the place of "type" and "select".
    """

    space: spaces.Dict
    names: Names = field(default_factory=dict)
    types: Sequence[str] = TYPES

    def __post_init__(self) -> None:
        check_is("space", self.space, spaces.Dict, "the action_space of a world of screens")
        if lacking := [name for name in ("type", "element", "point", "text") if name not in self.space.spaces]:
            raise ValueError(f"space lacks {lacking}: expected a Dict as ethogram.envs.gui.action_space makes it")
        if unknown := [name for name in self.types if name not in TYPES] or not self.types:
            raise ValueError(f"types has {unknown or 'nothing'}: expected some of {list(TYPES)}")

    def ask(self, seen: Any) -> Asking:
        """The questions; seen: one row's observation."""
        action: dict[str, Any] = {
            name: "" if isinstance(part, spaces.Text) else np.zeros(part.shape or (), part.dtype)
            for name, part in self.space.spaces.items()
        }
        types = tuple(self.types)
        kind = types[(yield from choose("type", len(types), labels=types))]
        action["type"] = np.int64(TYPES.index(kind))
        used = [name for name in self.space.spaces if kind in USED_BY.get(name, ())]
        if "element" in used and kind not in ("drag", "scroll"):
            action |= yield from self._place(kind, seen)
        for name in used:
            if name in ("point", "point2") and kind == "drag":
                action[name] = yield from _asked(self.space[name], name, {})
            elif name == "text":
                action[name] = yield from self._text(kind, seen)
            elif name in ("direction", "key", "status"):  # "none" is their first word, and no answer here
                words = {"direction": DIRECTIONS, "key": KEYS, "status": STATUSES}[name][1:]
                action[name] = np.int64(1 + (yield from choose(name, len(words), labels=words)))
            elif name in ("clear", "submit"):
                action[name] = np.int64((yield Predicate(name)))
            elif name == "ms":
                action[name] = yield from _asked(self.space[name], name, {})
        return action

    def _place(self, kind: str, seen: Any) -> Asking:
        """An element of the screen, another place on it, or, for what may do without, none."""
        there = elements_of(self.names, seen)
        free = ["no place"] if kind in ("type", "select") else []
        labels = [*(f"element {e.number}" for e in there), "another place", *free]
        texts = [*(f"{e.kind} {e.text}".strip() for e in there), "", *[""] * len(free)]
        place = yield from choose("element", len(labels), texts, labels=labels)
        if place < len(there):
            return {"element": np.int64(there[place].number)}
        return {"point": (yield from _asked(self.space["point"], "point", {}))} if place == len(there) else {}

    def _text(self, kind: str, seen: Any) -> Asking:
        """A text: none, one that can be seen, or another."""
        space, words = self.space["text"], self.names.get("text", ())
        told = [e.text for e in elements_of(self.names, seen)]
        goal = seen.get("goal", "") if isinstance(seen, Mapping) else ""
        if isinstance(goal, str):
            told = [*re.findall(r'"([^"]+)"', goal), *goal.split(), *told]
        else:
            told = [*(words[i] for i in goal.tolist()), *(word for text in told for word in text.split())]
        free = isinstance(space, spaces.Text)
        good = space.contains if free else words.__contains__
        known = list(dict.fromkeys(text for text in told if text and good(text)))[: len(LETTERS) - 2]
        options = [*["no text"] * (kind == "done"), *[f"text {k + 1}" for k in range(len(known))], "another text"]
        texts = [*[""] * (kind == "done"), *known, ""]
        place = (yield from choose("text", len(options), texts, labels=options)) - (kind == "done")
        if place == len(known):
            if free:
                return (yield written(space, "another text"))
            return np.int64((yield from choose("another text", len(words), words)))
        text = known[place] if place >= 0 else ""
        return text if free else np.int64(words.index(text))

    def stack(self, actions: Sequence[Any], device: torch.device) -> Column:
        """A dict of columns (n, …), as the space batches them."""
        return stack(self.space, actions, device)
