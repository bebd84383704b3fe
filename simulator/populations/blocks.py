"""Several populations in one batch: who is in it, what is done to each block, and what each block amounts to."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..draws import Draws, derived_ids
from ..history import map_column
from ..recording import Record
from ..sites import Do
from ..trees import concatenate, leaves_of, map_tree, rebuild, select_rows
from ..world import World
from .side_by_side import is_repeatable

MOST_PEOPLE = 1 << 17  # in one batch; with so many, what a call costs is nothing beside its people
MOST_KEPT = 4  # batches of different sizes whose worlds are kept


class Batch(NamedTuple):
    """Populations that take a step together."""

    rows: Tensor | None  # (b,) int64 which of all populations; None: all
    size: int  # b, how many
    world: World  # of all their people
    draws: Draws  # of all their people, block by block


class Populations:
    """A population so many times: cut into batches, whose worlds and ids are made once.

    A world that is ``Repeatable`` steps up to MOST_PEOPLE in one call; any other one population after the other.
    """

    def __init__(self, world: World, num_people: int) -> None:
        """world, num_people: of one population."""
        self.world, self.num_people = world, num_people
        self.most = max(MOST_PEOPLE // num_people, 1) if is_repeatable(world) else 1
        self._kept: dict[tuple[int, int], tuple[Any, Any]] = {}  # (id of what, times) -> (what, what it is so often)
        self._ids = (torch.empty(0, dtype=torch.int64), torch.empty(0))  # of populations, and of their people

    def times(self, thing: Any, times: int) -> Any:
        """A repeatable world or policy for so many populations."""
        if times == 1:
            return thing
        key = id(thing), times
        kept = self._kept.get(key)
        if kept is None:
            for old in list(self._kept)[: 1 - 2 * MOST_KEPT]:
                self._kept.pop(old, None)
            kept = self._kept[key] = (thing, thing.repeated(times))
        return kept[1]

    def people(self, populations: Tensor) -> Tensor:
        """(r, n) int64, the ids of each population's people."""
        known, people = self._ids  # both at once: other threads may put theirs in their place
        if known.device != populations.device or not torch.equal(known, populations):
            number = torch.arange(self.num_people, device=populations.device)
            ids = derived_ids(populations.repeat_interleave(self.num_people), number.repeat(len(populations)))
            people = ids.view(len(populations), self.num_people)
            self._ids = (populations.clone(), people)
        return people

    def batches(self, draws: Draws, period: int = 1) -> Iterator[Batch]:
        """All populations at their steps, of ``period`` steps of their people each; together those that can go so."""
        people = self.people(draws.ids)
        for rows, step in _at_one_step(draws):
            some = range(len(people)) if rows is None else rows
            for first in range(0, len(some), self.most):
                here = some[first : first + self.most]
                if len(here) == len(people):
                    which, ids = None, people
                else:
                    which = torch.as_tensor(here, device=people.device)
                    ids = people[which]
                lives = Draws(draws.seed, ids.flatten(), step * period, draws.scope)
                yield Batch(which, len(here), self.times(self.world, len(here)), lives)


def _at_one_step(draws: Draws) -> Iterator[tuple[Tensor | None, int]]:
    """The rows that are at each step of their episodes; None: all."""
    step: Any = draws.step
    if not isinstance(step, Tensor):
        yield None, step
        return
    for one in sorted(set(step.tolist())):
        rows = (step == one).nonzero()[:, 0]
        yield (None if len(rows) == len(step) else rows), one


def taken(tree: Any, batch: Batch) -> Any:
    """The part of a batch in a tree with populations first, (r, k, …), as rows (b k, …), block by block."""
    some = tree if batch.rows is None else select_rows(tree, batch.rows)
    return map_tree(_as_people, some)


def _as_people(leaf: Any) -> Any:
    """(b, k, …) as (b k, …)."""
    shape = leaf.shape
    return leaf[0] if shape[0] == 1 else leaf.reshape(shape[0] * shape[1], *shape[2:])


def put_together(parts: Sequence[tuple[Batch, Any]]) -> Any:
    """Trees of rows (b k, …) of all batches as one with populations first, (r, k, …), in their order."""
    return in_order([(batch, map_tree(partial(_as_populations, batch.size), tree)) for batch, tree in parts])


def _as_populations(size: int, leaf: Any) -> Any:
    """(b k, …) as (b, k, …)."""
    return leaf[None] if size == 1 else leaf.reshape(size, len(leaf) // size, *leaf.shape[1:])


def in_order(parts: Sequence[tuple[Batch, Any]]) -> Any:
    """Trees with a batch's populations first as one with all populations first."""
    (_, tree), *more = parts
    if not more:
        return tree
    place = torch.cat([batch.rows for batch, _ in parts if batch.rows is not None]).argsort()
    leaves = zip(*(leaves_of(part) for _, part in parts), strict=True)
    return select_rows(rebuild(tree, map(concatenate, leaves)), place)


def split(column: Any, blocks: int) -> list[Any]:
    """A column of rows block by block."""
    if isinstance(column, dict):
        parts = {key: split(part, blocks) for key, part in column.items()}
        return [{key: part[r] for key, part in parts.items()} for r in range(blocks)]
    return list(column.chunk(blocks)) if isinstance(column, Tensor) else np.split(column, blocks)


def joined(blocks: Sequence[Any]) -> Any:
    """The inverse of ``split``."""
    return map_column(lambda *b: torch.cat(b) if isinstance(b[0], Tensor) else np.concatenate(b), *blocks)


def in_blocks(each: Sequence[Sequence[Do]]) -> list[Do]:
    """Interventions on a batch which do to each block what its own list does to a population.

    each: a list for each block. A function as a mechanism sees one block at a time, so that it may look at all people.
    """
    if len(each) == 1:
        return list(each[0])
    alike: dict[tuple[int, str, int, int | None], dict[int, Do]] = {}
    for r, dos in enumerate(each):
        so_far: dict[str, int] = {}  # at one site the first comes before the second, as in the block's list
        for do in dos:
            so_far[do.site] = so_far.get(do.site, 0) + 1
            alike.setdefault((so_far[do.site], do.site, do.start, do.stop), {})[r] = do
    return [
        Do(site, _InBlocks(len(each), alike[place, site, start, stop]), start, stop)
        for place, site, start, stop in sorted(alike, key=lambda key: key[0])
    ]


@dataclass(frozen=True, eq=False)
class _InBlocks:
    """The mechanism of a batch: that of each block which has one."""

    blocks: int
    dos: dict[int, Do]  # block -> its intervention

    def __call__(self, value: Any) -> Any:
        one = next(iter(self.dos.values()))
        alike = one.who is None and by_element(one.mechanism) and all(do is one for do in self.dos.values())
        if alike and isinstance(value, Tensor):
            if len(self.dos) == self.blocks:
                return one.apply(value)
            acts = torch.tensor([r in self.dos for r in range(self.blocks)], device=value.device)
            new, old = (column.reshape(self.blocks, -1, *value.shape[1:]) for column in (one.apply(value), value))
            return torch.where(acts.view(-1, *[1] * value.dim()), new, old).flatten(0, 1)
        parts = split(value, self.blocks)
        for r, do in self.dos.items():
            parts[r] = do.apply(parts[r])
        return joined(parts)


def by_element(mechanism: Any) -> bool:
    """Whether an intervention's mechanism does to each number the same: sets it, or calculates with one."""
    if isinstance(mechanism, partial) and mechanism.func in (operator.mul, operator.add) and not mechanism.keywords:
        (mechanism,) = mechanism.args if len(mechanism.args) == 1 else (None,)
    return isinstance(mechanism, int | float)


@dataclass(frozen=True)
class Rate:
    """A reduction for Records: how many of ``per`` people, as a mean over people in float64."""

    per: float

    def __call__(self, value: Tensor) -> Tensor:
        """The rate of one population."""
        return self.per * value.to(torch.float64).mean()


class Kept:
    """A Record of each of several blocks, day after day."""

    def __init__(self, record: Record, blocks: int) -> None:
        """blocks: how many there are in each value."""
        self.record, self.blocks = record, blocks
        self._counted = record.by is None and isinstance(record.reduce, str | Rate)  # where it is of yes or no
        self._counts: list[list[Any]] = []
        self._values: list[Tensor] = []
        self._people = 0

    def add(self, value: Any) -> None:
        """A day's."""
        boolean = isinstance(value, Tensor) and value.dtype is torch.bool and value.is_cpu and value.dim() == 1
        if self._counted and boolean:  # counts are exact in whatever way, and cheap
            people = value.numpy()
            rows = [people] if self.blocks == 1 else people.reshape(self.blocks, -1)
            self._people = len(rows[0])
            self._counts.append([np.count_nonzero(row) for row in rows])
            return
        reduced = [torch.as_tensor(self.record.reduced(block)) for block in split(value, self.blocks)]
        self._values.append(torch.stack(reduced))

    def values(self) -> Tensor:
        """(blocks, days, …) of all days."""
        if not self._counts:
            return torch.stack(self._values, 1)
        counts = torch.from_numpy(np.array(self._counts, dtype=np.float64)).T
        if self.record.reduce == "sum":
            return counts
        mean = counts / self._people
        return self.record.reduce.per * mean if isinstance(self.record.reduce, Rate) else mean
