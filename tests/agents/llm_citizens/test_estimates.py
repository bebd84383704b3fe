"""Estimates from few answers: unbiased by enumeration, tuned power, bounds; and those of whole runs of citizens."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ethogram.agents.citizens import Answers, Archetypes, grouped
from ethogram.agents.llm_citizens import (
    Audits,
    Committee,
    Distilled,
    Estimate,
    conformal_bound,
    distil,
    levels_of,
    prediction_powered,
)
from ethogram.simulator import Draws

rng = np.random.default_rng(0)


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_over_all_that_may_be_drawn_estimate_and_variance_are_exact(power):
    """Every sequence of 3 draws of 5 people, by its probability: the mean is the truth, that of the variance too."""
    answers, predictions = rng.random(5), rng.random(5)
    chance = np.array([0.3, 0.1, 0.25, 0.15, 0.2])
    weight = 1 / (5 * chance)
    mean = square = claimed = 0.0
    for drawn in itertools.product(range(5), repeat=3):
        some, p = list(drawn), chance[list(drawn)].prod()
        found = prediction_powered(answers[some], predictions[some], predictions.mean(), weight[some], power)
        mean, square, claimed = mean + p * found.value, square + p * found.value**2, claimed + p * found.stderr**2
    assert mean == pytest.approx(answers.mean(), abs=1e-12)
    assert claimed == pytest.approx(square - mean**2, abs=1e-12)


def test_the_tuned_power_has_the_least_variance_and_perfect_predictions_leave_no_error():
    answers, weight = rng.random(40), rng.random(40) + 0.5
    predictions = 0.5 * answers + 0.1 * rng.random(40)
    tuned = prediction_powered(answers, predictions, 0.3, weight, None)
    grid = [prediction_powered(answers, predictions, 0.3, weight, power).stderr for power in np.linspace(-1, 4, 2001)]
    assert tuned.stderr <= min(grid)
    assert tuned.stderr == pytest.approx(min(grid), rel=1e-4)
    assert tuned.degrees == 38
    exact = prediction_powered(answers, answers, 0.4)
    assert (exact.value, exact.stderr, exact.degrees) == (0.4, 0.0, 39)
    alone = prediction_powered(answers, predictions, 0.3, power=0.0)
    assert (alone.value, alone.stderr) == pytest.approx((answers.mean(), answers.std(ddof=1) / math.sqrt(40)))


def test_intervals_are_students():
    assert Estimate(1.0, 0.5, 4).interval(0.95) == pytest.approx((1 - 2.776445 * 0.5, 1 + 2.776445 * 0.5), abs=1e-5)


def test_a_bound_without_weights_is_the_split_conformal_quantile():
    for n, level in itertools.product((5, 19, 50), (0.5, 0.8, 0.9, 0.95)):
        errors, k = rng.random(n), math.ceil((n + 1) * level - 1e-9)
        assert conformal_bound(errors, level=level) == (np.sort(errors)[k - 1] if k <= n else math.inf)


def test_a_weighted_bound_holds_as_often_as_it_says():
    """Draws favour large errors three to one. 4,000 trials of n = 60; 4.5 sigma, once in 147,000 seeds."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(4000):
        hard = rng.random(60) < 0.75
        errors = rng.random(60) * np.where(hard, 1.0, 0.2)
        weight = np.where(hard, 0.5 / 0.75, 0.5 / 0.25)
        bound = conformal_bound(errors, weight, 2.0, 0.8)
        held += rng.random() * (1.0 if rng.random() < 0.5 else 0.2) <= bound
    band = 4.5 * (0.8 * 0.2 / 4000) ** 0.5
    assert 0.8 - band < held / 4000 < 0.8 + 2 / 61 + band


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5], [0.5], 0.5), "1 answers: expected 2 or more"),
        (([0.5, 0.4], [0.5, 0.3], 0.5, None, None), "2 answers: expected 3 or more"),
        (([0.5, 0.4], [0.5], 0.5), r"shapes \(\(2,\), \(1,\), \(2,\)\)"),
    ],
)
def test_too_few_answers_and_other_shapes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        prediction_powered(*arguments)


# Citizens

BY = {"age": [20, 40, 60], "cases": [1.0, 3.0, 9.0], "area": None}


class Rule:
    """A member that is wrong by an amount of its own."""

    def __init__(self, off):
        self.off = off

    def probabilities(self, levels):
        p = 0.1 + 0.15 * levels["age"] + 0.1 * levels["cases"] + self.off * torch.sin(levels["area"])
        return torch.stack([p, 1 - p], 1).clamp(0, 1)


def answer(questions):
    """Other than any rule: by age and cases, and by area where few would look."""
    found = []
    for q in questions:
        age, cases = ((BY[k].index(q[k][0]) + 1 if q[k][0] is not None else 0) for k in ("age", "cases"))
        found.append((0.12 + 0.16 * age + 0.08 * cases + 0.02 * (q["area"] % 3), 0.5 + 0.04 * age))
    return found


def crowd(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "age": torch.tensor(rng.integers(0, 95, n)),
        "area": torch.tensor(rng.integers(0, 8, n)),
        "cases": torch.tensor(rng.gamma(1, 4, n)),
    }


def policy(**changes):
    settings = {"answers": Answers(answer), "by": BY, "committee": Committee([Rule(0.01), Rule(0.05)])}
    return Distilled(**{**settings, "doubtful": 3, "audited": 12, **changes})


def everybody(seen):
    return Archetypes(Answers(answer), BY).probabilities(seen).mean(0).tolist()


def test_a_run_asks_no_more_than_it_says_and_the_asked_decide_by_their_answers():
    seen, draws = crowd(), Draws(1, torch.arange(4000), 0, "policy")
    asked = []
    citizens = policy(answers=Answers(lambda questions: asked.extend(map(str, questions)) or answer(questions)))
    groups = grouped(seen, BY)
    chance = citizens.answered(groups, draws)
    assert 3 < citizens.answers.asked == len(set(asked)) <= 15
    mean, spread = citizens.committee.predict(levels_of(groups))
    every = np.array(answer(groups.questions(groups.codes)))
    known = np.array([str(question) in asked for question in groups.questions(groups.codes)])
    assert np.array_equal(chance[known], every[known])
    assert np.array_equal(chance[~known], mean[~known])
    doubt = groups.people * spread.sum(1)
    assert known[np.argsort(-doubt)[:3]].all(), "the most doubtful are asked"
    action = citizens.act(seen, None, draws)
    rate = action.double().mean(0)
    expected = torch.tensor(groups.people @ chance / 4000)
    assert (rate - expected).abs().max() < 4.5 * (0.25 / 4000) ** 0.5  # fails once in 70,000 seeds
    again = policy()
    assert torch.equal(again.act(seen, None, draws), action), "a run repeats"


def test_intervals_hold_what_all_would_have_answered_as_often_as_they_say():
    """1,000 runs of 5 steps, with and without tuning. 90 % +- 3 %: chance alone leaves that band once in 600 seeds."""
    crowds = [grouped(crowd(seed=k), BY) for k in range(5)]
    truth = np.mean([everybody(crowd(seed=k))[0] for k in range(5)])
    citizens, ids, hits, values = policy(), torch.arange(2), {1.0: 0, None: 0}, {1.0: [], None: []}
    for seed in range(1000):
        run = replace(citizens, audits=Audits())
        for step, groups in enumerate(crowds):
            run.answered(groups, Draws(seed, ids, step, "policy"))
        for power in hits:
            found = run.audits.estimate("isolate", power=power)
            low, high = found.interval(0.9)
            hits[power] += low <= truth <= high
            values[power].append(found.value)
    for power, count in hits.items():
        assert 0.87 <= count / 1000 <= 0.93, power
        assert abs(np.mean(values[power]) - truth) < 4.5 * np.std(values[power]) / 1000**0.5


def test_where_all_are_asked_nothing_is_left_to_chance():
    seen = crowd(200)
    citizens = policy(doubtful=10_000)
    citizens.act(seen, None, Draws(0, torch.arange(200)))
    found = citizens.audits.estimate("work")
    assert found.value == pytest.approx(everybody(seen)[1], abs=1e-12)
    assert found.stderr == 0


def test_audits_are_of_one_run_and_bounds_of_the_draws():
    seen, citizens = crowd(), policy(audited=200)
    with pytest.raises(ValueError, match="audits of 0 runs"):
        citizens.audits.estimate()
    for seed, step in ((0, 0), (1, 0), (1, 1)):
        citizens.act(seen, None, Draws(seed, torch.arange(4000), step))
    with pytest.raises(ValueError, match="audits of 2 runs"):
        citizens.audits.estimate()
    assert len(citizens.audits.of(1)) == 2
    with pytest.raises(ValueError, match="decision is 'stay'"):
        citizens.audits.estimate("stay", seed=1)
    groups = grouped(seen, BY)
    off = np.abs(np.array(answer(groups.questions(groups.codes))) - citizens.committee.predict(levels_of(groups))[0])[
        :, 0
    ]
    bound = citizens.audits.bound("isolate", 0.9, seed=1)
    within = groups.people[off <= bound].sum() / 4000
    assert within > 0.88, "of 400 draws, the share within the bound is .9 to a few hundredths"


def test_a_committee_learns_from_no_more_questions_than_it_may_and_predicts():
    answers = Answers(answer)
    committee = distil(answers, BY, [crowd(seed=5), crowd(seed=6)], 60, members=2, rounds=2)
    assert answers.asked == 60
    groups = grouped(crowd(seed=7), BY)
    mean, spread = committee.predict(levels_of(groups))
    every, people = np.array(answer(groups.questions(groups.codes))), groups.people / groups.people.sum()
    assert (people @ np.abs(mean - every)).max() < 0.03
    assert spread.min() >= 0
    with pytest.raises(ValueError, match="calls is 2"):
        distil(answers, BY, [crowd()], 2)
    with pytest.raises(ValueError, match="crowds is empty"):
        distil(answers, BY, [], 60)
    with pytest.raises(ValueError, match="members are 1"):
        Committee([Rule(0)])
    for wrong in ({"uniform": 0}, {"audited": 1}, {"doubtful": -1}, {"period": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            policy(**wrong)
