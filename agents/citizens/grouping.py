"""Groups of people who are alike: found, counted, and made coarser until there are few enough to ask about."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import check_is, check_number
from ethogram.simulator.kernels import Array

from . import kernels
from .answers import Question
from .decisions import seen

MOST_GROUPS = 10_000_000

BLOCK = 1 << 15  # people whose codes stay in the cache while column after column is read

By = Mapping[str, Sequence[float] | None]  # column -> ascending edges of bins, None: each whole number by itself


def check_by(by: Any) -> None:
    """Raise TypeError or ValueError unless it says how to group people."""
    check_is("by", by, Mapping, "a dict of columns to edges of bins, or None")
    for name, edges in by.items():
        if edges is None:
            continue
        check_is(f"by['{name}']", edges, Sequence, "edges of bins, ascending numbers, or None")
        for edge in edges:
            check_number(f"an edge of by['{name}']", edge, -math.inf)
        if name == "period" or len(edges) == 0 or any(a >= b for a, b in pairwise(edges)):
            raise ValueError(f"by '{name}' has edges {edges}: expected ascending numbers, or None ('period': None)")


@dataclass(frozen=True, eq=False)
class Groups:
    """People grouped by what they see; made by ``grouped``.

    by: as asked for. names, meanings: of each column grouped by, what its levels mean: a whole number, [from, below].
    code: (n,) each person's group, a number in mixed radix, the first column's level its highest digit. period: the
    number of the period.
    """

    by: By
    names: tuple[str, ...]
    meanings: tuple[Sequence[Any], ...]
    code: Tensor
    period: int

    @cached_property
    def sizes(self) -> Array:
        """(A,) int64, how many levels each column has."""
        return np.array([len(meaning) for meaning in self.meanings], np.int64)

    @cached_property
    def _counts(self) -> Array:
        size = int(self.sizes.prod())
        if not self.code.is_cpu:
            return self.code.bincount(minlength=size).cpu().numpy()
        counts = np.zeros(size, np.int64)
        kernels.count_codes(self.code.numpy(), counts)
        return counts

    @cached_property
    def codes(self) -> Array:
        """(G,) int64 codes of the groups that have people, ascending."""
        return self._counts.nonzero()[0]

    @cached_property
    def people(self) -> Array:
        """(G,) int64, how many each of them has."""
        return self._counts[self.codes]

    def levels(self, codes: Array, depth: int | None = None) -> Array:
        """(k, depth) int64 levels of the first ``depth`` columns (None: all), of codes in their radix."""
        sizes = self.sizes[:depth]
        below = np.append(sizes[::-1].cumprod()[::-1][1:], 1) if len(sizes) else sizes
        return codes[:, None] // below % sizes

    def questions(self, codes: Array, depth: int | None = None) -> list[Question]:
        """Questions that say what people of these groups have in common; depth: by how many of the columns."""
        names, meanings = self.names[:depth], self.meanings[:depth]
        order = [name for name in self.by if name == "period" or name in names]
        found = []
        for levels in self.levels(codes, depth).tolist():
            what = {name: meaning[k] for name, meaning, k in zip(names, meanings, levels, strict=True)}
            found.append({name: what.get(name, self.period) for name in order})
        return found

    def asked(self, budget: int | None = None) -> "Asked":
        """The questions to ask for everybody, of which there are at most ``budget``.

        A group of fewer than ``rare`` people is answered as its parent, which leaves out the last column, together with
        all that are so, and if these are still few, as the parent's parent; ``rare`` is the smallest number with which
        the budget holds (1 without one: every group). More can then only mean fewer questions: who joins a parent that
        was not asked about has given up a question of their own.
        """
        rare, room = 1, (np.empty_like(self.codes), np.empty_like(self.codes))
        if budget is not None and len(self.codes) > budget:
            rare, high = 1, int(self.people.sum()) + 1  # too low, and surely enough: one question for all
            while high - rare > 1:
                middle = (rare + high) // 2
                if kernels.num_asked(self.codes, self.people, self.sizes, middle, *room) <= budget:
                    high = middle
                else:
                    rare = middle
            rare = high
        return self._asked(rare)

    def _asked(self, rare: int) -> "Asked":
        depth, slot = np.empty(len(self.codes), np.int64), np.empty(len(self.codes), np.int32)
        questions: list[Question] = []
        waiting = np.arange(len(self.codes))  # the groups that nobody answers for yet
        below = np.append(1, self.sizes[::-1].cumprod())  # what a code is divided by, to leave out the last columns
        for level, divisor in zip(range(len(self.sizes), -1, -1), below.tolist(), strict=True):
            nodes, which = np.unique(self.codes[waiting] // divisor, return_inverse=True)
            enough = np.bincount(which, self.people[waiting], len(nodes)) >= (rare if level else 1)
            here = enough[which]
            depth[waiting[here]] = level
            slot[waiting[here]] = (len(questions) - 1 + enough.cumsum())[which[here]]
            questions += self.questions(nodes[enough], level)
            waiting = waiting[~here]
        return Asked(questions, slot, depth, rare)

    def slots(self, slot: Array) -> Array:
        """(size,) int32 for each code there could be, of numbers (G,) for the groups that there are."""
        found = np.zeros(int(self.sizes.prod()), np.int32)
        found[self.codes] = slot
        return found


@dataclass(frozen=True, eq=False)
class Asked:
    """The questions to ask, and which of them answers for which group; made by ``Groups.asked``.

    slot: (G,) int32, the question of each group. depth: (G,) int64, how many of the columns it speaks of. rare: groups
    of fewer people are answered as their parents.
    """

    questions: list[Question]
    slot: Array
    depth: Array
    rare: int


def grouped(observation: Mapping[str, Tensor], by: By, period: int = 0) -> Groups:
    """People by columns of what they see, as ``by`` says; period: the number of the period, for questions.

    Raises LookupError for a column that there is not, ValueError for NaN, for numbers that are neither whole nor put
    in bins, and for over ten million groups.
    """
    columns = [seen(observation, name) for name in by if name != "period"]
    names = tuple(name for name in by if name != "period")
    size, meanings = 1, list[Sequence[Any]]()
    for name, column in zip(names, columns, strict=True):
        edges = by[name]
        if edges is not None:
            meanings.append([list(pair) for pair in pairwise([None, *edges, None])])
        elif column.is_floating_point():
            raise ValueError(f"'{name}' is {column.dtype}: expected whole numbers, or edges of bins in by")
        else:
            low, high = (int(end) for end in column.aminmax())
            meanings.append(range(low, high + 1))
        size *= len(meanings[-1])
        if size > MOST_GROUPS:
            raise ValueError(f"by {list(by)} makes over {MOST_GROUPS:,} groups: give bins, and fewer of them")
    some = next(iter(observation.values()))
    parts = [(name, column, by[name], meaning) for name, column, meaning in zip(names, columns, meanings, strict=True)]
    code = _packed(parts, len(some)) if some.is_cpu else _packed_elsewhere(parts, some)
    return Groups(by, names, tuple(meanings), code, period)


def _packed(parts: Sequence[tuple[str, Tensor, Any, Any]], n: int) -> Tensor:
    """(n,) int32 codes, block by block; on the CPU."""
    code = np.zeros(n, np.int32)
    arrays = [
        (name, column.detach().numpy(), None if edges is None else np.array(edges, np.float64), meaning)
        for name, column, edges, meaning in parts
    ]
    for first in range(0, n, BLOCK):
        here, some = slice(first, first + BLOCK), code[first : first + BLOCK]
        for name, column, edges, meaning in arrays:
            if edges is None:
                kernels.pack_whole(column[here], meaning[0], len(meaning), some)
            elif not kernels.pack_binned(column[here], edges, some):
                row = first + int(np.isnan(column[here]).argmax())
                raise ValueError(f"'{name}' is NaN in row {row}: expected numbers")
    return torch.from_numpy(code)


def _packed_elsewhere(parts: Sequence[tuple[str, Tensor, Any, Any]], some: Tensor) -> Tensor:
    """(n,) int64 codes on another device."""
    code = torch.zeros(len(some), dtype=torch.int64, device=some.device)
    for name, column, edges, meaning in parts:
        if edges is None:
            level = column.long() - meaning[0]
        elif column.isnan().any():
            raise ValueError(f"'{name}' is NaN in row {int(column.isnan().nonzero()[0])}: expected numbers")
        else:
            bounds = torch.tensor(edges, dtype=torch.float64, device=column.device)
            level = torch.bucketize(column.double(), bounds, right=True)
        code = code * len(meaning) + level
    return code
