"""Choosing: people who choose, over and over, by preferences that only they know."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Draws, Sites, Transition, as_tensor, check_number, checked_int


class Chooser(NamedTuple):
    """The state of ``Choosing``."""

    preference: Tensor  # (n, D) float32 of -1, 0 and 1
    options: Tensor  # (n, m, D) float32, what is on offer now


@dataclass(frozen=True, eq=False)
class Choosing:
    """Each row is a person who cares for a few of D attributes, for or against, and is offered m things at each step.

    A thing's attributes are independent standard normal numbers. Its utility is the sum of those that the person is
    for, less those that he is against; he chooses by a multinomial logit of it (McFadden, 1974) at a temperature, 0 for
    always the best. That preferences are sparse directions follows AlignX (arXiv:2503.15463), where most of 90
    dimensions are neutral to a person; the rest is designed here.

    Observation: {"options": (n, m, D) float32, "chose": (n,) int64, which of the options before these was chosen, m
    at the start}. Action: which option the person will choose, (n,) int64; it does not change what he does. Reward: 1
    if so. Never terminates.

    Sites: at the start "first preference" (n, D) and "first options" (n, m, D); then "preference", "utility" (n, m),
    "choice" (n,) int64 and "next options". A preference that an intervention has changed stays so, until it is changed
    again: ``Do("preference", torch.neg, start=12, stop=13)`` has people change their minds.

    Tells "preference" (n, D), for Gymnasium's ``info``: for who judges an agent, not for the agent.
    """

    num_attributes: int = 10
    num_preferences: int = 3  # attributes that a person is not neutral to
    num_options: int = 2
    temperature: float = 0.0  # in units of utility

    def __post_init__(self) -> None:
        checked_int("num_attributes", self.num_attributes, 1)
        checked_int("num_preferences", self.num_preferences, 1, self.num_attributes)
        checked_int("num_options", self.num_options, 2)
        check_number("temperature", self.temperature)

    @property
    def observation_space(self) -> spaces.Dict:
        """Options on offer, and the one chosen last."""
        shape = (self.num_options, self.num_attributes)
        offered = spaces.Box(-np.inf, np.inf, shape, np.float32)
        return spaces.Dict({"options": offered, "chose": spaces.Discrete(self.num_options + 1)})

    @property
    def action_space(self) -> spaces.Discrete:
        """One of the options."""
        return spaces.Discrete(self.num_options)

    def reset(self, draws: Draws, site: Sites) -> tuple[Chooser, dict[str, Tensor]]:
        """People, and what they are offered first."""
        preference = site("first preference", self._preference(draws))
        options = site("first options", self._options("first options", draws))
        chose = torch.full_like(draws.ids, self.num_options)
        site.tell("preference", preference.clone())
        return Chooser(preference, options), {"options": options, "chose": chose}

    def step(self, state: Chooser, action: Any, draws: Draws, site: Sites) -> Transition:
        """One choice. action: (n,) int64, the option that is expected to be chosen."""
        action = as_tensor("action", action, draws.ids.device)
        if action.shape != draws.ids.shape or not bool(((action >= 0) & (action < self.num_options)).all()):
            what = f"action is {action.dtype} of shape {tuple(action.shape)}, {action.flatten()[:3].tolist()} …"
            raise ValueError(f"{what}: expected ({len(draws.ids)},) numbers of options, 0 to {self.num_options - 1}")
        preference = site("preference", state.preference)  # (n, D)
        utility = site("utility", (state.options * preference[:, None]).sum(-1))  # (n, m)
        luck = self.temperature * draws.gumbel("choice", self.num_options) if self.temperature else 0
        choice = site("choice", (utility + luck).argmax(1))  # (n,)
        options = site("next options", self._options("next options", draws))  # (n, m, D)
        right = (action == choice).float()
        seen = {"options": options, "chose": choice}
        site.tell("preference", preference.clone())
        return Transition(Chooser(preference, options), seen, right, torch.zeros_like(choice, dtype=torch.bool))

    def _preference(self, draws: Draws) -> Tensor:
        """(n, D): which attributes a person is not neutral to, all sets equally likely, and for or against."""
        rank = draws.uniform("which attributes", self.num_attributes).argsort(1).argsort(1)
        direction = torch.where(draws.bernoulli("direction", 0.5, self.num_attributes), 1.0, -1.0)
        return torch.where(rank < self.num_preferences, direction, 0.0)

    def _options(self, name: str, draws: Draws) -> Tensor:
        """(n, m, D) standard normal."""
        luck = draws.uniform(name, self.num_options * self.num_attributes).double()
        return torch.special.ndtri(luck).float().view(-1, self.num_options, self.num_attributes)
