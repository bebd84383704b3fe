"""Economy: jobs, demand and money of a week."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ethogram.simulator import check_number

from .disease import numbers


@dataclass(frozen=True)
class Economy:
    """A labour market that moves once a week. Money is in weekly wages. Designed here.

    People spend less when they isolate or have no job; a fall of demand below normal, or a closed workplace, costs
    jobs; those who look for work find it faster when demand is high. Stimulus keeps the spending of the jobless up.
    """

    working_age: tuple[int, int] = (18, 65)
    unemployed_at_start: float = 0.04
    separation: float = 0.004  # probability a week of losing a job in normal times
    separation_by_demand: float = 0.3  # more, for each unit that demand falls short
    separation_by_closure: float = 0.06  # more, where the workplace is closed
    hiring: float = 0.12  # probability a week of finding a job, at normal demand
    isolated_spend_less: float = 0.35  # share of spending
    jobless_spend_less: float = 0.4
    benefit: float = 0.4  # of a weekly wage, without a job
    spending: float = 0.9  # of a weekly wage

    def __post_init__(self) -> None:
        ages = numbers("working_age", self.working_age, 200, what := "two ages, from and below, such as (18, 65)")
        if len(ages) != 2 or not ages[0] < ages[1]:
            raise ValueError(f"working_age is {self.working_age}: expected {what}")
        shares = ("unemployed_at_start", "separation", "separation_by_closure", "hiring")
        for name in (*shares, "isolated_spend_less", "jobless_spend_less"):
            check_number(name, getattr(self, name), 0, 1)
        for name in ("separation_by_demand", "benefit", "spending"):
            check_number(name, getattr(self, name))

    def demand(self, people: int, adults: float, isolated: int, poor: int) -> float:
        """The spending of a city of so many people, as a share of normal times.

        people, isolated, poor: of the living; poor: those who look for work and are paid no stimulus. adults: the
        share of all people who are of working age.
        """
        less = self.isolated_spend_less * isolated + self.jobless_spend_less * poor
        usual = self.jobless_spend_less * self.unemployed_at_start * adults
        return 1 - less / max(people, 1) + usual

    def loses(self, demand: float, closed: Any) -> Any:
        """(n,) float32 probability a week of losing a job; closed: (n,) float32, the share of a workplace that is."""
        return self.separation + self.separation_by_demand * max(1 - demand, 0.0) + self.separation_by_closure * closed

    def finds(self, demand: float) -> float:
        """The probability a week of finding a job."""
        return self.hiring * max(demand, 0.0)

    def saved(self, savings: Tensor, employed: Tensor, stimulus: Tensor, among: Tensor) -> Tensor:
        """(n,) float32 savings after a week of wages or benefits, of spending, and a stimulus; among: who has money."""
        income = torch.where(employed, 1.0, self.benefit) - self.spending + stimulus
        return savings + income * among
