"""Citizens: what people do in a city such as ``Epidemic``, by routine, by rule, or as a language model says.

Those fitted to data are in ``citizen_fits``.

Each policy gives every person two probabilities, of isolating and of wanting a job, and ``decide`` draws. The names
of the columns that people see are all that a policy knows of the world. None remembers anything of the people, so
all of them act in any batch, in any order, and for a planner.

Luck: a person has one draw for each decision and period, ``period`` days long. Two scenarios of one seed share it,
so a higher probability can only add decisions. Within a period a decision changes only as the person's probability
does, for instance on falling ill.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, write_atomically

DECISIONS = ("isolate", "work")
MOST_GROUPS = 10_000_000

Question = dict[str, Any]  # column -> [from, below] (None: no bound) or a whole number; JSON
Answer = Callable[[Sequence[Question]], Sequence[tuple[float, float]]]


def decide(probability: Tensor, draws: Draws, period: int = 1) -> Tensor:
    """(n, 2) int8 actions [isolate, work] from their probabilities, (n, 2), with draws of the period's first day.

    Raises ValueError for another shape, for what is no probability, and for a period below 1.
    """
    if tuple(probability.shape) != (len(draws.ids), 2) or period < 1:
        raise ValueError(
            f"probabilities of shape {tuple(probability.shape)} and period {period}: expected ({len(draws.ids)}, 2), "
            "[isolate, work] for each person, and at least 1 day"
        )
    if not (good := (probability >= 0) & (probability <= 1)).all():
        row = int((~good).any(1).nonzero()[0])
        raise ValueError(f"probabilities of row {row} are {probability[row].tolist()}: expected 0 to 1")
    luck = draws.at(draws.step - draws.step % period)
    return torch.stack([luck.bernoulli(name, probability[:, k]) for k, name in enumerate(DECISIONS)], 1).to(torch.int8)


def seen(observation: Mapping[str, Tensor], name: str) -> Tensor:
    """A column of what people see, (n,)."""
    if not isinstance(observation, Mapping) or name not in observation:
        there = list(observation) if isinstance(observation, Mapping) else f"a {type(observation).__name__}"
        raise LookupError(f"people do not see '{name}': this world shows {there}")
    return observation[name]


@dataclass(frozen=True, eq=False)
class Routine:
    """The same every day: always, never, or with a fixed probability.

    isolate, work: a bool, a probability, or a tensor (n,) of one for each row.
    """

    isolate: bool | float | Tensor = False
    work: bool | float | Tensor = True
    period: int = 1

    def __post_init__(self) -> None:
        for name in DECISIONS:
            value = torch.as_tensor(getattr(self, name), dtype=torch.float64)
            if value.dim() > 1 or not ((value >= 0) & (value <= 1)).all():
                raise ValueError(f"{name} is {getattr(self, name)}: expected a probability, or a tensor (n,) of them")

    def probabilities(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(n, 2) float64."""
        some = next(iter(observation.values()))
        return self._for(len(some), some.device)

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        return decide(self._for(len(draws.ids), draws.ids.device), draws, self.period)

    def _for(self, n: int, device: torch.device) -> Tensor:
        both = [torch.as_tensor(value, dtype=torch.float64, device=device) for value in (self.isolate, self.work)]
        if wrong := [len(value) for value in both if value.dim() and len(value) != n]:
            raise ValueError(f"a routine for {wrong[0]} people meets {n}: expected one probability for each row")
        return torch.stack([value.expand(n) for value in both], 1)


@dataclass(frozen=True, eq=False)
class Heuristic:
    """Isolates when ill, and otherwise the more likely the older one is and the more cases are announced.

        P(isolate) = most x / (x + half) for the well,  x = (age / 40) max(cases + trend change, 0)

    From Chopra et al., "On the limits of agency in agent-based models" (2024), is what people go by: their prompts
    tell a language model a person's age and location, the week, the week's cases and how they changed. The rule and
    its numbers are designed here and fitted to nothing; location counts through the area's cases, the week does not.
    """

    when_ill: float = 0.9  # P(isolate) of those who are ill or in quarantine
    most: float = 0.8  # P(isolate) of the well when cases are very many
    half: float = 10.0  # cases per 1,000 and period at which a person of 40 is half as cautious as that
    trend: float = 0.5  # how much of the last change people expect to come again
    work: float = 1.0  # P(wants a job)
    period: int = 1

    def __post_init__(self) -> None:
        for name in ("when_ill", "most", "work"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected a probability, 0 to 1")
        if not self.half > 0 or not self.trend >= 0:
            raise ValueError(f"half is {self.half} and trend {self.trend}: expected cases above 0, and 0 or more")

    def probabilities(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(n, 2) float64; sees age, ill, quarantined, cases and change."""
        age, cases, change = (seen(observation, name).double() for name in ("age", "cases", "change"))
        felt = age / 40 * (cases + self.trend * change).clamp(min=0)
        away = (seen(observation, "ill") != 0) | (seen(observation, "quarantined") != 0)
        isolate = torch.where(away, self.when_ill, self.most * felt / (felt + self.half))
        return torch.stack([isolate, torch.full_like(isolate, self.work)], 1)

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        return decide(self.probabilities(observation), draws, self.period)


class Deciding(Protocol):
    """Citizens whose probabilities hang on what they see alone, with a gradient: all of ours but ``Archetypes``."""

    @property
    def period(self) -> int:
        """Days for which luck is kept."""
        ...

    def probabilities(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(n, 2) of isolating and of wanting a job."""
        ...


@dataclass(frozen=True, eq=False)
class Relaxed:
    """The same citizens for ``RelaxedEpidemic``, which follows gradients: they decide alike, to the bit.

    citizens: may hold tensors that require grad in place of numbers, such as ``Heuristic(most=tensor)``, or among the
    coefficients of ``Logits``. What each would do if ill is asked by itself, since who is ill hangs on parameters too.
    Raises TypeError for citizens without such probabilities, and for archetypes, whose answers have no gradient.
    """

    citizens: Deciding

    def __post_init__(self) -> None:
        if isinstance(self.citizens, Archetypes) or not hasattr(self.citizens, "probabilities"):
            raise TypeError(
                f"citizens are {type(self.citizens).__name__}: expected some with probabilities(observation) that have "
                "a gradient, such as Heuristic, Logits or Network; fit others by search"
            )

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 3), [isolate when not ill, isolate when ill, work]; float64 with a gradient under ``RelaxedDraws``."""
        period, ill = self.citizens.period, seen(observation, "ill")
        well, sick = (
            self.citizens.probabilities({**observation, "ill": torch.full_like(ill, value)})[:, 0] for value in (0, 1)
        )
        work = self.citizens.probabilities(observation)[:, 1]
        luck = draws.at(draws.step - draws.step % period)
        sites = [("isolate", well), ("isolate", sick), ("work", work)]
        return torch.stack([luck.bernoulli(name, p).to(torch.float64) for name, p in sites], 1)


class Answers:
    """A source of answers, and what it has answered, remembered by what a question says: none is asked twice.

    answer: questions to (p_isolate, p_work), one for each in their order; a rule, a table, a language model.
    path: a file of JSON lines, {"question": {…}, "answer": [p_isolate, p_work]}; read if it exists, and written anew,
    atomically, after each batch of answers. One file for each answerer and for each process that asks: what else an
    answer hangs on (the model, the wording) is not in a question, and checkpoints do not compare it.
    asked: how many questions have been put to ``answer``.
    """

    __slots__ = ("_known", "answer", "asked", "path")  # no __dict__: what is remembered does not make another run

    def __init__(self, answer: Answer, path: str | Path | None = None) -> None:
        self.answer, self.path, self.asked = answer, None if path is None else Path(path), 0
        self._known: dict[str, tuple[float, float]] = {}
        if self.path is None or not self.path.exists():
            return
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                found = json.loads(line)
                key, pair = _key(found["question"]), _checked(found["question"], found["answer"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"line {number} of {path} is not a question and its answer ({error})") from error
            if self._known.setdefault(key, pair) != pair:
                raise ValueError(f"line {number} of {path} answers {key} otherwise than an earlier one: expected once")

    def __len__(self) -> int:
        return len(self._known)

    def to(self, questions: Sequence[Question]) -> list[tuple[float, float]]:
        """The answers to these questions, of which ``answer`` gets those that are new, all at once.

        Raises ValueError for another number of answers and for what is no pair of probabilities; nothing of such a
        batch is remembered.
        """
        keys = [_key(question) for question in questions]
        new = {key: question for key, question in zip(keys, questions, strict=True) if key not in self._known}
        if new:
            found = self.answer(list(new.values()))
            found = found.tolist() if hasattr(found, "tolist") else list(found)  # arrays and tensors (k, 2)
            self.asked += len(new)
            if len(found) != len(new):
                raise ValueError(f"{len(found)} answers to {len(new)} questions: expected one for each, in their order")
            checked = [_checked(question, pair) for question, pair in zip(new.values(), found, strict=True)]
            self._known.update(zip(new, checked, strict=True))
            if self.path is not None:
                self.save(self.path)
        return [self._known[key] for key in keys]

    def save(self, path: str | Path) -> None:
        """Write all answers to a file of JSON lines, atomically."""
        lines = (f'{{"question": {key}, "answer": {json.dumps(pair)}}}\n' for key, pair in self._known.items())
        text = "".join(lines).encode()
        write_atomically(Path(path), lambda file: file.write(text))


def _key(question: Question) -> str:
    return json.dumps(question, sort_keys=True, allow_nan=False)


def _checked(question: Question, pair: Any) -> tuple[float, float]:
    numbers = isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(p, Real) for p in pair)
    if not numbers or not all(0 <= p <= 1 for p in pair):
        raise ValueError(f"the answer to {question} is {pair!r}: expected (p_isolate, p_work), two numbers from 0 to 1")
    return float(pair[0]), float(pair[1])


@dataclass(frozen=True, eq=False)
class Archetypes:
    """People who are alike share one answer, a pair of probabilities, and each draws from it with luck of their own.

    The architecture of Chopra et al., "On the limits of agency in agent-based models" (2024), with the language model
    left to the caller.

    answers: where they come from; share it between scenarios, which then ask nothing again.
    by: the columns that people are grouped by -> ascending edges of bins, or None for each whole number by itself.
    The name "period" (with None) stands for the number of the period, from 0, so that everybody is asked anew in each.

    Only groups that have people are asked about. A question is a dict of what ``by`` names and nothing more, so that
    its answer is right for all of the group: {"age": [60, 80], "cases": [5.0, None], "area": 3, "period": 2} is
    60 <= age < 80, cases >= 5, area 3, the third period.
    """

    answers: Answers
    by: Mapping[str, Sequence[float] | None]
    period: int = 1

    def __post_init__(self) -> None:
        if self.period < 1:
            raise ValueError(f"period is {self.period}: expected at least 1 day")
        for name, edges in self.by.items():
            if edges is None:
                continue
            rising = len(edges) > 0 and all(a < b for a, b in pairwise(edges))
            if name == "period" or not rising or not all(abs(edge) < float("inf") for edge in edges):
                raise ValueError(f"by '{name}' has edges {edges}: expected ascending numbers, or None ('period': None)")

    def probabilities(self, observation: Mapping[str, Tensor], step: int = 0) -> Tensor:
        """(n, 2) float64 at a step; asks what has not been asked before."""
        some = next(iter(observation.values()))
        code, size = torch.zeros(len(some), dtype=torch.int64, device=some.device), 1
        levels: list[tuple[str, Sequence[Any]]] = []  # name, what each of its levels means
        for name, edges in self.by.items():
            if name == "period":
                continue
            column = seen(observation, name)
            if column.isnan().any():
                raise ValueError(f"'{name}' is NaN in row {int(column.isnan().nonzero()[0])}: expected numbers")
            if edges is not None:
                bounds = torch.tensor(edges, dtype=torch.float64, device=column.device)
                level = torch.bucketize(column.double(), bounds, right=True)
                meaning: Sequence[Any] = [list(pair) for pair in pairwise([None, *edges, None])]
            elif column.is_floating_point():
                raise ValueError(f"'{name}' is {column.dtype}: expected whole numbers, or edges of bins in by")
            else:
                low, high = int(column.min()), int(column.max())
                level, meaning = column.long() - low, range(low, high + 1)
            code, size = code * len(meaning) + level, size * len(meaning)
            levels.append((name, meaning))
            if size > MOST_GROUPS:
                raise ValueError(f"by {list(self.by)} makes over {MOST_GROUPS:,} groups: give bins, and fewer of them")
        peopled = torch.zeros(size, dtype=torch.bool, device=code.device)
        peopled[code] = True
        groups = peopled.nonzero()[:, 0]
        questions = [self._question(group, levels, step // self.period) for group in groups.tolist()]
        table = torch.zeros(size, 2, dtype=torch.float64, device=code.device)
        table[groups] = table.new_tensor(self.answers.to(questions))
        return table[code]

    def _question(self, group: int, levels: Sequence[tuple[str, Sequence[Any]]], period: int) -> Question:
        """What the people of a group have in common, in the order of ``by``."""
        found: Question = {"period": period}
        for name, meaning in reversed(levels):
            group, level = divmod(group, len(meaning))
            found[name] = meaning[level]
        return {name: found[name] for name in self.by}

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        return decide(self.probabilities(observation, draws.step), draws, self.period)
