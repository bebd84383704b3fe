"""A behaviour that spreads over a contact network: the small, readable population world."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Draws, Sites, Transition, as_tensor
from ethogram.simulator.networks import Network, check_rows, sum_over_contacts
from ethogram.simulator.populations import InEach, checked_contacts, checked_initial, first_people, repeated

from . import kernels

SITES = ("exposure", "propensity", "adopts", "gives_up", "adopted")

FLOATS = (torch.float32, torch.float64)  # that compiled code knows


class Adopters(NamedTuple):
    """The state of ``Adoption``."""

    adopted: Tensor  # (n,) bool
    exposure: Tensor  # (n,) float32 share of contacts who have adopted


@dataclass(frozen=True, eq=False)
class Adoption:
    """People adopt what their contacts have adopted, and give it up again: complex contagion with logistic choice.

    Each day a person who has not adopted does so with log-odds ``intercept + peer_effect * exposure + nudge``; one
    who has gives it up with probability ``churn``. exposure is the share of the person's contacts who have adopted,
    weighted by how strong the contacts are; 0 without contacts. Designed here, after the binary choice with social
    interactions of Brock & Durlauf (Review of Economic Studies 2001).

    Rows are people: as many as the contacts have. Observation: (n, 2) float32, adopted (0 or 1) and exposure.
    Action: nudge, (n,) float32, what a campaign adds to each person's log-odds that day; 0 is none. Reward: 1 a day
    for each who has adopted. Never terminates.

    Sites: "exposure" (n,), "propensity" (n,) probability to adopt today, "adopts" and "gives_up" (n,) bool what each
    would do today, "adopted" (n,) bool what comes of it; at the start "initial" (n,) bool.
    """

    contacts: Network
    intercept: float | Tensor = -4.0  # log-odds a day, for all or (n,) each
    peer_effect: float | Tensor = 4.0  # log-odds when all contacts have adopted, against none
    churn: float | Tensor = 0.05  # probability a day
    initial: int | float | Tensor | InEach = 0.02  # adopters: how many (an int), or a probability, one or (n,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "contacts", checked_contacts("contacts", self.contacts))
        n = self.contacts.num_people
        object.__setattr__(self, "initial", checked_initial(self.initial, n))
        for name in ("intercept", "peer_effect", "churn"):
            value = as_tensor(name, getattr(self, name))
            if value.dim():
                object.__setattr__(self, name, value)
            if tuple(value.shape) not in ((), (n,)) or not value.isfinite().all():
                raise ValueError(
                    f"{name} is {value}: expected a finite number, or a tensor ({n},), one for each person"
                )
            if name == "churn" and not ((value >= 0) & (value <= 1)).all():
                raise ValueError(f"{name} goes from {value.min():g} to {value.max():g}: expected probabilities")

    def repeated(self, times: int) -> "Adoption":
        """So many populations side by side; see ``Repeatable``."""
        return repeated(self, times, self.contacts.num_people)

    @property
    def observation_space(self) -> spaces.Box:
        """Adopted, and the share of contacts who have."""
        return spaces.Box(0, 1, (2,), np.float32)

    @property
    def action_space(self) -> spaces.Box:
        """A nudge in log-odds; learners draw from these bounds, the model holds for any number."""
        return spaces.Box(-1, 1, (), np.float32)

    def reset(self, draws: Draws, site: Sites) -> tuple[Adopters, Tensor]:
        """The first adopters."""
        check_rows(self.contacts, draws)
        return self._observed(site("initial", first_people(self.initial, draws, self.contacts)), draws)

    def step(self, state: Adopters, nudge: Tensor, draws: Draws, site: Sites) -> Transition:
        """One day. nudge: (n,) log-odds."""
        alike = nudge.shape == state.adopted.shape == state.exposure.shape == draws.ids.shape
        if not alike or len(draws.ids) != self.contacts.num_people:
            check_rows(self.contacts, draws)
            shapes = f"nudge has shape {tuple(nudge.shape)}, adopted {tuple(state.adopted.shape)}"
            raise ValueError(f"{shapes}: expected ({len(draws.ids)},), one a person")
        if type(draws) is Draws and self._compiles(nudge) and site.unwatched(*SITES):
            return self._step_compiled(state, nudge, draws)
        exposure = site("exposure", state.exposure, within=(0, 1))  # (n,) share of contacts
        log_odds = self.intercept + self.peer_effect * exposure + nudge
        propensity = site("propensity", log_odds.sigmoid(), within=(0, 1))  # (n,) probability a day
        adopts = site("adopts", draws.bernoulli("adopts", propensity))  # (n,) bool
        gives_up = site("gives_up", draws.bernoulli("gives_up", torch.as_tensor(self.churn)))  # (n,) bool
        adopted = site("adopted", torch.where(state.adopted, ~gives_up, adopts))
        state, observation = self._observed(adopted, draws)
        return Transition(state, observation, adopted.float(), torch.zeros_like(adopted))

    def _compiles(self, nudge: Tensor) -> bool:
        """Whether compiled code counts as torch would: on the CPU, in floats, without a gradient."""
        given = (nudge, self.intercept, self.peer_effect, self.churn)
        tensors = [value for value in given if isinstance(value, Tensor)]
        return nudge.dtype == torch.float32 and all(
            tensor.is_cpu and tensor.dim() == 1 and tensor.dtype in FLOATS and not tensor.requires_grad
            for tensor in tensors
        )

    def _step_compiled(self, state: Adopters, nudge: Tensor, draws: Draws) -> Transition:
        """The same bits in fewer passes, for when nobody looks in between."""
        was, n = state.adopted.numpy(), len(nudge)
        given = (self.intercept, self.peer_effect)
        intercept, peer_effect = (x.numpy() if isinstance(x, Tensor) else float(x) for x in given)
        log_odds = intercept + peer_effect * state.exposure.numpy() + nudge.numpy()
        propensity = torch.from_numpy(log_odds).sigmoid_()  # torch's own: NumPy's exponential rounds otherwise
        keys = np.array([draws.key("adopts"), draws.key("gives_up")], np.uint64)
        adopts, exposure, reward = np.empty(n, np.bool_), np.empty(n, np.float32), np.empty(n, np.float32)
        bad = kernels.adopt(keys, draws.ids.numpy(), propensity.numpy(), self._churn, was, adopts)
        if bad >= 0:
            raise ValueError(f"nudge of person {bad} is {nudge[bad]}: expected log-odds, a number for each person")
        contacts, adopted, observation = self.contacts.at(draws), torch.from_numpy(adopts), np.empty((n, 2), np.float32)
        around = sum_over_contacts(contacts, adopted).numpy()
        kernels.observe(adopts, around, self._strength(contacts).numpy(), exposure, observation, reward)
        seen, exposed, rewards = (torch.from_numpy(array) for array in (observation, exposure, reward))
        return Transition(Adopters(adopted, exposed), seen, rewards, torch.zeros(n, dtype=torch.bool))

    @cached_property
    def _churn(self) -> np.ndarray[Any, Any]:
        return (self.churn if isinstance(self.churn, Tensor) else torch.tensor([float(self.churn)])).numpy()

    def _strength(self, contacts: Network) -> Tensor:
        """(n,) float64 of the contacts of a day; a little without contacts, so that 0 is divided by it."""
        return self._usual if contacts is self.contacts else contacts.strength.clamp(min=1e-30)

    @cached_property
    def _usual(self) -> Tensor:
        return self.contacts.strength.clamp(min=1e-30)

    def _observed(self, adopted: Tensor, draws: Draws) -> tuple[Adopters, Tensor]:
        """The state, and what each person sees of it."""
        contacts = self.contacts.at(draws)
        exposure = (sum_over_contacts(contacts, adopted) / self._strength(contacts)).float()
        return Adopters(adopted, exposure), torch.stack([adopted.float(), exposure], 1)
