"""Networks by name have the degrees, clustering and tails that their textbooks give them."""

import math

import networkx as nx
import pytest
import torch

from ethogram.simulator.networks import configuration, erdos_renyi, scale_free, small_world, within_groups

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


def test_every_simple_network_of_given_degrees_comes_up():
    """Degrees (2, 2, 1, 1, 2) have a handful of networks; brute force finds them all, and so does sampling."""
    degree = torch.tensor([2, 2, 1, 1, 2])
    pairs = [(i, j) for i in range(5) for j in range(i)]
    possible = set()
    for mask in range(1 << len(pairs)):
        chosen = [pair for b, pair in enumerate(pairs) if mask >> b & 1]
        if [sum(i in pair for pair in chosen) for i in range(5)] == degree.tolist():
            possible.add(frozenset(chosen))
    found = {}
    for seed in range(2000):
        edges = configuration(degree, seed=seed).to_networkx().edges
        key = frozenset((max(e), min(e)) for e in edges)
        found[key] = found.get(key, 0) + 1
    assert set(found) == possible
    assert max(found.values()) < 3 * min(found.values())  # nearly uniform; swaps are frequent in so small a case


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="even"):
        configuration(torch.tensor([1, 1, 1]))
    with pytest.raises(ValueError, match="could not be placed"):
        configuration(torch.tensor([3, 3, 1, 1]))
    with pytest.raises(ValueError, match="even number"):
        small_world(10, 3, 0.1)
    with pytest.raises(ValueError, match="probability"):
        small_world(10, 4, 1.5)
    with pytest.raises(ValueError, match="links"):
        scale_free(5, 5)
    with pytest.raises(ValueError, match="2 or more"):
        erdos_renyi(1, 0.5)
    with pytest.raises(ValueError, match="-1 for none"):
        within_groups(torch.tensor([-2, 0]))
    with pytest.raises(ValueError, match="0 or more"):
        erdos_renyi(10, math.nan)
