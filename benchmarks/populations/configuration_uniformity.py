"""How near do networks of given degrees come to a uniform choice among all simple ones?

Run: python benchmarks/populations/configuration_uniformity.py        (some minutes)

Small degree sequences: all their simple networks are enumerated, and the networks that come out are counted; a
chi-square test says how often counts as uneven come up by chance. Heavy tails: the mean transitivity and degree
correlation after 1 to 10 attempted swaps a contact (and 1,000 more), beside another walk with the same limit, which
shares no code with ours: 30 curveball trades a person (Carstens, Berger & Strona, arXiv:1609.05137), from the network
that networkx makes. Each network is a chain of its own. z: the difference in standard errors.
"""

import argparse
from collections import Counter
from itertools import combinations
from typing import Any

import networkx as nx
import numba
import numpy as np
import torch
from scipy.stats import chi2

from ethogram.simulator.networks import Contacts, configuration

SMALL = ([2, 2, 1, 1, 2], [5, 5, 3, 3, 2, 2, 2], [2] * 6, [4, 4, 3, 3, 3, 3], [1] * 8, [5, 3, 2, 2, 2, 1, 1])
Pairs = set[tuple[int, int]]
Array = np.ndarray[Any, Any]


def simple_networks(degree: list[int]) -> set[tuple[tuple[int, int], ...]]:
    """Every set of pairs in which person i stands degree[i] times."""
    every = combinations(combinations(range(len(degree)), 2), sum(degree) // 2)
    return {edges for edges in every if np.bincount(np.ravel(edges), minlength=len(degree)).tolist() == degree}


def pairs_of(contacts: Contacts) -> Pairs:
    """Each contact once, the smaller end first."""
    return {(i, j) for i, j in zip(contacts.source.tolist(), contacts.target.tolist(), strict=True) if i < j}


@numba.njit
def trades(knows: Array, count: int, seed: int) -> None:
    """Curveball: two random people deal out anew, at random, whom only one of them knows; knows: (n, n) 0 or 1."""
    np.random.seed(seed)  # noqa: NPY002
    n = len(knows)
    pool = np.empty(n, np.int64)
    for _ in range(count):
        i, j = np.random.randint(n), np.random.randint(n - 1)  # noqa: NPY002
        j += j >= i
        size = own = 0
        for x in range(n):
            if x not in (i, j) and knows[i, x] != knows[j, x]:
                pool[size] = x
                size += 1
                own += knows[i, x]
        for p in range(size):
            q = np.random.randint(p, size)  # noqa: NPY002
            pool[p], pool[q] = pool[q], pool[p]
            knows[i, pool[p]] = knows[pool[p], i] = p < own
            knows[j, pool[p]] = knows[pool[p], j] = p >= own


def traded(start: Array, seed: int) -> Array:
    """A chain of 30 trades a person."""
    knows = start.copy()
    trades(knows, 30 * len(knows), seed)
    return knows


def made(degree: Array, swaps: int, seed: int) -> Array:
    """Ours, as a matrix."""
    contacts = configuration(torch.from_numpy(degree), swaps=swaps, seed=seed)
    knows = np.zeros((len(degree), len(degree)), np.int64)
    knows[contacts.source.numpy(), contacts.target.numpy()] = 1
    return knows


def measured(knows: Array, degree: Array) -> tuple[float, float]:
    """Transitivity, and the correlation of degrees across contacts."""
    source, target = knows.nonzero()
    row = knows.astype(np.float32)
    return (
        float((row @ row * row).sum() / (degree * (degree - 1)).sum()),
        float(np.corrcoef(degree[source], degree[target])[0, 1]),
    )


def small(each: int) -> None:
    """Enumeration."""
    print(f"{'degrees':<24} {'networks':>8} {'samples':>8} {'chi-square':>11} {'p':>7}")
    for degree in SMALL:
        networks = simple_networks(degree)
        samples = each * len(networks)
        found = Counter(tuple(sorted(pairs_of(configuration(torch.tensor(degree), seed=s)))) for s in range(samples))
        assert set(found) == networks
        uneven = sum((count - each) ** 2 / each for count in found.values())
        p = chi2.sf(uneven, len(networks) - 1)
        print(f"{degree!s:<24} {len(networks):>8} {samples:>8} {uneven:>11.1f} {p:>7.3f}")


def heavy(people: int, exponent: float, networks: int) -> None:
    """A tail of a power law."""
    uniform = np.random.default_rng(1).random(people)
    degree = np.minimum(2 * (1 - uniform) ** (-1 / (exponent - 1)), people // 3).astype(np.int64)
    degree[0] += degree.sum() % 2
    start = nx.to_numpy_array(nx.havel_hakimi_graph(degree.tolist()), dtype=np.int64)
    chain = np.array([measured(traded(start, seed), degree) for seed in range(networks)])
    print(f"\n{people} people, exponent {exponent}, {degree.sum() // 2} contacts, the largest degree {degree.max()}")
    print(f"{'attempts':>9} {'transitivity':>13} {'z':>7} {'degree correlation':>20} {'z':>7}")
    for swaps in (1, 2, 3, 4, 6, 10):
        found = np.array([measured(made(degree, swaps, seed), degree) for seed in range(networks)])
        error = np.sqrt((found.var(0) + chain.var(0)) / networks)
        (one, two), (z, w) = found.mean(0), (found.mean(0) - chain.mean(0)) / error
        print(f"{swaps:>9} {one:>13.5f} {z:>7.1f} {two:>20.5f} {w:>7.1f}", flush=True)
    one, two = chain.mean(0)
    print(f"{'trades':>9} {one:>13.5f} {'':>7} {two:>20.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=100, help="samples for each small network (default 100)")
    parser.add_argument("--networks", type=int, default=2000, help="networks of each kind (default 2000)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    small(arguments.each)
    heavy(600, 2.1, arguments.networks)
    heavy(600, 2.5, arguments.networks)


if __name__ == "__main__":
    main()
