"""Each dialect says what it says: round trips to the pixel, scrolls by its convention, errors with the place."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ethogram.envs.gui import DIRECTIONS, GuiAction
from ethogram.envs.gui_codecs import (
    AITW,
    HAR,
    THOUSANDTHS,
    AndroidJSON,
    BrowserGym,
    Calls,
    Mind2Web,
    MiniWoB,
    MiniWoBDemo,
    MobileUse,
    Odyssey,
    OSAtlas,
    ParseError,
    Units,
)

PHONE = Units(1080, 2400)
VIEWS = DIRECTIONS[1:]
words = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=12)
plain = words.map(str.strip).filter(lambda text: text[:1] != "(")  # what HAR writes without a place


def pixels(units):
    return st.tuples(st.integers(0, round(units.width)), st.integers(0, round(units.height)))


def paths(units, longest=0.04):
    far = st.tuples(pixels(units), pixels(units)).map(lambda pair: tuple(units.read(*point) for point in pair))
    return far.filter(lambda path: GuiAction("drag", *path).amount > longest)


def placed(kind, units, **more):
    return st.builds(lambda p: GuiAction(kind, units.read(*p), **more), pixels(units))


def scrolls(units):
    return paths(units).map(lambda path: GuiAction("scroll", *path))


view_scrolls = st.sampled_from(VIEWS).map(lambda way: GuiAction("scroll", direction=way))
typed = words.map(lambda text: GuiAction("type", text=text))
opened = words.map(lambda text: GuiAction("open", text=text))
ends = st.sampled_from([GuiAction("done", status="success"), GuiAction("done", status="infeasible")])
enter = st.just(GuiAction("press", key="Enter"))
back, home, recent, wait = (st.just(GuiAction(kind)) for kind in ("back", "home", "recent", "wait"))
page = Units(1280, 720)
small = Units(160, 210)

control_c = st.just(GuiAction("press", key="Control+c"))


def said_in_calls(units):
    quoted = st.just(GuiAction("type", text='it\'s\n\\ "x"', submit=True))
    taps = [placed("tap", units), placed("long_press", units, ms=1500), quoted]
    return [*taps, typed, opened, view_scrolls, scrolls(units), ends, enter, back, home, wait]


SAYS = [  # codec, what it can say without loss
    (AITW(), [typed, back, home, enter, ends, placed("tap", Units(1, 1)), scrolls(PHONE)]),
    (
        AndroidJSON(PHONE),
        [*(placed(kind, PHONE) for kind in ("tap", "double_tap", "long_press")), typed, opened, view_scrolls]
        + [
            back,
            home,
            enter,
            ends,
            wait,
            placed("type", PHONE, text="x", clear=True),
            st.just(GuiAction("tap", element=3)),
        ],
    ),
    (
        Odyssey(),
        [
            placed("tap", THOUSANDTHS),
            placed("long_press", THOUSANDTHS),
            scrolls(THOUSANDTHS),
            typed,
            back,
            home,
            recent,
            ends,
        ],
    ),
    (Mind2Web(page), [placed("tap", page), placed("type", page, text="a b"), placed("select", page, text="c"), enter]),
    (MiniWoB(small), [placed("tap", small), placed("double_tap", small), placed("hover", small), typed, enter]),
    (MiniWoB(), [st.just(GuiAction("tap", element=7)), st.just(GuiAction("type", element=7, text="x"))]),
    (MiniWoBDemo(), [placed("tap", small), placed("double_tap", small), typed, enter, st.just(GuiAction("scroll"))]),
    (MiniWoBDemo(), [paths(small).map(lambda path: GuiAction("drag", *path))]),
    (
        BrowserGym(page),
        [
            placed("tap", page),
            placed("double_tap", page),
            placed("hover", page),
            typed,
            opened,
            view_scrolls,
            back,
            enter,
        ]
        + [st.just(GuiAction("type", element=4, text="it's", clear=True)), st.just(GuiAction("wait", ms=300)), ends]
        + [st.just(GuiAction("select", element=4, text="b")), paths(page).map(lambda path: GuiAction("drag", *path))],
    ),
    (
        MobileUse(PHONE),
        [
            placed("tap", PHONE),
            placed("long_press", PHONE, ms=1500),
            scrolls(PHONE),
            typed,
            opened,
            back,
            home,
            enter,
            wait,
        ]
        + [ends, st.just(GuiAction("done", status="success", text="42"))],
    ),
    (Calls(PHONE, "view", "hicon"), [*said_in_calls(PHONE), recent]),
    (Calls(THOUSANDTHS, "finger"), [*said_in_calls(THOUSANDTHS), placed("double_tap", THOUSANDTHS), control_c]),
    (
        OSAtlas(),
        [placed("tap", THOUSANDTHS), placed("long_press", THOUSANDTHS), typed, opened, view_scrolls, ends, enter]
        + [back, home, recent, wait],
    ),
    (
        HAR(PHONE),
        [placed("tap", PHONE), placed("long_press", PHONE), plain.map(lambda text: GuiAction("type", text=text)), ends]
        + [
            placed("select", PHONE, text="10% (or so)"),
            placed("type", PHONE, text="a, b"),
            view_scrolls,
            back,
            home,
            recent,
        ],
    ),
]


@pytest.mark.parametrize(("codec", "says"), SAYS, ids=lambda value: repr(value) if hasattr(value, "decode") else "")
@given(data=st.data())
def test_what_is_written_reads_back_to_the_pixel(codec, says, data):
    action = data.draw(st.one_of(says))
    written = codec.encode(action)
    back = codec.decode(written)
    assert codec.encode(back) == written
    assert (back.type, back.text, back.direction, back.key, back.status, back.element, back.ms) == (
        *(action.type, action.text, action.direction, action.key, action.status, action.element, action.ms),
    )
    if action.point and not (action.type == "scroll" and back.point is None):
        assert back.point == pytest.approx(action.point, abs=1e-9)
        assert not action.point2 or back.point2 == pytest.approx(action.point2, abs=1e-9)


@pytest.mark.parametrize(
    ("codec", "source", "action"),
    [
        (AITW(), {"result_action_type": 4, "result_touch_yx": [0.8, 0.5], "result_lift_yx": [0.2, 0.5]}, "down"),
        (Odyssey(), {"action": "SCROLL", "info": [[500, 800], [500, 200]]}, "down"),  # the finger goes up
        (MobileUse(PHONE), {"action": "swipe", "coordinate": [540, 1800], "coordinate2": [540, 600]}, "down"),
        (AndroidJSON(PHONE), {"action_type": "scroll", "direction": "down"}, "down"),
        (AndroidJSON(PHONE), {"action_type": "swipe", "direction": "up"}, "down"),  # "inverse of scroll" there
        (BrowserGym(page), "scroll(0, 200)", "down"),
        (MiniWoB(), {"action_type": "SCROLL_DOWN_COORDS", "coords": [80, 100]}, "down"),
        (Calls(PHONE), "scroll(start_box='(540,1200)', direction='down')", "down"),
        (Calls(PHONE, "finger"), "scroll(direction='up')", "down"),
        (OSAtlas(), "thoughts:\nx\nactions:\nSCROLL [DOWN]", "down"),
        (HAR(PHONE), "SCROLL:UP", "down"),
    ],
)
def test_each_dialect_scrolls_by_its_own_convention(codec, source, action):
    """All of these bring what stands further down into view."""
    assert codec.decode(source).direction == action


@pytest.mark.parametrize(
    ("source", "point"),
    [
        ("click(start_box='(108,240)')", (0.1, 0.1)),
        ("<think>a</think><action>click(start_box='<|box_start|>(108, 240)<|box_end|>')</action>", (0.1, 0.1)),
        ("click(point='<point>108 240</point>')", (0.1, 0.1)),
        ("click(start_box='[0,0,216,480]')", (0.1, 0.1)),
    ],
)
def test_the_four_ways_to_write_a_point_in_a_call(source, point):
    assert Calls(PHONE).decode(source).point == pytest.approx(point)


TEXTS = [  # codec, text, where it is wrong (the part that begins there), what is said to be expected
    (Calls(PHONE), "clik(start_box='(1,2)')", "clik", "one of"),
    (Calls(PHONE), "click(start_bx='(1,2)')", "start_bx", "'start_box'"),
    (Calls(PHONE), "click(start_box='(1;2)')", ";2", "','"),
    (Calls(PHONE), "click(start_box='(1200,2)')", "1200", "x from 0 to 1080"),
    (Calls(PHONE), "click(start_box='(1,2)'", "", "','"),
    (Calls(PHONE), "click()", ")", "the argument start_box"),
    (Calls(PHONE), "click(start_box='(1,2)') or so", "or so", "the end"),
    (Calls(PHONE), "type(content='it's')", "s')", "','"),
    (Calls(PHONE), "scroll(direction='downwards')", "downwards", "one of"),
    (Calls(PHONE), "scroll()", ")", "a direction, or start_box and end_box"),
    (Calls(PHONE), "hotkey(key='hyper x')", "hyper", "a key"),
    (Calls(PHONE), "wait(time='soon')", "soon", "a number"),
    (OSAtlas(), "CLICK [[1,2]]", " [[1", "'<point>[['"),
    (OSAtlas(), "CLICK <point>[[1,2000]]</point>", "1,2000", "y from 0 to 1000"),
    (OSAtlas(), "TYPE [x", "", "']'"),
    (OSAtlas(), "SCROLL [UPWARDS]", "WARDS", "']'"),
    (OSAtlas(), "click <point>[[1,2]]</point>", "click", "one of"),
    (HAR(PHONE), "<answer>CLICK:(1,2</answer>", "</answer>", "')'"),
    (HAR(PHONE), "SELECT:(1,2", "", "','"),
    (BrowserGym(page), "click('a51')", "'a51'", "a bid that is a number"),
    (BrowserGym(page), "click({[]: 1})", "{[]", "text or a number"),
    (BrowserGym(page), "noop(1e9)", "1e9", "0 to 60000"),
    (Calls(PHONE), "scroll(start_box='(1,1)', end_box='(1,1)', direction='up')", "(1,1)', direction", "another point"),
    (BrowserGym(page), "mouse_click(1, )", "1, )", "2 arguments"),
    (BrowserGym(page), "mouse_click(1, 'x')", "'x'", "a number"),
    (BrowserGym(page), "mouse_click(1, 2", "(1, 2", "one call in Python"),
    (BrowserGym(page), "eval('1')", "eval", "a call of one of"),
    (BrowserGym(page), "scroll(3, 4)", "3, 4", "along one axis"),
    (MobileUse(PHONE), '{"action": "wait"', "", "JSON"),
    (MobileUse(PHONE), "[1]", "[1]", "a JSON object"),
]


@pytest.mark.parametrize(("codec", "text", "rest", "expected"), TEXTS, ids=[text for _, text, _, _ in TEXTS])
def test_text_that_is_no_action_says_where(codec, text, rest, expected):
    with pytest.raises(ParseError, match=re.escape(expected)) as caught:
        codec.decode(text)
    assert isinstance(caught.value.at, int)
    left = text[caught.value.at :].strip()
    assert left.startswith(rest.strip()) if rest else not left


@pytest.mark.parametrize(
    ("codec", "record", "key", "expected"),
    [
        (AITW(), {"result_action_type": 9}, "result_action_type", "one of [3, 4, 5, 6, 7, 10, 11]"),
        (AITW(), {"result_action_type": 4}, "result_touch_yx", "two numbers"),
        (AITW(), {"result_action_type": 4, "result_touch_yx": [2, 0]}, "result_touch_yx", "x from 0 to 1"),
        (AITW(), {}, "result_action_type", "got nothing"),
        (AndroidJSON(PHONE), {"action_type": "click", "x": 3}, "y", "a number"),
        (AndroidJSON(PHONE), {"action_type": "scroll", "direction": "down "}, "direction", "one of"),
        (AndroidJSON(PHONE), {"action_type": "status", "goal_status": "done"}, "goal_status", "one of"),
        (Odyssey(), {"action": "CLICK", "info": "KEY_MENU"}, "info", "one of"),
        (Odyssey(), {"action": "SCROLL", "info": [[1, 2]]}, "info", "2 points"),
        (Mind2Web(page), {"operation": "CLICK", "value": "", "bbox_xywh": []}, "bbox_xywh", "has no positive"),
        (MiniWoB(), {"action_type": "CLICK_ELEMENT"}, "ref", "an element's number"),
        (MiniWoB(), {"action_type": "PRESS_KEY", "key": "<F13>"}, "key", "a key of the schema"),
        (MiniWoBDemo(), {"type": "click", "x": 161, "y": 0}, "x", "x from 0 to 160"),
        (MobileUse(PHONE), {"action": "system_button", "button": "Menu"}, "button", "one of ['Back', 'Home', 'Enter']"),
        (MobileUse(PHONE), {"action": "wait", "time": "2"}, "time", "seconds"),
    ],
)
def test_a_record_that_is_no_action_names_the_key(codec, record, key, expected):
    with pytest.raises(ParseError, match=re.escape(expected)) as caught:
        codec.decode(record)
    assert caught.value.at == key


CODECS = [AITW(), AndroidJSON(PHONE), BrowserGym(page), Calls(PHONE), HAR(PHONE), Mind2Web(page), MiniWoB()]
CODECS += [MiniWoBDemo(), MobileUse(PHONE), Odyssey(), OSAtlas()]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: type(codec).__name__)
@pytest.mark.parametrize("wrong", [None, 3, [1], "fly", {"fly": 1}], ids=repr)
def test_what_is_neither_text_nor_record_is_a_parse_error_too(codec, wrong):
    """Predictions come as they were written: one of another kind must not end the scoring of all others."""
    with pytest.raises(ParseError, match=r"expected (text|a dict with|one of|one call|a call|JSON|the name)"):
        codec.decode(wrong)


@pytest.mark.parametrize(
    ("codec", "action", "said"),
    [
        (AITW(), GuiAction("hover", (0, 0)), "AITW has no hover"),
        (AITW(), GuiAction("tap", element=3), "no element"),
        (AITW(), GuiAction("scroll", direction="up"), "no path"),
        (AITW(), GuiAction("type", (0, 0), text="x"), "no point"),
        (Odyssey(), GuiAction("open", text="Clock"), "no text"),
        (Odyssey(), GuiAction("wait"), "GUI-Odyssey has no wait"),
        (OSAtlas(), GuiAction("tap", element=3), "no element"),
        (OSAtlas(), GuiAction("type", text="x", submit=True), "no submit"),
        (HAR(PHONE), GuiAction("type", text="(1,2)"), "would read"),
        (MiniWoB(), GuiAction("drag", (0, 0), (1, 1)), "MiniWoB\\+\\+ has no drag"),
        (BrowserGym(page), GuiAction("home"), "BrowserGym has no home"),
        (MobileUse(PHONE), GuiAction("scroll", direction="up"), "no path"),
        (Calls(PHONE), GuiAction("select", (0, 0), text="x"), "no text"),
        (Calls(PHONE, dialect="hicon"), GuiAction("press", key="Tab"), "hicon has no press"),
    ],
)
def test_what_a_dialect_cannot_say_is_refused(codec, action, said):
    with pytest.raises(ValueError, match=said):
        codec.encode(action)


def test_units_without_a_screen_are_refused():
    with pytest.raises(ValueError, match="0 x 10"):
        Units(0, 10)
    with pytest.raises(TypeError, match="height is a str: expected a number"):
        Units(10, "10")
    for codec in (AndroidJSON, BrowserGym, Calls, HAR, Mind2Web, MiniWoB, MiniWoBDemo, MobileUse, OSAtlas):
        with pytest.raises(TypeError, match="units is a tuple: expected Units"):
            codec((1080, 2400))


def test_conventions_that_are_none_are_refused():
    for codec in (Calls, HAR, OSAtlas):
        with pytest.raises(ValueError, match="scrolls is 'up': expected one of"):
            codec(PHONE, scrolls="up")
    with pytest.raises(ValueError, match="dialect is 'qwen'"):
        Calls(PHONE, dialect="qwen")


SEEDS = [
    (Calls(PHONE), "scroll(start_box='(1,1)', end_box='(2,2)', direction='up')"),
    (Calls(PHONE), "long_press(start_box='<point>1 2</point>', time='1')"),
    (Calls(PHONE), "click(start_box='[1,2,3,4]')"),
    (OSAtlas(), "CLICK <point>[[1,2]]</point>"),
    (OSAtlas(), "SCROLL [UP]"),
    (HAR(PHONE), "SELECT:(1,2,x)"),
    (BrowserGym(page), "mouse_drag_and_drop(1, 2, 3, 4)"),
    (BrowserGym(page), "noop(1000)"),
    (BrowserGym(page), "fill('12', 'x')"),
    (MobileUse(PHONE), '<tool_call>{"name": "mobile_use", "arguments": {"action": "wait", "time": 2}}</tool_call>'),
    (MobileUse(PHONE), '{"action": "swipe", "coordinate": [1, 2], "coordinate2": [3, 4]}'),
]


@given(st.sampled_from(SEEDS), st.data())
def test_text_with_errors_is_an_action_or_a_parse_error(seed, data):
    """Cut, doubled and changed anywhere: nothing else comes of it."""
    codec, text = seed
    for _ in range(data.draw(st.integers(1, 3))):
        at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        new = data.draw(
            st.sampled_from(["", text[at:end] * 2, "9", "-", "e9", "'", "(", "]", ",", "\n", "\\", "{", "null"])
        )
        text = text[:at] + new + text[end:]
    at: int | str = 0
    try:
        assert isinstance(codec.decode(text), GuiAction)
    except ParseError as error:
        at = error.at
    assert isinstance(at, str) or 0 <= at <= len(text)


RECORDS = [
    (AITW(), {"result_action_type": 4, "result_touch_yx": [0.5, 0.5], "result_lift_yx": [0.1, 0.5]}),
    (AITW(), {"result_action_type": 3, "result_action_text": "x"}),
    (AndroidJSON(PHONE), {"action_type": "input_text", "x": 1, "y": 2, "text": "x", "index": None}),
    (AndroidJSON(PHONE), {"action_type": "status", "goal_status": "complete"}),
    (Odyssey(), {"action": "SCROLL", "info": [[1, 2], [3, 4]]}),
    (Odyssey(), {"action": "CLICK", "info": "KEY_BACK"}),
    (Mind2Web(page), {"operation": "SELECT", "value": "x", "bbox_xywh": [[1, 2, 3, 4]]}),
    (MiniWoB(), {"action_type": "FOCUS_ELEMENT_AND_TYPE_TEXT", "ref": 1, "text": "x"}),
    (MiniWoB(), {"action_type": "PRESS_KEY", "key": "C-a"}),
    (MiniWoBDemo(), {"type": "drag", "x": 1, "y": 2, "x2": 3, "y2": 4}),
    (MobileUse(PHONE), {"action": "long_press", "coordinate": [1, 2], "time": 2}),
]
odd = st.sampled_from(
    [None, True, -1, 0, 1e9, float("nan"), "", "x", [], [1], [[1, 2]], [["a", "b"]], {}, [None, None]]
)


@given(st.sampled_from(RECORDS), st.data())
def test_a_record_with_errors_is_an_action_or_a_parse_error(seed, data):
    codec, record = seed
    changed = {**record, data.draw(st.sampled_from(list(record))): data.draw(odd)}
    changed.pop(data.draw(st.sampled_from([*record, "none"])), None)
    at: int | str = next(iter(record))
    try:
        assert isinstance(codec.decode(changed), GuiAction)
    except ParseError as error:
        at = error.at
    assert at in {*record, "direction", "coords", "result_action_text", "button", "text", "x", "y"}
