"""Memory: what rows saw and did in their last steps, kept in a world's state for who sits inside the world.

A rollout keeps the history of its own policy. A user in a session, or the citizens under a planner, act inside a world,
so the world hands them theirs: its state carries a Memory, and is then as pure as before, whoever runs it.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from .draws import Draws
from .history import Column, History, first_leaf, map_column


@dataclass(frozen=True, eq=False)
class Memory:
    """The last steps of n rows, at most W of them, the oldest first.

    observation: (n, W, …) what was seen before each action. action: (n, W, …). reward: (n, W) float32. count: (n,)
    int64, how many steps there are; what stands from there on means nothing.
    """

    observation: Column
    action: Column
    reward: Tensor
    count: Tensor

    @classmethod
    def empty(cls, steps: int, observation: Any, action: Any) -> "Memory":
        """Nothing yet, with room for so many steps of such columns, (n, …)."""

        def room(leaf: Any) -> Any:
            shape = (len(leaf), steps, *leaf.shape[1:])
            if isinstance(leaf, Tensor):
                return leaf.new_zeros(shape)
            return np.full(shape, "" if leaf.dtype == object else 0, leaf.dtype)

        some = first_leaf(observation)
        count = torch.zeros(len(some), dtype=torch.int64, device=some.device if isinstance(some, Tensor) else None)
        reward = torch.zeros(len(some), steps, device=count.device)
        return cls(map_column(room, observation), map_column(room, action), reward, count)

    def after(self, observation: Column, action: Column, reward: Tensor | None = None) -> "Memory":
        """With one step more; where there is no room the oldest goes. Columns (n, …); reward None: 0."""
        steps = self.reward.shape[1]
        full = self.count >= steps
        moves, place = full if bool(full.any()) else None, self.count.clamp(max=steps - 1)
        return Memory(
            map_column(lambda column, new: _put(_moved(column, moves), place, new), self.observation, observation),
            map_column(lambda column, new: _put(_moved(column, moves), place, new), self.action, action),
            self.reward if reward is None else _put(_moved(self.reward, moves), place, reward),
            (self.count + 1).clamp(max=steps),
        )

    def history(self, observation: Column, draws: Draws) -> History:
        """What a policy is handed: these steps, and at last what it sees now, (n, …).

        As many steps as the row with the most has; ``history.length`` says how many each has.
        """
        steps = int(self.count.max()) if len(self.count) else 0

        def seen(column: Any, now: Any) -> Any:
            join: Any = torch.cat if isinstance(column, Tensor) else np.concatenate
            return _put(join([column[:, :steps], column[:, :1]], 1), self.count, now)

        return History.of(
            observation=map_column(seen, self.observation, observation),
            action=map_column(lambda column: column[:, :steps], self.action),
            reward=self.reward[:, :steps],
            truncated=torch.zeros_like(self.reward[:, :steps], dtype=torch.bool),  # it goes on
            length=self.count,
            ids=draws.ids,
            seed=draws.seed,
        )


def _moved(column: Any, who: Tensor | None) -> Any:
    """A copy of a column (n, W, …), without the oldest step of those who have no room; who: (n,) bool, None: nobody."""
    if who is None:
        return column.clone() if isinstance(column, Tensor) else column.copy()
    shape = (-1, *[1] * (column.ndim - 1))
    if isinstance(column, Tensor):
        return torch.where(who.view(shape), torch.cat([column[:, 1:], column[:, -1:]], 1), column)
    return np.where(who.numpy().reshape(shape), np.concatenate([column[:, 1:], column[:, -1:]], 1), column)


def _put(column: Any, place: Tensor, new: Any) -> Any:
    """The column itself, with each row's new entry (n, …) at its place (n,)."""
    rows = torch.arange(len(place), device=place.device)
    if isinstance(column, Tensor):
        column[rows, place] = new.to(column.dtype)
    else:
        column[rows.numpy(), place.numpy()] = new
    return column


_nothing: tuple[Tensor, int, History] | None = None  # the last one: a run asks at each step for the same rows


def nothing_yet(draws: Draws) -> History:
    """The history of rows of whom nothing is kept: no steps."""
    global _nothing
    if _nothing is None or _nothing[0] is not draws.ids or _nothing[1] != draws.seed:
        none = torch.zeros(len(draws.ids), 0, device=draws.ids.device)
        flag = none.bool()
        length = torch.zeros_like(draws.ids)
        history = History.of(
            action=none, reward=none, terminated=flag, truncated=flag, length=length, ids=draws.ids, seed=draws.seed
        )
        _nothing = (draws.ids, draws.seed, history)
    return _nothing[2]


def steps_remembered(policy: Any) -> int:
    """How many past steps a policy reads: its ``memory``, see ``world.Remembering``; 0 without one."""
    steps = getattr(policy, "memory", 0)
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise ValueError(
            f"memory of {type(policy).__name__} is {steps!r}: expected how many past steps it reads, an int"
        )
    return steps


def blank(space: gymnasium.Space[Any], rows: int, device: torch.device | None = None) -> Column:
    """A column of so many rows of a space, of zeros and empty text."""
    if isinstance(space, spaces.Dict):
        return {key: blank(part, rows, device) for key, part in space.items()}
    if isinstance(space, spaces.Text):
        return np.full(rows, "", dtype=object)
    return torch.from_numpy(np.zeros((rows, *(space.shape or ())), space.dtype)).to(device)
