"""The city with a gradient: the exact run, and beside it how its infections and deaths would move with parameters.

Forward, everything is what ``Epidemic`` does, to the bit. Backward, ``torch.autograd`` reaches the reproduction number
and the probabilities with which people isolate, straight through the draws (see ``relaxed``). What follows from an
infection that has not been, or has, is followed person by person: when it would have shown, whom it would have
reached, whether it would have been confirmed, announced, and fatal.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Column, Draws, Sites, Transition, check_is, check_number
from ethogram.simulator.calibrate import Parameter, RelaxedDraws, once
from ethogram.simulator.networks import Contacts, sum_over_contacts

from .disease import EXPOSED, INFECTIOUS, NEVER, City
from .epidemic import Epidemic
from .relaxed_seir import FEW, REACH_FOR_INITIAL, warn_beyond


class Cases(NamedTuple):
    """Infections of the last D days, (n, D): column k has those of k + 1 days ago, and what came, or would, of each."""

    infected: Tensor  # float64: 1 where there was one, with a gradient everywhere
    onset: Tensor  # int64 day on which it shows
    end: Tensor  # int64 day on which it ends
    confirmed: Tensor  # int64 day on which a test finds it; NEVER so far


class RelaxedCity(NamedTuple):
    """The state of ``RelaxedEpidemic``: of the exact city, and of what moves with the parameters."""

    city: City
    well: Tensor  # (n,) float64 1 for the susceptible
    alive: Tensor  # (n,) float64
    cases: Cases
    announced: Tensor  # (areas, 5) float64 as the city's


@dataclass(frozen=True, eq=False)
class RelaxedEpidemic:
    """``Epidemic`` with a gradient of who is infected, isolates, is confirmed and dies.

    city: the exact one, which is what happens. reproduction: in place of its disease's; a tensor () may require grad.
    Run it with ``RelaxedDraws`` of temperature 0; plain ``Draws`` give the same run without a gradient.

    Rows are people, observations the city's, "cases" and "change" with gradients. Reward: the city's.
    Action: (n, 3) float64, [isolate when not ill, isolate when ill, work], 0 or 1, with a gradient where they come from
    the draws' ``bernoulli``: what a person would do in the other case must be said too. ``agents.citizens.Relaxed``
    makes it of any citizens.

    Sites: the city's own, and "relaxed_infected", "relaxed_isolates", "relaxed_confirmed" and "relaxed_died", (n,)
    float64, the same numbers as the city's with their gradients.

    Where the gradient holds, within a tenth: from 8 contacts a person on, in all layers together, with the new meetings
    of a day; with fewer, a UserWarning says so after two generations.

    What the gradient leaves out: jobs, and all that follows from them; and, among interventions, those that act on
    "onset", "recovered" or "confirmed".
    """

    city: Epidemic
    reproduction: Parameter | None = None

    def __post_init__(self) -> None:
        check_is("city", self.city, Epidemic, "an Epidemic, the exact city")
        if self.reproduction is not None:
            check_number("reproduction", self.reproduction)

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The city's."""
        return self.city.observation_space

    @property
    def action_space(self) -> spaces.Box:
        """[isolate when not ill, isolate when ill, work]."""
        return spaces.Box(0, 1, (3,), np.float64)

    @cached_property
    def exact(self) -> Epidemic:
        """The city with this reproduction number."""
        if self.reproduction is None:
            return self.city
        number = torch.as_tensor(self.reproduction).item()
        return replace(self.city, disease=replace(self.city.disease, reproduction=number))

    @cached_property
    def _shedding(self) -> Tensor:
        """(5, D) float64, by stage and by days since infection from 1."""
        disease = self.city.disease
        days = torch.arange(1, len(disease.exposed_days) + len(disease.infectious_days) + 1)
        by_day = disease.shedding.double().to(self.city.age.device)
        return by_day[:, days.clamp(max=by_day.shape[1] - 1)]

    @cached_property
    def _first(self) -> Tensor:
        """(n,) the part of first infections, as ``once`` takes it, of average people who isolate from nobody.

        Who meets others for a day only infects each of them once; in a stored layer, the hazard of a contact over the
        whole course adds up, and one of the contacts may be who infected them.
        """
        world = self.exact
        course = world.disease.shed_by_case * world.susceptibility.double().mean()  # hazard, for a contact of weight 1
        hazard = {name: course * world.weight(name) * layer.strength.double() for name, layer in world.layers.items()}
        considered = torch.stack(list(hazard.values())).sum(0).clamp(min=1e-30)  # (n,)
        first = considered
        for name, layer in world.layers.items():
            if isinstance(layer, Contacts):
                number = layer.start.diff().double()
                one = hazard[name].mean() / number.mean().clamp(min=1)  # of a contact
                first = first - number * (one + torch.expm1(-one) * (1 - one / considered).clamp(min=0))
        return first / considered

    @cached_property
    def _contacts(self) -> float:
        """Mean contacts a person, with those of a day in layers that are not stored; inf without stored ones."""
        layers = self.city.layers.values()
        if not any(isinstance(layer, Contacts) for layer in layers):
            return math.inf
        stored = sum(layer.start.diff().double().mean().item() for layer in layers if isinstance(layer, Contacts))
        return stored + sum(layer.strength.mean().item() for layer in layers if not isinstance(layer, Contacts))

    @cached_property
    def _generation(self) -> float:
        """Mean days from an infection to its end."""
        disease = self.city.disease
        spans = (disease.exposed_days, disease.infectious_days)
        return sum(day * p for days in spans for day, p in enumerate(days, 1))

    def reset(self, draws: Draws, site: Sites) -> tuple[RelaxedCity, Column]:
        """The city's first day."""
        if isinstance(draws, RelaxedDraws) and draws.temperature:
            raise ValueError(f"temperature is {draws.temperature}: expected 0, for a city has no soft form")
        city, seen = self.exact.reset(_plain(draws), site)
        exposed = (city.stage == EXPOSED).double()
        none = exposed.new_zeros((len(exposed), self._shedding.shape[1]))
        long_ago = torch.full_like(none, NEVER, dtype=torch.int64)
        cases = self._begun(Cases(none, long_ago, long_ago, long_ago), exposed, -1, draws)
        state = RelaxedCity(city, 1 - exposed, torch.ones_like(exposed), cases, city.announced.double())
        return state, seen

    def step(self, state: RelaxedCity, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """One day. action: (n, 3)."""
        if action.shape != (len(draws.ids), 3):
            raise ValueError(f"actions are {tuple(action.shape)}: expected ({len(draws.ids)}, 3), see RelaxedEpidemic")
        if self._contacts < FEW and isinstance(draws, RelaxedDraws):
            what = f"RelaxedEpidemic: with {self._contacts:.3g} contacts a person, the gradient"
            warn_beyond(what, draws.step, REACH_FOR_INITIAL, self._generation)
        found = _Found(site)
        decided = action.detach() > 0.5
        isolates = torch.where(state.city.stage == INFECTIOUS, decided[:, 1], decided[:, 0])
        done = torch.stack([isolates, decided[:, 2]], 1).to(torch.int8)
        exact = self.exact.step(state.city, done, _plain(draws), found)
        followed, cases = self._followed(state, action, found.values["confirmation"], draws, site.unrecorded())
        followed = {
            name: site(f"relaxed_{name}", _with_gradient(found.values[name].double(), value))
            for name, value in followed.items()
        }
        today = torch.zeros_like(state.announced[:, 0]).index_add(0, self.city.area, followed["confirmed"])
        announced = self.exact.announce(state.announced, today, draws.step)
        after = RelaxedCity(
            exact.state,
            state.well - followed["infected"],
            state.alive - followed["died"],
            self._begun(cases, followed["infected"], draws.step, draws),
            announced,
        )
        return exact._replace(state=after, observation=self._seen(exact.observation, announced))

    def _followed(
        self, state: RelaxedCity, action: Tensor, tested: Tensor, draws: Draws, site: Sites
    ) -> tuple[dict[str, Tensor], Cases]:
        """A day's events with their gradients, (n,) float64 each, and the cases after tests and deaths.

        tested: (n,) probability that an infectious person is found. site: nobody's record.
        """
        cases, day, luck = state.cases, draws.step, _plain(draws)
        exposed = cases.infected * (day <= cases.onset)  # (n, D)
        shown = (day > cases.onset) & (day <= cases.end)  # (n, D) bool
        ill = cases.infected * shown
        if_well, if_ill = (_became(site, "isolates", action[:, k]) for k in (0, 1))  # (n,)
        isolates = (state.alive - ill.sum(1)) * if_well + ill.sum(1) * if_ill
        hazard = site("hazard", self._hazard(state, exposed, ill, (if_well, if_ill), draws, site))
        infected = state.well * _became(site, "infected", draws.event("infected", hazard))
        dies = luck.bernoulli("died", self.exact.risk(state.city, day))[:, None] & (cases.end == day)  # (n, D)
        died = ill * _became(site, "died", dies)
        found = luck.bernoulli("confirmed", tested)[:, None] & shown & (cases.confirmed == NEVER)
        events = {"infected": infected, "isolates": isolates, "confirmed": (ill * found).sum(1), "died": died.sum(1)}
        confirmed = torch.where(found, day, cases.confirmed)
        return events, cases._replace(infected=cases.infected - died, confirmed=confirmed)

    def _hazard(
        self,
        state: RelaxedCity,
        exposed: Tensor,
        ill: Tensor,
        isolates: tuple[Tensor, Tensor],
        draws: Draws,
        site: Sites,
    ) -> Tensor:
        """(n,) float64 of infection on this day, were everybody well.

        exposed, ill: (n, D) cases in either stage. isolates: (n,) of those who are well or exposed, and of the ill.
        """
        world, city, day = self.exact, state.city, draws.step
        free = day - state.cases.confirmed > world.measures.quarantine_days  # (n, D)
        sheds = (exposed * self._shedding[EXPOSED]).sum(1)
        sheds_ill = ill * self._shedding[INFECTIOUS]
        out, out_ill = 1 - isolates[0], 1 - isolates[1]
        at_home = sheds + sheds_ill.sum(1)
        happens = at_home > 0
        abroad = once(sheds * out + (sheds_ill * free).sum(1) * out_ill, happens, self._first)
        at_home = once(at_home, happens, self._first)
        everybody = torch.ones_like(city.employed)
        kept = world.attends(city, ~everybody, everybody, site)  # by those who do not stay away
        pressure = torch.zeros_like(sheds)
        for name, layer in world.layers.items():
            home = name == "household"
            reaches = sum_over_contacts(layer.at(draws), (at_home if home else abroad) * kept[name])
            pressure = pressure + reaches * (kept[name] if home else kept[name] * out) * world.weight(name)
        factor = torch.ones_like(pressure[:1])
        if self.reproduction is not None:
            factor = torch.as_tensor(self.reproduction, dtype=torch.float64) / world.disease.reproduction
        less = torch.where(world.protected(city, day), 1 - world.measures.vaccine_against_infection, 1.0)
        return (pressure * world.susceptibility * factor + world.disease.importation) * less

    def _begun(self, cases: Cases, infected: Tensor, day: int, draws: Draws) -> Cases:
        """The cases with those of a day, and for everybody when one of that day would show and end."""
        world, rows = self.exact, torch.arange(len(infected), device=infected.device)
        everybody = torch.ones_like(rows, dtype=torch.bool)
        onset = world.days(torch.zeros_like(rows), everybody, day, "exposed_days", _plain(draws))
        end = torch.zeros_like(onset)
        for shows in torch.unique(onset).tolist():  # how long an illness lasts is drawn on the day it shows
            end = world.days(end, onset == shows, shows, "infectious_days", _plain(draws).at(shows))
        new = Cases(infected, onset, end, torch.full_like(onset, NEVER))
        return Cases(*(torch.cat([a[:, None], b[:, :-1]], 1) for a, b in zip(new, cases, strict=True)))

    def _seen(self, observation: Any, announced: Tensor) -> Any:
        """The columns (n,) that people see, with the gradient of what is announced."""
        cases, area = announced[:, 1], self.city.area
        change = cases - announced[:, 2:].mean(1)
        return observation | {
            "cases": _with_gradient(observation["cases"], cases[area].float()),
            "change": _with_gradient(observation["change"], change[area].float()),
        }


class _Found(Sites):
    """A world's sites, and what they last were."""

    def __init__(self, site: Sites) -> None:
        super().__init__()
        self.site = site
        self.values: dict[str, Any] = {}

    def __call__(
        self, name: str, value: Any, possible: Tensor | None = None, within: tuple[float, float] | None = None
    ) -> Any:
        self.values[name] = self.site(name, value, possible, within)
        return self.values[name]

    def unwatched(self, *names: str) -> bool:
        self.site.unwatched(*names)  # so that it knows them
        return False  # for they are watched here


def _plain(draws: Draws) -> Draws:
    """The same draws, yes or no."""
    return Draws(draws.seed, draws.ids, draws.step, draws.scope)


def _became(site: Sites, name: str, relaxed: Tensor) -> Tensor:
    """The event that interventions leave, with the gradient where it still hangs on whether it happens.

    relaxed: (n,), or (n, D) of different cases of a person.
    """
    either = torch.ones(len(relaxed), dtype=torch.bool, device=relaxed.device)
    yes, no = (site(name, value).double().view(-1, *[1] * (relaxed.dim() - 1)) for value in (either, ~either))
    return no + (yes - no) * relaxed


def _with_gradient(exact: Tensor, relaxed: Tensor) -> Tensor:
    """The event that happened, with the gradient of its relaxed form."""
    return exact + (relaxed - relaxed.detach())
