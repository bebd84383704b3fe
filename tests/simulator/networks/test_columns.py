"""Columns come as users have them, and people's names go with them through networks."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch

from ethogram.simulator.networks import Contacts, as_column, configuration, within_groups

SOURCE, TARGET = ["eve", "ann", "dan"], ["bob", "eve", "eve"]


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, lambda v: pd.array(v, dtype="Int64"), torch.tensor])
def test_columns_come_in_any_kind(kind):
    values = kind([2, 0, 2, 2])
    column = as_column("x", values)
    assert column.dtype == torch.int64
    assert column.tolist() == [2, 0, 2, 2]
    assert configuration(kind([1, 1, 2, 2])).degree.tolist() == [1, 1, 2, 2]
    assert within_groups(values).degree.tolist() == [2, 0, 2, 2]
    assert Contacts.from_edges(kind([0, 1]), kind([1, 2]), 4, weight=kind([3, 4])).weight.tolist() == [3, 3, 4, 4]


def test_types_are_those_of_a_table():
    assert as_column("x", np.array([1, 2], np.uint8)).dtype == torch.int64
    assert as_column("x", [0.5, 1]).dtype == torch.float32
    assert as_column("x", [True, False]).dtype == torch.bool
    array = np.array([1, 2])
    column = as_column("x", array)
    array[0] = 7
    assert column.tolist() == [1, 2]
    for bad in (["a"], [[1]], 3, None, [1, "a"], np.array([2**64 - 1], np.uint64)):
        with pytest.raises(ValueError, match=r"^x "):
            as_column("x", bad)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pd.Index, lambda v: pd.Series(v, dtype="category")])
def test_edges_between_names_know_who_is_who(kind):
    contacts = Contacts.from_edges(kind(SOURCE), kind(TARGET))
    assert contacts.names.tolist() == ["ann", "bob", "dan", "eve"]
    assert sorted(contacts.to_networkx().edges) == [("ann", "eve"), ("bob", "eve"), ("dan", "eve")]
    ordered = Contacts.from_edges(kind(SOURCE), kind(TARGET), names=kind(["zoe", "eve", "dan", "bob", "ann"]))
    assert ordered.degree.tolist() == [0, 3, 1, 1, 1]
    numbered = Contacts.from_edges([70, 5], [10**12, 70])
    assert numbered.names.tolist() == [5, 70, 10**12]
    assert Contacts.from_edges([0, 2], [1, 1]).names is None  # 0, 1, 2 are what rows are called anyhow


@pytest.mark.parametrize("directed", [False, True])
def test_another_order_is_the_same_network(directed):
    graph = nx.gnp_random_graph(30, 0.2, seed=1, directed=directed)
    nx.set_edge_attributes(graph, {edge: 0.5 + i for i, edge in enumerate(graph.edges)}, "weight")
    graph = nx.relabel_nodes(graph, {i: f"p{i}" for i in graph})
    names = [f"p{i}" for i in np.random.default_rng(0).permutation(33)]
    contacts = Contacts.from_networkx(graph, "weight")
    assert contacts.names.tolist() == list(graph)
    for other in (contacts.along(names), Contacts.from_networkx(graph, "weight", names=names)):
        assert other.names.tolist() == names
        graph.add_nodes_from(names)
        assert nx.utils.graphs_equal(other.to_networkx(), graph)
    for kept in (contacts.reverse, contacts.among(torch.arange(30) < 9), contacts.to("cpu")):
        assert kept.names.tolist() == contacts.names.tolist()


def test_columns_of_a_graph_are_those_of_its_names():
    graph = nx.path_graph(["c", "a", "b"])
    contacts = Contacts.from_networkx(graph)
    assert contacts.to_networkx(age=[7, 8, 9]).nodes["b"] == {"age": 9}
    assert repr(contacts) == "Contacts(3 people, 4 contacts, names 'c', 'a', 'b')"
    assert "<td>&#x27;a&#x27;</td><td>2</td>" in contacts._repr_html_()
    assert "1,000 people" in repr(within_groups(torch.arange(1000) % 30))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Contacts.from_edges(SOURCE, TARGET, 4), ValueError, "leave num_people out, or pass names="),
        (lambda: Contacts.from_edges(SOURCE, TARGET, names=["ann", "bob", "eve"]), LookupError, "source names 'dan'"),
        (lambda: Contacts.from_edges([1], [2], names=["1", "2"]), LookupError, "Are both ids of one kind"),
        (lambda: Contacts.from_edges(["a"], ["a"]), ValueError, "self-loop of person 'a'"),
        (lambda: Contacts.from_edges(["a", "b"], ["b", "a"]), ValueError, "between 'a' and 'b' is there more than"),
        (
            lambda: Contacts.from_edges(["a"], ["b"], names=["a", "b", "a"]),
            ValueError,
            "'a' of row 2 is missing or there",
        ),
        (lambda: Contacts.from_edges(["a"], [None]), ValueError, "missing"),
        (lambda: Contacts.from_edges(["a"], ["b"], 3, names=["a", "b"]), ValueError, "2 names for 3 people"),
        (lambda: Contacts.from_networkx(nx.path_graph("ab"), names=["a", "c"]), LookupError, "such as 'b'"),
        (lambda: Contacts.from_networkx(nx.path_graph("ab")).along(["b", "c"]), LookupError, "'a', who is not among"),
        (lambda: Contacts.from_networkx(nx.Graph()), ValueError, "num_people is 0"),
        (lambda: Contacts.from_edges([], []), ValueError, "num_people is 0"),
    ],
)
def test_names_that_do_not_fit_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
