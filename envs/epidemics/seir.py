"""The textbook epidemic on a contact network: susceptible, exposed, infectious, recovered."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Draws, Sites, Transition, thresholds
from ethogram.simulator.networks import ContactSum, Network, check_rows

from . import kernels

SUSCEPTIBLE, EXPOSED, INFECTIOUS, RECOVERED = range(4)


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
    infection. Never terminates.

    Sites: "sheds" (n,) bool who exposes their contacts, "hazard" (n,) float64 of infection a day for whoever is
    susceptible, "infected", "onset" and "recovers" (n,) bool; at the start "initial" (n,) bool, who is infectious.
    """

    contacts: Network
    transmission: float = 0.02  # hazard a day and contact of weight 1
    onset_rate: float = 0.25  # a day: 1 / mean time from infection to being infectious, roughly
    recovery_rate: float = 0.1  # a day
    initial: float | Tensor = 0.005  # probability of being infectious at the start, for all or (n,) each

    def __post_init__(self) -> None:
        for name in ("transmission", "onset_rate", "recovery_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: expected a rate a day, 0 or more")
        share = torch.as_tensor(self.initial)
        if tuple(share.shape) not in ((), (self.contacts.num_people,)) or not ((share >= 0) & (share <= 1)).all():
            raise ValueError(f"initial is {self.initial}: expected a probability, or one for each person")

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
        initial = site("initial", draws.bernoulli("initial", torch.as_tensor(self.initial)))
        stage = initial.to(torch.int8) * INFECTIOUS
        return Infections(stage, ContactSum.of(self.contacts.at(draws), torch.zeros_like(initial))), stage

    def step(self, state: Infections, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """One day. action: (n,) int64."""
        stage, out = state.stage, _equal(action, 0)
        sheds = site("sheds", _equal(stage, INFECTIOUS) & out)  # (n,) bool
        contacts = self.contacts.at(draws)
        same = contacts is self.contacts
        pressure = state.pressure.next(contacts, sheds) if same else ContactSum.of(contacts, sheds)
        plain = type(draws) is Draws and draws.together and stage.is_cpu
        if plain and site.unwatched("hazard", "infected", "onset", "recovers"):
            return self._step_compiled(stage, out, pressure, draws)
        hazard = site("hazard", self.transmission * pressure.total.double() * out)  # (n,) float64 a day
        well, exposed, ill = (_equal(stage, s) for s in (SUSCEPTIBLE, EXPOSED, INFECTIOUS))
        infected = site("infected", draws.event("infected", hazard * well), well)  # (n,) bool
        onset = site("onset", draws.bernoulli("onset", _within_a_day(self.onset_rate), among=exposed), exposed)
        recovers = site("recovers", draws.bernoulli("recovers", _within_a_day(self.recovery_rate), among=ill), ill)
        stage = stage + (infected | onset | recovers)  # each happens in one stage only, and leads to the next
        return Transition(Infections(stage, pressure), stage, 0 - infected.float(), torch.zeros_like(infected))

    def _step_compiled(self, stage: Tensor, out: Tensor, pressure: ContactSum, draws: Draws) -> Transition:
        """The same bits in one pass, for when nobody looks in between."""
        after, reward = stage.clone(), torch.zeros(len(stage))
        keys = np.array([draws.key(name) for name in ("infected", "onset", "recovers")], np.uint64)
        columns = [tensor.numpy() for tensor in (draws.ids, stage, out, pressure.total)]
        if pressure.total.dtype == torch.uint8:
            kernels.seir_day_of_counts(keys, self._limits, *columns, after.numpy(), reward.numpy())
        else:
            chances = np.array([0, _within_a_day(self.onset_rate), _within_a_day(self.recovery_rate)], np.float32)
            kernels.seir_day(keys, chances, *columns, self.transmission, after.numpy(), reward.numpy())
        return Transition(Infections(after, pressure), after, reward, torch.zeros_like(out))

    @cached_property
    def _limits(self) -> np.ndarray[Any, Any]:
        """(3, 256) uint64 for ``seir_day_of_counts``."""
        infection = [_within_a_day(self.transmission * count) for count in range(256)]
        limits = torch.zeros(3, 256, dtype=torch.int64)
        limits[0] = thresholds(torch.tensor(infection, dtype=torch.float64))
        limits[1:, 0] = thresholds(torch.tensor([_within_a_day(r) for r in (self.onset_rate, self.recovery_rate)]))
        return limits.numpy().view(np.uint64)


def _equal(column: Tensor, value: int) -> Tensor:
    """``column == value``: on the CPU NumPy is ten times faster than torch, but not where one number stands for all."""
    if not column.is_cpu:
        return column == value
    if column.stride() == (0,):
        return (column[:1] == value).expand(len(column)).contiguous()
    return torch.from_numpy(column.numpy() == value)


def _within_a_day(rate: float) -> float:
    """The probability that something happens within a day that happens at a rate."""
    return -math.expm1(-rate)
