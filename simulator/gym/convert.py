"""Spaces and columns: NumPy to torch and back."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ..history import Column

Array = np.ndarray[Any, Any]


def without_gradients(function: Callable[..., None], *arguments: Any) -> None:
    """``with torch.no_grad(): function(*arguments)`` in half the time."""
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        function(*arguments)
    finally:
        torch.set_grad_enabled(before)


def to_numpy(column: Any) -> Any:
    """A column as Gymnasium batches its space; never memory that the world holds."""
    if isinstance(column, Tensor):
        return _shown(column).copy()
    if isinstance(column, dict):
        return {key: to_numpy(value) for key, value in column.items()}
    return tuple(column.tolist())


def _shown(column: Tensor) -> Array:
    return (column.detach() if column.requires_grad else column).numpy()


def first_row(column: Any) -> Any:
    """Row 0 as an element of the single space."""
    if isinstance(column, Tensor):
        value = _shown(column)[0]
        return value.copy() if isinstance(value, np.ndarray) else value
    return {key: first_row(value) for key, value in column.items()} if isinstance(column, dict) else column[0]


def rows_of(space: spaces.Space[Any], column: Any, rows: Array) -> list[Any]:
    """Some rows, (k,) positions, as elements of the single space; never memory that the world holds."""
    if isinstance(space, spaces.Dict):
        parts = {key: rows_of(part, column[key], rows) for key, part in space.items()}
        return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    return list(_shown(column)[rows] if isinstance(column, Tensor) else column[rows])


def to_torch(space: spaces.Space[Any], value: Any, batch: tuple[int, ...], rows: Array | None = None) -> Any:
    """An action of Gymnasium's, batched (n,) or single (), as a column, which shares no memory with it.

    rows: (k,) int64 positions, if only those are wanted.
    """
    if isinstance(space, spaces.Dict):
        if not isinstance(value, dict) or value.keys() != space.keys():
            raise ValueError(f"action is {value!r}: expected a dict with keys {sorted(space.keys())}")
        return {key: to_torch(part, value[key], batch, rows) for key, part in space.items()}
    if isinstance(space, spaces.Text):
        text = np.array(value if batch else [value], dtype=object)
        return text if rows is None else text[rows]
    array, dtype = np.asarray(value), space.dtype
    shape = (*batch, *(space.shape or ()))
    if array.shape != shape or (array.dtype != dtype and not np.can_cast(array.dtype, dtype or array, "same_kind")):
        raise ValueError(
            f"action is {array.dtype} {array.shape}: expected {dtype} {shape}"
            f"{', one a row' if batch else ''}, an element of {space}"
        )
    if rows is not None:
        array = array[rows]
    return torch.from_numpy(np.array(array if batch else array[None], dtype, order="C"))


def checked_space(space: spaces.Space[Any], role: str) -> spaces.Space[Any]:
    """The space, if its elements can be columns; ValueError otherwise."""
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    for part in parts:
        if isinstance(part, spaces.Dict):
            checked_space(part, role)
        elif isinstance(part, spaces.Tuple | spaces.Sequence | spaces.Graph | spaces.OneOf):
            raise ValueError(f"{role} space holds {part}: expected arrays, Text, or a Dict of them; name the parts")
    return space


def checked_horizon(horizon: int) -> int:
    """The horizon, if it is a number of steps; ValueError otherwise."""
    if not isinstance(horizon, int | np.integer) or horizon < 1:
        raise ValueError(f"horizon is {horizon!r}: expected an int, at least 1 step")
    return horizon


def checked_seeds(seeds: Sequence[int]) -> Tensor:
    """Seeds as (n,) int64; ValueError for one out of range."""
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed is {seed}: expected an int between 0 and 2**63 - 1")
    return torch.tensor(seeds, dtype=torch.int64)


def check_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> None:
    """ValueError for options of ``reset`` that are not known."""
    if options and (unknown := sorted(set(options) - set(known))):
        raise ValueError(f"reset has options {unknown}: expected {list(known) if known else 'none'}")


def stack(space: spaces.Space[Any], observations: Sequence[Any], device: torch.device) -> Column:
    """Single observations as a column."""
    if isinstance(space, spaces.Dict):
        return {key: stack(part, [o[key] for o in observations], device) for key, part in space.items()}
    if isinstance(space, spaces.Text):
        return np.array(observations, dtype=object)
    return cast(Column, torch.from_numpy(np.stack(observations).astype(space.dtype)).to(device))
