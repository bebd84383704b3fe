"""Everybody and Planner: the same people as in a plain rollout, and worlds that Gymnasium accepts."""

import warnings

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR
from ethogram.simulator import Do, Record, WorldEnv, WorldVectorEnv, rollout
from ethogram.simulator.draws import derived_ids
from ethogram.simulator.gym import episode_ids
from ethogram.simulator.networks import Contacts
from ethogram.simulator.populations import Everybody, Planner

N = 60


def contacts():
    source, target = np.random.default_rng(0).integers(0, N, (2, 200))
    keep = source != target
    return Contacts.from_edges(torch.tensor(source[keep]), torch.tensor(target[keep]), N, repeats="merge")


def planner(**changes):
    settings = {
        "world": SEIR(contacts(), transmission=0.1, initial=0.1),
        "num_people": N,
        "citizens": Fixed(0),
        "action_space": spaces.Discrete(2),
        "levers": lambda action: [Do("action", 1, who=torch.arange(N) % 2 == 0)] if action else [],
        "observe": [Record("infected", reduce="mean"), Record("sheds", reduce="sum")],
        "reward": lambda found, action: -found["infected"].sum() * N - action,
        "period": 5,
    }
    return Planner(**{**settings, **changes})


def test_citizens_live_as_in_a_rollout_of_their_own():
    world = SEIR(contacts(), transmission=0.1, initial=0.1)
    together = Everybody(world, N)
    populations = torch.tensor([3, 11])

    class Alternates:
        def act(self, observation, history, draws):
            return (torch.arange(N) + draws.step) % 2 * torch.ones(len(draws.ids), 1, dtype=torch.int64)

    class AlternatesAlone:
        def act(self, observation, history, draws):
            return (torch.arange(N) + draws.step) % 2

    both = rollout(together, Alternates(), rows=populations, horizon=20, seed=5)
    for r, q in enumerate(populations):
        ids = derived_ids(q.expand(N), torch.arange(N))
        alone = rollout(world, AlternatesAlone(), rows=ids, horizon=20, seed=5)
        assert torch.equal(both.observation[r].T, alone.observation)
        assert torch.allclose(both.reward[r], alone.reward.mean(0))
    assert both.observation.max() == 3


def test_a_planner_that_pulls_no_lever_changes_nothing():
    world = planner()
    history = rollout(world, Fixed(0), rows=torch.tensor([4]), horizon=6, seed=1)
    ids = derived_ids(torch.tensor(4).expand(N), torch.arange(N))
    record = [Record("infected", reduce="mean"), Record("sheds", reduce="sum")]
    alone = rollout(world.world, Fixed(0), rows=ids, horizon=30, seed=1, record=record)
    for k, name in enumerate(("infected", "sheds")):
        expected = alone.series[name].view(6, 5).mean(1).float()
        assert torch.allclose(history.observation[0, 1:, k], expected)
    assert history.observation[0, :, -1].tolist() == list(range(7))
    assert float(history.reward[0].sum()) == pytest.approx(float(-alone.series["infected"].sum() * N))


def test_a_lever_acts_in_its_period_only():
    pulled = rollout(planner(), Fixed(1), rows=20, horizon=6, seed=2)
    left = rollout(planner(), Fixed(0), rows=20, horizon=6, seed=2)
    assert pulled.observation[:, 1:, 0].mean() < left.observation[:, 1:, 0].mean()

    class Once:
        def act(self, observation, history, draws):
            return torch.full((len(draws.ids),), int(draws.step == 3))

    once = rollout(planner(), Once(), rows=20, horizon=6, seed=2)
    assert torch.equal(once.observation[:, :4], left.observation[:, :4])
    assert not torch.equal(once.observation[:, 4], left.observation[:, 4])


@pytest.mark.parametrize("world", [planner(), Everybody(Adoption(contacts()), N), Everybody(SEIR(contacts()), N)])
def test_gymnasium_accepts_both_seats_without_a_warning(world):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(WorldEnv(world, horizon=4), skip_render_check=True)


def test_many_populations_equal_single_ones():
    many = WorldVectorEnv(planner(), 3, horizon=4)
    first, _ = many.reset(seed=7)
    steps = [many.step(np.array([0, 1, 0])) for _ in range(6)]
    for i in range(3):
        one = WorldEnv(planner(), horizon=4)
        observation, _ = one.reset(seed=7 + i)
        assert np.array_equal(observation, first[i])
        for t, (seen, reward, _, truncated, _) in enumerate(steps):
            if t == 4:
                observation, _ = one.reset()
                assert np.array_equal(observation, seen[i])
                continue
            observation, r, _, over, _ = one.step(np.int64(i == 1))
            assert np.array_equal(observation, seen[i])
            assert (r, over) == (reward[i], truncated[i])


def test_an_episode_in_gymnasium_can_be_replayed_with_an_intervention():
    ids = episode_ids(3)
    shut = planner(interventions=[Do("sheds", False)])
    assert not rollout(shut, Fixed(0), rows=ids, horizon=3).observation[0, :, 0].any()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"period": 0}, ValueError, "period is 0"),
        ({"observe": [Record("infected")]}, ValueError, r"Records of \['infected'\] keep all rows"),
        ({"observe": [Record("infekted", reduce="mean")]}, LookupError, "infekted"),
        ({"interventions": [Do("hazzard", 0.0)]}, LookupError, "hazzard"),
    ],
)
def test_planners_that_cannot_work_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        rollout(planner(**changes), Fixed(0), rows=1, horizon=1)
