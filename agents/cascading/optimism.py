"""Counts, bounds, plan: what the learners share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator import History

from . import plan_kernels as kernels

_Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class Optimist:
    """Counts, the bounds that follow from them, and the optimistic plan that follows from the bounds."""

    reward: _Array  # (S, N + 1), 0 for no click
    counts: kernels.Counts
    bounds: kernels.Bounds
    plan: kernels.Plan
    rule: kernels.Rule

    @classmethod
    def start(cls, reward: Tensor, length: int, horizon: int, rule: kernels.Rule) -> "Optimist":
        """No counts yet, and the plan that this gives."""
        (S, N), H = reward.shape, horizon
        counts = kernels.Counts(np.zeros((S, N)), np.zeros((S, N + 1)), np.zeros((S, S, N + 1)), np.ones(S, np.bool_))
        bounds = kernels.Bounds(np.ones((S, N)), np.zeros((S, N)), np.full((S, N + 1), np.inf))
        plan = kernels.Plan(
            upper=np.zeros((H + 1, S)),
            lower=np.zeros((H + 1, S)),
            value=np.zeros((H, S, N + 1)),
            bonus=np.zeros((H, S, N + 1)),
            order=np.tile(np.arange(N), (H, S, 1)),
            slates=np.full((H, S, length), -1),
            error=np.zeros((H + 1, S)),
        )
        optimist = cls(pad(reward, (0, 1)).numpy(), counts, bounds, plan, rule)
        optimist.replan()
        return optimist

    def replan(self) -> None:
        """The plan after counts have changed."""
        kernels.replan(self.counts, self.bounds, self.reward, self.rule, self.plan, 0, len(self.reward))

    def learn(self, history: History) -> None:
        """Count what the histories show, and plan again."""
        states, slates = steps_of(history, self.plan.slates.shape, self.reward.shape[1] - 1)
        clicks = _integers(history, "click", history.sites.get("click"), slates.shape[2] + 1)
        kernels.count_episodes(states, slates, clicks, history.length.cpu().numpy(), self.counts)
        self.replan()


def _integers(history: History, name: str, column: Tensor | None, below: int, least: int = 0) -> _Array:
    """A recorded column of integers as a contiguous array, checked to lie in [least, below)."""
    if column is None:
        raise LookupError(f"the history has no site '{name}': pass record=['{name}'] to rollout")
    outside = (column < least) | (column >= below)
    if outside.any():
        row = int(outside.flatten(1).any(1).nonzero()[0])
        raise ValueError(
            f"'{name}' of row {row} is {column[row].tolist()}: expected numbers from {least} to {below - 1}"
        )
    return column.cpu().to(torch.int64).contiguous().numpy()


def steps_of(history: History, shape: tuple[int, ...], num_items: int) -> tuple[_Array, _Array]:
    """States (n, T + 1) and slates (n, T, m) of histories that an agent planning (H, S, m) can learn from."""
    _, num_states, length = shape
    if history.action.dim() != 3 or history.action.shape[2] != length:
        raise ValueError(
            f"actions have shape {tuple(history.action.shape)}: expected slates (rows, steps, {length}), padded with -1"
        )
    states = _integers(history, "observation", history.observation, num_states)
    return states, _integers(history, "action", history.action, num_items, least=-1)


def check_settings(reward: Tensor, length: int, horizon: int, delta: float) -> None:
    """ValueError for settings that no learner can have."""
    if reward.dim() != 2 or reward.dtype != torch.float64 or not ((reward >= 0) & (reward <= 1)).all():
        raise ValueError(
            f"reward is {reward.dtype} {tuple(reward.shape)}: expected float64 (states, items) in [0, 1], the known "
            "reward for a click on each item"
        )
    if not 1 <= length <= reward.shape[1]:
        raise ValueError(f"length is {length}: expected 1 to {reward.shape[1]}, the number of items")
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}: expected at least 1 step")
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta}: expected a probability between 0 and 1")


def act_on_plan(slates: _Array, observation: Tensor, step: int) -> Tensor:
    """The planned list of each row's state."""
    if step >= len(slates):
        raise IndexError(
            f"step {step} of an agent that plans {len(slates)} steps: pass horizon={len(slates)} to rollout"
        )
    return torch.from_numpy(slates[step]).to(observation.device)[observation]
