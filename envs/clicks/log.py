"""ClickLog, the log that click models read, and the checks of what is let in."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ethogram.simulator import History

from ..sessions import find_bad_slate

_NO_LIMIT = 2**62


@dataclass(frozen=True, eq=False)
class ClickLog:
    """Lists that n users were shown, and their clicks.

    state: (n,) int64, the user state in which (or the query for which) each slate was shown. slates: (n, m) int64,
    1 to m distinct items, then -1 for empty positions. clicks: (n, m) bool, none on an empty position.
    ``log[rows]`` is part of a log, for a split into training and test.
    """

    state: Tensor
    slates: Tensor
    clicks: Tensor

    def __post_init__(self) -> None:
        check_shown(self.state, self.slates)
        if len(self) == 0:
            raise ValueError("the log has no rows: expected at least one slate shown")
        if self.clicks.dtype != torch.bool or self.clicks.shape != self.slates.shape:
            raise ValueError(
                f"clicks are {self.clicks.dtype} {tuple(self.clicks.shape)}: expected bool "
                f"{tuple(self.slates.shape)}, one for each position; convert numbers with `clicks == 1`"
            )
        if (self.clicks & (self.slates < 0)).any():
            row = int((self.clicks & (self.slates < 0)).any(1).nonzero()[0])
            raise ValueError(
                f"row {row} has clicks {self.clicks[row].tolist()} on slate {self.slates[row].tolist()}: "
                "expected none on -1, an empty position"
            )

    @classmethod
    def of(cls, history: History) -> Self:
        """The log of a recorded ``CascadingSession``, its valid steps in order, row by row.

        It takes the site "clicks" where it was recorded (``user=`` a click model), and otherwise the one click of
        the site "click".
        """
        valid = history.valid
        slates = history.action[valid]
        if "clicks" in history.columns:
            clicks = history.column("clicks")[valid]
        else:
            clicks = history.column("click")[valid][:, None] == torch.arange(slates.shape[1], device=slates.device)
        return cls(history.observation[:, :-1][valid], slates, clicks)

    def __len__(self) -> int:
        return len(self.state)

    def __getitem__(self, rows: slice | Tensor) -> "ClickLog":
        return ClickLog(self.state[rows], self.slates[rows], self.clicks[rows])

    @property
    def length(self) -> int:
        """m, the number of positions."""
        return self.slates.shape[1]


def look_up(table: Tensor, state: Tensor, slates: Tensor) -> Tensor:
    """(n, m) entries of an (S, N) table, 0 at empty positions."""
    return torch.where(slates >= 0, table[state[:, None], slates], 0.0)


def check_shown(state: Tensor, slates: Tensor, table: Tensor | None = None, length: int | None = None) -> None:
    """Raise ValueError unless these are states and slates, within an (S, N) table and of at most ``length``."""
    if slates.dtype != torch.int64 or slates.dim() != 2 or slates.shape[1] == 0:
        raise ValueError(
            f"slates are {slates.dtype} {tuple(slates.shape)}: expected int64 (rows, positions); pad shorter ones "
            "with -1"
        )
    if state.dtype != torch.int64 or tuple(state.shape) != (len(slates),):
        raise ValueError(
            f"state is {state.dtype} {tuple(state.shape)}: expected int64 ({len(slates)},), one for each slate"
        )
    if length is not None and slates.shape[1] > length:
        raise ValueError(
            f"slates have {slates.shape[1]} positions: expected at most {length}, as many as the model has parameters "
            "for"
        )
    num_states, num_items = (_NO_LIMIT, _NO_LIMIT) if table is None else table.shape
    row = find_bad_slate(slates, num_items)
    if row >= 0:
        below = "" if table is None else f" below {num_items}"
        raise ValueError(
            f"slate of row {row} is {slates[row].tolist()}: expected distinct items from 0{below}, then -1 for empty "
            "positions"
        )
    if len(state) and (int(state.min()) < 0 or int(state.max()) >= num_states):
        row = int(((state < 0) | (state >= num_states)).nonzero()[0])
        below = "" if table is None else f" to {num_states - 1}"
        raise ValueError(f"state of row {row} is {int(state[row])}: expected 0{below}")


def check_probability(name: str, table: Tensor, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless a floating-point table has this shape (None: any) and numbers in [0, 1]."""
    fits = table.dim() == len(shape) and all(want in (None, is_) for want, is_ in zip(shape, table.shape, strict=True))
    if not fits or not table.is_floating_point() or table.numel() == 0:
        words = "(" + ", ".join("any" if want is None else str(want) for want in shape) + ")"
        raise ValueError(f"{name} is {table.dtype} {tuple(table.shape)}: expected float64 {words}, not empty")
    low, high = (float(end) for end in torch.aminmax(table))
    if not (low >= 0 and high <= 1):  # NaN is neither
        where = (~((table >= 0) & (table <= 1))).nonzero()[0].tolist()
        raise ValueError(f"{name}{where} is {float(table[tuple(where)]):.6g}: expected a probability in [0, 1]")


def check_number(name: str, value: float) -> None:
    """Raise ValueError unless a number is in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}: expected a probability in [0, 1]")
