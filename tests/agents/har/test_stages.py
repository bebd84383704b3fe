"""The stages of HAR: what the warm-up teaches, what the rounds do, and what is measured."""

import pytest
import torch

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import Episodes, GuiPolicy, asked, episodes_of, parsed, sentence, symbols
from ethogram.agents.har import (
    WarmUp,
    alike,
    awareness,
    har,
    located,
    mentions,
    moved_by_history,
    needs_memory,
    succeeds,
)
from ethogram.agents.learning import train
from ethogram.envs.gui import KINDS, SymbolicGui
from ethogram.envs.gui_tasks import checklist, reactive
from ethogram.simulator import rollout


def told(app, rows=30):
    return episodes_of(rollout(SymbolicGui(app), Scripted(), rows=rows, horizon=app.horizon, seed=0))


@pytest.fixture(scope="module")
def episodes():
    return Episodes.mixed([told(checklist(1, apps=2)), told(reactive(2))])


def small(seed=0):
    torch.manual_seed(seed)
    return GuiPolicy(4, past="sentences", width=16, layers=2, heads=2, hidden=32)


def test_the_warm_up_teaches_four_tasks_in_their_own_forms(episodes):
    (_, _, actions), (_, _, places), (_, _, said), (_, reflects, told) = WarmUp(small(), episodes, aware=0.5).lessons
    assert parsed(actions).formed.all()
    assert parsed(places).formed.all()
    assert parsed(told, statement=True).formed.all()
    assert (reflects.tokens[..., 0] == symbols.REFLECT).any(1).all()
    truth = episodes.truth
    plain = sentence(episodes.seen, truth["type"], truth["point"], truth["text"])
    assert torch.equal(torch.where(said[:, :4] == symbols.END, 0, said[:, :4]), plain)
    assert mentions(actions, episodes.sentences).any()
    assert not mentions(WarmUp(small(), episodes, aware=0.0).lessons[0][2], episodes.sentences).any()


def test_a_teacher_who_does_not_look_back_acts_as_goal_and_screen_suggest(episodes):
    right = WarmUp(small(), episodes, aware=0.5).lessons[0][2]
    shown = WarmUp(small(), episodes, aware=0.5, blind=1.0).lessons[0][2]
    aware = mentions(right, episodes.sentences)
    assert torch.equal(shown[aware], right[aware])
    action, done = parsed(shown).action(), parsed(right).action()
    other = (action["type"] != done["type"]) | (action["point"] != done["point"]).any(1)
    screens, truth = alike(episodes), torch.cat([done["type"][:, None], done["point"]], 1)
    assert other[~aware].float().mean() > 0.2  # of two apps to open, one is the wrong one
    for row in other.nonzero()[:, 0].tolist():
        same = screens == screens[row]
        assert (truth[same] == torch.cat([action["type"][row, None], action["point"][row]])).all(1).any()
    assert parsed(shown).formed.all()


def test_steps_are_alike_by_goal_and_screen_alone(episodes):
    screens = alike(episodes)
    goal, icons = episodes.seen["goal"], (episodes.seen["kind"] == KINDS.index("icon")).sum(1)
    home = (episodes.row == 0) & (icons == 6) & (goal == goal[0]).all(1)
    assert home.sum() == 3  # before both apps and at the end; the other task's row 0 has another goal
    assert screens[home].unique().numel() == 1
    assert not torch.isin(screens[icons < 6], screens[home]).any()
    needs = needs_memory(episodes)
    assert needs[home].tolist() == [False, True, True]  # the first step has no past
    assert not needs[icons < 6].any()  # inside an app, one goes home
    assert not needs[len(told(checklist(1, apps=2)).row) :].any()  # reactive


def test_a_warmed_up_policy_goes_through_both_rounds_and_can_leave_one_out(episodes):
    policy = small()
    training = train(WarmUp(policy, episodes), 40, rate=5e-3, progress=False)
    assert training["loss"][-5:].mean() < training["loss"][:5].mean() / 2
    course = har(policy, episodes, (2, 2), prompts=4, group=3, progress=False)
    assert course.errors > 0
    assert len(course.first["reward"]) == len(course.second["reward"]) == 2
    assert not har(policy, episodes, (0, 1), prompts=4, group=3, located=False, progress=False).first.measures
    shares = [measure(policy, episodes) for measure in (succeeds, located, awareness, moved_by_history)]
    assert all(((share == 0) | (share == 1)).all() for share in shares)


def test_who_is_forced_to_look_back_is_told_so(episodes):
    policy = small()
    train(WarmUp(policy, episodes), 20, rate=5e-3, progress=False)
    har(policy, episodes, (0, 1), prompts=4, group=3, located=False, forced=True, progress=False)
    assert awareness(policy, episodes, forced=True).shape == awareness(policy, episodes).shape
    assert succeeds(policy, episodes, forced=True).shape == succeeds(policy, episodes).shape
    assert moved_by_history(policy, episodes, forced=True).ndim == 1
    with pytest.raises(ValueError, match="forced and located are both True"):
        har(policy, episodes, (0, 1), forced=True, progress=False)


def test_a_policy_without_ears_is_not_moved_by_history(episodes):
    """Sentences dropped from what it reads: no past changes its action."""
    policy = small()
    whole = policy.read

    def deaf(prompts, drop_at, drop="screens"):
        return whole(prompts._replace(present=prompts.kept("actions")), drop_at, drop)

    policy.read = deaf
    assert not moved_by_history(policy, episodes).any()


def test_steps_of_several_tasks_are_mixed_in_their_order(episodes):
    parts = [told(checklist(1, apps=2)), told(reactive(2))]
    assert len(episodes.row) == sum(len(part.row) for part in parts)
    assert torch.equal(
        asked(symbols.ANSWER, episodes.seen, episodes.sentences).tokens,
        torch.cat([asked(symbols.ANSWER, part.seen, part.sentences).tokens for part in parts]),
    )
