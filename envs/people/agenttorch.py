"""Populations in AgentTorch's folders, read without running what is in them.

Such a folder has a pickled pandas Series for each attribute (``age.pickle``), ``mapping.json`` with the names of
their codes, and edges in ``mobility_networks/0.csv`` and so on. A pickle is a program: loading it calls whatever it
names. Here each name that the pickle of a Series needs becomes an inert record of what it would have been called
with, and any other name is an error. No code of pandas, NumPy or the file runs; the array is read from the records.
So the versions of pandas and NumPy that wrote the file do not matter either.
"""

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .population import Population
from .tables import from_table

NAMED = {  # by the pickle of a Series of numbers or text, as pandas 1 to 3 and NumPy 1 and 2 write it
    *("pandas.core.series.Series", "pandas.Series", "pandas.core.internals.managers.SingleBlockManager"),
    *("pandas.core.indexes.base._new_Index", "pandas.core.indexes.base.Index", "pandas.Index"),
    *(f"pandas.core.indexes.numeric.{kind}Index" for kind in ("Int64", "UInt64", "Float64")),
    *("pandas.core.indexes.range.RangeIndex", "pandas.RangeIndex"),
    *("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer", "numpy.ndarray", "numpy.dtype"),
    *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
    *("builtins.slice", "__builtin__.slice", "__builtin__.bytes", "_codecs.encode"),
}

Array = np.ndarray[Any, Any]


def from_agenttorch(folder: str | Path, *, labels: Mapping[str, Sequence[str]] | None = None) -> Population:
    """The people of an AgentTorch population folder, such as ``agent_torch/populations/astoria``.

    Each ``*.pickle`` is a column, named after the file; row i is person i, as AgentTorch counts them (an index is not
    read). The columns of ``*.parquet`` files come before pickles of the same name; one called "value", as AgentTorch
    has it where it converts a pickle, is named after its file. labels: column -> names of its codes from 0; None: what
    ``mapping.json`` says of these columns, if it is there. Contacts: ``agenttorch_edges``. Other files (``*.pkl``
    tables of households, disease stages) are not read.

    Raises FileNotFoundError for a folder without such files, and ValueError for a pickle of anything but a Series of
    numbers, bools or text (naming what it would have called), columns of different length, and codes without a name.
    A file made to do harm can still use up memory or end the process: what it cannot do is call anything.
    """
    import pandas

    folder = Path(folder)
    columns: dict[str, Any] = {}
    for path in sorted(folder.glob("*.parquet")):
        for key, column in pandas.read_parquet(path).items():
            name = path.stem if key == "value" else str(key)
            if name in columns:
                raise ValueError(f"column {name!r} is in several Parquet files of {folder}: expected it in one")
            columns[name] = column.reset_index(drop=True)  # columns would be aligned by index
    for path in sorted(folder.glob("*.pickle")):
        if path.stem not in columns:
            columns[path.stem] = pandas.Series(read_series(path))
    if not columns:
        raise FileNotFoundError(f"{folder} has neither *.parquet nor *.pickle: expected a file for each attribute")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of {folder} have different lengths, {lengths}: expected one value a person in each")
    mapping = folder / "mapping.json"
    if labels is None and mapping.is_file():
        labels = json.loads(mapping.read_text(encoding="utf-8"))
        if not isinstance(labels, dict) or not all(isinstance(names, list) for names in labels.values()):
            raise ValueError(f"{mapping} is not {{column: [names]}}: pass labels=, or labels={{}} for none")
        labels = {name: [str(n) for n in names] for name, names in labels.items() if name in columns}
    return from_table(pandas.DataFrame(columns), labels=labels)


def agenttorch_edges(path: str | Path) -> Tensor:
    """The edges of an AgentTorch contact file, (E, 2) int64, as they stand: ``folder / "mobility_networks/0.csv"``.

    AgentTorch draws ends at random, so that some people meet themselves, which ``Contacts`` refuses. To leave these
    out: ``Contacts.from_edges(*edges[edges[:, 0] != edges[:, 1]].T, num_people=len(people))``.
    """
    try:
        edges = np.loadtxt(path, np.int64, comments=None, delimiter=",", ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as edges: {error}; expected lines like '3,17' and no header") from None
    if edges.shape[1] != 2:
        raise ValueError(f"{path} has {edges.shape[1]} columns: expected 2, the two ends of an edge")
    return torch.from_numpy(edges)


def read_series(path: str | Path) -> Array:
    """The values of a pickled Series of numbers, bools or text, (n,), by reading the pickle as data.

    Raises ValueError for any other pickle, naming what it would have called, and for a damaged one.
    """
    path = Path(path)
    with open(path, "rb") as file:
        if file.read(8) == b"version ":
            raise ValueError(f"{path} is a Git LFS pointer, not the data: fetch it with git lfs pull")
        file.seek(0)
        try:
            return _values(_Reader(file).load())
        except _Refused as error:
            raise ValueError(f"{path} {error}") from None
        except Exception as error:  # damaged bytes end in almost any of them
            raise ValueError(f"{path} is not a whole pickle of a Series: {type(error).__name__}: {error}") from None


class _Refused(Exception):
    """A name that a pickle asks for and does not get."""


class _Record:
    """A stand-in for what a pickle would make: the arguments of the call, and the state it would have been given."""

    args: tuple[Any, ...]
    state: Any = None

    def __new__(cls, *args: Any) -> "_Record":
        record = object.__new__(cls)
        record.args = args
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """Makes records of all that a pickle calls: the only callables it gets are fresh subclasses of ``_Record``."""

    def find_class(self, module: str, name: str) -> type[_Record]:
        if f"{module}.{name}" not in NAMED:
            raise _Refused(
                f"would call {module}.{name}, which a Series of numbers or text does not need; nothing of it was "
                "run. If you trust the file, load it with pandas and save it with series.to_frame('value').to_parquet()"
            )
        return type(name, (_Record,), {})


def _is(record: Any, name: str, parts: int) -> bool:
    """Whether a record is of a call with that many arguments."""
    return isinstance(record, _Record) and type(record).__name__ == name and len(record.args) >= parts


def _values(series: Any) -> Array:
    """The array of a Series' only block: its manager's state is (axes, [values], …)."""
    manager: Any = series.state.get("_mgr", series.state.get("_data")) if _is(series, "Series", 0) else None
    if not _is(manager, "SingleBlockManager", 0):
        raise _Refused(f"holds a {type(series).__name__}: expected a Series")
    return _array(manager.state[1][0])


def _array(record: Any) -> Array:
    """The (n,) array of a record of ``_frombuffer(bytes, dtype, shape, order)`` or ``_reconstruct`` and its state."""
    if _is(record, "_frombuffer", 3):
        data, dtype, shape = record.args[:3]
    elif _is(record, "_reconstruct", 0):
        _, shape, dtype, _, data = record.state
    else:
        raise _Refused(f"holds values as {type(record).__name__}: expected a NumPy array")
    if _is(data, "encode", 2):  # how old protocols write bytes
        data = data.args[0].encode("latin1")
    elif _is(data, "bytes", 0):  # and how they write none
        data = b""
    kind: Any
    order: Any
    kind, order = (dtype.args[0], dtype.state[1]) if _is(dtype, "dtype", 1) else (None, "")
    if isinstance(data, list) and kind in ("O8", "O4") and all(isinstance(text, str) for text in data):
        values: Array = np.array(data, dtype=object)
    elif isinstance(data, bytes | bytearray) and re.fullmatch("[iu][1248]|f[248]|b1", str(kind)):
        values = np.frombuffer(data, np.dtype(str(kind)).newbyteorder(order)).copy()
    else:
        raise _Refused(f"holds values of type {kind}: expected numbers, bools or text")
    if shape != (len(values),):
        raise _Refused(f"holds {len(values)} values for a shape of {shape}: expected (n,)")
    return values.astype(values.dtype.newbyteorder("="), copy=False)
