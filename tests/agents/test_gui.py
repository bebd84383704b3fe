"""Scripted in every family: the oracle always succeeds, the one that forgets as often as the closed form says."""

import pytest
import torch

from ethogram.agents.gui import Scripted
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui.words import FIRST_VALUE
from ethogram.envs.gui_tasks import (
    carry,
    checklist,
    compare,
    form,
    keypad,
    multi_app,
    reactive,
    recent_action,
    search,
    termination,
    undo,
)
from ethogram.simulator import Do, check_policy, rollout
from ethogram.simulator.whatif import corrupt_past, drop_past, shuffle_past

MAKERS = (carry, form, undo, search, checklist, compare, keypad, termination, recent_action, multi_app)
FAMILIES = {maker.__name__: maker for maker in MAKERS}
DISTANCES = range(10)
at_every_distance = pytest.mark.parametrize("distance", DISTANCES)
in_every_family = pytest.mark.parametrize("maker", FAMILIES.values(), ids=FAMILIES)
MORE = [carry(1, 1, 14), carry(4, 3, 12), carry(9, 2, 0), form(3, 1), form(9, 6), search(2, 2), search(9, 7)]
MORE += [checklist(3, 2), reactive(), reactive(0), reactive(7)]
MORE += [compare(d, facts, equal, 0) for d in (0, 1, 4) for facts in (2, 6) for equal in (False, True)]
MORE += [keypad(0, 3, 2), keypad(3, 6, 8), keypad(2, 1, 8, 4), recent_action(1, 3, 4), recent_action(9, 3, 0)]
MORE += [termination(d, sends, extra, 4) for d in (0, 5) for sends in (1, 3) for extra in (0, 4)]
MORE += [multi_app(d, 2, branching) for d in (0, 1, 2, 9) for branching in (3, 8)]
ASTRAY = [carry(3, 2, 3, 4, 2), carry(9, 3, 12, 2, 1), carry(0, 2, 1, 1, 1), form(4, 6, 3, 2), undo(0, 1, 1)]
ASTRAY += [undo(5, 4, 3), compare(3, 6, True, 6, 4, 1), compare(1, 2, False, 6, 1, 2), compare(0, 2, popups=1)]


def success(app, policy, rows, seed=0, **more):
    history = rollout(SymbolicGui(app), policy, rows=rows, horizon=app.horizon, seed=seed, **more)
    return history.reward.sum(1).mean().item()


@in_every_family
@at_every_distance
def test_oracle_always_succeeds(maker, distance):
    assert success(maker(distance), Scripted(), rows=300) == 1


@pytest.mark.parametrize("app", [*MORE, *ASTRAY], ids=lambda app: f"{app.name}, {app.num_variables}")
def test_oracle_always_succeeds_however_many_facts(app):
    assert success(app, Scripted(), rows=300) == 1


@in_every_family
@at_every_distance
def test_without_memory_success_is_the_closed_form(maker, distance):
    """The 4.5-sigma band fails by chance once in 147,000 seeds."""
    app, rows = maker(distance, 1) if maker is form else maker(distance), 4000
    p = app.memoryless
    assert success(app, Scripted(memory=0), rows, seed=1) == pytest.approx(p, abs=4.5 * (p * (1 - p) / rows) ** 0.5)


@pytest.mark.parametrize("app", MORE, ids=lambda app: f"{app.name}, {app.num_variables}")
def test_without_memory_success_is_the_closed_form_however_many_facts(app):
    """As above, for the settings; where success is rarer than one in 4,000, as many are no surprise."""
    p, rows = app.memoryless, 4000
    found = success(app, Scripted(memory=0), rows, seed=1)
    assert found == pytest.approx(p, abs=4.5 * (p * (1 - p) / rows) ** 0.5 + 1 / rows)


@in_every_family
@at_every_distance
def test_nothing_is_done_at_the_start(maker, distance):
    done = {"type": 15, "point": torch.zeros(2), "element": 0, "direction": 0, "text": 0}

    class Lazy:
        def act(self, observation, history, draws):
            return {
                name: torch.as_tensor(part).expand(len(draws.ids), *torch.as_tensor(part).shape)
                for name, part in done.items()
            }

    assert success(maker(distance), Lazy(), rows=100) == 0


def test_closed_forms():
    assert [carry(2, facts).memoryless for facts in (1, 2, 3)] == [1 / 64, 1 / 64**2, 1 / 64**3]
    assert search(1, 2).memoryless == 3 / 4
    assert checklist(1, 3).memoryless == 2 / 27
    assert [compare(1, facts).memoryless for facts in (2, 3)] == [pytest.approx(0.55), pytest.approx(0.385)]
    assert compare(1, 3, equal=True).memoryless == 1 / 3
    assert keypad(1, 2, 4).memoryless == pytest.approx(1 / 16 * 4 / 27)
    assert [termination(1, sends).memoryless for sends in (1, 2, 3)] == [7 / 32, pytest.approx(7 / 54), 1 / 8]
    assert [recent_action(d, k).memoryless for d, k in ((1, 2), (2, 2), (9, 3))] == [
        pytest.approx(1 / 27),
        1 / 16,
        pytest.approx(4 / 729),
    ]
    assert [multi_app(2, facts).memoryless for facts in (1, 2)] == [1 / 64, 1 / 64**2]
    assert {maker(0).memoryless for maker in FAMILIES.values()} == {1.0}


@pytest.mark.parametrize("distance", range(1, 10))
def test_as_many_steps_must_be_remembered_as_the_distance_says(distance):
    for maker in (carry, undo, multi_app, recent_action):
        assert success(maker(distance), Scripted(memory=distance), rows=200) == 1
        assert success(maker(distance), Scripted(memory=distance - 1), rows=200) < 0.1


@in_every_family
@at_every_distance
def test_audit_what_a_decision_needs_is_never_on_its_screen(maker, distance):
    """Of the apps, and of what was seen: in how many episodes the value typed stands elsewhere on the screen."""
    app = maker(distance)
    assert app.visible.all() if distance == 0 else not app.visible.any()
    if maker in (carry, form, undo, multi_app):
        history = rollout(SymbolicGui(app), Scripted(), rows=500, horizon=app.horizon, seed=2)
        typing = history.action["type"] == 7
        before = history.observation["text"][:, :-1]
        shown = (before == history.action["text"][..., None, None]).flatten(2).any(2)
        share = shown[typing].float().mean().item()
        assert share == 1 if distance == 0 else share == 0


def test_a_corrupted_past_is_believed():
    """Where the list says the next of all values, this is what is typed."""
    app = carry(3)

    def corrupted(seen):
        text = seen["text"]
        value = torch.where(text >= FIRST_VALUE, FIRST_VALUE + (text - FIRST_VALUE + 1) % 64, text)
        return {**seen, "text": value}

    assert success(app, Scripted(), rows=500, interventions=[Do("observation", corrupted, stop=1)]) == 0


@pytest.mark.parametrize("distance", [1, 2, 5])
def test_what_is_dropped_from_the_past_is_forgotten(distance):
    """Dropping all but k steps is remembering k steps: to the bit, whatever the policy can remember."""
    for maker in MAKERS:
        app = maker(distance)
        for keep in (0, distance - 1, distance):
            drop = [Do("history", drop_past(keep))]
            dropped = rollout(SymbolicGui(app), Scripted(), rows=60, horizon=app.horizon, interventions=drop)
            short = rollout(SymbolicGui(app), Scripted(keep), rows=60, horizon=app.horizon)
            if keep:  # with none at all, Scripted(0) plays as one that knows that it forgets
                assert all(torch.equal(dropped.action[k], short.action[k]) for k in short.action), app.name
    app = carry(distance)
    assert success(app, Scripted(), 300, interventions=[Do("history", drop_past(distance))]) == 1
    assert success(app, Scripted(), 300, interventions=[Do("history", drop_past(distance - 1))]) < 0.1


def test_a_shuffled_past_misleads_only_where_order_matters():
    shuffled = [Do("history", shuffle_past)]
    for app in (carry(3), compare(3), keypad(3), termination(3), checklist(2), search(2), multi_app(3)):
        assert success(app, Scripted(), 300, interventions=shuffled) == 1
    assert success(recent_action(2, 3), Scripted(), 300, interventions=shuffled) < 0.5  # which press was last?


@pytest.mark.parametrize("maker", [carry, form, undo, compare, keypad, termination, multi_app])
def test_a_corrupted_past_misleads_where_values_are_remembered(maker):
    app = maker(3)

    def other_word(past):
        text = past["text"]
        value = torch.where(text >= FIRST_VALUE, FIRST_VALUE + (text - FIRST_VALUE + 1) % 64, text)
        digit = (past["kind"] == 4)[..., None] & (text > 0) & (text < 11) & (torch.arange(2) == 1)
        value = torch.where(digit, 11 - text, value)  # from 9 down: the smallest is largest
        return {**past, "text": value}

    assert success(app, Scripted(), 300, interventions=[Do("history", corrupt_past(other_word))]) < 0.5
    assert success(app, Scripted(), 300, interventions=[Do("history", corrupt_past(lambda past: past))]) == 1


def test_another_goal_is_followed_and_another_screen_believed():
    """Told to type the other name's value, a policy that remembers does so: of the world's own goal it knows nothing."""
    app = carry(3)

    def other_goal(seen):
        other = 20 + (seen["goal"][:, 1] - 20 + 1) % 16  # the name of the list's next row
        return {**seen, "goal": torch.stack([seen["goal"][:, 0], other, other * 0, other * 0], 1)}

    def other_names(seen):  # fields ask for what the goal says
        name = torch.where(seen["kind"] == 3, seen["goal"][:, 1:2], seen["text"][..., 0])
        return {**seen, "text": torch.stack([name, seen["text"][..., 1]], 2)}

    told = [Do("observation", other_goal), Do("observation", other_names)]
    history = rollout(SymbolicGui(app), Scripted(), rows=200, horizon=app.horizon, interventions=told, record=["values"])
    assert history.reward.sum() < 20
    values = history.sites["values"][torch.arange(200), history.length - 1]
    rows = (app.num_variables - 1) // 2
    assert torch.equal(values[:, -1], values[:, rows + 1])  # the next row's value was typed

    def emptied(seen):
        return {**seen, "text": torch.where((seen["kind"] == 4)[..., None], 0, seen["text"])}

    assert success(app, Scripted(), 300, interventions=[Do("observation", emptied, stop=1)]) < 0.1


@in_every_family
def test_policy_keeps_the_contract(maker):
    for memory in (0, 3, 100):
        check_policy(Scripted(memory), SymbolicGui(maker()))


def test_memory_is_a_number_of_steps():
    with pytest.raises(ValueError, match="memory is -1"):
        Scripted(-1)
    assert torch.is_tensor(carry().elements)
