"""Whatever a rollout records of a shipped world, files, tables and notebooks take; what they cannot, it refuses."""

import numpy as np
import pytest
import torch
from by_hand import CLICK_MODELS, Codes, N, Reading, Turns, city, movielens, ring, weighted
from gymnasium import spaces

from ethogram.agents.citizens import Heuristic, Relaxed
from ethogram.agents.simple import Fixed, UniformSlates
from ethogram.envs.adoption import Adoption
from ethogram.envs.datasets import session_mdp
from ethogram.envs.epidemics import SEIR, RelaxedEpidemic, RelaxedSEIR, epidemic_planner_world
from ethogram.envs.sessions import CascadingSession, FlatSlates, trap
from ethogram.simulator import History, Record, Transition, rollout
from ethogram.simulator.gym import FromGym
from ethogram.simulator.networks import MeanField, RandomMeetings
from ethogram.simulator.populations import Everybody


class Samples:
    """Actions of a Gymnasium space, one a row."""

    def __init__(self, space):
        self.space = space

    def act(self, observation, history, draws):
        self.space.seed(draws.step)
        return torch.as_tensor(np.stack([self.space.sample() for _ in draws.ids]))


PLANNER, CART_POLE = epidemic_planner_world(100), FromGym("CartPole-v1")
WITH_GRADIENT = torch.tensor(0.1, requires_grad=True)
FLAT = FlatSlates(CascadingSession(trap()))
SESSIONS = {
    f"a session with {type(user).__name__}": (CascadingSession(trap(), user=user), UniformSlates(6, 2), 5)
    for user in (None, *CLICK_MODELS)
}
WORLDS = {  # name -> world, policy, rows
    **SESSIONS,
    "a session of MovieLens": (
        CascadingSession(session_mdp(movielens(), 3, 6, 2, window=3).mdp),
        UniformSlates(6, 2),
        5,
    ),
    "flat slates": (FLAT, Codes(FLAT.action_space), 5),
    "adoption": (Adoption(weighted(), initial=0.1), Fixed(0.1), N),
    "SEIR": (SEIR(ring(), 0.1, initial=0.1), Fixed(0), N),
    "SEIR, mean field": (SEIR(MeanField.well_mixed(N, 8.0), 0.1, initial=0.1), Fixed(0), N),
    "SEIR, meetings": (SEIR(RandomMeetings(N, 4), 0.1, initial=0.1), Fixed(0), N),
    "SEIR with a gradient": (
        RelaxedSEIR(ring(), torch.tensor(0.1, requires_grad=True), initial=0.1),
        Fixed([0.0] * 4),
        N,
    ),
    "a city": (city(), Heuristic(), N),
    "a city with a gradient": (RelaxedEpidemic(city(), torch.tensor(3.0)), Relaxed(Heuristic()), N),
    "everybody's seat": (Everybody(city(), N), Fixed(torch.ones(N, 2, dtype=torch.int8)), 3),
    "a planner's seat": (PLANNER, Samples(PLANNER.action_space), 3),
    "a foreign environment": (CART_POLE, Samples(CART_POLE.action_space), 4),
    "rows that end, in parts and text": (Reading(), Turns(), 9),
}


@pytest.mark.parametrize("name", WORLDS)
def test_everything_of_a_shipped_world_is_saved_loaded_and_shown(name, tmp_path):
    world, policy, rows = WORLDS[name]
    history = rollout(world, policy, rows=rows, horizon=9, record="all")
    for suffix in ("parquet", "npz"):
        history.save(tmp_path / f"history.{suffix}")
        assert History.load(tmp_path / f"history.{suffix}").equals(history), suffix
    frame = history.to_pandas()
    assert len(frame) == int((history.length + 1).sum())
    assert {column.partition(".")[0] for column in frame} == {"id", "step", *history.columns}
    assert repr(history)


def test_a_site_without_rows_is_a_series(tmp_path):
    history = rollout(city(), Heuristic(), rows=N, horizon=9, record=["demand"])
    assert history.series["demand"].shape == (9, 1)
    thinned = rollout(city(), Heuristic(), rows=N, horizon=9, record=[Record("demand", every=2)])
    assert torch.equal(thinned.series["demand"], history.series["demand"][::2])
    with pytest.raises(ValueError, match=r"by= for 61 rows, but this site has shape \(1,\)"):
        rollout(city(), Heuristic(), rows=N, horizon=2, record=[Record("demand", reduce="sum", by=torch.arange(N))])


class Names:
    """Names one site, whatever it is."""

    observation_space = action_space = spaces.Discrete(2)

    def __init__(self, *values):
        self.values = values

    def reset(self, draws, site):
        return draws.ids, torch.zeros_like(draws.ids)

    def step(self, state, action, draws, site):
        site("named", self.values[draws.step % len(self.values)])
        nobody = torch.zeros_like(state, dtype=torch.bool)
        return Transition(state, torch.zeros_like(state), nobody.float(), nobody)


@pytest.mark.parametrize("value", [torch.tensor(0.5), torch.ones(4, 2), torch.zeros(0), np.float64([[1, 2]])])
def test_numbers_of_any_shape_are_kept(value, tmp_path):
    history = rollout(Names(value), Fixed(0), rows=3, horizon=4, record="all")
    assert history.series["named"].shape == (4, *value.shape)
    history.save(tmp_path / "history.parquet")
    assert History.load(tmp_path / "history.parquet").equals(history)
    assert len(history.to_pandas()) == 15


def test_text_of_another_length_is_not_cut():
    history = rollout(Names(np.array(["a", "b"]), np.array(["long", "b"])), Fixed(0), rows=2, horizon=2, record="all")
    assert history.sites["named"].tolist() == [["a", "long"], ["b", "b"]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, "site 'named' is a float: expected a tensor"),
        ([1, 2], "site 'named' is a list: expected a tensor"),
        ({"part": torch.zeros(2, dtype=torch.complex64)}, "site 'named.part' is torch.complex64: expected bool, int"),
        (np.zeros(2, "datetime64[s]"), r"site 'named' is datetime64\[s\]: expected a tensor"),
    ],
)
def test_what_no_file_can_hold_is_refused_when_it_is_recorded(value, message):
    with pytest.raises(TypeError, match=message):
        rollout(Names(value), Fixed(0), rows=2, horizon=2, record=["named"])
    rollout(Names(value), Fixed(0), rows=2, horizon=2)


@pytest.mark.parametrize("made", [None, {"a": 1}])
def test_a_record_whose_function_gives_no_tensor_says_so(made):
    record = [Record("named", reduce=lambda value: made)]
    with pytest.raises(TypeError, match=r"reduce of Record\('named'\) gives .*: expected a number or a tensor"):
        rollout(Names(torch.zeros(2)), Fixed(0), rows=2, horizon=2, record=record)
