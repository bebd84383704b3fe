"""Stages, ages, Disease, Measures; City, the state of an epidemic."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ethogram.simulator import check_number

SUSCEPTIBLE, EXPOSED, INFECTIOUS, RECOVERED, DEAD = range(5)

STAGES = ("susceptible", "exposed", "infectious", "recovered", "dead")

AGE_BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+")


NEVER = -1000  # the day of what has not happened


class City(NamedTuple):
    """The state of ``Epidemic``: people first, but for ``announced``, which has areas first."""

    stage: Tensor  # (n,) int8
    infected_on: Tensor  # (n,) int32 day
    until: Tensor  # (n,) int32 day on which the stage ends
    vaccinated_on: Tensor  # (n,) int32
    confirmed_on: Tensor  # (n,) int32
    employed: Tensor  # (n,) bool
    savings: Tensor  # (n,) float32 weekly wages
    announced: Tensor  # (areas, 5) float32 confirmed cases per 1,000 people: this period's so far, and the last four


def gamma_days(mean: float, sd: float, days: int) -> tuple[float, ...]:
    """The probabilities that a gamma-distributed time ends on day 1, 2, …, ``days``; the rest is on the last."""
    for name, value in (("mean", mean), ("sd", sd)):
        check_number(name, value, low=1e-6)
    check_number("days", days, 1, whole=True)
    shape, rate = (mean / sd) ** 2, mean / sd**2
    cdf = torch.special.gammainc(torch.tensor(shape, dtype=torch.float64), rate * torch.arange(days + 1.0).double())
    cdf[-1] = 1
    return tuple(cdf.diff().tolist())


def numbers(name: str, values: Any, high: float, what: str) -> tuple[float, ...]:
    """A tuple, list, array or tensor of numbers from 0 to ``high`` as a tuple; what: what they should be."""
    try:
        found = tuple(values.tolist() if hasattr(values, "tolist") else values)
    except TypeError:
        raise TypeError(f"{name} is {values!r}: expected {what}") from None
    for place, value in enumerate(found):
        check_number(f"{name}[{place}]", value, 0, high)
    return found


@dataclass(frozen=True)
class Disease:
    """The course of an infection: how it spreads and ends. By age: in AGE_BANDS, bands of ten years."""

    # Mean infections by an early case among contacts of susceptibility 1, before any of them is infected twice: in
    # small groups that cannot be left out, and they are about a tenth fewer in a synthetic city.
    reproduction: float = 2.6
    susceptibility: tuple[float, ...] = (0.35, 0.69, 1.03, 1.03, 1.03, 1.03, 1.27, 1.52, 1.52)  # the released code's
    infectiousness: tuple[float, float] = (0.33, 0.72)  # of the exposed and the infectious, the released code's
    # Share of a case's infectiousness by day since infection. The released code names 5.5 and 2.4 scale and rate; with
    # these as mean and standard deviation, in days, they are the generation time of early COVID-19.
    generation: tuple[float, ...] = gamma_days(5.5, 2.4, 30)
    exposed_days: tuple[float, ...] = (0, 0, 0, 0, 1)  # probabilities of 1, 2, … days; the released code: always 5
    infectious_days: tuple[float, ...] = (0, 0, 0, 0, 1)
    # Deaths a case, recalled from Verity et al. (Lancet Infectious Diseases 2020), so "about".
    fatality: tuple[float, ...] = (2e-5, 7e-5, 3e-4, 8e-4, 0.0016, 0.006, 0.019, 0.043, 0.078)
    importation: float = 0.0  # hazard a day of infection from outside the city

    def __post_init__(self) -> None:
        for name in ("reproduction", "importation"):
            check_number(name, getattr(self, name))
        by_age = f"{len(AGE_BANDS)} numbers, one for each age band"
        by_day = "the probabilities of day 1, 2, …, which sum to 1"
        for name, high, length, what in (
            ("susceptibility", math.inf, len(AGE_BANDS), by_age),
            ("fatality", 1, len(AGE_BANDS), by_age),
            ("infectiousness", math.inf, 2, "two numbers, of the exposed and of the infectious"),
            ("generation", 1, None, by_day),
            ("exposed_days", 1, None, by_day),
            ("infectious_days", 1, None, by_day),
        ):
            values = numbers(name, getattr(self, name), high, what)
            if (length or len(values)) != len(values) or (length is None and abs(sum(values) - 1) > 1e-6):
                raise ValueError(f"{name} is {values}, with sum {sum(values):g}: expected {what}")
            object.__setattr__(self, name, values)
        if self.reproduction > 0 and not self.shed_by_case > 0:
            raise ValueError(
                f"reproduction is {self.reproduction}, but with this infectiousness and generation nobody sheds "
                "anything: expected some, or reproduction=0"
            )

    @cached_property
    def shedding(self) -> Tensor:
        """(5, days) float32: what a case sheds a day, F[stage] L[days since infection]."""
        by_stage = torch.tensor([0, *self.infectiousness, 0, 0])
        return by_stage[:, None] * torch.tensor([0, *self.generation])

    @cached_property
    def shed_by_case(self) -> float:
        """The shedding of an average case, from infection to the end."""
        days = torch.arange(1, self.shedding.shape[1])[:, None]
        exposed, ill = (torch.tensor([0.0, *p], dtype=torch.float64) for p in (self.exposed_days, self.infectious_days))
        ends = torch.arange(len(exposed)), torch.arange(len(exposed) + len(ill) - 1)
        in_e = (exposed * (ends[0] >= days)).sum(1)  # (days,) probability of still being exposed
        over = torch.zeros(len(ends[1]), dtype=torch.float64)
        for k, p in enumerate(exposed.tolist()):
            over[k : k + len(ill)] += p * ill
        in_i = (over * (ends[1] >= days)).sum(1) - in_e
        by_day = self.shedding.double()[:, 1:]
        return float(in_e @ by_day[EXPOSED] + in_i @ by_day[INFECTIOUS])


@dataclass(frozen=True)
class Measures:
    """Vaccines, tests and quarantine. Designed here; orders of magnitude of COVID-19 in 2020 and 2021."""

    vaccination: float = 0.0  # probability a day for each who has not had it
    vaccine_delay: int = 14  # days until it protects
    vaccine_against_infection: float = 0.7  # less hazard
    vaccine_against_death: float = 0.9
    confirmation: float = 0.15  # probability a day that an infectious person is tested and confirmed
    quarantine_days: int = 10  # a confirmed person stays away from all layers but the household
    announced: int = 7  # days between updates of the figures that people see

    def __post_init__(self) -> None:
        for name in ("vaccination", "vaccine_against_infection", "vaccine_against_death", "confirmation"):
            check_number(name, getattr(self, name), 0, 1)
        for name, least in (("vaccine_delay", 0), ("quarantine_days", 0), ("announced", 1)):
            check_number(name, getattr(self, name), least, 500, whole=True)
