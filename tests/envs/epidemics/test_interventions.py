"""Interventions on a city and on SEIR undo nothing that people decided, and give only what a site can be."""

import math

import by_hand
import pytest
import torch
from test_city_day import SOME, N, Plain, city, lived

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR
from ethogram.simulator import Do, Draws, rollout


def same(one, other):
    return all(torch.equal(one.column(name), other.column(name)) for name in one.columns if name != "observation")


@pytest.mark.parametrize("kind", [Plain, Draws])
def test_a_constant_share_of_a_layer_brings_nobody_back(kind):
    """Who isolates, is in quarantine, is dead or has no job there stays away, and the constant acts as a factor."""
    world, sites = city(), ["infected", "attends_workplace", "attends_household", "attends_school"]
    layers = [f"attends_{name}" for name in world.layers]
    nothing = lived(world, kind, record=sites)
    opened = lived(world, kind, [Do(name, 1.0) for name in layers], sites)
    assert same(opened, nothing)
    halved = lived(world, kind, [Do(name, 0.5, start=3) for name in layers], sites)
    factor = lived(world, kind, [Do(name, lambda a: 0.5 * a, start=3) for name in layers], sites)
    assert same(halved, factor)
    assert 0 < halved.column("infected").sum() < nothing.column("infected").sum()
    away = nothing.column("attends_school") == 0
    assert away.any()
    assert not halved.column("attends_school")[:, :4][away[:, :4]].any()


@pytest.mark.parametrize("kind", [Plain, Draws])
def test_only_those_who_want_a_job_can_be_given_one(kind):
    world = city()
    gave = [Do("employed", True, start=1), Do("jobless", True, start=1)]
    lives = lived(world, kind, gave, ["employed", "jobless", "died"])
    adult = (world.age >= 18) & (world.age < 65)
    assert not lives.column("employed")[~adult].any()
    assert not lives.column("jobless")[~adult].any()
    assert lives.column("employed")[adult].any()


@pytest.mark.parametrize("kind", [Plain, Draws])
def test_the_dead_are_not_tested(kind):
    lives = lived(city(), kind, [Do("confirmed", True, start=1)], ["confirmed", "died"])
    died = lives.column("died").int().cumsum(1).bool()
    assert died.any()
    assert not lives.column("confirmed")[:, 1:][died[:, :-1]].any()


def test_who_stays_at_home_neither_infects_nor_is_infected_whatever_is_set():
    world = SEIR(by_hand.ring(), 0.5, initial=0.2)
    home = torch.arange(by_hand.N) % 2
    changes = [Do("sheds", True), Do("hazard", 0.5)]
    history = rollout(
        world, Fixed(1), rows=by_hand.N, horizon=9, interventions=changes, record=["sheds", "hazard", "infected"]
    )
    assert not any(history.column(name).any() for name in ("sheds", "hazard", "infected"))
    some = [*changes, Do("action", home)]
    history = rollout(world, Fixed(1), rows=by_hand.N, horizon=9, interventions=some, record=["hazard", "infected"])
    assert not history.column("infected")[home == 1].any()
    assert (history.column("hazard")[home == 0] == 0.5).all()


@pytest.mark.parametrize("kind", [Plain, Draws])
@pytest.mark.parametrize(
    ("site", "value", "expected"),
    [
        ("attends_school", -1.0, "gives -1 in row 0: expected 0 to 1"),
        ("attends_household", 2.0, "gives 2 in row 0: expected 0 to 1"),
        ("attends_community", math.nan, "gives nan in row 0: expected 0 to 1"),
        ("vaccination", 1.5, "gives 1.5 in row 0: expected 0 to 1"),
        ("confirmation", math.nan, "gives nan in row 0: expected 0 to 1"),
        ("stimulus", math.nan, "gives nan in row 0: expected a finite number"),
        ("stimulus", math.inf, "gives inf in row 0: expected a finite number"),
        ("hazard", -1.0, "gives -1 in row 0: expected a finite number, 0 or more"),
        ("hazard", math.inf, "gives inf in row 0: expected a finite number, 0 or more"),
        ("demand", math.nan, "gives nan in row 0: expected a finite number, 0 or more"),
    ],
)
def test_what_a_site_of_the_city_cannot_be_is_refused(site, value, expected, kind):
    with pytest.raises(ValueError, match=rf"Do\('{site}'\) {expected}"):
        lived(city(), kind, [Do(site, value)])
    if site != "demand":
        with pytest.raises(ValueError, match=rf"Do\('{site}'\) {expected.replace('row 0', 'row 3')}"):
            lived(city(), kind, [Do(site, lambda x: x.where(torch.arange(N) < 3, value), who=SOME)])


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_what_other_populations_cannot_do_is_refused(value):
    run = {"rows": by_hand.N, "horizon": 2}
    with pytest.raises(ValueError, match=r"Do\('propensity'\) gives .*: expected 0 to 1"):
        rollout(Adoption(by_hand.ring()), by_hand.Nudges(), interventions=[Do("propensity", value)], **run)
    with pytest.raises(ValueError, match=r"Do\('hazard'\) gives .*: expected a finite number, 0 or more"):
        rollout(SEIR(by_hand.ring()), Fixed(0), interventions=[Do("hazard", min(value, -value))], **run)


@pytest.mark.parametrize("action", [7, -1, 0.5, math.nan])
def test_actions_that_are_not_0_or_1_are_refused(action):
    run = {"rows": by_hand.N, "horizon": 2}
    with pytest.raises(ValueError, match=r"action of person 0 is .*: expected 0 or 1, whether each person stays at"):
        rollout(SEIR(by_hand.ring()), Fixed(action), **run)
    for kind in (Plain, Draws):
        draws = kind(0, torch.arange(by_hand.N), scope="world")
        with pytest.raises(ValueError, match=r"action of person 0 is .*: expected 0 or 1, \[isolate, work\] of each"):
            rollout(by_hand.city(), Fixed([action, 1]), draws=draws, **run)
        with pytest.raises(ValueError, match=r"action has shape \(61,\): expected \(61, 2\), \[isolate, work\]"):
            rollout(by_hand.city(), Fixed(0), draws=draws, **run)


def test_an_action_set_to_what_its_type_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=r"Do\('action'\) gives 257: expected one that fits torch.int8"):
        lived(city(), Draws, [Do("action", 257)])
