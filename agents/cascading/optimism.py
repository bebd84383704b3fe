"""Counts, bounds, plan: what the learners share."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator import History, check_is, check_number, checked_int

from . import plan_kernels as kernels
from . import replan_kernels

_Array = np.ndarray[Any, Any]
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


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
        states, slates, lengths = steps_of(history, self.working.slates.shape, self.reward.shape[1] - 1)
        clicks = _integers("click", history.column("click"), slates.shape[:2])
        _check_numbers("click", clicks, 0, slates.shape[2] + 1)
        row = kernels.first_row_off_slate(slates, clicks, lengths)
        if row >= 0:
            raise ValueError(
                f"'click' of row {row} is {clicks[row].tolist()} on {slates[row].tolist()}: expected the place of an "
                f"item, or {slates.shape[2]} for none; -1 is empty"
            )
        kernels.count_episodes(states, slates, clicks, lengths, self.counts)
        self.replan()


def _integers(name: str, column: Any, shape: tuple[int, ...]) -> _Array:
    """A recorded column of integers as a contiguous array."""
    if not isinstance(column, Tensor) or column.dtype not in INTEGERS or column.shape != shape:
        what = f"{column.dtype} {tuple(column.shape)}" if isinstance(column, Tensor) else f"a {type(column).__name__}"
        raise ValueError(f"'{name}' of the history is {what}: expected integers {tuple(shape)}")
    return column.cpu().to(torch.int64).contiguous().numpy()


def steps_of(history: History, shape: tuple[int, ...], num_items: int) -> tuple[_Array, _Array, _Array]:
    """States (n, T + 1), slates (n, T, m), lengths (n,) of histories, for an agent that plans (H, S, m)."""
    check_is("history", history, History, "a History, such as rollout and episodes give")
    _, num_states, length = shape
    rows, steps = len(history.ids), history.num_steps
    slates = _integers("action", history.action, (rows, steps, length))
    states = _integers("observation", history.observation, (rows, steps + 1))
    lengths = _integers("length", history.length, (rows,))
    if rows and not (lengths.min() >= 0 and lengths.max() <= steps):
        raise ValueError(f"'length' of the history goes from {lengths.min()} to {lengths.max()}: expected 0 to {steps}")
    _check_numbers("observation", states, 0, num_states)
    _check_numbers("action", slates, -1, num_items)
    return states, slates, lengths


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
    checked_int("length", length, 1, reward.shape[1])
    checked_int("horizon", horizon, 1)
    check_number("delta", delta, 0, 1)
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta}: expected a probability between 0 and 1")


def act_on_plan(slates: _Array, observation: Tensor, step: Any) -> Tensor:
    """The planned list of each row's state."""
    last = int(step.max()) if isinstance(step, Tensor) else step
    if last >= len(slates):
        raise IndexError(
            f"step {last} of an agent that plans {len(slates)} steps: pass horizon={len(slates)} to rollout"
        )
    if not isinstance(observation, Tensor) or observation.dtype not in INTEGERS or observation.dim() != 1:
        what = getattr(observation, "dtype", type(observation).__name__)
        raise ValueError(f"observation is {what}: expected the state of each user, integers (n,)")
    states = observation.cpu().numpy()  # torch's own indexing costs more than the look-up
    top = slates.shape[1]
    if len(states) == 1:  # a kernel's call would cost as much as the look-up
        row = -1 if 0 <= states[0] < top else 0
    else:
        row = kernels.first_row_outside(states[:, None], 0, top)
    if row >= 0:
        raise ValueError(f"observation of row {row} is {states[row]}: expected a state from 0 to {slates.shape[1] - 1}")
    at = step.cpu().numpy() if isinstance(step, Tensor) else step
    return torch.from_numpy(slates[at, states]).to(observation.device)
