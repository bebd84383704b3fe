"""Routine, Heuristic."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, History, as_tensor, check_number

from .decisions import DECISIONS, check_period, decide, seen

SEEN = ("age", "cases", "change", "ill", "quarantined")  # what a Heuristic goes by


@dataclass(frozen=True, eq=False)
class Routine:
    """The same every day: always, never, or with a fixed probability.

    isolate, work: a bool, a probability, or a tensor (n,) of one for each row.
    """

    isolate: bool | float | Tensor = False
    work: bool | float | Tensor = True
    period: int = 1

    def __post_init__(self) -> None:
        check_period(self.period)
        for name in DECISIONS:
            value = getattr(self, name)
            chance = as_tensor(name, value, dtype=torch.float64)
            if chance.dim() > 1 or not ((chance >= 0) & (chance <= 1)).all():
                raise ValueError(f"{name} is {value}: expected a probability, or a tensor (n,) of them")
            if chance.dim() and not isinstance(value, Tensor):
                object.__setattr__(self, name, chance)

    def probabilities(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(n, 2) float64."""
        some = next(iter(observation.values()))
        return self._for(len(some), some.device)

    def repeated(self, times: int) -> Self:
        """For several populations at once, in each of which person i has probability i."""
        isolate, work = (
            value.repeat(times) if isinstance(value, Tensor) and value.dim() else value
            for value in (self.isolate, self.work)
        )
        return replace(self, isolate=isolate, work=work)

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        if draws.ids.is_cpu and not isinstance(self.isolate, Tensor) and not isinstance(self.work, Tensor):
            chance = torch.from_numpy(np.full((len(draws.ids), 2), (self.isolate, self.work), np.float64))
            return decide(chance, draws, self.period)
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
        check_period(self.period)
        for name in ("when_ill", "most", "work"):
            check_number(name, getattr(self, name), 0, 1)
        for name in ("half", "trend"):
            check_number(name, getattr(self, name))
        if self.half == 0:
            raise ValueError("half is 0: expected cases per 1,000 at which a person is half as cautious, above 0")

    def probabilities(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(n, 2) float64; sees age, ill, quarantined, cases and change."""
        isolate = self._isolate([seen(observation, name) for name in SEEN], Tensor.double, torch.where)
        return torch.stack([isolate, torch.full_like(isolate, self.work)], 1)

    def repeated(self, times: int) -> Self:
        """For several populations at once: the same, since it looks at nobody else."""
        return self

    def _isolate(self, columns: Sequence[Any], double: Callable[[Any], Any], where: Callable[..., Any]) -> Any:
        """(n,) float64 of the columns SEEN, which are tensors or arrays."""
        ill, quarantined = columns[3] != 0, columns[4] != 0
        age, cases, change = map(double, columns[:3])
        felt = age / 40 * (cases + self.trend * change).clip(min=0)
        return where(ill | quarantined, self.when_ill, self.most * felt / (felt + self.half))

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        columns = [seen(observation, name) for name in SEEN]
        rule = (self.when_ill, self.most, self.half, self.trend, self.work)
        if columns[0].is_cpu and not any(isinstance(number, Tensor) for number in rule):  # few people: NumPy is quicker
            chance = np.empty((len(columns[0]), 2))
            chance[:, 0] = self._isolate([column.detach().numpy() for column in columns], np.float64, np.where)
            chance[:, 1] = self.work
            return decide(torch.from_numpy(chance), draws, self.period)
        return decide(self.probabilities(observation), draws, self.period)
