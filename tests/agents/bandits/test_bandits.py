"""The cascading bandits against plain loops, closed forms, SciPy and a published table."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import optimize, special, stats

from ethogram.agents import bandits
from ethogram.agents.bandits import (
    CTS,
    CascadeBandit,
    CascadeKLUCB,
    CascadeLinTS,
    CascadeLinUCB,
    CascadeUCB1,
    CascadeUCBV,
    LinTSCascade,
    TSCascade,
    beta,
    cascade_regret,
    count_feedback,
    kernels,
    kl_upper_bound,
    normal,
    play,
    sampling,
    svd_features,
)
from ethogram.envs.sessions import CascadingSession, cascading_bandit, trap, two_level_bandit
from ethogram.simulator.draws import Draws
from ethogram.simulator.history import History
from ethogram.simulator.rollout import episodes, rollout
from ethogram.simulator.world import Learner

ITEM_AGENTS = [CascadeUCB1, CascadeKLUCB, CascadeUCBV, TSCascade, CTS]
FEATURES = torch.linspace(-1, 1, 18, dtype=torch.float64).cos().view(6, 3)
LINEAR_AGENTS = [
    lambda: CascadeLinUCB(2, FEATURES, num_rounds=100),
    lambda: CascadeLinTS(2, FEATURES),
    lambda: LinTSCascade(2, FEATURES, exploration=0.5),
]
ONE = Draws(5, torch.arange(1), scope="policy")  # one row's chance


def random_history(rng, rows=40, steps=5, num_items=7, length=3):
    """Lists of any length, rows of any length, clicks anywhere on the list or nowhere."""
    slates = np.argsort(rng.random((rows, steps, num_items)), axis=2)[..., :length]
    filled = rng.integers(1, length + 1, (rows, steps))
    slates[np.arange(length) >= filled[..., None]] = -1
    click = rng.integers(0, filled + 1)
    click[click == filled] = length
    return History.of(
        action=torch.from_numpy(slates),
        reward=torch.from_numpy(click < length).float(),
        sites={"click": torch.from_numpy(click)},
        length=torch.from_numpy(rng.integers(1, steps + 1, rows)),
    )


def with_counts(agent, lists, clicks, examined):
    agent.lists = lists
    agent.clicks, agent.examined = (torch.tensor(x, dtype=torch.float64) for x in (clicks, examined))
    return agent


# Counting.


def test_items_down_to_the_click_count_as_examined():
    """Against a loop over every position of 200 lists, padding and ended rows included."""
    history = random_history(np.random.default_rng(0))
    clicks, examined, lists = [0] * 7, [0] * 7, 0
    for i in range(len(history)):
        for t in range(int(history.length[i])):
            lists += 1
            for position, item in enumerate(history.action[i, t].tolist()):
                if item < 0:
                    break
                examined[item] += 1
                if position == history.sites["click"][i, t]:
                    clicks[item] += 1
                    break
    agent = CTS(7, 3).learn(history)
    assert agent.clicks.tolist() == clicks
    assert agent.examined.tolist() == examined
    assert agent.lists == lists
    twice = agent.learn(history)
    assert twice is agent
    assert twice.examined.tolist() == [2 * x for x in examined]


def test_feedback_that_contradicts_itself_is_refused():
    def counted(slate, click, num_items=4):
        history = History.of(
            action=torch.tensor([[slate]]), reward=torch.zeros(1, 1), sites={"click": torch.tensor([[click]])}
        )
        return count_feedback(history, num_items)

    assert counted([2, 0], 1)[0].tolist() == [1, 0, 0, 0]
    for slate, click in (([1, -1], 1), ([1, 0], -1), ([1, 0], 3)):
        with pytest.raises(ValueError, match="a click is off its slate"):
            counted(slate, click)
    with pytest.raises(ValueError, match=r"item 4 was shown: expected items 0 to 3"):
        counted([4, 0], 0)
    with pytest.raises(LookupError, match="no column 'click'"):
        count_feedback(History.of(action=torch.tensor([[[1, 0]]]), reward=torch.zeros(1, 1)), 4)
    with pytest.raises(ValueError, match=r"expected slates, int64 \(rows, steps, K\)"):
        count_feedback(
            History.of(action=torch.tensor([[1]]), reward=torch.zeros(1, 1), sites={"click": torch.tensor([[0]])}), 4
        )


# Indices.

LISTS, CLICKS, EXAMINED = 57, [3, 0, 9, 20, 0, 1], [10, 4, 9, 41, 0, 30]


def test_indices_equal_the_papers_formulas():
    z = normal(ONE, "posterior").item()

    def ucb1(w, T):
        return w + math.sqrt(1.5 * math.log(LISTS) / T)

    def ucb_v(w, T):
        return w + math.sqrt(2 * w * (1 - w) * math.log(LISTS) / T) + 3 * math.log(LISTS) / T

    def ts(w, T):
        log = math.log(LISTS + 2)
        return w + z * max(math.sqrt(w * (1 - w) * log / (T + 1)), log / (T + 1))

    for kind, formula, unseen in (
        (CascadeUCB1, ucb1, math.inf),
        (CascadeUCBV, ucb_v, math.inf),
        (TSCascade, ts, z * math.log(LISTS + 2)),
    ):
        index = with_counts(kind(6, 3), LISTS, CLICKS, EXAMINED).index(ONE).flatten().tolist()
        expected = [formula(c / n, n) if n else unseen for c, n in zip(CLICKS, EXAMINED, strict=True)]
        assert index == pytest.approx(expected, rel=1e-12)


def test_the_kl_index_is_the_root_that_scipy_finds():
    index = with_counts(CascadeKLUCB(6, 3), LISTS, CLICKS, EXAMINED).index(ONE).tolist()
    level = math.log(LISTS + 1) + 3 * math.log(math.log(LISTS + 1))
    for bound, c, n in zip(index, CLICKS, EXAMINED, strict=True):
        if n == 0:
            assert bound == math.inf
        elif c == n:
            assert bound == 1
        else:
            root = optimize.brentq(
                lambda u, w=c / n, n=n: n * stats.entropy([w, 1 - w], [u, 1 - u]) - level, c / n, 1 - 1e-15, xtol=1e-14
            )
            assert bound == pytest.approx(root, abs=1e-10)


@pytest.mark.parametrize("bound", [kl_upper_bound, sampling._kl_upper_bound_torch])
def test_the_kl_bound_solves_its_equation(bound):
    """Means and budgets over many orders of magnitude, the ends of both included."""
    rng = np.random.default_rng(0)
    mean = torch.from_numpy(np.concatenate([rng.random(5000), rng.random(5000) ** 9, [0, 0, 1, 1, 0.3, 1e-300]]))
    budget = torch.from_numpy(np.concatenate([10 ** rng.uniform(-6, 2, 10_000), [0, 2, 0, 2, 0, 0.1]]))
    u = bound(mean, budget)
    assert bool(((u >= mean) & (u <= 1)).all())
    p, inside = mean.numpy(), u.numpy() < 1 - 1e-9  # nearer to 1, u has too few digits to give the budget back
    kl = special.rel_entr(p, u.numpy()) + special.rel_entr(1 - p, 1 - u.numpy())
    assert np.allclose(kl[inside], budget[inside], rtol=1e-6, atol=1e-13)
    least = special.rel_entr(p, 1 - 1e-9) + special.rel_entr(1 - p, 1e-9)
    assert 10 < (~inside).sum() < 5000
    assert (least <= budget.numpy() + 1e-6)[~inside & (p < 1)].all()
    assert u[-6:].tolist() == pytest.approx([0, 1 - math.exp(-2), 1, 1, 0.3, 1 - math.exp(-0.1)], abs=1e-12)
    assert torch.allclose(u, kl_upper_bound(mean, budget), rtol=0, atol=1e-9)


def test_items_of_equal_index_are_shown_in_order():
    """The kernel's selection and the agents' stable sort agree on 500 indices full of ties."""

    class Given(CascadeBandit):
        def index(self, draws):
            return self.given

    rng = np.random.default_rng(1)
    for _ in range(500):
        n = int(rng.integers(1, 9))
        agent = Given(n, int(rng.integers(1, n + 1)))
        agent.given = torch.from_numpy(rng.choice([0.0, 0.5, 1.0, np.inf], n))
        expected = sorted(range(n), key=lambda item: (-agent.given[item].item(), item))[: agent.length]
        slate = np.empty(agent.length, dtype=np.int64)
        kernels.show(agent.given.numpy(), slate)
        assert agent.act(None, None, ONE).tolist() == [expected]
        assert slate.tolist() == expected


# Chance.


def test_beta_and_normal_draws_have_their_distributions():
    """CTS samples Beta(1 + clicks, 1 + skips). Nine KS tests at 10^-5: a false alarm once in 11,000 seeds."""
    draws = Draws(11, torch.arange(40_000), scope="policy")
    a = torch.tensor([1.0, 1, 30, 2, 3, 40, 5000, 1.5], dtype=torch.float64)
    b = torch.tensor([1.0, 25, 1, 2, 200, 7, 20_000, 1.2], dtype=torch.float64)
    samples = with_counts(CTS(8, 2), 9, (a - 1).tolist(), (a + b - 2).tolist()).index(draws)
    for k in range(len(a)):
        assert stats.kstest(samples[:, k].numpy(), stats.beta(a[k].item(), b[k].item()).cdf).pvalue > 1e-5
    assert stats.kstest(normal(draws, "posterior").numpy(), stats.norm.cdf).pvalue > 1e-5
    correlation = torch.corrcoef(samples.T) - torch.eye(len(a))
    assert correlation.abs().max() < 5.5 / 200  # 28 pairs at 5.5 sigma: once in 900,000 seeds


def test_the_torch_twin_draws_the_same_betas():
    draws = Draws(2, torch.arange(300) + 10**6, step=4, scope="policy")
    a, b = torch.tensor([[1.0, 1, 8, 3, 900], [1, 6, 1, 3, 40]], dtype=torch.float64)
    assert torch.allclose(sampling._beta_torch(draws, "x", a, b), beta(draws, "x", a, b), rtol=1e-10, atol=0)
    with pytest.raises(ValueError, match=r"Beta parameters go from 0.5 to 450: expected at least 1"):
        beta(draws, "x", a / 2, b)


def test_every_row_samples_for_itself_whatever_the_batch():
    """TS-Cascade moves all items by one normal a row; CTS and the linear samplers move each row on its own."""
    draws = Draws(3, torch.arange(50), scope="policy")
    agents = [CTS(6, 2), TSCascade(6, 2), CascadeLinTS(2, FEATURES), LinTSCascade(2, FEATURES, exploration=1.0)]
    for agent in (with_counts(agent, LISTS, CLICKS, EXAMINED) for agent in agents):
        index = agent.index(draws)
        assert index.shape == (50, 6)
        assert len(index[:, 0].unique()) == 50
        assert torch.allclose(agent.index(Draws(3, torch.tensor([17]), scope="policy")), index[17:18])
    shift = agents[1].index(draws) - agents[1].mean
    assert torch.linalg.matrix_rank(shift) == 1


# The linear posterior.


def test_the_linear_posterior_is_the_sum_over_events():
    """Against NumPy's inverse of M, summed over the 200 lists one examined item at a time."""
    history = random_history(np.random.default_rng(4), num_items=6, length=2)
    x, sigma = FEATURES.numpy(), 0.7
    precision, response = np.eye(3), np.zeros(3)
    for i in range(len(history)):
        for t in range(int(history.length[i])):
            click = int(history.sites["click"][i, t])
            for position, item in enumerate(history.action[i, t, : click + 1].tolist()):
                if item >= 0:
                    precision += np.outer(x[item], x[item]) / sigma**2
                    response += x[item] * (position == click) / sigma**2
    covariance = np.linalg.inv(precision)
    agent = CascadeLinUCB(2, FEATURES, num_rounds=500, noise=sigma).learn(history)
    mean, factor = agent.posterior()
    assert np.allclose(mean, covariance @ response, rtol=1e-9)
    assert np.allclose(factor @ factor.T, precision, rtol=1e-9)
    c = math.sqrt(3 * math.log(1 + 500 * 2 / 3) + 2 * math.log(500 * 2)) + 1
    for width in (c, 0.05):
        bound = np.minimum(1, x @ covariance @ response + width * np.sqrt(np.einsum("id,de,ie->i", x, covariance, x)))
        if width != c:  # so small a width leaves bounds below 1
            agent = type("Narrow", (CascadeLinUCB,), {"width": width})(2, FEATURES, 500, noise=sigma).learn(history)
            assert bound.min() < 1
        assert np.allclose(agent.index(ONE), bound, rtol=1e-9)


@pytest.mark.parametrize(("kind", "scale"), [("CascadeLinTS", 1.0), ("LinTSCascade", 0.5 * 3 * math.sqrt(3 * 2))])
def test_linear_samples_have_the_posterior_covariance(kind, scale):
    """With unit features x^T theta is theta: 6 whitened KS tests at 10^-5, a false alarm once in 16,000 seeds."""
    features = torch.eye(3, dtype=torch.float64) + 0.5
    arguments = {} if kind == "CascadeLinTS" else {"exploration": 0.8}
    agent = with_counts(getattr(bandits, kind)(2, features, **arguments), LISTS, CLICKS[:3], EXAMINED[:3])
    if kind == "LinTSCascade":
        scale *= 0.8 * math.sqrt(math.log(LISTS + 1))
    precision = torch.eye(3) + features.T @ torch.diag(agent.examined) @ features
    mean = torch.linalg.inv(precision) @ features.T @ agent.clicks
    theta = agent.index(Draws(8, torch.arange(20_000), scope="policy")) @ torch.linalg.inv(features.T)
    white = (theta - mean) @ torch.linalg.cholesky(precision) / scale  # (n, 3) independent standard normals
    for k in range(3):
        assert stats.kstest(white[:, k].numpy(), stats.norm.cdf).pvalue > 1e-5
    assert (torch.corrcoef(white.T) - torch.eye(3)).abs().max() < 5.5 / math.sqrt(20_000)


def test_features_reproduce_the_co_clicks_of_training():
    rng = np.random.default_rng(5)
    clicks = torch.from_numpy((rng.random((60, 12)) < 0.3).astype(np.float64))
    features = svd_features(clicks, 12, length=4)
    gram, co_clicks = features @ features.T, clicks.T @ clicks
    assert torch.allclose(gram / gram[0, 0], co_clicks / co_clicks[0, 0])
    values, vectors = torch.linalg.eigh(co_clicks)
    rank_3 = (vectors[:, -3:] * values[-3:]) @ vectors[:, -3:].T
    for length, longest in ((4, 1.0), (16, 0.75)):
        cut = svd_features(clicks, 3, length)
        assert cut.norm(dim=1).max().item() == pytest.approx(longest)
        assert torch.allclose(cut @ cut.T / (cut @ cut.T)[0, 0], rank_3 / rank_3[0, 0])
    assert torch.allclose(svd_features(clicks[torch.randperm(60)], 3, 4), svd_features(clicks, 3, 4))
    with pytest.raises(ValueError, match="num_features is 13: expected an int from 1 to 12"):
        svd_features(clicks, 13, 4)
    with pytest.raises(ValueError, match="clicks are all 0"):
        svd_features(0 * clicks, 3, 4)


# In the world.


@pytest.mark.parametrize("kind", ITEM_AGENTS)
def test_a_compiled_run_shows_the_lists_of_the_public_loop(kind):
    """200 rounds, then 100 more from where both are: the same lists and counts, to the bit."""
    bandit = cascading_bandit(torch.tensor([0.1, 0.5, 0.3, 0.0, 1.0, 0.45], dtype=torch.float64) * 0.4, 3)
    public, compiled = kind(6, 3), kind(6, 3)
    for rounds, first in ((200, 7), (100, 1000)):
        loop = episodes(CascadingSession(bandit), public, rounds, horizon=1, seed=9, first=first)
        shown = torch.stack([history.action[0, 0] for history in loop])
        assert torch.equal(play(compiled, bandit, rounds, seed=9, first=first), shown)
        assert torch.equal(compiled.clicks, public.clicks)
        assert torch.equal(compiled.examined, public.examined)
        assert compiled.lists == public.lists
    assert len({tuple(slate) for slate in shown.tolist()}) > 3  # they have not merely shown one list


@pytest.mark.parametrize("make", [lambda kind=kind: kind(6, 2) for kind in ITEM_AGENTS] + LINEAR_AGENTS)
def test_agents_act_and_learn_in_sessions_with_states(make):
    """TRAP has two user states and six steps, which these agents ignore."""
    agent, world = make(), CascadingSession(trap())
    assert isinstance(agent, Learner)
    for _ in episodes(world, agent, 3, horizon=6, seed=1):
        pass
    assert agent.lists == 18
    assert agent.examined.sum() >= 18
    history = rollout(world, agent, rows=5, horizon=6, record=["click"])
    before = agent.clicks.clone()
    agent.learn(history)
    assert (agent.clicks - before).sum() == history.reward.sum()


def test_regret_is_the_shortfall_from_the_best_list():
    w = torch.tensor([0.3, 0.1, 0.6, 0.25, 0.0], dtype=torch.float64)
    lists = torch.tensor([list(p) + [-1] * (3 - k) for k in (1, 2, 3) for p in permutations(range(5), k)])
    value = [1 - math.prod(1 - w[item].item() for item in slate if item >= 0) for slate in lists.tolist()]
    assert cascade_regret(w, lists).tolist() == pytest.approx([max(value) - v for v in value])


def test_regret_agrees_with_the_published_table():
    """Kveton et al. (ICML 2015), Table 1, first row: 20 runs of 10^5 rounds give 1290.1 ± 11.3 and 357.9 ± 5.5.

    Means of 6 runs within 4.5 standard errors of the difference, 23 for 11.3 and 11.4 for 5.5: one false alarm in
    70,000 seeds.
    """
    bandit = two_level_bandit(16, 2, 0.15)

    def mean_regret(kind):
        runs = [cascade_regret(bandit.attraction[0], play(kind(16, 2), bandit, 100_000, seed=r)) for r in range(6)]
        assert all(run[-10_000:].sum() < run[:10_000].sum() / 3 for run in runs)  # it flattens
        return torch.stack(runs).sum(1).mean().item()

    assert mean_regret(CascadeUCB1) == pytest.approx(1290.1, abs=4.5 * 11.3 * math.sqrt(1 + 20 / 6))
    assert mean_regret(CascadeKLUCB) == pytest.approx(357.9, abs=4.5 * 5.5 * math.sqrt(1 + 20 / 6))


@pytest.mark.parametrize("kind", ITEM_AGENTS)
def test_regret_grows_slower_than_the_rounds(kind):
    """Ten times the rounds bring less than three times the regret (logarithmic growth would bring 1.3 times).

    Means of 8 runs. UCB1, the slowest, measured 2.17 with a standard deviation of 0.05 over 12 sets of 8 seeds.
    """
    bandit = two_level_bandit(8, 2, 0.15)
    runs = [cascade_regret(bandit.attraction[0], play(kind(8, 2), bandit, 30_000, seed=r)) for r in range(8)]
    total = torch.stack(runs).mean(0).cumsum(0)
    assert total[-1] < 3 * total[2_999]
    assert total[-1] > 0


@pytest.mark.parametrize("kind", ["CascadeLinUCB", "CascadeLinTS", "LinTSCascade"])
def test_linear_agents_find_the_best_items_through_features(kind):
    """40 items on 4 features, 40 batches of 50 sessions: the last lists lose a fifth of what the first lost."""
    rng = np.random.default_rng(6)
    features = torch.from_numpy(rng.random((40, 4)))
    features /= features.norm(dim=1).max()
    attraction = features @ torch.tensor([0.05, 0.1, 0.4, 0.05], dtype=torch.float64)
    world = CascadingSession(cascading_bandit(attraction, 4))
    extra = {"CascadeLinUCB": {"num_rounds": 2000}, "CascadeLinTS": {}, "LinTSCascade": {"exploration": 0.1}}
    agent, lost = getattr(bandits, kind)(4, features, **extra[kind]), []
    for batch in range(40):
        history = rollout(world, agent, rows=torch.arange(50) + 50 * batch, horizon=1, seed=2, record=["click"])
        lost.append(cascade_regret(attraction, history.action[:, 0]).mean().item())
        agent.learn(history)
    assert sum(lost[-5:]) / 5 < lost[0] / 5


# At the door.


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="length is 5: expected an int from 1 to 4"):
        CascadeUCB1(4, 5)
    with pytest.raises(ValueError, match=r"features are torch.float32 \(4, 2\): expected float64"):
        CascadeLinTS(2, torch.zeros(4, 2))
    with pytest.raises(ValueError, match="noise is 0: expected a positive"):
        CascadeLinTS(2, FEATURES, noise=0)
    with pytest.raises(NotImplementedError, match="CascadeBandit has no index"):
        CascadeBandit(4, 2).act(None, None, ONE)
    bandit = two_level_bandit(4, 2, 0.1)
    with pytest.raises(ValueError, match="agent is a CascadeLinTS: expected one of"):
        play(CascadeLinTS(2, FEATURES), bandit, 10)
    with pytest.raises(ValueError, match="bandit is an MDP of 2 states and 6 steps"):
        play(CTS(6, 2), trap(), 10)
    with pytest.raises(ValueError, match="play of lists of 2 out of 5 items: expected 2 out of 4"):
        play(CTS(5, 2), bandit, 10)
    with pytest.raises(ValueError, match="num_rounds is 0"):
        play(CTS(4, 2), bandit, 0)
    with pytest.raises(ValueError, match=r"attraction has shape \(1, 3\): expected \(items,\)"):
        cascading_bandit(torch.zeros(1, 3, dtype=torch.float64), 2)


def test_the_two_level_instance_is_the_papers():
    bandit = two_level_bandit(5, 2, 0.15)
    assert bandit.attraction.tolist() == [[0.2, 0.2] + [pytest.approx(0.05)] * 3]
    assert (bandit.length, bandit.horizon, bandit.num_states) == (2, 1, 1)
