"""The record of a run's sites: Record says how, and the recorder writes it, time first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .arguments import check_is, checked_int
from .history import History, map_column
from .memory import Tape, check_storable
from .run import Run
from .trees import owned


@dataclass(frozen=True, eq=False)
class Record:
    """A way to record a site, where keeping every row of every step would be too much.

    What it keeps goes to ``history.thinned[site]``, (n, T', …) of the steps kept, or, with ``reduce``, to
    ``history.series[site]``, (T', …), or (T', num_groups, …) with ``by``. What has no rows, such as a number of the
    whole city, is a series in any case.

    site: the name; "observation", "action" and "reward" too, whose full columns are then not kept.
    every: keep steps 0, every, 2 every, …
    reduce: None keeps rows; "mean" or "sum" is taken over rows, in float64; a function, such as one that
        counts how many people are in each stage, is given a copy of the value and gives the tensor to keep.
    by: (n,) int64, the group of each row, from 0.
    """

    site: str
    every: int = 1
    reduce: str | Callable[[Any], Tensor] | None = None
    by: Tensor | None = None

    def __post_init__(self) -> None:
        check_is("site of a Record", self.site, str, "a name, such as Record('click')")
        checked_int(f"every of Record('{self.site}')", self.every, 1)
        if self.reduce not in (None, "mean", "sum") and not callable(self.reduce):
            raise ValueError(
                f"Record('{self.site}') has reduce={self.reduce!r}: expected None, 'mean', 'sum' or a function"
            )
        if self.by is None:
            return
        if not isinstance(self.reduce, str):
            raise ValueError(f"Record('{self.site}') has by= without reduce='mean' or 'sum': add one of them")
        good = isinstance(self.by, Tensor) and self.by.dtype == torch.int64 and self.by.dim() == 1
        if not good or (self.by < 0).any():
            what = f"{self.by.dtype} {tuple(self.by.shape)}" if isinstance(self.by, Tensor) else type(self.by).__name__
            raise ValueError(f"by of Record('{self.site}') is {what}: expected an int64 tensor (n,), groups from 0")

    def reduced(self, value: Any) -> Any:
        """The kept part of a step's value: the value, its mean or sum over rows or groups, or what a function makes."""
        if self.reduce is None:
            return value
        if not isinstance(self.reduce, str):
            made = self.reduce(owned(value))
            if not isinstance(made, Tensor | Real | np.ndarray | list):
                raise TypeError(f"reduce of Record('{self.site}') gives {made!r}: expected a number or a tensor")
            return torch.as_tensor(made)
        if not isinstance(value, Tensor):
            raise ValueError(
                f"Record('{self.site}') has reduce='{self.reduce}', but this site is a {type(value).__name__}: "
                "expected a tensor; leave reduce= out"
            )
        if self.by is not None and value.shape[:1] != self.by.shape:
            what = f"by= for {len(self.by)} rows, but this site has shape {tuple(value.shape)}"
            raise ValueError(f"Record('{self.site}') has {what}: expected rows first; leave by= out")
        total = self.added(value, self.by)
        return total if self.reduce == "sum" else total / self.counts(len(value), total)

    def added(self, value: Tensor, by: Tensor | None) -> Tensor:
        """(…) float64 the sum over rows; or (num_groups, …) those over groups, by their numbers (n,)."""
        if by is not None:
            groups = 0 if self.by is None else int(self.by.max()) + 1  # of all rows, where ``by`` is of some
            total = torch.zeros((groups, *value.shape[1:]), dtype=torch.float64, device=value.device)
            return total.index_add_(0, by, value.to(torch.float64))
        if value.dtype == torch.bool and value.is_cpu and value.dim() == 1:  # counting is much faster than adding up
            return torch.from_numpy(np.array(np.count_nonzero(value.numpy()), np.float64))
        return value.sum(0, dtype=torch.float64)

    def counts(self, rows: int, total: Tensor) -> Any:
        """The number of rows that a sum is over; or (num_groups, 1, …) those of each group's."""
        return rows if self.by is None else self.by.bincount().view(-1, *[1] * (total.dim() - 1))


WHOLE = {name: Record(name) for name in ("observation", "action", "reward")}  # kept unless a Record says otherwise


class Recorder:
    """Keeps what is asked for, time first; what does not change is kept once."""

    def __init__(self, record: Sequence[str | Record] | str, horizon: int, ids: Tensor) -> None:
        """record: as in ``rollout``. horizon: steps that there may be. ids: (n,) int64."""
        if isinstance(record, str) and record != "all":
            raise ValueError(f"record={record!r}: expected 'all', or a list of names such as [{record!r}]")
        if not isinstance(record, Iterable):
            what = f"Record('{record.site}')" if isinstance(record, Record) else f"a {type(record).__name__}"
            raise TypeError(f"record is {what}: expected a list of names of sites and Records, such as ['click']")
        named = [] if isinstance(record, str) else [Record(r) if isinstance(r, str) else r for r in record]
        if not all(isinstance(r, Record) for r in named):
            raise TypeError(f"record={record!r}: expected names of sites, and Records")
        self.asked = [r.site for r in named]
        if twice := sorted({name for name in self.asked if self.asked.count(name) > 1}):
            raise ValueError(f"record names {twice} more than once: expected each site once, whole or by one Record")
        self.wanted = {**WHOLE, **{r.site: r for r in named}}
        self.everything = record == "all"
        for r in named:
            if r.by is not None and len(r.by) != len(ids):
                raise ValueError(f"by of Record('{r.site}') has {len(r.by)} rows: expected {len(ids)}")
        self.horizon, self.rows = horizon, len(ids)
        never = torch.zeros(1, 1, dtype=torch.bool, device=ids.device).expand(horizon, len(ids))
        self.columns: dict[str, Any] = {"terminated": never, "truncated": never}  # no memory until somebody ends
        self.series: dict[str, Any] = {}
        self.thinned: dict[str, Any] = {}
        self._tapes: dict[str, Any] = {}  # a column of Tapes for each column and series
        self._once: dict[str, int] = {}  # columns that are kept once so far: the last step that named them

    def __call__(self, name: str, step: int, value: Any) -> None:
        """Keep a site's value of a step, if it is asked for."""
        how = self.wanted.get(name)
        if how is None:
            if not self.everything:
                return
            how = self.wanted[name] = Record(name)
        if how.every > 1:
            if step % how.every:
                return
            step //= how.every
        if how.reduce is not None:
            value = how.reduced(value)
        tapes = self._tapes.get(name)
        if tapes is None:
            check_storable(name, value)
            whole = how.every == 1 and how.reduce is None
            steps = -(-(self.horizon + (name == "observation")) // how.every)
            once = whole and step == 0  # one that appears later has been nothing until then
            if isinstance(value, Tensor):
                tapes = Tape.begun(steps, value, once, step)
            else:
                tapes = map_column(lambda leaf: Tape.begun(steps, leaf, once, step), value)
            self._tapes[name] = tapes
            if once:
                self._once[name] = step
            changed = True
        elif isinstance(tapes, Tape):
            changed = tapes.write(step, value)
        else:
            changed = any(_leaves(map_column(lambda tape, leaf: tape.write(step, leaf), tapes, value)))
        if changed:
            self._show(name)
        if name in self._once:
            self._once[name] = step

    def ends(self, step: int, run: Run, last: bool) -> None:
        """Note which rows a step has ended, when all its sites are named; last: whether time runs out with it."""
        for name in [name for name, named in self._once.items() if named < step]:  # a site of the start only, say
            steps = self._once.pop(name) + 1
            map_column(lambda tape, steps=steps: tape.spread(steps), self._tapes[name])
            self._show(name)
        if run.alive is not None:
            self._flag("terminated", step, run.terminated)
            if last or run.truncated is not None:
                cut = torch.zeros_like(run.alive) if run.truncated is None else run.truncated & ~run.terminated
                self._flag("truncated", step, cut | run.alive if last else cut)
        elif last:
            now = torch.arange(self.horizon, device=run.draws.ids.device) == step
            self.columns["truncated"] = now[:, None].expand(self.horizon, len(run.draws.ids))

    def _flag(self, name: str, step: int, who: Tensor) -> None:
        column = self.columns[name]
        self.columns[name] = column.clone(memory_format=torch.contiguous_format) if 0 in column.stride() else column
        self.columns[name][step] = who

    def history(self, run: Run, scenario: str) -> History:
        """The History of a run that is over, or of its steps so far."""
        steps, draws, columns = run.draws.step, run.draws, dict(self.columns)
        if run.alive is not None and "reward" in columns:  # 0 from a row's end on, whatever an intervention made of it
            reward = columns["reward"]
            over = torch.arange(len(reward), device=draws.ids.device)[:, None] >= run.length
            columns["reward"] = reward.masked_fill(over, 0)
        series = {name: self._cut(name, column, steps) for name, column in self.series.items()}
        thinned = {name: self._cut(name, column, steps) for name, column in self.thinned.items()}
        whole = None if steps == self.horizon else steps
        return History(columns, run.length, draws.ids, draws.seed, scenario, series, whole, thinned)

    def _cut(self, name: str, column: Any, end: int) -> Any:
        """A series without the steps that were not taken."""
        how = self.wanted[name]
        steps = -(-(end + (name == "observation")) // how.every)
        return map_column(lambda leaf: leaf[:, :steps] if name in self.thinned else leaf[:steps], column)

    def extend(self) -> None:
        """Twice the steps, where a rollout would know its horizon."""
        self.horizon *= 2
        for name, tapes in self._tapes.items():
            map_column(lambda tape: tape.extend(), tapes)
            self._show(name)
        for name in ("terminated", "truncated"):
            column = self.columns[name]
            self.columns[name] = torch.cat([column, torch.zeros_like(column)])

    @property
    def kept(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The content of a checkpoint: columns, series, thinned."""
        return self.columns, self.series, self.thinned

    def restore(self, step: int, kept: Sequence[dict[str, Any]]) -> None:
        """Go on from what ``kept`` was after ``step`` steps."""
        self.columns, self.series, self.thinned = columns, series, thinned = kept
        by_time = {**columns, **series, **{name: _swapped(column) for name, column in thinned.items()}}
        for name in by_time.keys() - {"terminated", "truncated"}:
            how = self.wanted.setdefault(name, Record(name))  # of "all"; no step may name it again
            if how.every == 1 and how.reduce is None:
                self._once[name] = step - 1
            self._tapes[name] = map_column(Tape, by_time[name])

    def _show(self, name: str) -> None:
        """Put the arrays that are written to in their places; those of a thinned site have their rows first."""
        how, tapes = self.wanted[name], self._tapes[name]
        arrays = tapes.array if isinstance(tapes, Tape) else map_column(lambda tape: tape.array, tapes)
        if how.reduce is not None or not all(leaf.ndim > 1 and leaf.shape[1] == self.rows for leaf in _leaves(arrays)):
            self.series[name] = arrays
        elif how.every == 1:
            self.columns[name] = arrays
        else:
            self.thinned[name] = _swapped(arrays)


def _swapped(column: Any) -> Any:
    return map_column(lambda leaf: leaf.swapaxes(0, 1), column)


def _leaves(column: Any) -> list[Any]:
    return [leaf for part in column.values() for leaf in _leaves(part)] if isinstance(column, dict) else [column]
