"""Rows whose episodes begin and end each at a time of its own, moved by one call of the world."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..draws import Draws
from ..run import Run
from ..trees import concatenate, leaves_of, rebuild
from ..world import World
from .convert import Array, without_gradients
from .view import Infos, View, listening


class Batch(Run):
    """A run of many rows, in which other episodes begin in the place of those that have ended.

    The step of ``draws`` is an int while all rows are at one step of their episodes, (n,) int64 while they are not;
    the world is called once for all in both cases. outcome: reward (n,) float32, terminated and truncated (n,) bool of
    the last step, arrays to hand out. info: what the view makes of it. done: (n,) bool array, whose episode is over;
    any_done: whether there is one.
    """

    outcome: tuple[Array, Array, Array]
    info: Infos
    done: Array
    any_done: bool

    def __init__(self, world: World, horizon: int, ids: Tensor, view: View) -> None:
        """The first state of episodes; ids: (n,) int64, theirs, on the device to run on."""
        super().__init__(world, Draws(0, ids, scope="world"), listening())
        self.horizon, self.view = horizon, view
        self.restart(ids)

    def restart(self, ids: Tensor, places: Array | None = None) -> None:
        """Begin these episodes, (k,) int64, in all rows, or in the places of some, (k,) int64 ascending."""
        if places is None:
            without_gradients(self.begin, Draws(0, ids, scope="world"))
            self._end_nowhere()
            self.info = self.view.info(self)
            return
        fresh = self._begun(ids)
        self.info = {name: values.copy() for name, values in self.info.items()}
        for name, values in self.view.info(fresh).items():
            self.info[name][places] = values
        order = np.arange(self._rows)
        order[places] = np.arange(self._rows, self._rows + len(places))
        self._weave((self.state, self.observation), fresh, order)
        self._place(self._steps(), fresh, places)
        self.done = self.done.copy()
        self.done[places] = False
        self.any_done = bool(np.count_nonzero(self.done))

    def move(self, action: Any) -> None:
        """One step of every row, none of which may be done."""
        without_gradients(self.advance, action)
        self.info = self.view.info(self)

    def move_and_restart(self, action: Any, going: Array, next_ids: Callable[[], Tensor]) -> None:
        """One step of some rows, and other episodes in the places of all others.

        going: (k,) int64 ascending, where those stand that go on. action: theirs. next_ids: gives (n - k,) int64, as
        soon as the step is made, so that one that fails has changed nothing.
        """
        part, steps, places = self._some(going), self._steps() + 1, self.done.nonzero()[0]
        part.move(action)
        fresh = self._begun(next_ids())
        order = np.empty(self._rows, np.int64)
        order[going], order[places] = np.arange(len(going)), np.arange(len(going), self._rows)
        self._weave((part.state, part.observation), fresh, order)
        self._place(steps, fresh, places)
        self._end_nowhere()
        self.outcome[0][going] = part.outcome[0]
        begun = self.view.info(fresh)
        self.info = {name: np.concatenate((values, begun[name]))[order] for name, values in part.info.items()}
        if part.any_done:
            for whole, of_part in zip((*self.outcome[1:], self.done), (*part.outcome[1:], part.done), strict=True):
                whole[going] = of_part
        self.any_done, self._checked = part.any_done, True

    def _end(self, terminated: Tensor, cut: Tensor | None = None) -> None:
        step, ended = self.draws.step, _here(terminated).copy()
        if isinstance(step, Tensor):
            truncated = (_here(step) + 1 >= self.horizon) & ~ended
            self.done = ended | truncated
        else:
            late = step + 1 >= self.horizon
            truncated = ~ended if late else np.zeros(self._rows, np.bool_)
            self.done = np.ones(self._rows, np.bool_) if late else ended.copy()
        if cut is not None:
            truncated |= _here(cut) & ~ended
            self.done |= truncated
        self.terminated, self.any_done = terminated, bool(np.count_nonzero(self.done))
        self.outcome = _here(self.reward).copy(), ended, truncated

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
            part.state = _mapped(partial(_taken, rows=torch.from_numpy(rows), n=self._rows), self.state)
        except (TypeError, ValueError) as error:
            raise self._refusal(error) from error
        part.draws, part._rows = self._drawing(_here(self.draws.ids)[rows], self._steps()[rows]), len(rows)
        self.site.step = part.draws.step
        return part

    def _steps(self) -> Array:
        step = self.draws.step
        return _here(step) if isinstance(step, Tensor) else np.full(self._rows, step)

    def _place(self, steps: Array, fresh: Run, places: Array) -> None:
        """Draws at these steps, but for the fresh rows."""
        ids, steps = _here(self.draws.ids).copy(), steps.copy()
        ids[places], steps[places] = _here(fresh.draws.ids), 0
        self.draws = self._drawing(ids, steps)
        self.site.step = self.draws.step

    def _drawing(self, ids: Array, steps: Array) -> Draws:
        """Draws of rows at steps, (n,) int64 each; an int if all are the same."""
        first, device = steps[0], self.draws.ids.device
        same = first == steps[-1] and bool((steps == first).all())
        step = int(first) if same else torch.from_numpy(steps).to(device)
        return Draws(0, torch.from_numpy(ids).to(device), step, "world")

    def _weave(self, old: tuple[Any, Any], fresh: Run, order: Array) -> None:
        """State and observation: row i is row ``order[i]`` of the old ones followed by the fresh."""
        try:
            weave = partial(_woven, order=torch.from_numpy(order), n=int(order.max()) + 1)
            woven = _mapped(weave, old, (fresh.state, fresh.observation))
        except (TypeError, ValueError) as error:
            raise self._refusal(error) from error
        self.state, self.observation = woven

    def _refusal(self, error: Exception) -> TypeError:
        return TypeError(
            f"rows of {type(self.world).__name__} begin at different times, and its state is not made of rows: "
            f"{error}; expected tensors whose first axis is rows, in dataclasses, dicts or tuples, as reset makes them"
        )


def _here(tensor: Tensor) -> Array:
    """As an array, in main memory."""
    return tensor.numpy() if tensor.is_cpu else tensor.cpu().numpy()


def _mapped(function: Any, *trees: Any) -> Any:
    """A tree of what a function makes of the arrays of others; one that stands in two places does so afterwards."""
    made: dict[tuple[int, ...], Any] = {}
    leaves = []
    for arrays in zip(*map(leaves_of, trees), strict=True):
        key = tuple(map(id, arrays))
        if key not in made:
            made[key] = function(*arrays)
        leaves.append(made[key])
    return rebuild(trees[0], iter(leaves))


def _taken(array: Any, rows: Tensor, n: int) -> Any:
    """Some rows of an array (n, …)."""
    if isinstance(array, Tensor | np.ndarray) and array.shape[:1] != (n,):
        raise ValueError(f"it holds {array.dtype} {tuple(array.shape)} for {n} rows")
    if isinstance(array, Tensor):
        return array.index_select(0, rows if array.is_cpu else rows.to(array.device))
    return array[rows.numpy()] if isinstance(array, np.ndarray) else array


def _woven(old: Any, new: Any, order: Tensor, n: int) -> Any:
    """Two arrays as one, whose row i is row ``order[i]`` of the old one followed by the new; n: rows of both."""
    if isinstance(old, Tensor | np.ndarray):
        if type(old) is not type(new) or old.dtype != new.dtype or old.shape[1:] != new.shape[1:]:
            begun, on = (f"{getattr(a, 'dtype', a)} {tuple(getattr(a, 'shape', ()))[1:]}" for a in (new, old))
            raise ValueError(f"it holds {begun} a row where an episode begins, and {on} later")
        return _taken(concatenate((old, new)), order, n)
    if old != new:
        raise ValueError(f"it holds {new!r} where an episode begins, and {old!r} later")
    return old
