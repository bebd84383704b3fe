"""Histories as files and tables: Parquet and .npz to the bit, pandas, Minari.

Both file forms are written atomically, hold no pickled objects, and describe themselves by a small JSON text.

Parquet (zstd) is one long table with a row for each (row id, step), in that order, that pandas and DuckDB read as it
is: ``id``, ``step``, ``length``, then one column for each array of the history (``action``, ``reward``, each site;
``observation.key`` for an entry of a dict). Vectors and larger arrays are fixed-size lists, flattened in C order; text
is text. The last row of each id holds the final observation and nulls elsewhere. Padding is kept:
``where step < length`` is what happened. ``series.name`` holds a reduced series, and ``thinned.name`` a thinned column,
flattened, in the first row of the table only. Arrays with an axis of length 0 have no column; a history of no rows has
one row of nulls.

An .npz holds the same arrays under the same names, rows first, for ``numpy.load``; text is its UTF-8 bytes under
``name`` and where each string ends under ``name/ends``.
"""

import json
import zlib
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..arguments import check_is
from ..checkpoints import write_atomically
from ..history import History, check_fit, first_leaf, map_column
from .leaves import FORMAT, leaf_of, restored, stored, take_apart
from .npz import read_npz, write_npz
from .parquet import read_parquet, write_parquet


def save(history: History, path: str | Path) -> None:
    """Write a history to a file whose suffix, .parquet or .npz, says which form.

    The old file, if any, is replaced only once the new one is whole. Raises ValueError for another suffix and
    TypeError for an array that the form cannot hold (complex numbers, objects that are not strings).
    """
    path, write, _ = _form(path)
    leaves, arrays = take_apart(history)
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
    path, _, read = _form(path)
    if not path.is_file():
        raise FileNotFoundError(f"no history at path {path}: expected a file that History.save wrote")
    try:
        text, array_of, ids, length = read(path)
        checksum, text = text.split(b" ", 1)
        header = json.loads(text)
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}: expected {FORMAT}; it was written by a newer ethogram")
        leaves = [leaf_of(description) for description in header["leaves"]]
        arrays = [array_of(leaf).reshape(leaf.shape).astype(stored(leaf), copy=False) for leaf in leaves]
        if checksum != _checksum(text, [*arrays, ids, length]):
            raise ValueError("its checksum is not that of its content")
        columns: dict[str, Any] = {}
        series: dict[str, Any] = {}
        thinned: dict[str, Any] = {}
        for leaf, array in zip(leaves, arrays, strict=True):
            value = restored(leaf, array)
            tree = thinned if leaf.thinned else series if leaf.series else columns
            *parents, name = leaf.path
            for key in parents:
                tree = tree.setdefault(key, {})
            tree[name] = value
        length, ids = torch.tensor(length), torch.tensor(ids)
        n, steps = header["rows"], columns["terminated"].shape[1]
        check_fit(columns, length, ids, n, steps)
        if odd := [name for name, column in thinned.items() if len(first_leaf(column)) != n]:
            raise ValueError(f"thinned {odd} have other rows: expected {n}")
        by_time = map_column(lambda leaf: leaf.swapaxes(0, 1), columns)
        return History(by_time, length, ids, header["seed"], header["scenario"], series, None, thinned)
    except Exception as error:
        raise ValueError(
            f"{path} is not a whole history ({type(error).__name__}: {error}): expected a file written by "
            "History.save; it was cut off or changed, so write it again, or read other tables with load_interactions"
        ) from error


def _form(path: str | Path) -> tuple[Path, Any, Any]:
    """The path, and what writes and what reads the form that its suffix says."""
    check_is("path", path, (str, PathLike), "a file's, such as 'run.parquet'")
    path = Path(path)
    forms = {".parquet": (write_parquet, read_parquet), ".npz": (write_npz, read_npz)}
    if path.suffix not in forms:
        raise ValueError(f"path {path} ends in '{path.suffix}': expected .parquet or .npz")
    return path, *forms[path.suffix]


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
