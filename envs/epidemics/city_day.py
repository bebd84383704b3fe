"""A day of ``Epidemic`` by compiled code and NumPy: the same bits as its torch form, which is the one to read."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Column, Draws, Sites, Transition
from ethogram.simulator.kernels import Array
from ethogram.simulator.networks import RESOLUTION, Contacts, Network, over_shards, sum_over_contacts

from . import kernels
from .disease import DEAD, EXPOSED, INFECTIOUS, NEVER, SUSCEPTIBLE, City, Disease, Measures
from .economy import Economy

SITES = (
    *("isolates", "hazard", "infected", "onset", "died", "recovered", "confirmation", "confirmed"),
    *("vaccination", "vaccinated", "stimulus", "demand", "employed", "jobless"),
)

SHARE, ABOVE, FINITE = (0.0, 1.0), (0.0, math.inf), (-math.inf, math.inf)  # what interventions on sites may give

Within = tuple[float, float] | None

HazardOf = Callable[[City, Mapping[str, Tensor], Draws], Tensor]


@dataclass(frozen=True, eq=False)
class CompiledDay:
    """The compiled day of a city on the CPU, and what it needs; see ``Epidemic``, whose parameters these are."""

    layers: Mapping[str, Network]
    weight: Mapping[str, float]  # of each layer
    disease: Disease
    measures: Measures
    economy: Economy
    age: Tensor  # (n,) int64
    area: Tensor  # (n,) int64
    adult: Tensor  # (n,) bool
    susceptibility: Tensor  # (n,) float32
    fatality: Tensor  # (n,) float32
    adults: float  # share of all people
    residents: Tensor  # (areas,) float32

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what follows from them is made again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def step(self, state: City, action: Tensor, draws: Draws, site: Sites, hazard_of: HazardOf) -> Transition:
        """``Epidemic.step``. hazard_of: its torch form, for a day on which the hazard shall have a gradient."""
        look, day, acts, ids = _Look(site, self._watched(site)), draws.step, action.detach().numpy(), draws.ids.numpy()
        now: Any = City._make([column.detach().numpy() for column in state])  # views
        alive = now.stage != DEAD
        isolates = look("isolates", (acts[:, 0] != 0) & alive, alive)
        attends = self._attends(now, alive, isolates, day, look)
        hazard = self._hazard(state, now, attends, draws, look, hazard_of)
        infected, onset, died, recovered = self._events(now, hazard, draws, look)
        confirmed, vaccinated = self._measured(now, alive, draws, look)
        has, savings, idle = self._work(state, now, acts, alive, isolates, attends, draws, look)
        columns = [column.copy() for column in now[:3]]
        keys = np.array([draws.key("exposed_days"), draws.key("infectious_days")], np.uint64)
        kernels.move_on(keys, ids, day, *self._durations, infected, onset, died, recovered, *columns)
        columns += [
            np.where(vaccinated, np.int32(day), now.vaccinated_on),
            np.where(confirmed, np.int32(day), now.confirmed_on),
            has,
        ]
        announced = self._announced(now.announced, confirmed, day)
        after = City._make([*map(torch.from_numpy, columns), savings, torch.from_numpy(announced)])
        ill, quarantined, reward = (np.empty(len(alive), t) for t in (np.int8, np.int8, np.float32))
        since = day + 1 - self.measures.quarantine_days
        kernels.tell(columns[0], since, columns[4], infected, died, isolates, idle, ill, quarantined, reward)
        observation = self._observation(ill, quarantined, announced, has, savings)
        nobody = torch.zeros(len(alive), dtype=torch.bool)
        return Transition(after, observation, torch.from_numpy(reward), nobody)

    def _watched(self, site: Sites) -> frozenset[str]:
        """The sites at which somebody looks; asked of the run's sites once, for they do not change."""
        if site not in self._known:
            names = (*SITES, *(f"attends_{name}" for name in self.layers))
            nobody = site.unwatched(*names)
            self._known[site] = frozenset(() if nobody else (name for name in names if not site.unwatched(name)))
        return self._known[site]

    @cached_property
    def _known(self) -> WeakKeyDictionary[Sites, frozenset[str]]:
        return WeakKeyDictionary()

    @cached_property
    def _arrays(self) -> dict[str, Array]:
        names = ("area", "adult", "susceptibility", "fatality", "residents")
        return {name: getattr(self, name).numpy() for name in names} | {"shedding": self.disease.shedding.numpy()}

    @cached_property
    def _rows(self) -> dict[str, tuple[Any, ...]]:
        """The rows of the layers that are the same every day."""
        return {name: _rows_of(layer) for name, layer in self.layers.items() if isinstance(layer, Contacts)}

    @cached_property
    def _durations(self) -> list[Array]:
        """Running sums of the probabilities of 1, 2, … days in the two stages."""
        both = (self.disease.exposed_days, self.disease.infectious_days)
        return [torch.tensor(p, dtype=torch.float64).cumsum(0).numpy() for p in both]

    def _attends(self, now: Any, alive: Array, isolates: Array, day: int, look: "_Look") -> dict[str, Array | Tensor]:
        """The kept share of a layer's contacts, (n,) float32: 0 or 1, or a tensor where an intervention says it."""
        out, home, work = (np.empty(len(alive), np.float32) for _ in range(3))
        since = day - self.measures.quarantine_days
        kernels.attending(alive, isolates, now.confirmed_on, now.employed, since, out, home, work)
        attends: dict[str, Array | Tensor] = dict.fromkeys(self.layers, out)
        attends |= {name: own for name, own in (("household", home), ("workplace", work)) if name in attends}
        return {name: look.share(f"attends_{name}", array) for name, array in attends.items()}

    def _hazard(
        self,
        state: City,
        now: Any,
        attends: Mapping[str, Array | Tensor],
        draws: Draws,
        look: "_Look",
        hazard_of: HazardOf,
    ) -> Array:
        """(n,) float64 of infection on this day, were everybody susceptible."""
        if any(isinstance(kept, Tensor) and kept.requires_grad for kept in attends.values()):
            tensors = {name: torch.as_tensor(kept) for name, kept in attends.items()}
            return look("hazard", hazard_of(state, tensors, draws), within=ABOVE)
        n, day = len(now.stage), draws.step
        who, sheds = np.empty(n + 1, np.uint32), np.empty(n, np.float32)
        count = kernels.shed(now.stage, now.infected_on, self._arrays["shedding"], day, who, sheds)
        who, sheds = who[:count], sheds[:count]
        pressure, total = np.zeros(n), np.zeros(n)
        for name, layer in self.layers.items():
            self._reach(name, layer.at(draws), attends[name], who, sheds, total, pressure)
        latest, less = day - self.measures.vaccine_delay, np.float32(1 - self.measures.vaccine_against_infection)
        susceptibility, importation = self._arrays["susceptibility"], float(self.disease.importation)
        kernels.hazards(now.vaccinated_on, susceptibility, importation, latest, NEVER, less, pressure)
        return look("hazard", pressure, within=ABOVE)

    def _reach(
        self,
        name: str,
        contacts: Network,
        kept: Array | Tensor,
        who: Array,
        sheds: Array,
        total: Array,
        pressure: Array,
    ) -> None:
        """Add what reaches people in a layer to the pressure; total: zeros, and so again afterwards."""
        scale, as_it_was, some = self.weight[name], not isinstance(kept, Tensor), -1
        if isinstance(contacts, Contacts) and 3 * len(who) < len(total):
            attends = _array(kept)
            *rows, limit = self._rows[name] if contacts is self.layers[name] else _rows_of(contacts)
            if as_it_was or np.isfinite(attends).all():
                numbers = (RESOLUTION, limit, scale, as_it_was)
                some = kernels.reach(*rows, who, sheds, attends, *numbers, total, pressure)
        if some == 0 or (some > 0 and as_it_was):
            return
        if some > 0:
            reaches = torch.from_numpy(total)
        else:  # many shed, the network sums by itself, or it will say what is wrong
            everybody = torch.zeros(len(total))
            everybody.numpy()[who] = sheds
            reaches = sum_over_contacts(contacts, everybody * torch.as_tensor(kept))
        torch.from_numpy(pressure).addcmul_(reaches, torch.as_tensor(kept), value=scale)
        total[:] = 0

    def _events(self, now: Any, hazard: Array, draws: Draws, look: "_Look") -> tuple[Array, ...]:
        """Who is infected, falls ill, dies and recovers, each (n,) bool."""
        infected, onset, dies, recovered = (np.empty(len(hazard), np.bool_) for _ in range(4))
        keys = np.array([draws.key("infected"), draws.key("died")], np.uint64)
        days = np.array([draws.step, draws.step - self.measures.vaccine_delay, NEVER])
        columns = (draws.ids.numpy(), now.stage, now.until, now.vaccinated_on, hazard, self._arrays["fatality"])
        less = np.float32(1 - self.measures.vaccine_against_death)
        if not kernels.events(keys, *columns, days, less, infected, onset, dies, recovered):
            draws.event("infected", torch.from_numpy(hazard * (now.stage == SUSCEPTIBLE)))  # raises, and says where
        if not look.watched:
            return infected, onset, dies, recovered
        ill = now.stage == INFECTIOUS
        infected = look("infected", infected, now.stage == SUSCEPTIBLE)
        onset = look("onset", onset, now.stage == EXPOSED)
        died = look("died", dies, ill)
        if died is not dies:
            recovered = ill & (now.until <= draws.step) & ~died
        return infected, onset, died, look("recovered", recovered, ill & ~died)

    def _measured(self, now: Any, alive: Array, draws: Draws, look: "_Look") -> tuple[Array, Array]:
        """Who is confirmed and vaccinated, each (n,) bool."""
        rate = _array(look.rate("confirmation", self.measures.confirmation, len(alive)))
        untested = (now.stage == INFECTIOUS) & (now.confirmed_on < now.infected_on)
        confirmed = look("confirmed", _some_of(draws, "confirmed", rate, untested), alive)
        rate = _array(look.rate("vaccination", self.measures.vaccination, len(alive)))
        waiting = alive & (now.vaccinated_on == NEVER)
        return confirmed, look("vaccinated", _some_of(draws, "vaccinated", rate, waiting), waiting)

    def _work(
        self,
        state: City,
        now: Any,
        acts: Array,
        alive: Array,
        isolates: Array,
        attends: Mapping[str, Array | Tensor],
        draws: Draws,
        look: "_Look",
    ) -> tuple[Array, Tensor, Array]:
        """Jobs and money, which move once a week: (employed (n,) bool, savings, jobless (n,) bool)."""
        economy, employed, week_ends = self.economy, now.employed, draws.step % 7 == 0
        paid = look.rate("stimulus", 0.0, len(alive), FINITE)
        stimulus = _array(paid)
        earns = self._arrays["adult"] & alive
        force = earns & (acts[:, 1] != 0)
        idle = force & ~employed
        if week_ends or look.at("demand"):
            counts = map(self._count, (alive, isolates, idle & (stimulus <= 0)))
            demand = look("demand", self._demand(*counts), within=ABOVE)  # (1,) of the city
        if not week_ends:
            had = employed & alive
            has = look("employed", had, had | force) if look.at("employed") else had
            return has, state.savings, look("jobless", force & ~has, force)
        closed = np.zeros(1, np.float32)
        if "workplace" in attends:
            closed = (employed & ~isolates).astype(np.float32) - _array(attends["workplace"])
        loses, finds = self._chances(demand, closed)
        separated = _some_of(draws, "separated", loses, employed)
        hired = _some_of(draws, "hired", finds, idle)
        has = look("employed", ((employed & ~separated) | hired) & force, force)
        if isinstance(paid, Tensor) or state.savings.requires_grad:
            savings = economy.saved(
                state.savings, torch.from_numpy(has), torch.as_tensor(paid), torch.from_numpy(earns)
            )
        else:
            wages = np.where(has, np.float32(1.0), np.float32(economy.benefit)) - np.float32(economy.spending)
            savings = torch.from_numpy(now.savings + (wages + stimulus) * earns)
        return has, savings, look("jobless", force & ~has, force)

    def _demand(self, people: Any, isolated: Any, poor: Any) -> Array:
        return np.array([self.economy.demand(people, self.adults, isolated, poor)])

    def _chances(self, demand: Array, closed: Array) -> tuple[Array, Array]:
        """The probabilities of losing and of finding a job, float32."""
        now = float(demand[0])
        return self.economy.loses(now, closed), np.array([self.economy.finds(now)], np.float32)

    def _count(self, who: Array) -> Any:
        """How many people, of all shards."""
        return int(over_shards(next(iter(self.layers.values())), torch.tensor(np.count_nonzero(who))))

    def _announced(self, announced: Array, confirmed: Array, day: int) -> Array:
        today = np.bincount(self._arrays["area"][confirmed], minlength=len(announced))
        today = over_shards(next(iter(self.layers.values())), torch.from_numpy(today)).numpy()
        out, ends = np.empty_like(announced), (day + 1) % self.measures.announced == 0
        kernels.announce(announced, today, self._arrays["residents"], ends, out)
        return out

    def _observation(
        self, ill: Array, quarantined: Array, announced: Array, employed: Array, savings: Tensor
    ) -> Column:
        cases, change = (np.empty(len(ill), np.float32) for _ in range(2))
        kernels.read(announced, self._arrays["area"], cases, change)
        arrays = {"ill": ill, "quarantined": quarantined, "cases": cases, "change": change}
        arrays["employed"] = employed.astype(np.int8)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return {"age": self.age, "area": self.area, **tensors, "savings": savings}


class _Look:
    """Sites of arrays, which are named only where somebody looks at them."""

    def __init__(self, site: Sites, watched: frozenset[str]) -> None:
        self.site, self.watched = site, watched

    def at(self, name: str) -> bool:
        return name in self.watched

    def raw(
        self, name: str, value: Array | Tensor, possible: Array | None = None, within: Within = None
    ) -> Array | Tensor:
        """The value itself, or a tensor where an intervention made another of it."""
        if not self.at(name):
            return value
        given = torch.as_tensor(value)
        seen: Tensor = self.site(name, given, None if possible is None else torch.from_numpy(possible), within)
        return value if seen is given else seen

    def __call__(self, name: str, value: Array | Tensor, possible: Array | None = None, within: Within = None) -> Array:
        return _array(self.raw(name, value, possible, within))

    def share(self, name: str, value: Any) -> Array | Tensor:
        """The share that those keep who have any."""
        return self.raw(name, value, value != 0, SHARE) if self.at(name) else value

    def rate(self, name: str, value: float, n: int, within: Within = SHARE) -> Array | Tensor:
        """(1,) float32 for all; or a tensor (n,) where an intervention made another of it."""
        one = np.array([value], np.float32)
        if not self.at(name):
            return one
        given = torch.from_numpy(one).expand(n)
        seen: Tensor = self.site(name, given, None, within)
        return one if seen is given else seen


def _array(value: Array | Tensor) -> Array:
    return np.ascontiguousarray(value.detach().numpy()) if isinstance(value, Tensor) else value


def _rows_of(contacts: Contacts) -> tuple[Any, ...]:
    """The arrays of contacts that ``kernels.reach`` takes, and the largest message for which their sums are exact."""
    weight = np.zeros(0, np.float32) if contacts.weight is None else contacts.weight.numpy()
    limit = 2.0**53 * RESOLUTION / max(contacts.most, 1e-300)
    return contacts.start.numpy().view(np.uint64), contacts.target.numpy().view(np.uint32), weight, limit


def _some_of(draws: Draws, name: str, rate: Array, among: Array) -> Array:
    """``draws.bernoulli`` among some."""
    out = np.zeros(len(among), np.bool_)
    if rate.any():
        kernels.some_of(np.uint64(draws.key(name)), draws.ids.numpy(), rate, among, out)
    return out
