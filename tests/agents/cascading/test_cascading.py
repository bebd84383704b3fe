"""Learning agents in a cascading MDP: against their definition, against each other, and against the optimum."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch

from ethogram.agents.cascading import AdaptVI, CascadingBPI, CascadingVI, learn_in, optimal_values, policy_value
from ethogram.agents.simple import UniformSlates
from ethogram.envs.sessions import CascadingMDP, CascadingSession, good_medium_bad, movielens_formula, trap
from ethogram.simulator.history import History
from ethogram.simulator.rollout import episodes, rollout


def make(kind, mdp, num_episodes, **settings):
    if kind is AdaptVI:
        return AdaptVI(mdp.num_states, mdp.num_items, mdp.length, mdp.horizon, num_episodes, **settings)
    if kind is CascadingBPI:
        return CascadingBPI(mdp.reward, mdp.length, mdp.horizon, epsilon=0.01, **settings)
    return CascadingVI(mdp.reward, mdp.length, mdp.horizon, num_episodes, **settings)


def learnt(agent):
    """Every array that an agent keeps."""
    return [*agent.counts, *agent.plan] if isinstance(agent, AdaptVI) else [*agent.model.counts, *agent.model.plan]


def planned(agent):
    return torch.from_numpy(agent.plan.slates if isinstance(agent, AdaptVI) else agent.model.plan.slates)


def random_mdp(seed, num_states=4, num_items=5, length=3, horizon=3):
    draw = np.random.default_rng(seed)
    attraction, reward = draw.random((2, num_states, num_items))
    transition = draw.dirichlet(np.ones(num_states), (num_states, num_items + 1))
    return CascadingMDP(*map(torch.from_numpy, (attraction, transition, reward)), length, horizon)


def plan_by_definition(mdp, counts, log, tightened, strict_paper):
    """Section 4 in plain loops, with every list tried: V-bar and V, (H + 1, S) each."""
    S, N, H, m = mdp.num_states, mdp.num_items, mdp.horizon, mdp.length
    lists = [a for k in range(1, m + 1) for a in permutations(range(N), k)]
    upper, lower = np.zeros((H + 1, S)), np.zeros((H + 1, S))
    for h in range(H - 1, -1, -1):
        left = H - 1 - h
        for s in range(S):
            w, below, high, low = np.zeros(N + 1), np.zeros(N + 1), np.ones(N + 1), np.ones(N + 1)
            for a in range(N + 1):
                n, reward = counts.moves[s, :, a].sum(), 0.0 if a == N else mdp.reward[s, a].item()
                p = counts.moves[s, :, a] / max(n, 1)
                variance = p @ (upper[h + 1] - p @ upper[h + 1]) ** 2
                gap = p @ (upper[h + 1] - lower[h + 1]) ** 2
                b = H
                if n > 0:
                    b = min(2 * math.sqrt(variance * log / n) + 2 * math.sqrt(gap * log / n) + 5 * H * log / n, H)
                if tightened and left == 0:
                    b = 0
                w[a], below[a] = reward + p @ upper[h + 1] + b, reward + p @ lower[h + 1] - b
                if tightened:
                    w[a] = min(w[a], reward + left)
                if a < N:
                    n, q, b = counts.examined[s, a], 0.0, 1.0
                    if n > 0:
                        q = counts.clicked[s, a] / n
                        b = min(2 * math.sqrt(q * (1 - q) * log / n) + 5 * log / n, 1)
                    high[a], low[a] = min(1, q + b), max(0, q - b)
            u = high if strict_paper or (w[:N] > w[N]).any() else low

            def value(slate, u=u, w=w):
                tail = w[-1]
                for a in reversed(slate):
                    tail = u[a] * w[a] + (1 - u[a]) * tail
                return tail

            best = max(lists, key=value)
            upper[h, s] = min(value(best), left + 1 if tightened else H)
            reached, total = 1.0, 0.0
            for a in sorted(best, key=lambda a, w=w: -w[a]):
                total += reached * low[a] * below[a]
                reached *= 1 - high[a]
            lower[h, s] = max(total + reached * below[N], 0)
    return upper, lower


@pytest.mark.parametrize("tightened", [True, False])
@pytest.mark.parametrize("strict_paper", [True, False])
def test_the_plan_is_what_the_definition_says(tightened, strict_paper):
    """After 50,000 episodes of random lists: enough for bounds that are not trivial."""
    for seed in range(2):
        mdp = random_mdp(seed)
        agent = make(CascadingVI, mdp, 50_000, tightened=tightened, strict_paper=strict_paper)
        history = rollout(
            CascadingSession(mdp), UniformSlates(5, 3), rows=50_000, horizon=3, seed=seed, record=["click"]
        )
        agent.learn(history)
        log = math.log(14 * 50_000 * 3 * 4 * 5 / 0.005)
        upper, lower = plan_by_definition(mdp, agent.model.counts, log, tightened, strict_paper)
        np.testing.assert_allclose(agent.model.plan.upper, upper, rtol=0, atol=1e-9)
        np.testing.assert_allclose(agent.model.plan.lower, lower, rtol=0, atol=1e-9)
        assert (upper[:3].max(1) > upper[:3].min(1)).all()
        assert lower.max() > 0


def test_only_what_was_examined_is_counted():
    """A click at position 1 leaves position 2 unseen; no click shows the whole list, up to its padding."""
    agent = CascadingVI(torch.ones(3, 4).double(), length=3, horizon=2, num_episodes=10)
    history = History.of(
        observation=torch.tensor([[0, 1, 2], [0, 2, 1]]),
        action=torch.tensor([[[3, 1, 0], [2, 0, -1]], [[1, -1, -1], [0, 1, 2]]]),
        reward=torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        sites={"click": torch.tensor([[1, 3], [0, 3]])},
        length=torch.tensor([2, 1]),  # the last step of row 1 is padding
    )
    counts = agent.learn(history).model.counts
    assert counts.examined.tolist() == [[0, 2, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert counts.clicked.tolist() == [[0, 2, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    moves = np.argwhere(counts.moves).tolist()
    assert moves == [[0, 1, 1], [0, 2, 1], [1, 2, 4]]


CASES = [
    (CascadingVI, {}),
    (CascadingVI, {"strict_paper": True, "tightened": False}),
    (CascadingBPI, {}),
    (AdaptVI, {}),
]


@pytest.mark.parametrize(("kind", "settings"), CASES)
@pytest.mark.parametrize("mdp", [trap(), random_mdp(5)])
def test_the_compiled_run_is_the_public_one_to_the_bit(kind, settings, mdp):
    public, compiled = make(kind, mdp, 60, **settings), make(kind, mdp, 60, **settings)
    values = [policy_value(mdp, planned(public).clone())[0, mdp.initial].item()]
    for _ in episodes(CascadingSession(mdp), public, 60, horizon=mdp.horizon, seed=3, first=7):
        values.append(policy_value(mdp, planned(public).clone())[0, mdp.initial].item())
    curve = learn_in(mdp, compiled, 60, seed=3, first=7)
    assert curve.value.tolist() == pytest.approx(values[:-1], abs=1e-12)
    for a, b in zip(learnt(public), learnt(compiled), strict=True):
        assert np.array_equal(a, b)


def full_plan(agent):
    """Plan every step and state anew from an agent's counts."""
    fresh = CascadingVI(agent.reward, agent.length, agent.horizon, agent.num_episodes, **{
        name: getattr(agent, name) for name in ("delta", "strict_paper", "tightened", "bonus_scale")
    })  # fmt: skip
    for kept, table in zip(fresh.model.counts, agent.model.counts, strict=True):
        kept[:] = table
    return fresh.model.plan


@pytest.mark.parametrize("bonus_scale", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("mdp", [random_mdp(1, 6, 5, 2, 5), random_mdp(4, 12, 8, 3, 4), movielens_formula(20, 10, 0.3)])
def test_what_is_not_planned_again_would_be_the_same_to_the_bit(mdp, bonus_scale):
    """After each of 300 episodes, late enough for bounds that are not trivial: lists and bounds of a full plan."""
    agent = make(CascadingVI, mdp, 20_000, bonus_scale=bonus_scale)
    learn_in(mdp, agent, 2000, seed=5)
    working, kept = agent.model.working, 0
    for i, _ in enumerate(episodes(CascadingSession(mdp), agent, 300, horizon=mdp.horizon, seed=5, first=2000)):
        full = full_plan(agent)
        for name in ("upper", "lower", "value", "order", "slates"):
            assert np.array_equal(getattr(working, name), getattr(full, name)), (i, name)
        kept += int((working.bonus != full.bonus).any())
    assert kept > 0 or bonus_scale < 1  # something was left as it was
    assert all(np.array_equal(a, b) for a, b in zip(agent.model.plan, full_plan(agent), strict=True))


def test_one_run_is_two_halves():
    whole, halves = make(CascadingVI, trap(), 9000), make(CascadingVI, trap(), 9000)
    curve = learn_in(trap(), whole, 9000, seed=1)
    first, second = (learn_in(trap(), halves, 4500, seed=1, first=k) for k in (0, 4500))
    assert torch.equal(curve.value, torch.cat([first.value, second.value]))
    assert all(np.array_equal(a, b) for a, b in zip(learnt(whole), learnt(halves), strict=True))


@pytest.mark.parametrize("kind", [CascadingVI, AdaptVI])
def test_a_batch_of_episodes_teaches_what_they_teach_one_by_one(kind):
    mdp = random_mdp(2)
    history = rollout(CascadingSession(mdp), UniformSlates(5, 3), rows=50, horizon=3, record=["click"])
    batch, single = make(kind, mdp, 50).learn(history), make(kind, mdp, 50)
    for i in range(50):
        single.learn(history[i])
    assert all(np.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(learnt(batch), learnt(single), strict=True))


@pytest.mark.parametrize("mdp", [good_medium_bad(4), trap(), movielens_formula(6, 10, 0.3), random_mdp(8)])
def test_both_oracles_give_the_same_trajectories(mdp):
    fast, slow = make(CascadingVI, mdp, 1000), make(CascadingVI, mdp, 1000, oracle="exhaustive")
    a, b = learn_in(mdp, fast, 1000, seed=2), learn_in(mdp, slow, 1000, seed=2)
    assert torch.equal(a.value, b.value)
    assert torch.equal(a.upper, b.upper)
    for x, y in zip(fast.model.counts, slow.model.counts, strict=True):
        assert np.array_equal(x, y)
    assert np.array_equal(fast.model.plan.slates, slow.model.plan.slates)


@pytest.mark.parametrize(("kind", "settings"), [*CASES, (CascadingVI, {"variance_aware": False})])
@pytest.mark.parametrize("mdp", [good_medium_bad(4), trap(), movielens_formula(8, 10, 0.3)])
def test_every_episode_is_optimistic(kind, settings, mdp):
    """The bounds may fail with probability 0.005 a run at most; 15 runs, 7.5 % at most for some seed."""
    agent = make(kind, mdp, 5000, **settings)
    curve = learn_in(mdp, agent, 5000)
    assert curve.optimistic.all()
    optimal = optimal_values(mdp)[0].numpy()
    lower, upper = (agent.plan if kind is AdaptVI else agent.model.plan)[:2][::-1]
    assert (upper >= optimal - 1e-9).all()
    assert (lower <= optimal + 1e-9).all()


def test_optimism_needs_lower_bounds_where_no_item_is_worth_a_click():
    """Without a click the user goes where the reward is; a list, which may not be empty, can only do harm."""
    good, bad = [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]
    transition = torch.tensor([[bad, bad, good], [good] * 3, [bad] * 3]).double()
    reward = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]).double()
    attraction = torch.tensor([[0.5, 0.5], [1.0, 1.0], [0.5, 0.5]]).double()
    mdp = CascadingMDP(attraction, transition, reward, length=1, horizon=2)
    for strict in (False, True):
        curve = learn_in(mdp, make(CascadingVI, mdp, 5000, strict_paper=strict), 5000)
        assert curve.optimistic.all() == (not strict)


def test_the_agent_learns_to_avoid_the_trap():
    agent = make(CascadingVI, trap(), 20_000, bonus_scale=0.1)
    curve = learn_in(trap(), agent, 20_000)
    assert curve.value[-1] > 4.0  # the myopic policy is worth 2.78, the best 4.07


def test_best_policy_identification_stops_when_it_may():
    """GMB(4), epsilon 1: the bound holds in every episode, and the policy is good at the stop."""
    mdp = good_medium_bad(4)
    agent = CascadingBPI(mdp.reward, mdp.length, mdp.horizon, epsilon=1.0)
    assert not agent.stopped
    assert agent.gap == mdp.horizon
    curve = learn_in(mdp, agent, 200_000)
    assert 20_000 < len(curve.value) < 100_000
    assert agent.stopped
    assert agent.gap <= 1.0
    assert (curve.error >= curve.upper - curve.value - 1e-9).all()
    assert curve.optimistic.all()
    gap = curve.optimal - policy_value(mdp, planned(agent))[0, 0].item()
    assert gap < 0.05
    assert len(learn_in(mdp, agent, 10).value) == 0  # and plays no more


def test_the_error_bound_holds_for_every_state_and_step():
    mdp = random_mdp(3)
    agent = CascadingBPI(mdp.reward, mdp.length, mdp.horizon, epsilon=0.01)
    for _ in range(4):
        learn_in(mdp, agent, 20_000)
        model = agent.model
        gap = model.plan.upper - policy_value(mdp, planned(agent)).numpy()
        assert (model.plan.error >= gap - 1e-9).all()
    assert model.plan.error[0, 0] < mdp.horizon - 0.01  # a bound worth having


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"oracle": "best"}, "expected 'bestperm' or 'exhaustive'"),
        ({"reward": torch.ones(2, 6)}, "expected float64"),
        ({"reward": torch.full((2, 6), 1.5).double()}, r"in \[0, 1\]"),
        ({"length": 7}, "length is 7: expected an int from 1 to 6"),
        ({"horizon": 0}, "horizon is 0: expected an int, 1 or more"),
        ({"delta": 0.0}, "between 0 and 1"),
        ({"num_episodes": 0}, "num_episodes is 0: expected an int, 1 or more"),
    ],
)
def test_bad_settings_are_refused(change, message):
    good = {"reward": torch.ones(2, 6).double(), "length": 2, "horizon": 6, "num_episodes": 10}
    with pytest.raises(ValueError, match=message):
        CascadingVI(**good | change)


def test_an_agent_for_another_world_is_refused():
    agent = make(CascadingVI, trap(), 10)
    with pytest.raises(ValueError, match="expected those of the MDP"):
        learn_in(good_medium_bad(4), agent, 10)
    other = CascadingVI(trap().reward / 2, 2, 6, 10)
    with pytest.raises(ValueError, match="reward differs"):
        learn_in(trap(), other, 10)
    with pytest.raises(IndexError, match="horizon=6"):
        rollout(CascadingSession(trap()), agent, rows=1, horizon=7)


def test_histories_without_what_is_needed_are_refused():
    agent = make(CascadingVI, trap(), 10)
    history = rollout(CascadingSession(trap()), agent, rows=2, horizon=6)
    with pytest.raises(LookupError, match="record="):
        agent.learn(history)
    short = CascadingVI(torch.ones(2, 6).double(), 1, 6, 10)
    history = rollout(CascadingSession(trap()), agent, rows=2, horizon=6, record=["click"])
    with pytest.raises(ValueError, match=r"'action' of the history is torch.int64 .* expected integers"):
        short.learn(history)
    few = CascadingVI(torch.ones(2, 2).double(), 2, 6, 10)
    history = rollout(CascadingSession(trap()), UniformSlates(6, 2), rows=50, horizon=6, record=["click"])
    with pytest.raises(ValueError, match="'action' of row"):
        few.learn(history)


def test_lists_as_atoms_are_refused_where_they_are_too_many():
    with pytest.raises(ValueError, match="use CascadingVI"):
        AdaptVI(100, 25, 3, 3, 1000)
