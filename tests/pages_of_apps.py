"""Apps as pages in a browser: both sides told alike, the same actions in both, and policies that try them."""

from contextlib import contextmanager

import pytest
import torch

from ethogram.envs.browser import FLAGS, KINDS, BrowserGui, html_page, texts
from ethogram.envs.gui import INPUT, TYPES, VOCABULARY, SymbolicGui, page_of
from ethogram.simulator import Transition

WIDTH, HEIGHT, NO_ELEMENT = 360, 640, 24
TAP, SCROLL, TYPE, DONE = (TYPES.index(name) for name in ("tap", "scroll", "type", "done"))
LONGEST_WORD = max(len(word.split()) for word in VOCABULARY)


@contextmanager
def opened(browser, folder, app, rows, window=(WIDTH, HEIGHT)):
    """A world of an app's page, in a browser that is open already."""
    (folder / "app.html").write_text(page_of(app, rows, size=(WIDTH, HEIGHT)), encoding="utf-8")
    world = BrowserGui(html_page(folder / "app.html", *window), elements=NO_ELEMENT)
    world.pool.browser = browser
    try:
        yield world
    finally:
        for page in world.pool.pages:
            page.close()


def asked(moment, script):
    """What a script says on the page of a row."""
    page = moment.life.page
    return page.browser.together([(page.session, page._evaluate(script))])[0]


def told_by_page(seen, row):
    """(box in pixels, kind, text, value, flags) of each element; the screen itself is one if it scrolls."""
    one = {name: part[row] for name, part in seen.items()}
    elements = []
    for e, (text, value) in enumerate(zip(texts(one), texts(one, "value"), strict=True)):
        flags = {name for name, is_so in zip(FLAGS, one["flags"][e].tolist(), strict=True) if is_so}
        box = (one["box"][e] * torch.tensor([WIDTH, HEIGHT] * 2)).tolist()
        elements.append((box, KINDS[one["kind"][e]], text, value, flags))
    scrolls = any(kind == "container" and "scrollable" in flags for _, kind, _, _, flags in elements)
    return [element for element in elements if element[1] != "container"], scrolls


def told_by_world(seen, row):
    """The same of the symbolic world."""
    elements = []
    for e in range(8):
        if kind := int(seen["kind"][row, e]):
            first, second = (VOCABULARY[word] for word in seen["text"][row, e].tolist())
            text, value = (first, second) if kind == INPUT else (f"{first} {second}".strip(), "")
            box = (seen["box"][row, e] * torch.tensor([WIDTH, HEIGHT] * 2)).tolist()
            elements.append((box, kind, text, value, seen["flags"][row, e].tolist()))
    return elements


def check_alike(page_seen, seen, row):
    there, scrolls = told_by_page(page_seen, row)
    here = told_by_world(seen, row)
    assert [element[2:4] for element in there] == [element[2:4] for element in here]
    for (box, kind, _, _, flags), (own_box, own_kind, _, _, own) in zip(there, here, strict=True):
        assert box == pytest.approx(own_box, abs=1)
        assert kind == KINDS[own_kind]
        clickable = "clickable" in flags and "enabled" in flags and kind != "input"
        assert [clickable, "editable" in flags, scrolls] == [bool(flag) for flag in own]
    goal = " ".join(VOCABULARY[word] for word in seen["goal"][row].tolist() if word)
    assert page_seen["goal"][row] == goal


def on_page(action, number):
    """An action of the symbolic world as one on a page, where its element has a number of its own."""
    rows, nothing = len(action["type"]), torch.zeros_like(action["type"])
    return {
        **{"type": action["type"], "point": action["point"], "point2": torch.zeros(rows, 2), "element": number},
        **{"direction": action["direction"], "text": [VOCABULARY[word] for word in action["text"].tolist()]},
        **{"key": nothing, "ms": nothing, "status": (action["type"] == DONE).long()},
        **{"clear": (action["type"] == TYPE).long(), "submit": nothing},
    }


def number_on_page(element, kind, page_seen):
    """Of each row's element: empty places are none on a page, and a screen that scrolls is one."""
    numbers = []
    for row, e in enumerate(element.tolist()):
        container = KINDS[page_seen["kind"][row, 0]] == "container"
        there = int((kind[row, : max(e - 1, 0)] > 0).sum()) + 1 + container
        numbers.append(0 if not e else there if kind[row, e - 1] else NO_ELEMENT)
    return torch.tensor(numbers)


class Tries:
    """Does all that a page takes, by element and by point.

    Not what a page knows and the symbolic world does not: a point within two pixels of an edge, which may be rounded to
    either side, and text typed onto a button, which presses it.
    """

    def act(self, seen, history, draws):
        luck = {name: draws.uniform(name) for name in ("type", "by point", "direction", "text")}
        types = torch.tensor([1, 1, 1, 1, 1, 6, 6, 7, 7, 10, 10, 11, 14])
        kind = types[(luck["type"] * len(types)).long()]
        kind = torch.where(draws.uniform("over") < 0.03, DONE, kind)
        takes = ((kind == TAP)[:, None] & (seen["kind"] >= 0)) | (
            (kind == TYPE)[:, None] & (seen["flags"][..., 0] == 0)
        )
        likes = seen["flags"].amax(2) * draws.uniform("likes", 1)
        element = (draws.uniform("element", 8) + likes).where(takes, -1).argmax(1)
        middle = seen["box"].view(-1, 8, 2, 2).mean(2)[torch.arange(len(kind)), element]
        anywhere = draws.uniform("point", 2) * (kind != TYPE)[:, None]
        near = (
            torch.minimum(
                (seen["box"][..., [0, 2]] - anywhere[:, :1, None]).abs() * WIDTH,
                (seen["box"][..., [1, 3]] - anywhere[:, 1:, None]).abs() * HEIGHT,
            ).amin((1, 2))
            < 2
        )
        there = takes.any(1) & (luck["by point"] < 0.75)
        point = torch.where(there[:, None], middle, anywhere)
        point = torch.where(((point == 0).all(1) | (near & ~there))[:, None], 0.03, point)
        placed = (kind == TAP) | (kind == TYPE)
        named = placed & (luck["by point"] < 0.5) & takes.any(1)
        words = torch.tensor([0, *range(10, 20), 22, 50, 60, 90, VOCABULARY.index("infeasible")])
        return {
            "type": kind,
            "element": torch.where(named, element + 1, 0),
            "point": torch.where((placed & ~named)[:, None], point, 0).float(),
            "direction": torch.where(kind == SCROLL, (luck["direction"] * 3).long(), 0),
            "text": torch.where((kind == TYPE) | (kind == DONE), words[(luck["text"] * len(words)).long()], 0),
        }


class Follows:
    """Does what it is told, step by step: taps an element with a first word, or an action of another type."""

    def __init__(self, *steps):
        self.steps = steps

    def act(self, seen, history, draws):
        step, nothing = self.steps[history.num_steps], torch.zeros(len(seen["kind"]), dtype=torch.int64)
        kind = TYPES.index(step) if step in TYPES else TAP
        named = seen["text"][..., 0] == VOCABULARY.index(step if kind == TAP else "")
        element = 1 + named.long().argmax(1) if kind == TAP else nothing
        assert kind != TAP or named.any(1).all(), step
        point = torch.zeros(len(nothing), 2)
        return {"type": nothing + kind, "element": element, "point": point, "direction": nothing, "text": nothing}


class AsApp:
    """Pages in a browser, seen and acted on as a symbolic screen is."""

    def __init__(self, pages, app):
        self.pages, self.symbolic = pages, SymbolicGui(app)
        self.observation_space, self.action_space = self.symbolic.observation_space, self.symbolic.action_space

    def reset(self, draws, site):
        state, seen = self.pages.reset(draws, site)
        return state, self.read(seen)

    def step(self, state, action, draws, site):
        shift = torch.tensor([moment.seen.elements[0][4] == KINDS.index("container") for moment in state]).long()
        number = torch.where(action["element"] > 0, action["element"] + shift, 0)
        step = self.pages.step(state, on_page(action, number), draws, site)
        return Transition(step.state, self.read(step.observation), step.reward, step.terminated, step.truncated)

    def read(self, page_seen):
        rows = len(page_seen["count"])
        seen = {name: torch.zeros(rows, 8, k, dtype=torch.int64) for name, k in (("flags", 3), ("text", 2))}
        seen |= {"kind": torch.zeros(rows, 8, dtype=torch.int64), "box": torch.zeros(rows, 8, 4)}
        seen |= {"screen": torch.zeros(rows, dtype=torch.int64), "goal": torch.zeros(rows, 4, dtype=torch.int64)}
        for row in range(rows):
            elements, scrolls = told_by_page(page_seen, row)
            for e, (box, kind, text, value, flags) in enumerate(elements):
                clicks = kind != "input" and {"clickable", "enabled"} <= flags
                seen["flags"][row, e] = torch.tensor([clicks, "editable" in flags, scrolls])
                seen["text"][row, e] = torch.tensor((words_of(text) + [0, 0])[: 2 - bool(value)] + words_of(value))
                seen["kind"][row, e], seen["box"][row, e] = KINDS.index(kind), torch.tensor(box)
            goal = words_of(page_seen["goal"][row])
            seen["goal"][row, : len(goal)] = torch.tensor(goal)
        return seen


def words_of(line):
    """The ids of the words of a line, of which each is as long as can be: "Open each" is one."""
    parts, found = line.split(), []
    while parts:
        most = next(k for k in range(LONGEST_WORD, 0, -1) if " ".join(parts[:k]) in VOCABULARY and len(parts) >= k)
        found.append(VOCABULARY.index(" ".join(parts[:most])))
        parts = parts[most:]
    return found
