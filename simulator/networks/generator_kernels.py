"""The compiled side of the network generators: chance by keyed draws, so that a seed gives one network anywhere."""

from typing import Any

import numba
import numpy as np

from ..kernels import INCREMENT, Array, compiled, mix

_INCREMENT = np.uint64(INCREMENT)
_EMPTY = np.int64(-1)


@numba.njit(inline="always")
def _chance(key: np.uint64, number: Any) -> float:
    """The ``number``-th draw of a key, in (0, 1), 53 bits: an id among 10^8 needs more than float32 has."""
    return (np.float64(np.int64(mix(key + np.uint64(number) * _INCREMENT) >> np.uint64(11))) + 0.5) * 2.0**-53


@compiled
def within(start: Array, members: Array, probability: Array, key: np.uint64, source: Array, target: Array) -> int:
    """Each pair of each group with the group's probability, by geometric jumps; returns how many, also of no room.

    Group g is members[start[g]:start[g + 1]]. The draws are those of the first member of a pair, so that the jumps
    of one person leave the others' alone.
    """
    count = 0
    for g in range(start.shape[0] - 1):
        p, last = probability[g], start[g + 1]
        if p <= 0:
            continue
        scale = 0.0 if p >= 1 else 1 / np.log1p(-p)
        for a in range(start[g], last):
            own = mix(key + np.uint64(members[a] + 1) * _INCREMENT)
            b, k = np.float64(a), 0
            while True:
                b += 1 if p >= 1 else 1 + np.floor(np.log(_chance(own, k)) * scale)
                k += 1
                if b >= last:
                    break
                if count < source.shape[0]:
                    source[count], target[count] = members[a], members[np.int64(b)]
                count += 1
    return count


@compiled
def preferential(num_people: int, links: int, key: np.uint64, source: Array, target: Array) -> None:
    """Barabási & Albert's growth: each newcomer links to ``links`` others, chosen by their degree.

    The first links + 1 people all know each other. source, target: written, in order of arrival.
    """
    count = 0
    for i in range(links + 1):
        for j in range(i):
            source[count], target[count] = i, j
            count += 1
    draw = 0
    for i in range(links + 1, num_people):
        ends = 2 * count  # of the contacts among those who were there before: a person stands in as many as they have
        for k in range(links):
            while True:
                end = np.int64(_chance(key, draw) * ends)
                draw += 1
                other = source[end >> 1] if end & 1 else target[end >> 1]
                fresh = True
                for before in range(k):
                    fresh &= target[count + before] != other
                if fresh:
                    break
            source[count + k], target[count + k] = i, other
        count += links


@compiled
def shuffle(values: Array, key: np.uint64) -> None:
    """Fisher & Yates: a uniformly random order."""
    for i in range(values.shape[0] - 1, 0, -1):
        j = np.int64(_chance(key, i) * (i + 1))
        values[i], values[j] = values[j], values[i]


@numba.njit(inline="always")
def _code(i: Any, j: Any) -> np.int64:
    """A pair without direction, as one number."""
    return (np.int64(min(i, j)) << np.int64(32)) | np.int64(max(i, j))


@compiled
def _place(table: Array, code: np.int64) -> Any:
    """The place of a pair in a hash table whose size is a power of two, or the empty place that ends the search."""
    mask = np.uint64(table.shape[0] - 1)
    at = mix(np.uint64(code) * _INCREMENT) & mask
    while table[at] != code and table[at] != _EMPTY:
        at = (at + np.uint64(1)) & mask
    return np.int64(at)


@compiled
def _remove(table: Array, code: np.int64) -> None:
    """Take a pair out; those that stand behind it because its place was taken move up."""
    mask = table.shape[0] - 1
    hole = _place(table, code)
    at = (hole + 1) & mask
    while table[at] != _EMPTY:
        home = np.int64(mix(np.uint64(table[at]) * _INCREMENT) & np.uint64(mask))
        if (at - home) & mask >= (at - hole) & mask:
            table[hole] = table[at]
            hole = at
        at = (at + 1) & mask
    table[hole] = _EMPTY


@compiled
def rewire(num_people: int, rewired: float, key: np.uint64, table: Array, source: Array, target: Array) -> None:
    """Watts & Strogatz: each contact of a ring moves its far end, with a probability, to somebody not yet known.

    table: all -1, more than there are contacts, a power of two.
    """
    for e in range(source.shape[0]):
        code = _code(source[e], target[e])
        table[_place(table, code)] = code
    moves, targets = mix(key), mix(key + np.uint64(1))
    draw = 0
    for e in range(source.shape[0]):
        if _chance(moves, e) >= rewired:
            continue
        i = source[e]
        while True:
            j = np.int64(_chance(targets, draw) * num_people)
            draw += 1
            if j != i and table[_place(table, _code(i, j))] == _EMPTY:
                break
        _remove(table, _code(i, target[e]))
        table[_place(table, _code(i, j))] = _code(i, j)
        target[e] = j


@compiled
def untangle(key: np.uint64, table: Array, source: Array, target: Array, tries: int) -> int:
    """Remove self-loops and repeats by swapping ends with random other contacts: degrees stay as they are.

    Returns how many could not be swapped in ``tries`` attempts each. table: as in ``rewire``.
    """
    count = source.shape[0]
    bad = np.zeros(count, np.bool_)
    for e in range(count):
        at = _place(table, _code(source[e], target[e]))
        bad[e] = source[e] == target[e] or table[at] != _EMPTY
        if not bad[e]:
            table[at] = _code(source[e], target[e])
    draw, left = 0, 0
    for e in range(count):
        attempt = 0
        while bad[e] and attempt < tries:
            attempt += 1
            f = np.int64(_chance(key, draw) * count)
            draw += 1
            a, b, c, d = source[e], target[e], source[f], target[f]
            if bad[f] or a == d or c == b or _code(a, d) == _code(c, b):
                continue
            if table[_place(table, _code(a, d))] != _EMPTY or table[_place(table, _code(c, b))] != _EMPTY:
                continue
            _remove(table, _code(c, d))
            for code in (_code(a, d), _code(c, b)):
                table[_place(table, code)] = code
            target[e], target[f] = d, b
            bad[e] = False
        left += bad[e]
    return left
