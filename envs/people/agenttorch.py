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
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, check_is
from ethogram.simulator.networks import Contacts, Network, within_groups

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

BANDS: dict[str, Any] = {  # how bands of age are written: U19, 20t29, 65A in AgentTorch's folders
    r"(?:U|<|under )(\d+)": lambda end: (0, int(end)),
    r"(\d+)(?:t|-|–| to )(\d+)": lambda first, last: (int(first), int(last) + 1),
    r"(\d+)(?:A|\+| and over)": lambda first: (int(first), max(int(first), OLDEST) + 1),
}
OLDEST = 89  # years, of those in a band without an end

Array = np.ndarray[Any, Any]


class AgentTorchCity(NamedTuple):
    """A folder's people and their layers of contacts, as ``Epidemic`` takes them, and what was done to get them."""

    people: Population
    layers: dict[str, Network]
    notes: tuple[str, ...]


def agenttorch_city(
    folder: str | Path,
    *,
    labels: Mapping[str, Sequence[str]] | None = None,
    edges: str | Path | None = None,
    seed: int = 0,
) -> AgentTorchCity:
    """An AgentTorch folder as a city: ``Epidemic(city.layers, city.people["age"], city.people["area"])``.

    People are those of ``from_agenttorch``. Their bands of age are read by name (U19, 20t29, 65A), never by code, whose
    order differs between folders: column "age band". "age" is in years, uniform within the band by the seed; a band
    without an end ends with 89 years, and one below an age reaches up to the next band where that begins a year later.

    Layer "community": the contacts of ``edges``, by default ``mobility_networks/0.csv``, in which each stands once and
    both ways are meant; so they are mirrored, and self-loops and repeats left out. (The file of each later step holds
    the contacts of all steps before it, too.) Layer "household": all pairs in one, if there is such a column. notes:
    what was read, left out, mirrored and drawn, and how many people have no contact, in sentences.

    Raises ValueError for bands that cannot be read, or have no names: pass labels= as to ``from_agenttorch``.
    """
    check_is("folder", folder, (str, Path), "the path of an AgentTorch population")
    folder, notes = Path(folder), []
    people = from_agenttorch(folder, labels=labels)
    notes.append(f"{len(people):,} people with {', '.join(people.columns)}")
    if "age" in people.columns:
        people, note = _with_years(people, seed)
        notes.append(note)
    layers: dict[str, Network] = {}
    path = folder / "mobility_networks" / "0.csv" if edges is None else Path(edges)
    if path.is_file() or edges is not None:
        layers["community"], note = _mirrored(path, len(people))
        notes.append(note)
    if "household" in people.columns:
        layers["household"] = within_groups(people["household"])
        notes.append(f"{len(set(people['household'].tolist())):,} households, in which all pairs are in contact")
    if not layers:
        raise FileNotFoundError(f"{folder} has neither {path.relative_to(folder)} nor households: pass edges=")
    return AgentTorchCity(people, layers, tuple(notes))


def _with_years(people: Population, seed: int) -> tuple[Population, str]:
    """The people with ages in years, and their bands as another column; and a note."""
    if "age" not in people.labels:
        raise ValueError(
            "ages are codes without names, whose order differs between folders: pass "
            "labels={'age': ['U19', '20t29', …]}"
        )
    names = people.labels["age"]
    found = [_years(name) for name in names]
    next_low = min((low for low, _ in found if low > 0), default=OLDEST + 2)
    reaches = [not name[0].isdigit() and next_low <= end + 1 for name, (_, end) in zip(names, found, strict=True)]
    found = [(low, next_low if up else end) for up, (low, end) in zip(reaches, found, strict=True)]
    low, end = torch.tensor(found).T[:, people["age"]]
    luck = Draws(seed, torch.arange(len(people)), scope="population").uniform("age in band").double()
    columns = {"age band" if name == "age" else name: column for name, column in people.columns.items()}
    labels = {"age band" if name == "age" else name: names for name, names in people.labels.items()}
    years = low + (luck * (end - low)).long()
    bands = ", ".join(f"{name} as {a} to {b - 1}" for name, (a, b) in zip(names, found, strict=True))
    return Population({"age": years, **columns}, labels), f"ages in years drawn evenly within the bands: {bands}"


def _years(name: str) -> tuple[int, int]:
    """From which age a band is, and below which."""
    for pattern, ends in BANDS.items():
        if match := re.fullmatch(pattern, name):
            return ends(*match.groups())
    raise ValueError(f"{name!r} is no band of ages: expected names like U19, 20t29 and 65A, or under 18, 18-64 and 65+")


def _mirrored(path: Path, num_people: int) -> tuple[Contacts, str]:
    """The contacts of a file in both directions, and a note."""
    edges = agenttorch_edges(path)
    two = edges[edges[:, 0] != edges[:, 1]]
    contacts = Contacts.from_edges(two[:, 0], two[:, 1], num_people, repeats="merge")
    loops, repeats = len(edges) - len(two), len(two) - contacts.num_contacts // 2
    alone = int((contacts.degree == 0).sum())
    return contacts, (
        f"{len(edges):,} contacts in {path.name}, mirrored, without {loops:,} self-loops and {repeats:,} repeats; "
        f"{alone:,} people ({100 * alone / num_people:.1f} %) have none"
    )


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

    check_is("folder", folder, (str, Path), "the path of an AgentTorch population")
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
