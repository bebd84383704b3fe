"""Columns of tables that others wrote: files and frames read, ids, times and numbers checked."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    import pandas

Name = str | int  # a column by its name, or by its place in a file without a header
Ids = np.ndarray[Any, Any]  # ascending: int64, or str objects
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": " ", ".parquet": ""}
BLANKS = r"\s+"  # as pandas calls any number of blanks


def read_columns(source: Any, asked: Mapping[str, Name], separator: str | None) -> "tuple[pandas.DataFrame, str]":
    """A table with the columns asked for, ids as they are written, and what to call it in messages.

    source: a frame (pandas', or of a library whose frames have ``to_pandas``), what pandas makes a frame of (a dict of
    columns, a list of rows, an array), or the path of a file. asked: role ("user") -> the column that plays it.
    """
    import pandas

    if not isinstance(source, str | Path):
        frame = _frame(source)
        _check_columns("the frame", list(frame.columns), asked)
        where = "the frame"
    else:
        frame, where = _read(Path(source), asked, separator), str(source)
    if len(frame) == 0:
        raise ValueError(f"{where} has no rows: expected at least one")
    for role, name in asked.items():
        if isinstance(frame[name], pandas.DataFrame):
            raise ValueError(f"{where} has several columns {name!r}: expected one, for {role}=")
    return frame, where


def _frame(source: Any) -> "pandas.DataFrame":
    import pandas

    if hasattr(source, "to_pandas"):
        source = source.to_pandas()
    if isinstance(source, pandas.DataFrame):
        return source
    if isinstance(source, Mapping):
        source = {name: column.numpy() if isinstance(column, Tensor) else column for name, column in source.items()}
    try:
        if isinstance(source, Mapping | list | tuple | np.ndarray):
            return pandas.DataFrame(source)
    except Exception as error:
        raise ValueError(
            f"the {type(source).__name__} makes no table ({error}): expected columns of one length"
        ) from None
    raise TypeError(
        f"source is a {type(source).__name__}: expected the path of a file, a DataFrame, a dict of columns, or a list "
        "of rows"
    )


def _read(path: Path, asked: Mapping[str, Name], separator: str | None) -> "pandas.DataFrame":
    import pandas

    if not path.is_file():
        raise FileNotFoundError(f"no log at source {path}: expected a file")
    suffix = next((s for s in reversed(path.suffixes) if s in SEPARATORS), None)
    if separator == "" or (separator is not None and suffix == ".parquet"):
        raise ValueError(f"separator is {separator!r} for {path}: expected what stands between columns of a text file")
    if suffix is None and separator is None:
        raise ValueError(f"{path} ends in none of {sorted(SEPARATORS)}: say what parts its columns with separator=")
    wanted: list[Any] = list(asked.values())
    try:
        if suffix == ".parquet":
            from pyarrow import parquet

            _check_columns(str(path), parquet.read_schema(path).names, asked)
            return pandas.read_parquet(path, columns=list(dict.fromkeys(wanted)))
        options: dict[str, Any] = {"sep": separator or SEPARATORS[str(suffix)]}
        if len(options["sep"]) > 1 and options["sep"] != BLANKS:  # pandas reads such as regular expressions, in Python
            options = {"sep": re.escape(options["sep"]), "engine": "python"}
        if all(isinstance(name, int) for name in wanted):
            options["header"] = None
        _check_columns(str(path), pandas.read_csv(path, nrows=0 if "header" not in options else 1, **options), asked)
        if "engine" not in options:
            options["low_memory"] = False  # which only the other engine knows
        as_written = {asked[role]: str for role in IDS if role in asked}  # "007" is not 7
        frame = pandas.read_csv(path, dtype=as_written, keep_default_na=False, na_values=[""], **options)
        if not isinstance(frame.index, pandas.RangeIndex):  # which pandas makes of cells without a header
            raise ValueError("its rows have more cells than its header")
        return frame
    except LookupError:
        raise
    except Exception as error:
        empty = isinstance(error, pandas.errors.EmptyDataError)
        reason = "it is empty" if empty else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} cannot be read as a table of interactions: {reason}") from error


IDS = ("user", "item", "session", "state")  # the roles whose cells are names


def _check_columns(where: str, there: Any, asked: Mapping[str, Name]) -> None:
    for role, name in asked.items():
        if name not in list(there):
            raise LookupError(
                f"no column {name!r} in {where}, which has {list(there)}: expected one of these; name the column of "
                f"{role}="
            )


def _fail(name: Name, bad: Any, values: Any, expected: str) -> None:
    """Raise ValueError for the first bad row, if any."""
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        value = np.asarray(values, dtype=object)[rows[0]]
        raise ValueError(f"column {name!r} is {value!r} in row {rows[0]}: expected {expected}")


def id_column(name: Name, column: "pandas.Series[Any]", known: Any = None) -> tuple[np.ndarray[Any, Any], Ids]:
    """(R,) int64 index of each id among the ids, and these: in ascending order, or as ``known`` gives them.

    known: ids of another log, whose order is to be kept; an id that is not among them is an error.
    """
    import pandas

    expected = "an id, a whole number below 2**63 or text"
    if known is not None:
        known = np.asarray(known)
        known = known.astype(object) if known.dtype.kind == "U" else known
        if known.ndim != 1 or len(known) == 0 or len(set(known.tolist())) < len(known):
            raise ValueError(f"the ids given for column {name!r} are no ids: expected an array of distinct ones")
    _fail(name, column.isna(), column, expected)
    values = column.to_numpy()
    if not pandas.api.types.is_numeric_dtype(column):
        text = column.to_numpy(dtype=object)
        _fail(name, [not isinstance(value, str) for value in text], text, expected)
        as_numbers = pandas.to_numeric(pandas.Series(text), errors="coerce")
        whole = bool(as_numbers.mod(1).eq(0).all())  # not so for infinity
        names = as_numbers.isna().any() or (whole and (as_numbers.astype(str) != text).any())  # words, or 007
        if known is not None:
            names = known.dtype == object
        values = text if names else as_numbers.to_numpy()
    if values.dtype != object:
        real = values.astype(np.float64)
        _fail(name, ~(np.abs(real) < 2.0**63) | (real != np.round(real)), values, expected)
        values = values.astype(np.int64)
    if known is None:
        index, unique = pandas.factorize(values, sort=True)
        return index.astype(np.int64), np.asarray(unique)
    index = pandas.Index(known).get_indexer(pandas.Index(values))
    _fail(name, index < 0, column, f"one of the {len(known)} ids given, such as {known.tolist()[0]!r}")
    return index.astype(np.int64), known


def time_column(name: Name, column: "pandas.Series[Any]") -> np.ndarray[Any, Any]:
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


def number_column(role: str, name: Name, column: "pandas.Series[Any]") -> np.ndarray[Any, Any]:
    """(R,) float64, in the range of its role: rating, click, position, propensity, dwell or reward."""
    import pandas

    values = pandas.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    expected, good = {
        "rating": ("a finite number", np.isfinite(values)),
        "click": ("0 or 1", (values == 0) | (values == 1)),
        "position": ("a whole number from 0", (values >= 0) & (values % 1 == 0)),
        "propensity": ("a probability above 0 and at most 1", (values > 0) & (values <= 1)),
        "dwell": ("a finite number from 0", (values >= 0) & np.isfinite(values)),
        "reward": ("a finite number from 0", (values >= 0) & np.isfinite(values)),
    }[role]
    _fail(name, ~good, column, f"{expected}, the {role}")
    return values
