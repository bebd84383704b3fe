"""Infection, isolation and work in a city, after Chopra et al., "On the limits of agency in agent-based models" (2024).

The paper's, as read in the released code of its model (AgentTorch's ``models/covid``): stages, hazard, citizens who
decide to isolate and to work. Designed here: tests, vaccines, and jobs that follow demand and closures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Column, Draws, Record, Sites, Transition, check_is
from ethogram.simulator.networks import Network, check_rows, over_shards, sum_over_contacts
from ethogram.simulator.populations import (
    InEach,
    check_choices,
    checked_column,
    checked_initial,
    checked_layers,
    first_people,
)

from .city_day import ABOVE, CHOICES, FINITE, SHARE, CompiledDay
from .disease import AGE_BANDS, DEAD, EXPOSED, INFECTIOUS, NEVER, SUSCEPTIBLE, City, Disease, Measures
from .economy import Economy

MOST_AREAS = 10_000


@dataclass(frozen=True, eq=False)
class Epidemic:
    """A city in days: people meet in layers of contacts, fall ill, decide whether to stay at home and to work.

    layers: name -> contacts, or a networkx graph; one alone is the layer "community". Those who isolate or are in
    quarantine keep the contacts of the layer "household" only; the layer "workplace" is for those who have a job.
    Weights within a layer are the contacts'; layer_weight multiplies a whole layer. age: (n,) int64 years. area: (n,)
    int64 codes from 0. initial: the exposed at the start; an int is how many, drawn, a float a probability, (n,) one
    for each.

    The hazard of infection of person i on day t is that of the paper's released code, with the contacts' average
    strength in place of its three counts by age, and scaled so that ``reproduction`` is what it says,

        reproduction S[age_i] / (strength shed) * sum over contacts j of w_ij F[stage_j] L[t - infected_on_j]

    where shed is the sum of F L over an average case; one draw a person decides. Durations are drawn at infection and
    at onset.

    Rows are people. Observation, a Dict of (n,): "age" years, "area", "ill" 0/1 (infectious, and knows it),
    "quarantined" 0/1, "cases" confirmed cases per 1,000 people of the area in the last announced period, "change"
    against the mean of the three before (cases per 1,000), "employed" 0/1, "savings" in weekly wages.
    Action: (n, 2) int8, [isolate, work]: stay away from all but the household today; want a job.
    Reward a day: -1 when infected, -100 when dying, -0.02 when isolating, -0.03 without a job when wanting one.
    Never terminates; the dead stay in their rows, and do and count nothing.

    Sites, (n,) each: "isolates" bool; "attends_<layer>" float32 in [0, 1], how much of their contacts there a person
    keeps; "hazard" float64 a day; "infected", "onset", "died", "recovered", "confirmed", "vaccinated" bool;
    "vaccination" and "confirmation" float32 probability a day; "stimulus" float32 weekly wages paid; "employed" bool;
    "jobless" bool, wants a job and has none. "demand" (1,) float64 of the city, 1 in normal times; demand, jobs and
    money move on days 0, 7, 14, …. At the start "initial" (n,) bool.

    An intervention on "attends_<layer>" says what share the layer leaves to those who are there (0 closes it for
    them): who isolates, is in quarantine, has no job there or is dead keeps 0 whatever it says. So only those who want
    a job can be "employed" or "jobless", and events happen to those to whom they can. To bring back who stays at
    home, change what they decide: "action" or "isolates".
    """

    layers: Mapping[str, Network]
    age: Tensor
    area: Tensor
    disease: Disease = Disease()
    measures: Measures = Measures()
    economy: Economy = Economy()
    layer_weight: Mapping[str, float] = field(default_factory=dict)
    initial: int | float | Tensor | InEach = 0.001

    def __post_init__(self) -> None:
        for kind in (Disease, Measures, Economy):
            check_is(name := kind.__name__.lower(), getattr(self, name), kind, f"{kind.__name__}(…)")
        object.__setattr__(self, "layers", checked_layers(self.layers, self.layer_weight))
        object.__setattr__(self, "initial", checked_initial(self.initial, self.num_people))
        for name, top in (("age", 120), ("area", MOST_AREAS - 1)):
            object.__setattr__(self, name, checked_column(name, getattr(self, name), self.num_people, top, self.layers))

    @property
    def num_people(self) -> int:
        """The number of people in the city."""
        return self._any_layer.num_people

    def repeated(self, times: int) -> "Epidemic":
        """So many cities with the same people, side by side; see ``Repeatable``."""
        from .cities import Cities

        return Cities.of(self, times)

    @property
    def observation_space(self) -> spaces.Dict:
        """The columns that a citizen sees; see the class."""
        age, area = spaces.Box(0, 120, (), np.int64), spaces.Box(0, MOST_AREAS - 1, (), np.int64)
        flag, per_1000 = spaces.Box(0, 1, (), np.int8), spaces.Box(-1000, 1000, (), np.float32)
        wages = spaces.Box(-1e4, 1e4, (), np.float32)
        seen: dict[str, spaces.Space[Any]] = {"age": age, "area": area, "ill": flag, "quarantined": flag}
        return spaces.Dict(seen | {"cases": per_1000, "change": per_1000, "employed": flag, "savings": wages})

    @property
    def action_space(self) -> spaces.MultiDiscrete:
        """[isolate, work]."""
        return spaces.MultiDiscrete([2, 2], dtype=np.int8)  # type: ignore[arg-type]

    @cached_property
    def age_band(self) -> Tensor:
        """(n,) int64 in [0, 9), the AGE_BANDS."""
        return (self.age // 10).clamp(max=len(AGE_BANDS) - 1)

    def reported(self, by: str | None = None) -> list[Record]:
        """Records of how many people are infected, die, isolate and are jobless a day: (T,) each, float64.

        by: "age" or "area" for (T, groups), in the AGE_BANDS up to the oldest person's or by area code.
        """
        if by not in (None, "age", "area"):
            raise ValueError(f"by is {by!r}: expected 'age' or 'area', or None for the whole city")
        group = {None: None, "age": self.age_band, "area": self.area}[by]
        return [Record(site, reduce="sum", by=group) for site in ("infected", "died", "isolates", "jobless")]

    @property
    def num_areas(self) -> int:
        """Area codes are below this."""
        return len(self._residents)

    @cached_property
    def strength(self) -> float:
        """The weight of an average person's contacts in all layers; of all shards' people, where there are several."""
        people, total = int(self._residents.sum(dtype=torch.float64)), 0.0
        for name, layer in self.layers.items():
            strength = layer.strength.to(self.age.device)
            here = (strength * 2.0**20).round().to(torch.int64).sum()  # whole, so that shards add up to the bit
            total += self.weight(name) * int(over_shards(layer, here)) * 2.0**-20
        return max(total / people, 1e-30)

    @cached_property
    def _adult(self) -> Tensor:
        low, high = self.economy.working_age
        return (self.age >= low) & (self.age < high)

    @cached_property
    def susceptibility(self) -> Tensor:
        """(n,) float32 hazard of infection a day for each unit of what reaches a person."""
        table = torch.tensor(self.disease.susceptibility, device=self.age.device)
        scale = self.disease.reproduction / (self.strength * self.disease.shed_by_case)
        return table[self.age_band] * scale

    @cached_property
    def _fatality(self) -> Tensor:
        return torch.tensor(self.disease.fatality, device=self.age.device)[self.age_band]  # (n,) float32

    @cached_property
    def _residents(self) -> Tensor:
        """(areas,) float32 people an area; of all shards."""
        residents = over_shards(self._any_layer, self.area.bincount(minlength=MOST_AREAS))
        return residents[: int(residents.nonzero()[-1]) + 1].float()

    @property
    def _any_layer(self) -> Network:
        return next(iter(self.layers.values()))

    def weight(self, layer: str) -> float:
        """The factor of a whole layer; for worlds built on this one, as are the public methods below."""
        return self.layer_weight.get(layer, 1.0)

    def reset(self, draws: Draws, site: Sites) -> tuple[City, Column]:
        """The first exposed people, infected on the day before the first; and who has a job."""
        check_rows(self._any_layer, draws)
        initial = site("initial", first_people(self.initial, draws, self._any_layer))
        never = torch.full_like(self.age, NEVER, dtype=torch.int32)
        until = self.days(never, initial, -1, "exposed_days", draws)
        idle = draws.bernoulli("idle", self.economy.unemployed_at_start, among=self._adult)
        stage, infected_on = initial.to(torch.int8), torch.where(initial, -1, never)
        employed, savings = self._adult & ~idle, torch.zeros_like(self._fatality)
        state = City(stage, infected_on, until, never, never, employed, savings, savings.new_zeros(self.num_areas, 5))
        return state, self._observation(state, 0)

    def step(self, state: City, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """One day. action: (n, 2) [isolate, work]."""
        if type(draws) is Draws and draws.ids.is_cpu:
            return self._compiled.step(state, action, draws, site, self._hazard)  # the same bits
        check_choices(action, (len(state.stage), 2), CHOICES)
        day, alive = draws.step, state.stage != DEAD
        isolates = site("isolates", (action[:, 0] != 0) & alive, alive)  # (n,) bool
        away = isolates | (day - state.confirmed_on <= self.measures.quarantine_days)  # (n,) bool
        attends = self.attends(state, away, alive, site)

        hazard = site("hazard", self._hazard(state, attends, draws), within=ABOVE)  # (n,) float64 a day
        well, exposed, ill = (state.stage == s for s in (SUSCEPTIBLE, EXPOSED, INFECTIOUS))
        infected = site("infected", draws.event("infected", hazard * well), well)
        due = state.until <= day  # (n,) bool: the stage ends today
        onset = site("onset", exposed & due, exposed)
        ends = ill & due
        died = site("died", draws.bernoulli("died", self.risk(state, day), among=ends), ill)
        recovered = site("recovered", ends & ~died, ill & ~died)
        stage = state.stage + infected + onset + recovered + 2 * died.to(torch.int8)  # one of them at most

        rate = site("confirmation", self._constant(self.measures.confirmation), within=SHARE)  # (n,) a day
        untested = ill & (state.confirmed_on < state.infected_on)
        confirmed = site("confirmed", draws.bernoulli("confirmed", rate, among=untested), alive)
        rate = site("vaccination", self._constant(self.measures.vaccination), within=SHARE)  # (n,) a day
        waiting = alive & (state.vaccinated_on == NEVER)
        vaccinated = site("vaccinated", draws.bernoulli("vaccinated", rate, among=waiting), waiting)

        until = self.days(state.until, infected, day, "exposed_days", draws)
        until = self.days(until, onset, day, "infectious_days", draws)
        employed, savings, jobless = self._work(state, action, isolates, attends, draws, site)
        announced = self.announce(state.announced, self._count(confirmed, self.area, self.num_areas), day)
        state = City(
            stage,
            torch.where(infected, day, state.infected_on),
            until,
            torch.where(vaccinated, day, state.vaccinated_on),
            torch.where(confirmed, day, state.confirmed_on),
            employed,
            savings,
            announced,
        )
        reward = -(infected.float() + 100 * died + 0.02 * isolates + 0.03 * jobless)  # (n,)
        return Transition(state, self._observation(state, day + 1), reward, torch.zeros_like(infected))

    @cached_property
    def _compiled(self) -> CompiledDay:
        weight = {name: self.weight(name) for name in self.layers}
        columns = (self.age, self.area, self._adult, self.susceptibility, self._fatality)
        settings = (self.layers, weight, self.disease, self.measures, self.economy)
        return CompiledDay(*settings, *columns, self._adults, self._residents)

    def attends(self, state: City, away: Tensor, alive: Tensor, site: Sites) -> dict[str, Tensor]:
        """Layer -> (n,) float32, how much of their contacts there each person keeps today; the sites "attends_<layer>".

        away, alive: (n,) bool; those who are away keep their household only, whatever interventions say.
        """
        out = alive & ~away
        there = dict.fromkeys(self.layers, out) | {"household": alive, "workplace": out & state.employed}
        return {
            name: site(f"attends_{name}", who.float(), who, SHARE) for name, who in there.items() if name in self.layers
        }

    def _hazard(self, state: City, attends: Mapping[str, Tensor], draws: Draws) -> Tensor:
        """(n,) float64 of infection on this day, were everybody susceptible."""
        day = draws.step
        infected = ((state.stage == EXPOSED) | (state.stage == INFECTIOUS)).nonzero()[:, 0]  # few: the rest sheds 0
        shedding = self.disease.shedding.to(self.age.device)
        days = (day - state.infected_on[infected]).long().clamp(max=shedding.shape[1] - 1)
        sheds = torch.zeros_like(self._fatality)
        sheds[infected] = shedding[state.stage[infected].long(), days]
        pressure = torch.zeros_like(sheds, dtype=torch.float64)
        for name, layer in self.layers.items():
            reaches = sum_over_contacts(layer.at(draws), sheds * attends[name])
            pressure = pressure.addcmul(reaches, attends[name], value=self.weight(name))
        less = torch.where(self.protected(state, day), 1 - self.measures.vaccine_against_infection, 1.0)
        return (pressure * self.susceptibility + self.disease.importation) * less

    def protected(self, state: City, day: int) -> Tensor:
        """(n,) bool: vaccinated long enough ago."""
        return (day - state.vaccinated_on >= self.measures.vaccine_delay) & (state.vaccinated_on != NEVER)

    def risk(self, state: City, day: int) -> Tensor:
        """(n,) float32 probability of dying at the end of an infection."""
        return torch.where(
            self.protected(state, day), self._fatality * (1 - self.measures.vaccine_against_death), self._fatality
        )

    def days(self, until: Tensor, who: Tensor, day: int, duration: str, draws: Draws) -> Tensor:
        """``until`` with the end of a stage that begins today for some: a number of days drawn for each of them.

        who: (n,) bool. duration: "exposed_days" or "infectious_days", of the disease; the name of the draws too.
        """
        rows = who.nonzero()[:, 0]
        if not len(rows):
            return until
        probability = torch.tensor([getattr(self.disease, duration)], dtype=torch.float64, device=until.device)
        some = draws.of(rows)
        days = some.categorical(duration, probability, which=torch.zeros_like(rows)) + 1
        return until.index_put((rows,), (day + days).to(until.dtype))

    def _work(
        self, state: City, action: Tensor, isolates: Tensor, attends: Mapping[str, Tensor], draws: Draws, site: Sites
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Jobs and money, which move once a week: (employed (n,) bool, savings (n,) float32, jobless (n,) bool)."""
        alive = state.stage != DEAD
        stimulus = site("stimulus", self._constant(0.0), within=FINITE)  # (n,) weekly wages
        force = self._adult & alive & (action[:, 1] != 0)  # (n,) bool, wants a job
        idle = force & ~state.employed
        counts = (self._count(who) for who in (alive, isolates, idle & (stimulus <= 0)))
        demand = site("demand", self._demand(*counts), within=ABOVE)  # (1,) of the city
        if draws.step % 7:
            has = state.employed & alive
            employed = site("employed", has, has | force)
            return employed, state.savings, site("jobless", force & ~employed, force)
        closed = self._constant(0.0)
        if "workplace" in attends:
            closed = (state.employed & ~isolates).float() - attends["workplace"]  # (n,) in [0, 1]
        loses, finds = self._chances(demand, closed)
        separated = draws.bernoulli("separated", loses, among=state.employed)
        hired = draws.bernoulli("hired", finds, among=idle)
        employed = site("employed", ((state.employed & ~separated) | hired) & force, force)
        savings = self.economy.saved(state.savings, employed, stimulus, self._adult & alive)
        return employed, savings, site("jobless", force & ~employed, force)

    def _chances(self, demand: Tensor, closed: Tensor) -> tuple[Any, Any]:
        return self.economy.loses(float(demand), closed), self.economy.finds(float(demand))

    def _demand(self, people: Any, isolated: Any, poor: Any) -> Tensor:
        """(1,) float64 of the city."""
        demand = self.economy.demand(people, self._adults, isolated, poor)
        return torch.tensor([demand], dtype=torch.float64, device=self.age.device)

    @cached_property
    def _adults(self) -> float:
        return self._count(self._adult) / int(self._residents.sum(dtype=torch.float64))

    def announce(self, announced: Tensor, today: Tensor, day: int) -> Tensor:
        """The confirmed cases that people know of, with today's, (areas,); a new period begins every so many days."""
        now = announced[:, :1] + (1000 * today / self._residents.clamp(min=1))[:, None].to(announced.dtype)
        if (day + 1) % self.measures.announced:
            return torch.cat([now, announced[:, 1:]], 1)
        return torch.cat([torch.zeros_like(now), now, announced[:, 1:-1]], 1)

    def _observation(self, state: City, day: int) -> Column:
        cases, before = state.announced[:, 1], state.announced[:, 2:].mean(1)
        return {
            "age": self.age,
            "area": self.area,
            "ill": (state.stage == INFECTIOUS).to(torch.int8),
            "quarantined": (day - state.confirmed_on <= self.measures.quarantine_days).to(torch.int8),
            "cases": cases[self.area],
            "change": (cases - before)[self.area],
            "employed": state.employed.to(torch.int8),
            "savings": state.savings,
        }

    def _constant(self, value: float) -> Tensor:
        """(n,) float32, the same for all; takes no memory."""
        return torch.tensor(value, device=self.age.device).expand(self.num_people)

    def _count(self, who: Tensor, by: Tensor | None = None, groups: int = 1) -> Any:
        """The number of people; or (groups,) of each group."""
        count = who.sum() if by is None else by[who].bincount(minlength=groups)
        count = over_shards(self._any_layer, count)
        return int(count) if by is None else count
