"""ClickLog, the log that click models read, and the checks of what is let in."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import History, as_tensor, check_is
from ethogram.simulator.formats import Ids, Name, id_column, number_column, read_columns

from ..sessions import find_bad_slate

_NO_LIMIT = 2**62


@dataclass(frozen=True, eq=False, repr=False)
class ClickLog:
    """Lists that n users were shown, and their clicks.

    state: (n,) int64, the user state in which (or the query for which) each slate was shown. slates: (n, m) int64,
    1 to m distinct items, then -1 for empty positions. clicks: (n, m) bool, none on an empty position. NumPy arrays and
    lists become tensors. state_ids, item_ids: what states and items are called, (S,) and (N,); None where they have no
    other name than their number. ``log[rows]`` is part of a log, for a split into training and test.
    """

    state: Tensor
    slates: Tensor
    clicks: Tensor
    state_ids: Ids | None = field(default=None, kw_only=True)
    item_ids: Ids | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("state", "slates", "clicks"):
            object.__setattr__(self, name, as_tensor(name, getattr(self, name)))
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
        for name, ids, highest in (("state", self.state_ids, self.state), ("item", self.item_ids, self.slates)):
            if ids is not None and int(highest.max()) >= len(ids):
                raise ValueError(
                    f"{name}_ids are {len(ids)}, and the log has {name} {int(highest.max())}: expected an id for each"
                )

    @classmethod
    def from_frame(
        cls,
        source: Any,
        *,
        session: Name,
        item: Name,
        click: Name,
        position: Name | None = None,
        state: Name | None = None,
        separator: str | None = None,
        state_ids: Ids | None = None,
        item_ids: Ids | None = None,
    ) -> Self:
        """The log in a table that has a row for each item shown: a frame, or the path of a .csv, .tsv or .parquet file.

        session: column that says which list a row belongs to. position: of the item in its list, from 0 or, in the
        whole log, from 1; None: rows stand in the order of their list. click: 0 or 1. state: the query or kind of user,
        one for each list; None: all alike. Rows may stand in any order, and lists be of any length; row i of the log is
        the i-th session in ascending order. Sizes and names are those of the log, or of another whose ``state_ids`` and
        ``item_ids`` are given: names that it does not know are errors. The rest is as in ``load_interactions``.

        Raises LookupError for a column that is not there; ValueError, by session, for positions with gaps or twice, an
        item twice in a list, and a list in two states; and what ``load_interactions`` raises for single cells.
        """
        roles = {"session": session, "item": item, "click": click, "position": position, "state": state}
        frame, _ = read_columns(source, {role: name for role, name in roles.items() if name is not None}, separator)
        row, sessions = id_column(session, frame[session])
        items, item_ids = id_column(item, frame[item], item_ids)
        clicked = number_column("click", click, frame[click]) == 1
        states = np.zeros_like(row)
        if state is not None:
            states, state_ids = id_column(state, frame[state], state_ids)
        order = np.argsort(row, kind="stable")
        if position is not None:
            place = number_column("position", position, frame[position]).astype(np.int64)
            order = np.lexsort((place, row))
        row, items, clicked, states = row[order], items[order], clicked[order], states[order]
        counts = np.bincount(row)
        first = counts.cumsum() - counts  # of each list
        rank = np.arange(len(row)) - first[row]
        if position is not None and len(bad := np.flatnonzero(place[order] - place.min() != rank)):
            name, there = sessions.tolist()[row[bad[0]]], place[order][row == row[bad[0]]].tolist()
            raise ValueError(
                f"session {name!r} has positions {there}: expected {place.min()}, {place.min() + 1}, … each once, and "
                "no gaps; position=None takes the rows of a list in the order in which they stand"
            )
        if len(bad := np.flatnonzero(states != states[first][row])):
            raise ValueError(
                f"session {sessions.tolist()[row[bad[0]]]!r} is in more than one state: expected one for each list; a "
                "session of several lists needs an id for each of them"
            )
        by_item = np.lexsort((items, row))
        if len(bad := np.flatnonzero((np.diff(row[by_item]) == 0) & (np.diff(items[by_item]) == 0))):
            at = by_item[bad[0]]
            raise ValueError(
                f"session {sessions.tolist()[row[at]]!r} shows item {item_ids.tolist()[items[at]]!r} twice: expected "
                "distinct items in a list; a session of several lists needs an id for each of them"
            )
        slates = np.full((len(counts), counts.max()), -1)
        clicks = np.zeros(slates.shape, dtype=bool)
        slates[row, rank], clicks[row, rank] = items, clicked
        arrays = (torch.from_numpy(array) for array in (states[first], slates, clicks))
        return cls(*arrays, state_ids=state_ids, item_ids=item_ids)

    @classmethod
    def of(cls, history: History) -> Self:
        """The log of a recorded ``CascadingSession``, its valid steps in order, row by row.

        It takes the site "clicks" where it was recorded (``user=`` a click model), and otherwise the one click of
        the site "click".
        """
        check_is("history", history, History, "a History; a table goes to from_frame")
        valid = history.valid
        slates = history.action[valid]
        if "clicks" in history.columns:
            clicks = history.column("clicks")[valid]
        else:
            clicks = history.column("click")[valid][:, None] == torch.arange(slates.shape[1], device=slates.device)
        return cls(history.observation[:, :-1][valid], slates, clicks)

    def __len__(self) -> int:
        return len(self.state)

    def __repr__(self) -> str:
        kinds = f"{self.num_items} items in {self.num_states} {'state' if self.num_states == 1 else 'states'}"
        return f"ClickLog({len(self)} lists of up to {self.length} of {kinds}, {int(self.clicks.sum())} clicks)"

    def __getitem__(self, rows: slice | Tensor) -> "ClickLog":
        return replace(self, state=self.state[rows], slates=self.slates[rows], clicks=self.clicks[rows])

    @property
    def num_states(self) -> int:
        """S: as many as have names, or else the highest in the log and those below it."""
        return int(self.state.max()) + 1 if self.state_ids is None else len(self.state_ids)

    @property
    def num_items(self) -> int:
        """N, likewise."""
        return int(self.slates.max()) + 1 if self.item_ids is None else len(self.item_ids)

    @property
    def length(self) -> int:
        """m, the number of positions."""
        return self.slates.shape[1]


def check_log(log: Any) -> None:
    """Raise TypeError for what is no log."""
    check_is("log", log, ClickLog, "a ClickLog; ClickLog.of(history) or ClickLog.from_frame(table, …) makes one")


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
            f"state is {state.dtype} {tuple(state.shape)}: expected int64 ({len(slates)},), one for each of the slates"
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
            f"slate of row {row} is {slates[row].tolist()}: expected slates of distinct items from 0{below}, then -1 "
            "for empty positions"
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
    low, high = (float(end) for end in torch.aminmax(table.detach()))
    if not (low >= 0 and high <= 1):  # NaN is neither
        where = (~((table >= 0) & (table <= 1))).nonzero()[0].tolist()
        raise ValueError(f"{name}{where} is {float(table[tuple(where)]):.6g}: expected a probability in [0, 1]")
