"""One row of a world as a ``gymnasium.Env``."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from torch import Tensor

from .. import kernels
from ..arguments import as_tensor, checked_int
from ..draws import Draws, derived_ids
from ..run import Run
from ..trees import to_device
from ..world import World
from .convert import (
    Actions,
    Array,
    check_options,
    check_rows,
    checked_mode,
    checked_seed,
    checked_space,
    first_row,
    stating_horizon,
    without_gradients,
)
from .view import View, listening, picture


def episode_ids(seed: int | Tensor, episode: int | Tensor = 0) -> Tensor:
    """The row ids of episodes, (n,) int64: what a shell seeded with ``seed`` plays at its ``episode``-th reset.

    seed: an int, or (n,) int64, in [0, 2^63). episode: an int, or (n,) int64, counted from 0.
    """
    seeds, episodes = as_tensor("seed", seed).reshape(-1), as_tensor("episode", episode).reshape(-1)
    for name, numbers in (("seed", seeds), ("episode", episodes)):
        if numbers.dtype != torch.int64:
            raise TypeError(f"{name} is {numbers.dtype} {tuple(numbers.shape)}: expected an int, or int64 (n,)")
    return derived_ids(seeds, episodes)


def ids_of(seeds: Array, episodes: Array) -> Tensor:
    """``episode_ids`` of arrays, (n,) int64."""
    ids = np.empty_like(seeds)
    kernels.derived_ids(seeds, episodes, ids)
    return torch.from_numpy(ids)


class WorldEnv(gymnasium.Env[Any, Any]):
    """One row of a world as a ``gymnasium.Env``; after ``horizon`` steps it is truncated.

    ``reset()`` without a seed starts the next episode of the present seed, as Gymnasium's generators go on; an
    environment that never had a seed takes one from ``np_random``. A step after the end raises ResetNeeded, an action
    outside the space ValueError.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012  (Gymnasium's name)

    def __init__(
        self,
        world: World,
        horizon: int,
        *,
        view: View | None = None,
        render_mode: str | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        """world: any world whose state and observations have rows as first axis. horizon: steps, at least 1.

        view: what ``info`` holds and a picture shows; by default nothing, and the reward. render_mode: None, or
        "rgb_array" for ``render()`` to give a picture of the episode so far, (height, width, 3) uint8. device: where
        the world is moved to and runs; what goes in and out is in main memory. By default the CPU.
        """
        check_rows(world, 1)
        self.device = torch.device(device or "cpu")
        self.world = world if device is None else to_device(world, device)
        self.horizon, self.view, self.render_mode = (
            checked_int("horizon", horizon, 1),
            view or View(),
            checked_mode(render_mode),
        )
        self.observation_space = checked_space(world.observation_space, "observation")
        self.action_space = checked_space(world.action_space, "action")
        self._actions = Actions(self.action_space, device)
        self._seed: int | None = None
        self._episode = -1
        self._run: Run | None = None
        self._ended = False
        self._notes: list[Any] = []

    @property
    def spec(self) -> EnvSpec | None:
        """The spec by which ``gymnasium.make`` made this, with the horizon as ``max_episode_steps``."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        """Set it."""
        self._spec = stating_horizon(spec, self.horizon)

    _spec: EnvSpec | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation of an episode; there are no options."""
        seed = None if seed is None else checked_seed(seed)
        super().reset(seed=seed)
        check_options(options, known=())
        if seed is not None:
            self._seed, self._episode = seed, -1
        elif self._seed is None:
            self._seed = int(self.np_random.integers(2**63))
        self._episode += 1
        draws = Draws(0, self._ids(), scope="world")
        if self._run is None:
            self._run = Run(self.world, draws, listening())
        without_gradients(self._run.begin, draws)
        self._ended, self._notes = False, []
        return self._shown(self._run, None, 0.0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        run = self._run
        if run is None or self._ended:
            raise ResetNeeded(f"the episode has {'ended' if run else 'not begun'}: call reset() before step()")
        without_gradients(run.advance, self._actions(action, ()))
        over, late = run.alive is not None, run.draws.step >= self.horizon
        terminated = over if run.truncated is None else bool(run.terminated[0])
        truncated = (over or late) and not terminated
        self._ended, reward = over or late, run.reward.item()
        observation, info = self._shown(run, action, reward)
        return observation, reward, terminated, truncated, info

    def render(self) -> Array | None:
        """A picture of the episode so far; None, with Gymnasium's warning, where no render_mode was given."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render mode shows nothing: expected render_mode='rgb_array'")
            return None
        if self._run is None:
            raise ResetNeeded("the episode has not begun: call reset() before render()")
        return picture(self.view, self._notes)

    def close(self) -> None:
        """End what the world holds open, such as a browser, if it holds anything."""
        if hasattr(self.world, "close"):
            self.world.close()

    def _ids(self) -> Tensor:
        return ids_of(np.array([self._seed]), np.array([self._episode])).to(self.device)

    def _shown(self, run: Run, action: Any, reward: float) -> tuple[Any, dict[str, Any]]:
        """The observation and the info of a step, or of a reset (action None)."""
        observation = first_row(run.observation)
        info = {name: values[0] for name, values in self.view.info(run).items()}
        if self.render_mode is not None:
            self._notes.append(self.view.note(observation, action, reward, info))
        return observation, info
