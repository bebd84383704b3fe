"""Scores of episodes, of the past and of repeats: against counting by hand, enumeration and closed forms."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch

from ethogram.agents.gui import Again, Altered, Chance, Human, HumanTiming, Scripted, WrongNeighbour, clone
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui.words import FIRST_VALUE
from ethogram.envs.gui_metrics import (
    episode_scores,
    history_gain,
    history_tokens,
    repeat_scores,
    retention,
    success_by_distance,
)
from ethogram.envs.gui_metrics.measures import measures
from ethogram.envs.gui_tasks import carry, form, reactive, search
from ethogram.simulator import Draws, History, Sites, check_policy, rollout

ROWS = 3000


def played(app, policy, rows=ROWS, horizon=None, seed=1):
    world = SymbolicGui(app)
    return rollout(world, policy, rows=rows, horizon=horizon or app.horizon, seed=seed, record=["screen", "values"])


def near(p, rows=ROWS):
    """The 4.5-sigma band, which fails by chance once in 147,000 seeds."""
    return pytest.approx(p, abs=4.5 * (p * (1 - p) / rows) ** 0.5 + 1e-9)


def steps_to_go(app, history):
    """(n, T + 1) float64: the shortest way from each screen to the end, without Back, by search from each."""
    world = SymbolicGui(app)
    first = world.reset(Draws(history.seed, history.ids, scope="world"), Sites(()))[0]
    found = torch.full((len(history), history.num_steps + 1), torch.inf, dtype=torch.float64)
    for row in range(len(history)):
        typing = {*first[row, 11:].tolist()} if app.name.startswith(("carry", "form")) else set()
        actions = [(1, e, 0, 0) for e in range(1, 9)] + [(6, 0, d, 0) for d in (1, 2)] + [(11, 0, 0, 0), (15, 0, 0, 0)]
        actions += [(7, e, 0, word) for e in range(1, 9) for word in typing if word >= FIRST_VALUE]
        names, columns = ("type", "element", "direction", "text"), torch.tensor(actions).T.contiguous()
        did = dict(zip(names, columns, strict=True)) | {"point": torch.zeros(len(actions), 2)}
        found[row, 0] = nearest(world, first[row], did)
        for t in range(int(history.length[row])):
            state = first[row].clone()
            state[0], state[11:] = history["screen"][row, t], history["values"][row, t]
            found[row, t + 1] = nearest(world, state, did)
    return found


def nearest(world, state, did):
    """The fewest steps from a state to a reward, by search in breadth."""
    ring, seen, count = state[None], set(), len(did["type"])
    for steps in range(1, 12):
        many = {name: part.repeat(len(ring), *[1] * (part.dim() - 1)) for name, part in did.items()}
        after = world.step(ring.repeat_interleave(count, 0), many, None, Sites(()))
        if (after.reward > 0).any():
            return steps
        nodes = {(int(s[0]), *s[11:].tolist()): s for s in after.state[~after.terminated]}
        ring = torch.stack([s for node, s in nodes.items() if node not in seen])
        seen |= set(nodes)
    raise AssertionError("no way on")


CASES = {
    "misses": (search(1, 3), Human(Scripted())),
    "forgets": (search(2, 3), Scripted(0)),
    "chance": (search(1, 2), Chance()),
    "carries": (carry(2, 1, 2), Human(Scripted())),
    "clones": (search(1, 3), "clone"),
}


@pytest.mark.parametrize("case", CASES)
def test_scores_of_episodes_are_as_counted_by_hand(case):
    app, policy = CASES[case]
    policy = clone(played(app, Scripted(), 500, seed=9)) if policy == "clone" else policy
    history = played(app, policy, rows=25, horizon=app.horizon + 3, seed=4)
    way = steps_to_go(app, history)
    scores = episode_scores(history, remaining=way, resamples=50)
    success, progress, efficiency, spl, come, again, errors, right, fell, rescued = [], [], [], [], 0, 0, 0, 0, 0, 0
    for i in range(25):
        steps, good = int(history.length[i]), bool(history.reward[i].sum() > 0)
        success.append(good)
        nearest = min(way[i, : steps + 1].tolist())
        progress.append(1.0 if good else max(0.0, 1 - nearest / way[i, 0].item()))
        share = way[i, 0].item() / steps if good else 0.0
        assert share <= 1
        efficiency += [share] if good else []
        spl.append(share)
        screens = history.observation["screen"][i, : steps + 1].tolist()
        for t in range(1, steps + 1):
            come += screens[t] != screens[t - 1]
            again += screens[t] != screens[t - 1] and screens[t] in screens[:t]
        bad = [not (way[i, t + 1] < way[i, t] or history.reward[i, t] > 0) for t in range(steps)]
        errors += sum(bad[:-1])
        right += sum(a and not b for a, b in pairwise(bad))
        fell += any(bad)
        rescued += any(bad) and good
    assert scores.success.value == pytest.approx(np.mean(success))
    assert scores.progress.value == pytest.approx(np.mean(progress))
    assert scores.spl.value == pytest.approx(np.mean(spl))
    for measure, top, bottom in (
        (scores.efficiency, sum(efficiency), len(efficiency)),
        (scores.revisits, again, come),
        (scores.recovery, right, errors),
        (scores.rescued, rescued, fell),
    ):
        assert measure.value == pytest.approx(top / bottom if bottom else math.nan, nan_ok=True)
    assert "rescued" in str(scores)


def test_the_oracle_goes_the_shortest_way():
    for app in (carry(2, 1, 2), form(1, 2), reactive()):
        history = played(app, Scripted(), rows=5)
        scores = episode_scores(history, remaining=steps_to_go(app, history))
        assert scores.efficiency.value == scores.spl.value == scores.success.value == 1
        assert math.isnan(scores.recovery.value)


def test_without_ways_an_error_is_a_step_that_changes_nothing():
    """People miss as often as their taps land beside the box, and mostly hit the next time."""
    app = carry(2)
    history = played(app, Human(Scripted(), HumanTiming(aim=4.0)), rows=200, horizon=3 * app.horizon)
    scores = episode_scores(history, shortest=torch.full((200,), 4))
    text, idle, right = history.observation["text"], 0, 0
    for i in range(200):
        steps, screens = int(history.length[i]), history.observation["screen"][i]
        bad = [bool(screens[t] == screens[t + 1] and (text[i, t] == text[i, t + 1]).all()) for t in range(steps - 1)]
        idle += sum(bad)
        right += sum(a and not b for a, b in pairwise([*bad, False]))
    assert idle > 20
    assert scores.recovery.value == pytest.approx(right / idle)
    assert scores.rescued.value == scores.success.value == 1
    assert scores.efficiency.value == pytest.approx((4 / history.length).mean().item())
    assert math.isnan(scores.progress.value)


def test_verdicts_of_a_replay_by_hand():
    """Three recorded episodes of 3, 2 and 3 steps: right throughout; wrong, then right; cut after a miss."""
    nan = math.nan
    verdict = torch.tensor([[1, nan, 1], [0.5, 1, 0], [1, 0, 0]])
    history = History.of(
        action=torch.zeros(3, 3),
        reward=verdict.nan_to_num(),
        sites={"match/strict": verdict},
        length=torch.tensor([3, 2, 2]),
    )
    scores = episode_scores(history, verdict="match/strict", lengths=torch.tensor([3, 2, 3]))
    assert scores.success.value == pytest.approx(1 / 3)
    assert scores.progress.value == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert (scores.recovery.value, scores.rescued.value) == (1, 0)
    assert math.isnan(scores.revisits.value)
    assert math.isnan(scores.efficiency.value)
    assert success_by_distance({0: history}, verdict="match/strict")[0].value == pytest.approx(1 / 3)


def test_intervals_and_spread_have_their_textbook_sizes():
    """Of 1,000 episodes of a share of 0.3, 95 % of the mean within 1.96 standard errors, to 10 %; 3 runs by hand."""
    rng = np.random.default_rng(0)
    top = (rng.random((1, 1000, 1)) < 0.3).astype(float)
    (found,) = measures(top, np.ones_like(top), 4000)
    p = top.mean()
    assert found.high - found.low == pytest.approx(2 * 1.96 * (p * (1 - p) / 1000) ** 0.5, rel=0.1)
    assert math.isnan(found.spread)
    top = np.array([[1, 0], [1, 1], [0, 0.0]])[..., None]
    (found,) = measures(top, np.ones_like(top), 100)
    assert (found.value, found.spread) == (0.5, pytest.approx(0.5))
    (ratio,) = measures(np.array([[[1.0], [2.0]]]), np.array([[[2.0], [4.0]]]), 100)
    assert ratio[:3] == (0.5, 0.5, 0.5)
    (none,) = measures(np.zeros((1, 3, 1)), np.zeros((1, 3, 1)), 10)
    assert all(map(math.isnan, none))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_pass_k_is_the_share_of_all_choices_of_k_repeats(k):
    success = torch.rand(7, 40, generator=torch.Generator().manual_seed(k)) < torch.linspace(0, 1, 40)
    scores = repeat_scores(success, [k], resamples=20)
    chosen = [success[list(some)] for some in combinations(range(7), k)]
    assert scores.all_of[k].value == pytest.approx(np.mean([c.all(0).float().mean() for c in chosen]))
    assert scores.any_of[k].value == pytest.approx(np.mean([c.any(0).float().mean() for c in chosen]))
    pairs = [(success[a] != success[b]).float().mean() for a, b in combinations(range(7), 2)]
    assert scores.flip_rate.value == pytest.approx(np.mean(pairs))
    assert scores.flipped.value == pytest.approx((success.any(0) & ~success.all(0)).float().mean().item())
    assert scores.success.spread == pytest.approx(success.double().mean(1).std().item())


def test_repeats_of_a_policy_that_guesses_have_closed_forms():
    """Search without memory succeeds by luck: pass^2 is the square, a flip 2 p (1 - p). Who remembers never flips."""
    app = search(1)
    runs = [played(app, Again(Scripted(0), i), rows=2000) for i in range(4)]
    p, scores = app.memoryless, repeat_scores(runs, resamples=200)
    assert list(scores.all_of) == [1, 2, 4]
    assert scores.success.value == pytest.approx(p, abs=4.5 * (p * (1 - p) / 8000) ** 0.5)
    assert scores.all_of[2].value == pytest.approx(p**2, abs=0.03)
    assert scores.all_of[4].value == pytest.approx(p**4, abs=0.04)
    assert scores.flip_rate.value == pytest.approx(2 * p * (1 - p), abs=0.03)
    assert scores.flip_rate.low < 2 * p * (1 - p) < scores.flip_rate.high
    assert "pass^4" in str(scores)
    sure = repeat_scores([played(carry(2), Again(Scripted(), i), rows=50) for i in range(3)])
    assert (sure.success.spread, sure.flipped.value, sure.all_of[2].value) == (0, 0, 1)


def test_repeats_differ_in_whatever_is_left_to_luck():
    """A value is dropped in half of the tries: then one in 64 is right, always the same. All luck differs so."""
    app, world = carry(3), SymbolicGui(carry(3))
    scores = repeat_scores([played(app, Again(Altered(Scripted(), "dropped"), i), rows=1000) for i in range(4)])
    assert scores.success.spread > 0
    for k, share in scores.all_of.items():
        assert share.value == pytest.approx(1 / 64 + 63 / 64 * 0.5**k, abs=4.5 * 0.5 / 1000**0.5)
    one, two = (rollout(world, Again(Human(Scripted()), i), rows=20, horizon=12).action["time_ms"] for i in range(2))
    assert not torch.equal(one[:, 0], two[:, 0])
    one, two = (played(search(1), Again(Again(Scripted(0), 0), i), rows=50).action["element"] for i in range(2))
    assert not torch.equal(one[:, 0], two[:, 0])


@pytest.mark.parametrize("past", ["none", "dropped", "shuffled", "corrupted"])
def test_sensitivity_to_a_changed_past_is_its_closed_form(past):
    """The value stands on one of three earlier screens: lost with probability 0.4, then guessed, right once in 64.

    Looking back two steps of three misses it; in any order it is among the last two in 2 of 3 episodes.
    """
    app, share = carry(3), 0.4
    policy = Scripted(2) if past == "shuffled" else Scripted()
    lost = {"none": 1.0, "dropped": share, "corrupted": share, "shuffled": 1 / 3}[past]
    full = played(app, policy)
    gain = history_gain(full, played(app, Altered(policy, past, share)), resamples=200)
    before = 1 / 64 if past == "shuffled" else 1.0
    assert gain.value == pytest.approx(before - (1 - lost + lost / 64), abs=4.5 * 0.5 / ROWS**0.5)
    assert gain.low < gain.value < gain.high


def test_success_by_distance_shows_how_far_a_policy_looks_back():
    runs = {d: [played(carry(d), Again(Scripted(2), i), rows=500, seed=i) for i in range(3)] for d in range(5)}
    found = success_by_distance(runs, resamples=100)
    assert [found[d].value for d in (0, 1, 2)] == [1, 1, 1]
    assert all(found[d].value == near(1 / 64, 1500) for d in (3, 4))
    assert found[2].spread == 0 < found[3].spread


def test_retention_counts_the_facts_that_are_right():
    """Three facts: all, one in 64 each, or, with a memory as long as the way to the first field, the first alone."""
    app = carry(2, 3, 2)
    assert retention(played(app, Scripted()), app.wanted).value == 1
    assert retention(played(app, Scripted(0)), app.wanted).value == near(1 / 64)
    some = played(app, Scripted(2))
    assert retention(some, app.wanted).value == near((1 + 2 / 64) / 3)
    assert episode_scores(some).success.value < 0.01
    assert retention(played(app, WrongNeighbour(Scripted())), app.wanted).value < 0.5


def test_words_read_are_as_counted_by_hand():
    history, memory = played(carry(2), Scripted(), rows=4), 2
    words = (history.observation["text"] > 0).flatten(2).sum(2)
    read = [sum(words[i, max(t - memory, 0) : t].tolist()) for i in range(4) for t in range(int(history.length[i]))]
    assert history_tokens(history, memory).value == pytest.approx(np.mean(read))
    assert history_tokens(history, 0).value == 0


def test_the_wrong_neighbour_and_chance_are_what_they_say():
    assert episode_scores(played(reactive(), WrongNeighbour(Scripted()), rows=300)).success.value == 0
    assert episode_scores(played(reactive(0), WrongNeighbour(Scripted()), rows=30)).success.value == 1
    assert 0 < episode_scores(played(reactive(0), Chance(), rows=300)).success.value < 0.5
    for policy in (Chance(), WrongNeighbour(Scripted()), Again(Scripted(), 1), Altered(Scripted(), "shuffled")):
        check_policy(policy, SymbolicGui(carry(2)))


def test_baselines_stand_beside():
    app = search(1, 2)
    others = {
        "chance": played(app, Chance(), rows=200),
        "wrong neighbour": played(app, WrongNeighbour(Scripted()), rows=200),
    }
    scores = episode_scores(played(app, Scripted(), rows=200), shortest=torch.full((200,), 4), baselines=others)
    assert scores.baselines["chance"].success[:3] == episode_scores(others["chance"]).success[:3]
    assert scores.baselines["wrong neighbour"].spl.value <= scores.spl.value
    assert "; chance 0." in str(scores)
    assert "; wrong neighbour 0." in str(scores)
    with pytest.raises(TypeError, match="baselines"):
        episode_scores(others["chance"], baselines=[others["chance"]])


def test_wrong_arguments_are_named():
    history = played(reactive(), Scripted(), rows=3)
    with pytest.raises(TypeError, match="runs"):
        episode_scores(3)
    with pytest.raises(ValueError, match="runs is empty"):
        episode_scores([])
    with pytest.raises(ValueError, match="other rows"):
        episode_scores([history, history[:2]])
    with pytest.raises(ValueError, match="remaining"):
        episode_scores(history, remaining=torch.zeros(3))
    with pytest.raises(ValueError, match="remaining is of 1 runs"):
        episode_scores([history, history], remaining=torch.zeros(3, 5))
    with pytest.raises(TypeError, match="shortest"):
        episode_scores(history, shortest=4)
    with pytest.raises(LookupError, match="match/strict"):
        episode_scores(history, verdict="match/strict")
    with pytest.raises(ValueError, match="lengths"):
        episode_scores(history, verdict="reward", lengths=torch.zeros(2))
    with pytest.raises(TypeError, match="runs"):
        success_by_distance([history])
    with pytest.raises(ValueError, match="full and other"):
        history_gain(history, [history, history])
    with pytest.raises(ValueError, match="facts"):
        retention(history, torch.zeros(3))
    with pytest.raises(ValueError, match="two repeats"):
        repeat_scores([history])
    with pytest.raises(ValueError, match="each of ks"):
        repeat_scores(torch.ones(3, 4), [4])
    with pytest.raises(ValueError, match=r"\(repeats, tasks\)"):
        repeat_scores(torch.ones(3))
    with pytest.raises(ValueError, match="past"):
        Altered(Scripted(), "reversed")
    for make in (lambda: Again(3, 0), lambda: Altered(3, "none"), lambda: WrongNeighbour(3)):
        with pytest.raises(TypeError, match="policy"):
            make()
