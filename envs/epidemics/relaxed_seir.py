"""Epidemics with a gradient: the same people, days and draws, in floats that torch.autograd can follow.

A person's stage is four numbers that sum to 1 in place of one integer, and a yes-or-no draw ``u < p`` is a float that
depends on p. ``RelaxedDraws`` says how:

* straight through (temperature 0): forward, the outcome is the exact one, 0 or 1; backward, its derivative in p is 1
  on average, as that of its expectation is. A day is linear in what each person is, so that what would have followed
  from the other outcome is followed person by person. A person whose infection is only considered may be considered
  again, day by day and by way of those they would infect: ``once`` takes the mean of that out. What is left is the
  epidemic that a considered case would start where there is none: followed for many generations it grows without end,
  so that the derivative in ``initial`` is wrong over long horizons (a warning says so).
* soft (temperature > 0): the outcome is sigmoid((logit p - logit u) / temperature), the binary concrete distribution
  (Maddison, Mnih & Teh, ICLR 2017). Smooth, but another model; at temperature 0 it is the exact one again.

``docs/calibration.md`` says how near the gradients come to finite differences of the expected outcome. Chopra et al.
("Differentiable agent-based epidemiology", AAMAS 2023) calibrate by such gradients.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Draws, Sites, Transition, check_number
from ethogram.simulator.calibrate import Parameter, RelaxedDraws, balanced, once
from ethogram.simulator.networks import Contacts, Network, check_rows, sum_over_contacts
from ethogram.simulator.populations import InEach, checked_contacts, checked_initial, first_people

from .seir import EXPOSED, INFECTIOUS, SUSCEPTIBLE

REACH, REACH_FOR_INITIAL = 3, 2  # generations, of the mean time from an infection to its end, that hold among few
FEW = 8  # contacts a person, from which on the gradient holds beyond them; in ``initial`` for REACH


@dataclass(frozen=True, eq=False)
class RelaxedSEIR:
    """``SEIR`` with a gradient: the same days, to the bit where the draws' temperature is 0.

    Parameters as in ``SEIR``; each may be a tensor that requires grad (``initial`` as a number of people,
    an int, has no gradient). Plain ``Draws`` give the same run without it.

    Rows are people. Observation: (n, 4) float64, how much of each person is in S, E, I and R; with temperature 0 one 1
    and three 0. Action: (n, 4) float, how much a person stays at home today *if* in S, E, I or R, from 0 to 1: were it
    one number that follows from the stage, infecting others would depend on the stage's square, and the gradient be
    wrong. Reward: minus the infections of the day. Never terminates.

    Where the gradient holds, within a tenth: from 8 contacts a person on, in ``initial`` for up to three generations;
    from 4 contacts on, for up to three generations, in ``initial`` two. Beyond that a UserWarning says so.

    Sites, (n,) float64 each: "sheds", "hazard" a day, "infected", "onset", "recovers"; at the start "initial".
    """

    contacts: Network
    transmission: Parameter = 0.02  # hazard a day and contact of weight 1
    onset_rate: Parameter = 0.25  # a day
    recovery_rate: Parameter = 0.1  # a day
    initial: Parameter | InEach = 0.005  # the infectious: how many (an int), or a probability, one or (n,)

    def __post_init__(self) -> None:
        for name in ("transmission", "onset_rate", "recovery_rate"):
            check_number(name, getattr(self, name))
        object.__setattr__(self, "contacts", checked_contacts("contacts", self.contacts))
        object.__setattr__(self, "initial", checked_initial(self.initial, self.contacts.num_people))

    @property
    def observation_space(self) -> spaces.Box:
        """The part of a person in each stage."""
        return spaces.Box(0, 1, (4,), np.float64)

    @property
    def action_space(self) -> spaces.Box:
        """The extent to which a person stays at home, if in each stage."""
        return spaces.Box(0, 1, (4,), np.float64)

    def reset(self, draws: Draws, site: Sites) -> tuple[Tensor, Tensor]:
        """The first infectious people."""
        check_rows(self.contacts, draws)
        ill = first_people(self.initial, draws, self.contacts).to(torch.float64)
        if _straight_through(draws) and not isinstance(self.initial, InEach):
            ill = balanced(ill, torch.as_tensor(self.initial).expand_as(ill))
        ill = site("initial", ill)
        stage = torch.stack([1 - ill, 0 * ill, ill, 0 * ill], 1)
        return stage, stage

    def step(self, state: Tensor, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """One day. state, action: (n, 4)."""
        if action.shape != state.shape:
            raise ValueError(f"actions are {tuple(action.shape)}: expected {tuple(state.shape)}, one for each stage")
        out = 1 - action
        infectious = state[:, INFECTIOUS]  # (n,) as all below
        if _straight_through(draws):
            self._warn_on(draws.step)
            if draws.step:  # on the first day nobody has been considered yet
                infectious = once(infectious, infectious > 0, self._first)
        sheds = site("sheds", infectious * out[:, INFECTIOUS])
        pressure = sum_over_contacts(self.contacts.at(draws), sheds)
        hazard = site("hazard", self.transmission * pressure * out[:, SUSCEPTIBLE])  # a day, were all susceptible
        infected = site("infected", state[:, SUSCEPTIBLE] * draws.event("infected", hazard))
        onset = site("onset", state[:, EXPOSED] * draws.bernoulli("onset", _within_a_day(self.onset_rate)))
        recovers = draws.bernoulli("recovers", _within_a_day(self.recovery_rate))
        recovers = site("recovers", state[:, INFECTIOUS] * recovers)
        stage = state + torch.stack([-infected, infected - onset, onset - recovers, recovers], 1)
        return Transition(stage, stage, -infected.float(), torch.zeros_like(infected, dtype=torch.bool))

    @cached_property
    def _first(self) -> Tensor | float:
        """(n,) the part of first infections, as ``once`` takes it; on a tree."""
        if not isinstance(self.contacts, Contacts):
            return 1.0  # few meet the same people again
        number = self.contacts.start.diff().clamp(min=1).double()
        weight = self.contacts.strength.mean() / number.mean()
        infects = -torch.expm1(-torch.as_tensor(self.transmission).detach().double() * weight)
        recovers = _within_a_day(self.recovery_rate).detach()
        return (1 - 1 / number) * recovers / (recovers + (1 - recovers) * infects).clamp(min=1e-300)

    def _warn_on(self, day: int) -> None:
        """Warn on the day from which the gradient may be off by more than a tenth."""
        rates = torch.as_tensor(self.onset_rate).item(), torch.as_tensor(self.recovery_rate).item()
        if min(rates) == 0:
            return
        generation = sum(1 / rate for rate in rates)
        number = math.inf
        if isinstance(self.contacts, Contacts):
            number = self.contacts.start.diff().double().mean().item()
        if isinstance(self.initial, Tensor) and self.initial.requires_grad:
            reach = REACH_FOR_INITIAL if number < FEW else REACH
            warn_beyond("RelaxedSEIR: the gradient in initial", day, reach, generation)
        elif number < FEW:
            warn_beyond(f"RelaxedSEIR: with {number:.3g} contacts a person, the gradient", day, REACH, generation)


def warn_beyond(what: str, day: int, reach: int, generation: float) -> None:
    """Warn, on the day that is so many generations after the start, of what is beyond."""
    if day == int(reach * generation):
        warnings.warn(
            f"{what} of what happens after {reach} generations (day {day}) may be off by more than 10 %: use "
            "fit_by_search, or a shorter horizon (docs/calibration.md has the table)",
            stacklevel=2,
        )


def _straight_through(draws: Draws) -> bool:
    return isinstance(draws, RelaxedDraws) and not draws.temperature


def _within_a_day(rate: Parameter) -> Tensor:
    """() float64, the probability that something happens within a day that happens at a rate."""
    return -torch.expm1(-torch.as_tensor(rate, dtype=torch.float64))
