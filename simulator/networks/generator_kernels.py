"""The compiled side of the network generators: chance by keyed draws, so that a seed gives one network anywhere.

Each does a part of its work a call, ``first`` until ``last``, so that Ctrl-C works in between. Choices are drawn again
until they are allowed; one that has been refused ``PATIENCE`` times is made among those that are allowed, all looked
at, which has the same distribution. So every loop ends.
"""

from typing import Any

import numba
import numpy as np

from ..kernels import INCREMENT, Array, compiled, mix
from .kernels import prefetch

_INCREMENT = np.uint64(INCREMENT)
_EMPTY = np.int64(-1)
PATIENCE = 1000


@numba.njit(inline="always")
def _chance(key: np.uint64, number: Any) -> float:
    """The ``number``-th draw of a key, in (0, 1), 53 bits: an id among 10^8 needs more than float32 has."""
    return (np.float64(np.int64(mix(key + np.uint64(number) * _INCREMENT) >> np.uint64(11))) + 0.5) * 2.0**-53


@compiled
def within(
    first: int, last: int, count: int, start: Array, members: Array, probability: Array, key: np.uint64, pairs: Array
) -> int:
    """Each pair of each group with the group's probability, by geometric jumps; returns how many, also of no room.

    Group g is members[start[g]:start[g + 1]]. The draws are those of the first member of a pair, so that the jumps
    of one person leave the others' alone. count: of the pairs that stand in ``pairs`` (room, 2) already.
    """
    g = np.searchsorted(start, first, "right") - 1
    for a in range(first, last):
        while a >= start[g + 1]:
            g += 1
        p = probability[g]
        if p <= 0:
            continue
        scale = 0.0 if p >= 1 else 1 / np.log1p(-p)
        own = mix(key + np.uint64(members[a] + 1) * _INCREMENT)
        b, k = np.float64(a), 0
        while True:
            b += 1 if p >= 1 else 1 + np.floor(np.log(_chance(own, k)) * scale)
            k += 1
            if b >= start[g + 1]:
                break
            if count < pairs.shape[0]:
                pairs[count, 0], pairs[count, 1] = members[a], members[np.int64(b)]
            count += 1
    return count


@compiled
def preferential(first: int, last: int, draw: int, links: int, key: np.uint64, pairs: Array, met: Array) -> int:
    """Barabási & Albert's growth: each newcomer links to ``links`` others, chosen by their degree.

    The first links + 1 people all know each other, and stand in ``pairs`` (E, 2) already; the newcomers follow in
    order: whom they chose, then they. met: (n,), who chose each person last. Returns the number of draws.
    """
    for newcomer in range(first, last):
        i, count = newcomer + links + 1, links * (links + 1) // 2 + newcomer * links
        ends = 2 * count  # of the contacts among those who were there before: a person stands in as many as they have
        known = pairs.ravel()
        for k in range(links):
            other, refused = -1, 0
            while other < 0 and refused < PATIENCE:
                other = known[np.int64(_chance(key, draw) * ends)]
                draw += 1
                if met[other] == i:
                    other, refused = -1, refused + 1
            if other < 0:
                left: Any = 0
                for end in range(ends):
                    left += met[known[end]] != i
                left = np.int64(_chance(key, draw) * left)
                draw += 1
                for end in range(ends):
                    if met[known[end]] != i:
                        if left == 0:
                            other = known[end]
                            break
                        left -= 1
            met[other] = i
            pairs[count + k, 0], pairs[count + k, 1] = other, i
    return draw


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
def enter(pairs: Array, table: Array) -> None:
    """Put pairs (E, 2) into a hash table: all -1, longer than there are pairs, a power of two."""
    for e in range(pairs.shape[0]):
        code = _code(pairs[e, 0], pairs[e, 1])
        table[_place(table, code)] = code


@compiled
def rewire(
    first: int, last: int, draw: int, rewired: float, key: np.uint64, table: Array, degree: Array, pairs: Array
) -> int:
    """Watts & Strogatz: each contact of a ring moves its far end, with a probability, to somebody not yet known.

    Contacts of those who know everybody stay. table: the pairs (E, 2), by ``enter``; degree: (n,). Returns the number
    of draws.
    """
    num_people, moves, targets = degree.shape[0], mix(key), mix(key + np.uint64(1))
    for e in range(first, last):
        i, before = pairs[e, 0], pairs[e, 1]
        if _chance(moves, e) >= rewired or degree[i] >= num_people - 1:
            continue
        other: Any = -1
        refused = 0
        while other < 0 and refused < PATIENCE:
            other = np.int64(_chance(targets, draw) * num_people)
            draw += 1
            if other == i or table[_place(table, _code(i, other))] != _EMPTY:
                other, refused = -1, refused + 1
        if other < 0:
            left = np.int64(_chance(targets, draw) * (num_people - 1 - degree[i]))
            draw += 1
            for j in range(num_people):
                if j != i and table[_place(table, _code(i, j))] == _EMPTY:
                    other = j
                    if left == 0:
                        break
                    left -= 1
        _remove(table, _code(i, before))
        table[_place(table, _code(i, other))] = _code(i, other)
        pairs[e, 1] = other
        degree[before] -= 1
        degree[other] += 1
    return draw


@compiled
def havel_hakimi(degree: Array, order: Array, pairs: Array) -> None:
    """A network of given degrees, if there is one: the person of least degree left knows those of the largest.

    degree: (n,), left at 0. order: people by falling degree, which it stays: of those alike, the last are linked.
    Kleitman & Wang, Discrete Mathematics 1973: whoever goes first, what is left is again the degrees of a network.
    """
    at_least = np.zeros(degree.max() + 2, np.int64)  # how many people have a degree of k or more left
    for i in range(degree.shape[0]):
        at_least[degree[i]] += 1
    for k in range(at_least.shape[0] - 2, -1, -1):
        at_least[k] += at_least[k + 1]
    count = 0
    for last in range(order.shape[0] - 1, -1, -1):
        i = order[last]
        links, degree[i] = degree[i], 0
        at_least[1 : links + 1] -= 1
        if links == 0:
            continue
        least = degree[order[links - 1]]  # of those linked: all who have more, and the last of those who have this
        above, end = at_least[least + 1], at_least[least]
        for k in range(links):
            j = order[k] if k < above else order[end - 1 - (k - above)]
            pairs[count, 0], pairs[count, 1] = i, j
            count += 1
        for k in range(links):
            j = pairs[count - 1 - k, 1]
            at_least[degree[j]] -= 1
            degree[j] -= 1


_BLOCK = 64  # attempts for which memory is asked together: one by one, each would be waited for


@numba.njit(inline="always")
def _ends(pairs: Array, e: Any, f: Any, turned: bool) -> tuple[Any, Any, Any, Any]:
    """Two contacts, the second turned round or not."""
    a, b, c, d = pairs[e, 0], pairs[e, 1], pairs[f, 0], pairs[f, 1]
    return (a, b, d, c) if turned else (a, b, c, d)


@numba.njit(inline="always")
def _ask_ahead(begin: int, key: np.uint64, table: Array, pairs: Array, chosen: Array, turned: Array) -> None:
    """Draw what the attempts of a block would swap, and ask memory for it and for its places in the table."""
    scale, mask = pairs.shape[0] * 2.0**-53, np.uint64(table.shape[0] - 1)
    for k in range(_BLOCK):
        for side in range(2):
            bits = mix(key + np.uint64(2 * (begin + k) + side) * _INCREMENT)
            chosen[k, side] = np.int64(np.float64(np.int64(bits >> np.uint64(11))) * scale)
            turned[k] = bits & np.uint64(1)
            prefetch(pairs, 2 * chosen[k, side])  # type: ignore[call-arg]
    for k in range(_BLOCK):
        a, b, c, d = _ends(pairs, chosen[k, 0], chosen[k, 1], turned[k])
        for code in (_code(a, b), _code(c, d), _code(a, d), _code(c, b)):
            prefetch(table, mix(np.uint64(code) * _INCREMENT) & mask)  # type: ignore[call-arg]


@compiled
def swap(first: int, last: int, done: int, key: np.uint64, table: Array, pairs: Array) -> int:
    """Swap the ends of two random contacts, where that leaves no loop and no repeat; returns how many are done.

    A random walk over the networks of the same degrees, whose limit is uniform: each attempt is as likely as the one
    that undoes it, and one that fails counts as a step. table: the pairs (E, 2), by ``enter``.
    """
    chosen, turned = np.empty((_BLOCK, 2), np.uint64), np.empty(_BLOCK, np.bool_)
    for begin in range(first, last, _BLOCK):
        _ask_ahead(begin, key, table, pairs, chosen, turned)
        for k in range(min(_BLOCK, last - begin)):
            e, f = chosen[k, 0], chosen[k, 1]
            a, b, c, d = _ends(pairs, e, f, turned[k])
            if a == d or c == b:
                continue
            if table[_place(table, _code(a, d))] != _EMPTY or table[_place(table, _code(c, b))] != _EMPTY:
                continue
            _remove(table, _code(a, b))
            _remove(table, _code(c, d))
            table[_place(table, _code(a, d))] = _code(a, d)
            table[_place(table, _code(c, b))] = _code(c, b)
            pairs[e, 0], pairs[e, 1], pairs[f, 0], pairs[f, 1] = a, d, c, b
            done += 1
    return done
