"""An app as a page in a real browser: what is seen, what is done and what it earns are the symbolic world's."""

import gymnasium
import pytest
import torch
from pages_of_apps import AsApp, Follows, Tries, asked, check_alike, number_on_page, on_page, opened

import ethogram.envs  # noqa: F401  (its ids)
from ethogram.agents.gui import Scripted
from ethogram.envs.browser import Browser, find_browser, texts
from ethogram.envs.gui import (
    BUTTON,
    ICON,
    INPUT,
    ITEM,
    TEXT,
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
from ethogram.simulator import Draws, Sites, rollout
from ethogram.simulator.gym import episode_ids

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
    with Browser(program) as running:
        yield running


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


def odds_and_ends():
    """An app that has all that an ``App`` can have, within few steps of each other."""
    typed, other, plain, first, _, last, count, offer, answer, two = range(10)
    word = VOCABULARY.index
    screens = [
        [
            Element(BUTTON, word("Next"), leads=1),
            Element(ITEM, word("Same as"), shown(last), sets=first, gives=shown(count), adds=3),
            Element(ITEM, word("Find"), shown(count), sets=count, adds=1),
            Element(INPUT, word("code"), shown(typed), fills=typed),
            Element(INPUT, word("room"), shown(plain), fills=other),
            Element(BUTTON, word("Undo")),
            Element(ICON, word("Mail"), shown(count), leads=0, sets=offer, gives=word("Offer")),
        ],
        [
            Element(ITEM, shown(first), shown(first + 1)),
            Element(INPUT, word("gate")),
            Element(BUTTON, word("Offer"), shown(offer), sets=offer, gives=word("Offer")),
            Element(BUTTON, word("Next"), leads=2),
            Element(BUTTON, word("Send"), shown(other), leads=1),
        ],
        [Element(TEXT, word("Open each"), shown(two)), Element(ICON, word("Maps")), Element(BUTTON, 1, leads=1)],
        [
            Element(BUTTON, word("Close"), sets=offer, gives=shown(typed)),
            Element(ICON, word("Shop"), leads=2, sets=offer, gives=word("plain")),
            Element(ICON, word("Clock"), leads=2),
            Element(INPUT, word("desk"), shown(typed), fills=typed),
        ],
    ]
    variables = [
        Variable(0),
        Variable(0),
        Variable(word("plain")),
        Variable(word("bara"), 64, 1),
        Variable(0),
        Variable(0),
    ]
    variables += [Variable(word("0"), 10, 2), Variable(0), Variable(0), Variable(word("2"))]
    goal, wanted = [word("Send"), shown(count), shown(offer)], [(count, two, 1)]
    below, dialogs = [0, 1], {1: (offer, word("Offer"), 3)}
    return made("odds and ends", screens, variables, goal, wanted, [], 60, 1.0, below, dialogs, answer)


def test_a_page_is_an_app_that_has_everything(browser, tmp_path):
    app = odds_and_ends()
    history = check_parity(browser, tmp_path, app, Tries(), 10, 60)
    assert set(history.observation["screen"].unique().tolist()) == {0, 1, 2, 3}
    assert set(history.reward.sum(1).tolist()) == {0.0, 1.0}
    through_a_dialog = ["Mail", "Next", "back", "Clock", "back", "Shop", "back", "back", "back", "back", "done"]
    into_full_places = ["Find", "Same as", "Find", "Same as", "Find", "Same as", "done"]
    for steps in (through_a_dialog, into_full_places):
        check_parity(browser, tmp_path, app, Follows(*steps), 1, len(steps))


@pytest.mark.parametrize("app", QUICK, **named)
def test_a_page_is_the_app(browser, tmp_path, app):
    solved = check_parity(browser, tmp_path, app, Scripted(), 2, app.horizon)
    assert solved.reward.sum(1).tolist() == [1.0, 1.0]
    check_parity(browser, tmp_path, app, Tries(), 2, 15)


def test_a_page_goes_back_as_far_as_the_app(browser, tmp_path):
    on = [[Element(BUTTON, VOCABULARY.index("Next"), leads=s + 1)] for s in range(11)]
    app = made("a line", [*on, [Element(TEXT, 1)]], [Variable(0)], [1], [(0, 0)], [], horizon=99, memoryless=1.0)
    history = check_parity(browser, tmp_path, app, Follows(*["Next"] * 11, *["back"] * 11, "home", "back"), 1, 24)
    assert history.observation["screen"][0, 11:].tolist() == [11, 10, 9, 8, 7, 6, 5, 4, 3, 3, 3, 3, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("app", WIDE, **named)
def test_pages_are_the_apps_at_every_distance(browser, tmp_path, app):
    solved = check_parity(browser, tmp_path, app, Scripted(), 4, app.horizon)
    assert solved.reward.sum(1).tolist() == [1.0] * 4
    check_parity(browser, tmp_path, app, Tries(), 8, 30)


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
            check_alike(
                pages.reset(Draws(0, torch.arange(1)), Sites())[1],
                {k: torch.as_tensor(v)[None] for k, v in seen.items()},
                0,
            )


def test_keys_and_drags_leave_a_screen_where_it_is(browser, tmp_path):
    """One that has more below scrolls by the wheel, to the next screen, and by nothing else."""
    with opened(browser, tmp_path, carry(1, 2, 9), 1) as pages:
        state, seen = pages.reset(Draws(0, torch.arange(1)), Sites())
        moves = [GuiAction("press", key=key) for key in ("Space", "PageDown", "ArrowDown", "End")]
        for move in [GuiAction("tap", (0.5, 0.97)), *moves, GuiAction("drag", (0.5, 0.5), (0.5, 0.99))]:
            step = pages.step(state, GuiActions.of([move])._asdict(), Draws(0, torch.arange(1)), Sites())
            state = step.state
            assert torch.equal(step.observation["box"], seen["box"]), move


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
    page = page_of(made("</script><b>& {{data}}", [[Element(TEXT, 1)]], [Variable(0)], [], [(0, 0)], [], 3, 1.0))
    assert page.count("</script>") == 1
    assert "<title>&lt;/script&gt;&lt;b&gt;&amp; {{data}}</title>" in page


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
