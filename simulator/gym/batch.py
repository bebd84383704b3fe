"""Rows whose episodes begin and end each at a time of its own, moved by one call of the world."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..draws import Draws
from ..run import Run
from ..sites import Sites
from ..trees import leaves_of, rebuild, select_rows
from ..world import World
from .convert import Array, without_gradients


class Batch(Run):
    """A run of many rows, in which other episodes begin in the place of those that have ended.

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
        self.restart(ids)

    def restart(self, ids: Tensor, places: Array | None = None) -> None:
        """Begin these episodes, (k,) int64, in all rows, or in the places of some, (k,) int64 ascending."""
        if places is None:
            without_gradients(self.begin, Draws(0, ids, scope="world"))
            self._end_nowhere()
            return
        fresh = self._begun(ids)
        self._weave((self.state, self.observation), None, fresh, places)
        self._place(self._steps(), fresh, places)
        self.done = self.done.copy()
        self.done[places] = False
        self.any_done = np.count_nonzero(self.done) > 0

    def move(self, action: Any) -> None:
        """One step of every row, none of which may be done."""
        without_gradients(self.advance, action)

    def move_and_restart(self, action: Any, going: Array, next_ids: Callable[[], Tensor]) -> None:
        """One step of some rows, and other episodes in the places of all others.

        going: (k,) int64 ascending, where those stand that go on. action: theirs. next_ids: gives (n - k,) int64, as
        soon as the step is made, so that one that fails has changed nothing.
        """
        part, steps, places = self._some(going), self._steps() + 1, self.done.nonzero()[0]
        part.move(action)
        fresh = self._begun(next_ids())
        self._weave((part.state, part.observation), going, fresh, places)
        self._place(steps, fresh, places)
        self._end_nowhere()
        for whole, of_part in zip((*self.outcome, self.done), (*part.outcome, part.done), strict=True):
            whole[going] = of_part
        self.any_done, self._checked = part.any_done, True

    def _end(self, terminated: Tensor) -> None:
        step, ended = self.draws.step, terminated.numpy().copy()
        late = (step.numpy() if isinstance(step, Tensor) else step) + 1 >= self.horizon
        truncated = np.zeros(self._rows, np.bool_) if late is False else late & ~ended
        self.terminated, self.done = terminated, ended | truncated
        self.any_done = np.count_nonzero(self.done) > 0
        self.outcome = self.reward.numpy().copy(), ended, truncated

    def _end_nowhere(self) -> None:
        n = self._rows
        self.outcome = np.zeros(n, np.float32), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self.done, self.any_done = np.zeros(n, np.bool_), False

    def _begun(self, ids: Tensor) -> Run:
        self.site.step = 0
        fresh = Run(self.world, Draws(0, ids, scope="world"), self.site)
        without_gradients(fresh.begin)
        return fresh

    def _some(self, rows: Array) -> "Batch":
        """Some rows, (k,) int64 positions, going on by themselves; their observations are left behind."""
        part = object.__new__(Batch)
        part.__dict__.update(self.__dict__)
        try:
            part.state = select_rows(self.state, torch.from_numpy(rows))
        except TypeError as error:
            raise self._refusal(error) from error
        part.draws, part._rows = _drawing(self.draws.ids.numpy()[rows], self._steps()[rows]), len(rows)
        self.site.step = part.draws.step
        return part

    def _steps(self) -> Array:
        step = self.draws.step
        return step.numpy() if isinstance(step, Tensor) else np.full(self._rows, step)

    def _place(self, steps: Array, fresh: Run, places: Array) -> None:
        """Draws at these steps, but for the fresh rows."""
        ids, steps = self.draws.ids.numpy().copy(), steps.copy()
        ids[places], steps[places] = fresh.draws.ids.numpy(), 0
        self.draws = _drawing(ids, steps)
        self.site.step = self.draws.step

    def _weave(self, old: tuple[Any, Any], going: Array | None, fresh: Run, places: Array) -> None:
        """State and observation out of those of rows that go on, and of fresh ones; going None: all that there were."""
        new = fresh.state, fresh.observation
        at = None if going is None else torch.from_numpy(going)
        woven: dict[tuple[int, int], Any] = {}  # an array that stands in two places does so afterwards
        leaves = []
        try:
            for a, b in zip(leaves_of(old), leaves_of(new), strict=True):
                key = id(a), id(b)
                if key not in woven:
                    woven[key] = _woven(a, at, b, torch.from_numpy(places), self._rows)
                leaves.append(woven[key])
        except (TypeError, ValueError, RuntimeError) as error:
            raise self._refusal(error) from error
        self.state, self.observation = rebuild(old, iter(leaves))

    def _refusal(self, error: Exception) -> TypeError:
        return TypeError(
            f"rows of {type(self.world).__name__} begin at different times, and its state is not made of rows: "
            f"{error}; expected tensors whose first axis is rows, in dataclasses, dicts or tuples, as reset makes them"
        )


def _drawing(ids: Array, steps: Array) -> Draws:
    """Draws of rows at steps, (n,) int64 each; an int if all are the same."""
    first = steps[0]
    same = first == steps[-1] and bool((steps == first).all())
    return Draws(0, torch.from_numpy(ids), int(first) if same else torch.from_numpy(steps), "world")


def _woven(old: Any, going: Tensor | None, new: Any, places: Tensor, n: int) -> Any:
    """(n, …) out of ``old`` at ``going`` (None: it has n rows) and ``new`` at ``places``."""
    if isinstance(old, Tensor):
        if going is None:
            return old.index_copy(0, places.to(old.device), new)
        whole = old.new_empty((n, *old.shape[1:])).index_copy_(0, going.to(old.device), old)
        return whole.index_copy_(0, places.to(old.device), new)
    if isinstance(old, np.ndarray):
        array = old.copy() if going is None else np.empty((n, *old.shape[1:]), old.dtype)
        if going is not None:
            array[going.numpy()] = old
        array[places.numpy()] = new
        return array
    if old != new:
        raise ValueError(f"it holds {old!r} for some rows and {new!r} for others")
    return old
