"""AndroidControl: the original TFRecords, and the test split in UI-S1's JSON Lines."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ethogram.simulator import check_is

from ..gui import GuiAction
from ..gui_codecs import AndroidJSON, MobileUse, Units
from ..gui_metrics import Box, RecordedEpisode, RecordedStep, inside
from .files import Record, entry, files, found, is_json, json_lines, located, numbers, objects
from .recording import Recording
from .tfrecord import Features, example, listed, message, records, signed, single

SIZES = ((1080, 2400), (2400, 1080), (1440, 3120), (3120, 1440))  # of screens, tried in this order
PATTERNS = ("*.jsonl", "*.jsonl.gz", "*android_control-*", "*.tfrecord*")  # of files in a folder


def load_android_control(path: str | Path | None = None) -> Recording:
    """AndroidControl (Li et al., 2024).

    path: a TFRecord, or JSON Lines in UI-S1's form (android_control_evaluation_std.jsonl: the test split, 1,543
        episodes of 8,444 steps), packed or not; or a folder of such, which are told apart by their names' ends, or by
        how they begin. None: ``android_control_test.jsonl.gz``, there or in ``gui/`` there, in the folder that the
        environment variable ETHOGRAM_DATA names, or else in ./data.

    Of a TFRecord's accessibility trees, elements are the nodes with a label and those that take taps or text, and boxes
    are those of the latter that hold the reference's point; the pictures are not kept. UI-S1's file has only the boxes
    that hold the reference's point, by a rule that is not published, and does not say how large the screens were: they
    are taken as 1080 x 2400, or the smallest of 2400 x 1080 and 1440 x 3120 that holds the points of a step. Scrolls
    are read from the label, which is the view's way. The points of swipes were made up from the labels, left and right
    the other way round than up and down, and are not read.

    Raises FileNotFoundError, or ValueError that names the record, episode and step that is wrong.
    """
    episodes: list[RecordedEpisode] = []
    for file in files(found(path, "android_control_test.jsonl.gz"), *PATTERNS):
        episodes += [_carried(*part) for part in json_lines(file)] if is_json(file) else _originals(file)
    return Recording(tuple(episodes), "android_control")


def apps_of(recording: Recording) -> tuple[str, ...]:
    """A name for the app of each episode, by which AndroidControl can be split; the source does not say it everywhere.

    It is the first of these that there is: the app that is opened; the capitals before "app" in the goal ("in the Side
    Chef app"), or what episodes with these words open; the longest words of the goal that are an app's name elsewhere;
    the goal itself. Case, blanks and signs do not count. Episodes that do not name their app can share it unnoticed.
    """
    check_is("recording", recording, Recording, "a Recording, as load_android_control gives")
    opened = [_opened(episode) for episode in recording.episodes]
    said = [_folded(at[1]) if (at := _SAID.search(episode.goal)) else "" for episode in recording.episodes]
    both = Counter((name, app) for name, app in zip(said, opened, strict=True) if name and app)
    alias = {name: app for (name, app), _ in reversed(both.most_common())}
    known = {*opened, *said} - {""}
    names = []
    for episode, app, name in zip(recording.episodes, opened, said, strict=True):
        name = app or name or _named(episode.goal, known)
        names.append(app or alias.get(name, name) or _folded(episode.goal))
    return tuple(names)


_SAID = re.compile(r"(?:(?:Open|In|On|Use|From|Launch|Go|Using|The)\s+)*((?:[A-Z0-9&][\w&'.-]*\s+){1,4})[Aa]pp\b")


def _opened(episode: RecordedEpisode) -> str:
    """The app that an episode opens first, "" for none."""
    done = [step.reference for step in episode.steps if step.reference]
    return next((_folded(action.text) for action in done if action.type == "open"), episode.app)


def _folded(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _named(goal: str, known: set[str]) -> str:
    """The longest of known names that some words of a goal are, "" for none."""
    words = [_folded(word) for word in goal.split()]
    runs = {"".join(words[i : i + k]) for i in range(len(words)) for k in (1, 2, 3, 4)}
    return max(sorted(runs & known), key=len, default="")


def _carried(where: str, record: Record) -> RecordedEpisode:
    """An episode of UI-S1's file."""
    episode = str(entry(record, "episode_id", (int, str), where))
    steps = []
    for number, step in enumerate(objects(record, "steps", where)):
        with located(f"episode {episode}, step {number} ({where})"):
            options = entry(step, "check_options", dict)
            swiped = entry(options, "action", str) == "swipe"
            point = (0, 0) if swiped else options.get("coordinate", (0, 0))
            screen = _screen(numbers(point, 2, "'coordinate'"))
            if swiped:
                action = GuiAction("scroll", direction=options["direction"])
            else:
                action = MobileUse(Units(*screen)).decode(step["action_content"])
            boxes = tuple(_box(box, screen) for box in options.get("candidate_bbox") or ())
            said, picture = (str(step.get(key) or "") for key in ("step_instruction", "screenshot"))
            steps.append(RecordedStep(action, boxes, (), screen, said, screenshot=picture))
    return RecordedEpisode(episode, entry(record, "goal", str, where), tuple(steps), solved=record.get("is_successful"))


def _screen(point: Sequence[float]) -> tuple[int, int]:
    x, y = point
    size = next((size for size in SIZES if x <= size[0] and y <= size[1]), None)
    if size is None:
        raise ValueError(f"the point ({x}, {y}) is on none of the screens {SIZES}")
    return size


def _box(box: Any, screen: tuple[int, int]) -> Box:
    left, top, right, bottom = numbers(box, 4, "a box of 'candidate_bbox'")
    return left / screen[0], top / screen[1], right / screen[0], bottom / screen[1]


def _originals(path: Path) -> Iterator[RecordedEpisode]:
    for where, record in records(path):
        with located(where):
            yield _original(example(record))


def _original(features: Features) -> RecordedEpisode:
    """An episode of a TFRecord: one picture and tree more than there are actions."""
    names = ("actions", "step_instructions", "accessibility_trees", "screenshot_widths", "screenshot_heights")
    kinds = (bytes, bytes, bytes, int, int)
    actions, said, trees, widths, heights = (
        listed(features, name, kind) for name, kind in zip(names, kinds, strict=True)
    )
    episode = str(single(features, "episode_id", int))
    with located(f"episode {episode}"):
        counts = dict(zip(names, map(len, (actions, said, trees, widths, heights)), strict=True))
        if len(said) != len(actions) or any(len(part) < len(actions) for part in (trees, widths, heights)):
            raise ValueError(f"it has {counts}: expected as many instructions as actions, and a screen for each")
    steps = []
    for number, action in enumerate(actions):
        with located(f"episode {episode}, step {number}"):
            screen = widths[number], heights[number]
            done = AndroidJSON(Units(*screen)).decode(json.loads(action))
            nodes = [(_box(box, screen), label, acts) for box, label, acts in _nodes(trees[number])]
            held = [(box, label) for box, label, acts in nodes if acts and done.point and inside(done.point, box)]
            boxes, texts = zip(*held, strict=True) if held else ((), ())
            elements, labels, _ = zip(*nodes, strict=True) if nodes else ((), (), ())
            steps.append(RecordedStep(done, boxes, texts, screen, said[number].decode("utf-8"), elements, labels))
    return RecordedEpisode(episode, single(features, "goal", str), tuple(steps))


def _nodes(forest: bytes) -> Iterator[tuple[tuple[int, ...], str, bool]]:
    """Nodes of an ``AndroidAccessibilityForest`` of android_env: box in pixels, label, whether it takes actions.

    Containers, which have neither a label nor take actions, are none of these, nor is what has no area. By the numbers
    of its fields: windows 1, of these tree 11, of that nodes 1; of a node bounds_in_screen 2 (left, top, right and
    bottom 1 to 4), content_description 4, hint_text 5, text 7, is_checkable 12, is_clickable 14, is_editable 15,
    is_long_clickable 19. What a protocol buffer leaves out is 0 or "".
    """
    for window in _inner(forest, 1):
        for tree in _inner(window, 11):
            for node in _inner(tree, 1):
                parts = dict(message(node))
                edges = dict(message(parts.get(2, b"")))
                box = tuple(signed(edges.get(side, 0)) for side in (1, 2, 3, 4))
                label = next((parts[field] for field in (7, 4, 5) if parts.get(field)), b"").decode("utf-8")
                acts = any(parts.get(field) for field in (12, 14, 15, 19))
                if box[0] < box[2] and box[1] < box[3] and (label or acts):
                    yield box, label, acts


def _inner(data: bytes, number: int) -> Iterator[bytes]:
    return (value for found_number, value in message(data) if found_number == number)
