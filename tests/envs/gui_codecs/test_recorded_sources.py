"""The codecs on what was recorded: everything is read, and scrolls go where each source says they go."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from ethogram.envs.gui_codecs import AITW, HAR, THOUSANDTHS, Calls, MiniWoBDemo, MobileUse, OSAtlas, ParseError, Units


def real(name):
    """A file of recorded histories, or a skip that says what is missing."""
    folder = Path(os.environ.get("ETHOGRAM_DATA", "data"))
    found = next((place for place in (folder / name, folder / "gui" / name) if place.exists()), None)
    if found is None:
        pytest.skip(f"no {name} in the folder that ETHOGRAM_DATA names, nor in gui/ there")
    return found


def lines(name):
    with gzip.open(real(name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_android_control_s_carrier_has_two_scroll_conventions_in_one_file():
    """Its paths were made from labels of the view: that way for up and down, and the other for left and right."""
    found, back = Counter(), 0
    for episode in lines("android_control_test.jsonl.gz"):
        for step in episode["steps"]:
            content = step["action_content"]
            codec = MobileUse(Units(1440, 3120))
            action = codec.decode(content)
            written = codec.encode(action)
            back += all(written.get(key, value) == value for key, value in content.items())
            if content["action"] == "swipe":
                found[step["check_options"]["direction"], action.direction] += 1
    assert found == {("down", "down"): 947, ("up", "up"): 96, ("left", "right"): 74, ("right", "left"): 94}
    assert back == 8444  # to the pixel


def test_the_steps_of_an_aitw_episode_are_read_and_written_back():
    file = next(iter(real("aitz_example").glob("*.json")))
    steps = json.loads(file.read_text(encoding="utf-8"))
    keys = ("result_touch_yx", "result_lift_yx")
    records = [step | {key: json.loads(step[key]) for key in keys} for step in steps]
    actions = [AITW().decode(record) for record in records]
    assert [action.type for action in actions] == ["home", "scroll", "tap", "done"]
    assert (actions[1].finger, actions[1].direction) == ("up", "down")  # from y = 0.54 to 0.001
    assert AITW().encode(actions[1])["result_lift_yx"] == records[1]["result_lift_yx"]


def test_har_s_answers_are_read_and_written_back():
    read = Counter()
    for name in ("har_gui_Round_1_RL.json.gz", "har_gui_Round_2_RL.json.gz"):
        with gzip.open(real(name), "rt", encoding="utf-8") as file:
            columns = json.load(file)
        for answer, size in zip(columns["ground_truth"], columns["resolution"], strict=True):
            if not answer.startswith("{"):  # a grounding label
                codec = HAR(Units(*(json.loads(size) if isinstance(size, str) else size)))
                action = codec.decode(answer)
                assert codec.encode(action) == answer
                read[action.type] += 1
    assert read == {"tap": 45, "scroll": 6, "done": 4, "home": 3, "back": 1, "type": 1}


def test_os_atlas_s_answers_are_read_and_written_back():
    for sample in lines("os_atlas_eval_samples.jsonl.gz"):
        answer = sample["conversations"][1]["value"]
        assert OSAtlas().encode(OSAtlas().decode(answer)) == answer.split("actions:\n")[1]


def test_human_demonstrations_are_read_and_written_back_but_for_drags_that_leave_the_page():
    codec, read, left = MiniWoBDemo(), Counter(), 0
    for episode in lines("miniwob_demos_actions.jsonl.gz"):
        for step in episode["steps"]:
            try:
                action = codec.decode(step["action"])
            except ParseError:
                left += 1
                assert step["action"]["type"] == "drag"
                continue
            assert codec.encode(action) == step["action"]
            read[action.type] += 1
    assert (read["tap"], read["press"], read["scroll"], read["type"], read["double_tap"]) == (
        61584,
        31185,
        4690,
        3199,
        933,
    )
    assert read["drag"] + left == 1299


def test_units_are_the_caller_s_to_say():
    """The same numbers are two places: nothing in the text tells pixels from thousandths."""
    text = "click(start_box='(540,800)')"
    assert Calls(Units(1080, 2400)).decode(text).point != Calls(THOUSANDTHS).decode(text).point
