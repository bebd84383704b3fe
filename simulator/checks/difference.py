"""The place where two histories differ, in words."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..gym import first_row
from ..history import History, map_column
from ..trees import leaves_of, select_rows


def picked(history: History, ids: Tensor) -> History:
    """The rows with these ids, in this order."""
    rows = (history.ids == ids[:, None]).int().argmax(1)
    columns = {
        name: map_column(lambda leaf: select_rows(leaf.swapaxes(0, 1), rows).swapaxes(0, 1), column)
        for name, column in history._by_time.items()
    }
    return replace(history, _by_time=columns, length=history.length[rows], ids=ids)


def difference(a: History, b: History) -> str | None:
    """Say where two histories of the same rows first differ before the rows' ends; None where they do not."""
    if a.columns.keys() != b.columns.keys():
        return f"one names {sorted(a.columns)} and the other {sorted(b.columns)}"
    if not torch.equal(a.length, b.length):
        i = int((a.length != b.length).nonzero()[0])
        return f"row id {a.ids[i]} ends after {a.length[i]} steps and after {b.length[i]}"
    for name in a.columns:
        for left, right in zip(leaves_of(a.column(name)), leaves_of(b.column(name)), strict=True):
            steps = min(left.shape[1], right.shape[1])  # a run of rows that all end early is shorter
            unequal = np.asarray(_unequal(left[:, :steps], right[:, :steps]))
            if unequal.shape[0] == len(a):
                unequal &= np.arange(steps) < (a.length + (name == "observation")).numpy()[:, None]
            if unequal.any():
                i, t = np.argwhere(unequal)[0].tolist()
                return f"'{name}' of row id {a.ids[i]} at step {t} is {_short(left[i, t])} and {_short(right[i, t])}"
    return None


def _unequal(a: Any, b: Any) -> Any:
    """(n, T) bool: where entries differ in any part; NaN equals NaN."""
    if isinstance(a, Tensor):
        a, b = a.detach().cpu().numpy(), b.detach().cpu().numpy()
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.ones(a.shape[:2], dtype=bool)
    unequal = (a != b) & ~((a != a) & (b != b))
    return unequal.reshape(*a.shape[:2], -1).any(axis=2)


def _short(value: Any) -> str:
    return str(value.tolist() if isinstance(value, Tensor | np.ndarray) else value)[:80]


def described(value: Any) -> str:
    """Types, shapes and the first row of a column."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {described(part)}" for key, part in value.items()) + "}"
    if not isinstance(value, Tensor | np.ndarray):
        return f"a {type(value).__name__}"
    first = f", first {_short(first_row(value))}" if value.ndim and len(value) else ""
    return f"{value.dtype} {tuple(value.shape)}{first}"
