"""How near do networks of given degrees come to a uniform choice among all simple ones?

Run: python benchmarks/populations/configuration_uniformity.py        (some minutes)

Small degree sequences: all their simple networks are enumerated, and the networks that come out are counted; a
chi-square test says how often counts as uneven come up by chance. Heavy tails: the mean transitivity and degree
correlation after 1 to 30 attempted swaps a contact, beside a chain by hand in plain Python, which shares no code with
ours and makes 200. z: the difference in standard errors.
"""

import argparse
import random
from collections import Counter
from itertools import combinations

import networkx as nx
import numpy as np
import torch
from scipy.stats import chi2

from ethogram.simulator.networks import Contacts, configuration

SMALL = ([2, 2, 1, 1, 2], [5, 5, 3, 3, 2, 2, 2], [2] * 6, [4, 4, 3, 3, 3, 3], [1] * 8, [5, 3, 2, 2, 2, 1, 1])
Pairs = set[tuple[int, int]]


def simple_networks(degree: list[int]) -> set[tuple[tuple[int, int], ...]]:
    """Every set of pairs in which person i stands degree[i] times."""
    every = combinations(combinations(range(len(degree)), 2), sum(degree) // 2)
    return {edges for edges in every if np.bincount(np.ravel(edges), minlength=len(degree)).tolist() == degree}


def pairs_of(contacts: Contacts) -> Pairs:
    """Each contact once, the smaller end first."""
    return {(i, j) for i, j in zip(contacts.source.tolist(), contacts.target.tolist(), strict=True) if i < j}


def by_hand(degree: list[int], swaps: int, seed: int) -> Pairs:
    """A chain of double-edge swaps, from the network that networkx makes."""
    edges = [(min(edge), max(edge)) for edge in nx.havel_hakimi_graph(degree).edges]
    known, luck = set(edges), random.Random(seed)
    for _ in range(swaps * len(edges)):
        e, f = luck.randrange(len(edges)), luck.randrange(len(edges))
        (a, b), (c, d) = edges[e], luck.choice((edges[f], edges[f][::-1]))
        new = (min(a, d), max(a, d)), (min(c, b), max(c, b))
        if a != d and c != b and not known & set(new):
            known -= {edges[e], edges[f]}
            known |= set(new)
            edges[e], edges[f] = new
    return known


def measured(pairs: Pairs, degree: np.ndarray) -> tuple[float, float]:
    """Transitivity, and the correlation of degrees across contacts."""
    i, j = np.array(sorted(pairs)).T
    knows = np.zeros((len(degree), len(degree)), np.float32)
    knows[i, j] = knows[j, i] = 1
    one, other = degree[np.r_[i, j]], degree[np.r_[j, i]]
    return float((knows @ knows * knows).sum() / (degree * (degree - 1)).sum()), float(np.corrcoef(one, other)[0, 1])


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
    chain = np.array([measured(by_hand(degree.tolist(), 200, seed), degree) for seed in range(networks)])
    print(f"\n{people} people, exponent {exponent}, {degree.sum() // 2} contacts, the largest degree {degree.max()}")
    print(f"{'attempts':>9} {'transitivity':>13} {'z':>7} {'degree correlation':>20} {'z':>7}")
    for swaps in (1, 2, 3, 5, 10, 30):
        made = (configuration(torch.tensor(degree), swaps=swaps, seed=seed) for seed in range(4 * networks))
        found = np.array([measured(pairs_of(contacts), degree) for contacts in made])
        error = np.sqrt(found.var(0) / len(found) + chain.var(0) / len(chain))
        (one, two), (z, w) = found.mean(0), (found.mean(0) - chain.mean(0)) / error
        print(f"{swaps:>9} {one:>13.5f} {z:>7.1f} {two:>20.5f} {w:>7.1f}")
    one, two = chain.mean(0)
    print(f"{'by hand':>9} {one:>13.5f} {'':>7} {two:>20.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=100, help="samples for each small network (default 100)")
    parser.add_argument("--networks", type=int, default=40, help="chains by hand (default 40), and four of ours each")
    arguments = parser.parse_args()
    small(arguments.each)
    heavy(600, 2.1, arguments.networks)
    heavy(600, 2.5, arguments.networks)


if __name__ == "__main__":
    main()
