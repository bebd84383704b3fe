"""The one record of what happened: what agents condition on, what learners learn from, what analyses read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from .arguments import check_has, check_is, checked_seed, what_is
from .trees import lend, same_bits

if TYPE_CHECKING:
    from pathlib import Path

    import pandas

Column = Tensor | np.ndarray[Any, Any] | dict[str, "Column"]  # text is a NumPy array of str objects
CORE = ("observation", "action", "reward", "terminated", "truncated")


def map_column(function: Any, *columns: Any) -> Any:
    """``function`` over the leaves of columns of one structure (dicts of columns keep their keys)."""
    if isinstance(columns[0], dict):
        return {key: map_column(function, *(column[key] for column in columns)) for key in columns[0]}
    return function(*columns)


def first_leaf(column: Any) -> Any:
    """Some array of a column: all have the same first axes."""
    while isinstance(column, dict):
        column = next(iter(column.values()))
    return column


def _swap(column: Column) -> Column:
    """(n, T, …) to (T, n, …) and back, without a copy."""
    return cast(Column, map_column(lambda a: a.swapaxes(0, 1), column))


@dataclass(frozen=True, eq=False)
class History:
    """The record of what n rows (sessions, devices, people) saw, did and were given over T steps.

    Columns are stored as Gymnasium batches their spaces, with time second: ``observation`` (n, T + 1, …), the last
    one being what was seen after the last action; ``action`` (n, T, …); ``reward`` (n, T) float32; ``terminated``
    and ``truncated`` (n, T) bool; ``sites[name]`` (n, T, …) for each recorded quantity. Dict spaces are dicts of
    columns, text is a NumPy array of strings. Entries from ``length[i]`` on are padding with reward 0.
    ``series[name]``, (T', …), is a quantity without rows, such as one of a whole city, or reduced over rows by a
    ``Record``; ``thinned[name]``, (n, T', …), one at every so many steps.

    ``history[i]`` is one row, ``history[mask]`` some, ``history[:, :t]`` the first t steps: views, not copies.
    ``history["infected"]`` is what there is of that name: a column, a series or what was thinned. A column that did not
    change is one step's memory seen at every step: copy a column before you write to it.
    Make one from arrays with ``History.of``.
    """

    _by_time: Mapping[str, Column]  # columns with time first, (T, n, …), so that recording writes whole rows of memory
    length: Tensor  # (n,) int64, steps until the row ended
    ids: Tensor  # (n,) int64, who each row is
    seed: int = 0
    scenario: str = "factual"
    series: Mapping[str, Tensor] = field(default_factory=dict)
    steps: int | None = None  # how many of the stored steps count; None: all
    thinned: Mapping[str, Column] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        *,
        action: Column,
        reward: Tensor,
        observation: Column | None = None,
        terminated: Tensor | None = None,
        truncated: Tensor | None = None,
        sites: Mapping[str, Column] | None = None,
        length: Tensor | None = None,
        ids: Tensor | None = None,
        seed: int = 0,
        scenario: str = "factual",
    ) -> "History":
        """A history from arrays with rows first and time second, as the class documents them.

        What is left out is filled in: length T for every row, ids 0 to n - 1, nothing terminated, and the last
        step of each row truncated where it did not terminate. Raises ValueError for what does not fit together.
        """
        if not isinstance(reward, Tensor) or reward.dim() != 2:
            raise ValueError(f"reward is {what_is(reward)}: expected a tensor (rows, steps); use torch.as_tensor")
        n, steps = reward.shape
        check_is("sites", {} if sites is None else sites, Mapping, "a dict, name -> (rows, steps, …)")
        if taken := sorted(set(sites or ()) & set(CORE)):
            raise ValueError(f"sites has {taken}: expected names of its own, since {list(CORE)} are arguments")
        columns: dict[str, Any] = {"action": action, "terminated": terminated, "truncated": truncated}
        columns |= {"observation": observation, **(sites or {})}
        check_fit({name: column for name, column in columns.items() if column is not None}, length, ids, n, steps)
        if length is None:
            length = torch.full((n,), steps)
        if terminated is None:
            columns["terminated"] = terminated = torch.zeros(n, steps, dtype=torch.bool)
        if truncated is None:
            columns["truncated"] = (torch.arange(steps) == length[:, None] - 1) & ~terminated
        columns["reward"] = reward.to(torch.float32)
        columns = {name: column for name, column in columns.items() if column is not None}
        by_time = {name: _swap(column) for name, column in columns.items()}
        return cls(by_time, length, torch.arange(n) if ids is None else ids, checked_seed(seed), scenario)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, key: Any) -> Any:
        """Some rows, or ``history[rows, :t]`` for their first t steps; or what is recorded under a name."""
        rows, history = key, self
        if isinstance(key, str):
            kept = {**self.series, **self.thinned}
            return kept[key] if key in kept else self.column(key)
        if isinstance(key, tuple):
            rows, steps = key
            if not isinstance(steps, slice) or steps.start not in (None, 0) or steps.step not in (None, 1):
                raise IndexError(f"a history is cut as history[rows, :t], a prefix: got steps {steps}")
            t = len(range(self.num_steps)[steps])
            history = replace(self, steps=t, length=self.length.clamp(max=t))
        if isinstance(rows, slice) and rows == slice(None):
            return history
        if isinstance(rows, Integral) or (isinstance(rows, Tensor | np.ndarray) and rows.ndim == 0):
            rows = int(rows)
            if not -len(self) <= rows < len(self):
                raise IndexError(f"row {rows} of a history of {len(self)} rows")
            rows = slice(rows, rows + 1 or None)

        def cut(leaf: Any) -> Any:
            text = isinstance(leaf, np.ndarray) and isinstance(rows, Tensor)
            return leaf[:, rows.numpy() if text else rows]  # NumPy would take a tensor of one row for an int

        columns = {name: map_column(cut, column) for name, column in self._by_time.items()}
        thinned = {name: _swap(map_column(cut, _swap(column))) for name, column in self.thinned.items()}
        return replace(history, _by_time=columns, length=history.length[rows], ids=self.ids[rows], thinned=thinned)

    def __repr__(self) -> str:
        kept = {"sites": self.sites, "series": self.series, "thinned": self.thinned}
        more = "".join(f", {kind} {sorted(names)}" for kind, names in kept.items() if names)
        return f"History({len(self)} rows, {self.num_steps} steps, seed {self.seed}, {self.scenario}{more})"

    def _repr_html_(self) -> str:
        from .formats import history_table

        return history_table(self)

    @property
    def num_steps(self) -> int:
        """T, the second axis of every column."""
        return len(first_leaf(self._by_time["terminated"])) if self.steps is None else self.steps

    @property
    def columns(self) -> dict[str, Column]:
        """Every column by name, rows first: "observation", "action", "reward", "terminated", "truncated", the sites."""
        return {name: self.column(name) for name in self._by_time}

    def column(self, name: str) -> Any:
        """One column by name, rows first; "observation" has one step more than the others."""
        if name not in self._by_time:
            where = f"keep it by record=['{name}'] of rollout or Setup"
            for kept in ("series", "thinned"):
                where = f"history.{kept} has it, as its Record says" if name in getattr(self, kept) else where
            there = sorted(self._by_time)
            raise LookupError(f"no column '{name}' in this history, which has {there}: expected a site; {where}")
        column = self._by_time[name]
        if self.steps is not None:
            steps = self.steps + (name == "observation")
            column = map_column(lambda a: a[:steps], column)
        return _swap(column)

    @property
    def observation(self) -> Any:
        """(n, T + 1, …) what was seen before each action, and after the last."""
        return self.column("observation")

    @property
    def action(self) -> Any:
        """(n, T, …) what was done."""
        return self.column("action")

    def action_at(self, step: int) -> Any:
        """(n, …) each row's action at a step, for a replay; a row that has ended repeats its first one."""
        ended = self.length <= step

        def at(column: Any) -> Any:
            if not ended.any():
                return column[:, step]
            if isinstance(column, Tensor):
                return column[:, 0].where(ended.view(-1, *[1] * (column.dim() - 2)), column[:, step])
            return np.where(ended.cpu().numpy(), column[:, 0], column[:, step])

        return map_column(at, self.action)

    @property
    def reward(self) -> Tensor:
        """(n, T) float32."""
        return cast(Tensor, self.column("reward"))

    @property
    def terminated(self) -> Tensor:
        """(n, T) bool: the task ended with this step."""
        return cast(Tensor, self.column("terminated"))

    @property
    def truncated(self) -> Tensor:
        """(n, T) bool: time ran out with this step."""
        return cast(Tensor, self.column("truncated"))

    @property
    def sites(self) -> dict[str, Any]:
        """The recorded quantities, each (n, T, …)."""
        return _Sites(self)

    @property
    def valid(self) -> Tensor:
        """(n, T) bool: True before a row's end, False for padding."""
        return torch.arange(self.num_steps, device=self.length.device) < self.length[:, None]

    def with_site(self, name: str, column: Column) -> "History":
        """The history with one more column, rows first, (n, T, …); ValueError for another shape."""
        check_is("name", name, str, "the name of a site")
        check_fit({name: column}, None, None, len(self), self.num_steps)
        return replace(self, _by_time={**self._by_time, name: _swap(column)})

    def save(self, path: "str | Path") -> None:
        """Write the history to a .parquet or .npz file, atomically and to the bit; see ``formats.save``."""
        from .formats import save

        save(self, path)

    @classmethod
    def load(cls, path: "str | Path") -> "History":
        """Read what ``save`` wrote, as CPU tensors; see ``formats.load``."""
        from .formats import load

        return load(path)

    def to_pandas(self) -> "pandas.DataFrame":
        """A long table of what happened, one row for each (row id, step); see ``formats.to_pandas``."""
        from .formats import to_pandas

        return to_pandas(self)

    def to_minari(self, dataset_id: str, **options: Any) -> Any:
        """Write a Minari dataset, an episode a row, and return it; see ``formats.to_minari`` for the options."""
        from .formats import to_minari

        return to_minari(self, dataset_id, **options)

    def plot(self, *names: str) -> Any:
        """A matplotlib Figure with a panel for each name, of curves over the steps; see ``report.history_figure``."""
        from .report import history_figure

        return history_figure(self, *names)

    def equals(self, other: "History") -> bool:
        """Whether two histories are the same to the bit, padding included; NaN equals the same NaN."""
        return (
            self._by_time.keys() == other._by_time.keys()
            and all(same_bits(self.column(name), other.column(name)) for name in self._by_time)
            and same_bits(dict(self.series), dict(other.series))
            and same_bits(dict(self.thinned), dict(other.thinned))
            and torch.equal(self.length, other.length)
            and torch.equal(self.ids, other.ids)
            and (self.seed, self.scenario) == (other.seed, other.scenario)
        )


class _Sites(dict[str, Any]):
    """Recorded quantities by name, which say of one that is not among them how to record it."""

    def __init__(self, history: History) -> None:
        super().__init__({name: history.column(name) for name in history._by_time if name not in CORE})
        self._column = history.column

    def __missing__(self, name: str) -> Any:
        return self._column(name)


def check_fit(columns: Mapping[str, Column], length: Tensor | None, ids: Tensor | None, n: int, steps: int) -> None:
    """Raise ValueError unless columns, rows first, lengths and ids are those of n rows over so many steps."""
    for name, column in columns.items():
        kind = {"terminated": torch.bool, "truncated": torch.bool, "reward": torch.float32}.get(name)
        if kind is not None and not (isinstance(column, Tensor) and column.dtype == kind and column.dim() == 2):
            raise ValueError(f"{name} is {what_is(column)}: expected a {str(kind)[6:]} tensor (rows, steps)")
        expected = (n, steps + 1) if name == "observation" else (n, steps)
        leaf = first_leaf(column)
        check_has(f"column '{name}'", leaf, "a tensor (rows, steps, …), an array of text, or a dict of such", "shape")
        if (axes := tuple(leaf.shape[:2])) != expected:
            raise ValueError(f"column '{name}' begins with axes {axes}: expected {expected}, rows and steps")
    for name, given in (("length", length), ("ids", ids)):
        good = isinstance(given, Tensor) and given.dtype == torch.int64 and given.shape == (n,)
        if given is not None and not good:
            raise ValueError(f"{name} is {what_is(given)}: expected an int64 tensor ({n},), one for each row")
    if length is not None and ((length < 0) | (length > steps)).any():
        row = int(((length < 0) | (length > steps)).nonzero()[0])
        raise ValueError(f"length of row {row} is {int(length[row])}: expected 0 to {steps}, the steps there are")


class SoFar(History):
    """The history of a run that goes on: no array is made before somebody asks for it, and ``lent`` notes what is."""

    @classmethod
    def of_run(cls, recorder: Any, run: Any, scenario: str) -> "SoFar":
        """The history of a ``Run`` as a ``Recorder`` has kept it."""
        other = object.__new__(cls)  # the class's own __init__ would cost as much as a step of a small world
        draws = run.draws
        other.__dict__.update(
            _recorded=(recorder.columns, recorder.series, recorder.thinned),
            ids=draws.ids,
            seed=draws.seed,
            scenario=scenario,
            steps=draws.step,
            _run_length=run.known_length,
        )
        return other

    @cached_property
    def length(self) -> Tensor:
        """(n,) int64, the steps of each row so far."""
        known = self.__dict__["_run_length"]
        return torch.full_like(self.ids, self.__dict__["steps"]) if known is None else known.clone()

    @cached_property
    def _by_time(self) -> Mapping[str, Column]:
        return self._lend(0)

    @cached_property
    def series(self) -> Mapping[str, Tensor]:
        """As in a History, so far."""
        return self._lend(1)

    @cached_property
    def thinned(self) -> Mapping[str, Column]:
        """As in a History, so far."""
        return self._lend(2)

    def _lend(self, part: int) -> dict[str, Any]:
        kept = self.__dict__
        shown: dict[str, Any] = lend(kept["_recorded"][part], kept.setdefault("lent", []))
        return shown
