"""What learning policies read and write: one layout, one spelling, and rewards by the paper's table."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import NOW, SCREEN, parsed, steps_of, symbols, written
from ethogram.agents.gui_learning import rewards as rule
from ethogram.envs.gui import TYPES, VOCABULARY, SymbolicGui
from ethogram.envs.gui_tasks import carry
from ethogram.simulator import rollout

TAP, SCROLL, TYPE, BACK = (TYPES.index(name) for name in ("tap", "scroll", "type", "back"))


def truth_of(kind, x=0.5, y=0.5, word=0, direction=0):
    return {
        "type": torch.tensor([kind]),
        "point": torch.tensor([[x, y]]),
        "text": torch.tensor([word]),
        "direction": torch.tensor([direction]),
    }


def answer_of(*names):
    return torch.tensor([[symbols.SYMBOLS.index(name) for name in names]])


@given(
    kind=st.integers(0, 15),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    word=st.integers(0, len(VOCABULARY) - 1),
    direction=st.integers(0, 4),
    thought=st.lists(st.integers(symbols.FIRST_PLAN, len(symbols.SYMBOLS) - 1), max_size=4),
)
def test_what_is_written_is_read_back(kind, x, y, word, direction, thought):
    truth = truth_of(kind, x, y, word, direction)
    read = parsed(written(truth, torch.tensor([thought], dtype=torch.int64)))
    assert read.formed.item()
    assert read.type.item() == kind
    action = read.action()
    if kind in (TAP, TYPE):
        assert (action["point"] - truth["point"]).abs().max() <= 0.5 / symbols.BINS + 1e-6
    if kind == TYPE:
        assert action["text"].item() == word
    if kind == SCROLL:
        assert action["direction"].item() == direction


@pytest.mark.parametrize(("names", "kind"), [
    (("action", "back", "end"), BACK),  # no thought
    (("think", "action", "back", "x 3", "end"), BACK),  # an argument too many
    (("think", "action", "tap", "x 3", "end"), TAP),  # one too few
    (("think", "action", "tap", "y 3", "x 3", "end"), TAP),  # in another order
    (("think", "action", "back"), BACK),  # no end
    (("think", "back", "action", "back", "end"), None),
    (("think", "end"), -1),
    (("think", "page", "action", "back", "end"), BACK),  # a thought of what is no thought
    (("end", "think", "action", "back", "end"), -1),  # all after the end
])  # fmt: skip
def test_malformed_answers_are_told_and_do_as_much_as_they_say(names, kind):
    read = parsed(answer_of(*names))
    if kind is not None:
        assert not read.formed.item()
        assert read.type.item() == kind
    assert read.action()["type"].item() == (0 if "y 3" not in names and kind == TAP else max(read.type.item(), 0))


def test_rewards_by_the_papers_table():
    """Form alone .5, form and type 1, all 1.5, and a click 140 of 1000 away 1.43: the step counts as a success."""
    at = {"x": 0.5 / 32 + 0.25, "y": 0.5 / 32 + 0.25}
    perfect = written(truth_of(TAP, **at))
    read = parsed(perfect)
    assert rule.reward(read, truth_of(TAP, **at), "code").item() == pytest.approx(1.5)
    assert rule.reward(read, truth_of(TAP, **at)).item() == pytest.approx(3)
    assert rule.reward(read, truth_of(BACK), "code").item() == pytest.approx(0.5)
    scroll = parsed(written(truth_of(SCROLL, direction=1)))
    assert rule.reward(scroll, truth_of(SCROLL, direction=2), "code").item() == pytest.approx(1.0)
    assert rule.reward(parsed(answer_of("action", "back", "end")), truth_of(BACK), "code").item() == pytest.approx(1.0)
    for cells, good in ((4, True), (5, False)):  # 125 and 156 of 1000
        moved = truth_of(TAP, at["x"] + cells / 32, at["y"])
        assert rule.reward(read, moved, "code").item() == pytest.approx(1.5 - cells / 32 / 2)
        assert rule.success(read, moved).item() is good
    assert pytest.approx(rule.GOOD) == 1.5 - 0.140 / 2


def test_the_bonus_is_for_good_answers_from_shorter_histories_than_the_groups_longest():
    rewards = torch.tensor([[1.5, 1.5, 1.2], [1.5, 1.5, 1.5]])
    memory = torch.tensor([[0, 2, 1], [1, 1, 1]])
    assert rule.with_bonus(rewards, memory).tolist() == [pytest.approx([1.8, 1.5, 1.2]), [1.5, 1.5, 1.5]]
    # in the paper's scale, form and type of a wrong click are 2 of 3
    paper = rule.with_bonus(torch.tensor([[3.0, 2.0, 2.8, 3.0]]), torch.tensor([[0, 0, 1, 2]]), "paper")
    assert paper.tolist() == [pytest.approx([3.6, 2.0, 2.8, 3.0])]


def test_prompts_hold_the_last_steps_and_the_expert_is_read_back():
    app = carry(distance=2)
    history = rollout(SymbolicGui(app), Scripted(), rows=5, horizon=app.horizon, seed=0)
    steps = steps_of(history, 2)
    assert len(steps.row) == history.length.sum()
    for memory in (0, 1, 2):
        prompts = steps.prompts.limited(memory)
        pages = (prompts.tokens[..., 0] == symbols.PAGE) & prompts.present
        assert pages.sum(1).tolist() == [1 + min(memory, step) for step in steps.step.tolist()]
    ones = steps.prompts.rows(slice(2, 3))
    here, step = int(steps.row[2]), int(steps.step[2])
    for age in (0, 1, 2):
        part = (ones.age == age) & (ones.part == (NOW if age == 0 else SCREEN)) & ones.present[0]
        shown = ones.tokens[0, part][1 : 1 + int((history.observation["kind"][here, step - age] > 0).sum())]
        kind = history.observation["kind"][here, step - age]
        assert (shown[:, 0] - symbols.FIRST_KIND).tolist() == kind[kind > 0].tolist()
    assert parsed(written(steps.truth)).formed.all()
