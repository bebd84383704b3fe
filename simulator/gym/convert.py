"""Spaces and columns: NumPy to torch and back."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, NoReturn, cast

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from torch import Tensor

from ..arguments import checked_int
from ..history import Column
from ..rollout import check_role
from ..world import World, people_of
from . import kernels

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
    return column.numpy() if column.is_cpu and not column.requires_grad else column.numpy(force=True)


def first_row(column: Any) -> Any:
    """Row 0 as an element of the single space."""
    if isinstance(column, dict):
        return {key: first_row(value) for key, value in column.items()}
    if not isinstance(column, Tensor):
        return column[0]
    value = _shown(column)[0]
    return value.copy() if value.ndim else value


def rows_of(space: spaces.Space[Any], column: Any, rows: Array) -> list[Any]:
    """Some rows, (k,) positions, as elements of the single space; never memory that the world holds."""
    if isinstance(space, spaces.Dict):
        parts = {key: rows_of(part, column[key], rows) for key, part in space.items()}
        return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    return list(_shown(column)[rows] if isinstance(column, Tensor) else column[rows])


class Actions:
    """Actions of a space as Gymnasium gives them, made columns; what is not of the space is refused.

    A space of one's own is asked whether it contains them, unless it says ``judged_by_world``: that the worlds that
    have it refuse what is none.
    """

    def __init__(self, space: spaces.Space[Any], device: Any = None, name: str = "action") -> None:
        """space: of one row. device: of the columns. name: what errors call them."""
        self.space, self.device, self.name = space, device, name
        named = space.items() if isinstance(space, spaces.Dict) else None
        self.parts = None if named is None else {k: Actions(part, device, f"{name}[{k!r}]") for k, part in named}
        self.shape, self.dtype = tuple(space.shape or ()), space.dtype
        self.text, self.bounds = is_text(space), None if self.parts else _bounds(space)
        self.binary = isinstance(space, spaces.MultiBinary)
        self.whole = range(space.start, space.start + space.n) if isinstance(space, spaces.Discrete) else None
        self.asked = self.bounds is None and not getattr(space, "judged_by_world", False)

    def __call__(self, value: Any, batch: tuple[int, ...], rows: Array | None = None) -> Any:
        """Actions, batched (n,) or single (), as a column, which shares no memory with them.

        rows: (k,) int64 positions, if only those are wanted, and looked at.
        """
        if self.parts is not None:
            if not isinstance(value, dict) or value.keys() != self.parts.keys():
                what = f"a dict with keys {sorted(value, key=str)}" if isinstance(value, dict) else f"{value!r:.200}"
                raise ValueError(f"{self.name} is {what}: expected a dict with keys {sorted(self.parts)}")
            return {key: part(value[key], batch, rows) for key, part in self.parts.items()}
        if self.text:
            text = np.array(value if batch else [value], dtype=object)
            return self._contained(text if rows is None else text[rows], rows)
        if type(value) is np.int64 and not batch and self.whole is not None and int(value) in self.whole:
            array = np.array([value], self.dtype)  # as samples are, and most are good: half the time of the long way
            return torch.from_numpy(array) if self.device is None else torch.from_numpy(array).to(self.device)
        array, dtype = np.asarray(value), self.dtype
        if self.binary and array.dtype.kind == "f":  # as learners give them, and Gymnasium takes them
            array = array.astype(dtype) if ((array == 0) | (array == 1)).all() else array
        if array.shape != (*batch, *self.shape) or (
            array.dtype != dtype and not np.can_cast(array.dtype, dtype or array, "same_kind")
        ):
            raise ValueError(
                f"{self.name} is {array.dtype} {array.shape}: expected {dtype} {(*batch, *self.shape)}"
                f"{', one a row' if batch else ''}, an element of {self.space!r:.200}"
            )
        given = array if rows is None else array[rows]
        array = np.array(given if batch else given[None], dtype, order="C")
        if self.bounds is not None:
            # an integer is looked at before it is cast, which could wrap it; a float after, which could round it
            exact = array if array.dtype.kind == "f" else given
            if (place := kernels.first_outside(exact.reshape(-1), *self.bounds)) >= 0:
                row, part = divmod(place, len(self.bounds[0]))
                at = f" at {[int(k) for k in np.unravel_index(part, self.shape)]}" if self.shape else ""
                self._refuse(f"{exact.reshape(-1)[place]}{at}", row, rows)
        elif self.asked:
            self._contained(array, rows)
        column = torch.from_numpy(array)
        return column if self.device is None else column.to(self.device)

    def _contained(self, column: Array, rows: Array | None) -> Array:
        for i, one in enumerate(column):
            if not self._contains(one):
                self._refuse(str(one), i, rows)
        return column

    def _contains(self, one: Any) -> bool:
        """``space.contains``, which looks at a Text character by character, in a thirtieth of the time."""
        space = self.space
        if type(space) is not spaces.Text:
            return bool(space.contains(one))
        lengths = space.min_length, space.max_length
        return isinstance(one, str) and lengths[0] <= len(one) <= lengths[1] and space.character_set.issuperset(one)

    def _refuse(self, what: str, row: int, rows: Array | None) -> NoReturn:
        row = row if rows is None else int(rows[row])
        raise ValueError(f"{self.name} of row {row} is {what:.200}: expected an element of {self.space!r:.200}")


def _bounds(space: spaces.Space[Any]) -> tuple[Array, Array] | None:
    """The lowest and the highest of each number of an element, (k,) of the space's type; None for other spaces."""
    if isinstance(space, spaces.Box):
        low, high = space.low, space.high
    elif isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        first, count = (space.start, space.n) if isinstance(space, spaces.Discrete) else (space.start, space.nvec)
        low, high = np.asarray(first), np.asarray(first + (count - 1))
    elif isinstance(space, spaces.MultiBinary):
        low, high = np.zeros(space.shape), np.ones(space.shape)
    else:
        return None
    return low.astype(space.dtype).reshape(-1), high.astype(space.dtype).reshape(-1)


def is_text(space: spaces.Space[Any]) -> bool:
    """Whether elements are text: of Gymnasium's Text, or of a space of one's own whose dtype is str."""
    return isinstance(space, spaces.Text) or (space.dtype is not None and np.dtype(space.dtype).kind == "U")


def checked_space(space: spaces.Space[Any], role: str) -> spaces.Space[Any]:
    """The space, if its elements can be columns; ValueError otherwise."""
    if isinstance(space, spaces.Dict):
        for part in space.spaces.values():
            checked_space(part, role)
    elif not isinstance(space, spaces.Space):
        raise ValueError(f"{role} space is a {type(space).__name__}: expected a gymnasium.Space")
    elif not is_text(space) and (space.dtype is None or space.shape is None):
        raise ValueError(f"{role} space holds {space}: expected arrays, text, or a Dict of them; name the parts")
    return space


def check_rows(world: World, rows: int) -> None:
    """TypeError for what is no world, ValueError where a population, whose rows are people, would run in other rows."""
    check_role("world", world)
    people = people_of(world)
    if people is not None and people != rows:
        raise ValueError(
            f"{type(world).__name__} is a population of {people} people, each a row, and there are {rows} rows here: "
            f"expected its seat, Everybody(world, {people}) of simulator.populations, whose rows are populations"
        )


def checked_mode(render_mode: str | None) -> str | None:
    """The render mode, if it is one; ValueError otherwise."""
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode is {render_mode!r}: expected None or 'rgb_array'")
    return render_mode


def checked_autoreset(mode: AutoresetMode | str) -> AutoresetMode:
    """The autoreset mode, if it is one; ValueError otherwise."""
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = [known.value for known in AutoresetMode]
        raise ValueError(f"autoreset_mode is {mode!r}: expected one of {known}") from None


def stating_horizon(spec: EnvSpec | None, horizon: int) -> EnvSpec | None:
    """The spec, with the horizon as its ``max_episode_steps``: whoever reads specs learns when episodes end."""
    spec = copy(spec)
    if spec is not None:
        spec.max_episode_steps = horizon
    return spec


def checked_seed(seed: Any) -> int:
    """A seed as an int; an error for what is none."""
    return checked_int("seed", seed, 0, 2**63 - 1)


def check_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> None:
    """ValueError for options of ``reset`` that are not known."""
    if options and (unknown := sorted(set(options) - set(known))):
        raise ValueError(f"reset has options {unknown}: expected {list(known) if known else 'none'}")


def stack(space: spaces.Space[Any], observations: Sequence[Any], device: torch.device) -> Column:
    """Single observations as a column."""
    if isinstance(space, spaces.Dict):
        return {key: stack(part, [o[key] for o in observations], device) for key, part in space.items()}
    if is_text(space):
        return np.array(observations, dtype=object)
    return cast(Column, torch.from_numpy(np.stack(observations).astype(space.dtype)).to(device))
