"""The compiled CPU side of the cascading oracle: the best list of one state.

``oracle.py`` documents what is computed and holds the plain torch twin of ``best_permutation``, which performs the same
IEEE operations in the same order, so that both give the same bits; a test holds them together.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from ethogram.simulator.kernels import compiled

_Array = np.ndarray[Any, Any]


class Scratch(NamedTuple):
    """Memory that one call of the oracle works in; N items, lists of at most m."""

    best: _Array  # (N + 1, m + 1) best[i, k]: F[i][k], the value of the best k of the items from rank i on


@compiled
def scratch(num_items: int, length: int) -> Scratch:
    """Room for lists of ``length`` out of ``num_items``."""
    return Scratch(np.empty((num_items + 1, length + 1)))


@compiled
def rank_items(value: _Array, order: _Array) -> None:
    """``order`` becomes the items by descending value, equal ones by index.

    Counts how many items are better than each: N^2 comparisons, but without a branch that depends on them, which
    for lists of some forty items is faster than a sort.
    """
    for a in range(value.shape[0]):
        order[a] = -1
    for a in range(value.shape[0]):
        rank = 0
        for b in range(value.shape[0]):
            rank += value[b] > value[a]
        while order[rank] >= 0:  # an equal item of lower index is there
            rank += 1
        order[rank] = a


@compiled
def rerank_items(value: _Array, order: _Array) -> None:
    """As ``rank_items``, from an order that is nearly right already: an insertion sort."""
    for i in range(1, order.shape[0]):
        a = order[i]
        j = i
        while j > 0:
            b = order[j - 1]
            if value[b] > value[a] or (value[b] == value[a] and b < a):
                break
            order[j] = b
            j -= 1
        order[j] = a


@compiled
def best_single(attraction: _Array, value: _Array, no_click: float, slate: _Array) -> float:
    """The case J = 0, where no item is worth a click more than no click: the least harmful item, on its own."""
    highest = -np.inf
    for a in range(value.shape[0]):
        single = attraction[a] * value[a] + (1 - attraction[a]) * no_click
        if single > highest:
            highest = single
            slate[0] = a
    return highest


@compiled
def best_list(
    attraction: _Array,
    value: _Array,
    no_click: float,
    if_none_worth: _Array,
    order: _Array,
    room: Scratch,
    slate: _Array,
) -> float:
    """BestPerm for one state whose items are ranked in ``order``: fills ``slate`` and returns its value.

    The lists of every length grow by one rank at a time, so that the running maxima of the lengths do not wait for
    each other. A list that is too short is worth -inf, or NaN after an item that is surely clicked: neither is better.
    """
    best, longest = room.best, slate.shape[0]
    for k in range(longest):
        slate[k] = -1
    worth = 0  # the paper's J
    while worth < order.shape[0] and value[order[worth]] > no_click:
        worth += 1
    if worth == 0:
        return best_single(if_none_worth, value, no_click, slate)
    for k in range(longest + 1):
        best[worth, k] = -np.inf if k else no_click
    for i in range(worth - 1, -1, -1):
        u = attraction[order[i]]
        gain, miss = u * value[order[i]], 1 - u
        best[i, 0] = no_click
        for k in range(longest, 0, -1):
            take, skip = gain + miss * best[i + 1, k - 1], best[i + 1, k]
            best[i, k] = take if take > skip else skip  # on a tie, skip
    listed, i = min(longest, worth), 0
    for position in range(listed):
        k = listed - position
        while best[i, k] == best[i + 1, k]:
            i += 1
        slate[position] = order[i]
        i += 1
    return best[0, listed]


@compiled
def find_bad_row(attraction: _Array, value: _Array, no_click: _Array) -> int:
    """The first row with an attraction outside [0, 1] or a value that is not finite; -1 where there is none."""
    bad = 0
    for row in range(value.shape[0]):
        for a in range(value.shape[1]):  # counts, and does not stop: many at a time
            u, w = attraction[row, a], value[row, a]
            bad += not ((u >= 0) & (u <= 1) & (np.abs(w) < np.inf))  # NaN too
    for row in range(no_click.shape[0]):
        bad += not np.abs(no_click[row]) < np.inf
    if bad == 0:
        return -1
    for row in range(value.shape[0]):
        good = np.abs(no_click[row]) < np.inf
        for a in range(value.shape[1]):
            good &= (attraction[row, a] >= 0) & (attraction[row, a] <= 1) & (np.abs(value[row, a]) < np.inf)
        if not good:
            return row
    return -1


@compiled
def best_lists(
    attraction: _Array, value: _Array, no_click: _Array, if_none_worth: _Array, slates: _Array, values: _Array
) -> int:
    """BestPerm for each row; returns the first bad row, or -1. Shapes as in ``oracle.best_permutation``."""
    bad = find_bad_row(attraction, value, no_click)
    if bad >= 0:
        return bad
    (rows, num_items), length = value.shape, slates.shape[1]
    room, order = scratch(num_items, length), np.empty(num_items, np.int64)
    for row in range(rows):
        rank_items(value[row], order)
        values[row] = best_list(
            attraction[row], value[row], no_click[row], if_none_worth[row], order, room, slates[row]
        )
    return -1


def _make_pointer(_context: Any, address: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


_pointer: Any = intrinsic(_make_pointer)  # an integer as a pointer, for ``carray``


@compiled
def best_list_at(
    attraction: int, value: int, no_click: float, if_none_worth: int, num_items: int, slate: _Array
) -> float:
    """BestPerm for one state whose tables are given by address, (N,) float64 each; the value, NaN if they are not good.

    A tensor's address costs a tenth of a NumPy view of it, which would be the larger part of one state's time.
    """
    u = carray(_pointer(attraction), (num_items,), np.float64)
    w = carray(_pointer(value), (num_items,), np.float64)
    low = carray(_pointer(if_none_worth), (num_items,), np.float64)
    bad = not np.abs(no_click) < np.inf
    for a in range(num_items):
        bad |= not ((u[a] >= 0) & (u[a] <= 1) & (np.abs(w[a]) < np.inf))  # NaN too
    if bad:
        return np.nan
    order = np.empty(num_items, np.int64)
    rank_items(w, order)
    return best_list(u, w, no_click, low, order, scratch(num_items, slate.shape[0]), slate)


@compiled
def search_list(attraction: _Array, value: _Array, no_click: float, if_none_worth: _Array, slate: _Array) -> float:
    """The best of every list of 1 to m distinct items, each one valued: fills ``slate`` and returns its value.

    Lists that differ in value by rounding only are ties. Of these it takes the one that BestPerm takes: in
    standard form (as many items as may be of those worth more than no click, best first), and of several such,
    the one whose first item, then second, and so on, ranks last.
    """
    num_items, length = value.shape[0], slate.shape[0]
    order, rank = np.empty(num_items, np.int64), np.empty(num_items, np.int64)
    rank_items(value, order)
    rank[order] = np.arange(num_items)
    worth = (value > no_click).sum()
    u = attraction if worth else if_none_worth
    standard_length = min(length, worth) if worth else 1
    # A list is built from its end: items[d] stands in front of items[d - 1], and tail[d + 1] is its value from there.
    items, tail, standard = np.empty(length, np.int64), np.empty(length + 1), np.empty(length + 1, np.bool_)
    used = np.zeros(num_items, np.bool_)
    tail[0], standard[0] = no_click, True
    highest, any_list = -np.inf, np.full(length, -1)
    best_tail, best_items = np.full(length + 1, -np.inf), np.full(length, -1)
    depth, items[0] = 0, -1
    while depth >= 0:
        a = items[depth]
        if a >= 0:
            used[a] = False
        a += 1
        while a < num_items and used[a]:
            a += 1
        if a == num_items:
            depth -= 1
            continue
        items[depth] = a
        used[a] = True
        tail[depth + 1] = u[a] * value[a] + (1 - u[a]) * tail[depth]
        descends = depth == 0 or rank[a] < rank[items[depth - 1]]
        standard[depth + 1] = standard[depth] and descends and (worth == 0 or value[a] > no_click)
        if tail[depth + 1] > highest:
            highest = tail[depth + 1]
            any_list[: depth + 1] = items[: depth + 1]
            any_list[depth + 1 :] = -1
        if standard[depth + 1] and depth + 1 == standard_length:
            d = depth  # from the front to the first difference
            while d > 0 and tail[d + 1] == best_tail[d + 1] and items[d] == best_items[d]:
                d -= 1
            later = worth > 0 and best_items[d] >= 0 and rank[items[d]] > rank[best_items[d]]
            if tail[d + 1] > best_tail[d + 1] or (tail[d + 1] == best_tail[d + 1] and later):
                best_tail[: depth + 2] = tail[: depth + 2]
                best_items[: depth + 1] = items[: depth + 1]
        if depth + 1 < length:
            depth += 1
            items[depth] = -1
    best = best_tail[standard_length]
    if highest > best + 1e-12 * max(1.0, abs(highest)):  # Lemma 1 of the paper says never: a search need not know
        best, best_items = highest, any_list
        standard_length = (any_list >= 0).sum()
    slate[:] = -1
    slate[:standard_length] = best_items[:standard_length][::-1]
    return best


@compiled
def search_lists(
    attraction: _Array, value: _Array, no_click: _Array, if_none_worth: _Array, slates: _Array, values: _Array
) -> int:
    """``search_list`` for each row; returns the first bad row, or -1."""
    bad = find_bad_row(attraction, value, no_click)
    if bad >= 0:
        return bad
    for row in range(value.shape[0]):
        values[row] = search_list(attraction[row], value[row], no_click[row], if_none_worth[row], slates[row])
    return -1
