"""Paired effects, ensembles and abduction."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from ethogram.agents.simple import Fixed, Replay, UniformSlates
from ethogram.envs.sessions import CascadingSession, click_rate_by_step, good_medium_bad, trap
from ethogram.simulator.history import History
from ethogram.simulator.rollout import rollout
from ethogram.simulator.sites import Do
from ethogram.simulator.whatif import Effect, Ensemble, Processes, Setup, abduct, contrast, ensemble, mean_return
from ethogram.simulator.whatif.ensemble import student_t

WORLD = CascadingSession(trap())
LOGGER = UniformSlates(6, 2)
SETUP = Setup(WORLD, LOGGER, rows=2, horizon=6)


def test_an_effect_is_the_paired_difference_and_its_standard_error():
    effect = Effect(torch.tensor([1.0, 2.0, 4.0]).double(), torch.tensor([2.0, 4.0, 5.0]).double(), (0, 1, 2))
    assert effect.mean.item() == pytest.approx(4 / 3)
    assert effect.stderr.item() == pytest.approx(stats.sem([1, 2, 1]))
    expected = (np.var([1, 2, 4], ddof=1) + np.var([2, 4, 5], ddof=1)) / np.var([1, 2, 1], ddof=1)
    assert effect.variance_ratio.item() == pytest.approx(expected)
    assert str(effect) == "+1.333 ± 0.33 (3 pairs)"


def test_a_change_that_changes_nothing_has_no_effect_to_the_bit():
    setup = replace(SETUP, rows=100)
    effect = contrast(setup, [Do("attraction", lambda p: p)], outcome=mean_return, seeds=range(5))
    assert effect.difference.eq(0).all()


def test_the_effect_of_a_policy_matches_planning():
    """Exact values of showing (3, 4) and (0, 1) for ever, by the Bellman recursion; 4.5 standard errors."""

    def value(slate):
        v, mdp = torch.zeros(2, dtype=torch.float64), trap()
        for _ in range(6):
            q1, q2 = mdp.attraction[:, slate].T
            go = mdp.transition @ v
            v = q1 * (1 + go[:, slate[0]]) + (1 - q1) * (q2 * (1 + go[:, slate[1]]) + (1 - q2) * go[:, 6])
        return v[0].item()

    setup = replace(SETUP, policy=Fixed([0, 1]), rows=300)
    effect = contrast(setup, replace(setup, policy=Fixed([3, 4])), outcome=mean_return, seeds=range(30))
    assert effect.mean.item() == pytest.approx(value([3, 4]) - value([0, 1]), abs=4.5 * effect.stderr.item())


def test_scenarios_of_an_ensemble_share_their_luck():
    late = [Do("attraction", lambda p: 0.8 * p, start=3)]
    setup = replace(SETUP, rows=200, record=["click"])
    scenarios = {"factual": (), "late": late}
    found = ensemble(setup, outcome=click_rate_by_step, seeds=range(6), scenarios=scenarios)
    assert torch.equal(found.values["factual"][:, :3], found.values["late"][:, :3])
    assert (found.mean("late")[3:] < found.mean("factual")[3:]).all()
    assert found.quantiles("late").shape == (3, 6)


def test_no_change_and_no_seeds_are_refused():
    with pytest.raises(ValueError, match="instead changes nothing: expected"):
        contrast(SETUP, [], outcome=mean_return, seeds=range(3))
    with pytest.raises(ValueError, match="seeds is empty"):
        ensemble(SETUP, outcome=mean_return, seeds=[])
    with pytest.raises(TypeError, match=r"such as range\(5\)"):
        ensemble(SETUP, outcome=mean_return, seeds=5)


@pytest.fixture(scope="module")
def log():
    return rollout(WORLD, LOGGER, rows=20_000, horizon=6, seed=77, record=["click"])


def test_a_log_is_relived_under_the_luck_that_explains_it(log):
    given = abduct(WORLD, log, seed=1)
    again = rollout(WORLD, Replay(log), rows=log.ids, horizon=6, draws=given, record=["click"])
    for name in ("observation", "action", "reward", "click"):
        assert torch.equal(again.column(name), log.column(name))


def test_inferred_luck_has_the_prior_distribution_over_a_population(log):
    """Averaged over what the world itself produced, the posterior is the prior: uniform. KS, false alarm 1e-4 each."""
    given = abduct(WORLD, log, seed=2)
    for step in range(6):
        u = given.at(step).uniform("state").double().numpy()
        assert stats.kstest(u, "uniform").pvalue > 1e-4
        by_item = given.at(step).uniform("attracted", log.action[:, step]).double().numpy()
        assert stats.kstest(by_item[:, 0], "uniform").pvalue > 1e-4
        assert stats.kstest(by_item[:, 1], "uniform").pvalue > 1e-4


def test_a_what_if_about_a_log_is_exact_where_it_can_be_computed(log):
    """Had attraction been halved in the first step, a first-position click would remain with probability 1/2.

    P(u < p/2 | u < p) = 1/2 exactly; 4.5-sigma band. And nobody who did not click would have clicked.
    """
    given = abduct(WORLD, log, seed=3)
    halved = [Do("attraction", lambda p: p / 2, stop=1)]
    other = rollout(WORLD, Replay(log), rows=log.ids, horizon=6, draws=given, record=["click"], interventions=halved)
    before, after = log.sites["click"][:, 0], other.sites["click"][:, 0]
    first = before == 0
    assert (after[first] == 0).float().mean().item() == pytest.approx(0.5, abs=4.5 * 0.5 / int(first.sum()) ** 0.5)
    assert (after[before == 2] == 2).all()


def test_a_what_if_leaves_alone_the_logged_sessions_that_it_does_not_touch(log):
    given = abduct(WORLD, log, seed=4)
    swapped = Fixed([3, 4])
    other = rollout(WORLD, swapped, rows=log.ids, horizon=1, draws=given, record=["click"])
    same_first = log.action[:, 0, 0] == 3
    clicked_first = log.sites["click"][:, 0] == 0
    assert (other.sites["click"][same_first & clicked_first, 0] == 0).all()
    assert (other.sites["click"][same_first & ~clicked_first, 0] != 0).all()


def test_sessions_of_different_lengths_and_short_lists_are_relived(log):
    class Short(UniformSlates):
        def act(self, observation, history, draws):
            slates = super().act(observation, history, draws)
            return torch.cat(
                [slates[:, :1], slates[:, 1:].where(draws.bernoulli("two", torch.tensor(0.5))[:, None], -1)], 1
            )

    whole = rollout(WORLD, Short(6, 2), rows=500, horizon=6, seed=5, record=["click"])
    length = 1 + whole.ids % 6
    past = torch.arange(6) < length[:, None]  # what follows is padding, as a loader makes it
    sites = {"click": whole.sites["click"].where(past, 0)}
    action = whole.action.where(past[..., None], -1)
    short = History.of(
        observation=whole.observation, action=action, reward=whole.reward.where(past, 0), sites=sites, length=length
    )
    again = rollout(WORLD, Replay(short), rows=500, horizon=6, draws=abduct(WORLD, short), record=["click"])
    assert torch.equal(again.sites["click"][past], whole.sites["click"][past])
    assert torch.equal(again.observation[:, 1:][past], whole.observation[:, 1:][past])


def test_a_history_that_the_world_cannot_have_produced_is_refused(log):
    unattractive = CascadingSession(replace(trap(), attraction=trap().attraction * 0))
    with pytest.raises(ValueError, match="has probability 0 in this world"):
        abduct(unattractive, log)
    with pytest.raises(TypeError, match="without evidence: expected one that explains"):
        abduct(object(), log)
    with pytest.raises(LookupError, match="no column 'click'"):
        abduct(WORLD, rollout(WORLD, LOGGER, rows=2, horizon=2))


def test_a_history_of_another_world_is_refused(log):
    with pytest.raises(ValueError, match="row 0 at step 0: 0 was observed where the world shows 1"):
        abduct(CascadingSession(replace(trap(), initial=1)), log)


def test_the_same_seed_twice_is_refused():
    with pytest.raises(ValueError, match="has one more than once"):
        ensemble(SETUP, outcome=mean_return, seeds=[1, 1])


def test_pairing_is_not_free_of_noise_for_large_changes():
    """The variance ratio falls from a small change to a swap of the whole policy: reported, not assumed."""
    setup = Setup(CascadingSession(good_medium_bad(8)), UniformSlates(8, 3), rows=100, horizon=6)
    how = {"outcome": mean_return, "seeds": range(40)}
    small = contrast(setup, [Do("attraction", lambda p: 0.98 * p)], **how)
    large = contrast(setup, replace(setup, policy=Fixed([3, 6, 1])), **how)
    assert small.variance_ratio > 3 * large.variance_ratio


# ---- how results show themselves


NUMBERS = Effect(torch.tensor([1.0, 2.0, 4.0]).double(), torch.tensor([2.0, 4.0, 5.0]).double(), (3, 4, 5))
CURVES = Effect(torch.zeros(3, 2).double(), torch.ones(3, 2).double(), (3, 4, 5))


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 20, 333])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_quantiles_of_student_are_those_of_scipy(degrees, level):
    assert student_t(level, degrees) == pytest.approx(stats.t.ppf((1 + level) / 2, degrees), rel=1e-9)


def test_an_interval_of_an_effect_is_that_of_a_paired_t_test():
    expected = stats.ttest_rel(NUMBERS.counterfactual, NUMBERS.factual).confidence_interval(0.9)
    assert [float(end) for end in NUMBERS.interval(0.9)] == pytest.approx(list(expected))
    with pytest.raises(ValueError, match="level is 95: expected a number between 0 and 1"):
        NUMBERS.interval(95)


def test_effects_and_ensembles_are_short_to_read():
    assert repr(NUMBERS) == "Effect(+1.333 ± 0.33 (3 pairs))"
    assert repr(CURVES) == "Effect(effect over (2,), 3 pairs)"
    assert "<td>-0.1009 to +2.768</td>" in NUMBERS._repr_html_()
    assert "effect over (2,)" in CURVES._repr_html_()
    found = Ensemble({"a": NUMBERS.factual, "b": CURVES.factual}, (3, 4, 5))
    assert repr(found) == "Ensemble(3 seeds: a 2.333 ± 0.88, b (2,) each)"
    assert "<td>2.333 ± 0.88</td>" in found._repr_html_()


def test_one_pair_and_no_change_are_said_in_words():
    one = Effect(torch.tensor([1.0]).double(), torch.tensor([2.0]).double(), (0,))
    assert str(one) == "+1 (no interval from one pair)"
    assert "nan" not in one._repr_html_()
    assert all(end.isnan() for end in one.interval())
    same = Effect(torch.tensor([0.0, 0.0]).double(), torch.tensor([-0.0, -0.0]).double(), (0, 1))
    assert str(same) == "+0 ± 0 (2 pairs)"
    assert repr(Ensemble({"a": torch.ones(1)}, (0,))) == "Ensemble(1 seed: a 1 (no interval from one seed))"


def test_outcomes_stand_in_tables_by_seed():
    frame = NUMBERS.to_pandas()
    assert (frame.index.name, list(frame.index)) == ("seed", [3, 4, 5])
    assert frame["difference"].tolist() == [1, 2, 1]
    curves = CURVES.to_pandas()
    assert curves.index.names == ["seed", "place"]
    assert curves.loc[(4, 1), "counterfactual"] == 1
    assert list(Ensemble({"a": NUMBERS.factual}, (3, 4, 5)).to_pandas()["a"]) == [1, 2, 4]
    with pytest.raises(ValueError, match=r"outcomes have the shapes \[\(3,\), \(3, 2\)\]"):
        Ensemble({"a": NUMBERS.factual, "b": CURVES.factual}, (3, 4, 5)).to_pandas()


CHANGE = [Do("attraction", 0.5)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: contrast(WORLD, LOGGER, rows=2, horizon=3, outcome=mean_return, seeds=[0]), r"expected Setup\(world"),
        (lambda: contrast(SETUP, CHANGE, outcome=lambda h: {"a": 1}, seeds=[0]), "outcome returns a dict: expected a"),
        (lambda: contrast(SETUP, CHANGE, outcome=lambda h: None, seeds=[0]), "outcome returns None: .*return missing"),
        (lambda: contrast(SETUP, replace(SETUP, rows=3), outcome=mean_return, seeds=[0]), "expected the same rows"),
        (lambda: contrast(SETUP, replace(SETUP, horizon=3), outcome=mean_return, seeds=[0]), "expected the same horiz"),
        (lambda: ensemble(SETUP, outcome=lambda h: h.reward[: h.seed], seeds=[1, 2]), "expected one shape, whatever"),
        (lambda: Ensemble({"a": torch.ones(1)}, (0,)).mean("b"), r"no scenario named 'b'; this ensemble has \['a'\]"),
        (lambda: mean_return(WORLD), "history is a CascadingSession: expected a History"),
        (lambda: Processes("2"), "workers is '2': expected an int"),
        (lambda: Processes(2, retries=0.5), "retries is 0.5: expected an int"),
    ],
)
def test_what_cannot_be_run_says_what_can(wrong, message):
    with pytest.raises((TypeError, ValueError, LookupError), match=message):
        wrong()
