"""A foreign ``gymnasium.Env`` as a world."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space, iterate

from ..draws import Draws
from ..history import Column, map_column
from ..sites import Sites
from ..trees import to_cpu
from ..world import Transition
from .convert import Array, checked_space, stack, to_numpy
from .env import episode_ids


@dataclass(frozen=True, eq=False)
class FromGym:
    """A foreign ``gymnasium.Env`` as a world: each row is a copy of it.

    env: an id that is registered (made without its time limit, for the horizon of the rollout is the limit), a
        function that makes an environment, or an environment, of which each row gets a deep copy.

    What it cannot do, being foreign: keyed draws do not reach inside. A row's copy is seeded from the run's seed and
    the row's id, so a run repeats to the bit and a batch equals its rows; but within an episode the copy draws
    from its own stream, and two runs share their luck only as far as they draw alike. It names no sites, so only
    "observation", "action" and "reward" can be recorded or intervened on. Its ``info`` is not kept. An environment
    cannot go back: to step a state a second time, a fresh copy plays what led to it once more.

    Rows end whenever their copies do: where one terminates, the row has ``terminated``, where a time limit of its own
    cuts it short, ``truncated``. Observations are arrays, text, or dicts of them; other spaces are refused at once.
    """

    env: str | Callable[[], gymnasium.Env[Any, Any]] | gymnasium.Env[Any, Any]

    def __post_init__(self) -> None:
        if isinstance(self.env, VectorEnv):
            raise ValueError(f"{self.env} is a vector environment: expected one row; pass what makes a single one")
        if not isinstance(self.env, str | gymnasium.Env) and not callable(self.env):
            what = type(self.env).__name__
            raise TypeError(f"env is a {what}: expected an id, an environment, or a function that makes one")
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
            made = self.env()
            if not isinstance(made, gymnasium.Env):
                raise TypeError(f"env makes a {type(made).__name__}: expected a gymnasium.Env")
            return made
        try:
            return copy.deepcopy(self.env)
        except Exception as error:
            raise ValueError(
                f"{self.env} cannot be copied ({error}): pass its id, or a function that makes one, to FromGym"
            ) from error

    def reset(self, draws: Draws, site: Sites) -> tuple[Array, Column]:
        """A fresh copy a row, each with its own seed."""
        seeds = (episode_ids(draws.seed & (1 << 63) - 1, draws.ids) & (1 << 62) - 1).tolist()
        state = np.empty(len(seeds), dtype=object)
        for i, seed in enumerate(seeds):
            state[i] = self._begun(seed)
        return state, self._seen(state, draws)

    def step(self, state: Array, action: Any, draws: Draws, site: Sites) -> Transition:
        """One step of each copy that has not ended; the others stay as they are, with reward 0."""
        n = len(state)
        actions = iterate(batch_space(self.action_space, n), to_numpy(map_column(to_cpu, action)))
        after = np.empty(n, dtype=object)
        for i, (moment, one) in enumerate(zip(state, actions, strict=True)):
            after[i] = self._after(moment, one)
        told = [(moment.reward, moment.terminated, moment.truncated) for moment in after]
        reward, terminated, truncated = torch.tensor(told, dtype=torch.float64, device=draws.ids.device).unbind(1)
        return Transition(after, self._seen(after, draws), reward.float(), terminated.bool(), truncated.bool())

    def _begun(self, seed: int) -> "_Moment":
        env = self._make()
        return _Moment(_Life(env, seed, []), 0, env.reset(seed=seed)[0])

    def _after(self, moment: "_Moment", action: Any) -> "_Moment":
        """The moment after an action in another."""
        if moment.terminated or moment.truncated:
            return replace(moment, reward=0.0)
        life = moment.life
        if len(life.actions) != moment.step:  # it has moved on from here
            life = self._begun(life.seed).life
            for one in moment.life.actions[: moment.step]:
                life.env.step(one)
                life.actions.append(one)
        observation, reward, terminated, truncated, _ = life.env.step(action)
        life.actions.append(action)
        return _Moment(life, moment.step + 1, observation, float(reward), bool(terminated), bool(truncated))

    def _seen(self, state: Array, draws: Draws) -> Column:
        return stack(self.observation_space, [moment.observation for moment in state], draws.ids.device)


@dataclass(eq=False)
class _Life:
    """A copy of the environment, how it began, and what was done in it so far."""

    env: gymnasium.Env[Any, Any]
    seed: int
    actions: list[Any]


@dataclass(frozen=True, eq=False)
class _Moment:
    """The state of a row: a step of a life, which may have moved on since, and what was seen there."""

    life: _Life
    step: int
    observation: Any
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False  # by a time limit of its own

    def __repr__(self) -> str:
        """By which it is known: a life is all that was done in it."""
        return f"_Moment({self.life.seed}, {self.life.actions[: self.step]})"

    def __deepcopy__(self, memo: Any) -> "_Moment":
        return self  # it never changes
