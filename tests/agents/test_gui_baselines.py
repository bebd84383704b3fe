"""Policies for recorded screens that need no learning."""

import pytest
import torch

from ethogram.agents.gui_baselines import AfterLast, AnyAction, CopyReference, MostFrequent, RepeatLast
from ethogram.envs.gui import TYPES, GuiAction
from ethogram.envs.gui_logs import Recording, Replay
from ethogram.envs.gui_metrics import RecordedEpisode, RecordedStep
from ethogram.simulator import rollout

TAP, BACK = (RecordedStep(action) for action in (GuiAction("tap", (0.25, 0.5)), GuiAction("back")))
TYPED = RecordedStep(GuiAction("type", text="hello"))
SMALL = Recording(
    (
        RecordedEpisode("long", "turn it on", (TAP, TYPED, BACK, TAP)),
        RecordedEpisode("short", "go back", (BACK, RecordedStep(None))),
    )
)


def kinds(policy, mode="recorded"):
    """The types of what a policy does in the long episode."""
    history = rollout(Replay(SMALL, mode), policy, rows=2, horizon=4)
    return [TYPES[kind] for kind in history.action["type"][0].tolist()]


def test_the_most_frequent_is_always_the_same():
    assert kinds(MostFrequent(SMALL)) == ["tap"] * 4


def test_what_follows_the_last_depends_on_whose_past_is_seen():
    assert kinds(AfterLast(SMALL)) == ["tap", "type", "back", "tap"]
    history = rollout(Replay(SMALL), AfterLast(SMALL), rows=1, horizon=4)
    assert history.action["text"][0].tolist() == ["", "hello", "", ""]


def test_the_last_again_is_the_recorded_or_its_own():
    assert kinds(RepeatLast()) == ["tap", "tap", "type", "back"]
    assert kinds(RepeatLast(), "own") == ["tap"] * 4
    assert kinds(RepeatLast(), "own_patched") == ["tap", "tap", "type", "back"]  # the first is not where it was


def test_any_is_as_frequent_as_it_was_recorded():
    """4.5 sigma: fails by chance once in 147,000 seeds."""
    done = rollout(Replay(SMALL), AnyAction(SMALL), rows=2000, horizon=1, seed=1).action["type"].ravel()
    share = (done == TYPES.index("back")).float().mean().item()
    assert share == pytest.approx(2 / 5, abs=4.5 * (0.24 / 2000) ** 0.5)


def test_copies_are_the_reference_or_a_normal_error_beside_it():
    assert kinds(CopyReference(SMALL)) == ["tap", "type", "back", "tap"]
    points = rollout(Replay(SMALL), CopyReference(SMALL, spread=0.1), rows=2000, horizon=1).action["point"][::2, 0]
    assert points.std(0).tolist() == pytest.approx([0.1, 0.1], abs=0.012)
    assert points.mean(0).tolist() == pytest.approx([0.25, 0.5], abs=4.5 * 0.1 / 1000**0.5)
    assert not torch.equal(points[0], points[1])


def test_what_is_no_recording_or_spread_is_refused():
    for make in (CopyReference, MostFrequent, AnyAction, AfterLast):
        with pytest.raises(TypeError, match="recording is"):
            make("a path")
    with pytest.raises(ValueError, match="spread"):
        CopyReference(SMALL, spread=2)
