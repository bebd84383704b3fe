"""Random contact networks by their textbook names; a seed gives one network, on any machine.

All run in compiled code with keyed draws: 10^7 contacts take seconds. People are 0 to n - 1.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arguments import check_number, checked_int
from ..draws import Draws
from . import generator_kernels as kernels
from .columns import as_column
from .contacts import Contacts

Array = np.ndarray[Any, Any]

MOST = 2.0**33  # contacts that a generator makes: 128 GB


def erdos_renyi(num_people: int, mean_degree: float, *, seed: int = 0) -> Contacts:
    """G(n, p): each two people know each other with probability p = mean_degree / (n - 1), independently."""
    people = _counted(num_people)
    check_number("mean_degree", mean_degree)
    return within_groups(torch.zeros(people, dtype=torch.int64), mean_degree, seed=seed)


def within_groups(group: Tensor, mean_degree: float = math.inf, *, seed: int = 0) -> Contacts:
    """Contacts inside groups only: in each, a G(n, p) of the mean degree; all pairs where a group is no larger.

    group: (n,) int64 codes, such as households, workplaces, classes; -1: in no group. mean_degree inf: all pairs.
    """
    group = as_column("group", group)
    if group.dtype != torch.int64 or group.dim() != 1 or not len(group) or int(group.min()) < -1:
        raise ValueError(f"group is {group.dtype} {tuple(group.shape)}: expected int64 (n,), codes from 0, -1 for none")
    if mean_degree != math.inf:
        check_number("mean_degree", mean_degree)
    codes = group.cpu().numpy()
    members = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :].astype(np.int32)
    start = np.flatnonzero(np.diff(codes[members], prepend=-1, append=-1))  # where another group begins, and the end
    size = np.diff(start)
    others = np.maximum(size - 1, 1)
    probability = np.minimum(mean_degree, others) / others
    expected = float((size * (size - 1) / 2 * probability).sum())
    if expected > MOST:
        raise ValueError(
            f"the largest of {len(size)} groups has {size.max()} people, and about {expected:.3g} pairs of them would "
            f"be in contact: expected at most {MOST:.2g}; pass a lower mean_degree, or MeanField for large groups"
        )
    room = int(expected + 10 * math.sqrt(expected) + 10)  # ten standard deviations
    pairs = np.empty((room, 2), np.int32)
    key = _key("within_groups", seed)
    count = _by_parts(kernels.within, len(members), 1 << 14, start, members, probability, key, pairs)
    assert count <= room
    return _of(pairs[:count], len(codes))


def small_world(num_people: int, degree: int, rewired: float, *, seed: int = 0) -> Contacts:
    """A ring on which everybody knows the ``degree`` nearest, and each contact moves one end with a probability.

    Watts & Strogatz, Nature 1998. degree: even. rewired: probability. The moved end is uniform among those whom the
    other one does not know yet; who knows everybody moves none.
    """
    people = _counted(num_people)
    if checked_int("degree", degree, 2, people - 2) % 2:
        raise ValueError(f"degree is {degree}: expected an even number, as many to the left as to the right")
    check_number("rewired", rewired, 0, 1)
    source = np.repeat(np.arange(people, dtype=np.int32), degree // 2)
    target = (source + np.tile(np.arange(1, degree // 2 + 1, dtype=np.int32), people)) % np.int32(people)
    pairs, degrees = _room(len(source)), np.full(people, degree, np.int32)
    pairs[:, 0], pairs[:, 1] = source, target
    key = _key("small_world", seed)
    _by_parts(kernels.rewire, len(pairs), 1 << 16, rewired, key, _chains(pairs), degrees, pairs)
    return _of(pairs, people)


def scale_free(num_people: int, links: int, *, seed: int = 0) -> Contacts:
    """Degrees with a power-law tail of exponent 3: newcomers link to ``links`` people, chosen by their degree.

    Barabási & Albert, Science 1999. It starts from links + 1 people who all know each other. Newcomers have high
    numbers.
    """
    people = _counted(num_people)
    links = checked_int("links", links, 1, people - 1)
    count = links * (links + 1) // 2 + (people - links - 1) * links
    pairs, met = np.empty((count, 2), np.int32), np.zeros(people, np.int32)
    first = links * (links + 1) // 2
    pairs[:first, 1], pairs[:first, 0] = np.tril_indices(links + 1, -1)
    newcomers = people - links - 1
    _by_parts(kernels.preferential, newcomers, 1 << 14, links, _key("scale_free", seed), pairs, met)
    return _of(pairs, people)


def configuration(degree: Tensor, *, swaps: int = 6, seed: int = 0) -> Contacts:
    """A random network in which everybody has just the degree given: the configuration model without loops or repeats.

    degree: (n,) int64; there must be a network with these degrees (Erdős & Gallai, Matematikai Lapok 1960). One is
    made (Havel, Časopis pro pěstování matematiky 1955; Hakimi, SIAM Journal 1962) and its contacts swap ends at
    random, ``swaps`` attempts for each and 1,000 more: a random walk that, left to run, finds each simple network of
    these degrees equally often. Where more than half of all pairs are in contact, those that are not are swapped.
    How near to uniform 6 attempts come is measured in docs/networks.md.

    Raises ValueError where no simple network has these degrees, saying whose are too large; and for 2^31 contacts.
    """
    degree = as_column("degree", degree)
    if degree.dtype != torch.int64 or degree.dim() != 1 or not len(degree) or int(degree.min()) < 0:
        raise ValueError(f"degree is {degree.dtype} {tuple(degree.shape)}: expected int64 (n,), from 0")
    degrees, key = degree.cpu().numpy(), _key("swaps", seed)
    people, contacts = len(degrees), int(degrees.sum()) // 2
    _check_graphical(np.sort(degrees)[::-1])
    if dense := 4 * contacts > people * (people - 1):
        degrees = people - 1 - degrees
    if contacts >= 2**31:
        raise ValueError(
            f"degree sums to {2 * contacts}: expected less than 2^32, since contacts are numbered by int32"
        )
    order = np.argsort(-degrees, kind="stable")
    pairs = _room(int(degrees.sum()) // 2)
    kernels.havel_hakimi(degrees.copy(), order, pairs)
    if len(pairs) > 1:
        attempts = checked_int("swaps", swaps, 0) * len(pairs) + 1000
        _by_parts(kernels.swap, attempts, 1 << 20, key, _chains(pairs), pairs)
    if dense:
        absent = np.tri(people, k=-1, dtype=bool)
        absent[pairs[:, :2].max(1), pairs[:, :2].min(1)] = False
        pairs = np.argwhere(absent).astype(np.int32)
    return _of(pairs, people)


def _check_graphical(degrees: Array) -> None:
    """ValueError where no simple network has these degrees, (n,) in falling order: Erdős & Gallai's inequalities.

    The k largest may have k (k - 1) ends among themselves, and with each other person as many as it has, up to k.
    """
    people, total = len(degrees), int(degrees.sum())
    if total % 2:
        raise ValueError(f"degree sums to {total}: expected an even sum, since each contact has two ends")
    k = np.arange(1, people + 1)
    above = np.maximum(np.searchsorted(-degrees, -k, "right"), k)  # of the others, up to here those of k or more
    least = np.concatenate([np.cumsum(degrees[::-1])[::-1], [0]])  # the sum of degrees from a place on
    room = k * (k - 1) + k * (above - k) + least[above]
    if (over := np.cumsum(degrees) > room).any():
        worst = int(over.argmax())
        raise ValueError(
            f"degree has no simple network: the largest {worst + 1} sum to {int(degrees[: worst + 1].sum())}, and can "
            f"have {int(room[worst])} ends among themselves and with all others: expected no more; lower them"
        )


def _by_parts(kernel: Callable[..., int], total: int, part: int, *arguments: Any) -> int:
    """Call a kernel for parts of its work, from ``first`` until ``last``, handing on what it counts."""
    done = 0
    for first in range(0, total, part):
        done = kernel(first, min(first + part, total), done, *arguments)
    return done


def _of(pairs: Array, people: int) -> Contacts:
    return Contacts.from_edges(pairs[:, 0], pairs[:, 1], people)


def _counted(num_people: int) -> int:
    return checked_int("num_people", num_people, 2, 2**31 - 1)


def _key(name: str, seed: int) -> np.uint64:
    return np.uint64(Draws(seed, torch.zeros(0, dtype=torch.int64), scope="network").key(name))


def _room(contacts: int) -> Array:
    """For pairs that chains hold: two ends, the next, and nothing, so that one lies in one line of the cache."""
    return np.empty((contacts, 4), np.int32)


def _chains(pairs: Array) -> Array:
    """Where the chains of pairs begin, most of them empty or of one."""
    head = np.full(1 << (4 * len(pairs)).bit_length(), -1, np.int32)
    kernels.enter(pairs, head)
    return head
