"""A foreign ``gymnasium.Env`` as a world."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from torch import Tensor

from ..draws import Draws
from ..history import Column, map_column
from ..sites import Sites
from ..trees import to_cpu
from ..world import Transition
from .convert import checked_space, stack, to_numpy
from .env import episode_ids


@dataclass(frozen=True, eq=False)
class FromGym:
    """A foreign ``gymnasium.Env`` as a world: each row is a copy of it.

    env: an id that is registered (made without its time limit, for the horizon of the rollout is the limit), a
        function that makes an environment, or an environment, of which each row gets a deep copy.

    What it cannot do, being foreign: keyed draws do not reach inside. A row's copy is seeded from the run's seed and
    the row's id, so a run repeats to the bit and a batch equals its rows; but within an episode the copy draws
    from its own stream, and two runs share their luck only as far as they draw alike. It names no sites, so only
    "observation", "action" and "reward" can be recorded or intervened on. Its ``info`` is not kept. A state can be
    stepped once: a copy cannot go back.
    """

    env: str | Callable[[], gymnasium.Env[Any, Any]] | gymnasium.Env[Any, Any]

    def __post_init__(self) -> None:
        if isinstance(self.env, VectorEnv):
            raise ValueError(f"{self.env} is a vector environment: expected one row; pass what makes a single one")
        checked_space(self.observation_space, "observation")
        checked_space(self.action_space, "action")

    @cached_property
    def _spaces(self) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        env = self.env if isinstance(self.env, gymnasium.Env) else self._make()
        both = env.observation_space, env.action_space
        if env is not self.env:
            env.close()
        return both

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The environment's own."""
        return self._spaces[0]

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The environment's own."""
        return self._spaces[1]

    def _make(self) -> gymnasium.Env[Any, Any]:
        if isinstance(self.env, str):
            return gymnasium.make(self.env, max_episode_steps=-1)
        if not isinstance(self.env, gymnasium.Env):
            return self.env()
        try:
            return copy.deepcopy(self.env)
        except Exception as error:
            raise ValueError(
                f"{self.env} cannot be copied ({error}): pass its id, or a function that makes one, to FromGym"
            ) from error

    def reset(self, draws: Draws, site: Sites) -> tuple["_Copies", Column]:
        """A fresh copy a row, each with its own seed."""
        seeds = (episode_ids(draws.seed & (1 << 63) - 1, draws.ids) & (1 << 62) - 1).tolist()
        copies = np.empty(len(seeds), dtype=object)
        for i, seed in enumerate(seeds):
            env = self._make()
            copies[i] = _Copy(env, env.reset(seed=seed)[0])
        return _Copies(copies, torch.zeros_like(draws.ids)), self._seen(copies, draws)

    def step(self, state: "_Copies", action: Any, draws: Draws, site: Sites) -> Transition:
        """One step of each copy that has not terminated; the others stay as they are, with reward 0."""
        n = len(state.copies)
        for i, (copy_, step) in enumerate(zip(state.copies, state.step.tolist(), strict=True)):
            if copy_.step != step:
                raise ValueError(
                    f"row {i} of this state is of step {step} and its environment is at step {copy_.step}: expected "
                    "each state to be stepped once; a foreign environment cannot go back"
                )
        reward = torch.zeros(n)
        actions = iterate(batch_space(self.action_space, n), to_numpy(map_column(to_cpu, action)))
        for i, (copy_, one) in enumerate(zip(state.copies, actions, strict=True)):
            if copy_.truncated and not copy_.terminated:
                raise ValueError(
                    f"{copy_.env} truncated row {i} after {copy_.step} steps: expected the rollout's horizon to "
                    f"end it; make it with max_episode_steps=-1, or choose a horizon of at most {copy_.step}"
                )
            reward[i] = copy_.move(one)
        terminated = torch.tensor([copy_.terminated for copy_ in state.copies], device=draws.ids.device)
        observation = self._seen(state.copies, draws)
        return Transition(_Copies(state.copies, state.step + 1), observation, reward.to(terminated.device), terminated)

    def _seen(self, copies: Any, draws: Draws) -> Column:
        return stack(self.observation_space, [copy_.observation for copy_ in copies], draws.ids.device)


@dataclass
class _Copy:
    """The environment of a row, which moves on in place, and what it showed last."""

    env: gymnasium.Env[Any, Any]
    observation: Any
    terminated: bool = False
    truncated: bool = False  # by a time limit of its own
    step: int = 0

    def move(self, action: Any) -> float:
        """One step, if it has not terminated; the reward."""
        self.step += 1
        if self.terminated:
            return 0.0
        self.observation, reward, self.terminated, self.truncated, _ = self.env.step(action)
        return float(reward)


@dataclass(frozen=True)
class _Copies:
    """The state of a FromGym run: a copy a row, and the step that it must be at for this to be the present."""

    copies: np.ndarray[Any, Any]  # (n,) of _Copy
    step: Tensor  # (n,) int64
