"""Populations: people as tensors, from named archetypes, from tables, or from a weighted survey.

A column is a tensor with one value a person, so that a mechanism indexes its own tables with it
(``susceptibility[people["age_band"]]``) and never branches on who somebody is. Names of categories stay beside the
codes, as labels. People whose counts are those of a census come from ``marginals.py``.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import check_is, write_atomically
from ethogram.simulator.networks import Names, as_column, called, checked_names, html_table, rows_of

if TYPE_CHECKING:
    import pandas

HEADER = b"ethogram.population"  # where a Parquet file keeps the labels
NAMES = "ethogram.names"  # the column of a Parquet file that has the names

DTYPES = (torch.int64, torch.float32, torch.bool)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Population:
    """People: row i of every column is person i.

    columns: name -> (n,) int64 (years, counts, codes), float32 (amounts) or bool; or a list, array or Series that
    ``as_column`` makes one of. labels: name of a categorical column -> the names of its codes, from 0. names: (n,) ids
    of the people, text or numbers, by which networks are joined to them (``join_layers``); None: 0 to n - 1.

    Raises ValueError, naming column and row, for another dtype or shape, columns of different length or on different
    devices, a float that is not finite, an "age" below 0, a code without a name, and names that repeat.
    """

    columns: Mapping[str, Tensor]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Names | None = None

    def __post_init__(self) -> None:
        check_is("columns", self.columns, Mapping, "a dict of names to columns")
        check_is("labels", self.labels, Mapping, "a dict of columns to names of their codes")
        columns = {name: as_column(f"column '{name}'", column) for name, column in self.columns.items()}
        object.__setattr__(self, "columns", columns)
        if not self.columns:
            raise ValueError("a population without columns: expected at least one, which says how many people it has")
        first, model = next(iter(self.columns.items()))
        for name, column in self.columns.items():
            if column.dim() != 1 or column.dtype not in DTYPES:
                what = f"{column.dtype} {tuple(column.shape)}"
                raise ValueError(f"column '{name}' is {what}: expected (n,) int64, float32 or bool; convert with .to()")
            if len(column) != len(model) or column.device != model.device:
                raise ValueError(
                    f"column '{name}' has {len(column)} rows on {column.device}, '{first}' {len(model)} on "
                    f"{model.device}: expected one value for each person, on one device"
                )
            if column.dtype == torch.float32:
                refuse(name, column, ~column.isfinite(), "a finite number; leave out or fill in who has none")
            if name == "age":
                refuse(name, column, column < 0, "an age from 0")
        for name, names in self.labels.items():
            codes = self[name]
            if codes.dtype != torch.int64 or len(set(names)) < len(names) or not all(isinstance(n, str) for n in names):
                raise ValueError(f"labels of '{name}' ({codes.dtype}) are {names}: expected int64 and names, each once")
            unknown = (codes < 0) | (codes >= len(names))
            refuse(name, codes, unknown, f"a code from 0 to {len(names) - 1}, one for each of its labels {some(names)}")
        object.__setattr__(self, "names", checked_names(self.names, len(self)))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Tensor:
        """The column (n,); LookupError for a name that is not there."""
        if name not in self.columns:
            raise LookupError(f"no column {name!r}; this population has {sorted(self.columns)}")
        return self.columns[name]

    @property
    def device(self) -> torch.device:
        """The device that the columns are on."""
        return next(iter(self.columns.values())).device

    def to(self, device: str | torch.device) -> "Population":
        """The same people on another device."""
        return replace(self, columns={name: column.to(device) for name, column in self.columns.items()})

    def rows(self, names: Any) -> Tensor:
        """(m,) int64 rows in which people of these names stand; LookupError for a name that nobody has."""
        return torch.from_numpy(rows_of(self.names, len(self), names, "rows()")).to(self.device)

    def take(self, rows: Tensor) -> "Population":
        """Only these people: (m,) int64 rows in a new order, each once, or (n,) bool whom to keep."""
        rows = as_column("rows", rows)
        names = None if self.names is None else self.names[rows.cpu().numpy()]
        return Population({name: column[rows] for name, column in self.columns.items()}, self.labels, names)

    def adding(self, name: str, column: Tensor, labels: Sequence[str] | None = None) -> "Population":
        """The same people with one more column: ``people.adding("band", *bands(people["age"], [18, 65]))``."""
        if name in self.columns:
            raise ValueError(f"there is a column '{name}' already: choose another name")
        more = {} if labels is None else {name: tuple(labels)}
        return Population({**self.columns, name: column}, {**self.labels, **more}, self.names)

    def mask(self, **where: Any) -> Tensor:
        """The members of a subgroup, (n,) bool: what ``Do(who=)`` takes.

        where: column = the category's name, the number or the bool; several in a list, set or range mean any of
        them; (low, high), as in ``from_archetypes``, all numbers from low to high, both included. Several columns mean
        all of them: ``people.mask(area="Astoria", age=(18, 64))``.
        """
        chosen = torch.ones(len(self), dtype=torch.bool, device=self.device)
        for name, values in where.items():
            column = self[name]
            if isinstance(values, tuple):
                chosen &= self._within(name, values)
                continue
            if column.dtype == torch.float32:
                raise ValueError(
                    f"column '{name}' is float32: expected (low, high); or compare people['{name}'] itself"
                )
            several = isinstance(values, list | set | frozenset | range | np.ndarray | Tensor)
            codes = [self._code(name, value) for value in (values if several else [values])]
            chosen &= torch.isin(column.to(torch.int64), torch.tensor(codes, dtype=torch.int64, device=self.device))
        return chosen

    def _within(self, name: str, ends: tuple[Any, ...]) -> Tensor:
        """Whose number is in a range, (n,) bool."""
        column = self[name]
        low, high = (plain(end) for end in (ends if len(ends) == 2 else ("", "")))
        numbers = {type(low), type(high)} <= {int, float} and name not in self.labels and column.dtype != torch.bool
        if not numbers or not low <= high:
            raise ValueError(
                f"column '{name}' is compared with {ends}: expected (low, high), both included, of a column of "
                "numbers; several values stand in a list"
            )
        return (column >= low) & (column <= high)

    def _code(self, name: str, value: Any) -> int:
        """The code that stands in the column for a value as a reader writes it."""
        value = plain(value)
        if name in self.labels:
            if value not in self.labels[name]:
                raise LookupError(f"column '{name}' has no category {value!r}; it has {some(self.labels[name])}")
            return self.labels[name].index(value)
        expected = bool if self.columns[name].dtype == torch.bool else int
        if type(value) is not expected:
            raise ValueError(f"column '{name}' is compared with {value!r}: expected {expected.__name__}")
        return int(value)

    def group(self, name: str) -> Tensor:
        """(n,) int64 groups from 0, what ``Record(by=)`` takes: codes, whole numbers from 0, or False and True."""
        column = self[name]
        if column.dtype == torch.float32:
            raise ValueError(f"column '{name}' is float32: expected categories; make them with bands()")
        refuse(name, column, column < 0, "a group from 0")
        return column.to(torch.int64)

    def to_pandas(self) -> "pandas.DataFrame":
        """A DataFrame, a person a row, categories and people by name; ``from_table`` is the way back."""
        import pandas

        arrays: dict[str, Any] = {name: column.cpu().numpy() for name, column in self.columns.items()}
        for name, names in self.labels.items():
            arrays[name] = pandas.Categorical.from_codes(arrays[name], pandas.Index(names, dtype=object))
        return pandas.DataFrame(arrays, index=None if self.names is None else pandas.Index(self.names))

    def __repr__(self) -> str:
        names = "" if self.names is None else f"; names {called(self.names, 0)}, …"
        return f"Population({len(self):,} people: {', '.join(self.columns)}{names})"

    def _repr_html_(self) -> str:
        few = self.take(torch.arange(min(5, len(self)), device=self.device))
        frame = few.to_pandas()
        rows = [[str(name), *map(str, row)] for name, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)]
        return f"<p>{len(self):,} people</p>{html_table(rows, ['', *self.columns])}"

    def save(self, path: str | Path) -> None:
        """Write a Parquet file, categories by name; ``load`` gives back the same codes and labels."""
        import pyarrow
        from pyarrow import parquet

        frame = self.to_pandas()
        table = pyarrow.Table.from_pandas(
            frame if self.names is None else frame.assign(**{NAMES: self.names}), preserve_index=False
        )
        table = table.replace_schema_metadata({HEADER: json.dumps(dict(self.labels))})  # a file may lose unused names
        write_atomically(Path(path), lambda file: parquet.write_table(table, file, compression="zstd"))

    @classmethod
    def load(cls, path: str | Path) -> "Population":
        """Read what ``save`` wrote; for other Parquet files there is ``from_table``."""
        import pandas
        from pyarrow import parquet

        from .tables import from_table

        metadata = parquet.read_schema(path).metadata or {}
        if HEADER not in metadata:
            raise ValueError(f"{path} was not written by Population.save: read it with from_table")
        frame = pandas.read_parquet(path)
        return from_table(frame, labels=json.loads(metadata[HEADER]), id=NAMES if NAMES in frame.columns else None)


def refuse(name: str, column: Any, bad: Any, expected: str) -> None:
    """Raise ValueError for the first bad row, if any."""
    if bad.any():
        row = int(bad.nonzero()[0]) if isinstance(bad, Tensor) else int(np.flatnonzero(bad)[0])
        value = column[row].item() if hasattr(column[row], "item") else column[row]
        raise ValueError(f"column '{name}' is {value!r} in row {row}: expected {expected}")


def plain(value: Any) -> Any:
    """NumPy's scalars, and tensors of one number, as Python's."""
    return value.item() if isinstance(value, np.generic) or (isinstance(value, Tensor) and value.dim() == 0) else value


def some(names: Iterable[Any]) -> str:
    """A few of many names, for an error message."""
    names = list(names)
    return str(names) if len(names) <= 12 else f"[{', '.join(map(repr, names[:12]))}, … {len(names)} in all]"


def bands(values: Tensor, edges: Sequence[float]) -> tuple[Tensor, tuple[str, ...]]:
    """Codes and names of the bands that values fall into, (n,) int64 and one name a band.

    values: (n,), as ``as_column`` takes them. edges: ascending, where bands meet; each belongs to the band above it.
    ``bands(age, [18, 65])`` has 0 under 18, 1 from 18 to 64, 2 from 65.
    """
    check_is("edges", edges, Sequence, "a list of numbers")
    if len(edges) == 0 or any(not a < b for a, b in pairwise(edges)) or not all(map(math.isfinite, edges)):
        raise ValueError(f"edges are {edges}: expected finite numbers in ascending order")
    values, edges = as_column("values", values), [plain(edge) for edge in edges]
    whole = all(isinstance(edge, int) for edge in edges) and not values.dtype.is_floating_point
    between = [(f"{a}-{b - 1}" if b - a > 1 else f"{a}") if whole else f"{a} to {b}" for a, b in pairwise(edges)]
    # in float64, which float32 values and whole numbers below 2^53 enter unchanged
    limits = torch.tensor(edges, dtype=torch.float64, device=values.device)
    codes = torch.bucketize(values.to(torch.float64), limits, right=True)
    return codes, (f"under {edges[0]}", *between, f"{edges[-1]} and over")
