"""From_table, systematic_counts: tables and weighted surveys."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, check_is, checked_int

from .population import Array, Population, refuse, some

if TYPE_CHECKING:
    import pandas


def from_table(
    table: "str | Path | pandas.DataFrame | Mapping[str, Any]",
    columns: Sequence[str] | None = None,
    *,
    id: str | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
    weight: str | None = None,
    num_people: int | None = None,
    seed: int = 0,
) -> Population:
    """People from a DataFrame, a dict of columns, or a .csv, .tsv or .parquet file; or drawn from a weighted survey.

    columns: which to take; None: all. Whole numbers become int64, other numbers float32, bools bool, text and pandas
    categories codes with labels: text in alphabetic order, categories in their own. labels: column -> its categories,
    to fix their codes; of a column of whole numbers, the names of its codes from 0. id: the column, or the name of the
    index, that says who a row is: the people's ``names``. None: the frame's row labels, but for numbers that repeat.

    num_people: None takes every row once. A number draws that many people by systematic resampling (Kitagawa, Journal
    of Computational and Graphical Statistics 1996): with n people, row i of weight w_i is taken n w_i / sum(w)
    times, rounded down or up, its expectation being exactly that; copies stand together, and have no names. weight:
    the column that says for how many people a row stands; None: all alike. It needs num_people, and is not a column of
    the result unless ``columns`` names it.

    Raises LookupError for a column that is not there, and ValueError, naming column and row, for what is missing, not
    finite or of another type, a category that ``labels`` lacks, or a weight below 0.
    """
    check_is("labels", {} if labels is None else labels, Mapping, "a dict of columns to names")
    check_is("columns", [] if columns is None else columns, Sequence, "a list of names")
    frame = _frame(table)
    names_of, frame = _named(frame, id)
    wanted = [name for name in frame.columns if name != weight] if columns is None else list(columns)
    asked = [*(("columns", name) for name in wanted), *([] if weight is None else [("weight", weight)])]
    for role, name in asked:
        if name not in frame.columns:
            raise LookupError(f"no column {name!r} in the table, for {role}=: expected some of {some(frame.columns)}")
    if len(set(wanted)) < len(wanted) or not all(isinstance(name, str) for name in wanted):
        raise ValueError(f"columns are {some(wanted)}: expected names, each once; rename them in the table")
    if strangers := set(labels or {}) - set(wanted):
        raise LookupError(f"labels are for {sorted(strangers)}: expected some of the columns, {some(wanted)}")
    arrays, names = {}, {}
    for name in wanted:
        arrays[name], known = _column(name, frame[name], (labels or {}).get(name))
        if known is not None:
            names[name] = known
    if num_people is None and weight is not None:
        raise ValueError(f"weight is '{weight}' without num_people: expected how many people to draw from the rows")
    if num_people is not None:
        counts = systematic_counts(_weights(frame, weight), num_people, seed, "table")
        arrays, names_of = {name: np.repeat(array, counts) for name, array in arrays.items()}, None
    return Population({name: torch.from_numpy(array) for name, array in arrays.items()}, names, names_of)


def _frame(table: Any) -> "pandas.DataFrame":
    import pandas

    if isinstance(table, pandas.DataFrame):
        return table
    if isinstance(table, Mapping):
        plain = {name: column.cpu().numpy() if isinstance(column, Tensor) else column for name, column in table.items()}
        return pandas.DataFrame(plain)
    if not isinstance(table, str | Path):
        raise TypeError(f"table is a {type(table).__name__}: expected a DataFrame, a dict of columns, or a path")
    path = Path(table)
    if path.suffix in (".csv", ".tsv", ".parquet") and not path.is_file():
        raise FileNotFoundError(f"table is {path}, which is no file: expected the path of one, a DataFrame, or a dict")
    if path.suffix in (".csv", ".tsv"):
        return pandas.read_csv(path, sep="," if path.suffix == ".csv" else "\t")
    if path.suffix != ".parquet":
        raise ValueError(f"{path} ends in {path.suffix!r}: expected .csv, .tsv or .parquet, or what pandas reads of it")
    return pandas.read_parquet(path)


def _named(frame: "pandas.DataFrame", id: str | None) -> "tuple[Any, pandas.DataFrame]":
    """Who the rows are, (R,) or None, and the frame without that column."""
    import pandas

    if id is None:
        labels = frame.index
        repeat = pandas.api.types.is_integer_dtype(labels.dtype) and not labels.is_unique
        return None if repeat or isinstance(labels, pandas.RangeIndex) else labels, frame
    if id not in frame.columns and id != frame.index.name:
        raise LookupError(f"id is '{id}', of which the table has no column: expected one of {some(frame.columns)}")
    return (frame.index, frame) if id not in frame.columns else (frame[id], frame.drop(columns=[id]))


def _weights(frame: "pandas.DataFrame", weight: str | None) -> Array:
    """For how many people each row stands, (R,) float64."""
    from pandas.api import types

    if weight is None:
        return np.ones(len(frame))
    if not types.is_numeric_dtype(frame[weight].dtype):
        raise ValueError(f"column '{weight}' is {frame[weight].dtype}: expected numbers, since it is the weight")
    weights = frame[weight].to_numpy(np.float64, na_value=np.nan)
    refuse(weight, weights, ~((weights >= 0) & np.isfinite(weights)), "a finite weight from 0")
    return weights


def _column(
    name: str, column: "pandas.Series[Any]", labels: Sequence[str] | None
) -> tuple[Array, tuple[str, ...] | None]:
    """One column as a fresh array that a population can hold, and its labels, if any."""
    import pandas
    from pandas.api import types

    missing = column.isna().to_numpy()
    if missing.any():
        refuse(name, column.to_numpy(dtype=object), missing, "a value; fill it in, or leave these people out")
    if labels is not None and (types.is_bool_dtype(column.dtype) or types.is_float_dtype(column.dtype)):
        raise ValueError(f"column '{name}' is {column.dtype} and has labels: expected text, or codes as whole numbers")
    if types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.bool_, copy=True), None
    if types.is_integer_dtype(column.dtype):
        if types.is_unsigned_integer_dtype(column.dtype):
            refuse(name, column.to_numpy(), column.to_numpy() > np.uint64(2**63 - 1), "a whole number below 2^63")
        return column.to_numpy(dtype=np.int64, copy=True), None if labels is None else tuple(labels)
    if types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64)
        refuse(name, values, ~(np.abs(values) <= np.finfo(np.float32).max), "a number that float32 holds")
        return values.astype(np.float32), None
    if isinstance(column.dtype, pandas.CategoricalDtype):
        codes, names = column.cat.codes.to_numpy(np.int64, copy=True), [str(c) for c in column.cat.categories]
    else:
        text = column.to_numpy(dtype=object)
        refuse(name, text, np.array([not isinstance(t, str) for t in text], bool), "text, a number or a bool")
        codes, unique = pandas.factorize(text, sort=True)
        codes, names = codes.astype(np.int64), list(unique)
    return (codes, tuple(names)) if labels is None else (recoded(name, codes, names, labels), tuple(labels))


def recoded(name: str, codes: Array, names: Sequence[Any], wanted: Sequence[Any]) -> Array:
    """Codes of ``names`` as codes of ``wanted``."""
    place = {category: code for code, category in enumerate(wanted)}
    recoded = np.array([place.get(category, -1) for category in names], np.int64)[codes]
    if (unknown := recoded < 0).any():
        refuse(name, np.asarray(names, dtype=object)[codes], unknown, f"one of {some(wanted)}")
    return recoded


def systematic_counts(weights: Array, num_people: int, seed: int, site: str) -> Array:
    """The number of people on each row, (R,) int64: ``num_people`` by systematic sampling with one draw for all rows.

    weights: (R,) float64 from 0. site: names the draw. Counts sum to num_people. Those of a row, and of any run of
    consecutive rows, are its expectation rounded down or up (but for float64's rounding of the running sum); the
    mean over seeds is the expectation. Raises ValueError for weights that sum to 0 or not to a finite number.
    """
    total = np.cumsum(weights)
    if len(weights) == 0 or not 0 < total[-1] < np.inf:
        raise ValueError(f"weights sum to {total[-1] if len(weights) else 0:g}: expected some above 0, all finite")
    num_people = checked_int("num_people", num_people, 1)
    start = Draws(seed, torch.zeros(1, dtype=torch.int64), scope="population").uniform(site).item()
    return np.diff(np.floor(total / total[-1] * num_people + start).astype(np.int64), prepend=0)
