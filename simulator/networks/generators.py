"""Random contact networks by their textbook names; a seed gives one network, on any machine.

All run in compiled code with keyed draws: 10^7 contacts take seconds. People are 0 to n - 1.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..draws import Draws
from . import generator_kernels as kernels
from .contacts import Contacts

Array = np.ndarray[Any, Any]


def erdos_renyi(num_people: int, mean_degree: float, *, seed: int = 0) -> Contacts:
    """G(n, p): each two people know each other with probability p = mean_degree / (n - 1), independently."""
    people = _counted(num_people)
    return within_groups(torch.zeros(people, dtype=torch.int64), mean_degree, seed=seed)


def within_groups(group: Tensor, mean_degree: float = math.inf, *, seed: int = 0) -> Contacts:
    """Contacts inside groups only: in each, a G(n, p) of the mean degree; all pairs where a group is no larger.

    group: (n,) int64 codes, such as households, workplaces, classes; -1: in no group. mean_degree inf: all pairs.
    """
    if group.dtype != torch.int64 or group.dim() != 1 or not len(group) or int(group.min()) < -1:
        raise ValueError(f"group is {group.dtype} {tuple(group.shape)}: expected int64 (n,), codes from 0, -1 for none")
    if not mean_degree >= 0:
        raise ValueError(f"mean_degree is {mean_degree}: expected 0 or more")
    codes = group.cpu().numpy()
    members = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :].astype(np.int32)
    size = np.bincount(codes[members])
    size = size[size > 0]
    others = np.maximum(size - 1, 1)
    probability = np.minimum(mean_degree, others) / others
    expected = float((size * (size - 1) / 2 * probability).sum())
    room = int(expected + 10 * math.sqrt(expected) + 10)  # ten standard deviations
    start = np.concatenate([[0], np.cumsum(size)])
    source, target = np.empty(room, np.int32), np.empty(room, np.int32)
    count = kernels.within(start, members, probability, _key("within_groups", seed), source, target)
    assert count <= room
    return Contacts.from_edges(source[:count], target[:count], len(codes))


def small_world(num_people: int, degree: int, rewired: float, *, seed: int = 0) -> Contacts:
    """A ring on which everybody knows the ``degree`` nearest, and each contact moves one end with a probability.

    Watts & Strogatz, Nature 1998. degree: even. rewired: probability. The moved end is uniform among those whom the
    other one does not know yet.
    """
    people = _counted(num_people)
    if degree % 2 or not 0 < degree < people - 1:
        raise ValueError(f"degree is {degree}: expected an even number, 2 or more, below the {people} people minus 1")
    if not 0 <= rewired <= 1:
        raise ValueError(f"rewired is {rewired}: expected a probability")
    source = np.repeat(np.arange(people, dtype=np.int32), degree // 2)
    target = (source + np.tile(np.arange(1, degree // 2 + 1, dtype=np.int32), people)) % np.int32(people)
    kernels.rewire(people, rewired, _key("small_world", seed), _table(len(source)), source, target)
    return Contacts.from_edges(source, target, people)


def scale_free(num_people: int, links: int, *, seed: int = 0) -> Contacts:
    """Degrees with a power-law tail of exponent 3: newcomers link to ``links`` people, chosen by their degree.

    Barabási & Albert, Science 1999. It starts from links + 1 people who all know each other. Newcomers have high
    numbers.
    """
    people = _counted(num_people)
    if not 0 < links < people:
        raise ValueError(f"links is {links}: expected 1 to {people - 1}")
    count = links * (links + 1) // 2 + (people - links - 1) * links
    source, target = np.empty(count, np.int32), np.empty(count, np.int32)
    kernels.preferential(people, links, _key("scale_free", seed), source, target)
    return Contacts.from_edges(source, target, people)


def configuration(degree: Tensor, *, seed: int = 0) -> Contacts:
    """A random network in which everybody has just the degree given: the configuration model without loops or repeats.

    degree: (n,) int64; the sum must be even. Stubs are matched at random (Bollobás, European Journal of Combinatorics
    1980); loops and repeats are then swapped away with random other contacts, which keeps all degrees. The result is
    nearly uniform among the simple networks with these degrees: exactly so before the swaps, of which there are few.

    Raises ValueError where that does not succeed: hardly any simple network may have these degrees, or none.
    """
    if degree.dtype != torch.int64 or degree.dim() != 1 or not len(degree) or int(degree.min()) < 0:
        raise ValueError(f"degree is {degree.dtype} {tuple(degree.shape)}: expected int64 (n,), from 0")
    if int(degree.sum()) % 2 or int(degree.max()) >= len(degree):
        raise ValueError(
            f"degrees sum to {int(degree.sum())}, the largest is {int(degree.max())}: expected an even sum, and each "
            f"below the {len(degree)} people"
        )
    stubs = np.repeat(np.arange(len(degree), dtype=np.int32), degree.cpu().numpy())
    kernels.shuffle(stubs, _key("stubs", seed))
    source, target = stubs[::2].copy(), stubs[1::2].copy()
    left = kernels.untangle(_key("swaps", seed), _table(len(source)), source, target, 10_000)
    if left:
        raise ValueError(
            f"{left} of {len(source)} contacts could not be placed without self-loops or repeats: these degrees leave "
            "hardly a simple network, or none; lower the largest"
        )
    return Contacts.from_edges(source, target, len(degree))


def _counted(num_people: int) -> int:
    if not isinstance(num_people, int) or num_people < 2:
        raise ValueError(f"num_people is {num_people!r}: expected an int, 2 or more")
    return num_people


def _key(name: str, seed: int) -> np.uint64:
    return np.uint64(Draws(seed, torch.zeros(0, dtype=torch.int64), scope="network").key(name))


def _table(count: int) -> Array:
    """An empty hash table for so many pairs, at most two thirds full."""
    return np.full(1 << max(4, (3 * count // 2).bit_length()), -1, np.int64)
