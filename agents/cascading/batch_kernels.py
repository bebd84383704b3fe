"""Compiled search for the best lists of many states, side by side."""

from typing import Any, NamedTuple

import numpy as np

from ethogram.simulator.kernels import compiled

from .list_kernels import best_single, find_bad_row, rerank_items

_Array = np.ndarray[Any, Any]

LANES = 64  # states that are solved in lockstep: enough that a compiler keeps loops over them as loops

MAGNITUDE = 0x7FFFFFFFFFFFFFFF  # all bits of a float64 but its sign


class Block(NamedTuple):
    """``LANES`` states side by side: tables with the state innermost, so that one instruction serves several."""

    key: _Array  # (N, LANES) the values, and then the sort keys in their memory
    order: _Array  # (N, LANES) int64, that memory as integers: keys, and then the item of each rank
    gain: _Array  # (N, LANES) u w by rank, -inf where the item is not worth a click
    miss: _Array  # (N, LANES) 1 - u by rank
    best: _Array  # (m + 1, N + 1, LANES) as in Scratch
    line: _Array  # (N,) int64, the order of one state


@compiled
def make_block(num_items: int, length: int) -> Block:
    """Room for ``LANES`` states."""
    key = np.empty((num_items, LANES))
    gain, miss = np.empty((num_items, LANES)), np.empty((num_items, LANES))
    best = np.empty((length + 1, num_items + 1, LANES))
    return Block(key, key.view(np.int64), gain, miss, best, np.empty(num_items, np.int64))


@compiled
def exchange(above: _Array, below: _Array) -> None:
    """The larger of each pair goes above."""
    for j in range(LANES):
        x, y = above[j], below[j]
        above[j] = max(x, y)
        below[j] = min(x, y)


@compiled
def sort_columns(keys: _Array) -> None:
    """Each column of int64 keys in descending order: merge exchange (Knuth, TAOCP 5.2.2, algorithm M).

    Which rows it compares does not depend on what they hold, so that all columns are sorted at once.
    """
    rows, top = keys.shape[0], 1
    while 2 * top < rows:
        top *= 2
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            for i in range(rows - d):
                if i & p == r:
                    exchange(keys[i], keys[i + d])
            if q == p:
                break
            q, r, d = q // 2, p, q - p
        p //= 2


@compiled
def count_close(above: _Array, below: _Array, index: int) -> int:
    """How many pairs of keys differ in the bits of the index only."""
    close = 0
    for j in range(LANES):
        close += int((above[j] | index) == (below[j] | index))
    return close


@compiled
def rank_block(value: _Array, block: Block) -> None:
    """``block.order`` becomes what ``rank_items`` gives for each of LANES rows.

    A value's bits, read as an integer and its sign undone, are in order; an item's index takes the place of the
    last few. Values that differ in those few only, equal ones among them, are then put right one state at a time.
    """
    num_items, index = value.shape[1], 1
    while index < num_items:
        index *= 2
    index -= 1  # the bits that hold an index, which counts down, so that of equal items the first leads
    for a in range(num_items):
        for j in range(LANES):
            block.key[a, j] = value[j, a] + 0.0  # -0.0 equals 0.0
        for j in range(LANES):
            z = block.order[a, j]
            block.order[a, j] = ((z ^ ((z >> 63) & MAGNITUDE)) & ~index) | (index - a)
    sort_columns(block.order)
    close = 0
    for i in range(num_items - 1):
        close += count_close(block.order[i], block.order[i + 1], index)
    for i in range(num_items):
        for j in range(LANES):
            block.order[i, j] = index - (block.order[i, j] & index)
    if close > 0:
        for j in range(LANES):  # by loops: to assign slices would take numba seconds more to compile
            for i in range(num_items):
                block.line[i] = block.order[i, j]
            rerank_items(value[j], block.line)
            for i in range(num_items):
                block.order[i, j] = block.line[i]


@compiled
def fill_block(attraction: _Array, value: _Array, no_click: _Array, block: Block) -> None:
    """F[i][k] of LANES ranked states in lockstep.

    An item that is not worth a click gains -inf, and a list that is too short is worth -inf, or NaN after an item
    that is surely clicked: neither is ever better than what is there.
    """
    num_items, best = value.shape[1], block.best
    for i in range(num_items):
        for j in range(LANES):
            a = block.order[i, j]
            u, w = attraction[j, a], value[j, a]
            block.gain[i, j] = u * w if w > no_click[j] else -np.inf
            block.miss[i, j] = 1 - u
    for i in range(num_items + 1):
        for j in range(LANES):
            best[0, i, j] = no_click[j]
    for k in range(1, best.shape[0]):
        for j in range(LANES):
            best[k, num_items, j] = -np.inf
        for i in range(num_items - 1, -1, -1):
            for j in range(LANES):
                take = block.gain[i, j] + block.miss[i, j] * best[k - 1, i + 1, j]
                best[k, i, j] = take if take > best[k, i + 1, j] else best[k, i + 1, j]  # on a tie, skip


@compiled
def read_block(
    if_none_worth: _Array, value: _Array, no_click: _Array, block: Block, slates: _Array, values: _Array
) -> None:
    """The lists of a filled block: an item stands in its list where F[i][k] exceeds F[i+1][k]."""
    for j in range(LANES):
        k = slates.shape[1]
        for position in range(k):
            slates[j, position] = -1
        while block.best[k, 0, j] == -np.inf:
            k -= 1
        if k == 0:
            values[j] = best_single(if_none_worth[j], value[j], no_click[j], slates[j])
            continue
        values[j], i = block.best[k, 0, j], 0
        for position in range(k):
            best = block.best[k - position]
            while best[i, j] == best[i + 1, j]:
                i += 1
            slates[j, position] = block.order[i, j]
            i += 1


@compiled
def best_lists_side_by_side(
    attraction: _Array, value: _Array, no_click: _Array, if_none_worth: _Array, slates: _Array, values: _Array
) -> int:
    """``list_kernels.best_lists`` for LANES rows and more: the same lists, LANES at a time."""
    bad = find_bad_row(attraction, value, no_click)
    if bad >= 0:
        return bad
    rows, block = value.shape[0], make_block(value.shape[1], slates.shape[1])
    for start in range(0, rows, LANES):
        i, j = min(start, rows - LANES), min(start + LANES, rows)  # the last block may meet some rows again
        rank_block(value[i:j], block)
        fill_block(attraction[i:j], value[i:j], no_click[i:j], block)
        read_block(if_none_worth[i:j], value[i:j], no_click[i:j], block, slates[i:j], values[i:j])
    return -1
