"""Policies for recorded screens that need no learning."""

import pytest
import torch

from ethogram.agents.gui_baselines import AfterLast, AnyAction, CopyReference, MostFrequent, Nearest, RepeatLast
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
    for make in (CopyReference, MostFrequent, AnyAction, AfterLast, Nearest):
        with pytest.raises(TypeError, match="recording is"):
            make("a path")
    with pytest.raises(ValueError, match="spread"):
        CopyReference(SMALL, spread=2)


OPENED = RecordedEpisode(
    "maps",
    "Open the Maps app and find a route",
    tuple(map(RecordedStep, (GuiAction("open", text="Maps"), GuiAction("wait")))),
)


def shown(*labels):
    """A step on a screen with a list of labels, from top to bottom; the last one's element was tapped."""
    boxes = tuple((0.0, i / 10, 1.0, (i + 1) / 10) for i in range(len(labels)))
    return RecordedStep(GuiAction("tap", (0.5, (len(labels) - 0.5) / 10)), boxes[-1:], elements=boxes, labels=labels)


def nearest(recording, goal, steps, **settings):
    """What the nearest step's action becomes, at each of the steps of an episode."""
    replay = Replay(Recording((RecordedEpisode("now", goal, steps),)))
    policy = Nearest(recording, labels=replay.names["label"], **settings)
    return rollout(replay, policy, rows=1, horizon=len(steps))


def test_the_nearest_is_nearest_in_words_that_are_rare():
    done = nearest(SMALL, "please go back and turn", (TAP,)).action
    assert TYPES[done["type"][0, 0]] == "back"  # "turn" stands in one goal alone, as "go" and "back" do
    other = nearest(SMALL, "turn it off", (TAP,)).action
    assert TYPES[other["type"][0, 0]] == "tap"


def test_without_the_past_the_nearest_has_no_idea_of_how_far_it_is():
    blind = nearest(Recording((OPENED,)), "Open the Maps app", (TAP, TAP))
    assert [TYPES[kind] for kind in blind.action["type"][0]] == ["open", "open"]
    opened = RecordedStep(GuiAction("open", text="Maps"))
    seen = nearest(Recording((OPENED,)), "Open the Maps app", (opened, TAP), past=2)
    assert [TYPES[kind] for kind in seen.action["type"][0]] == ["open", "wait"]


def test_a_text_of_its_goal_is_replaced_by_what_stands_there_in_the_present_one():
    done = nearest(Recording((OPENED,)), "Open the Side Chef app, and find a recipe.", (TAP,)).action
    assert done["text"][0, 0] == "Side Chef"
    kept = nearest(SMALL, "turn it on", (TAP, TYPED), past=1).action
    assert kept["text"][0].tolist() == ["", "hello"]  # which was not in its goal


def test_a_tap_goes_to_the_element_most_alike_wherever_it_stands():
    there = Recording((RecordedEpisode("there", "press Submit", (shown("Cancel", "Help", "Submit"),)),))
    done = nearest(there, "press Submit", (shown("Submit", "Cancel", "Help", "More"),)).action
    assert done["element"][0, 0] == 1
    other = nearest(there, "press Help", (shown("Submit", "Cancel", "Help", "More"),)).action
    assert other["element"][0, 0] == 3  # a word of the goal, as "Submit" was there, and at the same place
    blank = nearest(there, "press Submit", (TAP,)).action
    assert blank["element"][0, 0] == 0
    assert blank["point"][0, 0].tolist() == pytest.approx([0.5, 0.25])


def test_neighbours_vote_on_the_type():
    goals = ("a b c", "a b d", "a b e")
    steps = (GuiAction("back"), GuiAction("wait"), GuiAction("wait"))
    voters = Recording(tuple(RecordedEpisode(g, g, (RecordedStep(s),)) for g, s in zip(goals, steps, strict=True)))
    assert [TYPES[nearest(voters, "a b c", (TAP,), neighbours=k).action["type"][0, 0]] for k in (1, 3)] == [
        "back",
        "wait",
    ]


def test_the_nearest_says_what_it_cannot_look_up():
    with pytest.raises(ValueError, match="expected labels="):
        rollout(Replay(Recording((RecordedEpisode("x", "y", (shown("Help"),)),))), Nearest(SMALL), rows=1, horizon=1)
    with pytest.raises(ValueError, match="has 4 past actions"):
        rollout(Replay(SMALL), Nearest(SMALL, past=5), rows=1, horizon=1)
