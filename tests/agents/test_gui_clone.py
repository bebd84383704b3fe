"""Clones of what was done on screens succeed as far as they look back: closed forms by memory and distance."""

from dataclasses import replace
from math import factorial

import pytest
import torch

from ethogram.agents.gui import Human, Scripted, clone
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import carry, checklist, form, reactive, search, undo
from ethogram.simulator import History, check_policy, rollout

ROWS = 3000


def demonstrated(app, policy=None, horizon=None, rows=1500):
    """What somebody did who can do it, in episodes of its own."""
    return rollout(SymbolicGui(app), policy or Scripted(), rows=rows, horizon=horizon or app.horizon, seed=77)


def success(app, policy, rows=ROWS, horizon=None):
    return (
        rollout(SymbolicGui(app), policy, rows=rows, horizon=horizon or app.horizon, seed=1).reward.sum(1).mean().item()
    )


def near(p, rows=ROWS):
    """The 4.5-sigma band, which fails by chance once in 147,000 seeds."""
    return pytest.approx(p, abs=4.5 * (p * (1 - p) / rows) ** 0.5)


@pytest.mark.parametrize("distance", [0, 1, 2, 4])
@pytest.mark.parametrize("make", [carry, undo, lambda distance: form(distance, 1)], ids=["carry", "undo", "form"])
def test_a_value_is_carried_as_far_as_the_clone_looks_back(make, distance):
    """Short of the distance it types one of the values that were typed: right once in 64, whichever they were."""
    app = make(distance)
    history = demonstrated(app)
    for memory in range(distance + 2):
        expected = 1.0 if memory >= distance else 1 / 64
        assert success(app, clone(history, memory)) == near(expected)


@pytest.mark.parametrize("distance", [1, 2])
@pytest.mark.parametrize("remembered", range(4))
def test_search_by_how_many_folders_are_remembered(distance, remembered):
    """Try i is uniform over the folders but the last ones remembered, of 4: the chance that all 4 tries miss."""
    app, miss = search(distance), 1.0
    for attempt in range(4):
        miss *= 1 - 1 / (4 - min(attempt, remembered))
    steps = (distance + 1) * remembered - distance if remembered else 0  # back to the heading of so many folders ago
    assert success(app, clone(demonstrated(app), steps)) == near(1 - miss)


@pytest.mark.parametrize("apps", [2, 3])
def test_a_checklist_without_memory(apps):
    """At home K of K + 1 times an app is opened, any of the K, and once it is done: K! / (K + 1)^(K + 1)."""
    app = checklist(2, apps)
    assert success(app, clone(demonstrated(app))) == near(factorial(apps) / (apps + 1) ** (apps + 1))
    assert success(app, clone(demonstrated(app), 20)) == 1


def test_no_memory_is_needed_where_all_is_in_view():
    for app in (reactive(), reactive(0), search(0), checklist(0)):
        assert success(app, clone(demonstrated(app)), rows=300) == 1


def test_people_can_be_cloned_too():
    """Their misses are learnt as taps on nothing: a step more, by which what was seen leaves a memory of two."""
    app = carry(2)
    history = demonstrated(app, Human(Scripted()), 3 * app.horizon)
    assert success(app, clone(history, 10), horizon=3 * app.horizon) == 1
    assert 0.9 < success(app, clone(history, 2), horizon=3 * app.horizon) < 1
    assert success(app, clone(history, 1), horizon=3 * app.horizon) == near(1 / 64)


def test_a_clone_does_as_often_as_was_done():
    """Of one screen with two answers, 30 % and 70 %: the same shares, within 4.5 standard errors."""
    app = reactive(1)
    history = demonstrated(app)[:, :1]
    action = {name: part.clone() for name, part in history.action.items()}
    action["type"][:450] = 10  # goes back
    copy = clone(History.of(action=action, reward=history.reward, observation=history.observation))
    did = rollout(SymbolicGui(app), copy, rows=ROWS, horizon=1, seed=0).action["type"][:, 0]
    assert (did == 10).float().mean().item() == near(0.3)
    assert set(did.tolist()) == {1, 10}


def test_an_unknown_screen_is_met_by_what_is_known_of_it():
    """Elsewhere than where it learnt a clone acts still, in the action space."""
    copy = clone(demonstrated(carry(2)), 2)
    assert 0 <= success(search(2), copy, rows=100) < 1


def test_clones_keep_the_contract_of_policies():
    app = carry(2)
    check_policy(clone(demonstrated(app), 2), SymbolicGui(app))


def test_other_histories_are_refused():
    with pytest.raises(TypeError, match="history"):
        clone(3)
    with pytest.raises(TypeError, match="memory"):
        clone(demonstrated(reactive(), rows=2), 1.5)
    with pytest.raises(ValueError, match="memory"):
        clone(demonstrated(reactive(), rows=2), -1)
    with pytest.raises(ValueError, match=r"observation\['kind'\]"):
        clone(History.of(action=torch.zeros(2, 3), reward=torch.zeros(2, 3), observation=torch.zeros(2, 4)))
    with pytest.raises(ValueError, match="no step"):
        clone(replace(demonstrated(reactive(), rows=2), length=torch.zeros(2, dtype=torch.int64)))
