"""People from census marginals: published tables fitted together, and rounded to whole people.

A census says how many people there are by age, and by sex and area, but not who is what. Iterative proportional
fitting gives the joint table that agrees with all of these and otherwise stays as close as it can to a seed table
(a survey, or independence); its cells are fractions of people, which systematic sampling and a local search round.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import check_is, checked_int

from .population import Array, Population, some
from .tables import recoded, systematic_counts

SWEEPS = 1000  # of iterative proportional fitting; real tables take some tens
DOUBLINGS = 5  # of these, where fitting is slow
TOLERANCE = 1e-10  # how far a fitted marginal may be off, as a share of all people
GRID = 2.0**20  # expected people are whole multiples of 1 / GRID, so that their sums are exact

Table = Mapping[tuple[Any, ...], float]  # a category of each attribute -> count
Categories = Mapping[str, Sequence[Any]]


def from_marginals(
    marginals: Mapping[Any, Any], num_people: int, *, seed_table: "Tensor | Population | None" = None, seed: int = 0
) -> Population:
    """People whose counts by one or more attributes are those of published tables.

    marginals: attribute -> {category: count}; (attribute, attribute) -> {(category, category): count}, also of more
    attributes. A count is any number from 0, so shares do as well; a pandas Series does for a table, and so does a list
    or array of counts (an axis for each attribute) of the categories 0, 1, …. Categories are text, which gives labels,
    or whole numbers (years of age, say), which are the column's values. All tables must agree: in their totals, and in
    what they say about attributes that they share.

    seed_table: how attributes go together apart from the marginals; a tensor with an axis for each attribute, in the
    order in which ``marginals`` first names them and their categories, or a ``Population`` (a survey, say) whose
    people are counted. None: independent of one another, as far as the marginals say. A cell of 0 stays empty. The
    table is fitted to the marginals by ``iterative_proportional_fitting``, and scaled to ``num_people``.

    People are whole. With e the fitted count of a cell, the cell has floor(e) or ceil(e) people, and all cells
    together num_people, always. Which cells are rounded up is decided by systematic sampling; then people are moved,
    one at a time, for as long as a move brings the marginals that were given closer. The search has no guarantee; on
    the random tables of its tests no marginal was off by a whole person. People of one cell stand together, in the
    order of the table, its last attribute fastest; where neighbours in a row must not be alike (a ring of contacts),
    mix them with ``people.take(torch.randperm(n, generator=…))``.

    Raises ValueError where tables disagree (where, and by how much), or cannot be met with the cells that are 0.
    """
    num_people = checked_int("num_people", num_people, 1)
    check_is("marginals", marginals, Mapping, "a dict of attributes to tables of counts")
    tables = {_tuple(key): {_tuple(cell): count for cell, count in _entries(table)} for key, table in marginals.items()}
    categories = _categories(tables)
    axis_of = {name: axis for axis, name in enumerate(categories)}
    targets = {tuple(axis_of[name] for name in key): _target(key, table, categories) for key, table in tables.items()}
    if seed_table is None:
        seed_table = torch.ones([len(names) for names in categories.values()], dtype=torch.float64)
    elif isinstance(seed_table, Population):
        seed_table = _counted_by(seed_table, categories)
    fitted = iterative_proportional_fitting(seed_table, targets, categories).numpy()
    expected = np.round(fitted * (num_people / fitted.sum()) * GRID) / GRID
    counts = _whole(expected, list(targets), num_people, seed).ravel()
    columns, labels = {}, {}
    for (name, names), codes in zip(categories.items(), np.indices(fitted.shape), strict=True):
        values = codes.ravel()
        if isinstance(names[0], str):
            labels[name] = names
        else:
            values = np.array(names, np.int64)[values]
        columns[name] = torch.from_numpy(np.repeat(values.astype(np.int64, copy=False), counts))
    return Population(columns, labels)


def _entries(table: Any) -> Iterable[tuple[Any, Any]]:
    """Category and count; an array or list of counts is of the whole numbers from 0."""
    if hasattr(table, "items"):
        return table.items()
    try:
        array = np.asarray(table, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"marginals have {table!r:.60} for a table: expected {{category: count}}, or counts") from None
    if not array.ndim:
        raise TypeError(f"marginals have {table!r:.60} for a table: expected {{category: count}}, or a list of counts")
    return (((cell if array.ndim > 1 else cell[0]), float(count)) for cell, count in np.ndenumerate(array))


def _tuple(name: Any) -> tuple[Any, ...]:
    return name if isinstance(name, tuple) else (name,)


def _categories(tables: Mapping[tuple[str, ...], Table]) -> dict[str, tuple[Any, ...]]:
    """Attribute -> its categories, in the order in which the tables first name them."""
    found: dict[str, dict[Any, None]] = {}
    for key, table in tables.items():
        for cell in table:
            if len(cell) != len(key) or len(set(key)) < len(key):
                raise ValueError(f"marginals[{key}] has an entry for {cell!r}: expected a category of each of {key}")
            for name, category in zip(key, cell, strict=True):
                found.setdefault(name, {})[category] = None
    for name, names in found.items():
        if not (all(isinstance(c, str) for c in names) or all(isinstance(c, int | np.integer) for c in names)):
            raise ValueError(f"categories of '{name}' are {some(names)}: expected all text, or all whole numbers")
    if not found:
        raise ValueError("marginals are empty: expected at least one table with an entry")
    return {name: tuple(names) for name, names in found.items()}


def _target(key: tuple[str, ...], table: Table, categories: Categories) -> Tensor:
    """A marginal as float64, an axis for each of its attributes."""
    counts: list[float] = []
    for cell in product(*(categories[name] for name in key)):
        count = table.get(cell)
        if not isinstance(count, Real) or not 0 <= count < math.inf:
            raise ValueError(
                f"marginals[{key}] is {count!r} for {cell}: expected a count from 0; write 0 where nobody is"
            )
        counts.append(float(count))
    return torch.tensor(counts, dtype=torch.float64).reshape([len(categories[name]) for name in key])


def _counted_by(people: Population, categories: Categories) -> Tensor:
    """The number of people in each cell, float64."""
    cell, shape = np.zeros(len(people), np.int64), [len(names) for names in categories.values()]
    for name, wanted in categories.items():
        codes, there = people[name].cpu().numpy(), list(people.labels.get(name, ()))
        if name not in people.labels:
            values, codes = np.unique(codes, return_inverse=True)
            there = values.tolist()
        cell = cell * len(wanted) + recoded(name, codes, there, wanted)
    return torch.from_numpy(np.bincount(cell, minlength=math.prod(shape)).astype(np.float64)).reshape(shape)


# ---- fitting


def iterative_proportional_fitting(
    table: Tensor, targets: Mapping[tuple[int, ...], Tensor], categories: Categories | None = None
) -> Tensor:
    """The table of given marginals that is nearest to ``table``, float64, in its shape.

    Deming & Stephan, Annals of Mathematical Statistics 1940: scale the table to each marginal in turn until all hold.
    The limit has the smallest Kullback-Leibler divergence from the table among all tables of these marginals
    (Csiszár, Annals of Probability 1975; both from memory), and keeps its odds ratios: a cell is the table's times a
    factor for each marginal.

    table: (K_1, …, K_m) from 0. targets: axes -> the marginal over them, an axis for each in that order; float64, for
    shares in float32 do not agree closely enough. categories: names of axes and of what stands along them, for
    messages. Every marginal holds within 1e-10 of the total.

    Where marginals can be met in the limit only, because they leave nobody for cells that the table has, those cells
    go towards 0 as slowly as 1 / sweeps. What keeps falling so is emptied, and the rest is fitted.

    Raises ValueError for marginals that disagree (where, and by how much), where cells of 0 make it impossible to meet
    them, and, as another matter, where fitting is too slow.
    """
    table = torch.as_tensor(table if isinstance(table, Tensor) else np.asarray(table)).to("cpu", torch.float64)
    targets = {axes: torch.as_tensor(np.asarray(target)) for axes, target in targets.items()}
    known = categories or {f"axis {axis}": range(size) for axis, size in enumerate(table.shape)}
    shape = tuple(len(names) for names in known.values())
    if tuple(table.shape) != shape or not ((table >= 0) & table.isfinite()).all():
        raise ValueError(f"the seed table has shape {tuple(table.shape)}: expected {shape}, finite numbers from 0")
    wanted = {axes: _broadcast(axes, target, known) for axes, target in targets.items()}
    _check_agreement(wanted, known)
    total = max((float(target.sum()) for target in wanted.values()), default=0.0)
    if total == 0:
        raise ValueError("the marginals sum to 0: expected at least one that has people")
    table, gap = _swept(table, wanted, TOLERANCE * total, SWEEPS)
    for more in range(DOUBLINGS):  # the cells that must be empty in the limit get there as 1 / sweeps
        if gap <= TOLERANCE * total:
            return table
        before, gap_before = table, gap
        table, gap = _swept(table, wanted, TOLERANCE * total, SWEEPS << more)
        if gap > 0.9 * gap_before:
            raise ValueError(
                f"{_worst(table, wanted, known)}, and no longer comes closer after {2 * SWEEPS << more} sweeps: the "
                "seed table's zeros do not allow these marginals; put a small number where people may be"
            )
        emptied, gap_emptied = _swept(table.where(table > 0.75 * before, 0), wanted, TOLERANCE * total, SWEEPS)
        if gap_emptied <= TOLERANCE * total:
            return emptied
    if gap <= TOLERANCE * total:
        return table
    raise ValueError(
        f"{_worst(table, wanted, known)} after {SWEEPS << DOUBLINGS} sweeps, and still comes closer: these marginals "
        "can be met, or nearly, but fitting is slow; put a small number where the seed table has 0, or pass fewer"
    )


def _swept(table: Tensor, wanted: Mapping[tuple[int, ...], Tensor], enough: float, sweeps: int) -> tuple[Tensor, float]:
    """The table scaled to each marginal in turn, up to so many times, and how far off the worst entry is."""
    gap = math.inf
    for _ in range(sweeps):
        for axes, target in wanted.items():
            have = _sum_to(table, axes)
            table = table * torch.where(have > 0, target / have, 0.0)
        gap = max(float((_sum_to(table, axes) - target).abs().max()) for axes, target in wanted.items())
        if gap <= enough:
            break
    return table, gap


def _worst(table: Tensor, wanted: Mapping[tuple[int, ...], Tensor], categories: Categories) -> str:
    """The entry of a marginal that is furthest off, and by how much."""
    gaps = {axes: (_sum_to(table, axes) - target).abs() for axes, target in wanted.items()}
    axes, gap = max(gaps.items(), key=lambda item: float(item[1].max()))
    worst = np.unravel_index(int(gap.argmax()), gap.shape)
    there = _cell(worst, axes, categories)
    return f"the marginal of {there} is {wanted[axes][worst].item():g} and still off by {gap[worst].item():g}"


def _sum_to(table: Tensor, axes: Iterable[int]) -> Tensor:
    """The sum over all other axes, which stay with length 1."""
    over = [axis for axis in range(table.dim()) if axis not in axes]
    return table.sum(over, keepdim=True) if over else table


def _broadcast(axes: tuple[int, ...], target: Tensor, categories: Categories) -> Tensor:
    """A marginal in the shape that ``_sum_to`` gives a table."""
    sizes = [len(names) for names in categories.values()]
    shape = tuple(sizes[axis] for axis in axes)
    if tuple(target.shape) != shape or not ((target >= 0) & target.isfinite()).all():
        raise ValueError(
            f"the marginal over axes {axes} has shape {tuple(target.shape)}: expected {shape}, finite numbers from 0"
        )
    target = target.to("cpu", torch.float64).permute(sorted(range(len(axes)), key=lambda i: axes[i]))
    return target.reshape([size if axis in axes else 1 for axis, size in enumerate(sizes)])


def _check_agreement(wanted: Mapping[tuple[int, ...], Tensor], categories: Categories) -> None:
    """Every two marginals must have the same total, and the same counts by the attributes that both have."""
    names = list(categories)
    for (axes, one), (others, two) in combinations(wanted.items(), 2):
        shared = [axis for axis in axes if axis in others]
        first, second = _sum_to(one, shared), _sum_to(two, shared)
        gap = (first - second).abs()
        if gap.max() > TOLERANCE / 10 * one.sum():  # a tenth: several such gaps still let the fit converge
            worst = np.unravel_index(int(gap.argmax()), gap.shape)
            raise ValueError(
                f"marginals {[names[axis] for axis in axes]} and {[names[axis] for axis in others]} differ by "
                f"{gap.max():g} in {_cell(worst, shared, categories) or 'their totals'}: {first[worst].item():g} "
                f"against {second[worst].item():g}; scale one to the other, in float64"
            )


def _cell(cell: Sequence[Any], axes: Iterable[int], categories: Categories) -> str:
    """Some of a cell's categories by name, for an error message."""
    names = list(categories)
    return ", ".join(f"{names[axis]} = {categories[names[axis]][int(cell[axis])]!r}" for axis in axes)


# ---- whole people


def _whole(expected: Array, marginals: Sequence[tuple[int, ...]], num_people: int, seed: int) -> Array:
    """Whole people in each cell, int64 in the shape of ``expected``: those rounded down or up."""
    # consecutive cells round well together: the largest marginal leads
    largest = max(marginals, key=lambda axes: math.prod(expected.shape[axis] for axis in axes))
    order = sorted(range(expected.ndim), key=lambda axis: (axis not in largest, -expected.shape[axis]))
    turned = expected.transpose(order)
    counts = systematic_counts(turned.ravel(), num_people, seed, "marginals").reshape(turned.shape)
    return _balanced(np.ascontiguousarray(counts.transpose(np.argsort(order))), expected, marginals)


def _balanced(counts: Array, expected: Array, marginals: Sequence[tuple[int, ...]]) -> Array:
    """The counts with people moved, one at a time, until no move lowers the sum of squares of the marginals' gaps.

    A move takes one person from a cell that was rounded up to one that was rounded down. With g the people still
    wanted in an entry of a marginal, it lowers the sum of squares by twice g(to) - g(from) - 1, summed over the
    marginals in which the two cells are counted in different entries.
    """
    over = [tuple(axis for axis in range(counts.ndim) if axis not in axes) for axes in marginals]
    wanted = np.zeros(counts.shape) + sum((expected - counts).sum(axes, keepdims=True) for axes in over)
    gain = np.where(counts < expected, wanted, -np.inf)
    loss = np.where(counts > expected, wanted, np.inf)
    while move := _move(gain, loss, marginals):
        for cell, by in zip(move, (1, -1), strict=True):
            counts[cell] += by
            for axes in marginals:
                entry = tuple(i if axis in axes else slice(None) for axis, i in enumerate(cell))
                gain[entry] -= by
                loss[entry] -= by
        to, source = move
        loss[to], gain[to] = gain[to], -np.inf
        gain[source], loss[source] = loss[source], np.inf
    return counts


def _move(
    gain: Array, loss: Array, marginals: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The cells where one more person helps and where one fewer does, sharing as little as they can; or None."""
    for shared in range(len(marginals)):
        for kept in combinations(marginals, shared):  # in these the two cells are in the same entry
            fixed = set().union(*kept)
            over = tuple(axis for axis in range(gain.ndim) if axis not in fixed)
            better = gain.max(over, keepdims=True) - loss.min(over, keepdims=True) - (len(marginals) - shared)
            best = np.unravel_index(int(better.argmax()), better.shape)
            if better[best] > 0:
                inside = tuple(slice(i, i + 1) if axis in fixed else slice(None) for axis, i in enumerate(best))
                found = [
                    np.unravel_index(k, gain[inside].shape) for k in (gain[inside].argmax(), loss[inside].argmin())
                ]
                to, source = (tuple(int(i + j) for i, j in zip(best, cell, strict=True)) for cell in found)
                return to, source
    return None
