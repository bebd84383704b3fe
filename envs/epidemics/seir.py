"""The textbook epidemic on a contact network: susceptible, exposed, infectious, recovered."""

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Draws, Sites, Transition, check_number
from ethogram.simulator.kernels import in_parts, threads_for
from ethogram.simulator.networks import ContactSum, Network, check_rows
from ethogram.simulator.populations import (
    InEach,
    check_choices,
    checked_contacts,
    checked_initial,
    first_people,
    repeated,
)

from . import kernels

SUSCEPTIBLE, EXPOSED, INFECTIOUS, RECOVERED = range(4)
_NEVER = torch.zeros(1, dtype=torch.bool)  # who has ended: nobody


class Infections(NamedTuple):
    """The state of ``SEIR``."""

    stage: Tensor  # (n,) int8
    pressure: ContactSum  # what infectious contacts send


@dataclass(frozen=True, eq=False)
class SEIR:
    """SEIR in steps of a day, each contact an independent chance of infection.

    An infectious person infects a susceptible contact within a day with probability 1 - exp(-transmission w), w
    being the contact's weight. The exposed become infectious, and the infectious recover, at constant rates: times in
    a stage are geometric. All hazards of a person add up, and one draw a person decides: a person who meets more
    infection cannot escape it with the same luck.

    Rows are people: as many as the contacts have. Observation: (n,) int8, the stage, 0 S, 1 E, 2 I, 3 R. Action:
    (n,) int64, 0 goes out, 1 stays at home, where one neither infects nor is infected. Reward: -1 on the day of
    infection. Never terminates. contacts may be a networkx graph; its nodes are people in the graph's order.

    Sites: "sheds" (n,) bool who exposes their contacts, "hazard" (n,) float64 of infection a day for whoever is
    susceptible, "infected", "onset" and "recovers" (n,) bool; at the start "initial" (n,) bool, who is infectious.
    Who stays at home sheds nothing and has no hazard, whatever an intervention on these two says.
    """

    contacts: Network
    transmission: float = 0.02  # hazard a day and contact of weight 1
    onset_rate: float = 0.25  # a day: 1 / mean time from infection to being infectious, roughly
    recovery_rate: float = 0.1  # a day
    initial: int | float | Tensor | InEach = 0.005  # the infectious: how many (an int), or a probability, one or (n,)

    def __post_init__(self) -> None:
        for name in ("transmission", "onset_rate", "recovery_rate"):
            check_number(name, getattr(self, name))
        object.__setattr__(self, "contacts", checked_contacts("contacts", self.contacts))
        object.__setattr__(self, "initial", checked_initial(self.initial, self.contacts.num_people))

    def repeated(self, times: int) -> "SEIR":
        """So many populations side by side; see ``Repeatable``."""
        return repeated(self, times, self.contacts.num_people)

    @property
    def observation_space(self) -> spaces.Box:
        """The stage."""
        return spaces.Box(0, 3, (), np.int8)

    @property
    def action_space(self) -> spaces.Discrete:
        """0 goes out, 1 stays at home."""
        return spaces.Discrete(2)

    def reset(self, draws: Draws, site: Sites) -> tuple[Infections, Tensor]:
        """The first infectious people."""
        check_rows(self.contacts, draws)
        initial = site("initial", first_people(self.initial, draws, self.contacts))
        stage = initial.to(torch.int8) * INFECTIOUS
        return Infections(stage, self._pressure(torch.zeros_like(initial), None, draws)), stage

    def step(self, state: Infections, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """One day. action: (n,) int64."""
        if state.stage.shape != draws.ids.shape or len(draws.ids) != self.contacts.num_people:
            check_rows(self.contacts, draws)
            raise ValueError(f"stage has shape {tuple(state.stage.shape)}: expected ({len(draws.ids)},), one a person")
        stage, out = state.stage, self._out(action, state.stage.shape)
        among = None if out is self._everybody else out
        sheds = site("sheds", _equal(stage, INFECTIOUS, among), out)  # (n,) bool
        pressure = self._pressure(sheds, state.pressure, draws)
        plain = type(draws) is Draws and draws.together and stage.is_cpu
        if plain and site.unwatched("hazard", "infected", "onset", "recovers"):
            return self._step_compiled(stage, out, pressure, draws)
        hazard = self.transmission * pressure.total.double() * out
        hazard = site("hazard", hazard, out, within=(0, math.inf))  # (n,) float64 a day
        well, exposed, ill = (_equal(stage, s) for s in (SUSCEPTIBLE, EXPOSED, INFECTIOUS))
        infected = site("infected", draws.event("infected", hazard * well), well)  # (n,)
        onset = site("onset", draws.bernoulli("onset", _within_a_day(self.onset_rate), among=exposed), exposed)
        recovers = site("recovers", draws.bernoulli("recovers", _within_a_day(self.recovery_rate), among=ill), ill)
        stage = stage + (infected | onset | recovers)  # each happens in one stage only, and leads to the next
        return Transition(Infections(stage, pressure), stage, 0 - infected.float(), torch.zeros_like(infected))

    def _pressure(self, sheds: Tensor, before: ContactSum | None, draws: Draws) -> ContactSum:
        """The message of those who shed today; of one type on all days, since populations may be at several."""
        contacts = self.contacts.at(draws)
        if contacts is not self.contacts:
            now = ContactSum.of(contacts, sheds)
            return now._replace(total=now.total.double())
        return ContactSum.of(contacts, sheds) if before is None else before.next(contacts, sheds)

    def _step_compiled(self, stage: Tensor, out: Tensor, pressure: ContactSum, draws: Draws) -> Transition:
        """The same bits in one pass, for when nobody looks in between."""
        now = stage.numpy()
        after, reward = np.empty_like(now), np.empty(now.shape, np.float32)
        keys = np.array([draws.key("infected"), draws.key("onset"), draws.key("recovers")], np.uint64)
        day = partial(kernels.seir_day, keys, self._chances, float(self.transmission))
        columns = (draws.keyed("recovers")[1], now, out.numpy(), pressure.total.numpy(), after, reward)
        if (threads := threads_for(len(now))) == 1:
            day(*columns)
        else:
            in_parts(lambda part, _: day(*[column[part] for column in columns]), len(now), threads)
        stage = torch.from_numpy(after)
        return Transition(Infections(stage, pressure), stage, torch.from_numpy(reward), _NEVER.expand(len(now)))

    def _out(self, action: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(n,) bool, who goes out."""
        if action.is_cpu and action.shape == shape and action.stride() == (0,) and action.numpy()[0] == 0:
            return self._everybody  # one action for all, as of ``Fixed``
        check_choices(action, shape, "whether each person stays at home")
        return _equal(action, 0)

    @cached_property
    def _everybody(self) -> Tensor:
        return torch.ones(self.contacts.num_people, dtype=torch.bool)

    @cached_property
    def _chances(self) -> np.ndarray[Any, Any]:
        """(3,) float32 for ``seir_day``."""
        return np.array([0, _within_a_day(self.onset_rate), _within_a_day(self.recovery_rate)], np.float32)


def _equal(column: Tensor, value: int, among: Tensor | None = None) -> Tensor:
    """``(column == value) & among``: on the CPU NumPy is ten times faster than torch, and wakes no threads."""
    if not column.is_cpu:
        return column == value if among is None else (column == value) & among
    equal = column.numpy() == value
    return torch.from_numpy(equal if among is None else equal & among.numpy())


def _within_a_day(rate: float) -> float:
    """The probability that something happens within a day that happens at a rate."""
    return -math.expm1(-rate)
