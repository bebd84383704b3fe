"""Pages: Mind2Web in its own JSON and in UGround's lines, and people's demonstrations on MiniWoB++."""

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..gui_codecs import Mind2Web, MiniWoBDemo, Units
from ..gui_metrics import Box, RecordedEpisode, RecordedStep
from .files import Record, entry, files, found, json_lines, json_objects, located, numbers, objects
from .recording import Recording

BLOCK = (1280, 1000)  # pixels of the pictures that UGround cuts a page into
VIEWPORT = (1280, 720)  # pixels of a page that Mind2Web's people saw at once
PAGE = (160, 210)  # pixels of a page of MiniWoB++
MINIWOB_TASKS = """
ascending-numbers bisect-angle book-flight book-flight-nodelay button-delay buy-ticket chase-circle choose-date
choose-date-easy choose-date-medium choose-date-nodelay choose-list circle-center click-button
click-button-sequence click-checkboxes click-checkboxes-large click-checkboxes-soft click-checkboxes-transfer
click-collapsible click-collapsible-2 click-collapsible-2-nodelay click-collapsible-nodelay click-color
click-dialog click-dialog-2 click-link click-menu click-menu-2 click-option click-pie click-pie-nodelay
click-scroll-list click-shades click-shape click-tab click-tab-2 click-tab-2-easy click-tab-2-hard
click-tab-2-medium click-test click-test-2 click-test-transfer click-widget copy-paste copy-paste-2 count-shape
count-sides daily-calendar drag-box drag-circle drag-cube drag-items drag-items-grid drag-shapes drag-shapes-2
drag-single-shape drag-sort-numbers draw-circle draw-line email-inbox email-inbox-delete email-inbox-forward
email-inbox-forward-nl email-inbox-forward-nl-turk email-inbox-important email-inbox-nl-turk
email-inbox-noscroll email-inbox-reply email-inbox-star-reply enter-date enter-password enter-text enter-text-2
enter-text-dynamic enter-time find-greatest find-midpoint find-word focus-text focus-text-2 form-sequence
form-sequence-2 form-sequence-3 generate-number grid-coordinate guess-number highlight-text highlight-text-2
hot-cold hover-shape identify-shape login-user login-user-popup moving-items multi-layouts multi-orderings
navigate-tree number-checkboxes odd-or-even order-food phone-book read-table read-table-2 resize-textarea
right-angle scroll-text scroll-text-2 search-engine sign-agreement simon-says simple-algebra simple-arithmetic
social-media social-media-all social-media-some stock-market terminal text-editor text-transform tic-tac-toe
unicode-test use-autocomplete use-autocomplete-nodelay use-colorwheel use-colorwheel-2 use-slider use-slider-2
use-spinner visual-addition
""".split()  # noqa: SIM905  (its 130 pages, as of version 1.1.0)


def load_mind2web(path: str | Path | None = None) -> Recording:
    """Mind2Web (Deng et al., 2023), grouped by split, or by site where no split is written.

    path: its own JSON (a list of tasks a file), or JSON Lines as UGround's blocks of Multimodal-Mind2Web (test splits:
        1,013 episodes of 6,407 steps), packed or not, or a folder of such, which are told apart by their names' ends.
        None: ``mind2web_test.jsonl.gz``, as of ``load_android_control``.

    The screen of a line's step is the first block, 1280 x 1000 pixels of the page, that holds a positive. In a task of
    its own JSON it is the whole page, as far as candidates reach; elements are the candidates, labelled by their tags,
    but for those that were not on the page: of no size, or left of it or above.
    A step without a positive has no box, and no reference unless it types: nothing is right there.

    Raises FileNotFoundError, or ValueError that names the record, episode and step that is wrong.
    """
    episodes: list[RecordedEpisode] = []
    for file in files(found(path, "mind2web_test.jsonl.gz"), "*.jsonl", "*.jsonl.gz", "*.json", "*.json.gz"):
        lines = ".jsonl" in file.suffixes
        episodes += (_lined if lines else _task)(json_lines(file) if lines else json_objects(file))
    return Recording(tuple(episodes), "mind2web")


def _lined(records: Iterator[tuple[str, Record]]) -> Iterator[RecordedEpisode]:
    """Episodes of UGround's lines."""
    codec = Mind2Web(Units(*BLOCK))
    for where, record in records:
        episode, steps = entry(record, "annotation_id", (str, int), where), []
        for number, step in enumerate(objects(record, "steps", where)):
            with located(f"episode {episode}, step {number} ({where})"):
                blocks = entry(step, "block", dict)
                boxes = blocks[min(blocks, key=int)] if blocks else []
                steps.append(_web_step(step, boxes, BLOCK, codec))
        goal, group = entry(record, "task", str, where), entry(record, "split", str, where)
        yield RecordedEpisode(str(episode), goal, tuple(steps), group, app=str(record.get("website") or ""))


def _task(records: Iterator[tuple[str, Record]]) -> Iterator[RecordedEpisode]:
    """Episodes of its own JSON."""
    for where, record in records:
        episode, steps = str(entry(record, "annotation_id", (str, int), where)), []
        for number, step in enumerate(objects(record, "actions", where)):
            with located(f"episode {episode}, step {number} ({where})"):
                done = entry(step, "operation", dict)
                right, others = (_candidates(step, key) for key in ("pos_candidates", "neg_candidates"))
                every = [*right, *others]
                width, height = (
                    math.ceil(max([least, *(box[i] + box[i + 2] for box, _ in every)]))
                    for i, least in enumerate(VIEWPORT)
                )
                screen = width, height
                operation = {"operation": done.get("op"), "value": done.get("value")}
                made = _web_step(operation, [list(box) for box, _ in right], screen, Mind2Web(Units(*screen)))
                elements, labels = tuple(_fractions(box, screen) for box, _ in every), tuple(tag for _, tag in every)
                steps.append(replace(made, texts=labels[: len(right)], elements=elements, labels=labels))
        goal, group = entry(record, "confirmed_task", str, where), str(record.get("split") or record.get("website", ""))
        yield RecordedEpisode(episode, goal, tuple(steps), group, app=str(record.get("website") or ""))


def _candidates(step: Record, key: str) -> list[tuple[tuple[float, ...], str]]:
    """Box (x, y, w, h) in pixels and tag of each candidate that has a box."""
    boxes: list[tuple[tuple[float, ...], str]] = []
    for candidate in objects(step, key):
        attributes = entry(candidate, "attributes", (str, dict))
        attributes = json.loads(attributes) if isinstance(attributes, str) else attributes
        if rectangle := attributes.get("bounding_box_rect"):
            box = tuple(float(part) for part in str(rectangle).split(","))
            if len(box) != 4:
                raise ValueError(f"'bounding_box_rect' is {rectangle!r}: expected four numbers, x,y,w,h")
            if box[2] > 0 and box[3] > 0 and min(box) >= 0:  # the others are not on the page
                boxes.append((box, str(candidate.get("tag", ""))))
    return boxes


def _fractions(box: Any, screen: tuple[int, int]) -> Box:
    x, y, w, h = numbers(box, 4, "a box")
    return x / screen[0], y / screen[1], (x + w) / screen[0], (y + h) / screen[1]


def _web_step(step: Record, boxes: Any, screen: tuple[int, int], codec: Mind2Web) -> RecordedStep:
    """A step at the middle of its first positive."""
    placeless = not boxes and entry(step, "operation", str) != "TYPE"
    action = None if placeless else codec.decode({**step, "bbox_xywh": boxes})
    return RecordedStep(action, tuple(_fractions(box, screen) for box in boxes), (), screen)


def load_miniwob(path: str | Path | None = None) -> Recording:
    """People's demonstrations on MiniWoB++ (Liu et al., 2018), grouped by task.

    path: JSON Lines of {"episode_id", "task", "goal", "steps": [{"action", "target", "dom"}]}, packed or not, or a
        folder of such. None: ``miniwob_demos_actions.jsonl.gz``, as of ``load_android_control``.

    A step's box is its target's. Elements are the leaves of the page, where "dom" has it. The group is the task.
    Episodes in which nothing was done are left out, and those in which somebody dragged beyond the page, since a point
    lies on the screen here; ``left_out`` tells them. People did not solve all tasks: ``solved`` says so.

    Raises FileNotFoundError, or ValueError that names the record, episode and step that is wrong, or the unknown task.
    """
    episodes, left_out = list[RecordedEpisode](), list[str]()
    for file in files(found(path, "miniwob_demos_actions.jsonl.gz"), "*.jsonl", "*.jsonl.gz"):
        for where, record in json_lines(file):
            made = _demonstration(where, record)
            if isinstance(made, str):
                left_out.append(made)
            else:
                episodes.append(made)
    return Recording(tuple(episodes), "miniwob", tuple(left_out))


def _demonstration(where: str, record: Record) -> RecordedEpisode | str:
    """An episode; or why it is left out."""
    episode, task = str(entry(record, "episode_id", (str, int), where)), entry(record, "task", str, where)
    if task not in MINIWOB_TASKS:
        close = difflib.get_close_matches(task, MINIWOB_TASKS, 3) or "none; browser.miniwob_tasks() lists them"
        raise ValueError(f"{where}, episode {episode}: no task of MiniWoB++ is called {task!r}; close are {close}")
    codec, steps, rewarded = MiniWoBDemo(Units(*PAGE)), [], record.get("raw_reward")
    written = objects(record, "steps", where)
    if not written:
        return f"episode {episode} ({where}): nothing was done"
    for number, step in enumerate(written):
        with located(f"episode {episode}, step {number} ({where})"):
            action = entry(step, "action", dict)
            if action.get("type") == "drag" and not _on_page(action.get("x2"), action.get("y2")):
                return f"episode {episode}, step {number} ({where}): dragged to a point beyond the page"
            target = step.get("target")
            box = [_corners(target)] if target else []
            rows = entry(step, "dom", list) if "dom" in step else []
            parents = {row[1] for row in rows}
            leaves = [row for row in rows if row[0] not in parents]
            elements = [(_fractions(row[3:7], PAGE), str(row[7] or row[8])) for row in leaves]
            boxes, labels = zip(*elements, strict=True) if elements else ((), ())
            texts = (str(target.get("text") or target.get("value") or ""),) if target else ()
            steps.append(RecordedStep(codec.decode(action), tuple(box), texts, PAGE, "", boxes, labels))
    solved = None if rewarded is None else rewarded == 1
    return RecordedEpisode(episode, entry(record, "goal", str, where), tuple(steps), task, solved)


def _on_page(x: Any, y: Any) -> bool:
    """Whether a point lies on the page; True for what is none, which the codec refuses."""
    if type(x) not in (int, float) or type(y) not in (int, float):
        return True
    return 0 <= x <= PAGE[0] and 0 <= y <= PAGE[1]


def _corners(box: Mapping[str, Any]) -> Box:
    return _fractions([box.get(key) for key in "xywh"], PAGE)
