"""Estimators against plain loops and enumeration, on random instances with edges: ties, zeros, ones, one round."""

import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.agents.simple import PlackettLuce
from ethogram.simulator import ope
from ethogram.simulator.ope import choice_distribution, position_propensity, prefix_propensity

scores = st.sampled_from([-2.0, 0.0, 0.0, 0.5, 3.0])  # with ties
rewards = st.sampled_from([0.0, 0.0, 1.0, 2.5, -1.0])


@st.composite
def instances(draw):
    """(logging scores, evaluated scores or a fixed slate, slate length, reward of each item at each position)."""
    n = draw(st.integers(1, 4))
    m = draw(st.integers(1, n))  # all items, too
    log = draw(st.lists(scores, min_size=n, max_size=n))
    other = draw(st.one_of(st.lists(scores, min_size=n, max_size=n), st.permutations(range(n)).map(tuple)))
    worth = draw(st.lists(st.lists(rewards, min_size=n, max_size=n), min_size=m, max_size=m))
    return log, other, m, worth


def chances(policy, slate):
    """Chance of the items down to each position: softmax choice without replacement, or a fixed slate."""
    if isinstance(policy, tuple):
        return [float(slate[: r + 1] == policy[: r + 1]) for r in range(len(slate))]
    left, found, chance = set(range(len(policy))), [], 1.0
    for item in slate:
        chance *= math.exp(policy[item]) / sum(math.exp(policy[i]) for i in left)
        left.remove(item)
        found.append(chance)
    return found


def places(policy, slates, slate):
    """Chance of each item at its position, whatever stands elsewhere."""
    return [sum(chances(policy, other)[-1] for other in slates if other[r] == item) for r, item in enumerate(slate)]


def laid_out(function, policy, slates):
    return torch.tensor([function(policy, slate) for slate in slates], dtype=torch.float64)


@settings(max_examples=150, deadline=None)
@given(instance=instances())
def test_each_estimator_is_unbiased_where_its_assumption_holds(instance):
    """The mean over all slates, weighed by how often the log has them, is the evaluated policy's value, exactly.

    Rewards depend on item and position alone, so that every estimator is unbiased; rips and sips also where a position
    counts only below no click above.
    """
    log, other, m, worth = instance
    slates = list(permutations(range(len(log)), m))
    frequency = laid_out(chances, log, slates)[:, -1]
    reward = torch.tensor([[worth[r][item] for r, item in enumerate(slate)] for slate in slates]).double()
    prefix, prefix_e = (laid_out(chances, policy, slates) for policy in (log, other))
    place, place_e = (laid_out(lambda p, s: places(p, slates, s), policy, slates) for policy in (log, other))
    cascade = reward * torch.cat([torch.ones(len(slates), 1), (reward <= 0).double().cumprod(1)[:, :-1]], 1)
    for given_rewards, independent in ((reward, True), (cascade, False)):
        value = float((prefix_e[:, -1:] * given_rewards).sum())
        estimates = [
            ope.sips(given_rewards, prefix[:, -1], prefix_e[:, -1].clamp(max=1)),
            ope.rips(given_rewards, prefix, prefix_e),
        ]
        if independent:
            estimates.append(ope.iips(given_rewards, place, place_e.clamp(max=1)))
        for estimate in estimates:
            mean = float((frequency * estimate.contributions).sum())
            assert mean == pytest.approx(value, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(instance=instances(), data=st.data())
def test_values_and_errors_equal_plain_loops(instance, data):
    log, other, m, worth = instance
    slates = list(permutations(range(len(log)), m))
    shown = data.draw(st.lists(st.sampled_from(slates), min_size=1, max_size=6))
    unit = data.draw(st.lists(st.integers(0, 2), min_size=len(shown), max_size=len(shown)))
    reward = [[worth[r][item] for r, item in enumerate(slate)] for slate in shown]
    weights = [[e / p for e, p in zip(chances(other, slate), chances(log, slate), strict=True)] for slate in shown]
    estimate = ope.rips(reward, laid_out(chances, log, shown), laid_out(chances, other, shown), unit=torch.tensor(unit))
    if any(all(w[r] == 0 for w in weights) for r in range(m)):
        assert "no overlap" in estimate.undefined
        assert math.isnan(estimate.value)
        assert math.isnan(estimate.stderr)
        assert all(map(math.isnan, (*estimate.interval(), *estimate.normal_interval())))
        assert str(estimate).startswith("undefined: no overlap")
        return
    each = [sum(w * x for w, x in zip(ws, xs, strict=True)) for ws, xs in zip(weights, reward, strict=True)]
    value = sum(each) / len(each)
    assert estimate.undefined == ""
    assert estimate.value == pytest.approx(value, abs=1e-9)
    groups = sorted(set(unit))
    pulls = [
        sum(x - value for x, u in zip(each, unit, strict=True) if u == g) * len(groups) / len(each) for g in groups
    ]
    spread = sum(p * p for p in pulls)
    if len(groups) > 1 and spread > 1e-12:
        assert estimate.stderr == pytest.approx(math.sqrt(spread / (len(groups) * (len(groups) - 1))), rel=1e-6)
    normal = ope.rips(reward, laid_out(chances, log, shown), laid_out(chances, other, shown), self_normalised=True)
    sums = [sum(w[r] for w in weights) for r in range(m)]
    expected = sum(sum(w[r] * x[r] for w, x in zip(weights, reward, strict=True)) / sums[r] for r in range(m))
    assert normal.value == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(instance=instances(), model=st.lists(rewards, min_size=4, max_size=4))
def test_doubly_robust_estimators_are_unbiased_whatever_the_model_says(instance, model):
    log, other, m, worth = instance
    n = len(log)
    slates = list(permutations(range(n), m))
    frequency = laid_out(chances, log, slates)[:, -1]
    reward = torch.tensor([[worth[r][item] for r, item in enumerate(slate)] for slate in slates]).double()
    prefix, prefix_e = (laid_out(chances, policy, slates) for policy in (log, other))
    if isinstance(other, tuple):
        next_ones = torch.eye(n).double()[torch.tensor(other[:m])].expand(len(slates), m, n)
    else:
        next_ones = choice_distribution(torch.tensor(other).double(), torch.tensor(slates))
    predicted = torch.tensor(model[:n]).double().expand(len(slates), m, n)
    estimate = ope.cascade_dr(reward, torch.tensor(slates), prefix, prefix_e, next_ones, predicted)
    value = float((prefix_e[:, -1:] * reward).sum())
    assert float((frequency * estimate.contributions).sum()) == pytest.approx(value, abs=1e-9)

    ones = [(item,) for item in range(n)]
    p, e = laid_out(chances, log, ones)[:, 0], laid_out(chances, other, ones)[:, 0].expand(n, n)
    x = torch.tensor(worth[0]).double()
    single = ope.dr(x, torch.arange(n), p, e, predicted[0, 0].expand(n, n))
    assert float((p * single.contributions).sum()) == pytest.approx(float(e[0] @ x), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(log=st.lists(scores, min_size=1, max_size=5), data=st.data())
def test_propensities_of_softmax_slates_equal_enumeration(log, data):
    m = data.draw(st.integers(1, len(log)))
    slates = list(permutations(range(len(log)), m))
    table, shown = torch.tensor(log).double(), torch.tensor(slates)
    assert torch.allclose(prefix_propensity(table, shown), laid_out(chances, log, slates), atol=1e-12)
    expected = laid_out(lambda p, s: places(p, slates, s), log, slates)
    assert torch.allclose(position_propensity(table, shown), expected, atol=1e-9)
    assert torch.allclose(choice_distribution(table, shown).sum(-1), torch.ones(len(slates), m).double())
    assert PlackettLuce(table, m).scores_in(torch.zeros(3, dtype=torch.int64)).shape == (3, len(log))


NOTHING = torch.zeros(4, 2).double()
HALF = torch.full((4, 2), 0.5).double()


@pytest.mark.parametrize(
    "estimate",
    [
        lambda: ope.ips(HALF[:, 0], HALF[:, 0], NOTHING[:, 0]),
        lambda: ope.ips(HALF[:, 0], HALF[:, 0], NOTHING[:, 0], self_normalised=True),
        lambda: ope.sips(HALF, HALF[:, 0], NOTHING[:, 0]),
        lambda: ope.iips(HALF, HALF, NOTHING, self_normalised=True),
        lambda: ope.rips(HALF, HALF, NOTHING),
        lambda: ope.rips(HALF, HALF, torch.stack([HALF[:, 0], NOTHING[:, 0]], 1)),
        lambda: ope.dr(HALF[:, 0], torch.zeros(4).long(), HALF[:, 0], torch.eye(2).double()[[1] * 4], HALF),
        lambda: ope.cascade_dr(
            HALF,
            torch.tensor([[0, 1]] * 4),
            HALF,
            NOTHING,
            HALF.view(4, 2, 1).expand(4, 2, 2),
            HALF.view(4, 2, 1).expand(4, 2, 2),
        ),
    ],
)
def test_an_estimate_without_overlap_is_no_number(estimate):
    found = estimate()
    assert math.isnan(found.value)
    assert math.isnan(found.stderr)
    assert found.effective_rounds == 0
    assert "shows nothing of what was logged" in found.undefined
    assert repr(found).startswith("Estimate(undefined: no overlap")


def test_one_overlapping_round_is_a_number_and_no_clicks_are_zero_without_an_error():
    evaluated = torch.tensor([0.5, 0, 0, 0]).double()
    found = ope.ips(torch.ones(4), HALF[:, 0], evaluated)
    assert (found.value, found.undefined) == (0.25, "")
    assert repr(found).startswith("Estimate(0.25 ±")
    assert repr(found).endswith("worth 1 of 4 rounds)")
    nothing = ope.ips(torch.zeros(4), HALF[:, 0], evaluated)
    assert (nothing.value, nothing.undefined) == (0, "")
    assert math.isnan(nothing.stderr)


def cascade_model(context):
    half = [[0.5, 0.5]]
    return ope.cascade_model([[1, 0]], [[0, 1]], context, half, half, [half * 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ope.ips(None, [0.5], [0.5]), "reward is None: expected numbers: a tensor, an array or a list"),
        (lambda: ope.ips(["a"], [0.5], [0.5]), "reward is .*: expected numbers"),
        (lambda: ope.rips([[1, 0], [1]], [[0.5, 0.5]], [[0.5, 0.5]]), "reward is .*: expected numbers"),
        (lambda: ope.ips([1, 0], [0.5, 0.5], [0.5, 0.5], unit=["a", "b"]), "unit is .*: expected numbers"),
        (lambda: ope.dr([1.0], ["a"], [0.5], [[1.0]], [[1.0]]), "items shown is .*: expected numbers"),
        (lambda: ope.rounds(None), "history is None: expected a History"),
        (lambda: ope.session_prefix("x"), "propensity is 'x': expected numbers"),
        (lambda: ope.ips([1, 0], [0.5, 0.5], [0.5, 0.5]).interval("x"), "level is x: expected a number between"),
        (lambda: cascade_model([-1]), r"context is torch.int64 \(1,\): expected int64 \(1,\), numbers from 0"),
        (lambda: cascade_model([0, 0]), r"context is torch.int64 \(2,\)"),
        (lambda: cascade_model([0.5]), r"context is torch.float"),
    ],
)
def test_wrong_arguments_are_named_with_what_was_expected(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_lists_are_units_and_contexts():
    assert cascade_model([0]).shape == (2, 1, 2)
    one = ope.ips([1, 0, 1], [0.5] * 3, [0.5] * 3, unit=[0, 0, 1])
    assert one.stderr == ope.ips([1, 0, 1], [0.5] * 3, [0.5] * 3, unit=torch.tensor([0, 0, 1])).stderr


def half_shown(rounds, seed=0, items=4, shown=2):
    """Rounds of a policy that shows each of the first items alike, under one that shows all of them alike."""
    action = torch.randint(shown, (rounds,), generator=torch.Generator().manual_seed(seed))
    logged, evaluated = torch.full((rounds,), 1 / shown), torch.full((rounds, items), 1 / items)
    return torch.ones(rounds), action, logged, evaluated


def slates_of(rounds):
    """The same, as the first of two positions, of which the second is shown as the evaluated policy would."""
    reward, action, logged, evaluated = half_shown(rounds)
    slate = torch.stack([action, torch.full_like(action, 3)], 1)
    one = torch.ones(rounds)
    chances = torch.stack([logged, logged], 1), torch.stack([evaluated[:, 0], evaluated[:, 0]], 1)
    return torch.stack([reward, 0 * one], 1), slate, *chances, evaluated[:, None].expand(-1, 2, -1)


def test_partial_support_is_in_the_estimate_and_a_warning():
    reward, action, logged, evaluated = half_shown(400)
    rewards, slate, prefix, prefix_e, choices = slates_of(400)
    model = torch.full((400, 4), 0.5)
    shown = evaluated[:, 0]
    estimates = {
        "ips": lambda: ope.ips(reward, logged, shown),
        "snips": lambda: ope.ips(reward, logged, shown, self_normalised=True),
        "dr": lambda: ope.dr(reward, action, logged, evaluated, model),
        "sips": lambda: ope.sips(rewards, logged, shown),
        "iips": lambda: ope.iips(rewards, prefix, prefix_e),
        "rips": lambda: ope.rips(rewards, prefix, prefix_e),
        "cascade_dr": lambda: ope.cascade_dr(
            rewards, slate, prefix, prefix_e, choices, model[:, None].expand(-1, 2, -1)
        ),
    }
    values = {"ips": 0.5, "snips": 1, "dr": 0.75, "sips": 0.5, "iips": 0.5, "rips": 0.5}
    for name, make in estimates.items():
        with pytest.warns(UserWarning, match=r"partial support: .* speaks for 50.0% of it only") as caught:
            found = make()
        assert [warning.filename for warning in caught] == [__file__], name
        assert (found.support, found.undefined) == (0.5, "")
        assert "; partial support: " in str(found)
        assert found.value == pytest.approx(values.get(name, found.value))


@pytest.mark.filterwarnings("error")
def test_full_support_is_not_doubted():
    """Of 400 logs of 200 rounds, with weights of 1/4 to 4, none; nor where rounds of a user are all alike."""
    logged, evaluated = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([0.1, 0.2, 0.3, 0.4])
    for seed in range(400):
        action = torch.multinomial(logged, 200, True, generator=torch.Generator().manual_seed(seed))
        found = ope.ips(torch.ones(200), logged[action], evaluated[action])
        assert found.doubt == ""
        assert found.support == pytest.approx(1, abs=0.5)
        users = torch.arange(200).repeat_interleave(25)
        assert not ope.ips(torch.ones(5000), logged[action[users]], evaluated[action[users]], unit=users).doubt
