"""Those arrays as a Parquet table."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..history import History
from .leaves import HEADER, Leaf, check_room, stored

if TYPE_CHECKING:
    import pyarrow


def write_parquet(file: Any, history: History, header: bytes, arrays: dict[Leaf, np.ndarray]) -> None:
    """Write the arrays as one long table, the header in its metadata."""
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
            table[leaf.column] = to_arrow(array, present)
    whole = pyarrow.table(table).replace_schema_metadata({HEADER: header})
    parquet.write_table(whole, file, compression="zstd")


def read_parquet(path: Path) -> tuple[bytes, Any, np.ndarray, np.ndarray]:
    """The header and the arrays of such a table."""
    from pyarrow import compute, parquet

    file = parquet.ParquetFile(path)
    check_room(file.metadata.num_rows * sum(_bits(field.type) for field in file.schema_arrow) // 8)
    table = file.read()
    header = table.schema.metadata[HEADER.encode()]
    first = table.filter(compute.equal(table["step"], 0))  # not null: none, for a history of no rows

    def array(leaf: Leaf) -> np.ndarray:
        if math.prod(leaf.shape) == 0:
            return np.empty(leaf.shape, stored(leaf))
        column = table[leaf.column].combine_chunks().drop_null()
        values = column.flatten() if hasattr(column, "flatten") and column.type.num_fields else column
        return np.asarray(values.to_numpy(zero_copy_only=False))

    return header, array, first["id"].to_numpy(), first["length"].to_numpy()


def _bits(kind: "pyarrow.DataType") -> int:
    """The bits of a row of a column, at least."""
    import pyarrow

    value = getattr(kind, "value_type", kind)
    return getattr(kind, "list_size", 1) * (value.bit_width if pyarrow.types.is_primitive(value) else 64)


def to_arrow(array: np.ndarray, present: np.ndarray) -> "pyarrow.Array":
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
