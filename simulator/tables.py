"""Histories as files and tables: Parquet and .npz to the bit, pandas, Minari.

Both file forms are written atomically, hold no pickled objects, and describe themselves by a small JSON text.

Parquet (zstd) is one long table with a row for each (row id, step), in that order, that pandas and DuckDB read as it
is: ``id``, ``step``, ``length``, then one column for each array of the history (``action``, ``reward``, each site;
``observation.key`` for an entry of a dict). Vectors and larger arrays are fixed-size lists, flattened in C order; text
is text. The last row of each id holds the final observation and nulls elsewhere. Padding is kept:
``where step < length`` is what happened. ``series.name`` holds a reduced series, flattened, in the first row of the
table only. Arrays with an axis of length 0 have no column; a history of no rows has one row of nulls.

An .npz holds the same arrays under the same names, rows first, for ``numpy.load``; text is its UTF-8 bytes under
``name`` and where each string ends under ``name/ends``.
"""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .checkpoint import write_atomically
from .history import History, map_column

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from gymnasium import Space

FORMAT = 1  # of the JSON text
HEADER = "ethogram.history"  # where the JSON text is kept
RESERVED = ("id", "step", "length", HEADER)
INTEGERS = (np.dtype(bool), *map(np.dtype, ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")))
NUMBERS = (*INTEGERS, *map(np.dtype, ("f2", "f4", "f8")))


@dataclass(frozen=True)
class _Leaf:
    """One array of a history, and what it takes to make it again."""

    path: tuple[str, ...]  # the column's name, then the keys of dicts
    series: bool  # of history.series rather than of history.columns
    column: str  # its name in the file, unique
    type: str  # "torch.float32", "numpy.object" for text, "numpy.<U5", …
    shape: tuple[int, ...]  # rows first


def save(history: History, path: str | Path) -> None:
    """Write a history to a file whose suffix, .parquet or .npz, says which form.

    The old file, if any, is replaced only once the new one is whole. Raises ValueError for another suffix and
    TypeError for an array that the form cannot hold (complex numbers, objects that are not strings).
    """
    path = Path(path)
    write, _ = _form(path)
    leaves, arrays = _take_apart(history)
    header = {
        "format": FORMAT,
        "seed": history.seed,
        "scenario": history.scenario,
        "rows": len(history),
        "leaves": [asdict(leaf) for leaf in leaves],
    }
    text = json.dumps(header).encode()
    checksum = _checksum(text, [*arrays, history.ids.cpu().numpy(), history.length.cpu().numpy()])
    text = checksum + b" " + text
    write_atomically(path, lambda file: write(file, history, text, dict(zip(leaves, arrays, strict=True))))


def load(path: str | Path) -> History:
    """Read a history that ``save`` wrote, to the bit, as CPU tensors.

    Raises FileNotFoundError where there is no file, and ValueError where it is cut off, damaged, or no history.
    """
    path = Path(path)
    _, read = _form(path)
    if not path.is_file():
        raise FileNotFoundError(f"no history at {path}: no such file")
    try:
        text, array_of, ids, length = read(path)
        checksum, text = text.split(b" ", 1)
        header = json.loads(text)
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}: expected {FORMAT}; it was written by a newer ethogram")
        leaves = [_leaf_of(description) for description in header["leaves"]]
        arrays = [array_of(leaf).reshape(leaf.shape).astype(_stored(leaf), copy=False) for leaf in leaves]
        if checksum != _checksum(text, [*arrays, ids, length]):
            raise ValueError("its checksum is not that of its content")
        columns: dict[str, Any] = {}
        series: dict[str, Any] = {}
        for leaf, array in zip(leaves, arrays, strict=True):
            value = _restored(leaf, array)
            tree = series if leaf.series else columns
            *parents, name = leaf.path
            for key in parents:
                tree = tree.setdefault(key, {})
            tree[name] = value if leaf.series else value.swapaxes(0, 1)
        seed, scenario = header["seed"], header["scenario"]
    except Exception as error:
        raise ValueError(
            f"{path} is not a whole history ({type(error).__name__}: {error}): expected a file written by "
            "History.save; it was cut off or changed, so write it again, or read other tables with load_interactions"
        ) from error
    return History(columns, torch.tensor(length), torch.tensor(ids), seed, scenario, series)


def to_pandas(history: History) -> "pandas.DataFrame":
    """A long table of what happened, padding left out: a row for each (row id, step), in that order.

    Columns as in the Parquet file (see above) without ``length`` and the series. The row where ``step`` is the
    length holds the final observation and nulls elsewhere. Integer and bool columns that hold nulls are pandas'
    nullable types; vectors are NumPy arrays.
    """
    import pandas
    import pyarrow

    leaves, arrays = _take_apart(history)
    last = int("observation" in history.columns)
    step = np.arange(history.num_steps + last)
    length = history.length.cpu().numpy()[:, None]
    happened = step < length + last  # (n, T + 1)
    columns = {"id": np.repeat(history.ids.cpu().numpy(), happened.sum(1)), "step": np.nonzero(happened)[1]}
    nullable: dict[Any, Any] = {pyarrow.bool_(): pandas.BooleanDtype()} | {
        getattr(pyarrow, name.lower())(): pandas.array([], dtype=name).dtype
        for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    }
    frame: dict[str, Any] = {name: pandas.Series(values) for name, values in columns.items()}
    for leaf, array in zip(leaves, arrays, strict=True):
        if not leaf.series and array.size:
            present = step < length + (leaf.path[0] == "observation")
            column = _arrow(array, present).filter(pyarrow.array(happened.reshape(-1)))
            frame[leaf.column] = column.to_pandas(types_mapper=nullable.get if column.null_count else None)
    return pandas.DataFrame(frame)


def to_minari(
    history: History,
    dataset_id: str,
    *,
    observation_space: "Space[Any] | None" = None,
    action_space: "Space[Any] | None" = None,
    **metadata: Any,
) -> Any:
    """Write a history as a Minari dataset, an episode a row, and return the ``MinariDataset``.

    dataset_id: as Minari names them, "cascade/uniform-v0". Spaces left out are inferred from what happened: whole
    numbers are Discrete (a Box, with an axis), other numbers an unbounded Box, text is Text. Minari stores
    Gymnasium's own spaces only, so slates are a Box of item indices, -1 for positions left empty. ``metadata``
    (author, description, …) goes to ``minari.create_dataset_from_buffers``. Sites and series are not carried.

    Raises ModuleNotFoundError where Minari is not installed, ValueError for a row of no steps.
    """
    try:
        import minari
        from minari.data_collector import EpisodeBuffer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Minari is not installed: run `pip install 'ethogram[minari]'`") from error

    lengths = history.length.tolist()
    if 0 in lengths:
        raise ValueError(
            f"row {lengths.index(0)} has no steps: expected at least one in each episode; "
            "leave such rows out with history[history.length > 0]"
        )
    columns = {name: map_column(_numpy, history.column(name)) for name in ("observation", "action")}
    rows = np.arange(history.num_steps + 1)[None], history.length.cpu().numpy()[:, None]
    spaces = {
        "observation": observation_space or _space("observation", columns["observation"], rows[0] <= rows[1]),
        "action": action_space or _space("action", columns["action"], (rows[0] < rows[1])[:, :-1]),
    }

    def cut(name: str, row: int, steps: int) -> Any:
        return map_column(lambda a: a[row, :steps].tolist() if a.dtype == object else a[row, :steps], columns[name])

    reward, terminated, truncated = (_numpy(history.column(c)) for c in ("reward", "terminated", "truncated"))
    buffers = [
        EpisodeBuffer(
            id=row,
            observations=cut("observation", row, steps + 1),
            actions=cut("action", row, steps),
            rewards=reward[row, :steps],
            terminations=terminated[row, :steps],
            truncations=truncated[row, :steps],
        )
        for row, steps in enumerate(lengths)
    ]
    return minari.create_dataset_from_buffers(
        dataset_id,
        buffers,
        observation_space=spaces["observation"],
        action_space=spaces["action"],
        **{"data_format": "arrow", **metadata},
    )


def _form(path: Path) -> tuple[Any, Any]:
    forms = {".parquet": (_write_parquet, _read_parquet), ".npz": (_write_npz, _read_npz)}
    if path.suffix not in forms:
        raise ValueError(f"{path} ends in '{path.suffix}': expected .parquet or .npz")
    return forms[path.suffix]


# A history in pieces


def _take_apart(history: History) -> tuple[list[_Leaf], list[np.ndarray]]:
    """The arrays of a history, rows first, with their descriptions."""
    leaves: list[_Leaf] = []
    arrays: list[np.ndarray] = []
    taken = set(RESERVED)

    def add(path: tuple[str, ...], value: Any, series: bool) -> None:
        if isinstance(value, Mapping):
            for key in value:
                add((*path, str(key)), value[key], series)
            return
        column = ".".join(("series", *path) if series else path)
        column = column.replace("\0", "_").replace("\\", "_")  # which a zip file's names cannot hold
        while column in taken:  # a site may be called "step", or "a.b" beside {"a": {"b": …}}
            column += "_"
        taken.add(column)
        array = _numpy(value)
        _check_storable(column, array)
        kind = str(value.dtype) if isinstance(value, Tensor) else f"numpy.{_dtype_name(array.dtype)}"
        leaves.append(_Leaf(path, series, column, kind, tuple(array.shape)))
        arrays.append(array)

    for name in history.columns:
        add((name,), history.column(name), series=False)
    for name, value in history.series.items():
        add((name,), value, series=True)
    return leaves, arrays


def _numpy(leaf: Any) -> np.ndarray:
    """An array's bits as NumPy has them: bfloat16, which it lacks, as int16."""
    if not isinstance(leaf, Tensor):
        return np.asarray(leaf)
    leaf = leaf.detach().cpu()
    return (leaf.view(torch.int16) if leaf.dtype == torch.bfloat16 else leaf).numpy()


def _dtype_name(dtype: np.dtype) -> str:
    return "object" if dtype.hasobject else dtype.str


def _check_storable(column: str, array: np.ndarray) -> None:
    if array.dtype == object:
        for place, value in np.ndenumerate(array):
            if not isinstance(value, str):
                raise TypeError(f"{column}{list(place)} is {value!r}, a {type(value).__name__}: expected a str")
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                raise TypeError(
                    f"{column}{list(place)} is {value!r}, with half a surrogate pair: expected text that UTF-8 can "
                    "hold; mend it with value.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
                )
    elif array.dtype.kind != "U" and array.dtype not in NUMBERS:
        raise TypeError(f"{column} is {array.dtype}: expected bool, integers, real numbers or text; convert it")


def _leaf_of(description: dict[str, Any]) -> _Leaf:
    path, shape = description.pop("path"), description.pop("shape")
    return _Leaf(path=tuple(path), shape=tuple(shape), **description)


def _stored(leaf: _Leaf) -> np.dtype:
    """The NumPy type of the bits in the file."""
    library, name = leaf.type.split(".", 1)
    return np.dtype("int16" if (library, name) == ("torch", "bfloat16") else name)


def _restored(leaf: _Leaf, array: np.ndarray) -> Any:
    """The array as it was: a tensor, or NumPy's."""
    array = np.array(array)  # a copy that may be written to
    if leaf.type.startswith("numpy."):
        return array
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if leaf.type == "torch.bfloat16" else tensor


def _checksum(text: bytes, arrays: list[np.ndarray]) -> bytes:
    """CRC-32 of the header and every array, so that no changed byte goes unseen, whatever the file form checks."""
    crc = zlib.crc32(text)
    for array in arrays:
        if array.dtype == object:
            for value in array.reshape(-1):
                crc = zlib.crc32(value.encode() + b"\xff", crc)  # a byte that UTF-8 never has ends each string
        else:
            crc = zlib.crc32(array.tobytes(), crc)
    return b"%08x" % crc


# Parquet


def _write_parquet(file: Any, history: History, header: bytes, arrays: dict[_Leaf, np.ndarray]) -> None:
    import pyarrow
    from pyarrow import parquet

    n, steps = len(history), max(history.num_steps + ("observation" in history.columns), 1)
    rows = max(n * steps, 1)
    ids, length = history.ids.cpu().numpy(), history.length.cpu().numpy()
    nothing = np.full(rows, n == 0)
    table = {
        "id": pyarrow.array(np.repeat(ids, steps) if n else np.zeros(1, np.int64), mask=nothing),
        "step": pyarrow.array(np.tile(np.arange(steps), n) if n else np.zeros(1, np.int64), mask=nothing),
        "length": pyarrow.array(np.repeat(length, steps) if n else np.zeros(1, np.int64), mask=nothing),
    }
    for leaf, array in arrays.items():
        if array.size == 0:
            continue
        if leaf.series:
            first = pyarrow.LargeListArray.from_arrays([0, array.size], pyarrow.array(_flat(array)))
            table[leaf.column] = pyarrow.concat_arrays([first, pyarrow.nulls(rows - 1, first.type)])
        else:
            present = np.broadcast_to(np.arange(steps) < array.shape[1], (n, steps))
            table[leaf.column] = _arrow(array, present)
    whole = pyarrow.table(table).replace_schema_metadata({HEADER: header})
    parquet.write_table(whole, file, compression="zstd")


def _read_parquet(path: Path) -> tuple[bytes, Any, np.ndarray, np.ndarray]:
    from pyarrow import compute, parquet

    table = parquet.ParquetFile(path).read()
    header = table.schema.metadata[HEADER.encode()]
    first = table.filter(compute.equal(table["step"], 0))  # not null: none, for a history of no rows

    def array(leaf: _Leaf) -> np.ndarray:
        if math.prod(leaf.shape) == 0:
            return np.empty(leaf.shape, _stored(leaf))
        column = table[leaf.column].combine_chunks().drop_null()
        values = column.flatten() if hasattr(column, "flatten") and column.type.num_fields else column
        return np.asarray(values.to_numpy(zero_copy_only=False))

    return header, array, first["id"].to_numpy(), first["length"].to_numpy()


def _arrow(array: np.ndarray, present: np.ndarray) -> "pyarrow.Array":
    """(n, T, …) as an Arrow column of n steps rows, null where (n, steps) ``present`` is False (and beyond T)."""
    import pyarrow

    n, steps = present.shape
    size = math.prod(array.shape[2:])
    values = array.reshape(n, array.shape[1], size)[:, :steps]
    if values.shape[1] < steps:
        values = np.concatenate([values, np.zeros_like(values, shape=(n, steps - values.shape[1], size))], axis=1)
    absent = ~present.reshape(-1)
    if array.ndim > 2:
        values = pyarrow.array(_flat(values), mask=np.repeat(absent, size) if array.dtype == object else None)
        return pyarrow.FixedSizeListArray.from_arrays(values, size, mask=pyarrow.array(absent))
    return pyarrow.array(_flat(values), mask=absent)


def _flat(array: np.ndarray) -> np.ndarray:
    flat = array.reshape(-1)
    return flat.astype(object) if array.dtype.kind == "U" else flat


# .npz


def _write_npz(file: Any, history: History, header: bytes, arrays: dict[_Leaf, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:

        def write(name: str, array: np.ndarray) -> None:
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)

        write(HEADER, np.frombuffer(header, dtype=np.uint8))
        write("id", history.ids.cpu().numpy())
        write("length", history.length.cpu().numpy())
        for leaf, array in arrays.items():
            for name, part in _parts(leaf, array):
                write(name, part)


def _parts(leaf: _Leaf, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if array.dtype != object:
        yield leaf.column, array
        return
    encoded = [value.encode() for value in array.reshape(-1)]
    yield leaf.column, np.frombuffer(b"".join(encoded), dtype=np.uint8)
    yield f"{leaf.column}/ends", np.cumsum([len(e) for e in encoded], dtype=np.int64)


def _read_npz(path: Path) -> tuple[bytes, Any, np.ndarray, np.ndarray]:
    entries: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            content = io.BytesIO(archive.read(info))
            entries[info.filename.removesuffix(".npy")] = np.lib.format.read_array(content, allow_pickle=False)

    def array(leaf: _Leaf) -> np.ndarray:
        values = entries[leaf.column]
        if leaf.type != "numpy.object":
            return values
        whole, ends = values.tobytes(), entries[f"{leaf.column}/ends"].tolist()
        text = np.empty(len(ends), dtype=object)
        text[:] = [whole[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]
        return text

    return entries[HEADER].tobytes(), array, entries["id"], entries["length"]


# Minari


def _space(name: str, column: Any, happened: np.ndarray) -> "Space[Any]":
    """The space of one step of a (n, T, …) column, from the entries that happened."""
    from gymnasium import spaces

    if isinstance(column, dict):
        return spaces.Dict({key: _space(f"{name}.{key}", column[key], happened) for key in column})
    values, shape = column[happened], column.shape[2:]
    if column.dtype == object:
        if shape:
            raise ValueError(f"{name} has text of shape {shape} a step: expected one string; give {name}_space")
        letters = frozenset().union(*values)
        return spaces.Text(max_length=max(map(len, values), default=0) or 1, min_length=0, charset=letters or "a")
    if column.dtype not in INTEGERS:
        return spaces.Box(-np.inf, np.inf, shape, column.dtype.type)
    if column.dtype == bool and shape:
        return spaces.MultiBinary(shape)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if shape:
        return spaces.Box(low, high, shape, column.dtype.type)
    return spaces.Discrete(high - low + 1, start=low)
