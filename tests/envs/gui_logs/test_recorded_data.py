"""Counts of the real recordings, which metrics treat in ways of their own, and replays of them."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from ethogram.agents.gui_baselines import AfterLast, AnyAction, CopyReference
from ethogram.envs.gui import GuiActions
from ethogram.envs.gui_logs import (
    Replay,
    load_aitw,
    load_android_control,
    load_mind2web,
    load_miniwob,
    progress,
    success,
)
from ethogram.envs.gui_metrics import METRICS, RULES, RecordedStep
from ethogram.simulator import rollout


def real(name):
    """The path of a file of recorded histories, or a skip that says what is missing."""
    folder = Path(os.environ.get("ETHOGRAM_DATA", "data"))
    found = next((place for place in (folder / name, folder / "gui" / name) if place.exists()), None)
    if found is None:
        pytest.skip(f"no {name} in the folder that ETHOGRAM_DATA names, nor in gui/ there")
    return found


@pytest.fixture(scope="module")
def android_control():
    return load_android_control(real("android_control_test.jsonl.gz"))


def test_android_control_has_taps_without_a_box_and_episodes_of_one_step(android_control):
    counts = android_control.counts
    assert (counts["episodes"], counts["steps"], counts["episodes of one step"]) == (1543, 8444, 116)
    assert (counts["taps"], counts["taps without a box"]) == (5074, 209)
    assert android_control.left_out == ()


def test_mind2web_has_steps_without_a_positive_and_elements_below_the_first_view():
    path = real("mind2web_test.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        boxes = [step["bbox_xywh"] for line in file for step in json.loads(line)["steps"]]
    assert sum(not some for some in boxes) == 347
    below = [some[0][1] > 720 for some in boxes if some]
    assert (len(boxes), sum(below)) == (6407, 1520)
    assert sum(below) / len(below) == pytest.approx(0.25, abs=0.002)
    counts = load_mind2web(path).counts
    assert counts["steps without a box"] == 348  # of one the positive stands in none of the blocks
    assert counts["steps without a reference"] == 340  # the other eight type


def test_demonstrations_are_read_but_for_those_that_say_nothing():
    recording = load_miniwob(real("miniwob_demos_actions.jsonl.gz"))
    assert (len(recording), len(recording.left_out)) == (13_713, 118)
    assert sum("nothing was done" in why for why in recording.left_out) == 105
    assert sum("beyond the page" in why for why in recording.left_out) == 13
    assert recording.counts["episodes not solved"] == 3662


def test_aitz_is_read_with_its_screens():
    (episode,) = load_aitw(real("aitz_example")).episodes
    assert [step.reference.type for step in episode.steps] == ["home", "scroll", "tap", "done"]
    assert [len(step.elements) for step in episode.steps][:2] == [15, 14]
    assert episode.steps[0].screen == (270, 600)
    assert episode.steps[3].labels[3] == "Clock"


def as_arrays_hold(step):
    """The step with coordinates in float32, as arrays hold them."""
    boxes = tuple(tuple(float(np.float32(part)) for part in box) for box in step.boxes)
    return RecordedStep(GuiActions.of([step.reference]).row(0), boxes, step.texts)


def test_a_replay_gives_every_step_the_verdict_of_the_rules(android_control):
    """With actions of other steps, so that there are some of each kind."""
    some = android_control.some(300)
    world = Replay(some)
    history = rollout(world, AnyAction(some), rows=len(some), horizon=world.horizon, seed=2, record="all")
    acts = GuiActions(**history.action)
    for row, episode in enumerate(some.episodes):
        for t, step in enumerate(episode.steps):
            held, action = as_arrays_hold(step), acts.row(row, t)
            for name, rule in METRICS.items():
                said, right = rule(held, action), history.sites[name][row, t].item()
                assert np.isnan(right) if not said.counted else right == pytest.approx(float(said.step)), (name, row, t)


def test_the_reference_is_right_as_far_as_rules_let_it_be(android_control):
    world = Replay(android_control, "own", metric="match/ui_s1")
    rows = len(android_control)
    history = rollout(
        world, CopyReference(android_control), rows=rows, horizon=world.horizon, record=[*RULES, "missed"]
    )
    for name in RULES:
        expected = 0.975 if name == "match/uground" else 1
        right = history.sites[name][history.valid]
        assert right.nanmean().item() == pytest.approx(expected, abs=5e-4), name
    assert success(history, android_control, "match/strict").mean() == 1
    assert int(history.length.sum()) == 8444


def test_histories_of_ones_own_are_worse_than_recorded_ones_where_the_past_is_used(android_control):
    """AfterLast does what most often follows the last action it sees; its own leads it astray, and patches do less."""
    share = {}
    for mode in ("recorded", "own", "own_patched"):
        world = Replay(android_control, mode, past=1)
        history = rollout(world, AfterLast(android_control), rows=1543, horizon=world.horizon, record=["match/strict"])
        share[mode] = history.reward.sum().item() / 8444
        assert progress(history, android_control, "match/strict").mean() < 0.5
    assert share["recorded"] != share["own"]
    assert share["own"] < share["own_patched"] <= share["recorded"]
