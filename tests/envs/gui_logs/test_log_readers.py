"""Readers: the formats as their sources write them, written here by hand; and what is wrong in which record."""

import gzip
import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from ethogram.envs.gui import GuiAction
from ethogram.envs.gui_logs import (
    Recording,
    load_aitw,
    load_android_control,
    load_mind2web,
    load_miniwob,
    load_odyssey,
)
from ethogram.envs.gui_logs.tfrecord import masked_crc
from ethogram.envs.gui_metrics import RecordedEpisode


def crc32c(data):
    """RFC 3720's checksum, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(data):
    head = struct.pack("<Q", len(data))
    return head + masked(head) + data + masked(data)


def varint(value):
    value &= (1 << 64) - 1
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number, value):
    """A field of a protocol buffer: an int, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def example(features, packed=True):
    """A tf.train.Example: ints, floats, texts and bytes by name."""
    entries = b""
    for name, values in features.items():
        values = values if isinstance(values, list) else [values]
        values = [value.encode() if isinstance(value, str) else value for value in values]
        if values and isinstance(values[0], float):
            data = struct.pack(f"<{len(values)}f", *values)
            several = [varint(1 << 3 | 5) + data[i : i + 4] for i in range(0, len(data), 4)]
            feature = field(2, field(1, data) if packed else b"".join(several))
        elif values and isinstance(values[0], int):
            ints = field(1, b"".join(map(varint, values))) if packed else b"".join(field(1, v) for v in values)
            feature = field(3, ints)
        else:
            feature = field(1, b"".join(field(1, value) for value in values))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def node(box, text="", clickable=False):
    """A node of an accessibility tree; zeros are left out, as protocol buffers do."""
    rectangle = b"".join(field(i, value) for i, value in enumerate(box, 1) if value)
    more = (field(7, text.encode()) if text else b"") + (field(14, 1) if clickable else b"")
    return field(1, field(1, 7) + field(2, rectangle) + more)


def forest(*nodes):
    return field(1, field(3, 1) + field(11, b"".join(nodes)))


def android_control(**changes):
    row = node((0, 240, 540, 480), "Wi-Fi", clickable=True)
    screen = forest(node((0, 0, 1080, 2400)), row, node((0, 300, 540, 420), "on"), node((-5, 0, -5, 9), "gone"))
    features = {
        "episode_id": 12,
        "goal": "turn on Wi-Fi",
        "screenshots": [b"PNG", b"PNG", b"PNG"],
        "accessibility_trees": [screen, screen, screen],
        "screenshot_widths": [1080, 1080, 1080],
        "screenshot_heights": [2400, 2400, 2400],
        "actions": ['{"action_type": "click", "x": 270, "y": 360}', '{"action_type": "scroll", "direction": "down"}'],
        "step_instructions": ["tap Wi-Fi", "scroll down"],
        **changes,
    }
    return {name: value for name, value in features.items() if value is not None}


def written(path, *records, pack=False):
    data = b"".join(map(framed, records))
    path.write_bytes(gzip.compress(data) if pack else data)
    return path


def test_checksums_are_those_of_the_rfc():
    """RFC 3720, B.4."""
    for data, expected in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (b"123456789", 0xE3069283)):
        assert crc32c(data) == expected
        assert struct.pack("<I", masked_crc(data)) == masked(data)


@pytest.mark.parametrize("pack", [True, False])
def test_android_control_is_read_from_its_tfrecords(tmp_path, pack):
    records = [example(android_control(), packed=pack), example(android_control(episode_id=13))]
    written(tmp_path / "android_control-00000-of-00020", *records, pack=pack)
    recording = load_android_control(tmp_path)
    assert [episode.id for episode in recording.episodes] == ["12", "13"]
    first, second = recording.episodes[0].steps
    assert first.reference == GuiAction("tap", (0.25, 0.15))
    assert first.boxes == ((0, 0.1, 0.5, 0.2),)
    assert first.texts == ("Wi-Fi",)
    assert first.elements == ((0, 0.1, 0.5, 0.2), (0, 0.125, 0.5, 0.175))  # no container, and nothing without an area
    assert first.labels == ("Wi-Fi", "on")
    assert (first.screen, first.instruction) == ((1080, 2400), "tap Wi-Fi")
    assert (second.reference.direction, second.boxes) == ("down", ())
    arrays = recording.arrays
    assert arrays.strings == ("", "Wi-Fi", "on")
    assert arrays.label.tolist() == [[1, 2]] * 4
    assert arrays.first.tolist() == [0, 2]
    assert arrays.elements.tolist() == [2] * 4


def aitw(number, **changes):
    return example(
        {
            "episode_id": "77",
            "episode_length": 2,
            "step_id": number,
            "goal_info": "open the clock",
            "image/height": 600,
            "image/width": 300,
            "image/encoded": b"raw",
            "image/ui_annotations_positions": [0.5, 0.25, 0.25, 0.5, 0.0, 0.0, 0.1, 0.1],
            "image/ui_annotations_text": ["Clock", ""],
            "image/ui_annotations_ui_types": ["TEXT", "ICON_X"],
            "results/action_type": 4,
            "results/type_action": "",
            "results/yx_touch": [0.625, 0.5],
            "results/yx_lift": [0.625, 0.5],
            **changes,
        }
    )


def test_aitw_is_read_from_its_tfrecords_and_episodes_that_are_cut_are_told(tmp_path):
    (tmp_path / "general").mkdir()
    end = {"results/action_type": 10, "results/yx_touch": [-1.0, -1.0], "results/yx_lift": [-1.0, -1.0]}
    records = [aitw(0), aitw(1, **end), aitw(0, episode_id="78")]
    written(tmp_path / "general" / "general-00000-of-00321", *records, pack=True)
    recording = load_aitw(tmp_path)
    assert recording.left_out == ("episode 78: 1 of its 2 steps are there",)
    (episode,) = recording.episodes
    assert (episode.goal, episode.group) == ("open the clock", "general")
    tapped, done = episode.steps
    assert tapped.reference == GuiAction("tap", (0.5, 0.625))
    assert tapped.boxes == ((0.25, 0.5, 0.75, 0.75),)
    assert tapped.texts == ("Clock",)
    assert tapped.labels == ("Clock", "")
    assert done.reference == GuiAction("done", status="success")


def test_what_is_wrong_in_a_tfrecord_is_told_with_its_record(tmp_path):
    path = tmp_path / "android_control-00000-of-00001"
    good = framed(example(android_control()))
    broken = bytearray(good + good)
    broken[-20] ^= 1
    cases = {
        "record 1 of .* is damaged: the checksum of its .* bytes": bytes(broken),
        "record 1 of .* is cut short": (good + good)[:-9],
        "record 1 of .* is cut short after 7 of the 12": good + good[:7],
        "record 0 of .* is none of a TFRecord file": b"a file of another kind",
        "no whole file": gzip.compress(good * 50)[:-40],
        "is empty": b"",
        r"record 0 of .*, episode 12: it has .* expected as many": framed(
            example(android_control(step_instructions=["x"]))
        ),
        r"record 0 of .*episode 12, step 1: 'action_type'": framed(
            example(android_control(actions=['{"action_type": "wait"}', '{"action_type": "fly"}']))
        ),
        r"record 0 of .*: there is no feature 'goal'": framed(example(android_control(goal=None))),
        r"record 0 of .*: feature 'goal' holds 3": framed(example(android_control(goal=3))),
        r"record 0 of .*episode 12, step 0: byte .* where": framed(
            example(android_control(accessibility_trees=[b"\x0a\x7f"] * 3))
        ),
    }
    for message, content in cases.items():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message.replace(", episode 12:", ": episode 12:")):
            load_android_control(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no"):
        load_android_control(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_android_control(tmp_path / "nowhere")


def test_whatever_is_wrong_in_a_record_of_a_tfrecord_it_is_named(tmp_path):
    """Bytes of good records that are others, with checksums that fit: read, or refused with where they stand."""
    luck, refused = np.random.default_rng(0), 0
    for load, good, name in (
        (load_android_control, example(android_control()), "android_control-0"),
        (load_aitw, aitw(0, episode_length=1), "general-0-of-1"),
    ):
        for _ in range(400):
            data = bytearray(good)
            data[int(luck.integers(len(data)))] = int(luck.integers(256))
            path = written(tmp_path / name, bytes(data))
            try:
                assert load(path).arrays.goal.dtype == object
            except ValueError as error:
                named = f"record 0 of {path}" in str(error) or "left out: episode" in str(error)
                refused += named
                if not named:
                    raise
    assert refused > 100


def test_android_control_in_lines_is_told_apart_by_what_it_holds(tmp_path):
    step = {"action_content": {"action": "click", "coordinate": [540, 1200]}, "check_options": {}}
    step["check_options"] = {"action": "click", "coordinate": [540, 1200], "candidate_bbox": [[0, 0, 1080, 2400]]}
    (tmp_path / "b.jsonl").write_text(json.dumps({"episode_id": 1, "goal": "g", "steps": [step]}))
    written(tmp_path / "android_control-00000-of-00020", example(android_control()), pack=True)
    assert [episode.id for episode in load_android_control(tmp_path).episodes] == ["12", "1"]
    step["check_options"]["candidate_bbox"] = [[0, 0, 1080]]
    (tmp_path / "b.jsonl").write_text("\n" + json.dumps({"episode_id": 1, "goal": "g", "steps": [step]}))
    with pytest.raises(
        ValueError, match=r"episode 1, step 0 \(line 2 of .*b.jsonl\): a box .* expected 4 finite numbers"
    ):
        load_android_control(tmp_path / "b.jsonl")


def png(path, width=270, height=600):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(9))


def aitz(number, **changes):
    return {
        "episode_id": "5",
        "episode_length": 1,
        "step_id": number,
        "instruction": "go home",
        "ui_positions": "[[300, 27, 60, 54]]",
        "ui_text": '["OK"]',
        "result_action_type": 4,
        "result_action_text": "",
        "result_touch_yx": "[0.55, 0.2]",
        "result_lift_yx": "[0.55, 0.2]",
        "image_path": "google_apps/X/X_0.png",
        "coat_action_desc": "tap OK",
        **changes,
    }


def test_aitz_is_read_with_boxes_in_pixels_of_its_pictures(tmp_path):
    path = tmp_path / "X.json"
    path.write_text(json.dumps([aitz(0)]))
    with pytest.raises(ValueError, match=r"record 0 of .*, episode 5, step 0: the picture .* is not there"):
        load_aitw(path)
    png(tmp_path / "X_0.png")
    (episode,) = load_aitw(path).episodes
    (step,) = episode.steps
    assert (episode.group, step.instruction, step.screen) == ("google_apps", "tap OK", (270, 600))
    assert np.allclose(step.boxes, [[0.1, 0.5, 0.3, 0.6]])
    assert step.texts == ("OK",)
    for change, message in (
        ({"ui_text": "[]"}, "1 boxes and 0 texts"),
        ({"result_action_type": 2}, "'result_action_type'"),
        ({"ui_positions": "[[1]]"}, "expected 4 finite numbers"),
    ):
        path.write_text(json.dumps([aitz(0, **change)]))
        with pytest.raises(ValueError, match=rf"record 0 of .*, episode 5, step 0: .*{message}"):
            load_aitw(path)
    path.write_text(json.dumps([aitz(0), aitz(0)]))
    with pytest.raises(ValueError, match="step 0 of episode 5 comes twice"):
        load_aitw(path)


def odyssey(**changes):
    steps = [
        {"action": "CLICK", "info": [[500, 250]], "sam2_bbox": [450, 200, 550, 300], "low_level_instruction": "tap"},
        {"action": "CLICK", "info": "KEY_BACK"},
        {"action": "COMPLETE", "info": "", "sam2_bbox": []},
    ]
    return {
        "episode_id": "00",
        "device_info": {"w": 1440, "h": 3120},
        "task_info": {"category": "Tool", "instruction": "do it"},
        "step_length": 3,
        "steps": steps,
        **changes,
    }


def test_odyssey_is_read_from_a_folder_of_annotations(tmp_path):
    (tmp_path / "00.json").write_text(json.dumps(odyssey()))
    (tmp_path / "01.json.gz").write_bytes(gzip.compress(json.dumps(odyssey(episode_id="01")).encode()))
    recording = load_odyssey(tmp_path)
    assert [episode.id for episode in recording.episodes] == ["00", "01"]
    steps = recording.episodes[0].steps
    assert [step.reference.type for step in steps] == ["tap", "back", "done"]
    assert np.allclose(steps[0].boxes, [[0.45, 0.2, 0.55, 0.3]])
    assert (steps[0].instruction, steps[0].screen, recording.episodes[1].group) == ("tap", (1440, 3120), "Tool")
    for change, message in (
        ({"task_info": {}}, r"episode 00 \(.*00.json\): 'task_info' has no 'instruction'"),
        ({"step_length": 4}, "has 3 steps, and 'step_length' is 4"),
        ({"steps": [{"action": "CLICK", "info": [[500, 1001]]}], "step_length": 1}, "episode 00, step 0 .*'info'"),
        ({"steps": {}}, "'steps' of the record is {}: expected list"),
    ):
        (tmp_path / "00.json").write_text(json.dumps(odyssey(**change)))
        with pytest.raises(ValueError, match=message):
            load_odyssey(tmp_path / "00.json")


def candidate(rectangle, tag="a"):
    return {"tag": tag, "attributes": json.dumps({"bounding_box_rect": rectangle}), "backend_node_id": "1"}


def test_mind2web_is_read_from_its_own_json(tmp_path):
    actions = [
        {
            "action_uid": "u",
            "operation": {"op": "SELECT", "original_op": "SELECT", "value": "two"},
            "pos_candidates": [candidate("100,700,40,20", "select")],
            "neg_candidates": [candidate("0,0,1280,1440", "div"), candidate("-1,-1,-1,-1")],
        },
        {"operation": {"op": "CLICK", "value": ""}, "pos_candidates": [], "neg_candidates": []},
    ]
    task = {"annotation_id": "a", "website": "shop", "confirmed_task": "buy", "actions": actions}
    path = tmp_path / "train_0.json"
    path.write_text(json.dumps([task]))
    recording = load_mind2web(path)
    first, gone = recording.episodes[0].steps
    assert recording.episodes[0].app == "shop"
    assert first.reference == GuiAction("select", (120 / 1280, 710 / 1440), text="two")
    assert (first.screen, first.texts, first.labels) == ((1280, 1440), ("select",), ("select", "div"))
    assert gone.reference is None
    assert gone.screen == (1280, 720)
    assert recording.counts["steps without a reference"] == 1
    del actions[0]["pos_candidates"]
    path.write_text(json.dumps([task]))
    with pytest.raises(ValueError, match=r"episode a, step 0 \(record 0 of .*\): the record has no 'pos_candidates'"):
        load_mind2web(path)


def demo(**changes):
    target = {"x": 10, "y": 20, "w": 30, "h": 40, "text": "Submit", "value": ""}
    step = {"t": 5, "action": {"type": "click", "x": 20, "y": 30}, "target": target}
    row = [1, 0, "button", 0, 0, 160, 210, "Submit", "", "", ""]
    return {
        "episode_id": "d",
        "task": "click-test",
        "goal": "Click the button.",
        "raw_reward": 1,
        "steps": [{**step, "dom": [row]}, {**step, "action": {"type": "scroll"}}],
        **changes,
    }


def test_demonstrations_are_read_and_what_is_left_out_is_told(tmp_path):
    path = tmp_path / "demos.jsonl"
    dragged = {"action": {"type": "drag", "x": 1, "y": 1, "x2": 161, "y2": 5}}
    records = [
        demo(),
        demo(episode_id="e", steps=[]),
        demo(episode_id="f", steps=[dragged]),
        demo(episode_id="g", raw_reward=-1),
    ]
    path.write_text("\n".join(map(json.dumps, records)))
    recording = load_miniwob(path)
    assert [episode.solved for episode in recording.episodes] == [True, False]
    first, second = recording.episodes[0].steps
    assert first.boxes == ((10 / 160, 20 / 210, 40 / 160, 60 / 210),)
    assert (first.labels, second.labels, recording.episodes[0].group) == (("Submit",), (), "click-test")
    nothing, beyond = recording.left_out
    assert nothing.startswith("episode e (line 2 of ")
    assert beyond.endswith("dragged to a point beyond the page")
    path.write_text(json.dumps(demo(task="click-tset")))
    with pytest.raises(ValueError, match=r"line 1 of .*, episode d: no task .* 'click-tset'; close are \['click-test'"):
        load_miniwob(path)
    path.write_text(json.dumps(demo(steps=[{"action": {"type": "click", "x": 170, "y": 3}}])))
    with pytest.raises(ValueError, match=r"episode d, step 0 \(line 1 of .*\): 'x'"):
        load_miniwob(path)


READERS = {load_aitw, load_android_control, load_mind2web, load_miniwob, load_odyssey}


@pytest.mark.parametrize("load", READERS, ids=lambda load: load.__name__)
@pytest.mark.parametrize("content", ['{"another": 1}', "[1, 2]", "5", "", "no JSON", '{"cut": ', "\xff"])
def test_files_of_another_kind_are_refused_with_their_name(tmp_path, load, content):
    for end in ("json", "jsonl"):
        path = tmp_path / f"a.{end}"
        path.write_bytes(content.encode("latin-1"))
        with pytest.raises(ValueError, match=r"a\.json") as caught:
            load(path)
        assert "record 0 of" not in str(caught.value) or content == "[1, 2]"  # no word of TFRecords


@pytest.mark.parametrize("load", READERS, ids=lambda load: load.__name__)
def test_a_folder_without_files_is_refused(tmp_path, load):
    with pytest.raises(FileNotFoundError, match="has no"):
        load(tmp_path)
    with pytest.raises(TypeError, match="path is"):
        load(3)


def test_a_recording_holds_episodes_with_steps():
    for episodes in ((), (RecordedEpisode("a", "", ()),)):
        with pytest.raises(ValueError, match="expected one at least"):
            Recording(episodes)
    with pytest.raises(TypeError):
        Recording(Path("a"))


def changed(record):
    """The record with each of its parts gone or something else in turn, and where that is."""
    if isinstance(record, dict):
        for key in record:
            yield {other: value for other, value in record.items() if other != key}, key
    for key, value in record.items() if isinstance(record, dict) else enumerate(record):
        for other in (None, -7, 1e9, math.nan, True, "x", [], [3], {}, {"x": []}):
            if type(other) is not type(value) or other != value:
                new = dict(record) if isinstance(record, dict) else list(record)
                new[key] = other
                yield new, key
        if isinstance(value, dict | list):
            for inner, _ in changed(value):
                new = dict(record) if isinstance(record, dict) else list(record)
                new[key] = inner
                yield new, key


def carried():
    options = {"action": "click", "coordinate": [540, 1200], "candidate_bbox": [[0, 0, 1080, 2400]]}
    tap = {"action_content": {"action": "click", "coordinate": [540, 1200]}, "check_options": options}
    swipe = {"action_content": {"action": "swipe"}, "check_options": {"action": "swipe", "direction": "up"}}
    return {"episode_id": 1, "goal": "g", "steps": [{**tap, "step_instruction": "tap"}, swipe]}


def lined():
    step = {"operation": "TYPE", "value": "a", "block": {"0": [[10.0, 20.0, 30.0, 40.0]]}}
    return {"annotation_id": "a", "task": "t", "split": "s", "steps": [step]}


def own_task():
    action = {"operation": {"op": "CLICK", "value": ""}, "neg_candidates": [candidate("0,0,5,5")]}
    action["pos_candidates"] = [{"tag": "a", "attributes": {"bounding_box_rect": "1,2,3,4"}}]
    return {"annotation_id": "a", "website": "w", "confirmed_task": "t", "actions": [action]}


@pytest.mark.parametrize(
    ("load", "good", "name"),
    [
        (load_android_control, carried(), "a.jsonl"),
        (load_mind2web, lined(), "a.jsonl"),
        (load_mind2web, own_task(), "a.json"),
        (load_miniwob, demo(), "a.jsonl"),
        (load_odyssey, odyssey(), "a.json"),
        (load_aitw, aitz(0, ui_positions=[[300, 27, 60, 54]], ui_text=["OK"], result_touch_yx=[0.5, 0.2]), "a.json"),
    ],
)
def test_whatever_is_wrong_in_a_record_it_is_named(tmp_path, load, good, name):
    """Each part of a good record, gone or another: it is read, and all of it an array, or the error names it."""
    png(tmp_path / "X_0.png")
    path, refused = tmp_path / name, []
    for record, key in changed(good):
        path.write_text(json.dumps(record))
        try:
            assert load(path).arrays.goal.dtype == object
        except ValueError as error:
            refused.append((str(error), key, record))
    assert len(refused) > 20
    told = (name, "episode 1 has no steps", "episode a has no steps", "left out: episode 5")
    assert not [case for case in refused if not any(what in case[0] for what in told)]
