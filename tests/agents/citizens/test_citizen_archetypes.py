"""Archetypes at scale: the budget against brute force, decisions against ``decide``, repeated questions."""

from zlib import crc32

import numpy as np
import pytest
import torch

from ethogram.agents.citizens import Answers, Archetypes, Coverage, Logits, Perceptron, decide
from ethogram.simulator import Draws


def crowd(n, rng):
    skewed = rng.integers(0, 4, n) * rng.integers(0, 2, n)
    columns = {"age": rng.integers(0, 95, n), "area": skewed, "cases": rng.gamma(1, 8, n), "ill": rng.random(n) < 0.1}
    kinds = {"age": torch.int64, "area": torch.int32, "cases": torch.float32, "ill": torch.bool}
    return {name: torch.tensor(column, dtype=kinds[name]) for name, column in columns.items()}


BY = {"age": (20, 60), "period": None, "area": None, "ill": None, "cases": (2.0, 10.0)}


def levels(seen):
    """Each person's levels of the columns of BY, and what a question says of them, one by one."""
    rows = []
    for age, area, ill, cases in zip(*(seen[name].tolist() for name in ("age", "area", "ill", "cases")), strict=True):
        band = [None, 20] if age < 20 else [20, 60] if age < 60 else [60, None]
        few = [None, 2.0] if cases < 2 else [2.0, 10.0] if cases < 10 else [10.0, None]
        rows.append((("age", band), ("area", area), ("ill", int(ill)), ("cases", few)))
    return rows


def question(row, depth, period):
    kept = dict(row[:depth])
    return {name: kept.get(name, period) for name in BY if name in kept or name == "period"}


def by_brute_force(rows, rare):
    """Each person's question if groups of fewer than ``rare`` are answered as their parents."""
    answered = {}
    for depth in (4, 3, 2, 1, 0):
        alike = {}
        for person, row in enumerate(rows):
            if person not in answered:
                alike.setdefault(str(row[:depth]), []).append(person)
        for group in alike.values():
            if len(group) >= rare or depth == 0:
                answered.update((person, question(rows[person], depth, 2)) for person in group)
    return [answered[person] for person in range(len(rows))]


class Listening:
    """Answers with numbers of its own for each question."""

    def __init__(self):
        self.questions = []

    def __call__(self, questions):
        self.questions += questions
        return [(crc32(str(q).encode()) % 97 / 96, crc32(str(q).encode()) % 89 / 88) for q in questions]


@pytest.mark.parametrize("budget", [1, 2, 5, 11, 30, 1000])
def test_a_budget_makes_rare_groups_coarser_and_no_more_than_it_must(budget):
    rng = np.random.default_rng(budget)
    for n in (1, 7, 60, 400):
        seen, listening = crowd(n, rng), Listening()
        policy = Archetypes(Answers(listening), BY, period=7, budget=budget)
        found, rows = policy.probabilities(seen, step=14), levels(seen)
        counts = [len({str(q) for q in by_brute_force(rows, rare)}) for rare in range(1, n + 2)]
        assert counts == sorted(counts, reverse=True), "a higher bar never makes more questions"
        rare = 1 + next(i for i, count in enumerate(counts) if count <= budget)
        expected = by_brute_force(rows, rare)
        assert len(listening.questions) == counts[rare - 1] <= budget
        assert found.tolist() == [list(pair) for pair in Listening()(expected)]
        shares = [sum(len(q) == 1 + depth for q in expected) / n for depth in range(5)]
        assert policy.coverage(seen) == Coverage(len(set(map(str, rows))), counts[rare - 1], rare, tuple(shares))


def test_the_question_of_a_parent_leaves_out_the_last_columns():
    seen = {"age": torch.tensor([70] * 9 + [30]), "area": torch.tensor([0] * 4 + [1] * 3 + [2, 3, 0])}
    listening = Listening()
    Archetypes(Answers(listening), {"age": (60,), "area": None}, budget=4).probabilities(seen)
    old, young = {"age": [60, None]}, {}
    assert listening.questions == [{**old, "area": 0}, {**old, "area": 1}, old, young]


def test_decisions_drawn_in_one_pass_are_those_of_decide():
    n = 70_000  # more than a block
    seen, draws = crowd(n, np.random.default_rng(1)), Draws(5, torch.arange(n) * 7 - 3, 16, "policy")
    for budget in (None, 9):
        policy = Archetypes(Answers(Listening()), BY, period=7, budget=budget)
        action = policy.act(seen, None, draws)
        assert torch.equal(action, decide(policy.probabilities(seen, 16), draws, 7))
        some = torch.randperm(n)[:50]
        if budget is None:
            few = {name: column[some] for name, column in seen.items()}
            assert torch.equal(policy.act(few, None, draws.of(some)), action[some])
    with pytest.raises(ValueError, match="70000 people see something, and 3 act"):
        policy.act(seen, None, Draws(0, torch.arange(3)))


def test_a_question_put_several_times_keeps_the_mean(tmp_path):
    put = []

    def draws(questions):
        put.extend(questions)
        return [(i % 4 / 4, 1.0) for i in range(len(questions))]

    answers = Answers(draws, tmp_path / "answers.jsonl", times=4)
    assert answers.to([{"area": 0}, {"area": 1}, {"area": 0}]) == [(0.375, 1.0)] * 3
    assert put == [{"area": 0}] * 4 + [{"area": 1}] * 4
    assert (answers.asked, len(answers)) == (8, 2)
    assert Answers(len, tmp_path / "answers.jsonl").to([{"area": 1}]) == [(0.375, 1.0)]
    with pytest.raises(ValueError, match="6 answers to 8 questions"):
        Answers(lambda questions: [(0, 1)] * 6, times=4).to([{"area": 0}, {"area": 1}])


def test_a_network_can_be_fitted_to_answers_and_log_odds_cannot():
    """Probabilities in the place of decisions say what many decisions would: the network finds them to 0.02."""
    seen = {"age": torch.arange(95).repeat(20)}
    truth = Logits(lambda s: {"age": s["age"] / 10}, {"intercept": -2, "age": 0.4}, {"intercept": 1, "age": -0.1})
    answers = truth.probabilities(seen)
    fit = Perceptron.fit((seen, answers), truth.features, batch=64)
    assert (fit.probabilities(seen) - answers).abs().max() < 0.02
    with pytest.raises(ValueError, match=r"'isolate' is 0\.119.* in decision 0: expected 0 or 1"):
        Logits.fit((seen, answers), truth.features)
    with pytest.raises(ValueError, match=r"expected a tensor \(1900, 2\) of numbers from 0 to 1"):
        Perceptron.fit((seen, answers + 1), truth.features)
