"""Cities: the same city so many times over, side by side."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Column
from ethogram.simulator.kernels import Array
from ethogram.simulator.populations import repeated

from .city_day import CompiledDay
from .disease import City
from .economy import Economy
from .epidemic import Epidemic


@dataclass(frozen=True, eq=False)
class Cities(Epidemic):
    """A city several times over, as ``Epidemic.repeated`` makes it.

    Rows and areas are those of the first city, then of the second, and so on. Each city has the bits
    that it has alone. The site "demand" is (times,), one for each city.
    """

    one: Any = None  # the city
    times: int = 1

    @classmethod
    def of(cls, one: Epidemic, times: int) -> "Cities":
        """A city so many times."""
        n = one.num_people
        return cls(
            repeated(one.layers, times, n),
            one.age.repeat(times),
            one.area.repeat(times),
            one.disease,
            one.measures,
            one.economy,
            one.layer_weight,
            repeated(one.initial, times, n),
            one,
            times,
        )

    @cached_property
    def strength(self) -> float:
        """As in each."""
        return float(self.one.strength)

    @cached_property
    def _residents(self) -> Tensor:
        return self.one._residents.repeat(self.times)

    @cached_property
    def _adults(self) -> float:
        return float(self.one._adults)

    @cached_property
    def _area(self) -> Tensor:
        """(n,) int64 codes that tell apart the areas of all cities."""
        city = torch.arange(self.times, device=self.area.device)[:, None]
        return (self.one.area + city * self.one.num_areas).flatten()

    @cached_property
    def _compiled(self) -> CompiledDay:
        of_one = super()._compiled
        fields = {field.name: getattr(of_one, field.name) for field in dataclasses.fields(of_one)}
        return CompiledDays(**fields | {"area": self._area}, shown=self.area, times=self.times)

    def _count(self, who: Tensor, by: Tensor | None = None, groups: int = 1) -> Any:
        """How many people in each city, a list; or in each group, of which there are ``groups``."""
        if by is not None:
            return self._area[who].bincount(minlength=groups)
        return who.view(self.times, -1).sum(1).tolist()

    def _demand(self, people: Any, isolated: Any, poor: Any) -> Tensor:
        """(times,) float64 of each city."""
        demand = _demands(self.economy, self._adults, people, isolated, poor)
        return torch.tensor(demand, dtype=torch.float64, device=self.age.device)

    def _chances(self, demand: Tensor, closed: Tensor) -> tuple[Any, Any]:
        loses, finds = (
            torch.tensor(chance, dtype=torch.float32, device=closed.device).repeat_interleave(self.one.num_people)
            for chance in _changes(self.economy, demand.tolist())
        )
        return loses + self.economy.separation_by_closure * closed, finds

    def _observation(self, state: City, day: int) -> Column:
        seen: Any = Epidemic._observation(self, state, day)
        cases = state.announced[:, 1]
        change = cases - state.announced[:, 2:].mean(1)
        return seen | {"cases": cases[self._area], "change": change[self._area]}


@dataclass(frozen=True, eq=False)
class CompiledDays(CompiledDay):
    """The same for several cities; ``area`` tells apart the areas of all of them."""

    shown: Any = None  # (n,) int64, the area that people see
    times: int = 1

    def _count(self, who: Array) -> Any:
        return [np.count_nonzero(city) for city in who.reshape(self.times, -1)]

    def _demand(self, people: Any, isolated: Any, poor: Any) -> Array:
        return np.array(_demands(self.economy, self.adults, people, isolated, poor))

    def _chances(self, demand: Array, closed: Array) -> tuple[Array, Array]:
        loses, finds = (
            np.array(chance, np.float32).repeat(len(self.age) // self.times)
            for chance in _changes(self.economy, demand.tolist())
        )
        return loses + np.float32(self.economy.separation_by_closure) * closed, finds

    def _observation(
        self, ill: Array, quarantined: Array, announced: Array, employed: Array, savings: Tensor
    ) -> Column:
        seen: Any = super()._observation(ill, quarantined, announced, employed, savings)
        return seen | {"area": self.shown}


def _demands(economy: Economy, adults: float, people: Any, isolated: Any, poor: Any) -> list[float]:
    """The spending of each city, from lists of its counts."""
    counts = zip(people, isolated, poor, strict=True)
    return [economy.demand(int(n), adults, int(away), int(idle)) for n, away, idle in counts]


def _changes(economy: Economy, demand: list[float]) -> tuple[list[float], list[float]]:
    """The probabilities of losing a job, where no workplace is closed, and of finding one, in each city."""
    return [economy.loses(now, 0.0) for now in demand], [economy.finds(now) for now in demand]
