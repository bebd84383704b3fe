"""A History taken apart into named arrays, and put together."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..history import History

FORMAT = 1  # of the JSON text

HEADER = "ethogram.history"  # where the JSON text is kept

RESERVED = ("id", "step", "length", HEADER)

INTEGERS = (np.dtype(bool), *map(np.dtype, ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")))

NUMBERS = (*INTEGERS, *map(np.dtype, ("f2", "f4", "f8")))

ROOM = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # bytes: arrays are copied once


@dataclass(frozen=True)
class Leaf:
    """One array of a history, and what it takes to make it again."""

    path: tuple[str, ...]  # the column's name, then the keys of dicts
    series: bool  # of history.series rather than of history.columns
    column: str  # its name in the file, unique
    type: str  # "torch.float32", "numpy.object" for text, "numpy.<U5", …
    shape: tuple[int, ...]  # rows first
    thinned: bool = False  # of history.thinned, which is stored as a series is


def take_apart(history: History) -> tuple[list[Leaf], list[np.ndarray]]:
    """The arrays of a history, rows first, with their descriptions."""
    leaves: list[Leaf] = []
    arrays: list[np.ndarray] = []
    taken = set(RESERVED)

    def add(path: tuple[str, ...], value: Any, series: bool, thinned: bool = False) -> None:
        if isinstance(value, Mapping):
            for key in value:
                add((*path, str(key)), value[key], series, thinned)
            return
        column = ".".join(("thinned" if thinned else "series", *path) if series else path)
        column = column.replace("\0", "_").replace("\\", "_")  # which a zip file's names cannot hold
        while column in taken:  # a site may be called "step", or "a.b" beside {"a": {"b": …}}
            column += "_"
        taken.add(column)
        array = to_numpy(value)
        _check_storable(column, array)
        kind = str(value.dtype) if isinstance(value, Tensor) else f"numpy.{_dtype_name(array.dtype)}"
        leaves.append(Leaf(path, series, column, kind, tuple(array.shape), thinned))
        arrays.append(array)

    for name, column in history.columns.items():
        add((name,), column, series=False)
    for name, value in history.series.items():
        add((name,), value, series=True)
    for name, column in history.thinned.items():
        add((name,), column, series=True, thinned=True)
    return leaves, arrays


def to_numpy(leaf: Any) -> np.ndarray:
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


def leaf_of(description: dict[str, Any]) -> Leaf:
    """The Leaf that a file's header describes."""
    path, shape = description.pop("path"), description.pop("shape")
    return Leaf(path=tuple(path), shape=tuple(shape), **description)


def stored(leaf: Leaf) -> np.dtype:
    """The NumPy type of the bits in the file."""
    library, name = leaf.type.split(".", 1)
    return np.dtype("int16" if (library, name) == ("torch", "bfloat16") else name)


def restored(leaf: Leaf, array: np.ndarray) -> Any:
    """The array as it was: a tensor, or NumPy's."""
    array = np.array(array)  # a copy that may be written to
    if leaf.type.startswith("numpy."):
        return array
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if leaf.type == "torch.bfloat16" else tensor


def check_room(size: int) -> None:
    """Raise ValueError where a file would unfold to more bytes than there is room for: one of zeros is small."""
    if size > ROOM:
        raise ValueError(f"it unfolds to {size / 1e9:.3g} GB: expected at most {ROOM / 1e9:.3g} GB, half of the memory")
