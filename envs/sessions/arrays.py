"""Look-ups and first clicks: a compiled and a torch side (data)."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import kernels


def lookup(table: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``table[rows[:, None], columns]``, (n, L), of a table (R, K); column -1 is the last.

    Raises IndexError for what is off the table, ValueError for other shapes or types.
    """
    if table.dim() != 2 or rows.dim() != 1 or columns.dim() != 2 or len(rows) != len(columns):
        shapes = [tuple(x.shape) for x in (table, rows, columns)]
        raise ValueError(f"table, rows and columns are {shapes}: expected (R, K), (n,) and (n, L)")
    if rows.dtype != torch.int64 or columns.dtype != torch.int64:
        raise ValueError(f"rows and columns are {rows.dtype} and {columns.dtype}: expected int64")
    if not table.is_cpu:
        return table[rows[:, None], columns]
    out = torch.empty(columns.shape, dtype=table.dtype)
    bad = kernels.lookup(table.numpy(), rows.numpy(), columns.numpy(), out.numpy())
    if bad >= 0:
        raise IndexError(
            f"row {bad} looks up row {int(rows[bad])}, columns {columns[bad].tolist()}: expected 0 to {len(table) - 1} "
            f"and -1 to {table.shape[1] - 1}"
        )
    return out


def first_true(flags: Tensor) -> Tensor:
    """The position of the first True in each row of (n, L) bool, L where there is none; (n,) int64."""
    if flags.dim() != 2 or flags.dtype != torch.bool:
        raise ValueError(f"flags are {flags.dtype} {tuple(flags.shape)}: expected bool (n, L)")
    if not flags.is_cpu:
        return flags.byte().argmax(1).where(flags.any(1), flags.shape[1])
    out = torch.empty(len(flags), dtype=torch.int64)
    kernels.first_true(flags.numpy(), out.numpy())
    return out


def clicked_rows(state: Tensor, slate: Tensor, click: Tensor, num_items: int) -> Tensor:
    """(n,) int64, ``state * (N + 1) + item`` of the item clicked, N where none was (click beyond the slate)."""
    if slate.dim() != 2 or not state.shape == click.shape == slate.shape[:1]:
        shapes = [tuple(x.shape) for x in (state, slate, click)]
        raise ValueError(f"state, slate and click are {shapes}: expected (n,), (n, L) and (n,)")
    if not isinstance(num_items, int):
        raise TypeError(f"num_items is {num_items!r}: expected an int")
    if not state.dtype == slate.dtype == click.dtype == torch.int64:
        raise ValueError(f"state, slate and click are {state.dtype}, {slate.dtype}, {click.dtype}: expected int64")
    if not state.is_cpu:
        clicked = pad(slate, (0, 1), value=-1).gather(1, click[:, None])[:, 0]
        return state * (num_items + 1) + clicked.where(clicked >= 0, num_items)
    out = torch.empty_like(state)
    kernels.clicked_rows(state.numpy(), slate.numpy(), click.numpy(), num_items, out.numpy())
    return out
