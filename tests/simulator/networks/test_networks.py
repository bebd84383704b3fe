"""Contact networks: compressed rows against networkx, sums against a plain loop, exactness, and clear errors."""

import copy
import pickle

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.simulator import Draws
from ethogram.simulator.networks import (
    Contacts,
    ContactSum,
    MeanField,
    RandomMeetings,
    node_columns,
    sum_over_contacts,
)


def random_contacts(n, edges, seed, *, weighted=False, directed=False):
    rng = np.random.default_rng(seed)
    pairs = {tuple(rng.choice(n, 2, replace=False)) for _ in range(edges)}
    if not directed:
        pairs = {(min(p), max(p)) for p in pairs}
    source, target = torch.tensor(sorted(pairs)).T
    weight = torch.tensor(rng.random(len(pairs)), dtype=torch.float32) if weighted else None
    return Contacts.from_edges(source, target, n, weight=weight, directed=directed)


def by_loop(contacts, sent, resolution=2.0**-32):
    """One contact after the other, in Python's own floats."""
    total = [0.0] * contacts.num_people
    weight = [1.0] * contacts.num_contacts if contacts.weight is None else contacts.weight.tolist()
    for s, t, w in zip(contacts.source.tolist(), contacts.target.tolist(), weight, strict=True):
        grid = round(float(sent[s]) / resolution) * resolution
        total[t] += round(grid * w / resolution) * resolution
    return torch.tensor(total, dtype=torch.float64)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 25),
    active=st.floats(0, 1),
    weighted=st.booleans(),
    directed=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bool, torch.int64]),
)
def test_sums_equal_a_plain_loop_to_the_bit(seed, n, active, weighted, directed, dtype):
    contacts = random_contacts(n, 3 * n, seed, weighted=weighted, directed=directed)
    rng = np.random.default_rng(seed + 1)
    sent = torch.tensor(np.where(rng.random(n) < active, rng.normal(0, 3, n), 0)).to(dtype)
    expected = by_loop(contacts, sent)
    assert torch.equal(sum_over_contacts(contacts, sent), expected)
    before = torch.tensor(np.where(rng.random(n) < active, rng.normal(0, 3, n), 0)).to(dtype)
    assert torch.equal(ContactSum.of(contacts, before).next(contacts, sent).total, expected)


@pytest.mark.parametrize("one_for_all", [torch.tensor(True), torch.tensor(0.5)])
def test_a_message_that_is_one_number_for_all_is_a_message(one_for_all):
    contacts = random_contacts(50, 200, 0)
    everybody, nobody = one_for_all.expand(50), torch.zeros_like(one_for_all).expand(50)
    expected = sum_over_contacts(contacts, torch.full((50,), float(one_for_all)))
    assert torch.equal(ContactSum.of(contacts, nobody).next(contacts, everybody).total.double(), expected)
    assert torch.equal(sum_over_contacts(contacts, everybody), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_torch_form_gives_the_same_bits_and_the_transposed_gradient(weighted):
    contacts = random_contacts(40, 200, 0, weighted=weighted, directed=True)
    sent = torch.rand(40, generator=torch.Generator().manual_seed(0))
    weight = torch.ones(contacts.num_contacts) if contacts.weight is None else contacts.weight
    matrix = torch.zeros(40, 40, dtype=torch.float64)
    matrix[contacts.target.long(), contacts.source] = weight.double()
    with_gradient = sent.clone().requires_grad_()
    total = sum_over_contacts(contacts, with_gradient)
    assert torch.equal(total, sum_over_contacts(contacts, sent))
    assert torch.allclose(total.detach(), matrix @ sent.double(), atol=1e-8)
    (total * torch.arange(40)).sum().backward()
    assert torch.allclose(with_gradient.grad.double(), torch.arange(40.0, dtype=torch.float64) @ matrix, atol=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_message_of_ones_own_is_called_for_each_contact(weighted):
    contacts = random_contacts(30, 150, 1, weighted=weighted, directed=True)
    rng = torch.Generator().manual_seed(1)
    infectivity, age, susceptibility = (torch.rand(30, generator=rng) for _ in range(3))

    def message(infectivity, age, susceptibility, weight=1.0):
        return infectivity * weight / (1 + (age - susceptibility) ** 2)

    found = sum_over_contacts(contacts, (infectivity, age), message, susceptibility)
    expected = torch.zeros(30, dtype=torch.float64)
    weights = [1.0] * contacts.num_contacts if contacts.weight is None else contacts.weight
    for s, t, w in zip(contacts.source, contacts.target.long(), weights, strict=True):
        expected[t] += float(message(infectivity[s].double(), age[s].double(), susceptibility[t].double(), w))
    assert torch.allclose(found, expected, atol=1e-6)
    infectivity.requires_grad_()  # now the torch form runs
    again = sum_over_contacts(contacts, (infectivity, age), message, susceptibility)
    assert torch.allclose(again.detach(), found, atol=1e-6)
    again.sum().backward()
    assert infectivity.grad.abs().sum() > 0


def test_sums_do_not_depend_on_the_order_of_people():
    contacts = random_contacts(60, 600, 2, weighted=True)
    sent = torch.rand(60, generator=torch.Generator().manual_seed(2))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    place = order.argsort()
    once = contacts.source < contacts.target
    shuffled = Contacts.from_edges(
        place[contacts.source[once]], place[contacts.target.long()[once]], 60, weight=contacts.weight[once]
    )
    assert torch.equal(sum_over_contacts(shuffled, sent[order]), sum_over_contacts(contacts, sent)[order])


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph])
def test_networkx_graphs_go_there_and_back(kind):
    graph = kind(nx.gnp_random_graph(30, 0.2, seed=0, directed=kind is nx.DiGraph))
    for i, edge in enumerate(graph.edges):
        graph.edges[edge]["strength"] = float(i % 7 + 1)
    contacts = Contacts.from_networkx(graph, weight="strength")
    again = contacts.to_networkx(age=torch.arange(30))
    assert list(again) == list(graph)
    assert sorted((u, v, d["weight"]) for u, v, d in again.edges(data=True)) == sorted(
        (u, v, d["strength"]) for u, v, d in graph.edges(data=True)
    )
    assert nx.get_node_attributes(again, "age") == dict(enumerate(range(30)))
    degree = dict(graph.out_degree if kind is nx.DiGraph else graph.degree)
    assert contacts.degree.tolist() == list(degree.values())


def test_the_reverse_turns_every_contact_round():
    contacts = random_contacts(50, 300, 4, weighted=True, directed=True)
    back = contacts.reverse
    forth = zip(contacts.source.tolist(), contacts.target.tolist(), contacts.weight.tolist(), strict=True)
    turned = zip(back.target.tolist(), back.source.tolist(), back.weight.tolist(), strict=True)
    assert sorted(forth) == sorted(turned)


def test_among_keeps_contacts_within_a_group():
    contacts = random_contacts(50, 300, 5)
    who = torch.arange(50) % 3 == 0
    inside = contacts.among(who)
    assert inside.symmetric
    assert inside.num_contacts == int((who[contacts.source] & who[contacts.target.long()]).sum()) > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Contacts.from_edges([0, 1], [1, 5], 3), "target of edge 1 is 5: expected people from 0 to 2"),
        (lambda: Contacts.from_edges([0, -1], [1, 0], 3), "source of edge 1 is -1"),
        (lambda: Contacts.from_edges([0, 2], [1, 2], 3), "edge 1 is a self-loop of person 2"),
        (lambda: Contacts.from_edges([0, 1], [1, 0], 3), "between 0 and 1 is there more than once"),
        (lambda: Contacts.from_edges([0.5], [1], 3), "expected ints"),
        (lambda: Contacts.from_edges([0], [1], 3, weight=[-1.0]), "weight -1"),
        (lambda: Contacts.from_edges([0], [1], 3, weight=[float("nan")]), "weight nan"),
        (lambda: Contacts.from_edges([0], [1], 3, weight=[1.0, 2.0]), "2 weights for 1 edges"),
        (lambda: Contacts(torch.tensor([0, 1, 1]), torch.ones(1, dtype=torch.int32), symmetric=True), "one way only"),
        (lambda: Contacts(torch.tensor([0, 2, 1]), torch.ones(1, dtype=torch.int32)), "ascending tensor"),
        (lambda: Contacts.from_networkx(nx.path_graph(3), weight="w"), "edge 0 - 1 has no 'w'"),
    ],
)
def test_bad_networks_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_repeats_add_up_or_merge_on_request():
    added = Contacts.from_edges([0, 1, 1], [1, 0, 2], 3, repeats="add")
    assert added.weight.tolist() == [2, 2, 1, 1]
    merged = Contacts.from_edges([0, 1, 1], [1, 0, 2], 3, repeats="merge")
    assert merged.weight is None
    assert merged.target.tolist() == [1, 0, 2, 1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
def test_messages_that_cannot_be_summed_exactly_are_refused(value):
    contacts = random_contacts(10, 20, 6)
    sent = torch.zeros(10)
    sent[3] = value
    with pytest.raises(ValueError, match="largest message"):
        sum_over_contacts(contacts, sent)
    if value == 1e9:
        assert sum_over_contacts(contacts, sent, resolution=1.0).max() == 1e9
        value = 1e15
    sent[3] = value
    with pytest.raises(ValueError, match="not finite, or one is 524288 or more, or those"):
        sum_over_contacts(contacts, sent, lambda x, y: x + y, torch.zeros(10))


def test_node_attributes_come_and_go_with_a_graph():
    graph = nx.path_graph(["c", "a", "b"])
    for node, age, ill, dose in (("c", 30, True, 1), ("a", 5, False, 0.5), ("b", 61, False, 2.0)):
        graph.nodes[node].update(age=age, ill=ill, dose=dose)
    columns = node_columns(graph)
    assert columns["age"].tolist() == [30, 5, 61]  # in the graph's own order
    assert [column.dtype for column in columns.values()] == [torch.int64, torch.bool, torch.float32]
    again = node_columns(Contacts.from_networkx(graph).to_networkx(**columns))
    assert all(torch.equal(again[name], columns[name]) for name in columns)
    assert list(node_columns(graph, "dose")) == ["dose"]
    graph.nodes["a"]["home"] = "Astoria"
    with pytest.raises(ValueError, match="node 'c' has no 'home'"):
        node_columns(graph, "home")
    for node in graph:
        graph.nodes[node]["home"] = "Astoria"
    with pytest.raises(ValueError, match=r"\['str'\]: expected bools or numbers"):
        node_columns(graph, "home")


# ---- the door of the compiled code


class Short:
    """A network by hand that gives too few sums."""

    num_people, strength, most = 5, torch.ones(5, dtype=torch.float64), 1.0

    def __init__(self, sums):
        self.sums = sums

    def at(self, draws):
        return self

    def reached(self, sent, resolution=2.0**-32):
        return self.sums


@pytest.mark.parametrize(
    "sums", [torch.zeros(4, dtype=torch.float64), torch.zeros(5), torch.zeros(5, 1), [0.0] * 5, None]
)
@pytest.mark.parametrize("add", [sum_over_contacts, ContactSum.of])
@pytest.mark.parametrize("gradient", [False, True])
def test_a_network_by_hand_must_give_a_sum_a_person(sums, add, gradient):
    with pytest.raises(ValueError, match=r"reached\(\) of Short is .*: expected float64 \(5,\), a sum a person"):
        add(Short(sums), torch.rand(5, requires_grad=gradient))


@pytest.mark.parametrize("length", [0, 1, 49, 51, 10_000])
@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.int64])
def test_messages_of_other_lengths_are_refused_at_every_door(length, dtype):
    contacts, wrong, right = random_contacts(50, 200, 0), torch.ones(length).to(dtype), torch.ones(50).to(dtype)
    met = RandomMeetings(50, 3).at(Draws(0, torch.arange(50)))
    everybody = MeanField.well_mixed(50, 2.0)
    doors = [
        lambda: sum_over_contacts(contacts, wrong),
        lambda: ContactSum.of(contacts, wrong),
        lambda: ContactSum.of(contacts, right).next(contacts, wrong),
        lambda: sum_over_contacts(contacts, right, lambda s, r: s * r, wrong),
        lambda: sum_over_contacts(met, wrong),
        lambda: met.reached(wrong),
        lambda: everybody.reached(wrong),
    ]
    for door in doors:
        with pytest.raises(ValueError, match=r"expected a tensor \(50,\)|expected \(50,\), one value a person"):
            door()
    few = ContactSum(wrong, torch.zeros(length, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"begin anew with ContactSum.of"):
        few.next(contacts, right)


@pytest.mark.parametrize("first", [torch.bool, torch.float32, torch.float64, torch.int64])
@pytest.mark.parametrize("then", [torch.bool, torch.float32, torch.float64, torch.int64])
def test_a_sum_goes_on_with_messages_of_another_type(first, then):
    contacts, rng = random_contacts(50, 200, 0), torch.Generator().manual_seed(0)
    before, after = torch.rand(50, generator=rng) < 0.5, torch.rand(50, generator=rng) < 0.5
    total = ContactSum.of(contacts, before.to(first)).next(contacts, after.to(then)).total
    assert torch.equal(total.double(), sum_over_contacts(contacts, after))


@pytest.mark.parametrize("name", ["start", "target", "weight"])
def test_contacts_that_were_written_to_are_refused(name):
    contacts = random_contacts(50, 200, 0, weighted=True)
    copies = [pickle.loads(pickle.dumps(contacts)), copy.deepcopy(contacts)]
    getattr(contacts, name)[1] = 3
    with pytest.raises(ValueError, match="was written to after these Contacts were made"):
        sum_over_contacts(contacts, torch.ones(50))
    for other in copies:
        sum_over_contacts(other, torch.ones(50))
    with torch.inference_mode():
        sum_over_contacts(random_contacts(50, 200, 0), torch.ones(50))


@pytest.mark.parametrize("resolution", [0.3, 1e300, 0.0, -0.5, float("nan"), float("inf"), "1", None])
def test_a_resolution_is_a_power_of_two(resolution):
    contacts, ones = random_contacts(50, 200, 0), torch.ones(50)
    for door in (
        lambda: sum_over_contacts(contacts, ones, resolution=resolution),
        lambda: sum_over_contacts(contacts, ones, lambda s: s, resolution=resolution),
        lambda: ContactSum.of(contacts, ones, resolution),
        lambda: ContactSum.of(contacts, ones).next(contacts, ones, resolution),
    ):
        with pytest.raises(ValueError, match=r"resolution is .*: expected a power of two"):
            door()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8, torch.int32])
def test_messages_of_any_real_type_are_summed(dtype):
    contacts, sent = random_contacts(50, 200, 0), torch.arange(50).to(dtype)
    assert torch.equal(sum_over_contacts(contacts, sent), sum_over_contacts(contacts, torch.arange(50)))


def test_attributes_of_nodes_that_are_no_numbers_are_refused():
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, {0: 1.0, 1: float("nan"), 2: 2.0}, "age")
    with pytest.raises(ValueError, match="'age' of node 1 is nan: expected a finite number"):
        node_columns(graph)
    assert node_columns(nx.Graph()) == {}
