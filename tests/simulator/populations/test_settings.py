"""Parameters of population worlds: what is let in, what is refused, and with whom a world begins."""

import itertools
import math

import by_hand
import networkx
import numpy as np
import pytest
import torch

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR, Epidemic
from ethogram.simulator import Draws, Sites, check_number, rollout
from ethogram.simulator.networks import Contacts, RandomMeetings
from ethogram.simulator.populations import Everybody, checked_initial

N = by_hand.N
WORLDS = {
    "SEIR": lambda **changes: SEIR(by_hand.ring(), **changes),
    "Adoption": lambda **changes: Adoption(by_hand.ring(), **changes),
    "Epidemic": by_hand.city,
}


@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
def test_an_int_is_a_number_of_people_and_a_float_a_probability(make):
    def first(initial, seed=0):
        found = {}
        site = Sites(record=lambda name, step, value: found.update({name: value}))
        make(initial=initial).reset(Draws(seed, torch.arange(N), scope="world"), site)
        return found["initial"]

    for seed in range(5):
        found = [first(count, seed) for count in (0, 1, np.int64(7), N)]
        assert [int(who.sum()) for who in found] == [0, 1, 7, N]
        assert all((few <= many).all() for few, many in itertools.pairwise(found))
    assert first(1.0).all()
    assert not torch.equal(first(7, 0), first(7, 1))
    mask = torch.arange(N) < 4
    assert torch.equal(first(mask), mask)
    assert torch.equal(first(mask.double().tolist()), mask)


def test_each_person_is_as_likely_to_be_among_the_first():
    """4,000 seeds of 5 among 61; the chi-squared statistic passes 110 by chance once in 10,000."""
    times = torch.zeros(N)
    for seed in range(4000):
        world = SEIR(by_hand.ring(), initial=5)
        times += world.reset(Draws(seed, torch.arange(N), scope="world"), Sites())[1] == 2
    expected = 4000 * 5 / N
    assert ((times - expected) ** 2 / expected).sum() < 110


@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
def test_each_population_of_a_batch_begins_with_so_many_as_alone(make):
    world = Everybody(make(initial=5), N)
    action = torch.zeros(N, 2, dtype=torch.int8) if isinstance(world.world, Epidemic) else torch.zeros(N).long()
    policy = Fixed(action.float() if isinstance(world.world, Adoption) else action)
    batch = rollout(world, policy, rows=3, horizon=4)
    for row in range(3):
        alone = rollout(world, policy, rows=torch.tensor([row]), horizon=4)
        assert torch.equal(alone.reward[0], batch.reward[row])


@pytest.mark.parametrize("initial", [-1, N + 1, 1.5, math.nan, True, "many", [0.5, 0.5]])
@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
def test_what_nobody_can_begin_with_is_refused(make, initial):
    with pytest.raises((ValueError, TypeError), match=r"initial is .*: expected a probability, one for each of 61"):
        make(initial=initial)


def test_arrays_lists_and_graphs_are_let_in_where_tensors_and_contacts_are():
    graph = networkx.watts_strogatz_graph(30, 4, 0.1, seed=1)
    age, area = np.arange(30, dtype=np.int32), [0, 1] * 15
    world = Epidemic(graph, age, area, initial=3)
    by_name = Epidemic({"community": Contacts.from_networkx(graph)}, torch.arange(30), torch.tensor(area), initial=3)
    runs = [rollout(one, Fixed([0, 1]), rows=30, horizon=9, record=["infected"]) for one in (world, by_name)]
    assert runs[0].equals(runs[1])
    assert Epidemic(RandomMeetings(30, 3), age, area).num_people == 30
    assert rollout(SEIR(graph), Fixed(0), rows=30, horizon=2).equals(
        rollout(SEIR(Contacts.from_networkx(graph)), Fixed(0), rows=30, horizon=2)
    )
    networkx.set_edge_attributes(graph, 0.5, "weight")
    assert SEIR(graph).contacts.strength.sum() == graph.number_of_edges()
    assert rollout(Adoption(graph, [-3.0] * 30, churn=np.full(30, 0.1)), Fixed(0.0), rows=30, horizon=2)


@pytest.mark.parametrize("make", [SEIR, Adoption, lambda contacts: Epidemic(contacts, [3], [0])])
@pytest.mark.parametrize("contacts", [[1, 2], 5, "ring", None])
def test_what_is_no_network_is_refused(make, contacts):
    with pytest.raises(TypeError, match=r"is a .*: expected contacts, such as"):
        make(contacts)


def test_a_number_says_what_it_must_be():
    for value in ("1", None, True, [1.0], torch.ones(2)):
        with pytest.raises(TypeError, match=r"rate is .*: expected a number, 0 to 1"):
            check_number("rate", value, 0, 1)
    for value in (-0.1, 1.1, math.nan, math.inf, np.float32(2), torch.tensor(-1.0)):
        with pytest.raises(ValueError, match=r"rate is .*: expected a number, 0 to 1"):
            check_number("rate", value, 0, 1)
    with pytest.raises(TypeError, match=r"days is 2.5: expected an int, 1 or more"):
        check_number("days", 2.5, 1, whole=True)
    for value in (0, 1, 0.5, np.float32(0.5), np.int64(1), torch.tensor(0.5, requires_grad=True)):
        check_number("rate", value, 0, 1)
    assert checked_initial(0.25, 9) == 0.25
    assert checked_initial(torch.tensor(0.25), 9) == 0.25
    assert checked_initial(torch.tensor(1), 9) == checked_initial(np.array(1), 9) == checked_initial(1, 9)  # one person
