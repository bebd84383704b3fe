"""Pasts that a policy made itself: at each step it reads what it did at the steps before."""

import pytest
import torch

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import DID, GuiPolicy, Imitation, parsed, steps_of, success, with_own_past
from ethogram.agents.gui_learning import symbols as s
from ethogram.agents.learning import train
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import recent_action
from ethogram.simulator import Draws, rollout


@pytest.fixture(scope="module")
def history():
    app = recent_action(1)
    return rollout(SymbolicGui(app), Scripted(), rows=30, horizon=app.horizon, seed=0)


def policy_of(updates, history):
    torch.manual_seed(0)
    policy = GuiPolicy(2, width=32, layers=2, hidden=64)
    if updates:
        train(Imitation(policy, steps_of(history, 2), batch=64, shorten=False), updates, rate=4e-3, progress=False)
    return policy


@pytest.mark.parametrize("patched", [False, True])
def test_the_last_action_that_is_read_is_what_the_policy_does_a_step_before(history, patched):
    policy = policy_of(25, history)  # right here and wrong there
    steps, recorded = with_own_past(policy, history, patched=patched), steps_of(history, 2)
    read = parsed(policy.generate(steps.prompts, Draws(0, torch.arange(len(steps.row))), temperature=0))
    right = success(read, recorded.truth)
    assert 0.1 < right.float().mean() < 0.9
    did = read.action()["type"]
    if patched:
        did = torch.where(right, did, recorded.truth["type"])
    last = (steps.prompts.part == DID) & (steps.prompts.age == 1)
    for k in (steps.step > 0).nonzero()[:, 0].tolist():
        assert steps.prompts.tokens[k, last][0, 0] == s.FIRST_TYPE + did[k - 1]
    assert torch.equal(steps.row, recorded.row)
    assert torch.equal(steps.truth["point"], recorded.truth["point"])
    same = steps.prompts.present & ~torch.isin(steps.prompts.part, torch.tensor([DID]))
    assert torch.equal(steps.prompts.tokens[same], recorded.prompts.tokens[same])  # screens and goals stay


def test_a_policys_own_past_is_made_with_what_it_forgets(history):
    policy, asked = policy_of(0, history), []
    policy.drop_at, policy.drop = 1, "actions"
    plain = policy.generate
    policy.generate = lambda *given, **settings: asked.append(settings) or plain(*given, **settings)
    with_own_past(policy, history)
    assert {(settings["drop_at"], settings["drop"]) for settings in asked} == {(1, "actions")}


def test_a_word_that_the_world_does_not_know_does_nothing():
    answer = torch.tensor([[s.THINK, s.ACTION, s.FIRST_TYPE + 7, s.FIRST_X, s.FIRST_Y, s.FIRST_WORD + 190, s.END]])
    action = parsed(torch.nn.functional.pad(answer, (0, 4))).action()
    assert (action["type"].item(), action["text"].item()) == (0, 0)
    assert SymbolicGui(recent_action(1)).action_space.spaces["text"].contains(action["text"].numpy()[0])
