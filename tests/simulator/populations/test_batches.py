"""Populations that step together have the bits that each has alone, whatever is done to some of them."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import by_hand
import numpy as np
import pytest
import torch
from bits import digests
from gymnasium import spaces

from ethogram.agents.citizens import Answers, Archetypes, Heuristic, Logits, Routine
from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR, Cities, epidemic_planner_world
from ethogram.simulator import Do, Draws, Record, Sites, WorldEnv, WorldVectorEnv, rollout
from ethogram.simulator.networks import MeanField, RandomMeetings, Timetable, sum_over_contacts
from ethogram.simulator.populations import Everybody, Planner, Rate, blocks, repeated

N = by_hand.N
SOME = torch.arange(N) % 3 == 0
ROWS = torch.tensor([3, 11, 4, 8, 0])


@dataclass(frozen=True, eq=False)
class Own:
    """A network of a user's own: its contacts hang on the ids of who is there."""

    contacts: object

    @property
    def num_people(self):
        return self.contacts.num_people

    @property
    def strength(self):
        return self.contacts.strength

    def at(self, draws):
        return self.contacts.among(draws.uniform("out") < 0.8)


NETWORKS = {
    "contacts": by_hand.ring,
    "weights": by_hand.weighted,
    "one way": lambda: by_hand.weighted(directed=True),
    "meetings": lambda: RandomMeetings(N, 3),
    "mean field": lambda: MeanField(torch.arange(N) % 3, by_hand.table(3, 3, low=1, high=4)),
    "timetable": lambda: Timetable([by_hand.ring(), RandomMeetings(N, 2), by_hand.weighted()]),
    "own": lambda: Own(by_hand.weighted()),
}


def same_alone(seat, policy, **run):
    """Asserts that a batch is its populations one by one; returns the batch."""
    together = rollout(seat, policy, rows=ROWS, seed=5, **run)
    for r in range(len(ROWS)):
        alone = digests(lambda r=r: rollout(seat, policy, rows=ROWS[r : r + 1], seed=5, **run))
        assert digests(lambda r=r: together[r]) == alone
    return together


class Lucky:
    """What everybody does, by luck: numbers in [0, 1), or yes and no where the space is of whole numbers."""

    def __init__(self, space):
        self.space = space

    def act(self, observation, history, draws):
        luck = draws.uniform("act", torch.Size(self.space.shape).numel()).view(-1, *self.space.shape)
        return (
            luck
            if self.space.dtype == np.float32
            else (luck < 0.3).to(torch.from_numpy(np.zeros(1, self.space.dtype)).dtype)
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_sums_over_contacts_are_those_of_each_block(name):
    network = NETWORKS[name]()
    many, draws = repeated(network, 4, N), Draws(1, torch.arange(4 * N) * 7, 2)
    sent = (torch.arange(4 * N) % 5 == 0) * draws.uniform("sent")
    found = sum_over_contacts(many.at(draws), sent)
    assert many.num_people == 4 * N
    assert torch.equal(many.strength, network.strength.repeat(4))
    for some in torch.arange(4 * N).chunk(4):
        assert torch.equal(found[some], sum_over_contacts(network.at(draws.of(some)), sent[some]))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["Adoption", "SEIR"])
def test_everybody_lives_as_alone_over_every_network(kind, name):
    network = NETWORKS[name]()
    parameters = {"peer_effect": by_hand.table(N, low=2, high=6).float(), "initial": 0.1}
    world = Adoption(network, **parameters) if kind == "Adoption" else SEIR(network, 0.15, initial=0.1)
    seat = Everybody(world, N)
    history = same_alone(seat, Lucky(seat.action_space), horizon=12)
    assert len(history.observation[:, -1].flatten(1).unique(dim=0)) == len(ROWS)


CHANGES = [
    Do("attends_workplace", 0.5, start=3, who=SOME),
    Do("attends_school", 0.0, start=2, stop=9),
    Do("demand", lambda d: d - 0.2, start=1),
    Do("isolates", lambda i: i | (i.float().mean() < 0.3) & SOME, start=2),  # looks at all people
    Do("hazard", lambda h: h * 2, start=4),
]


@pytest.mark.parametrize("compiled", [True, False])
def test_everybody_lives_as_alone_in_cities_whatever_is_changed(compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr("ethogram.envs.epidemics.epidemic.Draws", None)  # then no draws are plain ones
    for settings in ({}, {"layer_weight": {"community": 0.7, "weighted": 1 / 3}, "initial": by_hand.table(N).float()}):
        seat = Everybody(by_hand.city(**settings), N, interventions=CHANGES)
        history = same_alone(seat, Lucky(seat.action_space), horizon=15)
        assert isinstance(seat._populations.times(seat.world, 5), Cities)
        assert history.observation["savings"][:, -1].unique().numel() > 5


RECORDS = [
    Record("isolates", reduce="mean"),
    Record("hazard", reduce="mean"),
    Record("infected", reduce="sum"),
    Record("died", reduce=Rate(1000)),
    Record("attends_school", reduce=Rate(10)),
    Record("employed", reduce="mean", by=torch.arange(N) % 4),
    Record("confirmed", reduce=lambda c: c.nonzero().sum()),
    Record("demand", reduce="mean"),
    Record("reward", reduce="sum"),
]


def pulled(action):
    """Different lists in different cities: longer and shorter, of every kind of intervention."""
    shut = Do("attends_school", 0.0), Do("attends_workplace", 0.4, who=SOME), Do("hazard", lambda h: h / h.mean())
    return [do for do, on in zip((*shut, Do("stimulus", 0.2)), action.tolist(), strict=True) if on]


class Neighbours:
    """Isolate where the next person in the list was not well: looks at others, and at who is where."""

    def act(self, observation, history, draws):
        assert len(draws.ids) == N
        isolates = observation["ill"].roll(1) != 0
        return torch.stack([isolates, torch.arange(N) % 5 > 0], 1).to(torch.int8)


CITIZENS = {
    "heuristic": lambda: Heuristic(half=2.0, period=2),
    "routine": lambda: Routine(isolate=by_hand.table(N, high=0.6), work=0.9, period=3),
    "logits": lambda: Logits(by_hand.features, {"intercept": -2.0, "ill": 3.0}, {"ill": -1.0}),
    "archetypes": lambda: Archetypes(
        Answers(by_hand.by_rule), {"age": [20, 60], "ill": None, "period": None}, period=5
    ),
    "archetypes with a budget": lambda: Archetypes(
        Answers(lambda questions: [(0.1 * len(q) + 0.5 * q.get("ill", 0), 0.9) for q in questions]),
        {"age": [20, 60], "area": None, "ill": None},
        budget=5,
    ),
    "who look at others": Neighbours,
}


def planner(citizens, **changes):
    settings = {
        "world": by_hand.city(),
        "num_people": N,
        "citizens": citizens,
        "action_space": spaces.MultiDiscrete([2, 2, 2, 2], dtype=np.int8),
        "levers": pulled,
        "observe": RECORDS,
        "reward": lambda found, action: -found["infected"].sum() - found["demand"].mean() - action.sum(),
        "period": 4,
    }
    return Planner(**settings | changes)


@pytest.mark.parametrize("name", CITIZENS)
def test_cities_of_a_planner_live_as_alone(name):
    history = same_alone(planner(CITIZENS[name](), interventions=CHANGES[2:4]), by_hand.Levers(), horizon=5)
    assert history.observation[:, -1, 1].unique().numel() > 1


def test_levers_that_are_alike_act_as_alone():
    world = epidemic_planner_world(world=by_hand.city())
    same_alone(world, by_hand.Levers(), horizon=6)
    same_alone(world, Fixed([1, 1, 1, 1]), horizon=2)


def test_batches_are_cut_where_they_would_be_large(monkeypatch):
    monkeypatch.setattr(blocks, "MOST_PEOPLE", 2 * N)
    seat = planner(Heuristic(half=2.0))
    assert [batch.size for batch in seat._populations.batches(Draws(0, ROWS))] == [2, 2, 1]
    same_alone(seat, by_hand.Levers(), horizon=3)


def test_rows_at_different_steps_go_in_batches_of_one_step():
    seat, steps = planner(Heuristic(half=2.0)), torch.tensor([2, 0, 2, 1, 0])
    draws, action = Draws(5, ROWS, scope="world"), torch.tensor([[1, 0, 1, 0]] * 5, dtype=torch.int8)
    state, _ = seat.reset(draws, Sites())
    mixed = replace(draws, step=steps)
    found = seat.step(state, action, mixed, Sites())
    assert sorted(batch.size for batch in seat._populations.batches(mixed)) == [1, 2, 2]
    for r in range(5):
        alone, _ = seat.reset(draws.of(torch.tensor([r])), Sites())
        one = seat.step(alone, action[:1], draws.of(torch.tensor([r])).at(int(steps[r])), Sites())
        assert torch.equal(found.observation[r], one.observation[0])
        assert torch.equal(found.reward[r], one.reward[0])
        for left, right in zip(found.state.people, one.state.people, strict=True):
            assert torch.equal(left[r], right[0])


def test_rows_of_a_vector_env_that_are_reset_at_different_times_are_single_ones():
    world = planner(Heuristic(half=2.0))
    many = WorldVectorEnv(world, 3, horizon=3, autoreset_mode="Disabled")
    singles = [WorldEnv(world, horizon=3) for _ in range(3)]
    many.reset(seed=7)
    for i, one in enumerate(singles):
        one.reset(seed=7 + i)
    action = np.array([[0, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1]], dtype=np.int8)
    for t in range(7):
        seen, _, _, truncated, _ = many.step(action)
        for i, one in enumerate(singles):
            assert np.array_equal(one.step(action[i])[0], seen[i])
        again = truncated | (np.arange(3) == 1) & (t == 1)
        if again.any():
            many.reset(options={"reset_mask": again})
            for i in again.nonzero()[0]:
                singles[i].reset()


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_that_begin_at_different_times_are_single_ones_over_every_network(name):
    seat = Everybody(SEIR(NETWORKS[name](), 0.3, initial=0.2), N)
    many = WorldVectorEnv(seat, 2, horizon=9, autoreset_mode="Disabled")
    singles = [WorldEnv(seat, horizon=9) for _ in range(2)]
    many.reset(seed=7)
    for i, one in enumerate(singles):
        one.reset(seed=7 + i)
    for t in range(6):
        seen = many.step(np.zeros((2, N), np.int64))[0]
        for i, one in enumerate(singles):
            assert np.array_equal(one.step(np.zeros(N, np.int64))[0], seen[i])
        if t in (1, 2):
            many.reset(options={"reset_mask": np.array([t == 1, t == 2])})
            singles[t - 1].reset()


def test_a_world_that_does_not_say_so_goes_one_by_one():
    """A subclass may look at all people: it has to say anew that its populations can go together."""

    class Fashion(Adoption):
        def step(self, state, nudge, draws, site):
            return super().step(state, nudge - state.adopted.float().mean(), draws, site)

    seat = Everybody(Fashion(by_hand.ring(), initial=0.3), N)
    assert seat._populations.most == 1
    same_alone(seat, Lucky(seat.action_space), horizon=8)


def test_a_seat_travels_without_what_it_keeps():
    seat = epidemic_planner_world(world=by_hand.city())
    rollout(seat, Fixed([0, 0, 0, 0]), rows=20, horizon=1)
    assert (
        len(pickle.dumps(seat.world)) < len(pickle.dumps(replace(seat, reward=max))) < 2 * len(pickle.dumps(seat.world))
    )


def test_threads_that_run_one_seat_each_have_their_own_people(monkeypatch):
    monkeypatch.setattr(blocks, "MOST_KEPT", 1)
    seat = planner(Heuristic(half=2.0))
    draws = [Draws(seed, torch.arange(rows) + seed) for seed, rows in ((0, 1), (3, 2), (5, 3), (7, 4))]

    def own(some):
        for _ in range(2000):
            n = len(some.ids)
            assert len(seat._populations.people(some.ids)) == n
            assert seat._populations.times(seat.world, n).num_people == n * N

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(draws)) as threads:
            list(threads.map(own, draws))
    finally:
        sys.setswitchinterval(before)
