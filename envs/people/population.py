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

from ethogram.simulator import write_atomically

if TYPE_CHECKING:
    import pandas

HEADER = b"ethogram.population"  # where a Parquet file keeps the labels

DTYPES = (torch.int64, torch.float32, torch.bool)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Population:
    """People: row i of every column is person i.

    columns: name -> (n,) int64 (years, counts, codes), float32 (amounts) or bool. labels: name of a categorical
    column -> the names of its codes, from 0.

    Raises ValueError, naming column and row, for another dtype or shape, columns of different length or on different
    devices, a float that is not finite, an "age" below 0, a code without a name, and names that repeat.
    """

    columns: Mapping[str, Tensor]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("a population without columns: expected at least one, which says how many people it has")
        first, model = next(iter(self.columns.items()))
        for name, column in self.columns.items():
            tensor = isinstance(column, Tensor)
            if not tensor or column.dim() != 1 or column.dtype not in DTYPES:
                what = f"{column.dtype} {tuple(column.shape)}" if tensor else type(column).__name__
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
            refuse(name, codes, unknown, f"a code from 0 to {len(names) - 1}, one for each of {some(names)}")

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

    def take(self, rows: Tensor) -> "Population":
        """Only these people: (m,) int64 rows in a new order, or (n,) bool whom to keep."""
        return replace(self, columns={name: column[rows] for name, column in self.columns.items()})

    def adding(self, name: str, column: Tensor, labels: Sequence[str] | None = None) -> "Population":
        """The same people with one more column: ``people.adding("band", *bands(people["age"], [18, 65]))``."""
        if name in self.columns:
            raise ValueError(f"there is a column '{name}' already: choose another name")
        more = {} if labels is None else {name: tuple(labels)}
        return Population({**self.columns, name: column}, {**self.labels, **more})

    def mask(self, **where: Any) -> Tensor:
        """The members of a subgroup, (n,) bool: what ``Do(who=)`` takes.

        where: column = the category's name, the number or the bool; several in a list, tuple, set or range mean any
        of them. Several columns mean all of them: ``people.mask(area="Astoria", age=range(18, 65))``.
        """
        chosen = torch.ones(len(self), dtype=torch.bool, device=self.device)
        for name, values in where.items():
            column = self[name]
            if column.dtype == torch.float32:
                raise ValueError(f"column '{name}' is float32: expected a category; compare people['{name}'] itself")
            several = isinstance(values, list | tuple | set | frozenset | range)
            codes = [self._code(name, value) for value in (values if several else [values])]
            chosen &= torch.isin(column.to(torch.int64), torch.tensor(codes, dtype=torch.int64, device=self.device))
        return chosen

    def _code(self, name: str, value: Any) -> int:
        """The code that stands in the column for a value as a reader writes it."""
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
        """A DataFrame, a person a row, categories by name; ``from_table`` is the way back."""
        import pandas

        arrays: dict[str, Any] = {name: column.cpu().numpy() for name, column in self.columns.items()}
        for name, names in self.labels.items():
            arrays[name] = pandas.Categorical.from_codes(arrays[name], pandas.Index(names, dtype=object))
        return pandas.DataFrame(arrays)

    def save(self, path: str | Path) -> None:
        """Write a Parquet file, categories by name; ``load`` gives back the same codes and labels."""
        import pyarrow
        from pyarrow import parquet

        table = pyarrow.Table.from_pandas(self.to_pandas(), preserve_index=False)
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
        return from_table(pandas.read_parquet(path), labels=json.loads(metadata[HEADER]))


def refuse(name: str, column: Any, bad: Any, expected: str) -> None:
    """Raise ValueError for the first bad row, if any."""
    if bad.any():
        row = int(bad.nonzero()[0]) if isinstance(bad, Tensor) else int(np.flatnonzero(bad)[0])
        value = column[row].item() if hasattr(column[row], "item") else column[row]
        raise ValueError(f"column '{name}' is {value!r} in row {row}: expected {expected}")


def check_num_people(num_people: int) -> None:
    """ValueError unless it is a whole number of people, at least one."""
    if type(num_people) is not int or num_people < 1:
        raise ValueError(f"num_people is {num_people!r}: expected an int from 1")


def some(names: Iterable[Any]) -> str:
    """A few of many names, for an error message."""
    names = list(names)
    return str(names) if len(names) <= 12 else f"[{', '.join(map(repr, names[:12]))}, … {len(names)} in all]"


def bands(values: Tensor, edges: Sequence[float]) -> tuple[Tensor, tuple[str, ...]]:
    """Codes and names of the bands that values fall into, (n,) int64 and one name a band.

    edges: ascending, where bands meet; each belongs to the band above it. ``bands(age, [18, 65])`` has 0 under 18, 1
    from 18 to 64, 2 from 65.
    """
    if len(edges) == 0 or any(not a < b for a, b in pairwise(edges)) or not all(map(math.isfinite, edges)):
        raise ValueError(f"edges are {edges}: expected finite numbers in ascending order")
    whole = all(isinstance(edge, int) for edge in edges) and not values.dtype.is_floating_point
    between = [(f"{a}-{b - 1}" if b - a > 1 else f"{a}") if whole else f"{a} to {b}" for a, b in pairwise(edges)]
    # in float64, which float32 values and whole numbers below 2^53 enter unchanged
    limits = torch.tensor(edges, dtype=torch.float64, device=values.device)
    codes = torch.bucketize(values.to(torch.float64), limits, right=True)
    return codes, (f"under {edges[0]}", *between, f"{edges[-1]} and over")
