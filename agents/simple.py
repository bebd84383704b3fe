"""Policies that need no learning: uniform, fixed, a table, a replay."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ethogram.simulator.draws import Draws
from ethogram.simulator.history import History


@dataclass(frozen=True, eq=False)
class Fixed:
    """The same action for every row at every step; ``action`` as one row's action, a tensor or nested ints."""

    action: Any

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The action, once a row."""
        action = torch.as_tensor(self.action, device=draws.ids.device)
        return action.expand(len(draws.ids), *action.shape)


@dataclass(frozen=True, eq=False)
class Table:
    """A policy as a table: which action in which state at which step.

    actions: (H, S, …), or (S, …) for a policy that does not depend on the step. Steps beyond H raise IndexError.
    """

    actions: Tensor
    stationary: bool = False

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The action of each row's state, an int64 observation (n,)."""
        table = self.actions if self.stationary else self.actions[draws.step]
        return table[observation]


@dataclass(frozen=True, eq=False)
class UniformSlates:
    """Lists of ``length`` distinct items, every ordered list equally likely."""

    num_items: int
    length: int

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        """(n, length) int64."""
        return draws.uniform("slate", self.num_items).argsort(dim=1)[:, : self.length]


@dataclass(frozen=True, eq=False)
class Replay:
    """Plays back the actions of a recorded history: row i of the run does what row i did."""

    recorded: History

    def act(self, observation: Any, history: History, draws: Draws) -> Any:
        """The recorded action of this step."""
        if len(draws.ids) != len(self.recorded) or not torch.equal(draws.ids, self.recorded.ids):
            raise ValueError(
                f"replay of {len(self.recorded)} recorded rows on {len(draws.ids)} rows: expected the same ids; "
                "pass rows=recorded.ids to rollout"
            )
        return self.recorded.action[:, draws.step]
