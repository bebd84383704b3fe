"""One row of a world as a ``gymnasium.Env``."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from torch import Tensor

from .. import kernels
from ..draws import Draws, derived_ids
from ..run import Run
from ..sites import Sites
from ..world import World
from .convert import (
    Array,
    check_options,
    checked_horizon,
    checked_seeds,
    checked_space,
    first_row,
    to_torch,
    without_gradients,
)


def episode_ids(seed: int | Tensor, episode: int | Tensor = 0) -> Tensor:
    """The row ids of episodes, (n,) int64: what a shell seeded with ``seed`` plays at its ``episode``-th reset.

    seed: an int, or (n,) int64, in [0, 2^63). episode: an int, or (n,) int64, counted from 0.
    """
    seeds, episodes = torch.as_tensor(seed).reshape(-1), torch.as_tensor(episode).reshape(-1)
    return derived_ids(seeds, episodes)


def ids_of(seeds: Array, episodes: Array) -> Tensor:
    """``episode_ids`` of arrays, (n,) int64."""
    ids = np.empty_like(seeds)
    kernels.derived_ids(seeds, episodes, ids)
    return torch.from_numpy(ids)


class WorldEnv(gymnasium.Env[Any, Any]):
    """One row of a world as a ``gymnasium.Env``; after ``horizon`` steps it is truncated.

    ``reset()`` without a seed starts the next episode of the present seed, as Gymnasium's generators go on; an
    environment that never had a seed takes one from ``np_random``. A step after the end raises ResetNeeded.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's name)

    def __init__(self, world: World, horizon: int) -> None:
        """world: any world whose state and observations have rows as first axis. horizon: steps, at least 1."""
        self.world, self.horizon = world, checked_horizon(horizon)
        self.observation_space = checked_space(world.observation_space, "observation")
        self.action_space = checked_space(world.action_space, "action")
        self._seed: int | None = None
        self._episode = -1
        self._run: Run | None = None
        self._ended = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation of an episode; there are no options."""
        super().reset(seed=seed)
        check_options(options, known=())
        if seed is not None:
            self._seed, self._episode = int(checked_seeds([seed])[0]), -1
        elif self._seed is None:
            self._seed = int(self.np_random.integers(2**63))
        self._episode += 1
        draws = Draws(0, ids_of(np.array([self._seed]), np.array([self._episode])), scope="world")
        if self._run is None:
            self._run = Run(self.world, draws, Sites())
        without_gradients(self._run.begin, draws)
        self._ended = False
        return first_row(self._run.observation), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        run = self._run
        if run is None or self._ended:
            raise ResetNeeded(f"the episode has {'ended' if run else 'not begun'}: call reset() before step()")
        without_gradients(run.advance, to_torch(self.action_space, action, ()))
        terminated = run.alive is not None
        truncated = not terminated and run.draws.step >= self.horizon
        self._ended = terminated or truncated
        return first_row(run.observation), run.reward.item(), terminated, truncated, {}
