"""Sessions whose actions are slates in an encoding that learners know: MultiDiscrete, Discrete."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Column, Draws, Sites, Transition, World, check_has

from .slates import Slates
from .view import SessionView


@dataclass(frozen=True, eq=False)
class _Encoded:
    """The base of both: a session world, and what is the same in it."""

    world: World

    def __post_init__(self) -> None:
        check_has("world", self.world, "a session world", "action_space")
        if not isinstance(self.world.action_space, Slates):
            raise ValueError(
                f"action space of the world is {self.world.action_space!r}: expected Slates, the only one to encode"
            )

    @cached_property
    def _slates(self) -> Slates:
        slates = self.world.action_space
        assert isinstance(slates, Slates)
        return slates

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The world's."""
        return self.world.observation_space

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Column]:
        """The world's."""
        return self.world.reset(draws, site)


@dataclass(frozen=True, eq=False)
class FlatSlates(_Encoded):
    """A session world for policies that know ``MultiDiscrete``: its action is a slate in the flat encoding.

    Otherwise the world that is given: action (n, m) int64, codes of ``Slates.flat``.
    """

    @property
    def action_space(self) -> spaces.MultiDiscrete:
        """One digit a position: see ``Slates.flat``."""
        return self._slates.flat

    def step(self, state: Any, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """The world's step, after decoding."""
        slates = torch.from_numpy(self.decoded(action.cpu().numpy())).to(action.device)
        return self.world.step(state, slates, draws, site)

    def decoded(self, codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(…, m) codes to slates."""
        return self._slates.unflatten(codes)


@dataclass(frozen=True, eq=False)
class DiscreteSlates(_Encoded):
    """A session world for policies that know one ``Discrete``, as DQN: its action is the number of a slate.

    Otherwise the world that is given: action (n,) int64, a row of ``Slates.every``. ValueError where there are more
    slates than ``slates.MOST_NUMBERED``.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        len(self._every)  # there may be too many

    @property
    def action_space(self) -> spaces.Discrete[Any]:
        """The slates there are, numbered."""
        return spaces.Discrete(len(self._every))

    @cached_property
    def _every(self) -> np.ndarray[Any, Any]:
        return self._slates.every()  # (K, m)

    def step(self, state: Any, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """The world's step, after decoding."""
        slates = torch.from_numpy(self.decoded(action.cpu().numpy())).to(action.device)
        return self.world.step(state, slates, draws, site)

    def decoded(self, numbers: Any) -> np.ndarray[Any, Any]:
        """(…) numbers to (…, m) slates; ValueError where one is out of range."""
        numbers = np.asarray(numbers)
        if ((numbers < 0) | (numbers >= len(self._every))).any():
            raise ValueError(
                f"actions go from {numbers.min()} to {numbers.max()}: expected numbers of {len(self._every)} slates"
            )
        return self._every[numbers]


def encoded(world: World, flat: bool, discrete: bool) -> World:
    """A session world with its actions as they are, or in one of the encodings."""
    if flat and discrete:
        raise ValueError("both flat and discrete are asked for: expected one encoding of slates")
    return FlatSlates(world) if flat else DiscreteSlates(world) if discrete else world


def view_of(session: World) -> SessionView:
    """The view of a session, encoded or not."""
    return SessionView(session.decoded) if isinstance(session, FlatSlates | DiscreteSlates) else SessionView()
