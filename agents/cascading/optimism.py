"""Counts, bounds, plan: what the learners share."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator import History

from . import plan_kernels as kernels
from . import replan_kernels

_Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class Optimist:
    """Counts, the bounds that follow from them, and the optimistic plan that follows from the bounds."""

    reward: _Array  # (S, N + 1), 0 for no click
    counts: kernels.Counts
    bounds: kernels.Bounds
    working: kernels.Plan  # the plan, of which some bonuses may be out of date
    rule: kernels.Rule
    leeway: replan_kernels.Leeway
    whole: bool = False  # whether none is

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
        leeway = replan_kernels.Leeway(
            moved=np.zeros(H + 1),
            until=np.full((H, S), -np.inf),
            clipped=np.full((H, S), -np.inf),
            seen=np.zeros((S, N + 1)),
            relisted=np.ones(H, np.bool_),
        )
        optimist = cls(pad(reward, (0, 1)).numpy(), counts, bounds, plan, rule, leeway)
        optimist.replan()
        return optimist

    @property
    def plan(self) -> kernels.Plan:
        """All that follows from the counts."""
        if not self.whole:
            self.counts.visited[:] = True
            self.leeway.until[:] = self.leeway.clipped[:] = -np.inf
            self.replan()
            self.whole = True
        return self.working

    def replan(self) -> None:
        """The lists and the bounds on values after counts have changed."""
        tables = self.counts, self.bounds, self.reward, self.rule, self.working, self.leeway
        replan_kernels.replan(*tables, 0, len(self.reward))
        self.whole = False

    def learn(self, history: History) -> None:
        """Count what the histories show, and plan again."""
        states, slates = steps_of(history, self.working.slates.shape, self.reward.shape[1] - 1)
        clicks = _integers(history.column("click"))
        _check_numbers("click", clicks, 0, slates.shape[2] + 1)
        kernels.count_episodes(states, slates, clicks, history.length.cpu().numpy(), self.counts)
        self.replan()


def _integers(column: Tensor) -> _Array:
    """A recorded column of integers as a contiguous array; what lies between two is no integer and rounds down."""
    if column.is_floating_point():
        column = column.floor()
    return column.cpu().to(torch.int64).contiguous().numpy()


def steps_of(history: History, shape: tuple[int, ...], num_items: int) -> tuple[_Array, _Array]:
    """States (n, T + 1) and slates (n, T, m) of histories that an agent planning (H, S, m) can learn from."""
    _, num_states, length = shape
    action = history.action
    if action.dim() != 3 or action.shape[2] != length:
        raise ValueError(
            f"actions have shape {tuple(action.shape)}: expected slates (rows, steps, {length}), padded with -1"
        )
    states, slates = _integers(history.observation), _integers(action)
    _check_numbers("observation", states, 0, num_states)
    _check_numbers("action", slates, -1, num_items)
    return states, slates


def _check_numbers(name: str, column: _Array, least: int, below: int) -> None:
    """ValueError where a recorded number lies outside [least, below)."""
    row = kernels.first_row_outside(column.reshape(len(column), math.prod(column.shape[1:])), least, below)
    if row >= 0:
        raise ValueError(
            f"'{name}' of row {row} is {column[row].tolist()}: expected numbers from {least} to {below - 1}"
        )


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
    if observation.is_cpu:  # the same, without torch's indexing, which costs more than the look-up
        return torch.from_numpy(slates[step][observation.numpy()])
    return torch.from_numpy(slates[step]).to(observation.device)[observation]
