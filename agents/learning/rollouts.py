"""Groups of episodes in a world: the same people meet the same luck, and the policy tries several things."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, Setup, World, check_has, checked_int

from .grpo import Answers


@dataclass(frozen=True, eq=False)
class Rollouts:
    """A ``Task`` whose prompts are rows of a world, and whose answers are what a policy does there, step by step.

    The episodes of a group share every draw of the world (state, clicks, contacts) and differ in the policy's own, so
    that within a group rewards differ by what was done. The policy, an ``nn.Module`` with ``act``, needs
    ``log_probs(history)``, (n, T). An episode is worth the sum of its rewards.
    """

    world: World
    horizon: int

    def __post_init__(self) -> None:
        check_has("world", self.world, "a World", "reset", "step")
        checked_int("horizon", self.horizon, 1)

    def answers(self, policy: Any, prompts: int, group: int, draws: Draws) -> Answers:
        """One rollout of prompts * group rows."""
        ids = draws.ids.repeat_interleave(group)
        history = Setup(self.world, _Apart(policy, group), rows=ids, horizon=self.horizon).run(draws.seed)
        reward = history.reward.sum(1)
        return Answers(reward.view(prompts, group), history.valid, history)


@dataclass(frozen=True, eq=False)
class _Apart:
    """A policy whose rows have ids of their own in groups that share one."""

    policy: Any
    group: int

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        own = draws.ids * self.group + torch.arange(len(draws.ids)) % self.group
        action: Tensor = self.policy.act(observation, history, Draws(draws.seed, own, draws.step, draws.scope))
        return action
