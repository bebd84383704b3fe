"""Networks by name have the degrees, clustering and tails that their textbooks give them."""

import math
from collections import Counter
from itertools import combinations

import networkx as nx
import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from ethogram.simulator.networks import (
    configuration,
    erdos_renyi,
    generator_kernels,
    scale_free,
    small_world,
    within_groups,
)

N = 20_000


def same(a, b):
    return torch.equal(a.start, b.start) and torch.equal(a.target, b.target)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: erdos_renyi(500, 8, seed=seed),
        lambda seed: small_world(500, 8, 0.1, seed=seed),
        lambda seed: scale_free(500, 4, seed=seed),
        lambda seed: configuration(torch.full((500,), 8), seed=seed),
        lambda seed: within_groups(torch.arange(500) % 20, 8, seed=seed),
    ],
)
def test_a_seed_gives_one_network_and_another_seed_another(make):
    assert same(make(3), make(3))
    assert not same(make(3), make(4))
    assert make(3).symmetric


def test_erdos_renyi_has_binomial_degrees():
    """20,000 people, mean degree 8: mean and variance of the degrees, and triangles; 4.5 sigma each."""
    contacts = erdos_renyi(N, 8, seed=1)
    p = 8 / (N - 1)
    pairs = N * (N - 1) / 2
    assert contacts.num_contacts / 2 == pytest.approx(pairs * p, abs=4.5 * math.sqrt(pairs * p))
    degree = contacts.degree.double()
    assert degree.var().item() == pytest.approx(8 * (1 - p), abs=4.5 * 8 * math.sqrt(2 / N))
    triangles = sum(nx.triangles(contacts.to_networkx()).values()) / 3
    expected = 8**3 / 6
    assert triangles == pytest.approx(expected, abs=4.5 * math.sqrt(expected))


def test_each_pair_of_a_small_random_network_is_equally_likely():
    """4,000 networks of 5 people: each of the 10 pairs in half of them; 4.5 sigma."""
    counts = torch.zeros(5, 5)
    for seed in range(4000):
        contacts = erdos_renyi(5, 2, seed=seed)
        counts[contacts.source, contacts.target.long()] += 1
    pairs = counts[torch.triu_indices(5, 5, 1).unbind()]
    assert (pairs - 2000).abs().max() < 4.5 * math.sqrt(4000 / 4)


def test_groups_meet_inside_only_and_all_of_them_without_a_degree():
    group = torch.tensor([0, 1, 0, -1, 1, 0, 7])
    contacts = within_groups(group)
    pairs = set(zip(contacts.source.tolist(), contacts.target.tolist(), strict=True))
    assert pairs == {(i, j) for i in range(7) for j in range(7) if i != j and group[i] == group[j] >= 0}
    census = torch.tensor([10**12, 7, 10**12, -1, 7, 10**12, 2**62])  # codes are names, not numbers
    assert same(within_groups(census), contacts)
    large = within_groups(torch.arange(9000) % 30, 12, seed=1)
    assert (large.source % 30 == large.target % 30).all()
    assert large.degree.double().mean().item() == pytest.approx(12, abs=4.5 * math.sqrt(2 * 12 / 9000))


def test_a_small_world_goes_from_ring_to_random():
    ring = small_world(1000, 6, 0.0)
    graph = nx.watts_strogatz_graph(1000, 6, 0)
    assert nx.utils.edges_equal(ring.to_networkx().edges, graph.edges)
    moved = small_world(N, 6, 0.2, seed=1)
    assert moved.num_contacts == 6 * N
    clustering = nx.average_clustering(moved.to_networkx())
    assert clustering == pytest.approx(0.6 * 0.8**3, abs=0.01)  # C(0) (1 - p)^3, Barrat & Weigt, EPJ B 2000
    source, target = moved.source, moved.target.long()
    near = ((source - target).abs() <= 3) | ((source - target).abs() >= N - 3)
    assert (~near).double().mean().item() == pytest.approx(0.2, abs=4.5 * math.sqrt(0.16 / (3 * N)))


def test_a_fully_rewired_dense_ring_stays_simple():
    contacts = small_world(40, 30, 1.0, seed=2)
    assert contacts.num_contacts == 40 * 30  # the constructor refuses repeats and loops


def test_scale_free_degrees_follow_the_closed_form():
    """P(k) = 2 m (m + 1) / (k (k + 1) (k + 2)) (Dorogovtsev, Mendes & Samukhin, PRL 2000), within 4.5 sigma."""
    links, n = 4, 50_000
    degree = scale_free(n, links, seed=1).degree
    assert int(degree.min()) == links
    for k in range(links, 12):
        p = 2 * links * (links + 1) / (k * (k + 1) * (k + 2))
        share = (degree == k).double().mean().item()
        assert share == pytest.approx(p, abs=4.5 * math.sqrt(p / n) + 1e-4)
    tail = (degree >= 40).double().mean().item()
    assert tail == pytest.approx(links * (links + 1) / (40 * 41), rel=0.2)


def test_configuration_keeps_every_degree_and_mixes_at_random():
    degree = scale_free(5000, 3, seed=1).degree
    contacts = configuration(degree, seed=2)
    assert torch.equal(contacts.degree, degree)
    graph = configuration(torch.tensor([1, 5] * 5000), seed=3).to_networkx()
    assert abs(nx.degree_assortativity_coefficient(graph)) < 4.5 / math.sqrt(graph.number_of_edges())


SMALL = [
    [2, 2, 1, 1, 2],
    [4] * 5,
    [5, 5, 3, 3, 2, 2, 2],
    [2] * 6,
    [4, 3, 3, 2, 2, 2],
    [4, 4, 3, 3, 3, 3],
    [3, 2, 2, 1, 0],
]


@pytest.mark.parametrize("degree", SMALL, ids=str)
def test_every_simple_network_of_given_degrees_comes_up_equally_often(degree):
    """All of them by brute force, 40 samples for each; chi-square of a fixed seed, alpha 10^-5 a case."""
    networks = simple_networks(degree)
    samples = 40 * len(networks)
    found = Counter(edges_of(configuration(torch.tensor(degree), seed=seed)) for seed in range(samples))
    assert set(found) == networks
    chi_square = sum((count - 40) ** 2 / 40 for count in found.values())
    assert chi_square <= chi2.isf(1e-5, max(len(networks) - 1, 1))


def simple_networks(degree):
    """Every set of pairs in which person i stands degree[i] times."""
    pairs = list(combinations(range(len(degree)), 2))
    every = combinations(pairs, sum(degree) // 2)
    return {edges for edges in every if np.bincount(np.ravel(edges), minlength=len(degree)).tolist() == degree}


def edges_of(contacts):
    ends = zip(contacts.source.tolist(), contacts.target.tolist(), strict=True)
    return tuple(sorted((i, j) for i, j in ends if i < j))


def test_a_heavy_tail_has_the_transitivity_of_a_long_chain():
    """40 networks of ten attempts a contact beside 40 of 200: alpha 10^-5 for the fixed seeds.

    Stubs matched at random, with loops and repeats swapped away, are 12 standard errors off.
    """
    uniform = np.random.default_rng(1).random(1000)
    degree = torch.tensor(np.minimum(2 * (1 - uniform) ** (-1 / 1.2), 300).astype(np.int64))
    degree[0] += degree.sum() % 2
    found = [
        np.array([transitivity(configuration(degree, swaps=swaps, seed=seed)) for seed in seeds])
        for swaps, seeds in ((10, range(40)), (200, range(40, 80)))
    ]
    error = math.sqrt(sum(values.var() / 40 for values in found))
    assert abs(found[0].mean() - found[1].mean()) < 4.5 * error
    assert error < 0.01 * found[1].mean()


def transitivity(contacts):
    """The share of paths of two contacts whose ends know each other."""
    knows = torch.zeros(contacts.num_people, contacts.num_people)
    knows[contacts.source, contacts.target.long()] = 1
    return float((knows @ knows * knows).sum() / (contacts.degree * (contacts.degree - 1)).sum())


@settings(deadline=None, max_examples=200)
@given(degree=st.lists(st.integers(0, 8), min_size=1, max_size=9))
def test_degrees_are_refused_just_where_no_simple_network_has_them(degree):
    if nx.is_graphical(degree):
        assert configuration(torch.tensor(degree)).degree.tolist() == degree
    else:
        with pytest.raises(ValueError, match=r"even sum|no simple network: the largest \d+ sum to"):
            configuration(torch.tensor(degree))


@pytest.mark.parametrize("seed", range(12))
def test_who_knows_everybody_is_not_rewired_for_ever(seed):
    assert small_world(10, 8, 0.5, seed=seed).num_contacts == 80
    assert small_world(1202, 1200, 0.002, seed=seed).num_contacts == 1202 * 1200  # chosen after refusals, too


def test_the_last_who_is_not_known_is_found():
    """A newcomer who knows nearly all is refused more often than a choice may be."""
    contacts = scale_free(1300, 1297)
    assert contacts.num_contacts == 1297 * 1298 + 2 * 2 * 1297
    assert contacts.degree.min() == 1297


@pytest.mark.parametrize(
    ("kernel", "make"),
    [
        ("preferential", lambda seed: scale_free(6, 2, seed=seed)),
        ("rewire", lambda seed: small_world(7, 4, 1, seed=seed)),
    ],
)
def test_what_a_choice_falls_back_on_has_the_same_distribution(kernel, make, monkeypatch):
    """Without patience every choice is made among those allowed: each pair as often as before, 4.5 sigma."""

    function = getattr(generator_kernels, kernel).py_func
    monkeypatch.setitem(function.__globals__, "PATIENCE", 0)
    monkeypatch.setattr(generator_kernels, kernel, numba.njit(function))
    few, seeds = pairs_of(make, range(500)), range(500, 4500)
    monkeypatch.undo()
    many = pairs_of(make, seeds)
    error = (few.var(0) / 500 + many.var(0) / 4000).sqrt()
    assert ((few.mean(0) - many.mean(0)).abs() <= 4.5 * error + 1e-9).all()


def pairs_of(make, seeds):
    """(seeds, n, n) who knows whom."""
    return torch.stack([torch.from_numpy(nx.to_numpy_array(make(seed).to_networkx())) for seed in seeds])


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="even"):
        configuration(torch.tensor([1, 1, 1]))
    with pytest.raises(ValueError, match="the largest 2 sum to 6, and can have 4 ends"):
        configuration(torch.tensor([3, 3, 1, 1]))
    with pytest.raises(ValueError, match="pass a lower mean_degree"):
        within_groups(torch.zeros(10**6, dtype=torch.int64))
    with pytest.raises(ValueError, match="even number"):
        small_world(10, 3, 0.1)
    with pytest.raises(ValueError, match=r"rewired is 1\.5: expected a number, 0 to 1"):
        small_world(10, 4, 1.5)
    with pytest.raises(ValueError, match="links"):
        scale_free(5, 5)
    with pytest.raises(ValueError, match="num_people is 1: expected an int from 2"):
        erdos_renyi(1, 0.5)
    with pytest.raises(ValueError, match="-1 for none"):
        within_groups(torch.tensor([-2, 0]))
    with pytest.raises(ValueError, match="0 or more"):
        erdos_renyi(10, math.nan)
