"""Memory: what rows saw and did in their last steps, for who sits inside the world. Tape: a column as it is written.

A rollout keeps the history of its own policy. A user in a session, or the citizens under a planner, act inside a world,
so the world hands them theirs: its state carries a Memory, and is then as pure as before, whoever runs it. A
rollout's own record is written on Tapes.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from .arguments import check_has, checked_int
from .draws import Draws
from .history import Column, History, first_leaf, map_column
from .trees import lend_history


@dataclass(frozen=True, eq=False)
class Memory:
    """The last steps of n rows, at most W of them, the oldest first.

    observation: (n, W, …) what was seen before each action. action: (n, W, …). reward: (n, W) float32. count: (n,)
    int64, how many steps there are; what stands from there on means nothing.
    """

    observation: Column
    action: Column
    reward: Tensor
    count: Tensor

    @classmethod
    def empty(cls, steps: int, observation: Any, action: Any) -> "Memory":
        """Nothing yet, with room for so many steps of such columns, (n, …)."""
        checked_int("steps", steps, 1)
        for name, column in (("observation", observation), ("action", action)):
            check_has(name, first_leaf(column), "a tensor (n, …), an array of text, or a dict of such", "shape")

        def room(leaf: Any) -> Any:
            shape = (len(leaf), steps, *leaf.shape[1:])
            if isinstance(leaf, Tensor):
                return leaf.new_zeros(shape)
            return np.full(shape, "" if leaf.dtype == object else 0, leaf.dtype)

        some = first_leaf(observation)
        count = torch.zeros(len(some), dtype=torch.int64, device=some.device if isinstance(some, Tensor) else None)
        reward = torch.zeros(len(some), steps, device=count.device)
        return cls(map_column(room, observation), map_column(room, action), reward, count)

    def seeing(self, observation: Column) -> "Present":
        """With what is seen now, (n, …): before an action."""
        age = self._age

        def see(column: Any, now: Any) -> Any:
            join: Any = torch.cat if isinstance(column, Tensor) else np.concatenate
            if age == column.shape[1]:
                return join([column, now[:, None]], 1)
            return _put(join([column, column[:, :1]], 1), self.count if age is None else age, now)

        return Present(self, map_column(see, self.observation, observation), age)

    @property
    def _age(self) -> int | None:
        """How many steps all rows have; None where they differ."""
        low, high = self.count.aminmax() if len(self.count) else (0, 0)
        return int(high) if low == high else None


@dataclass(frozen=True, eq=False)
class Present:
    """A memory at the moment of the next action; made by ``Memory.seeing``."""

    memory: Memory
    observation: Column  # (n, W + 1, …): each row's steps, and what it sees now behind them
    age: int | None

    def history(self, draws: Draws) -> History:
        """The history that a policy is handed: the steps, and at last what it sees now.

        As many steps as the row with the most has; ``history.length`` says how many each has.
        """
        memory, count = self.memory, self.memory.count
        steps = int(count.max()) if self.age is None else self.age
        history = History.of(
            observation=map_column(lambda column: column[:, : steps + 1], self.observation),
            action=map_column(lambda column: column[:, :steps], memory.action),
            reward=memory.reward[:, :steps],
            truncated=torch.zeros_like(memory.reward[:, :steps], dtype=torch.bool),  # it goes on
            length=count,
            ids=draws.ids,
            seed=draws.seed,
        )
        return lend_history(history)

    def after(self, action: Column, reward: Tensor | None = None) -> Memory:
        """The memory with one step more; where there is no room the oldest goes. Columns (n, …); reward None: 0."""
        memory, room = self.memory, self.memory.reward.shape[1]
        full = memory.count >= room if self.age is None else self.age == room
        place = memory.count.clamp(max=room - 1) if self.age is None else min(self.age, room - 1)

        def put(column: Any, new: Any) -> Any:
            join: Any = torch.cat if isinstance(column, Tensor) else np.concatenate
            return _put(_last(join([column, column[:, -1:]], 1), full), place, new)

        return Memory(
            map_column(lambda column: _last(column, full), self.observation),
            map_column(put, memory.action, action),
            memory.reward if reward is None else put(memory.reward, reward),
            (memory.count + 1).clamp(max=room),
        )


def _last(column: Any, full: Any) -> Any:
    """The last W steps of a column (n, W + 1, …) for rows that are full, a bool or (n,), the first W for the others."""
    if isinstance(full, bool):
        return column[:, 1:] if full else column[:, :-1]
    shape = (-1, *[1] * (column.ndim - 1))
    if isinstance(column, Tensor):
        return torch.where(full.view(shape), column[:, 1:], column[:, :-1])
    return np.where(full.numpy().reshape(shape), column[:, 1:], column[:, :-1])


def _put(column: Any, place: Any, new: Any) -> Any:
    """The column itself, with each row's new entry (n, …) at its place: an int for all, or (n,)."""
    if isinstance(place, int):
        column[:, place] = new
    elif isinstance(column, Tensor):
        column[torch.arange(len(place), device=place.device), place] = new.to(column.dtype)
    else:
        column[np.arange(len(place)), place.numpy()] = new
    return column


_nothing: tuple[Tensor, int, History] | None = None  # the last one: a run asks at each step for the same rows


def nothing_yet(draws: Draws) -> History:
    """The history of rows of whom nothing is kept: no steps."""
    global _nothing
    known = _nothing  # other threads may put theirs in its place meanwhile
    if known is None or known[0] is not draws.ids or known[1] != draws.seed:
        none = torch.zeros(len(draws.ids), 0, device=draws.ids.device)
        flag = none.bool()
        length = torch.zeros_like(draws.ids)
        history = History.of(
            action=none, reward=none, terminated=flag, truncated=flag, length=length, ids=draws.ids, seed=draws.seed
        )
        known = _nothing = (draws.ids, draws.seed, history)
    return known[2]


def steps_remembered(policy: Any) -> int:
    """How many past steps a policy reads: its ``memory``, see ``world.Remembering``; 0 without one."""
    steps = getattr(policy, "memory", 0)
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise ValueError(
            f"memory of {type(policy).__name__} is {steps!r}: expected how many past steps it reads, an int"
        )
    return steps


def blank(space: gymnasium.Space[Any], rows: int, device: torch.device | None = None) -> Column:
    """A column of so many rows of a space, of zeros and empty text."""
    if isinstance(space, spaces.Dict):
        return {key: blank(part, rows, device) for key, part in space.items()}
    if isinstance(space, spaces.Text):
        return np.full(rows, "", dtype=object)
    return torch.from_numpy(np.zeros((rows, *(space.shape or ())), space.dtype)).to(device)


def check_storable(name: str, value: Any) -> None:
    """One look at the first value of a site: what a History keeps can be saved, too."""
    if isinstance(value, dict):
        for key, part in value.items():
            check_storable(f"{name}.{key}", part)
    elif isinstance(value, Tensor):
        if value.dtype.is_complex or (value.dtype not in _NUMPYS and value.dtype != torch.bfloat16):
            raise TypeError(f"site '{name}' is {value.dtype}: expected bool, integers or real numbers to record")
    elif not isinstance(value, np.ndarray) or value.dtype.kind not in "biufUO":
        what = value.dtype if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise TypeError(f"site '{name}' is {what}: expected a tensor, an array of text or a dict of them to record")


WORTH_LOOKING = 1 << 16  # bytes of a column; a smaller one is written as it comes


class Tape:
    """One array of a column over the steps: kept once while every step is like the first, then in a buffer of all.

    ``array`` is (steps, …) in either case.
    """

    def __init__(self, array: Any, buffer: Any = None) -> None:
        """array: what was written so far; its first axis has stride 0 where it is kept once. buffer: it, as NumPy's."""
        self.array, self._once, self._buffer = array, None, buffer
        if buffer is not None:
            return
        if isinstance(array, Tensor) and len(array) > 1 and array.stride(0) == 0:
            self._once = _bits(array[0])  # of the first step, one entry where it repeats
        elif _in_numpy(array):
            self._buffer = array.numpy()  # NumPy writes small arrays several times faster than torch

    @classmethod
    def begun(cls, steps: int, leaf: Any, once: bool, step: int = 0) -> "Tape":
        """With its first value written, of ``step``; once: whether to look out, from step 0 on, for values that are
        all alike, if they are large.
        """
        if not _in_numpy(leaf):
            tape = cls(_buffer(steps, leaf))
        elif once and leaf.nbytes * steps > WORTH_LOOKING:
            first = leaf[tuple(slice(1) if stride == 0 else slice(None) for stride in leaf.stride())].clone()
            return cls(first.expand(steps, *leaf.shape))
        else:
            buffer = np.zeros((steps, *leaf.shape), _NUMPYS[leaf.dtype])
            tape = cls(torch.from_numpy(buffer), buffer)
        tape.write(step, leaf)
        return tape

    def write(self, step: int, leaf: Any) -> bool:
        """Write a step; whether ``array`` is another one now."""
        if self._buffer is not None:
            try:
                self._buffer[step] = leaf.numpy()
            except (RuntimeError, TypeError, ValueError):  # torch can more: with a gradient, say; or says what is wrong
                self.array[step] = leaf
        elif self._once is None:
            self.array[step] = leaf
        elif not self._is_as_ever(leaf):  # as every step before
            self.spread(step)
            self.write(step, leaf)
            return True
        return False

    def _is_as_ever(self, leaf: Tensor) -> bool:
        same_kind = _in_numpy(leaf) and leaf.dtype == self.array.dtype and leaf.shape == self.array.shape[1:]
        return same_kind and bool((_bits(leaf) == self._once).all())

    def spread(self, steps: int) -> None:
        """From now on every step has room of its own; ``steps`` have been written."""
        if self._once is not None:
            kept, self.array = self.array, _buffer(len(self.array), self.array[0])
            self.array[:steps] = kept[:steps]
            self._once, self._buffer = None, self.array.numpy()

    def extend(self) -> None:
        """Twice the steps."""
        if self._once is not None:
            self.array = self.array[:1].expand(2 * len(self.array), *self.array.shape[1:])
            return
        longer = _buffer(2 * len(self.array), self.array[0])
        longer[: len(self.array)] = self.array
        self.__init__(longer)  # type: ignore[misc]


_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}

_NUMPYS = {  # torch's types that NumPy has, and these
    getattr(torch, name): np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64"),
    )
}


def _in_numpy(leaf: Any) -> bool:
    """Whether NumPy can write and compare what a tensor holds."""
    return (
        isinstance(leaf, Tensor)
        and leaf.is_cpu
        and not leaf.requires_grad
        and leaf.dtype in _NUMPYS
        and not (leaf.is_conj() or leaf.is_neg())
    )


def _bits(leaf: Tensor) -> Any:
    """The bits of a tensor, as integers, one entry along an axis where it repeats."""
    array = leaf.numpy()
    if 0 in array.strides:
        array = array[tuple(slice(1) if stride == 0 else slice(None) for stride in array.strides)]
    return array.view(_WORDS[array.itemsize])


def _buffer(steps: int, leaf: Any) -> Any:
    """Room for steps of such arrays; NumPy's takes no memory before it is written to."""
    if _in_numpy(leaf):
        return torch.from_numpy(np.zeros((steps, *leaf.shape), _NUMPYS[leaf.dtype]))
    if isinstance(leaf, Tensor):
        return torch.zeros((steps, *leaf.shape), dtype=leaf.dtype, device=leaf.device)
    text = leaf.dtype.kind in "OU"  # of any length: another step may have longer ones
    return np.full((steps, *leaf.shape), "" if text else 0, dtype=object if text else leaf.dtype)
