"""A language model acts on every kind of screen: symbolic ones, recorded ones, pages in a browser."""

import pytest
import torch
from scripted_model import Likes, Scripted, even

from ethogram.agents.llm import LLMPolicy, OnScreen, Prompts, so_far
from ethogram.envs.browser import BrowserGui, find_browser, html_page
from ethogram.envs.gui import TYPES, GuiAction, GuiActions, SymbolicGui, page_of
from ethogram.envs.gui_logs import Recording, Replay
from ethogram.envs.gui_metrics import RecordedEpisode, RecordedStep
from ethogram.envs.gui_tasks import carry
from ethogram.simulator import check_policy, rollout

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
TAP = RecordedStep(
    GuiAction("tap", (0.25, 0.5)), (LEFT,), ("Wi-Fi",), (1080, 2400), "tap", (LEFT, RIGHT), ("Wi-Fi", "Clock")
)
BACK = RecordedStep(GuiAction("back"), (), (), (1080, 2400), "", (LEFT, RIGHT), ("Wi-Fi", "Clock"))
RECORDED = Recording((RecordedEpisode("one", "turn it on", (TAP, BACK, TAP)),))


def policy(model, world, **more):
    prompts = Prompts("Do what the goal says.", names=world.names, memory=1, summary=so_far)
    return LLMPolicy(model, OnScreen(world.action_space, world.names, **more), prompts, orders=1)


def a_word(user):
    """What a model writes that is asked for another text."""
    return '"Mail"'


def first(action, row=0):
    """The first action of a row."""
    return GuiActions(**{name: column[:, 0] for name, column in action.items()}).row(row)


def test_recorded_screens_are_told_by_their_labels_and_elements_are_tapped_by_number():
    world = Replay(RECORDED)
    model = Scripted(Likes("element 1", 1.0))
    history = rollout(world, policy(model, world, types=("tap",)), rows=3, horizon=3)
    assert (history.reward[:, 0] == 1).all()
    assert first(history.action) == GuiAction("tap", element=1)
    said = model.asked[0].messages[1][1]
    assert "Wi-Fi" in said
    assert "turn it on" in said


def test_it_keeps_the_contract_of_policies_on_recorded_screens():
    world = Replay(RECORDED)
    check_policy(policy(Scripted(even), world), world, rows=3, horizon=3)


def test_what_is_typed_is_a_text_of_the_screen_or_the_goal():
    world = SymbolicGui(carry(0), free_text=True)
    model = Scripted(Likes("text"), write=a_word)
    history = rollout(world, policy(model, world, types=("type",)), rows=4, horizon=1)
    assert set(history.action["text"][:, 0]) <= set(world.names["text"])
    assert any(history.action["text"][:, 0])


def test_it_acts_on_a_page_in_a_browser(tmp_path):
    try:
        find_browser()
    except FileNotFoundError:
        pytest.skip("no Chromium: `apt-get install chromium-headless-shell`")
    page = tmp_path / "app.html"
    page.write_text(page_of(carry(0), 2), encoding="utf-8")
    world = BrowserGui(html_page(page, 360, 640), elements=24)
    model = Scripted(Likes("element 2", 1.0))
    try:
        history = rollout(world, policy(model, world, types=("tap",)), rows=2, horizon=2)
    finally:
        world.close()
    assert (history.action["type"] == TYPES.index("tap")).all()
    assert torch.equal(history.action["element"], torch.full((2, 2), 2))
    assert '"elements": [{"element": 1' in model.asked[0].messages[1][1]
