"""Rows whose episodes began together."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..draws import Draws
from ..history import Column
from ..sites import Sites
from ..trees import leaves_of, rebuild, select_rows
from ..world import World


@dataclass(eq=False)
class Cohort:
    """Rows whose episodes began together and are therefore at the same step: what one call of a world takes."""

    world: World
    horizon: int
    rows: Tensor  # (c,) int64, ascending, where they stand in the vector
    draws: Draws
    state: Any
    observation: Column
    reward: Tensor  # (c,) float32, of the last step
    terminated: Tensor  # (c,) bool
    site: Sites
    out_of_time: bool = False
    ended: bool = False  # whether any row has

    @classmethod
    def begin(cls, world: World, horizon: int, rows: Tensor, ids: Tensor) -> "Cohort":
        """The first state of episodes, one for each row; ids: (c,) int64, the episodes'."""
        draws, site = Draws(0, ids, scope="world"), Sites()
        with torch.no_grad():
            state, observation = world.reset(draws, site)
        nothing = torch.zeros(len(rows))
        return cls(world, horizon, rows, draws, state, observation, nothing, nothing.bool(), site)

    def advance(self, action: Any) -> None:
        """One step."""
        with torch.no_grad():
            new = self.world.step(self.state, action, self.draws, self.site)
        self.state, self.observation, self.reward, self.terminated = new
        self.state, self.observation = _own((self.state, self.observation), action)
        self.draws = self.draws.at(self.draws.step + 1)
        self.site.step = self.draws.step
        self.out_of_time = self.draws.step >= self.horizon
        self.ended = self.out_of_time or bool(self.terminated.numpy().any())

    @property
    def truncated(self) -> Tensor:
        """(c,) bool: out of time without having terminated."""
        return ~self.terminated if self.out_of_time else torch.zeros_like(self.terminated)

    @property
    def done(self) -> Tensor:
        """(c,) bool."""
        return self.terminated | self.truncated

    def drop(self, leaving: Tensor) -> None:
        """Take rows out; leaving: (c,) bool."""
        if not leaving.any():
            return
        keep = (~leaving).nonzero()[:, 0]
        self.rows, self.reward, self.terminated = self.rows[keep], self.reward[keep], self.terminated[keep]
        self.draws = Draws(self.draws.seed, self.draws.ids[keep], self.draws.step, self.draws.scope)
        self.state, self.observation = select_rows(self.state, keep), select_rows(self.observation, keep)
        self.ended = self.out_of_time or bool(self.terminated.numpy().any())


def _own(tree: Any, lent: Any) -> Any:
    """The tree, its arrays copied where they lie in the memory of an action, which is the caller's."""
    addresses = {leaf.untyped_storage().data_ptr() for leaf in leaves_of(lent) if isinstance(leaf, Tensor)}
    try:
        leaves = leaves_of(tree)
    except TypeError:  # a state that holds more than arrays, a browser say
        return tree
    if not any(isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() in addresses for leaf in leaves):
        return tree
    return rebuild(tree, (leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves))
