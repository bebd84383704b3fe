"""Spaces and columns: NumPy to torch and back."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ..history import Column


def to_numpy(column: Any) -> Any:
    """A column as Gymnasium batches its space; never memory that the world holds."""
    if isinstance(column, dict):
        return {key: to_numpy(value) for key, value in column.items()}
    return column.detach().numpy().copy() if isinstance(column, Tensor) else tuple(column.tolist())


def first_row(column: Any) -> Any:
    """Row 0 as an element of the single space."""
    if isinstance(column, dict):
        return {key: first_row(value) for key, value in column.items()}
    return column[0].detach().numpy().copy()[()] if isinstance(column, Tensor) else column[0]


def to_torch(space: spaces.Space[Any], value: Any, batch: tuple[int, ...]) -> Any:
    """An action of Gymnasium's, batched (n,) or single (), as a column; in the caller's memory if it can be."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, dict) or value.keys() != space.keys():
            raise ValueError(f"action is {value!r}: expected a dict with keys {sorted(space.keys())}")
        return {key: to_torch(part, value[key], batch) for key, part in space.items()}
    if isinstance(space, spaces.Text):
        return np.array(value if batch else [value], dtype=object)
    array = np.asarray(value)
    shape = (*batch, *(space.shape or ()))
    if array.shape != shape or not np.can_cast(array.dtype, space.dtype or array.dtype, "same_kind"):
        raise ValueError(
            f"action is {array.dtype} {array.shape}: expected {space.dtype} {shape}"
            f"{', one a row' if batch else ''}, an element of {space}"
        )
    array = np.ascontiguousarray(array if batch else array[None], dtype=space.dtype)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


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
    unknown = sorted(set(options or ()) - set(known))
    if unknown:
        raise ValueError(f"reset has options {unknown}: expected {list(known) if known else 'none'}")


def stack(space: spaces.Space[Any], observations: Sequence[Any], device: torch.device) -> Column:
    """Single observations as a column."""
    if isinstance(space, spaces.Dict):
        return {key: stack(part, [o[key] for o in observations], device) for key, part in space.items()}
    if isinstance(space, spaces.Text):
        return np.array(observations, dtype=object)
    return cast(Column, torch.from_numpy(np.stack(observations).astype(space.dtype)).to(device))
