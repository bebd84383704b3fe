"""Human demonstrations of MiniWoB++ (Liu et al., ICLR 2018), done again on the real pages.

The recordings know no seed. Where a seed is found whose goal is the demonstration's, the workflow is done there as it
was done ("exact"); else on a seed with another goal, with the words of that goal in the places of the first one's
("transferred"). What is acted on is found again by what was recorded of it, its id, text, class and place; an icon,
also by a name beside it that the goal names. Two things were not recorded: how far people scrolled, so what is used
next is brought into view; and what they chose in an open list, so the option is taken that the goal names.
"""

import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

from ethogram.simulator import check_is, checked_int

from ..gui import GuiAction
from ..gui_codecs import MiniWoBDemo, ParseError
from .page import Page, Seen
from .pipe import Asks, Browser, BrowserError
from .tasks import miniwob, miniwob_tasks

FILE = "miniwob_demos_actions.jsonl.gz"
_CANDIDATES = 24  # seeds of one goal that are compared with a demonstration

_LARGE = 160 * 210 / 3  # pixels; who acts on something larger acts on a place

_FIND = """
(target => {
  const words = text => (text || '').replace(/\\s+/g, ' ').trim();
  const id = /^ui-id-/.test(target.id) ? '' : target.id, first = (target.cls || '').split(' ')[0];
  let best = null, most = 1;
  for (const element of document.body.querySelectorAll('*')) {
    if (element.closest('#query, #reward-display, #sync-task-cover, #click-canvas')) continue;
    const rect = element.getBoundingClientRect();
    if (!rect.width || !rect.height) continue;
    const kind = element.tagName.toLowerCase() + (element.tagName === 'INPUT' ? '_' + element.type : '');
    const own = words([...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join(' '));
    const away = Math.hypot(rect.left - target.x, rect.top - target.y);
    const shared = first === (element.getAttribute('class') || '').split(' ')[0];
    const text = words(target.text), said = text && (own === text || words(element.textContent) === text);
    if (text && !said && !(id && id === element.id) && away > 3) continue;
    const same = kind === target.tag || (id && id === element.id), widget = /^(input|button|select|textarea)/;
    if (!same && (widget.test(kind) || widget.test(target.tag))) continue;
    let named = false;  // an icon beside a name of the goal
    for (let row = element, up = 0; up < 5 && row && row.textContent.length < 150 && !text && !id; up++) {
      named ||= target.names.some(name => row.textContent.includes(name));
      row = row.parentElement;
    }
    const score = (same ? 1 : 0) + (named ? 3 : 0) + (id && id === element.id ? 4 : 0) + (said ? 3 : 0) +
      (shared ? 1.5 : 0) + (away <= 3 ? 2.5 : 0) - away / 200;
    if (score > most) [best, most] = [element, score];
  }
  if (!best) return null;
  best.scrollIntoViewIfNeeded();
  const rect = best.getBoundingClientRect();
  const opens = best.tagName === 'SELECT' && best.size < 2 && !best.multiple;
  const options = opens ? [...best.options].map(option => option.text.trim()) : null;
  const parts = [[target.across, target.down]];  // of its box; the first at which nothing lies above it
  const grid = [0.5, 0.2, 0.8, 0.1, 0.9];
  for (const down of grid) for (const across of grid) parts.push([across, down]);
  const points = parts.map(([across, down]) => [rect.left + across * rect.width, rect.top + down * rect.height]);
  const open = points.find(point => best.contains(document.elementFromPoint(...point)));
  return {box: [rect.left, rect.top, rect.width, rect.height], at: open || points[0], options};
})(%s)"""


@dataclass(frozen=True)
class Demo:
    """A person's episode: steps are dicts of t, action and target, as recorded."""

    episode_id: str
    task: str
    goal: str
    steps: tuple[Mapping[str, Any], ...]
    raw_reward: float


@dataclass(frozen=True)
class Played:
    """A demonstration done again. reward: the page's own raw reward, 1 for success; problem: why it could not go on."""

    demo: Demo
    how: Literal["exact", "transferred"]
    seed: int
    reward: float
    problem: str = ""


def load_demos(path: str | Path | None = None) -> list[Demo]:
    """Recorded episodes, one a line of a gzip file of JSON; None: the one in the folder that ETHOGRAM_DATA names.

    Raises FileNotFoundError; ValueError, with the line's number, for a line that is no episode.
    """
    check_is("path", path, (str, Path, type(None)), "the path of recorded episodes, or None")
    folders = [Path(folder) for folder in (os.environ.get("ETHOGRAM_DATA"), "data") if folder]
    places = [Path(path)] if path is not None else [f / inside / FILE for f in folders for inside in (".", "gui")]
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        raise FileNotFoundError(
            f"no demonstrations at {places[0]}: expected {FILE}, there or where ETHOGRAM_DATA names"
        )
    demos = []
    with gzip.open(place, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                one = json.loads(line)
                parts = one["episode_id"], one["task"], " ".join(one["goal"].split()), tuple(one["steps"])
                demos.append(Demo(*parts, float(one["raw_reward"])))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{place}, line {number}, is no episode ({error!r:.100})") from None
    return demos


def replay_demos(
    demos: Sequence[Demo],
    *,
    tries: int = 800,
    pages: str | Path | None = None,
    browser: str | Path | None = None,
    at_once: int = 4,
) -> Iterator[Played]:
    """Do demonstrations again, task by task, in one browser; each as soon as it is done.

    tries: seeds among which one with the same goal is looked for. pages: as ``miniwob`` takes them. browser: as
    ``find_browser`` takes it. at_once: pages side by side. Raises ValueError for a demonstration of an unknown task.
    """
    checked_int("tries", tries, 1), checked_int("at_once", at_once, 1)
    known = miniwob_tasks(pages)
    for demo in demos:
        check_is("demos", demo, Demo, "a list of Demos, as load_demos() reads them")
        if demo.task not in known:
            raise ValueError(
                f"demonstration {demo.episode_id} is of task {demo.task!r}: MiniWoB++ has none of this name"
            )
    with Browser(browser, deadline=300.0) as opened:
        for task in dict.fromkeys(demo.task for demo in demos):
            mine = [demo for demo in demos if demo.task == task]
            tabs = [Page(opened, miniwob(task, pages, time_limit=10_000_000)) for _ in range(at_once)]
            goals = _goals(tabs, tries, {demo.goal for demo in mine})
            for first in range(0, len(mine), at_once):
                some = mine[first : first + at_once]
                works = [_played(page, demo, goals) for page, demo in zip(tabs, some, strict=False)]
                yield from _together(tabs, works, some)
            for page in tabs:
                page.close()


def _together(tabs: Sequence[Page], works: Sequence[Asks], demos: Sequence[Demo]) -> Iterator[Played]:
    results = tabs[0].browser.together([(page.session, work) for page, work in zip(tabs, works, strict=False)])
    for demo, result in zip(demos, results, strict=True):
        failed = isinstance(result, BrowserError)
        yield Played(demo, "transferred", -1, 0.0, str(result)) if failed else result


def _goals(tabs: Sequence[Page], tries: int, wanted: set[str]) -> list[str]:
    """Goals of the first seeds, by seed; no more of them than are needed to find all that are wanted often enough."""
    goals: list[str] = []
    each = 50
    while len(goals) < tries and any(goals.count(goal) < _CANDIDATES for goal in wanted):
        works = []
        for k, page in enumerate(tabs):
            first = len(goals) + k * each
            seeds = list(range(first, min(first + each, tries)))
            script = f"{seeds}.map(seed => {{ ethogram.reset(seed); return ethogram.goal; }})"
            works.append((page.session, page._evaluate(script)))
        for found in tabs[0].browser.together(works):
            if isinstance(found, BrowserError):
                raise found
            goals += found
    return goals


def _played(page: Page, demo: Demo, goals: Sequence[str]) -> Asks:
    """Do a demonstration, of the seeds with its goal on that which looks most as it did when it was recorded."""
    yield from page._go()  # without what the search has left there
    seeds = [seed for seed, goal in enumerate(goals) if goal == demo.goal][:_CANDIDATES]
    most, played = -1, None
    for seed in seeds or [0]:
        seen: Seen = yield from page.begin(seed)
        swaps = {} if seeds else swapped(demo.goal, seen.goal)
        fits, reward, problem = yield from _steps(page, demo, seen, swaps)
        if fits > most:
            most, played = fits, Played(demo, "exact" if seeds else "transferred", seed, reward, problem)
        if fits == 2 * sum(bool(step.get("target")) for step in demo.steps):
            break
    return played


def _steps(page: Page, demo: Demo, seen: Seen, swaps: Mapping[str, str]) -> Asks:
    """Do the steps: how well the page fits the recording, the reward, why it could not go on.

    It fits by 1 for each thing that is there when it is to be acted on, and by 2 where it stands as it was recorded.
    """
    problem, chosen_in, fits = "", None, 0
    for number, step in enumerate(demo.steps):
        after = demo.steps[number + 1]["t"] if number + 1 < len(demo.steps) else step["t"] + 1000
        pace = min(max(after - step["t"], 200), 2000)
        try:
            action = MiniWoBDemo().decode(step["action"])
        except ParseError as error:
            problem = f"step {number}: {error}"
            continue
        target, at = step.get("target"), None
        found = yield from _found(page, step, swaps, seen.goal)
        if found and target:
            off = max(abs(a - target[part]) for a, part in zip(found["box"], "xywh", strict=True))
            fits += 2 if off <= 3 else 1
        if action.point is not None:
            at, missed = _place(step, found)
            problem = missed and f"step {number}: {missed}"
            if found and target and found["options"]:
                again, chosen_in = chosen_in == target.get("id"), target.get("id")
                if again:
                    continue
                named = [option for option in found["options"] if option and option in seen.goal]
                action = GuiAction("select", (0.0, 0.0), text=max(named, key=len, default=found["options"][0]))
        if action.type == "scroll":
            continue  # how far is not known; what is used next is brought into view
        if action.type == "type":
            action = GuiAction("type", text=_swapped_words(action.text, swaps))
        if action.type == "drag" and at is not None:
            action = _moved(page, action, at)
        _, seen = yield from page.do(action, at, pace)
        if seen.done:
            return fits, seen.reward, ""
    return fits, seen.reward, problem or "all was done, and the episode is not over"


def _found(page: Page, step: Mapping[str, Any], swaps: Mapping[str, str], goal: str) -> Asks:
    """The place of what was acted on, on the page as it is now; None if it is not there."""
    target, action = step.get("target"), step["action"]
    if not target:
        return None
    words = {name: _swapped_words(str(target.get(name, "")), swaps) for name in ("text", "id")}
    inside = {
        part: min(max((action.get(one, target[one]) - target[one]) / max(target[size], 1), 0.05), 0.95)
        for part, one, size in (("across", "x", "w"), ("down", "y", "h"))
    }
    names = [word.strip('".,') for word in goal.split()[1:] if word[0] == "@" or word[0].isupper()]
    return (yield from page._evaluate(_FIND % json.dumps({**target, **words, **inside, "names": names})))


def _place(step: Mapping[str, Any], found: Mapping[str, Any] | None) -> tuple[tuple[float, float], str]:
    """Where to act: on what was found, as far into it as was recorded if it is open there; else at that pixel."""
    target = step.get("target")
    particular = bool(target and target["w"] * target["h"] <= _LARGE)
    if found and particular:
        return (found["at"][0], found["at"][1]), ""
    return (step["action"]["x"], step["action"]["y"]), "what was acted on is not there" if particular else ""


def _moved(page: Page, action: GuiAction, at: tuple[float, float]) -> GuiAction:
    """A drag from another place, as far as it went."""
    size = page.task.width, page.task.height
    start = tuple(min(max(a / b, 0.0), 1.0) for a, b in zip(at, size, strict=True))
    gone = [b - a for a, b in zip(action.point or (0, 0), action.point2 or (0, 0), strict=True)]
    end = tuple(min(max(a + by, 0.0), 1.0) for a, by in zip(start, gone, strict=True))
    return GuiAction("drag", (start[0], start[1]), (end[0], end[1]))


def swapped(goal: str, other: str) -> dict[str, str]:
    """Words of a goal that differ from another goal's of the same form, each with what stands there in that one."""
    mine, theirs = _parts(goal), _parts(other)
    changes = SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes()
    pairs = {" ".join(mine[a:b]): " ".join(theirs[c:d]) for kind, a, b, c, d in changes if kind == "replace"}
    singles = {
        one: two
        for kind, a, b, c, d in changes
        if kind == "replace" and b - a == d - c
        for one, two in zip(mine[a:b], theirs[c:d], strict=True)
    }
    return {one.strip('".,:@'): two.strip('".,:@') for one, two in {**singles, **pairs}.items()}


def _parts(goal: str) -> list[str]:
    return goal.replace(">", " > ").replace('"', ' " ').split()


def _swapped_words(text: str, swaps: Mapping[str, str]) -> str:
    """A text with each word of the first goal as the second one has it."""
    if text in swaps:
        return swaps[text]
    for one, two in swaps.items():
        if len(one) > 1 and one in text:
            return text.replace(one, two)
    return text
