"""Cities: the same city so many times over, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Column, Draws, Sites
from ethogram.simulator.populations import repeated

from .disease import DEAD, INFECTIOUS
from .epidemic import City, Epidemic


@dataclass(frozen=True, eq=False)
class Cities(Epidemic):
    """What ``Epidemic.repeated`` makes: rows and areas are those of the first city, then of the second, and so on.

    Each city has the bits that it has alone. The site "demand" is (times,), one for each city.
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
    def _area(self) -> Tensor:
        """(n,) int64 codes that tell apart the areas of all cities."""
        city = torch.arange(self.times, device=self.area.device)[:, None]
        return (self.one.area + city * self.one.num_areas).flatten()

    def _count(self, who: Tensor, by: Tensor | None = None, groups: int = 1) -> Any:
        """How many people in each city, (times,) float64; or in each group, of which there are ``groups``."""
        if by is not None:
            return self._area[who].bincount(minlength=groups)
        if who.is_cpu:
            counts = np.count_nonzero(who.numpy().reshape(self.times, -1), axis=1)
            return torch.from_numpy(counts.astype(np.float64))
        return who.view(self.times, -1).sum(1, dtype=torch.float64)

    def _work(
        self, state: City, action: Tensor, isolates: Tensor, attends: Mapping[str, Tensor], draws: Draws, site: Sites
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As in ``Epidemic``, but for what hangs on the demand of each city."""
        economy, alive = self.economy, state.stage != DEAD
        stimulus = site("stimulus", self._constant(0.0))
        force = self._adult & alive & (action[:, 1] != 0)
        idle = force & ~state.employed
        demand = site("demand", self._demands(alive, isolates, idle & (stimulus <= 0)))  # (times,)
        if draws.step % 7:
            employed = site("employed", state.employed & alive)
            return employed, state.savings, site("jobless", force & ~employed)
        closed = self._constant(0.0)
        if "workplace" in attends:
            closed = (state.employed & ~isolates).float() - attends["workplace"]
        loss = economy.separation + economy.separation_by_demand * (1 - demand).clamp(min=0)  # (times,) float64
        loss = self._of_each(loss) + economy.separation_by_closure * closed
        separated = draws.bernoulli("separated", loss, among=state.employed)
        hired = draws.bernoulli("hired", self._of_each(economy.hiring * demand.clamp(min=0)), among=idle)
        employed = site("employed", ((state.employed & ~separated) | hired) & force)
        income = torch.where(employed, 1.0, economy.benefit) - economy.spending + stimulus
        savings = state.savings + income * (self._adult & alive)
        return employed, savings, site("jobless", force & ~employed)

    def _of_each(self, value: Tensor) -> Tensor:
        """(n,) float32, as numbers become in torch: what is (times,), one for each city, for all of its people."""
        return value.float().repeat_interleave(self.one.num_people)

    def _demands(self, alive: Tensor, isolates: Tensor, poor: Tensor) -> Tensor:
        """(times,) float64: what each city spends, as a share of normal times."""
        economy, people = self.economy, self._count(alive).clamp(min=1)
        less = economy.isolated_spend_less * self._count(isolates) + economy.jobless_spend_less * self._count(poor)
        adults = self._count(self._adult) / self.one.num_people
        usual = economy.jobless_spend_less * economy.unemployed_at_start * adults
        return 1 - less / people + usual

    def _shown(self, by_area: Tensor) -> Tensor:
        """(n,) what each sees of (areas of all cities,)."""
        return by_area.view(self.times, -1).index_select(1, self.one.area).flatten()

    def _observation(self, state: City, day: int) -> Column:
        cases = state.announced[:, 1]
        change = cases - state.announced[:, 2:].mean(1)
        return {
            "age": self.age,
            "area": self.area,
            "ill": (state.stage == INFECTIOUS).to(torch.int8),
            "quarantined": (day - state.confirmed_on <= self.measures.quarantine_days).to(torch.int8),
            "cases": self._shown(cases),
            "change": self._shown(change),
            "employed": state.employed.to(torch.int8),
            "savings": state.savings,
        }
