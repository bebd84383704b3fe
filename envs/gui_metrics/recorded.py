"""Recorded episodes as scoring needs them, and the test splits of AndroidControl and Mind2Web, read."""

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..gui import GuiAction
from ..gui_codecs import Mind2Web, MobileUse, ParseError, Units

Box = tuple[float, float, float, float]  # left, top, right, bottom: fractions of the screen


@dataclass(frozen=True)
class RecordedStep:
    """One step: what was done, and what else would have been right.

    reference: the action taken; None where Mind2Web records a click on an element that is no longer on the page.
    boxes: every element that holds the reference's point; for "open", the app's icon; of Mind2Web, the positives.
    texts: the boxes' labels, where they were recorded; () where not.
    screen: width and height in pixels, which codecs that write pixels need.
    """

    reference: GuiAction | None
    boxes: tuple[Box, ...] = ()
    texts: tuple[str, ...] = ()
    screen: tuple[int, int] = (1080, 2400)
    instruction: str = ""


@dataclass(frozen=True)
class RecordedEpisode:
    """One recorded task. group: the subset, split or category that macro averages go over."""

    id: str
    goal: str
    steps: tuple[RecordedStep, ...]
    group: str = ""


def area(box: Box) -> float:
    """The area of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def inside(point: tuple[float, float], box: Box) -> bool:
    """Whether a point lies in a box, its edges included."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def smallest(boxes: Sequence[Box], point: tuple[float, float]) -> int | None:
    """The number of the smallest box that holds a point, the first of equals; None where none does."""
    holding = [i for i, box in enumerate(boxes) if inside(point, box)]
    return min(holding, key=lambda i: area(boxes[i]), default=None)


def load_android_control(path: str | Path | None = None) -> list[RecordedEpisode]:
    """AndroidControl's test split in UI-S1's form (android_control_evaluation_std.jsonl): 1,543 episodes, 8,444 steps.

    path: the file, .jsonl or .jsonl.gz; None: ``android_control_test.jsonl.gz``, there or in ``gui/`` there, in the
        folder that the environment variable ETHOGRAM_DATA names, or else in ./data.

    The file does not say how large the screens were: they are taken as 1080 x 2400, or the smallest of 2400 x 1080 and
    1440 x 3120 that holds the points of a step. Scrolls are read from the label, which is the view's way. The points of
    swipes were made up from the labels, left and right the other way round than up and down, and are not read.

    Raises FileNotFoundError, or ValueError that names the episode and step that is wrong.
    """
    return [_android_control(line, record) for line, record in _records(_find(path, "android_control_test.jsonl.gz"))]


def _android_control(line: int, record: Mapping[str, Any]) -> RecordedEpisode:
    episode = _entry(record, "episode_id", line)
    steps = []
    for number, step in enumerate(_entry(record, "steps", line)):
        try:
            options = step["check_options"]
            screen = _screen(options.get("coordinate", (0, 0)) if options["action"] != "swipe" else (0, 0))
            units = Units(*screen)
            if options["action"] == "swipe":
                action = GuiAction("scroll", direction=options["direction"])
            else:
                action = MobileUse(units).decode(step["action_content"])
            boxes = tuple(_box(box, screen) for box in options.get("candidate_bbox") or ())
            steps.append(RecordedStep(action, boxes, (), screen, step.get("step_instruction", "")))
        except KeyError as error:
            raise ValueError(f"episode {episode}, step {number} (line {line}) lacks {error}") from None
        except (ParseError, TypeError, ValueError) as error:
            raise ValueError(f"episode {episode}, step {number} (line {line}): {error}") from None
    return RecordedEpisode(str(episode), _entry(record, "goal", line), tuple(steps))


def _screen(point: Sequence[float]) -> tuple[int, int]:
    x, y = point
    sizes = ((1080, 2400), (2400, 1080), (1440, 3120), (3120, 1440))
    found = next((size for size in sizes if x <= size[0] and y <= size[1]), None)
    if found is None:
        raise ValueError(f"the point ({x}, {y}) is on none of the screens {sizes}")
    return found


def _box(box: Sequence[float], screen: tuple[int, int]) -> Box:
    left, top, right, bottom = box
    return left / screen[0], top / screen[1], right / screen[0], bottom / screen[1]


BLOCK = (1280, 1000)  # pixels of the pictures that a page is cut into


def load_mind2web(path: str | Path | None = None) -> list[RecordedEpisode]:
    """Multimodal-Mind2Web's test splits with UGround's blocks: 1,013 episodes of 6,407 steps, grouped by split.

    path: as of ``load_android_control``; None: ``mind2web_test.jsonl.gz``. The screen of a step is the first block,
        1280 x 1000 pixels of the page, that holds a positive. 348 steps have none: nothing is right there.

    Raises FileNotFoundError, or ValueError that names the episode and step that is wrong.
    """
    return [_mind2web(line, record) for line, record in _records(_find(path, "mind2web_test.jsonl.gz"))]


def _mind2web(line: int, record: Mapping[str, Any]) -> RecordedEpisode:
    episode, codec, steps = _entry(record, "annotation_id", line), Mind2Web(Units(*BLOCK)), []
    for number, step in enumerate(_entry(record, "steps", line)):
        try:
            blocks = step["block"]
            found = blocks[min(blocks, key=int)] if blocks else []
            placeless = not found and step["operation"] != "TYPE"
            action = None if placeless else codec.decode({**step, "bbox_xywh": found})
            boxes = tuple(_box((x, y, x + w, y + h), BLOCK) for x, y, w, h in found)
            steps.append(RecordedStep(action, boxes, (), BLOCK))
        except KeyError as error:
            raise ValueError(f"episode {episode}, step {number} (line {line}) lacks {error}") from None
        except (ParseError, TypeError, ValueError) as error:
            raise ValueError(f"episode {episode}, step {number} (line {line}): {error}") from None
    return RecordedEpisode(str(episode), _entry(record, "task", line), tuple(steps), _entry(record, "split", line))


def _entry(record: Mapping[str, Any], key: str, line: int) -> Any:
    if key not in record:
        raise ValueError(f"line {line} has no {key!r}: has {list(record)}")
    return record[key]


def _find(path: str | Path | None, name: str) -> Path:
    if path is not None:
        return Path(path)
    folders = [Path(folder) for folder in (os.environ.get("ETHOGRAM_DATA"), "data") if folder]
    places = [folder / inner / name for folder in folders for inner in ("", "gui")]
    if found := next((place for place in places if place.is_file()), None):
        return found
    raise FileNotFoundError(
        f"no {name} in {', '.join(str(place.parent) for place in places)}: set ETHOGRAM_DATA to a folder with it, "
        "or pass its path"
    )


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The number, from 1, and the object of each line."""
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (EOFError, OSError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"{path} is no whole file of JSON Lines: {error}; copy it again") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number} of {path} is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise ValueError(f"line {number} of {path} is {record!r:.60}: expected an object")
        yield number, record
