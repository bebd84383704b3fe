"""The symbolic screens: the contract of worlds, both sides of the kernels, shells, what taps and keys do."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from bits_of_screens import Monkey

from ethogram.agents.gui import Scripted
from ethogram.agents.gui import scripted as gui_agent
from ethogram.envs.gui import (
    DIRECTIONS,
    TYPES,
    VOCABULARY,
    App,
    Element,
    SymbolicGui,
    Variable,
    kernels,
    made,
    motion,
    shown,
)
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
from ethogram.simulator import Do, Draws, Sites, check_world, rollout

MAKERS = (carry, form, undo, search, checklist, compare, keypad, termination, recent_action, multi_app)
APPS = [
    *(maker(d) for maker in MAKERS for d in (0, 1, 3)),
    carry(2, 3, 9, 3, 2),
    compare(2, 3, True, 2, 4, 1),
    reactive(),
]
every_app = pytest.mark.parametrize("app", APPS, ids=lambda app: f"{app.name}, {app.num_variables} variables")


@every_app
def test_world_keeps_the_contract(app):
    check_world(SymbolicGui(app), Monkey())
    check_world(SymbolicGui(app), Scripted(), horizon=app.horizon, intervene=())


@every_app
def test_the_compiled_side_gives_the_bits_of_torch(app):
    world, policy = SymbolicGui(app), Monkey()
    order, boxes = world._skins
    draws = Draws(3, torch.arange(300))
    state, _ = world.reset(draws, Sites())
    assert torch.equal(state, motion.begin(app, draws))
    visited = set()
    for step in range(25):
        draws = draws.at(step)
        action = policy.act(None, None, draws.scoped("policy"))
        after, reward, done = motion.move(app, order, boxes, state, action)
        step = world.step(state, action, draws, Sites())
        assert torch.equal(step.state, after)
        assert torch.equal(step.reward, reward)
        assert torch.equal(step.terminated, done)
        here = motion.show(app, order, boxes, after)
        assert list(here) == list(step.observation)
        for name, column in here.items():
            assert column.dtype == step.observation[name].dtype
            assert torch.equal(column, step.observation[name]), name
        state = step.state
        visited |= set(here["screen"].tolist())
    assert len(visited) >= app.num_screens // 2


def act(world, state, **parts):
    """One row does something."""
    action = {"type": 0, "element": 0, "direction": 0, "text": 0} | parts
    point = torch.tensor([action.pop("point", (0.0, 0.0))])
    columns = {name: torch.tensor([value]) for name, value in action.items()} | {"point": point}
    return world.step(state, columns, Draws(0, torch.arange(1)), Sites())


def begun(app):
    world = SymbolicGui(app)
    return world, *world.reset(Draws(0, torch.arange(1)), Sites())


def place_of(seen, word):
    """The number, from 1, of the element with a word."""
    return 1 + int((seen["text"][0] == VOCABULARY.index(word)).any(1).long().argmax())


def line(screens):
    """Screens that lead on from one to the next."""
    on = [[Element(2, VOCABULARY.index("Next"), leads=s + 1)] for s in range(screens - 1)]
    return made("a line", [*on, []], [Variable(0)], [], [(0, 0)], [], horizon=99, memoryless=1.0)


def test_back_returns_the_way_one_came_as_far_as_is_remembered():
    world, state, seen = begun(line(12))
    for _ in range(11):
        step = act(world, state, type=1, element=place_of(seen, "Next"))
        state, seen = step.state, step.observation
    came = []
    for _ in range(10):
        state = act(world, state, type=10).state
        came.append(int(state[0, 0]))
    assert came == [10, 9, 8, 7, 6, 5, 4, 3, 3, 3]
    assert act(world, state, type=11).observation["screen"].tolist() == [0]


def test_a_tap_at_a_point_is_one_on_the_element_there():
    world, state, seen = begun(line(3))
    where = place_of(seen, "Next")
    left, top, right, bottom = seen["box"][0, where - 1].tolist()
    inside = act(world, state, type=1, point=((left + right) / 2, (top + bottom) / 2))
    outside = act(world, state, type=1, point=((left + right) / 2, bottom + 0.01))
    assert (inside.observation["screen"].item(), outside.observation["screen"].item()) == (1, 0)


def test_long_lists_scroll():
    world, state, seen = begun(carry(1, 3, 9))
    assert (seen["flags"][0, :, 2] == 1).all()
    assert act(world, state, type=6, direction=1).observation["screen"].item() == 0
    below = act(world, state, type=6, direction=2)
    assert below.observation["screen"].item() == 1
    assert (below.observation["kind"] > 0).sum() == 5  # four more rows, and the button
    assert act(world, below.state, type=6, direction=1).observation["screen"].item() == 0


def test_what_is_typed_is_seen_and_done_is_judged():
    world, state, seen = begun(carry(0))
    field = 1 + int(seen["flags"][0, :, 1].argmax())
    name = seen["text"][0, field - 1, 0]
    row = (seen["text"][0, :, 0] == name) & (seen["text"][0, :, 1] > 0)
    right = int(seen["text"][0, row, 1])
    for word, reward in ((right, 1.0), (right - 1, 0.0), (0, 0.0)):
        step = act(world, state, type=7, element=field, text=word)
        assert step.observation["text"][0, field - 1, 1] == word
        assert not step.terminated.item()
        end = act(world, step.state, type=15)
        assert (end.reward.item(), end.terminated.item()) == (reward, True)


def test_interventions_act_on_the_screen_the_values_and_what_is_seen():
    app = carry(2)
    play = partial(rollout, SymbolicGui(app), rows=50, horizon=app.horizon, seed=0)
    assert play(Scripted()).reward.sum() == 50

    def forgotten(seen):
        return {**seen, "text": torch.where(seen["kind"][..., None] == 4, 0, seen["text"])}

    assert play(Scripted(), interventions=[Do("observation", forgotten)]).reward.sum() < 10
    assert play(Scripted(), interventions=[Do("values", 0, start=1)]).reward.sum() == 0
    assert (play(Scripted(), interventions=[Do("screen", 0)]).observation["screen"] == 0).all()


def test_bad_input_is_refused_by_name():
    world, state, _ = begun(carry())
    for wrong in ({"type": 16}, {"element": 9}, {"direction": -1}, {"text": len(VOCABULARY)}):
        with pytest.raises(ValueError, match=f"action of row 0 is .*{next(iter(wrong))}"):
            act(world, state, **wrong)
    with pytest.raises(ValueError, match="state is"):
        act(world, state[:, 1:], type=1)
    with pytest.raises(TypeError, match="app is a str"):
        SymbolicGui("carry")
    with pytest.raises(ValueError, match="site 'screen' of row 0"):
        rollout(world, Scripted(), rows=2, horizon=2, interventions=[Do("screen", 99)])
    with pytest.raises(ValueError, match="distance is 10"):
        carry(10)
    with pytest.raises(ValueError, match="distractors is 6"):
        carry(0, 2, 6)


def test_an_app_of_ones_own():
    """A counter: tapping twice and saying done is right."""
    plus = Element(2, VOCABULARY.index("Next"), shown(0), sets=0, adds=1)
    app = made("a counter", [[plus]], [Variable(1), Variable(3)], [], [(0, 1)], [(0, 0)], horizon=5, memoryless=1.0)
    assert isinstance(app, App)
    assert app.visible.all()
    assert not replace(app, elements=app.elements * 0).visible.any()
    world, state, seen = begun(app)
    rewards = []
    for _ in range(4):
        rewards.append(act(world, state, type=15).reward.item())
        state = act(world, state, type=1, element=place_of(seen, "Next")).state
    assert rewards == [0, 0, 1, 0]
    for _ in range(200):
        state = act(world, state, type=1, element=place_of(seen, "Next")).state
    assert VOCABULARY[state[0, -2]] == "9"


def test_the_types_of_action_are_those_of_the_schema():
    used = {"tap": motion.TAP, "scroll": motion.SCROLL, "type": motion.TYPE, "back": motion.BACK, "home": motion.HOME}
    for name, number in {**used, "done": motion.DONE}.items():
        assert TYPES[number] == name
        assert getattr(kernels, f"_{name.upper()}") == number
    assert all(TYPES[getattr(gui_agent, name)] == name.lower() for name in ("TAP", "SCROLL", "TYPE", "HOME", "DONE"))
    assert DIRECTIONS[gui_agent.DOWN] == "down" == DIRECTIONS[motion.DOWN]


def test_a_dialog_must_be_answered_before_anything_else():
    """Over a long list: it is what is shown and tapped; back and scroll do nothing; home leaves it open."""
    app = carry(1, 3, 9, popups=1)
    world, state, seen = begun(app)
    assert "Offer" in VOCABULARY[int(seen["text"][0, seen["kind"][0] == 1][0, 0])]
    assert not (seen["flags"][0, :, 2]).any()
    for nothing in ({"type": 10}, {"type": 6, "direction": 2}, {"type": 11}, {"type": 7, "element": 1, "text": 5}):
        assert torch.equal(act(world, state, **nothing).state, state)
    closed = act(world, state, type=1, element=place_of(seen, "Close"))
    assert closed.observation["screen"].item() == 0
    assert act(world, closed.state, type=6, direction=2).state[0, 0] == 1
    icon = 1 + int((seen["kind"][0] == 5).long().argmax())
    strayed = act(world, state, type=1, element=icon)
    assert strayed.observation["text"][0].max() == VOCABULARY.index("nothing")
    assert act(world, strayed.state, type=10).observation["screen"].item() == 0  # and the dialog is gone


def test_taps_fill_a_row_of_places_until_it_is_full():
    """And the text of done goes to its variable before it is judged."""
    key = Element(2, VOCABULARY.index("Next"), shown(1), sets=0, gives=VOCABULARY.index("4"), adds=2)
    four, empty = Variable(VOCABULARY.index("4")), Variable(0)
    app = made("two fours", [[key]], [empty, empty, four, empty], [], [(0, 2), (1, 2), (3, 2)], [], 9, 1.0, answer=3)
    world, state, seen = begun(app)
    for filled in ([5, 0], [5, 5], [5, 5]):
        state = act(world, state, type=1, element=place_of(seen, "Next")).state
        assert state[0, motion.VALUES : motion.VALUES + 2].tolist() == filled
    assert [act(world, state, type=15, text=text).reward.item() for text in (0, 5)] == [0, 1]


def test_apps_that_do_not_fit_together_are_refused():
    for wrong in ([Variable(shown(0))], [Variable(0), Variable(0, hides=1)], [Variable(shown(0), 2, hides=0)]):
        with pytest.raises(ValueError, match=r"variable \d is Variable"):
            made("wrong", [[]], wrong, [], [(0, 0)], [], horizon=1, memoryless=1.0)
    with pytest.raises(ValueError, match="screen 1 has 9 elements: expected at most 8"):
        made("wrong", [[], [Element(1, 1)] * 9], [Variable(0)], [], [(0, 0)], [], horizon=1, memoryless=1.0)


CODE = VOCABULARY.index("code")


@pytest.mark.parametrize(
    ("part", "error", "said"),
    [
        ({"screens": []}, ValueError, "0 screens and 1 variables: expected one of each"),
        ({"screens": [[3]]}, TypeError, "element 0 of screen 0 is a int: expected an Element"),
        ({"screens": [[Element(2, "code")]]}, TypeError, r"has label 'code': expected an int; .*VOCABULARY.index"),
        ({"screens": [[Element(9, CODE)]]}, ValueError, "element 0 of screen 0 has kind 9: expected 0 to 5"),
        ({"screens": [[], [Element(2, 999)]]}, ValueError, "element 0 of screen 1 has label 999"),
        ({"screens": [[Element(2, shown(1))]]}, ValueError, "has label -2: expected -1 to"),
        ({"screens": [[Element(2, CODE, leads=1)]]}, ValueError, "has leads 1: expected -1 to 0"),
        ({"screens": [[Element(3, CODE, fills=1)]]}, ValueError, "has fills 1: expected -1 to 0"),
        (
            {"screens": [[Element(2, CODE, sets=1, adds=2)]], "variables": [Variable(0)] * 2},
            ValueError,
            "adds to variables beyond the last, 1",
        ),
        ({"variables": [3]}, TypeError, "variable 0 is a int: expected a Variable"),
        ({"variables": [Variable(0, 0)]}, ValueError, "variable 0 has choices 0"),
        ({"variables": [Variable(CODE, 116)]}, ValueError, "variable 0 has words up to"),
        ({"goal": ["code"]}, TypeError, "goal has word 'code': expected an int"),
        ({"goal": [CODE] * 5}, ValueError, "goal has 5 words: expected at most 4"),
        ({"goal": [999]}, ValueError, "the goal has word 999"),
        ({"wanted": [(0,)]}, ValueError, r"wanted has \(0,\): expected \(a, b\)"),
        ({"wanted": [(0, 1)]}, ValueError, "wanted 0 has variable 1: expected 0 to 0"),
        ({"needed": [(1, 0)]}, ValueError, "needed 0 has screen 1: expected 0 to 0"),
        ({"dialogs": {0: (0, 1, 7)}}, ValueError, "screen 0, as for its dialog, has dialog 7"),
        ({"answer": 1}, ValueError, "answer is 1"),
        ({"horizon": 0}, ValueError, "horizon is 0"),
        ({"memoryless": 2}, ValueError, "memoryless is 2"),
    ],
    ids=str,
)
def test_an_app_of_ones_own_is_told_what_does_not_exist(part, error, said):
    """The compiled side reads these places without asking."""
    whole = {"screens": [[Element(2, CODE)]], "variables": [Variable(0)], "goal": [CODE], "wanted": [(0, 0)]}
    whole |= {"needed": [], "horizon": 3, "memoryless": 1.0}
    made("mine", **whole)
    with pytest.raises(error, match=said):
        made("mine", **{**whole, **part})


def test_actions_of_batches_that_are_none_are_refused():
    """Off the screen, with a part left out, or of another shape; a point that is not used is overlooked."""
    world, state, _ = begun(carry())
    for point in ((3.0, 0.5), (0.5, -0.1), (float("nan"), 0.5)):
        off = {**IDLE, "point": torch.tensor([point])}
        for kind in (1, 7):
            with pytest.raises(ValueError, match=r"action of row 0 is .*'point': .*expected an element of"):
                world.step(state, {**off, "type": torch.tensor([kind])}, Draws(0, torch.arange(1)), Sites())
        world.step(state, {**off, "type": torch.tensor([10])}, Draws(0, torch.arange(1)), Sites())
    for name in IDLE:
        lacking = {key: part for key, part in IDLE.items() if key != name}
        with pytest.raises(ValueError, match=f"actions lack '{name}': expected a dict of"):
            world.step(state, lacking, Draws(0, torch.arange(1)), Sites())
    with pytest.raises(ValueError, match=r"point of actions is \(1,\): expected \(1, 2\)"):
        world.step(state, {**IDLE, "point": torch.zeros(1)}, Draws(0, torch.arange(1)), Sites())


IDLE = {name: torch.zeros(1, dtype=torch.int64) for name in ("type", "element", "direction", "text")}
IDLE["point"] = torch.zeros(1, 2)
