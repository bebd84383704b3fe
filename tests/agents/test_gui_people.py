"""People's pace, aim and typing: recovered where known, closed-form moments, the real recordings, and acting so."""

import gzip
import json
import math
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ethogram.agents.gui import Human, HumanTiming, Scripted, fit_human_timing
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import carry, checklist, form, reactive, search
from ethogram.simulator import Draws, History, rollout

DEMOS = "miniwob_demos_actions.jsonl.gz"
ROWS = 20_000


def demonstrations(timing, episodes=600, clicks=8, tasks=10, seed=0):
    """Recordings of people who are as ``timing`` says, in the recorder's words; what misses is not recorded."""
    rng, records = np.random.default_rng(seed), []
    luck = timing.luck(Draws(seed, torch.arange(episodes * (clicks + 1))), "luck").reshape(episodes, -1).tolist()
    for e in range(episodes):
        t, steps, at = timing.first * luck[e][0], [], np.array([80.0, 105.0])
        for c in range(clicks):
            size = rng.uniform(8, 32, 2)
            corner = rng.uniform(0, [160 - size[0], 210 - size[1]])
            point = corner - 1
            while ((point < corner) | (point > corner + size)).any():
                sd = np.sqrt(timing.aim**2 + (timing.share * size) ** 2)
                point = corner + size / 2 + sd * rng.standard_normal(2)
            if c:
                bits = math.log2(math.dist(at, point) / min(size) + 1)
                t += (timing.base + timing.per_bit * bits) * luck[e][c]
            target = dict(zip("xywh", [*corner, *size], strict=True))
            steps.append({"t": t, "action": {"type": "click", "x": point[0], "y": point[1]}, "target": target})
            at = point
        text = "a" * int(rng.integers(1, 9))
        t += timing.before_keys
        steps.append({"t": t, "action": {"type": "type", "text": text}})
        if rng.random() < timing.slip * len(text):
            steps.append({"t": t + timing.per_key * len(text), "action": {"type": "press", "key": "Backspace"}})
        else:
            steps.append({"t": t + timing.per_key * len(text), "action": {"type": "press", "key": "Tab"}})
        records.append({"task": f"task {e % tasks}", "episode_id": str(e), "raw_reward": 1, "steps": steps})
    return records


KNOWN = HumanTiming(300, 250, "lognormal", 0.3, 900, 1.5, 0.12, 500, 200, 0.05)


@pytest.mark.parametrize(("residual", "shape"), [("lognormal", 0.3), ("gamma", 6.0)])
def test_known_people_are_recovered(residual, shape):
    """4,200 pairs: 4.5 standard errors of the slope are 8 ms, of the base 20, found by 200 seeds."""
    known = HumanTiming(300, 250, residual, shape, 900, 1.5, 0.12, 500, 200, 0.05)
    fit = fit_human_timing(demonstrations(known))
    found = fit.timing
    assert found.residual == residual
    assert found.base == pytest.approx(300, abs=50)
    assert found.per_bit == pytest.approx(250, abs=18)
    assert found.shape == pytest.approx(shape, rel=0.1)
    assert found.first == pytest.approx(900, rel=0.1)
    assert found.aim == pytest.approx(1.5, abs=0.25)
    assert found.share == pytest.approx(0.12, abs=0.02)
    assert found.before_keys == pytest.approx(500)
    assert found.per_key == pytest.approx(200)
    assert found.slip == pytest.approx(0.05, abs=0.025)
    assert fit.outside == 0
    assert len(fit.ms) == 4200
    for held in fit.held_out.values():
        assert held.error < held.error_of_mean


@pytest.mark.parametrize("timing", [KNOWN, HumanTiming(), HumanTiming(residual="gamma", shape=3.0)], ids=str)
def test_luck_has_its_closed_form_moments(timing):
    """The 4.5-sigma band of the mean; of the deviation 6 %, by the fourth moment of a lognormal of 0.6."""
    luck = timing.luck(Draws(0, torch.arange(ROWS)), "luck")
    assert luck.mean().item() == pytest.approx(1, abs=4.5 * timing.variation / ROWS**0.5)
    assert luck.std().item() == pytest.approx(timing.variation, rel=0.06)
    assert (luck > 0).all()


def test_gamma_luck_has_the_quantiles_of_the_gamma():
    scipy = pytest.importorskip("scipy.stats")
    timing, draws = HumanTiming(residual="gamma", shape=2.5), Draws(1, torch.arange(1000))
    expected = scipy.gamma.ppf(draws.uniform("luck").double().numpy(), 2.5, scale=1 / 2.5)
    assert np.allclose(timing.luck(draws, "luck").numpy(), expected, atol=1e-6)


def test_typing_takes_its_average_time():
    """A text of k keys: before + per_key k (1 + 2 slip)."""
    timing = HumanTiming(slip=0.1)
    keys = torch.full((ROWS,), 6)
    took = timing.typing(keys, Draws(0, torch.arange(ROWS)))
    mean = timing.before_keys + timing.per_key * 6 * 1.2
    assert took.mean().item() == pytest.approx(mean, abs=5 * timing.variation * mean / ROWS**0.5)


def test_people_hit_as_often_as_the_closed_form_says():
    """An app of one screen with items: the first tap lands in its box as often as ``hit`` says."""
    timing = HumanTiming(aim=4.0, share=0.2)
    history = rollout(SymbolicGui(reactive()), Human(Scripted(), timing), rows=ROWS, horizon=1, seed=0)
    meant = rollout(SymbolicGui(reactive()), Scripted(), rows=ROWS, horizon=1, seed=0).action["element"][:, 0]
    box = history.observation["box"][torch.arange(ROWS), 0, meant - 1].double()
    point = history.action["point"][:, 0].double()
    landed = ((box[:, :2] <= point) & (point <= box[:, 2:])).all(1).double()
    size = (box[:, 2:] - box[:, :2]) * torch.tensor([160, 210])
    p = timing.hit(size)
    assert 0.5 < p.mean().item() < 0.95
    assert landed.mean().item() == pytest.approx(
        p.mean().item(), abs=4.5 * (p * (1 - p)).mean().item() ** 0.5 / ROWS**0.5
    )


def test_the_record_says_what_was_hit():
    """Elements and points agree: by points alone the world goes the same way, to the bit."""
    app, timing = search(2), HumanTiming(aim=5.0)
    history = rollout(SymbolicGui(app), Human(Scripted(), timing), rows=200, horizon=app.horizon, seed=0)
    action = history.action
    pointed = ((action["type"] == 1) | (action["type"] == 7)) & history.valid
    assert 0 < (action["element"][pointed] == 0).float().mean() < 0.5
    by_point = {**action, "element": torch.where(pointed, 0, action["element"])}
    again = rollout(SymbolicGui(app), Again(by_point), rows=200, horizon=app.horizon, seed=0)
    assert torch.equal(again.observation["screen"], history.observation["screen"])
    assert torch.equal(again.reward, history.reward)


class Again:
    """Does what was done, at each step."""

    def __init__(self, action):
        self.action = action

    def act(self, observation, history, draws):
        return {name: part[:, draws.step] for name, part in self.action.items()}


@pytest.mark.parametrize("app", [carry(3), form(2), search(2), checklist(2)], ids=lambda app: app.name)
def test_people_succeed_with_time_to_try_again(app):
    history = rollout(SymbolicGui(app), Human(Scripted()), rows=300, horizon=3 * app.horizon, seed=0)
    assert (history.reward.sum(1) == 1).all()
    time = history.action["time_ms"]
    assert (time.diff(dim=1)[history.valid[:, 1:]] > 0).all()


def test_misses_cost_steps_where_time_is_short():
    """Search has just enough steps to look into each folder, so that a miss costs the episodes that need them all."""
    app = search(2)
    did, sure = (
        rollout(SymbolicGui(app), Human(Scripted(), misses=misses), rows=2000, horizon=app.horizon, seed=0)
        for misses in (True, False)
    )
    assert did.reward.sum(1).mean() < 1
    assert (sure.reward.sum(1) == 1).all()
    hit = (did.length == sure.length) & (did.reward.sum(1) == 1)  # a miss takes a step more, which some have not
    assert 0.5 < hit.float().mean() < 1
    times = [history.action["time_ms"].where(history.valid, 0)[hit] for history in (did, sure)]
    assert torch.allclose(*times, atol=5)  # at the very edge the hand is moved a little


def test_the_policy_keeps_its_own_luck_so_that_pairs_share_it():
    """A hand that never misses: the same screens as without one, to the bit; a slower one: the same but for time."""
    world, steady = SymbolicGui(search(2)), HumanTiming(aim=1e-9, share=0)
    alone = rollout(world, Scripted(), rows=50, horizon=13, seed=3)
    human = rollout(world, Human(Scripted(), steady), rows=50, horizon=13, seed=3)
    assert torch.equal(alone.observation["screen"], human.observation["screen"])
    slow = HumanTiming(base=919.8, per_bit=987.2, first=4493.6)
    one = rollout(world, Human(Scripted()), rows=50, horizon=13, seed=3).action
    two = rollout(world, Human(Scripted(), slow), rows=50, horizon=13, seed=3).action
    assert all(torch.equal(one[name], two[name]) for name in one if name != "time_ms")
    assert torch.allclose(two["time_ms"], 2 * one["time_ms"], rtol=1e-5)


def test_rows_alone_act_as_in_a_batch_and_the_record_keeps_the_time(tmp_path):
    world = SymbolicGui(form(1))
    all_rows = rollout(world, Human(Scripted()), rows=6, horizon=12, seed=2)
    for i in range(6):
        alone = rollout(world, Human(Scripted()), rows=torch.tensor([i]), horizon=12, seed=2)
        steps = int(alone.length)
        assert torch.equal(alone.action["time_ms"][0, :steps], all_rows.action["time_ms"][i, :steps])
    all_rows.save(tmp_path / "people.npz")
    assert History.load(tmp_path / "people.npz").equals(all_rows)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"task": "a", "raw_reward": 1, "steps": [{"t": 1}]}, "record 1.*action"),
        ({"task": "a", "raw_reward": 1, "steps": [{"t": "now", "action": {"type": "press"}}]}, "record 1"),
        ({"episode_id": "x7", "task": "a", "raw_reward": 1, "steps": [{"t": 1, "action": {"type": "click"}}]}, "x7"),
        ({"task": "a"}, "raw_reward"),
        (7, "record 1"),
    ],
)
def test_a_wrong_record_is_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        fit_human_timing([demonstrations(KNOWN, 1)[0], wrong])


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="clicks after a click"):
        fit_human_timing([])
    with pytest.raises(TypeError, match="demonstrations"):
        fit_human_timing(3)
    with pytest.raises(TypeError, match="folds"):
        fit_human_timing([], folds=2.0)
    with pytest.raises(ValueError, match="residual"):
        HumanTiming(residual="normal")
    with pytest.raises(ValueError, match="slip"):
        HumanTiming(slip=2)
    with pytest.raises(TypeError, match="policy"):
        Human(3)
    with pytest.raises(TypeError, match="timing"):
        Human(Scripted(), 460)
    with pytest.raises(TypeError, match="misses"):
        Human(Scripted(), misses=0)
    path = tmp_path / "bad.jsonl"
    path.write_text("{}\n{")
    with pytest.raises(ValueError, match="line 2"):
        fit_human_timing(path)


@pytest.fixture(scope="module")
def real():
    folders = [Path(folder) for folder in (os.environ.get("ETHOGRAM_DATA"), "data") if folder]
    found = [folder / inner / DEMOS for folder in folders for inner in ("", "gui")]
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        pytest.skip(f"no {DEMOS}: set ETHOGRAM_DATA to a folder with it")
    return fit_human_timing(path), path


def test_the_recorded_people_are_as_published_and_as_the_defaults_say(real):
    """460 ms + 494 ms a bit, r 0.61, on 28,622 pairs."""
    fit, _ = real
    assert len(fit.ms) == 28_622
    assert (round(fit.timing.base), round(fit.timing.per_bit), round(fit.correlation, 2)) == (460, 494, 0.61)
    assert fit.moving == pytest.approx(0.397, abs=0.001)  # the rest is clicking on one place again
    assert fit.timing.residual == "lognormal"
    for name, value in vars(HumanTiming()).items():
        assert value == pytest.approx(getattr(fit.timing, name), rel=0.002) if name != "residual" else True
    for held in fit.held_out.values():
        assert held.log_likelihood["lognormal"] > held.log_likelihood["gamma"] + 0.02
        assert held.error < 0.81 * held.error_of_mean
    assert fit.outside == pytest.approx(0.006, abs=0.0005)
    assert fit.near == pytest.approx(0.0187, abs=0.0005)


def test_recorded_backspaces_are_mostly_a_key_held_down(real):
    """29,051 of 31,185 presses; 27,838 follow another within some 30 ms, as keys do that repeat themselves."""
    with gzip.open(real[1], "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    gaps = []
    for record in records:
        steps = record["steps"]
        for one, two in pairwise(steps):
            if one["action"].get("key") == two["action"].get("key") == "Backspace":
                gaps.append(two["t"] - one["t"])
    assert len(gaps) == 27_838
    assert np.mean(np.array(gaps) < 40) > 0.9
