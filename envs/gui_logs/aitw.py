"""Android in the Wild: its TFRecords, a step a record, and AITZ's JSON, a list of steps a file."""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..gui_codecs import AITW
from ..gui_metrics import Box, RecordedEpisode, RecordedStep, inside
from .files import Record, checked_path, entry, files, is_json, json_objects, located, numbers
from .recording import Recording
from .tfrecord import Features, example, listed, records, single, texts

_CODEC = AITW()
_PNG = b"\x89PNG\r\n\x1a\n"


def load_aitw(path: str | Path) -> Recording:
    """Android in the Wild (Rawles et al., 2023), or AITZ (Zhang et al., 2024), which has its keys in JSON.

    path: a TFRecord or a JSON file, packed or not, or a folder of such, which are told apart by their names' ends, or
        by how they begin. AITZ gives boxes in pixels and no size of the screen: the pictures, PNG, must lie beside the
        file that names them.

    Elements are the annotations (text and icons as recognised in the picture), whatever lies under the reference's
    point among them are its boxes. The subset is the group: of AITZ the folder that "image_path" begins with, of a
    TFRecord the folder it lies in. Episodes of which steps are missing are left out, and told in ``left_out``.

    Raises FileNotFoundError, or ValueError that names the record, episode and step that is wrong.
    """
    steps: dict[str, dict[int, RecordedStep]] = {}
    about: dict[str, tuple[str, str, int]] = {}  # goal, group, length
    for file in files(checked_path(path), "*.json", "*.json.gz", "*.tfrecord*", "*-of-*"):
        for where, episode, number, said, step in _written(file) if is_json(file) else _binary(file):
            there = steps.setdefault(episode, {})
            if number in there:
                raise ValueError(f"{where}: step {number} of episode {episode} comes twice: expected it once")
            if about.setdefault(episode, said) != said:
                raise ValueError(f"{where}: episode {episode} has goal, subset and length {said}: had {about[episode]}")
            there[number] = step
    return _whole(steps, about)


def _whole(steps: Mapping[str, dict[int, RecordedStep]], about: Mapping[str, tuple[str, str, int]]) -> Recording:
    """Those episodes of which all steps are there."""
    episodes, left_out = [], []
    for episode, there in steps.items():
        goal, group, length = about[episode]
        if sorted(there) == list(range(length)):
            episodes.append(RecordedEpisode(episode, goal, tuple(there[number] for number in range(length)), group))
        else:
            left_out.append(f"episode {episode}: {len(there)} of its {length} steps are there")
    return Recording(tuple(episodes), "aitw", tuple(left_out))


_Found = Iterator[tuple[str, str, int, tuple[str, str, int], RecordedStep]]


def _written(path: Path) -> _Found:
    """Steps of AITZ."""
    for where, record in json_objects(path):
        episode = str(entry(record, "episode_id", (str, int), where))
        number = entry(record, "step_id", int, where)
        with located(f"{where}, episode {episode}, step {number}"):
            picture = entry(record, "image_path", str)
            width, height = _size(path, picture)
            parts = {key: _literal(record, key) for key in ("ui_positions", "ui_text")}
            boxes = [numbers(box, 4, "a box of 'ui_positions'") for box in parts["ui_positions"]]
            rows = [(y / height, x / width, h / height, w / width) for y, x, h, w in boxes]
            ends = {key: _literal(record, key) for key in ("result_touch_yx", "result_lift_yx")}
            said = str(record.get("coat_action_desc", ""))
            step = _step({**record, **ends}, rows, parts["ui_text"], (width, height), said, picture)
            about = entry(record, "instruction", str), picture.partition("/")[0], entry(record, "episode_length", int)
        yield where, episode, number, about, step


def _literal(record: Record, key: str) -> Any:
    """A list, written as such or as text."""
    value = entry(record, key, (list, str))
    value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, list):
        raise ValueError(f"{key!r} is {value!r:.60}: expected a list")
    return value


def _size(path: Path, picture: str) -> tuple[int, int]:
    """Width and height of a picture, from the head of the PNG of that name beside the file."""
    beside = path.parent / Path(picture).name
    if not beside.is_file():
        raise ValueError(f"the picture {beside} is not there: expected it, for the size of the screen")
    with beside.open("rb") as file:
        head = file.read(24)
    if head[:8] != _PNG or len(head) < 24:
        raise ValueError(f"{beside} is no PNG")
    width, height = struct.unpack(">II", head[16:])
    return width, height


def _binary(path: Path) -> _Found:
    """Steps of a TFRecord."""
    for where, record in records(path):
        with located(where):
            features = example(record)
            episode, number = single(features, "episode_id", str), single(features, "step_id", int)
        with located(f"{where}, episode {episode}, step {number}"):
            width, height = single(features, "image/width", int), single(features, "image/height", int)
            flat = listed(features, "image/ui_annotations_positions", float)
            rows = [tuple(flat[i : i + 4]) for i in range(0, len(flat), 4)]
            if len(flat) % 4:
                raise ValueError(f"'image/ui_annotations_positions' has {len(flat)} numbers: expected four a box")
            step = _step(_result(features), rows, texts(features, "image/ui_annotations_text"), (width, height))
            about = single(features, "goal_info", str), path.parent.name, single(features, "episode_length", int)
        yield where, episode, number, about, step


def _result(features: Features) -> Record:
    """The action, by AITZ's keys."""
    typed = texts(features, "results/type_action")
    return {
        "result_action_type": single(features, "results/action_type", int),
        "result_action_text": typed[0] if typed else "",
        "result_touch_yx": listed(features, "results/yx_touch", float),
        "result_lift_yx": listed(features, "results/yx_lift", float),
    }


def _step(
    result: Record, rows: list[Any], labels: list[str], screen: tuple[int, int], said: str = "", picture: str = ""
) -> RecordedStep:
    """A step; rows: boxes as (y, x, h, w), fractions of the screen."""
    if len(rows) != len(labels):
        raise ValueError(f"{len(rows)} boxes and {len(labels)} texts: expected a text for each box")
    if wrong := [label for label in labels if not isinstance(label, str)]:
        raise ValueError(f"one of the texts is {wrong[0]!r:.60}: expected text")
    action = _CODEC.decode(result)
    boxes: list[Box] = [(x, y, x + w, y + h) for y, x, h, w in rows]
    tapped = action.point if action.type == "tap" else None
    held = [i for i, box in enumerate(boxes) if tapped and inside(tapped, box)]
    under = tuple(boxes[i] for i in held), tuple(labels[i] for i in held)
    return RecordedStep(action, *under, screen, said, tuple(boxes), tuple(labels), picture)
