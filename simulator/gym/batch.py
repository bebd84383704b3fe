"""Rows whose episodes begin and end each at a time of its own, moved by one call of the world."""

from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..draws import Draws
from ..run import Run
from ..sites import Sites
from ..trees import concatenate, leaves_of, rebuild, select_rows
from ..world import World

Array = np.ndarray[Any, Any]


class Batch(Run):
    """A run of many rows, in which other episodes begin in the place of those that ended.

    The step of ``draws`` is an int while all rows are at one step of their episodes, (n,) int64 while they are not;
    the world is called once for all in both cases. outcome: reward (n,) float32, terminated and truncated (n,) bool of
    the last step, arrays to hand out. done: (n,) bool array, whose episode is over; any_done: whether there is one.
    """

    outcome: tuple[Array, Array, Array]
    done: Array
    any_done: bool

    def __init__(self, world: World, horizon: int, ids: Tensor) -> None:
        """The first state of episodes; ids: (n,) int64, theirs."""
        super().__init__(world, Draws(0, ids, scope="world"), Sites())
        self.horizon = horizon
        self.start(ids)

    def start(self, ids: Tensor) -> None:
        """Begin anew, with these episodes; ids: (n,) int64."""
        with torch.no_grad():
            self.begin(Draws(0, ids, scope="world"))
        n = len(ids)
        self.done, self.any_done = np.zeros(n, np.bool_), False
        self.outcome = np.zeros(n, np.float32), np.zeros(n, np.bool_), np.zeros(n, np.bool_)

    def move(self, action: Any) -> None:
        """One step of every row, none of which may be done."""
        with torch.no_grad():
            self.advance(action)

    def _end(self, terminated: Tensor) -> None:
        late = self.draws.step + 1 >= self.horizon
        ended = terminated.numpy().copy()
        truncated = (late.numpy() if isinstance(late, Tensor) else late) & ~ended
        self.terminated, self.done = terminated, ended | truncated
        self.any_done = bool(np.count_nonzero(self.done))
        self.outcome = self.reward.numpy().copy(), ended, truncated

    def some(self, rows: Array) -> "Batch":
        """Some rows, (k,) int64 positions, going on by themselves."""
        part, where = copy(self), torch.from_numpy(rows)
        part.state = _of_rows(self.world, select_rows, self.state, where)
        draws = self.draws.of(where)
        part.draws, part._rows = draws.at(_shared(draws.step)), len(rows)
        part.site.step = part.draws.step
        return part

    def weave(self, old: "Batch", going: Array, new: "Batch", places: Array | None = None) -> None:
        """Become a mixture of two others: the rows of ``old`` at their places ``going``, all others those of ``new``.

        going: (k,) int64, ascending. places: (l,) int64, ascending, of the new ones, where that is not "all others":
        they then take the place of an old one.
        """
        n, k = len(self.done), len(old.done)
        order = np.full(n, -1)
        order[going] = np.arange(k)
        order[order < 0 if places is None else places] = np.arange(k, k + len(new.done))
        both = (old.state, old.observation), (new.state, new.observation)
        self.state, self.observation = _of_rows(self.world, _woven, *both, torch.from_numpy(order))
        ids, steps = (torch.from_numpy(np.concatenate(pair)[order]) for pair in zip(_who(old), _who(new), strict=True))
        self.draws, self._rows = Draws(0, ids, _shared(steps), "world"), n
        self.site.step = self.draws.step
        self.done = np.concatenate((old.done, new.done))[order]
        self.any_done = bool(np.count_nonzero(self.done))
        reward, terminated, truncated = map(np.concatenate, zip(old.outcome, new.outcome, strict=True))
        self.outcome = reward[order], terminated[order], truncated[order]


def _who(batch: Batch) -> tuple[Array, Array]:
    """Ids and steps, (n,) int64."""
    ids, step = batch.draws.ids.numpy(), batch.draws.step
    return ids, step.numpy() if isinstance(step, Tensor) else np.full(len(ids), step)


def _shared(steps: int | Tensor) -> int | Tensor:
    """An int if all steps are one."""
    if not isinstance(steps, Tensor):
        return steps
    first, array = steps.numpy()[0], steps.numpy()
    return int(first) if (array == first).all() else steps


def _of_rows(world: World, function: Any, *arguments: Any) -> Any:
    """What a function of states gives, or an error that says what a state must be."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"a vector environment of {type(world).__name__} cannot take rows out of its state, where they end at "
            f"different steps ({error}): expected tensors whose first axis is rows, in dataclasses, dicts or tuples"
        ) from error


def _woven(old: Any, new: Any, order: Tensor) -> Any:
    """Two states as one: row i is row ``order[i]`` of the old one followed by the new."""
    done: dict[tuple[int, int], Any] = {}  # an array that stands in a state twice does so afterwards
    leaves = []
    for pair in zip(leaves_of(old), leaves_of(new), strict=True):
        key = id(pair[0]), id(pair[1])
        if key not in done:
            done[key] = _row_of(pair, order)
        leaves.append(done[key])
    return rebuild(old, iter(leaves))


def _row_of(pair: tuple[Any, Any], order: Tensor) -> Any:
    if isinstance(pair[0], Tensor | np.ndarray):
        return select_rows(concatenate(pair), order)
    if pair[0] != pair[1]:
        raise ValueError(f"it holds {pair[0]!r} for some rows and {pair[1]!r} for others")
    return pair[0]
