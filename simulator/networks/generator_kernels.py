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


_MIX = np.uint64(0xD1342543DE82EF95)  # odd, and another than _INCREMENT


@numba.njit(inline="always")
def _place(head: Array, i: Any, j: Any) -> np.uint64:
    """The chain in which a pair without direction stands, if it does: head, (a power of two,), begins each."""
    mixed = np.uint64(min(i, j)) * _MIX + np.uint64(max(i, j)) * _INCREMENT
    return (mixed >> np.uint64(32)) & np.uint64(head.shape[0] - 1)


@numba.njit(inline="always")
def _known(head: Array, pairs: Array, i: Any, j: Any) -> bool:
    """Whether two people are in contact."""
    at = head[_place(head, i, j)]
    while at >= 0:
        e = np.uint64(at)
        if (pairs[e, 0] == i and pairs[e, 1] == j) or (pairs[e, 0] == j and pairs[e, 1] == i):
            return True
        at = pairs[e, 2]
    return False


@numba.njit(inline="always")
def _enter(head: Array, pairs: Array, e: np.uint64, i: Any, j: Any) -> None:
    """Make contact ``e`` one of i and j."""
    place = _place(head, i, j)
    pairs[e, 0], pairs[e, 1], pairs[e, 2] = i, j, head[place]
    head[place] = e


@numba.njit(inline="always")
def _remove(head: Array, pairs: Array, e: np.uint64) -> None:
    """Take a contact out of its chain."""
    place = _place(head, pairs[e, 0], pairs[e, 1])
    at = head[place]
    if at == np.int64(e):
        head[place] = pairs[e, 2]
        return
    while pairs[np.uint64(at), 2] != np.int64(e):
        at = pairs[np.uint64(at), 2]
    pairs[np.uint64(at), 2] = pairs[e, 2]


@compiled
def enter(pairs: Array, head: Array) -> None:
    """Put pairs (E, 4) into chains by a hash of their ends: those, the next of the chain or -1, and nothing, for room.

    head: all -1, a power of two of them; four for each pair leave most chains empty or of one.
    """
    for e in range(pairs.shape[0]):
        _enter(head, pairs, np.uint64(e), pairs[e, 0], pairs[e, 1])


@compiled
def rewire(
    first: int, last: int, draw: int, rewired: float, key: np.uint64, head: Array, degree: Array, pairs: Array
) -> int:
    """Watts & Strogatz: each contact of a ring moves its far end, with a probability, to somebody not yet known.

    Contacts of those who know everybody stay. head, pairs: by ``enter``; degree: (n,). Returns the number of draws.
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
            if other == i or _known(head, pairs, i, other):
                other, refused = -1, refused + 1
        if other < 0:
            left = np.int64(_chance(targets, draw) * (num_people - 1 - degree[i]))
            draw += 1
            for j in range(num_people):
                if j != i and not _known(head, pairs, i, j):
                    other = j
                    if left == 0:
                        break
                    left -= 1
        _remove(head, pairs, np.uint64(e))
        _enter(head, pairs, np.uint64(e), i, other)
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


_BLOCK = 32  # attempts for which memory is asked together: one by one, each would be waited for


@numba.njit(inline="always")
def _ends(pairs: Array, e: Any, f: Any, turned: bool) -> tuple[Any, Any, Any, Any]:
    """Two contacts, the second turned round or not."""
    a, b, c, d = pairs[e, 0], pairs[e, 1], pairs[f, 0], pairs[f, 1]
    return (a, b, d, c) if turned else (a, b, c, d)


@numba.njit(inline="always")
def _ask_ahead(begin: int, key: np.uint64, head: Array, pairs: Array, chosen: Array, turned: Array) -> None:
    """Draw what the attempts of a block would swap, and ask memory for it, for its chains, and for what they hold."""
    count, places, at = np.uint64(pairs.shape[0]), np.empty(4 * _BLOCK, np.uint64), 0
    for k in range(_BLOCK):
        bits = mix(key + np.uint64(begin + k) * _INCREMENT)
        chosen[k, 0] = (bits >> np.uint64(32)) * count >> np.uint64(32)
        chosen[k, 1] = (bits & np.uint64(0xFFFFFFFE)) * count >> np.uint64(32)
        turned[k] = bits & np.uint64(1)
        prefetch(pairs, np.uint64(4) * chosen[k, 0])  # type: ignore[call-arg]
        prefetch(pairs, np.uint64(4) * chosen[k, 1])
    for k in range(_BLOCK):
        a, b, c, d = _ends(pairs, chosen[k, 0], chosen[k, 1], turned[k])
        for place in (_place(head, a, b), _place(head, c, d), _place(head, a, d), _place(head, c, b)):
            prefetch(head, place)  # type: ignore[call-arg]
            places[at] = place
            at += 1
    for place in places:
        prefetch(pairs, 4 * np.int64(head[place]))  # type: ignore[call-arg]


@compiled
def swap(first: int, last: int, done: int, key: np.uint64, head: Array, pairs: Array) -> int:
    """Swap the ends of two random contacts, where that leaves no loop and no repeat; returns how many are done.

    A random walk over the networks of the same degrees, whose limit is uniform: which contacts and ends are tried does
    not depend on the network, so that each attempt is as likely as the one that undoes it, and one that fails counts
    as a step. (In turn instead of at random it takes longer: contacts begin in an order.) head, pairs: by ``enter``.
    """
    chosen, turned = np.empty((_BLOCK, 2), np.uint64), np.empty(_BLOCK, np.bool_)
    for begin in range(first, last, _BLOCK):
        _ask_ahead(begin, key, head, pairs, chosen, turned)
        for k in range(min(_BLOCK, last - begin)):
            e, f = chosen[k, 0], chosen[k, 1]
            a, b, c, d = _ends(pairs, e, f, turned[k])
            if a == d or c == b or _known(head, pairs, a, d) or _known(head, pairs, c, b):
                continue
            _remove(head, pairs, e)
            _remove(head, pairs, f)
            _enter(head, pairs, e, a, d)
            _enter(head, pairs, f, c, b)
            done += 1
    return done
