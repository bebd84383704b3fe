"""Those arrays as an .npz."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..history import History
from .leaves import HEADER, Leaf, check_room


def write_npz(file: Any, history: History, header: bytes, arrays: dict[Leaf, np.ndarray]) -> None:
    """Write the arrays and the header as an .npz."""
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


def _parts(leaf: Leaf, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if array.dtype != object:
        yield leaf.column, array
        return
    encoded = [value.encode() for value in array.reshape(-1)]
    yield leaf.column, np.frombuffer(b"".join(encoded), dtype=np.uint8)
    yield f"{leaf.column}/ends", np.cumsum([len(e) for e in encoded], dtype=np.int64)


def read_npz(path: Path) -> tuple[bytes, Any, np.ndarray, np.ndarray]:
    """The header and the arrays of an .npz."""
    entries: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive:
        check_room(sum(info.file_size for info in archive.infolist()))  # of which no more is read
        for info in archive.infolist():
            content = io.BytesIO(archive.read(info))
            try:
                array = np.lib.format.read_array(content, allow_pickle=False)
            except ValueError:  # whose text tells how to trust it
                raise ValueError(f"{info.filename} is no array of numbers") from None
            entries[info.filename.removesuffix(".npy")] = array

    def array_of(leaf: Leaf) -> np.ndarray:
        values = entries[leaf.column]
        if leaf.type != "numpy.object":
            return values
        whole, ends = values.tobytes(), entries[f"{leaf.column}/ends"].tolist()
        text = np.empty(len(ends), dtype=object)
        text[:] = [whole[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]
        return text

    return entries[HEADER].tobytes(), array_of, entries["id"], entries["length"]
