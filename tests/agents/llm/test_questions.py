"""Questions and forms: every action of a space can be asked for and read back, and nothing else can."""

import json
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ethogram.agents.llm import Asked, Choice, Clicks, Malformed, OnScreen, Score, Whole, Written, read, schema_of
from ethogram.envs.browser import BrowserGui
from ethogram.envs.gui import KEYS, TYPES, USED_BY, GuiActions, SymbolicGui, action_space
from ethogram.envs.gui_tasks import carry
from ethogram.envs.sessions import Slates
from ethogram.simulator import Draws, Sites


def answers_to(question):
    """Every answer that a draw can give; of a score the lowest and the highest."""
    if isinstance(question, Score):
        return [(0, 0.0), (9, 1 - 2**-24)]
    return [(k, 0.0) for k in range(len(question.options))]


def ways(form, seen=None, written=()):
    """Every action of a form, and the questions that led to it; written: the texts that are written."""

    def go(path):
        asking = form.ask(seen)
        asked, answer = [], None
        try:
            for token in [*path, None]:
                asked.append(asking.send(answer))
                if token is not None:
                    answer = asked[-1].value(*token)
        except StopIteration as end:
            yield end.value, asked
            return
        question = asked[-1]
        nexts = [(text, 0.0) for text in written] if isinstance(question, Written) else answers_to(question)
        for token in nexts:
            yield from go([*path, token])

    return go([])


SMALL = {
    "one": spaces.Discrete(1),
    "few": spaces.Discrete(3, start=-1),
    "letters": spaces.Discrete(26),
    "two levels": spaces.Discrete(27),
    "many": spaces.Discrete(700, start=5),
    "flags": spaces.MultiBinary(4),
    "a table of flags": spaces.MultiBinary([2, 2]),
    "numbers": spaces.MultiDiscrete([2, 3, 2]),
    "citizens": spaces.MultiDiscrete([2, 2], dtype=np.int8),
    "a table": spaces.MultiDiscrete([[2, 3], [1, 2]]),
    "ints": spaces.Box(-2, 3, (2,), np.int64),
    "slates": Slates(4, 3),
    "long slates": Slates(30, 1),
    "dict": spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Dict({"a": spaces.MultiBinary(2)})}),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_action_of_a_finite_space_is_asked_for_by_one_way_and_no_other_action_is(name):
    space = SMALL[name]
    found = [action for action, _ in ways(Asked(space))]
    assert all(space.contains(action) for action in found)
    keys = [str(action) for action in found]
    assert len(set(keys)) == len(keys)
    for _ in range(200):
        assert str(space.sample()) in set(keys)


@pytest.mark.parametrize("name", SMALL)
def test_no_question_has_more_than_26_options(name):
    for _, asked in ways(Asked(SMALL[name])):
        assert all(2 <= len(question.options) <= 26 for question in asked)


def test_larger_discrete_spaces_take_two_questions_and_huge_ones_are_refused_at_the_door():
    assert {len(asked) for _, asked in ways(Asked(spaces.Discrete(27)))} <= {1, 2}
    assert {len(asked) for _, asked in ways(Asked(spaces.Discrete(676)))} == {2}
    with pytest.raises(ValueError, match="17,576"):
        Asked(spaces.Discrete(1 << 40))


@settings(deadline=None)
@given(low=st.integers(-1000, 1000), width=st.integers(10, 100_000), u=st.floats(0, 1, exclude_max=True))
def test_levels_of_whole_numbers_are_a_partition_whose_every_number_can_be_had(low, width, u):
    score = Score("n", low, low + width, whole=True)
    ends = [tuple(map(int, o.replace("to", "").split())) for o in score.options]
    assert ends[0][0] == low
    assert ends[-1][-1] == low + width
    assert all(a[-1] + 1 == b[0] for a, b in pairwise(ends))
    for level, end in enumerate(ends):
        assert end[0] <= score.value(level, u) <= end[-1]
        assert {score.value(level, 0.0), score.value(level, 1 - 2**-40)} == {end[0], end[-1]}


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.floats(0, 1))
def test_levels_of_real_numbers_cover_the_box_and_stay_in_it(low, width, share):
    space = spaces.Box(np.float32(low), np.float32(low + width), (), np.float32)
    wanted = float(space.low) + share * (float(space.high) - float(space.low))
    score = Score("x", float(space.low), float(space.high))
    step = (score.high - score.low) / 10
    level = min(int((wanted - score.low) / step), 9) if step else 0
    within = min(max((wanted - score.low) / step - level, 0), 1) if step else 0
    value = score.value(level, within)
    assert value == pytest.approx(wanted, abs=1e-5 * max(abs(low), width))
    assert space.contains(np.array(value, np.float32))


def test_boxes_are_asked_by_ten_levels_or_by_each_of_few_whole_numbers():
    (_, [few]), *_ = ways(Asked(spaces.Box(0, 9, (), np.int64)))
    (_, [many]), *_ = ways(Asked(spaces.Box(0, 99, (), np.int64)))
    assert isinstance(few, Choice)
    assert many.options[:2] == ("0 to 9", "10 to 19")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Box(-np.inf, np.inf, (2,)), "no bounds"),
        (spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Box(0, np.inf, ())}), "no bounds"),
        (spaces.Sequence(spaces.Discrete(2)), "Sequence|Dict"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_the_door(space, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Asked(space)


def test_names_must_fit_and_stand_as_data_beside_our_options():
    (_, [question, *_]), *_ = ways(Asked(Slates(3, 2), {"item": ["Alien", "Brazil", "Casablanca"]}))
    assert question.options == ("item 0", "item 1", "item 2")
    assert question.texts == ("Alien", "Brazil", "Casablanca")
    with pytest.raises(ValueError, match="2 items: expected 3"):
        Asked(Slates(3, 2), {"item": ["Alien", "Brazil"]})
    with pytest.raises(ValueError, match="parts has 1"):
        Asked(spaces.MultiDiscrete([2, 2]), parts=("isolate",))


# Screens


def screen(task=None):
    world = SymbolicGui(carry(1) if task is None else task)
    _, seen = world.reset(Draws(0, torch.arange(1), scope="world"), Sites())
    return world, {name: column[0].numpy() for name, column in seen.items()}


def test_every_type_is_asked_for_with_those_parameters_alone_that_it_uses():
    world, seen = screen()
    types = set()
    for action, asked in ways(OnScreen(world.action_space, world.names), seen):
        assert world.action_space.contains(action)
        kind = TYPES[int(action["type"])]
        types.add(kind)
        used = {name for name in world.action_space if kind in USED_BY.get(name, ())}
        names = {question.name.split("/")[0].split(".")[0] for question in asked[1:]}
        assert names <= used | {"another text"} | ({"point"} if "element" in used else set())
        for name in set(world.action_space) - used - {"type"}:
            assert not np.any(action[name])
        assert kind != "scroll" or int(action["direction"]) > 0
    assert types == set(TYPES)


def test_elements_offered_are_those_of_the_present_screen():
    world, seen = screen()
    there = set(np.flatnonzero(seen["kind"]) + 1)
    tapped = {
        int(action["element"]) for action, _ in ways(OnScreen(world.action_space, world.names, types=("tap",)), seen)
    }
    assert tapped == there | {0}  # 0: another place


def test_every_word_can_be_typed():
    world, seen = screen()
    form = OnScreen(world.action_space, world.names, types=("type",))
    typed = {int(action["text"]) for action, _ in ways(form, seen)}
    assert typed == set(range(world.action_space["text"].n)) or typed == set(range(1, world.action_space["text"].n))


def test_the_full_schema_makes_actions_that_are_well_formed():
    space = action_space(4)
    form = OnScreen(space, BrowserGui.names.fget(None))
    seen = {
        "box": np.array([[0, 0, 1, 0.5], [0, 0.5, 1, 1], [0] * 4, [0] * 4], np.float32),
        "kind": np.array([3, 2, 0, 0]),
        "text": "Name\nSend",
        "value": "\n",
        "goal": 'Enter "Myron" and send.',
    }
    for kind in TYPES:
        made = [action for action, _ in ways(OnScreen(space, form.names, types=(kind,)), seen, ['"free"'])]
        batch = GuiActions(**form.stack(made, torch.device("cpu")))
        rows = [batch.row(k) for k in range(len(made))]  # raises for what is not well formed
        assert {row.type for row in rows} == {kind}
        if kind == "press":
            assert {row.key for row in rows} == set(KEYS[1:])
        if kind == "type":
            assert {"Myron", "free"} <= {row.text for row in rows}


def test_a_user_clicks_one_of_the_items_shown_or_none():
    seen = {"slate": np.array([4, 2, -1])}
    found = [action.tolist() for action, _ in ways(Clicks({"item": list("abcdef")}), seen)]
    assert found == [[True, False, False], [False, True, False], [False] * 3]


# JSON


WRITTEN = {
    **SMALL,
    "long": Slates(50, 5),
    "text": spaces.Text(5, min_length=0, charset="ab <é"),
    "tuple": spaces.Tuple([spaces.Discrete(3), spaces.MultiBinary(2)]),
    "screen": action_space(9),
    "wide": spaces.Box(-(2**53), 2**53, (), np.int64),
}


def as_json(space, element):
    """An element as a model would write it."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        pairs = element.items() if isinstance(element, dict) else enumerate(element)
        parts = {str(k): space[k] for k in (space.spaces if isinstance(space, spaces.Dict) else range(len(space)))}
        return {str(k): as_json(parts[str(k)], v) for k, v in pairs}
    if isinstance(element, str):
        return element
    if isinstance(space, Slates):
        return [item for item in element.tolist() if item >= 0]
    if isinstance(space, spaces.Box) and not np.issubdtype(space.dtype, np.integer):
        return np.round((element - space.low) / (space.high - space.low) * 100).astype(int).tolist()
    return element.tolist()


def obeys(schema, value):
    """Whether a value is of a schema, as far as ours go."""
    kind = schema["type"]
    if kind == "object":
        return set(value) == set(schema["required"]) and all(
            obeys(schema["properties"][k], v) for k, v in value.items()
        )
    if kind == "array":
        good = schema["minItems"] <= len(value) <= schema["maxItems"] and all(obeys(schema["items"], v) for v in value)
        return good and (not schema.get("uniqueItems") or len(set(value)) == len(value))
    if kind == "string":
        return schema["minLength"] <= len(value) <= schema["maxLength"]
    return type(value) is int and schema["minimum"] <= value <= schema["maximum"]


@pytest.mark.parametrize("name", WRITTEN)
def test_every_element_obeys_the_schema_and_is_read_back(name):
    space = WRITTEN[name]
    schema = schema_of(space)
    json.dumps(schema)
    for _ in range(100):
        element = space.sample()
        value = as_json(space, element)
        assert obeys(schema, value)
        again = read(space, json.dumps(value))
        assert space.contains(again)
        assert as_json(space, again) == value


BAD = [
    "",
    "no",
    "{",
    '"a"b',
    "[1, 2",
    "NaN",
    "Infinity",
    "1e999",
    "3.0",
    "true",
    "null",
    "-1",
    "3",
    "[0, 0]",
    "[3]",
    "[]",
    '{"a": 0}',
    '{"a": 0, "a": 1}',
    "1231231231231232",
    "[" * 100_000,
    "9" * 4000,
    '"' + "x" * 200_000 + '"',
    "2 2",
]


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize(
    "space",
    [spaces.Discrete(3), Slates(3, 2), spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Discrete(2)})],
    ids=["number", "slate", "dict"],
)
def test_what_is_no_action_is_refused_without_a_word_of_it(space, text):
    if (text, type(space)) in [("-1", spaces.Text)]:
        return
    with pytest.raises(Malformed) as caught:
        read(space, text)
    assert "xxxx" not in str(caught.value)
    assert "expected" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_bounds_that_servers_drop_are_looked_at_again():
    with pytest.raises(Malformed, match="0 to 100"):
        read(spaces.Box(0, 1, (), np.float32), "7926")
    with pytest.raises(Malformed, match="outside"):
        read(Slates(5, 3), "[1, 1]")
    with pytest.raises(Malformed, match="outside"):
        read(spaces.Text(5, charset="ab"), '"abc"')
    with pytest.raises(Malformed, match=r"\[1\].*0 to 1"):
        read(spaces.MultiDiscrete([3, 2]), "[2, 2]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=5,
).map(json.dumps)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(max_size=40) | JSON)
def test_whatever_is_written_is_an_element_or_malformed(text):
    for space in (spaces.Discrete(3), Slates(3, 2), action_space(2), spaces.MultiBinary(2)):
        with suppress(Malformed):
            assert space.contains(read(space, text))


def test_a_whole_action_is_one_question():
    space = spaces.MultiDiscrete([3, 2])
    asking = Whole(space).ask(None)
    question = next(asking)
    with pytest.raises(StopIteration) as end:
        asking.send(question.value("[2, 1]", 0.0))
    assert end.value.value.tolist() == [2, 1]
