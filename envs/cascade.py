"""Recommendation sessions: a user with a state looks down a list and clicks the first item that attracts them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator.draws import Draws
from ethogram.simulator.sites import Sites
from ethogram.simulator.world import Policy, Transition

from .mdp import CascadingMDP
from .spaces import Slates, check_slates


@dataclass(frozen=True, eq=False)
class CascadingSession:
    """The cascading MDP as a world (Du, Srikant & Chen, ICLR 2024, section 3).

    Observation: user state, (n,) int64 in [0, S). Action: slate, (n, m) int64, distinct items, -1 for positions
    left empty at the end. Reward: r(state, item) of the item clicked, 0 for no click. Never terminates; the horizon
    truncates it.

    user: None, or a click model that decides which of the items shown are examined and clicked (see ``clicks.py``).
    It may click several: the last one is the click that is rewarded and moves the user.

    Sites: "attraction" (n, m) float64, probability that an item attracts if examined; "clicks" (n, m) bool, with
    ``user`` only; "click" (n,) int64, position clicked, m for none; "state" (n,) int64, where the user goes.
    Draws: whether an item attracts is drawn for (user, item, step), whatever its position.
    """

    mdp: CascadingMDP
    user: Policy | None = None

    @property
    def observation_space(self) -> spaces.Discrete[Any]:
        """User states."""
        return spaces.Discrete(self.mdp.num_states)

    @property
    def action_space(self) -> Slates:
        """Lists of 1 to m items."""
        return Slates(self.mdp.num_items, self.mdp.length)

    @cached_property
    def _attraction(self) -> Tensor:
        return pad(self.mdp.attraction, (0, 1))  # (S, N + 1): index -1, an empty position, attracts nobody

    @cached_property
    def _reward(self) -> Tensor:
        return pad(self.mdp.reward, (0, 1)).float()  # (S, N + 1): index -1, no click, is worth nothing

    def reset(self, draws: Draws, site: Sites) -> tuple[Tensor, Tensor]:
        """All users in the initial state."""
        state = torch.full_like(draws.ids, self.mdp.initial)
        return state, state

    def step(self, state: Tensor, slate: Tensor, draws: Draws, site: Sites) -> Transition:
        """One list shown. Shapes: state (n,), slate (n, m)."""
        mdp, nothing = self.mdp, self.mdp.length
        check_slates(slate, mdp.num_items, mdp.length)
        attraction = site("attraction", self._attraction[state[:, None], slate])  # (n, m) probability
        if self.user is None:
            clicks = draws.bernoulli("attracted", attraction, index=slate)  # (n, m) bool
            click = clicks.byte().argmax(1).where(clicks.any(1), nothing)  # the first
        else:
            seen = {"state": state, "slate": slate, "attraction": attraction}
            clicks = site("clicks", self.user.act(seen, None, draws.scoped("user")))  # type: ignore[arg-type]
            click = nothing - 1 - clicks.flip(1).byte().argmax(1)  # the last
            click = click.where(clicks.any(1), nothing)
        click = site("click", click)  # (n,) position, m for none
        item = pad(slate, (0, 1), value=-1).gather(1, click[:, None])[:, 0]  # (n,) -1 for none
        moves = state * (mdp.num_items + 1) + item % (mdp.num_items + 1)  # rows of p(. | s, a)
        after = site("state", draws.categorical("state", mdp.transition.flatten(0, 1), which=moves))  # (n,)
        return Transition(after, after, self._reward[state, item], torch.zeros_like(state, dtype=torch.bool))
