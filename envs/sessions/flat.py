"""FlatSlates: its actions as MultiDiscrete."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Column, Draws, Sites, Transition, World

from .slates import Slates


@dataclass(frozen=True, eq=False)
class FlatSlates:
    """A session world for policies that know ``MultiDiscrete`` only: its action is a slate in the flat encoding.

    Otherwise the world that is given: action (n, m) int64, codes of ``Slates.flat``.
    """

    world: World

    def __post_init__(self) -> None:
        if not isinstance(self.world.action_space, Slates):
            raise ValueError(f"action space is {self.world.action_space}: expected Slates, the only one to flatten")

    @cached_property
    def _slates(self) -> Slates:
        slates = self.world.action_space
        assert isinstance(slates, Slates)
        return slates

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The world's."""
        return self.world.observation_space

    @property
    def action_space(self) -> spaces.MultiDiscrete:
        """One digit a position: see ``Slates.flat``."""
        return self._slates.flat

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Column]:
        """The world's."""
        return self.world.reset(draws, site)

    def step(self, state: Any, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """The world's step, after decoding."""
        slates = torch.from_numpy(self._slates.unflatten(action.cpu().numpy()))
        return self.world.step(state, slates.to(action.device), draws, site)
