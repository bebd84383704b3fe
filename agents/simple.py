"""Policies that need no learning: uniform, fixed, a table, softmax slates; and the simulator's replay, handed on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, Replay

__all__ = ["Fixed", "PlackettLuce", "Replay", "Table", "UniformSlates"]


@dataclass(frozen=True, eq=False)
class Fixed:
    """The same action for every row at every step; ``action`` as one row's action, a tensor or nested ints."""

    action: Any

    def repeated(self, times: int) -> Self:
        """For several populations at once: the same, since it looks at nobody else."""
        return self

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The action, once a row."""
        action = self._action.to(draws.ids.device)
        return action.expand(len(draws.ids), *action.shape)

    @cached_property
    def _action(self) -> Tensor:
        return torch.as_tensor(self.action)


@dataclass(frozen=True, eq=False)
class Table:
    """A policy as a table: which action in which state at which step.

    actions: (H, S, …), or (S, …) for a policy that does not depend on the step. Steps beyond H raise IndexError.
    """

    actions: Tensor
    stationary: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.actions, Tensor):
            raise TypeError(f"actions is a {type(self.actions).__name__}: expected a tensor; use torch.as_tensor")

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The action of each row's state, an int64 observation (n,)."""
        table = self.actions if self.stationary else self.actions[draws.step]
        return table.index_select(0, observation)


@dataclass(frozen=True, eq=False)
class UniformSlates:
    """Lists of ``length`` distinct items, every ordered list equally likely."""

    num_items: int
    length: int

    def __post_init__(self) -> None:
        if not 1 <= self.length <= self.num_items:
            raise ValueError(
                f"UniformSlates({self.num_items}, {self.length}) shows lists of {self.length} out of "
                f"{self.num_items} items: expected num_items first, and 1 <= length <= num_items"
            )

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        """(n, length) int64."""
        return draws.uniform("slate", self.num_items).argsort(dim=1)[:, : self.length]


@dataclass(frozen=True, eq=False)
class PlackettLuce:
    """Lists of ``length`` distinct items, drawn one after the other in proportion to exp(score) among those left.

    scores: (S, N) float64, a row for each user state, or (N,) for all; smaller scores explore more.

    How likely a list was is known exactly, which is what off-policy evaluation asks of a logging policy:
    ``prefix_propensity(policy.scores_in(states), slates)`` and its neighbours in ``simulator.ope``.
    """

    scores: Tensor
    length: int

    def __post_init__(self) -> None:
        if not isinstance(self.scores, Tensor):
            raise TypeError(f"scores is a {type(self.scores).__name__}: expected a tensor; use torch.as_tensor")
        if self.scores.dim() not in (1, 2) or not 1 <= self.length <= self.scores.shape[-1]:
            raise ValueError(
                f"scores have shape {tuple(self.scores.shape)} for lists of {self.length}: expected (items,) or "
                "(states, items), with at least as many items as a list holds"
            )

    def scores_in(self, state: Tensor) -> Tensor:
        """(…, N) the scores that apply in each of these states (…)."""
        return self.scores.expand(*state.shape, -1) if self.scores.dim() == 1 else self.scores[state]

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """(n, length) int64: the top of the scores plus Gumbel noise, which draws exactly this distribution."""
        noise = draws.gumbel("slate", self.scores.shape[-1])
        return (self.scores_in(observation) + noise).topk(self.length, dim=1).indices
