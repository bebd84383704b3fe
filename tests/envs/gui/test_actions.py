"""The action schema: frozen ids, one row and a batch say the same, bad parameters are refused."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ethogram.envs.gui import DIRECTIONS, KEYS, STATUSES, TYPES, GuiAction, GuiActions, action_space, along, opposite
from ethogram.simulator import History
from ethogram.simulator.formats import load, save

fractions = st.integers(1, 1080).map(lambda pixel: float(np.float32(pixel / 1080)))
points = st.tuples(fractions, fractions)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
places = st.one_of(points.map(lambda p: {"point": p}), st.integers(1, 99).map(lambda e: {"element": e}))
ms = st.integers(0, 60_000)


def made(kind):
    """Actions of a type, every parameter that it may have included."""
    flags = st.fixed_dictionaries({"clear": st.booleans(), "submit": st.booleans()})
    more = {
        "long_press": ms.map(lambda t: {"ms": t}),
        "drag": st.tuples(points, points, ms).map(lambda d: {"point": d[0], "point2": d[1], "ms": d[2]}),
        "scroll": st.one_of(
            st.tuples(points, points).filter(lambda d: d[0] != d[1]).map(lambda d: {"point": d[0], "point2": d[1]}),
            st.sampled_from(DIRECTIONS[1:]).map(lambda d: {"direction": d}),
        ),
        "type": st.tuples(texts, flags).map(lambda d: {"text": d[0], **d[1]}),
        "select": texts.map(lambda t: {"text": t}),
        "press": st.sampled_from(KEYS[1:]).map(lambda key: {"key": key}),
        "open": texts.map(lambda t: {"text": t}),
        "wait": ms.map(lambda t: {"ms": t}),
        "done": st.tuples(st.sampled_from(STATUSES[1:]), texts).map(lambda d: {"status": d[0], "text": d[1]}),
    }.get(kind, st.just({}))
    placed = places if kind in ("tap", "double_tap", "long_press", "hover", "type", "select") else st.just({})
    return st.tuples(more, placed).map(lambda d: GuiAction(kind, **d[0], **d[1]))


actions = st.sampled_from(TYPES).flatmap(made)


def test_the_sixteen_types_keep_their_ids():
    assert " ".join(TYPES) == (
        "noop tap double_tap long_press hover drag scroll type select press back home recent open wait done"
    )
    assert DIRECTIONS == ("none", "up", "down", "left", "right")
    assert len(set(KEYS)) == len(KEYS)


@given(st.lists(actions, min_size=1, max_size=6))
def test_a_batch_holds_the_same_as_its_rows(rows):
    batch = GuiActions.of(rows)
    assert [batch.row(i) for i in range(len(rows))] == rows
    space = action_space(99)
    for i in range(len(rows)):
        one = {name: column[i] for name, column in batch._asdict().items()}
        assert all(space[name].contains(v.numpy() if hasattr(v, "numpy") else v) for name, v in one.items())


@given(actions)
def test_an_action_survives_json(action):
    assert GuiAction.from_json(json.loads(json.dumps(action.as_json()))) == action


def test_the_keys_of_the_space_are_the_fields_and_text_may_be_an_index():
    assert set(action_space(5)) == set(GuiActions._fields)
    assert action_space(5)["element"].n == 6
    assert action_space(5, texts=7)["text"].n == 7
    assert "two words" in action_space(5)["text"]


def test_a_history_records_actions_and_gives_them_back_from_a_file(tmp_path):
    rows = [GuiAction("tap", (0.5, 0.25)), GuiAction("type", text="two words", submit=True)]
    batch = GuiActions.of(rows)
    action = {name: column[None] for name, column in batch._asdict().items()}  # one row of two steps
    history = History.of(action=action, reward=torch.zeros(1, 2))
    save(history, tmp_path / "taps.npz")
    back = GuiActions(**load(tmp_path / "taps.npz").action)
    assert [back.row(0, t) for t in range(2)] == rows


def test_a_scroll_knows_the_finger_and_the_view():
    up = GuiAction("scroll", (0.5, 0.75), (0.5, 0.25))
    assert (up.finger, up.direction, up.amount) == ("up", "down", 0.5)
    assert GuiAction("scroll", direction="left").finger == "right"
    assert [along((0, 0), end) for end in ((0, 0), (1, 1), (1, 0.5), (0, 1))] == ["none", "down", "right", "down"]
    assert opposite("up") == "down"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"type": "swipe"}, "type is 'swipe': expected one of"),
        ({"type": "tap"}, "neither point nor element"),
        ({"type": "tap", "point": (540, 1200)}, "give pixels to a codec"),
        ({"type": "tap", "point": (0.5, float("nan"))}, "fractions"),
        ({"type": "drag", "point": (0, 0)}, "lacks point or point2"),
        ({"type": "scroll", "point2": (0.5, 0.5)}, "goes nowhere"),
        ({"type": "scroll", "point": (0.5, 0.5), "point2": (0.5, 0.5)}, "goes nowhere"),
        ({"type": "press"}, "has no key"),
        ({"type": "press", "key": "Return"}, "key is 'Return'"),
        ({"type": "done"}, "no status"),
        ({"type": "back", "text": "x"}, "a back has a text: expected none"),
        ({"type": "open", "text": "x", "submit": True}, "clear or submit"),
        ({"type": "wait", "ms": 60_001}, "ms is 60001"),
        ({"type": "tap", "element": -1}, "element is -1"),
        ({"type": "tap", "point": "ab"}, "point is ab"),
        ({"type": "tap", "point": (0.5,)}, "expected fractions"),
    ],
)
def test_what_is_no_action_is_refused(parameters, said):
    with pytest.raises(ValueError, match=said):
        GuiAction(**parameters)


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ([], "expected an object"),
        ({"point": [0, 0]}, "has no type"),
        ({"type": "tap", "points": [0, 0]}, r"has \['points'\]"),
        ({"type": "tap", "point": [0]}, "expected two numbers"),
        ({"type": "type", "text": 3}, "text is 3: expected a str"),
        ({"type": "wait", "ms": 2.5}, "expected an int"),
    ],
)
def test_json_that_is_no_action_is_refused(saved, said):
    with pytest.raises(ValueError, match=said):
        GuiAction.from_json(saved)
