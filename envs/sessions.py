"""Session worlds as Gymnasium environments: what the ids in ``envs/__init__.py`` make."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from torch import Tensor

from ethogram.simulator import Column, Draws, Policy, Sites, Transition, World, WorldEnv, WorldVectorEnv

from .cascade import CascadingSession
from .mdp import CascadingMDP, trap
from .spaces import Slates


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


def cascading_session(
    mdp: CascadingMDP | None = None,
    horizon: int | None = None,
    user: Policy | None = None,
    flat: bool = False,
    **arrays: Any,
) -> WorldEnv:
    """``ethogram/CascadingSession-v0``: one session of a cascading MDP.

    mdp: TRAP by default. Instead of it, its fields one by one: attraction, transition, reward (arrays or tensors),
        length, and if wanted initial; ``horizon`` is then needed.
    horizon: steps; the MDP's by default.
    user: a click model, as ``CascadingSession`` takes it.
    flat: actions in the MultiDiscrete encoding of slates, for Stable-Baselines3 and the like.
    """
    world, steps = _session(mdp, horizon, user, flat, arrays)
    return WorldEnv(world, steps)


def cascading_sessions(
    num_envs: int = 1,
    mdp: CascadingMDP | None = None,
    horizon: int | None = None,
    user: Policy | None = None,
    flat: bool = False,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    **arrays: Any,
) -> WorldVectorEnv:
    """The vector environment of ``ethogram/CascadingSession-v0``; arguments as for ``cascading_session``."""
    world, steps = _session(mdp, horizon, user, flat, arrays)
    return WorldVectorEnv(world, num_envs, steps, autoreset_mode)


def _session(
    mdp: CascadingMDP | None, horizon: int | None, user: Policy | None, flat: bool, arrays: dict[str, Any]
) -> tuple[World, int]:
    if arrays and mdp is not None:
        raise ValueError(f"both mdp and its fields {sorted(arrays)} are given: expected one or the other")
    if arrays:
        if missing := sorted({"attraction", "transition", "reward", "length"} - set(arrays)):
            raise ValueError(f"fields {sorted(arrays)} of an MDP are given: expected {missing} too")
        for name in ("attraction", "transition", "reward"):
            arrays[name] = torch.as_tensor(arrays[name], dtype=torch.float64)
        if horizon is None:
            raise ValueError("horizon is None: expected the number of steps, which an MDP given by its fields needs")
        mdp = CascadingMDP(**arrays, horizon=horizon)
    elif mdp is None:
        mdp = trap()
    world = CascadingSession(mdp, user)
    return FlatSlates(world) if flat else world, mdp.horizon if horizon is None else horizon


def movielens_session(path: str | Path | None = None, flat: bool = False, **settings: Any) -> WorldEnv:
    """``ethogram/MovieLensSession-v0``: one session of a user of MovieLens.

    path and settings (num_items, num_states, length, horizon) are those of ``movielens.movielens_session``.
    """
    world, horizon = _movielens(path, flat, settings)
    return WorldEnv(world, horizon)


def movielens_sessions(
    num_envs: int = 1,
    path: str | Path | None = None,
    flat: bool = False,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    **settings: Any,
) -> WorldVectorEnv:
    """The vector environment of ``ethogram/MovieLensSession-v0``; arguments as for ``movielens_session``."""
    world, horizon = _movielens(path, flat, settings)
    return WorldVectorEnv(world, num_envs, horizon, autoreset_mode)


def _movielens(path: str | Path | None, flat: bool, settings: dict[str, Any]) -> tuple[World, int]:
    from .movielens import movielens_session as make_world

    world = make_world(path, **settings)
    return FlatSlates(world) if flat else world, world.mdp.horizon
