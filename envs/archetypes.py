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

from ethogram.simulator import Draws, write_atomically

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
                _refuse(name, column, ~column.isfinite(), "a finite number; leave out or fill in who has none")
            if name == "age":
                _refuse(name, column, column < 0, "an age from 0")
        for name, names in self.labels.items():
            codes = self[name]
            if codes.dtype != torch.int64 or len(set(names)) < len(names) or not all(isinstance(n, str) for n in names):
                raise ValueError(f"labels of '{name}' ({codes.dtype}) are {names}: expected int64 and names, each once")
            unknown = (codes < 0) | (codes >= len(names))
            _refuse(name, codes, unknown, f"a code from 0 to {len(names) - 1}, one for each of {_some(names)}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Tensor:
        """The column (n,); LookupError for a name that is not there."""
        if name not in self.columns:
            raise LookupError(f"no column {name!r}; this population has {sorted(self.columns)}")
        return self.columns[name]

    @property
    def device(self) -> torch.device:
        """Where the columns are."""
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
        """Who belongs to a subgroup, (n,) bool: what ``Do(who=)`` takes.

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
        """What stands in the column for a value as a reader writes it."""
        if name in self.labels:
            if value not in self.labels[name]:
                raise LookupError(f"column '{name}' has no category {value!r}; it has {_some(self.labels[name])}")
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
        _refuse(name, column, column < 0, "a group from 0")
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

        metadata = parquet.read_schema(path).metadata or {}
        if HEADER not in metadata:
            raise ValueError(f"{path} was not written by Population.save: read it with from_table")
        return from_table(pandas.read_parquet(path), labels=json.loads(metadata[HEADER]))


def _refuse(name: str, column: Any, bad: Any, expected: str) -> None:
    """Raise ValueError for the first bad row, if any."""
    if bad.any():
        row = int(bad.nonzero()[0]) if isinstance(bad, Tensor) else int(np.flatnonzero(bad)[0])
        value = column[row].item() if hasattr(column[row], "item") else column[row]
        raise ValueError(f"column '{name}' is {value!r} in row {row}: expected {expected}")


def _check_num_people(num_people: int) -> None:
    if type(num_people) is not int or num_people < 1:
        raise ValueError(f"num_people is {num_people!r}: expected an int from 1")


def _some(names: Iterable[Any]) -> str:
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


# ---- from archetypes


def from_archetypes(
    archetypes: Mapping[str, Mapping[str, Any]], shares: Mapping[str, float], num_people: int, seed: int = 0
) -> Population:
    """People who each follow one of several named archetypes.

    archetypes: name -> attribute -> what its people have: a number, bool or category for all of them; (low, high),
    uniform between the two, both included where they are ints; {category: share}; or a distribution whose ``icdf``
    maps (m,) float64 to (m,), as that of ``torch.distributions.Normal``. All archetypes have the same attributes.
    shares: name -> the probability that a person follows it; they sum to 1.

    Column "archetype" says who follows which; each attribute is a column: labelled where it holds categories. What a
    person is depends on the seed and the person's number alone, so that the first n of a larger population are the
    same n people; shares of a finite population therefore hold up to chance. Each attribute has one draw a person,
    inverted through the archetype's distribution: under other shares or archetypes people keep their luck.

    Raises ValueError, naming archetype and attribute, for anything else.
    """
    names = tuple(archetypes)
    if set(names) != set(shares):
        raise ValueError(f"shares are for {_some(shares)}: expected one for each of {_some(names)}")
    _check_num_people(num_people)
    people = torch.arange(num_people)
    draws = Draws(seed, people, scope="population")
    cumulative = _cumulative("shares", shares, names)
    archetype = draws.inverse_cdf("archetype", cumulative, torch.zeros_like(people))
    columns, labels = {"archetype": archetype}, {"archetype": names}
    attributes = archetypes[names[0]]
    for name, values in archetypes.items():
        if set(values) != set(attributes) or "archetype" in values:
            raise ValueError(
                f"archetype '{name}' has attributes {_some(values)}: expected those of '{names[0]}', "
                f"{_some(attributes)}, and none called 'archetype'"
            )
    for attribute in attributes:
        specs = {name: archetypes[name][attribute] for name in names}
        kind = _kind(attribute, specs)
        categories: tuple[str, ...] = ()
        if kind is str:
            named = ([spec] if isinstance(spec, str) else spec for spec in specs.values())
            labels[attribute] = categories = tuple(dict.fromkeys(category for spec in named for category in spec))
        dtype = torch.float32 if kind is float else torch.bool if kind is bool else torch.int64
        uniform, column = draws.uniform(attribute), torch.zeros(num_people, dtype=dtype)
        for k, (name, spec) in enumerate(specs.items()):
            who = archetype == k
            column[who] = _inverted(f"{attribute} of '{name}'", spec, uniform[who].double(), categories).to(dtype)
        columns[attribute] = column
    return Population(columns, labels)


def _kind(attribute: str, specs: Mapping[str, Any]) -> type:
    """What an attribute's column holds in all archetypes together: float, int, bool, or str for categories."""
    kinds: dict[str, type] = {}
    for name, spec in specs.items():
        ends = {type(end) for end in (spec if isinstance(spec, tuple) and len(spec) == 2 else (spec,))}
        if isinstance(spec, str | Mapping):
            kinds[name] = str
        elif hasattr(spec, "icdf") or (ends <= {int, float} and float in ends):
            kinds[name] = float
        elif ends == {int} or type(spec) is bool:
            kinds[name] = ends.pop()
        else:
            raise ValueError(
                f"{attribute} of '{name}' is {spec!r}: expected a number, bool or category, (low, high), "
                "{category: share}, or a distribution with icdf"
            )
    among = set(kinds.values())
    if len(among) > 1 and among != {int, float}:
        what = {name: kind.__name__ for name, kind in kinds.items()}
        raise ValueError(f"'{attribute}' is of several kinds, {what}: expected one kind in all archetypes")
    return float if float in among else among.pop()


def _inverted(what: str, spec: Any, uniform: Tensor, categories: tuple[str, ...]) -> Tensor:
    """The values whose cumulative probability the draws are, (m,); uniform: (m,) float64."""
    if isinstance(spec, str):
        return torch.full_like(uniform, categories.index(spec), dtype=torch.int64)
    if isinstance(spec, Mapping):
        return torch.searchsorted(_cumulative(what, spec, categories)[0, :-1].contiguous(), uniform, right=True)
    if isinstance(spec, tuple):
        low, high = spec
        if not (low <= high and math.isfinite(high - low)):
            raise ValueError(f"{what} is {spec}: expected (low, high), low not above high")
        if isinstance(low, int) and isinstance(high, int):
            return low + (uniform * (high - low + 1)).floor().to(torch.int64)
        return low + uniform * (high - low)
    if not hasattr(spec, "icdf"):
        return torch.full(uniform.shape, spec)
    try:
        return spec.icdf(uniform)
    except (NotImplementedError, RuntimeError):  # torch cannot invert it; or it is a batch of several
        raise ValueError(f"{what} is {spec}: expected one distribution that has icdf, as Normal has") from None


def _cumulative(what: str, shares: Mapping[str, float], names: Sequence[str]) -> Tensor:
    """(1, K) float64 running sums of shares in the order of names, 0 for names that have none."""
    total = math.fsum(shares.values())
    if not all(share >= 0 for share in shares.values()) or abs(total - 1) > 1e-6:
        raise ValueError(f"{what}: {dict(shares)} sum to {total:g}: expected shares from 0 that sum to 1")
    return torch.tensor([[shares.get(name, 0.0) for name in names]], dtype=torch.float64).cumsum(1) / total


# ---- from a table


def from_table(
    table: "str | Path | pandas.DataFrame",
    columns: Sequence[str] | None = None,
    *,
    labels: Mapping[str, Sequence[str]] | None = None,
    weight: str | None = None,
    num_people: int | None = None,
    seed: int = 0,
) -> Population:
    """People from a DataFrame or a Parquet file, a row each; or people drawn from a weighted survey.

    columns: which to take; None: all. Whole numbers become int64, other numbers float32, bools bool, text and pandas
    categories codes with labels: text in alphabetic order, categories in their own. labels: column -> its categories,
    to fix their codes; of a column of whole numbers, the names of its codes from 0.

    num_people: None takes every row once. A number draws that many people by systematic resampling (Kitagawa, Journal
    of Computational and Graphical Statistics 1996): with n people, row i of weight w_i is taken n w_i / sum(w)
    times, rounded down or up, its expectation being exactly that; copies stand together. weight: the column that says
    for how many people a row stands; None: all alike. It needs num_people, and is not a column of the result unless
    ``columns`` names it.

    Raises LookupError for a column that is not there, and ValueError, naming column and row, for what is missing, not
    finite or of another type, a category that ``labels`` lacks, or a weight below 0.
    """
    frame = _frame(table)
    wanted = [name for name in frame.columns if name != weight] if columns is None else list(columns)
    for name in [*wanted, *([] if weight is None else [weight])]:
        if name not in frame.columns:
            raise LookupError(f"no column {name!r} in the table, which has {_some(frame.columns)}")
    if len(set(wanted)) < len(wanted) or not all(isinstance(name, str) for name in wanted):
        raise ValueError(f"columns are {_some(wanted)}: expected names, each once; rename them in the table")
    if strangers := set(labels or {}) - set(wanted):
        raise LookupError(f"labels are for {sorted(strangers)}: expected some of the columns, {_some(wanted)}")
    arrays, names = {}, {}
    for name in wanted:
        arrays[name], known = _column(name, frame[name], (labels or {}).get(name))
        if known is not None:
            names[name] = known
    if num_people is None and weight is not None:
        raise ValueError(f"weight is '{weight}' without num_people: expected how many people to draw from the rows")
    if num_people is not None:
        counts = systematic_counts(_weights(frame, weight), num_people, seed, "table")
        arrays = {name: np.repeat(array, counts) for name, array in arrays.items()}
    return Population({name: torch.from_numpy(array) for name, array in arrays.items()}, names)


def _frame(table: Any) -> "pandas.DataFrame":
    import pandas

    if isinstance(table, pandas.DataFrame):
        return table
    path = Path(table)
    if path.suffix != ".parquet":
        raise ValueError(f"{path} does not end in .parquet: expected a DataFrame or a Parquet file; read it by pandas")
    return pandas.read_parquet(path)


def _weights(frame: "pandas.DataFrame", weight: str | None) -> Array:
    """For how many people each row stands, (R,) float64."""
    from pandas.api import types

    if weight is None:
        return np.ones(len(frame))
    if not types.is_numeric_dtype(frame[weight].dtype):
        raise ValueError(f"column '{weight}' is {frame[weight].dtype}: expected numbers, since it is the weight")
    weights = frame[weight].to_numpy(np.float64, na_value=np.nan)
    _refuse(weight, weights, ~((weights >= 0) & np.isfinite(weights)), "a finite weight from 0")
    return weights


def _column(
    name: str, column: "pandas.Series[Any]", labels: Sequence[str] | None
) -> tuple[Array, tuple[str, ...] | None]:
    """One column as a fresh array that a population can hold, and its labels, if any."""
    import pandas
    from pandas.api import types

    missing = column.isna().to_numpy()
    if missing.any():
        _refuse(name, column.to_numpy(dtype=object), missing, "a value; fill it in, or leave these people out")
    if labels is not None and (types.is_bool_dtype(column.dtype) or types.is_float_dtype(column.dtype)):
        raise ValueError(f"column '{name}' is {column.dtype} and has labels: expected text, or codes as whole numbers")
    if types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.bool_, copy=True), None
    if types.is_integer_dtype(column.dtype):
        if types.is_unsigned_integer_dtype(column.dtype):
            _refuse(name, column.to_numpy(), column.to_numpy() > np.uint64(2**63 - 1), "a whole number below 2^63")
        return column.to_numpy(dtype=np.int64, copy=True), None if labels is None else tuple(labels)
    if types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64)
        _refuse(name, values, ~(np.abs(values) <= np.finfo(np.float32).max), "a number that float32 holds")
        return values.astype(np.float32), None
    if isinstance(column.dtype, pandas.CategoricalDtype):
        codes, names = column.cat.codes.to_numpy(np.int64, copy=True), [str(c) for c in column.cat.categories]
    else:
        text = column.to_numpy(dtype=object)
        _refuse(name, text, np.array([not isinstance(t, str) for t in text], bool), "text, a number or a bool")
        codes, unique = pandas.factorize(text, sort=True)
        codes, names = codes.astype(np.int64), list(unique)
    return (codes, tuple(names)) if labels is None else (_recoded(name, codes, names, labels), tuple(labels))


def _recoded(name: str, codes: Array, names: Sequence[Any], wanted: Sequence[Any]) -> Array:
    """Codes of ``names`` as codes of ``wanted``."""
    place = {category: code for code, category in enumerate(wanted)}
    recoded = np.array([place.get(category, -1) for category in names], np.int64)[codes]
    if (unknown := recoded < 0).any():
        _refuse(name, np.asarray(names, dtype=object)[codes], unknown, f"one of {_some(wanted)}")
    return recoded


def systematic_counts(weights: Array, num_people: int, seed: int, site: str) -> Array:
    """How many of ``num_people`` fall on each row, (R,) int64: systematic sampling with one draw for all rows.

    weights: (R,) float64 from 0. site: names the draw. Counts sum to num_people. Those of a row, and of any run of
    consecutive rows, are its expectation rounded down or up (but for float64's rounding of the running sum); the
    mean over seeds is the expectation. Raises ValueError for weights that sum to 0 or not to a finite number.
    """
    total = np.cumsum(weights)
    if len(weights) == 0 or not 0 < total[-1] < np.inf:
        raise ValueError(f"weights sum to {total[-1] if len(weights) else 0:g}: expected some above 0, all finite")
    _check_num_people(num_people)
    start = Draws(seed, torch.zeros(1, dtype=torch.int64), scope="population").uniform(site).item()
    return np.diff(np.floor(total / total[-1] * num_people + start).astype(np.int64), prepend=0)
