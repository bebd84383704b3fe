"""What a run keeps of its sites: Record says how, and the recorder writes it, time first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .history import map_column


@dataclass(frozen=True, eq=False)
class Record:
    """How a site is recorded, where keeping every row of every step would be too much.

    What it keeps goes to ``history.series[site]``, time first: (T', n, …), or (T', …) with ``reduce``, or
    (T', num_groups, …) with ``by``.

    site: the name; "observation", "action" and "reward" too, whose full columns are then not kept.
    every: keep steps 0, every, 2 every, …
    reduce: None keeps rows; "mean" or "sum" is taken over rows, in float64; a function of the value, such as one that
        counts how many people are in each stage, gives the tensor to keep.
    by: (n,) int64, the group of each row, from 0.
    """

    site: str
    every: int = 1
    reduce: str | Callable[[Any], Tensor] | None = None
    by: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.every, int) or self.every < 1:
            raise ValueError(f"Record('{self.site}') has every={self.every}: expected an int, 1 or more")
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
        """What is kept of a step's value: the value, its mean or sum over rows or groups, or what a function makes."""
        if self.reduce is None:
            return value
        if not isinstance(self.reduce, str):
            return torch.as_tensor(self.reduce(value))
        if not isinstance(value, Tensor):
            raise ValueError(
                f"Record('{self.site}') has reduce='{self.reduce}', but this site is a {type(value).__name__}: "
                "expected a tensor; leave reduce= out"
            )
        if self.by is None:
            if (
                value.dtype == torch.bool and value.is_cpu and value.dim() == 1
            ):  # counting is much faster than adding up
                total = torch.tensor(np.count_nonzero(value.numpy()), dtype=torch.float64)
            else:
                total = value.sum(0, dtype=torch.float64)
            return total / len(value) if self.reduce == "mean" else total
        groups = int(self.by.max()) + 1
        total = torch.zeros((groups, *value.shape[1:]), dtype=torch.float64, device=value.device)
        total.index_add_(0, self.by, value.to(torch.float64))
        if self.reduce == "sum":
            return total
        return total / self.by.bincount(minlength=groups).view(-1, *[1] * (value.dim() - 1))


class Recorder:
    """Keeps what is asked for, time first, in buffers made when a site first appears."""

    def __init__(self, record: Sequence[str | Record] | str, horizon: int, ids: Tensor) -> None:
        if isinstance(record, str) and record != "all":
            raise ValueError(f"record={record!r}: expected 'all', or a list of names such as [{record!r}]")
        named = [] if isinstance(record, str) else [Record(r) if isinstance(r, str) else r for r in record]
        if not all(isinstance(r, Record) for r in named):
            raise TypeError(f"record={record!r}: expected names of sites, and Records")
        self.asked = [r.site for r in named]
        if twice := sorted({name for name in self.asked if self.asked.count(name) > 1}):
            raise ValueError(f"record names {twice} more than once: expected each site once, whole or by one Record")
        self.wanted = {name: Record(name) for name in ("observation", "action", "reward")}
        self.wanted |= {r.site: r for r in named}
        self.everything = record == "all"
        for r in named:
            if r.by is not None and len(r.by) != len(ids):
                raise ValueError(f"by of Record('{r.site}') has {len(r.by)} rows: expected {len(ids)}")
        self.horizon = horizon
        never = torch.zeros(1, 1, dtype=torch.bool, device=ids.device).expand(horizon, len(ids))
        self.columns: dict[str, Any] = {"terminated": never, "truncated": never}  # no memory until somebody ends
        self.series: dict[str, Any] = {}

    def __call__(self, name: str, step: int, value: Any) -> None:
        """Keep a site's value of a step, if it is asked for."""
        if name not in self.wanted:
            if not self.everything:
                return
            self.wanted[name] = Record(name)
        how = self.wanted[name]
        if step % how.every:
            return
        thinned = how.every > 1 or how.reduce is not None
        value = how.reduced(value)
        kept = self.series if thinned else self.columns
        if name not in kept:
            steps = -(-(self.horizon + (name == "observation")) // how.every)
            kept[name] = map_column(lambda leaf: _buffer(steps, leaf), value)
        map_column(lambda buffer, leaf: _write(buffer, step // how.every, leaf), kept[name], value)

    def flag(self, name: str, step: int, who: Tensor) -> None:
        """Note that rows have ended."""
        column = self.columns[name]
        self.columns[name] = column.clone(memory_format=torch.contiguous_format) if 0 in column.stride() else column
        self.columns[name][step] = who

    def cut(self, end: int) -> None:
        """The series of a run that was over after ``end`` steps, without the steps that were not taken."""
        for name, column in self.series.items():
            steps = -(-(end + (name == "observation")) // self.wanted[name].every)
            self.series[name] = map_column(lambda leaf, steps=steps: leaf[:steps], column)


def _buffer(steps: int, leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return torch.zeros((steps, *leaf.shape), dtype=leaf.dtype, device=leaf.device)
    return np.full((steps, *leaf.shape), "" if leaf.dtype == object else 0, dtype=leaf.dtype)


def _write(buffer: Any, step: int, leaf: Any) -> None:
    buffer[step] = leaf
