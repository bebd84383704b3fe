"""What a policy has read can be written though it was never written in training."""

import pytest
import torch

from ethogram.agents.gui_baselines import CopyReference
from ethogram.agents.gui_learning import GuiPolicy, Imitation, steps_of, successes
from ethogram.agents.learning import train
from ethogram.envs.gui import GuiAction
from ethogram.envs.gui_logs import Recording, Replay, success
from ethogram.envs.gui_metrics import RecordedEpisode, RecordedStep
from ethogram.simulator import Draws, rollout


def opened(numbers):
    """Episodes in which an app of a name of its own is opened, one of two words for odd numbers."""
    named = [f"zo{number}" if number % 2 == 0 else f"ka{number} lu{number}" for number in numbers]
    return Recording(
        tuple(
            RecordedEpisode(name, f"please open the {name} app now", (RecordedStep(GuiAction("open", text=name)),))
            for name in named
        )
    )


def steps(recording):
    return steps_of(rollout(Replay(recording), CopyReference(recording), rows=len(recording), horizon=1), 0)


def test_names_that_no_training_had_are_copied_from_goals():
    torch.manual_seed(0)
    shown, unseen = opened(range(200)), opened(range(1000, 1040))
    right = {}
    for copies, updates in ((True, 120), (False, 40)):
        policy = GuiPolicy(0, width=32, layers=2, heads=2, hidden=64, texts=True, copies=copies)
        train(Imitation(policy, steps(shown), batch=64), updates, rate=4e-3, progress=False)
        right[copies] = successes(policy, steps(unseen)).mean().item()
        if copies:
            history = rollout(Replay(unseen), policy, rows=40, horizon=1, record="all")
            assert success(history, unseen, "match/strict").mean().item() == pytest.approx(right[True], abs=0.05)
    assert right[True] > 0.7
    assert right[False] < 0.1


@pytest.mark.parametrize("drop_at", [None, 1])
def test_chances_of_answers_are_those_they_are_drawn_with(drop_at):
    """Answers one symbol at a time and all at once, in groups or alone, with compressed histories too."""
    torch.manual_seed(0)
    policy = GuiPolicy(0, width=16, layers=2, heads=2, hidden=32, texts=True, copies=True)
    prompts = steps(opened(range(6))).prompts
    draws = Draws(0, torch.arange(12))
    answer = policy.generate(prompts, draws, group=2, temperature=1.0, drop_at=drop_at)
    together = policy.log_probs_of(prompts, answer, drop_at=drop_at)
    alone = torch.cat([
        policy.log_probs_of(prompts.rows(slice(row // 2, row // 2 + 1)), answer[row : row + 1], drop_at=drop_at)
        for row in range(12)
    ])  # fmt: skip
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    likeliest = policy.generate(prompts, draws, group=2, temperature=0, drop_at=drop_at)
    first = policy.log_probs_of(prompts, likeliest, drop_at=drop_at)[:, 0]
    assert bool((first >= together[:, 0] - 1e-5).all())
