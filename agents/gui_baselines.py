"""Policies for recorded screens that need no learning: they copy, repeat, guess by how often, or look up.

They read what is needed from the recording that they are given, and from the past that the observation shows.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from ethogram.envs.gui.actions import TYPES, GuiActions
from ethogram.envs.gui_logs.recording import Recording
from ethogram.simulator import Draws, History, check_is, check_number, checked_int

Action = dict[str, Any]
BUCKETS = 1024  # that words are counted in
NEAR = 0.14  # of the screen: two points this near along both axes are the same place in the past
MOST_WORDS = 12  # of a text that is taken from a goal
_POINTED = [TYPES.index(name) for name in ("tap", "double_tap", "long_press", "hover")]


def _at(recording: Recording, steps: Any) -> Action:
    """The references of some steps, (n,) places among all."""
    columns = recording.arrays.reference.items()
    return {name: part[steps] if name == "text" else torch.from_numpy(part[steps]) for name, part in columns}


@dataclass(frozen=True, eq=False)
class CopyReference:
    """The reference; taps with an error that is normal along each axis.

    spread: the deviation of that error, as a fraction of the screen; points stay on the screen.
    """

    recording: Recording
    spread: float = 0.0

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "the Recording that is replayed")
        check_number("spread", self.spread, 0, 1)

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        done = _at(self.recording, self._steps(observation))
        if self.spread:
            radius = (-2 * (1 - draws.uniform("radius")).log()).sqrt()  # Box and Muller
            angle = 2 * torch.pi * draws.uniform("angle")
            error = self.spread * torch.stack((radius * angle.cos(), radius * angle.sin()), 1)
            tapped = torch.isin(done["type"], torch.tensor(_POINTED))[:, None]
            done["point"] = torch.where(tapped, (done["point"] + error).clamp(0, 1), done["point"]).float()
        return done

    def _steps(self, observation: Any) -> Any:
        return self.recording.arrays.first[observation["episode"].numpy()] + observation["step"].numpy()


@dataclass(frozen=True)
class RepeatLast:
    """The last action of the past that it sees, whoever did it; a tap in the middle at first."""

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        past, start = observation["past"], _middle(len(draws.ids))
        last = past["type"].shape[1] - 1
        none = past["whose"][:, last] == 0
        texts = np.where(none.numpy(), "", past["text"][str(last)]).astype(object)
        done = {name: _where(none, part, past[name][:, last]) for name, part in start.items() if name != "text"}
        return {**done, "text": texts}


@dataclass(frozen=True, eq=False)
class MostFrequent:
    """The type that was recorded most often, where it was most often done: always the same action."""

    recording: Recording

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "a Recording to count in")

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        return _at(self.recording, np.full(len(draws.ids), self._typical))

    @cached_property
    def _typical(self) -> int:
        return _typical(self.recording, np.ones(len(self.recording.steps), bool))


@dataclass(frozen=True, eq=False)
class AnyAction:
    """The reference of some step, every step equally likely: chance, with actions as frequent as they are."""

    recording: Recording

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "a Recording to choose from")

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        known = self.recording.arrays.known.nonzero()[0]
        return _at(self.recording, known[(draws.uniform("step").numpy() * len(known)).astype(np.int64)])


@dataclass(frozen=True, eq=False)
class AfterLast:
    """An action as it most often followed one of the type seen last in the past: a Markov chain of types."""

    recording: Recording

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "a Recording to count in")

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        past = observation["past"]
        last = torch.where(past["whose"][:, -1] > 0, past["type"][:, -1], len(TYPES))
        return _at(self.recording, self._following[last.numpy()])

    @cached_property
    def _following(self) -> Any:
        """(17,) the step to copy after each type, and at first."""
        arrays = self.recording.arrays
        before = np.roll(arrays.reference["type"], 1)
        before[arrays.first] = len(TYPES)
        every = np.ones(len(before), bool)
        return np.array(
            [
                _typical(self.recording, before == kind if (before == kind).any() else every)
                for kind in range(len(TYPES) + 1)
            ]
        )


@dataclass(frozen=True, eq=False)
class Nearest:
    """The recorded step that is most like the present one; what was done there is carried over to this screen.

    Two steps are alike by the sum of the cosines of the words of their goals, of their instructions and of all that is
    labelled on their screens (words that are rare count more); and, with ``past``, by their last actions: one of the
    same type at the same place in the past counts 1/2, with the same target or text 1, on average over the past.
    A tap goes to the element of the present screen that is most like the one tapped there: in its words, in how many
    of them are in the goal, and in its place; where nothing is known to stand on the screen, to the same point. A
    text that was in that goal is replaced by the words that stand most alike in the present one.

    recording: to look in. past: how many last actions count, of those in the observation. neighbours: steps that vote
    on the type; the nearest of that type is carried over. labels: what numbers in the observation's "label" stand for,
    ``replay.names["label"]``; none where screens were not recorded.
    """

    recording: Recording
    past: int = 0
    neighbours: int = 1
    labels: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "a Recording to look in")
        checked_int("past", self.past, 0)
        checked_int("neighbours", self.neighbours, 1)
        check_is("labels", self.labels, tuple, 'texts, such as names["label"] of the Replay')

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        if (most := int(observation["label"].max())) >= len(self.labels):
            raise ValueError(f"a label is number {most} of {len(self.labels)}: expected labels=replay.names['label']")
        alike = self._alike(observation)
        near = (-alike).argsort(1, kind="stable")[:, : self.neighbours]
        kinds = self.recording.arrays.reference["type"][near]  # (n, k)
        votes = (kinds[:, :, None] == kinds[:, None, :]).sum(2)
        steps = near[np.arange(len(near)), votes.argmax(1)]  # of the type with most votes, the nearest
        done = _at(self.recording, steps)
        return self._carried(done, steps, observation)

    def _alike(self, observation: Any) -> Any:
        """(n, S) how alike present and recorded steps are; -inf for a step without a reference."""
        goals, said, shown = self._read
        arrays = self.recording.arrays
        texts = (observation["goal"], observation["instruction"], self._screens(observation))
        per_goal, *others = (
            self._words(list(here)) @ there.T for here, there in zip(texts, (goals, said, shown), strict=True)
        )
        alike = np.repeat(per_goal, arrays.length, 1) + sum(others)
        if self.past:
            alike += self._same_past(observation["past"])
        return np.where(arrays.known, alike, -np.inf)

    def _screens(self, observation: Any) -> list[str]:
        return [" ".join(self.labels[i] for i in row if i) for row in observation["label"].tolist()]

    @cached_property
    def _read(self) -> tuple[Any, Any, Any]:
        """(E, W), (S, W) and (S, W) float32: the words of goals, of instructions and of screens."""
        arrays = self.recording.arrays
        shown = [" ".join(arrays.strings[i] for i in row if i) for row in arrays.label.tolist()]
        return self._words(list(arrays.goal)), self._words(list(arrays.instruction)), self._words(shown)

    def _words(self, texts: list[str]) -> Any:
        """(m, W) float32 rows of length 1, or 0 for no words."""
        bags = _bags(texts) * self._rarity
        return bags / np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1e-9)

    @cached_property
    def _rarity(self) -> Any:
        """(W,) how much a word tells, by how many goals have it."""
        bags = _bags(list(self.recording.arrays.goal))
        return (1 + np.log((1 + len(bags)) / (1 + bags.sum(0)))).astype(np.float32)

    def _same_past(self, past: Any) -> Any:
        """(n, S) how alike the last actions are, 0 to 1."""
        seen = len(past["text"])
        if self.past > seen:
            raise ValueError(f"past is {self.past}, and the observation has {seen} past actions: expected no more")
        arrays, steps, alike = self.recording.arrays, np.arange(len(self.recording.steps)), np.zeros((), np.float64)
        begins = np.repeat(arrays.first, arrays.length)
        for age in range(1, self.past + 1):
            there = steps - age >= begins
            theirs = {name: part[np.maximum(steps - age, 0)] for name, part in arrays.reference.items()}
            none = past["whose"][:, -age].numpy() == 0
            kind = np.where(none, -1, past["type"][:, -age].numpy())[:, None]
            same = kind == np.where(there, theirs["type"], -1)
            target = past["direction"][:, -age].numpy()[:, None] == theirs["direction"]
            target &= _codes(past["text"][str(seen - age)])[:, None] == _codes(theirs["text"])
            for axis in (0, 1):
                target &= abs(past["point"][:, -age, axis].numpy()[:, None] - theirs["point"][:, axis]) < NEAR
            alike = alike + np.where(none[:, None] & ~there, 1.0, same * (0.5 + 0.5 * target)) / self.past
        return alike

    def _carried(self, done: Action, steps: Any, observation: Any) -> Action:
        """Actions of recorded steps, with the targets and texts of the present goals and screens."""
        arrays, goals = self.recording.arrays, observation["goal"]
        theirs = arrays.goal[np.searchsorted(arrays.first, steps, "right") - 1]
        done["text"] = np.array(
            [_in_place_of(*texts) for texts in zip(done["text"], theirs, goals, strict=True)], object
        )
        there = observation["label"].numpy() > 0
        there |= (observation["box"].numpy() != 0).any(2)
        for row in (arrays.has_point[steps] & there.any(1)).nonzero()[0].tolist():
            label, point = self._target(int(steps[row])), arrays.reference["point"][steps[row]]
            boxes = observation["box"][row].numpy()[there[row]]
            labels = [self.labels[i] for i in observation["label"][row].numpy()[there[row]]]
            wanted = _share(label, theirs[row])
            score = 1 - np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - point, axis=1)
            score += [_overlap(label, other) - abs(wanted - _share(other, goals[row])) for other in labels]
            done["element"][row] = 1 + int(there[row].nonzero()[0][score.argmax()])
        return done

    def _target(self, step: int) -> str:
        """The label of what was acted on: of the smallest element that holds the point."""
        arrays = self.recording.arrays
        box, (x, y) = arrays.element[step, : arrays.elements[step]], arrays.reference["point"][step]
        holds = (box[:, 0] <= x) & (x <= box[:, 2]) & (box[:, 1] <= y) & (y <= box[:, 3])
        if not holds.any():
            return ""
        area = np.where(holds, (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]), np.inf)
        return arrays.strings[arrays.label[step, area.argmin()]]


def _codes(texts: Any) -> Any:
    """(m,) int64, equal for equal texts: quicker to compare than these."""
    return np.array([crc32(text.encode()) for text in texts])


def _bags(texts: list[str]) -> Any:
    """(m, BUCKETS) float32, 1 where a text has a word of that bucket."""
    bags = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in enumerate(texts):
        bags[row, [crc32(word.encode()) % BUCKETS for word in _split(text)]] = 1
    return bags


@lru_cache(1 << 14)
def _split(text: str) -> tuple[str, ...]:
    """The words of a text, whatever their case."""
    return _spelt(text.casefold())


def _spelt(text: str) -> tuple[str, ...]:
    """The words of a text, without the signs around them."""
    return tuple(word for part in text.split() if (word := part.strip(".,;:!?\"'()[]")))


@lru_cache(1 << 16)
def _overlap(one: str, other: str) -> float:
    """Words that both have, of those that any has."""
    a, b = {*_split(one)}, {*_split(other)}
    return len(a & b) / max(len(a | b), 1)


@lru_cache(1 << 16)
def _share(text: str, goal: str) -> float:
    """How many of the words of a text are in a goal."""
    a, b = {*_split(text)}, {*_split(goal)}
    return len(a & b) / max(len(a), 1)


@lru_cache(1 << 14)
def _in_place_of(text: str, there: str, here: str) -> str:
    """The words of one goal that stand most like a text in another; the text itself where it was not in that goal.

    Words before and after them count, the nearest most, then how many words they are, then how early they come.
    """
    wanted, theirs, ours = _split(text), _split(there), _split(here)
    size = len(wanted)
    at = next((i for i in range(len(theirs) - size + 1) if theirs[i : i + size] == wanted), None)
    if not size or at is None or not ours:
        return text
    spans = [(i, j) for i in range(len(ours)) for j in range(i + 1, min(i + MOST_WORDS, len(ours)) + 1)]

    def alike(span: tuple[int, int]) -> tuple[int, int, int]:
        pairs = [(at - k, span[0] - k, 3 - k) for k in (1, 2)] + [(at + size + k, span[1] + k, 2 - k) for k in (0, 1)]
        same = sum(weight for i, j, weight in pairs if _word(theirs, i) == _word(ours, j))
        return same, -abs(span[1] - span[0] - size), -span[0]

    first, end = max(spans, key=alike)
    return " ".join(_spelt(here)[first:end])


def _word(words: tuple[str, ...], at: int) -> str:
    """A word, "" beyond both ends."""
    return words[at] if 0 <= at < len(words) else ""


def _typical(recording: Recording, among: Any) -> int:
    """The step that stands for some: of the most frequent type, and of these the one nearest to their middle."""
    arrays = recording.arrays
    among = among & arrays.known
    among = among if among.any() else arrays.known
    kinds = arrays.reference["type"]
    kind = Counter(kinds[among].tolist()).most_common(1)[0][0]
    steps = (among & (kinds == kind)).nonzero()[0]
    way = Counter(arrays.reference["direction"][steps].tolist()).most_common(1)[0][0]
    steps = steps[arrays.reference["direction"][steps] == way]
    points = arrays.reference["point"][steps]
    return int(steps[np.square(points - np.median(points, 0)).sum(1).argmin()])


def _middle(rows: int) -> Action:
    """A tap in the middle of the screen."""
    none = GuiActions.of([])._asdict()
    done = {name: torch.zeros(rows, *part.shape[1:], dtype=part.dtype) for name, part in none.items() if name != "text"}
    return {**done, "type": torch.full((rows,), TYPES.index("tap")), "point": torch.full((rows, 2), 0.5)}


def _where(which: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(which.view(-1, *[1] * (one.dim() - 1)), one, other)
