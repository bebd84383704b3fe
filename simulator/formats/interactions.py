"""Logged interactions (ratings, clicks, purchases) as arrays in time order, and as a History, one row a user."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..history import Column, History
from .columns import Ids, Name, id_column, number_column, read_columns, time_column

if TYPE_CHECKING:
    import pandas

REPEATS = ("refuse", "first", "last", "keep")


@dataclass(frozen=True, eq=False)
class Interactions:
    """A table of who met which item, when, and how it went: R interactions of U users with I items.

    Sorted by user, then time, then position, then item index (the tie rule: it depends on no seed and no file order;
    what the log lacks is passed over). A log with neither time nor position is in time order as it stands.
    """

    user: Tensor  # (R,) int64 in [0, U), ascending
    item: Tensor  # (R,) int64 in [0, I)
    reward: Tensor  # (R,) float32: the rating or click; 1 where the log has neither
    user_ids: Ids  # (U,) the ids in the log, ascending: int64, or str objects
    item_ids: Ids  # (I,) likewise
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    """The log's "time" (R,) float64 (seconds since 1970 for dates), "position" int64, "propensity" float64
    in (0, 1] and "dwell" float64."""

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        columns = f", {', '.join(self.columns)}" if self.columns else ""
        return f"Interactions({len(self)} of {self.num_users} users with {self.num_items} items{columns})"

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        """I."""
        return len(self.item_ids)

    @cached_property
    def starts(self) -> Tensor:
        """(U + 1,) int64: user u's interactions are starts[u] up to, without, starts[u + 1]."""
        counts = self.user.bincount(minlength=self.num_users)
        return torch.nn.functional.pad(counts.cumsum(0), (1, 0))

    @property
    def tie_share(self) -> float:
        """The share of a user's consecutive interactions that carry the same time: whose order is a convention."""
        if "time" not in self.columns:
            raise LookupError("these interactions have no time: name its column as load_interactions(time=…)")
        time, consecutive = self.columns["time"], self.user[1:] == self.user[:-1]
        return int(((time[1:] == time[:-1]) & consecutive).sum()) / max(int(consecutive.sum()), 1)

    def to_pandas(self) -> "pandas.DataFrame":
        """A row for each interaction, by the ids of the log: "user", "item", "reward", then the further columns."""
        import pandas

        named = {"user": self.user_ids[self.user.numpy()], "item": self.item_ids[self.item.numpy()]}
        return pandas.DataFrame(
            named | {"reward": self.reward.numpy()} | {name: column.numpy() for name, column in self.columns.items()}
        )

    def to_history(self, last: int | None = None) -> History:
        """One row a user, one step an interaction, in time order: what sequence and click models and OPE read.

        ``action`` (U, T) int64 is the item, ``reward`` (U, T) float32, each further column a site; T is the largest
        number of interactions of a user. Shorter rows are padded after ``length`` with item -1, reward 0,
        propensity 1 and other sites 0. Row i is ``user_ids[i]``. There are no observations.

        last: keep so many interactions of each user, the latest; None keeps all, which takes U T cells a column.
        """
        if last is not None and (not isinstance(last, Integral) or last < 1):
            raise ValueError(f"last is {last!r}: expected at least 1 interaction a user, or None for all")
        counts = self.starts.diff()
        length = counts if last is None else counts.clamp(max=last)
        step = torch.arange(len(self)) - (self.starts[1:] - length)[self.user]  # negative: too old
        kept = step >= 0
        where = self.user[kept], step[kept]

        def padded(column: Tensor, padding: float) -> Tensor:
            table = torch.full((self.num_users, int(length.max())), padding, dtype=column.dtype)
            return table.index_put(where, column[kept])

        sites: dict[str, Column] = {k: padded(v, float(k == "propensity")) for k, v in self.columns.items()}
        return History.of(
            action=padded(self.item, -1),
            reward=padded(self.reward, 0),
            sites=sites,
            length=length,
            scenario="logged",
        )


def load_interactions(
    source: Any,
    *,
    user: Name | None,
    item: Name,
    time: Name | None = None,
    rating: Name | None = None,
    click: Name | None = None,
    position: Name | None = None,
    propensity: Name | None = None,
    dwell: Name | None = None,
    separator: str | None = None,
    repeats: str = "refuse",
    user_ids: Ids | None = None,
    item_ids: Ids | None = None,
) -> Interactions:
    """Read a log of interactions: a frame, or a .csv, .tsv, .txt (blanks) or .parquet file, also .csv.gz and so on.

    source: a path; a DataFrame of pandas, or one that has ``to_pandas``; a dict of columns, or a list of rows.
    Each argument names a column; whole numbers name the columns of a file without a header by place. user None: each
    line is a user of its own, as in logged bandit feedback. Ids are whole numbers or text. Times are numbers from 0
    or ISO 8601 dates (UTC where they name no zone). Give a rating or a click, not both; without either the reward is
    1. separator: where the suffix does not tell, of any length, as it is written; r"\\s+" is any number of blanks.

    repeats: what becomes of the same user, item, time and position (those that are given) more than once, which is
        most often a fault of the log, and two ratings cannot both be meant: "refuse"; "first" or "last" in the log
        counts; "keep" all, as of purchases.
    user_ids, item_ids: those of another log, so that both count users and items alike (a model of one reads the
        other); an id that is not among them is an error.

    Raises LookupError for a column that is not there, and ValueError, naming column and row (counted from 0, without
    the header), for what is missing or not finite, an id that is neither whole nor text, a time, position or dwell
    below 0, a click other than 0 or 1, a propensity outside (0, 1], and repeats that are refused.
    """
    if rating is not None and click is not None:
        raise ValueError("a rating and a click are both given: expected one, which becomes the reward")
    if item is None:
        raise TypeError("item is None: expected the name of a column")
    if repeats not in REPEATS:
        raise ValueError(f"repeats is {repeats!r}: expected one of {list(REPEATS)}")
    ids = {"user": user, "item": item}
    numbers = {"rating": rating, "click": click, "position": position, "propensity": propensity, "dwell": dwell}
    asked = {role: name for role, name in (ids | {"time": time} | numbers).items() if name is not None}
    frame, where = read_columns(source, asked, separator)
    if user is None and user_ids is not None:
        raise ValueError("user_ids are given without user=: expected the column of users, or no ids of them")

    users, users_known = (np.arange(len(frame)),) * 2 if user is None else id_column(user, frame[user], user_ids)
    items, items_known = id_column(item, frame[item], item_ids)
    columns = {} if time is None else {"time": time_column(time, frame[time])}
    columns |= {role: number_column(role, name, frame[name]) for role, name in numbers.items() if name is not None}
    reward = columns.pop("rating", columns.pop("click", np.ones(len(frame))))

    keys = [columns[key] for key in ("time", "position") if key in columns]
    order = np.lexsort((items, *reversed(keys), users) if keys else (users,))
    if repeats != "keep":
        order = _without_repeats(order, [users, items, *keys], repeats, where)
    types = {"position": torch.int64}
    return Interactions(
        torch.from_numpy(users[order]),
        torch.from_numpy(items[order]),
        torch.from_numpy(reward[order]).to(torch.float32),
        users_known,
        items_known,
        {key: torch.from_numpy(c[order]).to(types.get(key, torch.float64)) for key, c in columns.items()},
    )


def _without_repeats(order: Ids, keys: list[Ids], repeats: str, where: str) -> Ids:
    """The order of rows without those that repeat others in all keys; ValueError where repeats are refused."""
    together = np.lexsort(keys)  # rows that are alike side by side, as they stand in the log
    alike = np.logical_and.reduce([key[together][1:] == key[together][:-1] for key in keys])
    if not alike.any():
        return order
    if repeats == "refuse":
        one, two = together[alike.argmax() :][:2].tolist()
        raise ValueError(
            f"rows {one} and {two} of {where} have the same user, item, time and position, as far as given: expected "
            f"each interaction once, and {int(alike.sum())} rows repeat another. Say what is meant: repeats='first' or "
            "'last' of them counts, or repeats='keep' for all (somebody buys a thing twice)"
        )
    left_out = together[1:][alike] if repeats == "first" else together[:-1][alike]
    return order[~np.isin(order, left_out)]
