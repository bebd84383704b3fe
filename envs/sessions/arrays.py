"""Look-ups and first clicks: a compiled and a torch side (data)."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import kernels


def lookup(table: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``table[rows[:, None], columns]``, (n, L); column -1 is the last."""
    if not table.is_cpu:
        return table[rows[:, None], columns]
    out = torch.empty(columns.shape, dtype=table.dtype)
    kernels.lookup(table.numpy(), rows.numpy(), columns.numpy(), out.numpy())
    return out


def first_true(flags: Tensor) -> Tensor:
    """The position of the first True in each row of (n, L) bool, L where there is none; (n,) int64."""
    if not flags.is_cpu:
        return flags.byte().argmax(1).where(flags.any(1), flags.shape[1])
    out = torch.empty(len(flags), dtype=torch.int64)
    kernels.first_true(flags.numpy(), out.numpy())
    return out


def clicked_rows(state: Tensor, slate: Tensor, click: Tensor, num_items: int) -> Tensor:
    """(n,) int64, ``state * (N + 1) + item`` of the item clicked, N where none was (click beyond the slate)."""
    if not state.is_cpu:
        clicked = pad(slate, (0, 1), value=-1).gather(1, click[:, None])[:, 0]
        return state * (num_items + 1) + clicked.where(clicked >= 0, num_items)
    out = torch.empty_like(state)
    kernels.clicked_rows(state.numpy(), slate.numpy(), click.numpy(), num_items, out.numpy())
    return out
