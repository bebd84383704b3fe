"""Logged interactions (ratings, clicks, purchases) as arrays in time order, and as a History, one row a user."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..history import Column, History

if TYPE_CHECKING:
    import pandas

Name = str | int  # a column by its name, or by its place in a file without a header
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": " ", ".parquet": ""}


@dataclass(frozen=True, eq=False)
class Interactions:
    """A table of who met which item, when, and how it went: R interactions of U users with I items.

    Sorted by user, then time, then position, then item index (the tie rule: it depends on no seed and no file order;
    what the log lacks is passed over). A log with neither time nor position is in time order as it stands.
    """

    user: Tensor  # (R,) int64 in [0, U), ascending
    item: Tensor  # (R,) int64 in [0, I)
    reward: Tensor  # (R,) float32: the rating or click; 1 where the log has neither
    user_ids: np.ndarray[Any, Any]  # (U,) the ids in the log, ascending: int64, or str objects
    item_ids: np.ndarray[Any, Any]  # (I,) likewise
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

    def to_history(self, last: int | None = None) -> History:
        """One row a user, one step an interaction, in time order: what sequence and click models and OPE read.

        ``action`` (U, T) int64 is the item, ``reward`` (U, T) float32, each further column a site; T is the largest
        number of interactions of a user. Shorter rows are padded after ``length`` with item -1, reward 0,
        propensity 1 and other sites 0. Row i is ``user_ids[i]``. There are no observations.

        last: keep so many interactions of each user, the latest; None keeps all, which takes U T cells a column.
        """
        if last is not None and last < 1:
            raise ValueError(f"last is {last}: expected at least 1 interaction a user, or None for all")
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
    source: "str | Path | pandas.DataFrame",
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
) -> Interactions:
    """Read a log of interactions: a DataFrame, or a .csv, .tsv, .txt (blanks) or .parquet file, also .csv.gz and so on.

    Each argument names a column; whole numbers name the columns of a file without a header by place. user None: each
    line is a user of its own, as in logged bandit feedback. Ids are whole numbers or text. Times are numbers from 0
    or ISO 8601 dates (UTC where they name no zone). Give a rating or a click, not both; without either the reward is
    1. separator: where the suffix does not tell.

    Raises LookupError for a column that is not there, and ValueError, naming column and row (counted from 0, without
    the header), for what is missing or not finite, an id that is neither whole nor text, a time, position or dwell
    below 0, a click other than 0 or 1, a propensity outside (0, 1], and the same user, item, time and position twice.
    """
    if rating is not None and click is not None:
        raise ValueError("a rating and a click are both given: expected one, which becomes the reward")
    ids = {"user": user, "item": item}
    numbers = {"rating": rating, "click": click, "position": position, "propensity": propensity, "dwell": dwell}
    asked = {role: name for role, name in (ids | {"time": time} | numbers).items() if name is not None}
    frame = _read(source, asked, separator)
    where = str(source) if isinstance(source, str | Path) else "the frame"
    if len(frame) == 0:
        raise ValueError(f"{where} has no rows: expected at least one interaction")

    users, user_ids = (np.arange(len(frame)),) * 2 if user is None else _ids(user, frame[user])
    items, item_ids = _ids(item, frame[item])
    columns = {} if time is None else {"time": _time(time, frame[time])}
    columns |= {role: _number(role, name, frame[name]) for role, name in numbers.items() if name is not None}
    reward = columns.pop("rating", columns.pop("click", np.ones(len(frame))))

    keys = [columns[key] for key in ("time", "position") if key in columns]
    order = np.lexsort((items, *reversed(keys), users) if keys else (users,))
    if keys:
        twice = np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in (users, items, *keys)])
        if twice.any():
            one, two = sorted(order[twice.argmax() :][:2].tolist())
            raise ValueError(
                f"rows {one} and {two} of {where} have the same user, item, time and position, as far as given: "
                "expected each interaction once; leave copies out with frame.drop_duplicates()"
            )
    types = {"position": torch.int64}
    return Interactions(
        torch.from_numpy(users[order]),
        torch.from_numpy(items[order]),
        torch.from_numpy(reward[order]).to(torch.float32),
        user_ids,
        item_ids,
        {key: torch.from_numpy(c[order]).to(types.get(key, torch.float64)) for key, c in columns.items()},
    )


def _read(source: Any, asked: Mapping[str, Name], separator: str | None) -> "pandas.DataFrame":
    """The columns asked for, ids as they are written."""
    import pandas

    if isinstance(source, pandas.DataFrame):
        _check_columns("the frame", list(source.columns), asked)
        return source
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"no interactions at {path}: no such file")
    suffix = next((s for s in reversed(path.suffixes) if s in SEPARATORS), None)
    if suffix is None and separator is None:
        raise ValueError(f"{path} ends in none of {sorted(SEPARATORS)}: say what parts its columns with separator=")
    wanted: list[Any] = list(asked.values())
    try:
        if suffix == ".parquet":
            from pyarrow import parquet

            _check_columns(str(path), parquet.read_schema(path).names, asked)
            return pandas.read_parquet(path, columns=wanted)
        options: dict[str, Any] = {"sep": separator or SEPARATORS[str(suffix)]}
        if all(isinstance(name, int) for name in wanted):
            options["header"] = None
        _check_columns(str(path), pandas.read_csv(path, nrows=0 if "header" not in options else 1, **options), asked)
        as_written = {asked[role]: str for role in ("user", "item") if role in asked}  # "007" is not 7
        frame = pandas.read_csv(
            path, dtype=as_written, keep_default_na=False, na_values=[""], low_memory=False, **options
        )
        if not isinstance(frame.index, pandas.RangeIndex):  # which pandas makes of cells without a header
            raise ValueError("its rows have more cells than its header")
        return frame
    except LookupError:
        raise
    except Exception as error:
        empty = isinstance(error, pandas.errors.EmptyDataError)
        reason = "it is empty" if empty else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} cannot be read as a table of interactions: {reason}") from error


def _check_columns(where: str, there: Any, asked: Mapping[str, Name]) -> None:
    for role, name in asked.items():
        if name not in list(there):
            raise LookupError(f"no column {name!r} in {where}, which has {list(there)}: name the column of {role}=")


def _fail(name: Name, bad: Any, values: Any, expected: str) -> None:
    """Raise ValueError for the first bad row, if any."""
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        value = np.asarray(values, dtype=object)[rows[0]]
        raise ValueError(f"column {name!r} is {value!r} in row {rows[0]}: expected {expected}")


def _ids(name: Name, column: "pandas.Series[Any]") -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(R,) int64 index of each id among the ids in ascending order, and these."""
    import pandas

    expected = "an id, a whole number below 2**63 or text"
    _fail(name, column.isna(), column, expected)
    values = column.to_numpy()
    if not pandas.api.types.is_numeric_dtype(column):
        text = column.to_numpy(dtype=object)
        _fail(name, [not isinstance(value, str) for value in text], text, expected)
        as_numbers = pandas.to_numeric(pandas.Series(text), errors="coerce")
        whole = bool(as_numbers.mod(1).eq(0).all())  # not so for infinity
        names = as_numbers.isna().any() or (whole and (as_numbers.astype(str) != text).any())  # words, or 007
        values = text if names else as_numbers.to_numpy()
    if values.dtype != object:
        real = values.astype(np.float64)
        _fail(name, ~(np.abs(real) < 2.0**63) | (real != np.round(real)), values, expected)
        values = values.astype(np.int64)
    index, unique = pandas.factorize(values, sort=True)
    return index.astype(np.int64), np.asarray(unique)


def _time(name: Name, column: "pandas.Series[Any]") -> np.ndarray[Any, Any]:
    """(R,) float64: the numbers, or seconds since 1970 of dates."""
    import pandas

    expected = "a number from 0 to 2**53, or an ISO 8601 date"
    _fail(name, column.isna(), column, expected)
    numbers = column
    if not pandas.api.types.is_numeric_dtype(column):
        numbers = pandas.to_numeric(column, errors="coerce")
        if pandas.api.types.is_datetime64_any_dtype(column) or numbers.isna().all():
            dates = pandas.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
            _fail(name, dates.isna(), column, expected)
            numbers = (dates - pandas.Timestamp(0, tz="UTC")) / pandas.Timedelta(seconds=1)
    times = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    _fail(name, ~((times >= 0) & (times <= 2.0**53)), column, expected)
    return times


def _number(role: str, name: Name, column: "pandas.Series[Any]") -> np.ndarray[Any, Any]:
    """(R,) float64, in the range of its role."""
    import pandas

    values = pandas.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    expected, good = {
        "rating": ("a finite number", np.isfinite(values)),
        "click": ("0 or 1", (values == 0) | (values == 1)),
        "position": ("a whole number from 0", (values >= 0) & (values % 1 == 0)),
        "propensity": ("a probability above 0 and at most 1", (values > 0) & (values <= 1)),
        "dwell": ("a finite number from 0", (values >= 0) & np.isfinite(values)),
    }[role]
    _fail(name, ~good, column, f"{expected}, the {role}")
    return values
