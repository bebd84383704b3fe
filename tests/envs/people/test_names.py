"""People's ids go with them, and networks are joined to them by id, in whatever order both stand."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch

from ethogram.agents import Heuristic
from ethogram.envs.epidemics import Disease, Epidemic
from ethogram.envs.people import Population, city_layers, from_archetypes, from_table, join_layers
from ethogram.simulator import rollout
from ethogram.simulator.networks import Contacts, MeanField, Timetable, small_world

GRAPH = nx.relabel_nodes(nx.les_miserables_graph(), str.lower)
SURVEY = pd.DataFrame({"who": sorted(GRAPH), "age": [len(name) for name in sorted(GRAPH)], "area": 0})


def shuffled(frame, seed=0):
    return frame.sample(frac=1, random_state=seed)


def test_a_shuffled_survey_puts_every_age_on_its_own_node():
    people = from_table(shuffled(SURVEY), id="who")
    for contacts in (
        join_layers(people, {"friends": Contacts.from_networkx(GRAPH)})["friends"],
        Contacts.from_edges(*zip(*GRAPH.edges, strict=True), names=people.names),
    ):
        ages = contacts.to_networkx(age=people["age"]).nodes(data="age")
        assert dict(ages) == {name: len(name) for name in GRAPH}


def test_an_epidemic_stays_among_those_whom_the_first_can_reach():
    graph = nx.union(GRAPH, nx.path_graph(["x1", "x2", "x3"]))
    survey = pd.DataFrame({"age": 30, "area": 0}, index=pd.Index(list(graph), name="who"))
    people = from_table(shuffled(survey))
    layers = join_layers(people, {"community": Contacts.from_networkx(graph)})
    initial = torch.zeros(len(people)).index_fill(0, people.rows(["x2"]), 1.0)
    world = Epidemic(layers, people["age"], people["area"], Disease(reproduction=50), initial=initial)
    history = rollout(world, Heuristic(), rows=len(people), horizon=60, seed=1, record=["infected"])
    hit = people.names[history.sites["infected"].any(1).numpy()]
    assert set(hit) <= {"x1", "x3"}
    assert len(hit)


def test_names_go_with_the_people(tmp_path):
    people = from_table(shuffled(SURVEY), id="who")
    assert list(people.columns) == ["age", "area"]
    assert people.to_pandas().loc["valjean"].age == 7
    kept = people.take(people["age"] > 6).adding("tall", [True] * int((people["age"] > 6).sum()))
    assert kept.names[kept.rows(["valjean", "gavroche"])].tolist() == ["valjean", "gavroche"]
    assert [len(name) for name in kept.names] == kept["age"].tolist()
    kept.save(tmp_path / "people.parquet")
    assert Population.load(tmp_path / "people.parquet").names.tolist() == kept.names.tolist()
    assert from_table(kept.to_pandas()).names.tolist() == kept.names.tolist()
    assert repr(people) == f"Population(77 people: age, area; names {people.names[0]!r}, …)"
    assert f"<td>{people.names[0]}</td>" in people._repr_html_()


def test_what_is_no_id_is_no_name():
    frame = SURVEY.drop(columns="who")
    assert from_table(frame).names is None
    assert from_table(pd.concat([frame, frame])).names is None  # numbers of rows that repeat
    assert from_table(frame[frame.age > 8]).names.tolist() == frame.index[frame.age > 8].tolist()
    assert from_table(SURVEY, id="who", num_people=200).names is None
    assert from_table(SURVEY.set_index("who"), id="who").names.tolist() == SURVEY.who.tolist()
    assert from_archetypes({"a": {"age": 3}}, {"a": 1.0}, np.int64(5)).names is None


def test_a_million_people_keep_their_names_in_no_time():
    n = 10**6
    people = Population({"age": torch.arange(n) % 90}, names=[f"p{i}" for i in range(n)])
    assert people.rows(["p7", "p999999"]).tolist() == [7, n - 1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda named, plain, net: join_layers(plain, {"f": net}),
            ValueError,
            "the people have none: expected ids in both",
        ),
        (
            lambda named, plain, net: join_layers(named.take(torch.arange(70)), {"f": net}),
            LookupError,
            "not among the 70",
        ),
        (
            lambda named, plain, net: join_layers(named, {"f": small_world(10, 2, 0)}),
            ValueError,
            "layers..f.. has 10 people with",
        ),
        (
            lambda named, plain, net: Epidemic({"a": net, "b": net.along(named.names)}, named["age"], named["area"]),
            ValueError,
            r"layers\['a'\] has people 'napoleon', .* and layers\['b'\] has .*: expected the same in the same order",
        ),
        (
            lambda named, plain, net: Epidemic(net, pd.Series(named["age"].numpy(), index=named.names), named["area"]),
            ValueError,
            r"layers\['community'\] has people 'napoleon', .* and age has .*: expected the same in the same order",
        ),
        (lambda named, plain, net: Timetable([net, net.along(named.names)]), ValueError, "network 0 has people"),
        (
            lambda named, plain, net: join_layers(plain, {"f": Timetable([net])}),
            ValueError,
            "the people have none: expected ids in both",
        ),
        (lambda named, plain, net: named.rows(["nobody"]), LookupError, "'nobody', who is not among the 77 people"),
        (lambda named, plain, net: named.take([0, 0]), ValueError, "there twice"),
        (
            lambda named, plain, net: from_table(SURVEY, id="name"),
            LookupError,
            "id is 'name', of which the table has no",
        ),
        (lambda named, plain, net: from_table(pd.concat([SURVEY] * 2), id="who"), ValueError, "there twice"),
    ],
)
def test_different_ids_are_not_combined(call, error, message):
    named, plain = from_table(shuffled(SURVEY), id="who"), from_table(SURVEY.drop(columns="who"))
    with pytest.raises(error, match=message):
        call(named, plain, Contacts.from_networkx(GRAPH))


def test_the_networks_of_a_timetable_are_joined_by_name():
    people, net = from_table(shuffled(SURVEY), id="who"), Contacts.from_networkx(GRAPH)
    week = join_layers(people, {"week": Timetable([net, MeanField.well_mixed(77, 3.0)])})["week"]
    assert torch.equal(week.networks[0].target, net.along(people.names).target)
    assert week.networks[0].names.tolist() == people.names.tolist()


def test_columns_of_pandas_are_taken_without_a_warning(recwarn):
    Epidemic(small_world(77, 4, 0.1), SURVEY["age"], SURVEY["area"], initial=SURVEY["area"])
    assert not recwarn.list


def test_networks_without_names_stay_where_they_are():
    people = from_table(SURVEY, id="who")
    layers = {"ring": small_world(77, 4, 0.1), "all": MeanField.well_mixed(77, 3.0), **city_layers(people)}
    assert join_layers(people, layers) == layers


def test_tables_come_as_files_and_dicts(tmp_path):
    SURVEY.to_csv(tmp_path / "survey.csv", index=False)
    SURVEY.to_csv(tmp_path / "survey.tsv", index=False, sep="\t")
    columns = {"who": SURVEY.who.tolist(), "age": torch.tensor(SURVEY.age.to_numpy()), "area": np.zeros(77, np.int64)}
    for table in (tmp_path / "survey.csv", str(tmp_path / "survey.tsv"), columns):
        people = from_table(table, id="who")
        assert people.to_pandas().equals(from_table(SURVEY, id="who").to_pandas())
    with pytest.raises(TypeError, match="table is a list: expected a DataFrame, a dict of columns, or a path"):
        from_table([1, 2])
