"""A foreign ``gymnasium.Env`` as a world."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space, iterate

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
        envs = [self._make() for _ in seeds]
        observations = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
        copies = _Copies(_Fleet(envs, observations, [False] * len(envs), [False] * len(envs)), 0)
        return copies, stack(self.observation_space, observations, draws.ids.device)

    def step(self, state: "_Copies", action: Any, draws: Draws, site: Sites) -> Transition:
        """One step of each copy that has not terminated; the others stay as they are, with reward 0."""
        fleet = state.fleet
        if fleet.step != state.step:
            raise ValueError(
                f"this state is of step {state.step} and its environments are at step {fleet.step}: expected each "
                "state to be stepped once; a foreign environment cannot go back"
            )
        n = len(fleet.envs)
        reward = torch.zeros(n)
        for i, one in enumerate(iterate(batch_space(self.action_space, n), to_numpy(map_column(to_cpu, action)))):
            if fleet.terminated[i]:
                continue
            if fleet.truncated[i]:
                raise ValueError(
                    f"{fleet.envs[i]} truncated row {i} after {state.step} steps: expected the rollout's horizon to "
                    f"end it; make it with max_episode_steps=-1, or choose a horizon of at most {state.step}"
                )
            fleet.observations[i], given, fleet.terminated[i], fleet.truncated[i], _ = fleet.envs[i].step(one)
            reward[i] = float(given)
        fleet.step += 1
        device = draws.ids.device
        observation = stack(self.observation_space, fleet.observations, device)
        terminated = torch.tensor(fleet.terminated, device=device)
        return Transition(_Copies(fleet, fleet.step), observation, reward.to(device), terminated)


@dataclass
class _Fleet:
    """The environments of a FromGym run, which move on in place."""

    envs: list[gymnasium.Env[Any, Any]]
    observations: list[Any]
    terminated: list[bool]
    truncated: list[bool]  # by a time limit of their own
    step: int = 0


@dataclass(frozen=True)
class _Copies:
    """The state of a FromGym run: its environments, and the step that they must be at for it to be the present."""

    fleet: _Fleet
    step: int
