"""Census marginals: tables fitted to them, and whole people who meet them."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import optimize

from ethogram.envs.people import from_marginals, from_table, iterative_proportional_fitting


def same(one, two):
    assert dict(one.labels) == dict(two.labels)
    assert {name: column.tolist() for name, column in one.columns.items()} == {
        name: column.tolist() for name, column in two.columns.items()
    }


# ---- fitting


def random_table(shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def summed(table, axes):
    """The marginal over these axes, in this order."""
    letters = "abcdefg"[: table.dim()]
    return torch.einsum(f"{letters}->{''.join(letters[axis] for axis in axes)}", table)


@pytest.mark.parametrize("axes", [[(0,), (1,), (2,)], [(0, 1), (2,)], [(1, 0), (1, 2)], [(0, 1), (1, 2), (2, 0)]])
def test_fitting_meets_the_marginals_and_scales_the_seed(axes):
    table, truth = random_table((3, 4, 5), 0) + 0.1, 1000 * random_table((3, 4, 5), 1)
    kept = {a: summed(truth, a) for a in axes}
    fitted = iterative_proportional_fitting(table, kept)
    for a, marginal in kept.items():
        gap = summed(fitted, a) - marginal
        assert gap.abs().max() < 1e-9 * truth.sum()
    ratio = (fitted / table).log().numpy()  # a sum of one term for each marginal: log-linear
    design = np.array(
        [
            [
                float(tuple(cell[i] for i in a) == entry)
                for a in axes
                for entry in product(*(range((3, 4, 5)[i]) for i in a))
            ]
            for cell in product(range(3), range(4), range(5))
        ]
    )
    residual = ratio.ravel() - design @ np.linalg.lstsq(design, ratio.ravel(), rcond=None)[0]
    assert np.abs(residual).max() < 1e-6


def test_fitting_keeps_odds_ratios():
    table = random_table((3, 4), 2) + 0.1
    rows, columns = torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 2, 1, 1])
    fitted = iterative_proportional_fitting(table, {(0,): rows, (1,): columns})

    def odds(t):
        return t[:-1, :-1] * t[1:, 1:] / (t[:-1, 1:] * t[1:, :-1])

    assert torch.allclose(odds(fitted), odds(table), rtol=1e-9)


def test_the_fitted_table_has_the_smallest_divergence_of_all_with_these_marginals():
    """Minimised independently by SLSQP over all nine cells."""
    table = random_table((3, 3), 3) + 0.1
    rows, columns = torch.tensor([[0.2, 0.3, 0.5], [0.5, 0.25, 0.25]], dtype=torch.float64)
    fitted = iterative_proportional_fitting(table, {(0,): rows, (1,): columns})
    q = (table / table.sum()).numpy().ravel()
    best = optimize.minimize(
        lambda p: float((p * np.log(p / q)).sum()),
        np.outer(rows, columns).ravel(),
        jac=lambda p: np.log(p / q) + 1,
        bounds=[(1e-9, 1)] * 9,
        constraints=[
            {"type": "eq", "fun": lambda p: p.reshape(3, 3).sum(1) - rows.numpy()},
            {"type": "eq", "fun": lambda p: p.reshape(3, 3).sum(0)[:2] - columns.numpy()[:2]},
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert best.success
    assert np.abs(best.x.reshape(3, 3) - fitted.numpy()).max() < 1e-5


def test_without_a_seed_table_attributes_are_independent():
    rows, columns = torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 4])
    fitted = iterative_proportional_fitting(torch.ones(3, 2), {(0,): rows, (1,): columns})
    assert torch.allclose(fitted, torch.outer(rows, columns).double() / 6)


@pytest.mark.parametrize("seed", range(20))
def test_two_by_two_tables_match_the_closed_form(seed):
    """The first cell x solves x (1 - row - column + x) = odds (row - x)(column - x)."""
    table = random_table((2, 2), seed) + 0.05
    row, column = (0.05 + 0.9 * random_table((2,), 100 + seed)).tolist()
    odds = float(table[0, 0] * table[1, 1] / (table[0, 1] * table[1, 0]))
    roots = np.roots([1 - odds, 1 - row - column + odds * (row + column), -odds * row * column])
    (x,) = (root for root in roots if max(0, row + column - 1) <= root <= min(row, column))
    margins = {(axis,): torch.tensor([p, 1 - p], dtype=torch.float64) for axis, p in enumerate((row, column))}
    fitted = iterative_proportional_fitting(table, margins)
    assert fitted.numpy() == pytest.approx(np.array([[x, row - x], [column - x, 1 - row - column + x]]), abs=1e-8)


def test_marginals_that_cannot_be_fitted_are_refused():
    table = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"over axes \(1,\) has shape \(2,\): expected \(3,\)"):
        iterative_proportional_fitting(table, {(1,): torch.ones(2)})
    with pytest.raises(ValueError, match=r"expected \(2,\), finite numbers from 0"):
        iterative_proportional_fitting(table, {(0,): torch.tensor([1.0, -1.0])})
    with pytest.raises(ValueError, match="sum to 0"):
        iterative_proportional_fitting(table, {})
    with pytest.raises(ValueError, match=r"\['axis 0'\] and \['axis 1'\] differ by .* in float64"):
        iterative_proportional_fitting(table, {(0,): torch.tensor([0.7, 0.3]), (1,): torch.tensor([0.2, 0.2, 0.6])})


def test_zeros_stay_and_impossible_ones_are_refused():
    table = torch.tensor([[1.0, 0], [1, 1]])
    fitted = iterative_proportional_fitting(table, {(0,): torch.tensor([1.0, 2]), (1,): torch.tensor([2.0, 1])})
    assert torch.allclose(fitted, torch.tensor([[1.0, 0], [1, 1]], dtype=torch.float64))
    marginals = {"age": {"young": 3, "old": 1}, "city": {"A": 1, "B": 3}}
    with pytest.raises(ValueError, match=r"still off by .*, and no longer comes closer after 2000 sweeps: the seed"):
        from_marginals(marginals, 10, seed_table=table)  # all 3 young people would have to live in A
    with pytest.raises(ValueError, match=r"the marginal of age = 'young' is 3 and still off by 3"):
        from_marginals(marginals, 10, seed_table=torch.tensor([[0.0, 0], [1, 1]]))


@pytest.mark.parametrize("seed", range(6))
def test_a_table_that_is_met_in_the_limit_only_is_met(seed):
    """Marginals of a table with many empty cells, fitted to one that has none: the limit is at an edge."""
    rng = np.random.default_rng(seed)
    truth = torch.tensor(rng.integers(1, 50, (3, 3, 3, 5)) * (rng.random((3, 3, 3, 5)) < 0.35), dtype=torch.float64)
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    targets = {pair: truth.sum([axis for axis in range(4) if axis not in pair]) for pair in pairs}
    fitted = iterative_proportional_fitting(torch.ones(truth.shape), targets)
    for pair, target in targets.items():
        off = fitted.sum([axis for axis in range(4) if axis not in pair]) - target
        assert off.abs().max() <= 1e-10 * truth.sum()
    edge = iterative_proportional_fitting([[1, 1], [1, 0]], {(0,): [1.0, 1.0], (1,): np.ones(2)})
    assert torch.equal(edge, torch.tensor([[0.0, 1], [1, 0]], dtype=torch.float64))


# ---- people from marginals

CENSUS = {
    "age": {"child": 180, "adult": 550, "old": 270},
    ("sex", "area"): {("f", "A"): 200, ("f", "B"): 310, ("m", "A"): 190, ("m", "B"): 300},
}


def counts_of(people, *names):
    cell = torch.zeros(len(people), dtype=torch.int64)
    for name in names:
        cell = cell * len(people.labels[name]) + people[name]
    sizes = [len(people.labels[name]) for name in names]
    return cell.bincount(minlength=int(np.prod(sizes))).reshape(sizes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num_people", [7, 999, 1000, 123_457])
def test_people_are_whole_and_meet_the_marginals(num_people, seed):
    """Cells are rounded down or up by construction; that marginals are too is found, and holds here."""
    seed_table = random_table((3, 2, 2), seed)
    people = from_marginals(CENSUS, num_people, seed_table=seed_table, seed=seed)
    assert len(people) == num_people
    age = torch.tensor([180.0, 550, 270], dtype=torch.float64)
    both = torch.tensor([[200.0, 310], [190, 300]], dtype=torch.float64)
    expected = iterative_proportional_fitting(seed_table, {(0,): age, (1, 2): both}) * num_people / 1000
    assert (counts_of(people, "age", "sex", "area") - expected).abs().max() < 1
    assert (counts_of(people, "age") - age * num_people / 1000).abs().max() < 1
    assert (counts_of(people, "sex", "area") - both * num_people / 1000).abs().max() < 1


FORMS = [  # sizes of the table's axes, and the axes of each marginal
    ((18, 2, 200), [(0,), (1,), (2,)]),  # systematic sampling alone: up to 18 off
    ((18, 2, 200), [(0, 1), (2,)]),
    ((18, 2, 40), [(0, 1), (2, 1), (0, 2)]),
    ((6, 2, 9, 5), [(0, 1), (2,), (3, 2)]),
]


@pytest.mark.parametrize("num_people", [1000, 37_518])
@pytest.mark.parametrize(("sizes", "marginals"), FORMS)
def test_marginals_of_random_tables_are_met(sizes, marginals, num_people):
    for seed in range(3):
        truth = random_table(sizes, seed) + 0.05
        tables = {}
        for axes in marginals:
            shares = summed(truth / truth.sum(), axes)
            cells = product(*([f"{axis}.{i}" for i in range(sizes[axis])] for axis in axes))
            tables[tuple("abcd"[axis] for axis in axes)] = dict(zip(cells, shares.flatten().tolist(), strict=True))
        people = from_marginals(tables, num_people, seed=seed)
        for axes in marginals:
            gap = counts_of(people, *("abcd"[axis] for axis in axes)) - num_people * summed(truth / truth.sum(), axes)
            assert gap.abs().max() < 1, (axes, seed)


@pytest.mark.parametrize("axes", [[(0,), (1,), (2,)], [(0, 1), (1, 2)], [(0, 1), (1, 2), (0, 2)]])
def test_no_move_of_one_person_brings_the_marginals_closer(axes):
    """Every pair of a cell rounded down and one rounded up is tried."""
    for seed in range(5):
        expected = random_table((3, 2, 4), seed) * 2
        expected *= 25 / expected.sum()
        names = ("a", "b", "c")
        cells = [[f"{name}{i}" for i in range(size)] for name, size in zip(names, expected.shape, strict=True)]
        tables = {
            tuple(names[i] for i in a): dict(
                zip(product(*(cells[i] for i in a)), summed(expected, a).flatten().tolist(), strict=True)
            )
            for a in axes
        }
        counts = counts_of(from_marginals(tables, 25, seed_table=expected, seed=seed), *names).double()

        def gaps(counts, expected=expected):
            return sum(float(summed(expected - counts, a).square().sum()) for a in axes)

        for to, source in product((counts < expected).nonzero().tolist(), (counts > expected).nonzero().tolist()):
            moved = counts.clone()
            moved[tuple(to)] += 1
            moved[tuple(source)] -= 1
            assert gaps(moved) > gaps(counts) - 1e-4


def test_exact_counts_come_out_exact():
    people = from_marginals({"age": {30: 3, 31: 0, 50: 5}, "sex": {"f": 4, "m": 4}}, 8)
    assert sorted(people["age"].tolist()) == [30] * 3 + [50] * 5  # whole numbers are the column's values
    assert counts_of(people, "sex").tolist() == [4, 4]
    assert "age" not in people.labels


def test_marginals_may_be_pandas_and_shares():
    table = pd.Series({("f", "A"): 0.2, ("f", "B"): 0.31, ("m", "A"): 0.19, ("m", "B"): 0.3})
    shares = {"age": pd.Series({"child": 0.18, "adult": 0.55, "old": 0.27}), ("sex", "area"): table}
    same(from_marginals(shares, 1000), from_marginals(CENSUS, 1000))


def test_counts_may_be_lists_and_arrays():
    people = from_marginals({"a": [10, 20], ("b", "c"): np.array([[5, 10], [15, 0]])}, np.int64(30))
    assert people["a"].bincount().tolist() == [10, 20]
    assert (2 * people["b"] + people["c"]).bincount().tolist() == [5, 10, 15]


def test_a_survey_is_a_seed_table_by_names():
    """Its labels stand in another order than the marginals'; odds ratios are those of the survey."""
    survey = from_table(
        pd.DataFrame({"sex": ["m"] * 5 + ["f"] * 5, "area": ["A", "A", "A", "A", "B", "A", "B", "B", "B", "B"]})
    )
    assert survey.labels["sex"] == ("f", "m")
    marginals = {"sex": {"m": 60, "f": 40}, "area": {"B": 55, "A": 45}}
    people = from_marginals(marginals, 1_000_000, seed_table=survey)
    (m_b, m_a), (f_b, f_a) = counts_of(people, "sex", "area").double()
    assert (m_a * f_b / (m_b * f_a)).item() == pytest.approx(16, rel=1e-3)
    with pytest.raises(ValueError, match=r"column 'area' is 'A' in row 0: expected one of \['B', 'C'\]"):
        from_marginals({"sex": {"m": 60, "f": 40}, "area": {"B": 55, "C": 45}}, 100, seed_table=survey)


def test_the_same_seed_gives_the_same_people_and_another_does_not():
    one, two, other = (from_marginals(CENSUS, 101, seed=seed) for seed in (1, 1, 2))
    same(one, two)
    assert not torch.equal(counts_of(one, "age", "sex", "area"), counts_of(other, "age", "sex", "area"))


@pytest.mark.parametrize(
    ("marginals", "message"),
    [
        ({"a": {"x": 1, "y": 2}, "b": {"u": 4}}, r"\['a'\] and \['b'\] differ by 1 in their totals: 3 against 4"),
        (
            {"a": {"x": 1, "y": 2}, ("a", "b"): {("x", "u"): 1.5, ("y", "u"): 1.5}},
            r"\['a'\] and \['a', 'b'\] differ by 0.5 in a = 'x': 1 against 1.5; scale",
        ),
        (
            {"a": {"x": 1}, ("a", "b"): {("x", "u"): 1, ("x", "v"): 0, ("w", "u"): 0}},
            r"marginals\[\('a',\)\] is None for",
        ),
        ({"a": {"x": -1, "y": 2}}, r"is -1 for .*: expected a count from 0"),
        ({"a": {("x", "y"): 1}}, r"has an entry for \('x', 'y'\): expected a category of each of \('a',\)"),
        ({"a": {"x": "1"}}, r"is '1' for .*: expected a count"),
        ({"a": {"x": 1, 2: 2}}, r"categories of 'a' are \['x', 2\]: expected all text, or all whole numbers"),
        ({"a": {"x": 0}}, "sum to 0"),
        ({}, "marginals are empty"),
    ],
)
def test_bad_marginals_are_refused(marginals, message):
    with pytest.raises(ValueError, match=message):
        from_marginals(marginals, 10)


def test_a_seed_table_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"seed table has shape \(2, 3\): expected \(3, 2, 2\)"):
        from_marginals(CENSUS, 10, seed_table=torch.ones(2, 3))
    with pytest.raises(ValueError, match="num_people is 0: expected an int, 1 or more"):
        from_marginals(CENSUS, 0)
