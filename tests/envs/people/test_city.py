"""The synthetic city is a city: everybody lives somewhere, children go to school, workers work; and its seats."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import ethogram.envs
from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import DEAD, Epidemic, careful, epidemic_planner_world, levers, small_city
from ethogram.envs.people import CLASS, IN_WORK, Population, city_layers, synthetic_city
from ethogram.simulator import Record, rollout
from ethogram.simulator.draws import derived_ids
from ethogram.simulator.populations import ByRule

IDS = ["ethogram/Adoption-v0", "ethogram/Epidemic-v0", "ethogram/EpidemicPlanner-v0"]


def test_everybody_has_a_home_and_the_right_place_to_go():
    people = synthetic_city(20_000, seed=3)
    age, school, work = people["age"], people["school"], people["workplace"]
    assert (people["household"].diff() >= 0).all()
    assert (people["area"].diff() >= 0).all()
    assert torch.equal(school >= 0, (age >= 5) & (age < 18))
    adult = (age >= 18) & (age < 65)
    assert not (work >= 0)[~adult].any()
    assert (work >= 0)[adult].double().mean().item() == pytest.approx(IN_WORK, abs=0.02)
    assert school[school >= 0].bincount().max() <= CLASS
    for group in school[school >= 0].unique()[:50]:  # a class is of one age and one area
        assert len(age[school == group].unique()) == len(people["area"][school == group].unique()) == 1
    assert 0.15 < (age < 18).double().mean() < 0.35
    assert 0.08 < (age >= 65).double().mean() < 0.25


def test_a_seed_gives_one_city():
    one, same, other = (synthetic_city(500, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one.columns)
    assert not torch.equal(one["age"], other["age"])


def test_layers_join_those_who_share_a_place():
    people = synthetic_city(3000, seed=1)
    layers = city_layers(people, daily=2, seed=1)
    assert list(layers) == ["household", "workplace", "school", "community", "city"]
    for name, column in (("household", "household"), ("workplace", "workplace"), ("school", "school")):
        source, target = layers[name].source, layers[name].target.long()
        assert torch.equal(people[column][source], people[column][target])
        assert (people[column][source] >= 0).all()
    sizes = people["household"].bincount()
    assert layers["household"].num_contacts == int((sizes * (sizes - 1)).sum())
    only = city_layers(Population({"household": people["household"]}))
    assert list(only) == ["household"]


def test_a_city_with_daily_meetings_runs_and_keeps_its_people():
    people = synthetic_city(1000)
    world = Epidemic(city_layers(people, daily=3), people["age"], people["area"], initial=0.02)
    history = rollout(world, ByRule(careful), rows=1000, horizon=60, record=["infected", "died"])
    assert history.column("infected").sum() > 20
    assert history.column("died").sum() <= history.column("infected").sum() + 40
    assert DEAD == 4


def test_what_is_reported_adds_up_over_ages_and_areas():
    city = small_city(400, seed=3)
    run = {"world": city, "policy": ByRule(careful), "rows": 400, "horizon": 40}
    whole = rollout(**run, record=city.reported()).series
    for by in ("age", "area"):
        parts = rollout(**run, record=city.reported(by)).series
        assert all(torch.equal(parts[name].sum(1), whole[name]) for name in whole)
    assert whole["infected"].sum() > 10
    assert whole["jobless"].sum() > 10
    with pytest.raises(ValueError, match="'age' or 'area'"):
        city.reported("income")


@pytest.mark.parametrize("name", IDS)
def test_the_ids_make_environments_that_gymnasium_accepts(name):
    settings = {"num_people": 60}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(name, **settings).unwrapped, skip_render_check=True)
    many = gymnasium.make_vec(name, num_envs=3, **settings)
    first, _ = many.reset(seed=5)
    one = gymnasium.make(name, **settings)
    assert_same(one.reset(seed=6)[0], first, 1)
    many.action_space.seed(0)
    actions = many.action_space.sample()
    seen, reward, *_ = many.step(actions)
    single, r, *_ = one.step(actions[1])
    assert_same(single, seen, 1)
    assert r == reward[1]


def assert_same(single, batched, i):
    if isinstance(single, dict):
        for key, value in single.items():
            assert np.array_equal(value, batched[key][i])
    else:
        assert np.array_equal(single, batched[i])


def test_worlds_of_ones_own_take_the_seats():
    assert ethogram.envs
    city = small_city(100, seed=4)
    for name in IDS[1:]:
        env = gymnasium.make(name, world=city)
        seat = getattr(env.unwrapped.world, "seat", env.unwrapped.world)
        assert seat.num_people == 100


def test_the_planner_pays_what_it_says():
    world = small_city(300)
    closed = rollout(epidemic_planner_world(world=world), Fixed([1, 1, 1, 1]), rows=1, horizon=3, seed=1)
    inner = [do for lever in levers(world) for do in lever]
    record = [Record(name, reduce="sum") for name in ("infected", "died", "jobless")]
    ids = derived_ids(torch.zeros(300, dtype=torch.int64), torch.arange(300))
    alone = rollout(world, ByRule(careful), rows=ids, horizon=21, seed=1, interventions=inner, record=record).series
    pupils = (world.layers["school"].strength > 0).double().mean()
    workers = (world.layers["workplace"].strength > 0).double().mean()
    for week in range(3):
        days = slice(7 * week, 7 * week + 7)
        events = (5 * alone["infected"][days].sum() + 1000 * alone["died"][days].sum()) / 300
        cost = events + alone["jobless"][days].mean() / 300 + 0.3 * pupils + 0.3 * workers + 0.1 + 0.2
        assert closed.reward[0, week].item() == pytest.approx(-cost.item(), rel=1e-5)


def test_bad_cities_are_refused():
    with pytest.raises(ValueError, match="20 or more"):
        synthetic_city(5)
    with pytest.raises(ValueError, match="num_areas"):
        synthetic_city(100, num_areas=50)
    with pytest.raises(ValueError, match="degrees names"):
        city_layers(synthetic_city(100), degrees={"wrkplace": 3})
    with pytest.raises(TypeError, match=r"daily is 1\.5: expected an int"):
        city_layers(synthetic_city(100), daily=1.5)
    with pytest.raises(ValueError, match="expected a household"):
        city_layers(Population({"age": torch.tensor([3])}))
