"""An app as a page in a real browser: what is seen, what is done and what it earns are the symbolic world's."""

from contextlib import contextmanager

import gymnasium
import pytest
import torch

import ethogram.envs
from ethogram.agents.gui import Scripted
from ethogram.envs.browser import FLAGS, KINDS, Browser, BrowserGui, find_browser, html_page, texts
from ethogram.envs.gui import (
    BUTTON,
    INPUT,
    ITEM,
    TEXT,
    TYPES,
    VOCABULARY,
    Element,
    GuiAction,
    GuiActions,
    SymbolicGui,
    Variable,
    made,
    page_of,
    shown,
)
from ethogram.envs.gui_tasks import (
    carry,
    checklist,
    compare,
    form,
    keypad,
    multi_app,
    reactive,
    recent_action,
    search,
    termination,
    undo,
)
from ethogram.simulator import Draws, Sites, Transition, rollout
from ethogram.simulator.gym import episode_ids

WIDTH, HEIGHT, NO_ELEMENT = 360, 640, 24
TAP, SCROLL, TYPE, DONE = (TYPES.index(name) for name in ("tap", "scroll", "type", "done"))
LONGEST_WORD = max(len(word.split()) for word in VOCABULARY)
MAKERS = (carry, form, undo, search, checklist, compare, keypad, termination, recent_action, multi_app)
QUICK = [
    *(carry(2, 2, 9, 3, 2), form(1, 2), undo(1), search(1), checklist(1, 2), compare(1, 2, False, 1, 2, 2)),
    *(compare(0, 3, True), keypad(0), keypad(1), termination(0), termination(1, 1), recent_action(2, 2)),
    *(multi_app(1, 2), reactive()),
]
WIDE = [*(maker(d) for maker in MAKERS for d in (0, 1, 2, 3, 6)), carry(9, 3, 12, 4, 1), form(5, 6, 4, 2), reactive(7)]
named = {"ids": lambda app: f"{app.name}, {app.num_variables} variables"}


@pytest.fixture(scope="module")
def browser():
    try:
        program = find_browser()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with Browser(program) as opened:
        yield opened


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
        types = torch.tensor([1, 1, 1, 1, 6, 6, 7, 7, 7, 10, 11, 0, 14])
        kind = types[(luck["type"] * len(types)).long()]
        kind = torch.where(draws.uniform("over") < 0.05, DONE, kind)
        takes = ((kind == TAP)[:, None] & (seen["kind"] >= 0)) | ((kind == TYPE)[:, None] & (seen["flags"][..., 0] == 0))
        likes = seen["flags"].amax(2) * draws.uniform("likes", 1)
        element = (draws.uniform("element", 8) + likes).where(takes, -1).argmax(1)
        middle = seen["box"].view(-1, 8, 2, 2).mean(2)[torch.arange(len(kind)), element]
        anywhere = draws.uniform("point", 2) * (kind != TYPE)[:, None]
        near = torch.minimum((seen["box"][..., [0, 2]] - anywhere[:, :1, None]).abs() * WIDTH,
                             (seen["box"][..., [1, 3]] - anywhere[:, 1:, None]).abs() * HEIGHT).amin((1, 2)) < 2
        point = torch.where((luck["by point"] < 0.75)[:, None], middle, anywhere)
        point = torch.where(((point == 0).all(1) | (near & (luck["by point"] >= 0.75)))[:, None], 0.03, point)
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


def check_parity(browser, folder, app, policy, episodes, steps):
    """The same actions on pages and in the symbolic world, side by side: all that is seen and earned is the same."""
    with opened(browser, folder, app, 1000) as pages:
        draws = Draws(0, torch.arange(episodes))
        state, seen = pages.reset(draws, Sites())
        ids = torch.tensor([asked(moment, "ethogram.episode") for moment in state])
        history = rollout(SymbolicGui(app), policy, rows=ids, horizon=steps)
        for t in range(history.num_steps + 1):
            now = {name: part[:, t] for name, part in history.observation.items()}
            going = history.length > t
            for row in (history.length >= t).nonzero()[:, 0].tolist():
                check_alike(seen, now, row)
                if going[row]:
                    assert asked(state[row], "ethogram.screen") == now["screen"][row]
            if t == history.num_steps:
                return history
            action = {name: part[:, t] for name, part in history.action.items()}
            action = on_page(action, number_on_page(action["element"], now["kind"], seen))
            step = pages.step(state, action, draws.at(t), Sites())
            for name in ("reward", "terminated"):
                assert torch.equal(getattr(step, name)[going], getattr(history, name)[going, t]), (t, name)
            assert not step.truncated.any()
            state, seen = step.state, step.observation
    raise AssertionError


@pytest.mark.parametrize("app", QUICK, **named)
def test_a_page_is_the_app(browser, tmp_path, app):
    solved = check_parity(browser, tmp_path, app, Scripted(), 2, app.horizon)
    assert solved.reward.sum(1).tolist() == [1.0, 1.0]
    check_parity(browser, tmp_path, app, Tries(), 2, 15)


class ThereAndBack:
    """On to the last of 12 screens, then back as far as is remembered, home and back."""

    def act(self, seen, history, draws):
        rows, step = len(seen["kind"]), history.num_steps
        kind = TAP if step < 11 else TYPES.index("home" if step == 22 else "back")
        on = 1 + (seen["kind"] == BUTTON).long().argmax(1)
        nothing = torch.zeros(rows, dtype=torch.int64)
        point = torch.zeros(rows, 2)
        element = on if step < 11 else nothing
        return {"type": nothing + kind, "element": element, "point": point, "direction": nothing, "text": nothing}


def test_a_page_goes_back_as_far_as_the_app(browser, tmp_path):
    on = [[Element(BUTTON, VOCABULARY.index("Next"), leads=s + 1)] for s in range(11)]
    app = made("a line", [*on, [Element(TEXT, 1)]], [Variable(0)], [1], [(0, 0)], [], horizon=99, memoryless=1.0)
    history = check_parity(browser, tmp_path, app, ThereAndBack(), 1, 24)
    assert history.observation["screen"][0, 11:].tolist() == [11, 10, 9, 8, 7, 6, 5, 4, 3, 3, 3, 3, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("app", WIDE, **named)
def test_pages_are_the_apps_at_every_distance(browser, tmp_path, app):
    solved = check_parity(browser, tmp_path, app, Scripted(), 4, app.horizon)
    assert solved.reward.sum(1).tolist() == [1.0] * 4
    tried = check_parity(browser, tmp_path, app, Tries(), 8, 30)
    assert len(tried.observation["screen"].unique()) > app.num_screens // 3


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


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_policy_of_symbolic_screens_plays_the_page(browser, tmp_path, maker):
    """By what is seen in the browser alone: who remembers always succeeds, who forgets does not."""
    app = maker(2)
    with opened(browser, tmp_path, app, 1000) as pages:
        history = rollout(AsApp(pages, app), Scripted(), rows=3, horizon=app.horizon)
        assert history.reward.sum(1).tolist() == [1.0] * 3


def test_a_page_plays_the_episode_of_a_seed_of_gymnasium(browser, tmp_path):
    env = gymnasium.make("ethogram/GuiCarry-v0", distance=3)
    for seed in (0, 5):
        seen, _ = env.reset(seed=seed)
        with opened(browser, tmp_path, carry(3), episode_ids(seed)) as pages:
            check_alike(pages.reset(Draws(0, torch.arange(1)), Sites())[1], {k: torch.as_tensor(v)[None] for k, v in seen.items()}, 0)


def test_people_have_buttons_beside_the_screen(browser, tmp_path):
    """In a window larger than the screen; and what they type need not be a word."""
    infeasible = made(
        "an app",
        [[Element(BUTTON, 11, leads=1)], [Element(INPUT, 20, shown(0), fills=0)]],
        [Variable(0), Variable(0), Variable(VOCABULARY.index("infeasible"))],
        [11, 21],
        [(1, 2)],
        [],
        9,
        1.0,
        answer=1,
    )
    with opened(browser, tmp_path, infeasible, 2, (800, 720)) as pages:
        state, seen = pages.reset(Draws(0, torch.arange(1)), Sites())

        def do(name, kind="tap", **more):
            nonlocal state, seen
            place = 1 + texts({part: column[0] for part, column in seen.items()}).index(name)
            action = GuiActions.of([GuiAction(kind, element=place, **more)])._asdict()
            step = pages.step(state, action, Draws(0, torch.arange(1)), Sites())
            state, seen = step.state, step.observation
            return step

        do("Next")
        do("code", "type", text="no such word")
        assert "no such word" in seen["value"][0]
        assert asked(state[0], "ethogram.screen") == 1
        do("← Back")
        assert asked(state[0], "ethogram.screen") == 0
        do("Answer, such as infeasible", "type", text="infeasible")
        step = do("✓ Done")
        assert (step.reward.item(), step.terminated.item()) == (1, True)
        assert "Right: reward 1, after 4 actions" in seen["text"][0]


def test_the_same_rows_make_the_same_page_and_others_another():
    app = carry(1)
    assert page_of(app, 3) == page_of(app, torch.arange(3)) != page_of(app, 3, seed=1)
    assert "http" not in page_of(app)


def test_names_and_words_cannot_leave_their_place():
    page = page_of(made("</script><b>&", [[Element(TEXT, 1)]], [Variable(0)], [], [(0, 0)], [], 3, 1.0))
    assert page.count("</script>") == 1
    assert "<title>&lt;/script&gt;&lt;b&gt;&amp;</title>" in page


def test_what_is_no_page_is_refused():
    app = carry(1)
    odd = made("odd", [[], [Element(TEXT), Element(ITEM, 1, fills=0)]], [Variable(0)], [], [(0, 0)], [], 3, 1.0)
    with pytest.raises(ValueError, match=r"element 1 of screen 1 takes text: expected one of kind INPUT"):
        page_of(odd)
    with pytest.raises(TypeError, match="app is a str: expected an App"):
        page_of("carry")
    with pytest.raises(ValueError, match=r"rows is torch.int64 \(\): expected how many"):
        page_of(app, torch.tensor(3))
    with pytest.raises(ValueError, match=r"rows is 0"):
        page_of(app, 0)
    with pytest.raises(ValueError, match=r"size is \(3,\): expected \(width, height\) in pixels"):
        page_of(app, size=(3,))
    with pytest.raises(ValueError, match=r"height of size is 0"):
        page_of(app, size=(360, 0))
