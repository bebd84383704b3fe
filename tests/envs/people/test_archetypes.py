"""Populations as tensors: the door, subgroups, tables and files, weighted surveys, and archetypes."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from ethogram.envs.people import Population, bands, from_archetypes, from_table, systematic_counts
from ethogram.simulator.draws import Draws
from ethogram.simulator.recording import Record
from ethogram.simulator.sites import Do


@pytest.fixture
def people():
    return Population(
        {
            "age": torch.tensor([3, 70, 41, 18]),
            "area": torch.tensor([0, 2, 0, 1]),
            "income": torch.tensor([0.0, 1.5, 2.5, 3.5]),
            "works": torch.tensor([False, False, True, True]),
        },
        {"area": ("Astoria", "Bronx", "Corona", "Nobody lives here")},
    )


def same(one, two):
    assert one.columns.keys() == two.columns.keys()
    assert dict(one.labels) == dict(two.labels)
    for name, column in one.columns.items():
        assert column.dtype == two[name].dtype, name
        assert torch.equal(column, two[name]), name


# ---- the door


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": torch.tensor([3, 70, -1, 18])}, r"'age' is -1 in row 2: expected an age from 0"),
        ({"age": torch.tensor([3, 70])}, r"'area' has 4 rows on cpu, 'age' 2 on cpu"),
        ({"age": torch.tensor([3, 70, 1, 2], dtype=torch.int32)}, r"'age' is torch.int32 \(4,\): expected"),
        (
            {"age": ["3", "70", "1", "2"]},
            r"column 'age' is a list of <U2 \(4,\): expected a tensor, array, Series or list",
        ),
        ({"age": [[3], [70], [1], [2]]}, r"column 'age' is a list of int64 \(4, 1\)"),
        ({"age": 3}, r"column 'age' is a int of int64 \(\)"),
        ({"income": torch.tensor([1.0, 2.0, 3.0, torch.nan])}, r"'income' is nan in row 3: expected a finite number"),
        ({"area": torch.tensor([0, 4, 0, 1])}, r"'area' is 4 in row 1: expected a code from 0 to 3"),
        ({"area": torch.tensor([0.0, 1, 0, 1])}, r"labels of 'area' \(torch.float32\)"),
    ],
)
def test_bad_columns_are_refused_by_name_and_row(people, change, message):
    with pytest.raises(ValueError, match=message):
        Population({**people.columns, **change}, people.labels)


def test_labels_are_checked(people):
    with pytest.raises(ValueError, match="each once"):
        Population({"area": people["area"]}, {"area": ("a", "b", "a")})
    with pytest.raises(LookupError, match="no column 'city'"):
        Population(people.columns, {"city": ("a",)})
    with pytest.raises(ValueError, match="without columns"):
        Population({})


# ---- subgroups


def test_a_mask_is_what_a_loop_over_people_finds(people):
    frame = people.to_pandas()
    cases = [
        ({"area": "Astoria"}, frame.area == "Astoria"),
        ({"area": ["Astoria", "Bronx"], "works": True}, frame.area.isin(["Astoria", "Bronx"]) & frame.works),
        ({"age": range(18, 65)}, (frame.age >= 18) & (frame.age < 65)),
        ({"age": (3, 18)}, (frame.age >= 3) & (frame.age <= 18)),  # a range here as in from_archetypes
        ({"age": [3, 18]}, frame.age.isin([3, 18])),
        ({"age": np.array([3, 18])}, frame.age.isin([3, 18])),
        ({"income": (1.5, 2.5)}, (frame.income >= 1.5) & (frame.income <= 2.5)),
        ({"age": np.int64(3), "works": np.bool_(True)}, (frame.age == 3) & frame.works),
        ({"age": 3}, frame.age == 3),
        ({"area": "Nobody lives here"}, frame.age < 0),
    ]
    for where, expected in cases:
        mask = people.mask(**where)
        assert mask.tolist() == expected.tolist()
        assert len(people.take(mask)) == expected.sum()
        Do("x", 0.0, who=mask)  # takes it


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ({"area": "Astorria"}, LookupError, "'area' has no category 'Astorria'; it has .'Astoria'"),
        ({"city": "Rome"}, LookupError, "no column 'city'; this population has"),
        ({"age": "old"}, ValueError, "'age' is compared with 'old': expected int"),
        ({"works": 1}, ValueError, "'works' is compared with 1: expected bool"),
        ({"income": 1.5}, ValueError, "'income' is float32"),
        ({"age": (3, 18, 70)}, ValueError, r"compared with \(3, 18, 70\): expected \(low, high\), both included"),
        ({"age": (18, 3)}, ValueError, r"expected \(low, high\)"),
        ({"area": ("Astoria", "Bronx")}, ValueError, "several values stand in a list"),
    ],
)
def test_a_subgroup_that_cannot_be_is_refused(people, where, error, message):
    with pytest.raises(error, match=message):
        people.mask(**where)


def test_groups_are_what_records_take(people):
    assert people.group("area").tolist() == [0, 2, 0, 1]
    assert people.group("works").tolist() == [0, 0, 1, 1]
    Record("x", reduce="mean", by=people.group("works"))
    with pytest.raises(ValueError, match="'income' is float32"):
        people.group("income")


def test_bands_are_what_comparisons_say():
    edges = [5, 18, 19, 65]
    values = torch.arange(100)
    codes, names = bands(values, edges)
    assert codes.tolist() == [sum(v >= edge for edge in edges) for v in range(100)]
    assert names == ("under 5", "5-17", "18", "19-64", "65 and over")
    assert bands(torch.tensor([0.1, 0.5, 1.0]), [0.5, 1])[0].tolist() == [0, 1, 2]
    assert bands(torch.tensor([0.1]), [0.5, 1])[1] == ("under 0.5", "0.5 to 1", "1 and over")
    with pytest.raises(ValueError, match="ascending"):
        bands(values, [18, 5])


def test_added_columns_index_tables(people):
    people = people.adding("band", *bands(people["age"], [18, 65]))
    assert torch.tensor([0.1, 0.2, 0.3])[people["band"]].tolist() == pytest.approx([0.1, 0.3, 0.2, 0.2])
    assert people.mask(band="65 and over").tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="there is a column 'band' already"):
        people.adding("band", people["age"])


# ---- tables and files


def test_pandas_and_parquet_give_back_the_same_people(people, tmp_path):
    same(from_table(people.to_pandas()), people)
    people.save(tmp_path / "people.parquet")
    same(Population.load(tmp_path / "people.parquet"), people)
    frame = pd.read_parquet(tmp_path / "people.parquet")  # anybody reads names
    assert frame.area.tolist() == ["Astoria", "Corona", "Astoria", "Bronx"]
    nobody = people.take(torch.zeros(4, dtype=torch.bool))
    nobody.save(tmp_path / "nobody")
    same(Population.load(tmp_path / "nobody"), nobody)
    frame.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"not written by Population.save: read it with from_table"):
        Population.load(tmp_path / "other.parquet")


def test_a_table_becomes_columns_by_type(tmp_path):
    frame = pd.DataFrame(
        {
            "age": np.array([1, 2, 3], np.uint8),
            "name": ["c", "a", "c"],
            "object": pd.Series(["c", "a", "c"], dtype=object),
            "flag": pd.array([True, False, True], dtype="boolean"),
            "count": pd.array([1, 2, 3], dtype="Int64"),
            "code": [1, 0, 1],
            "size": [0.1, 2.0, 3.0],
        }
    )
    frame.to_parquet(tmp_path / "table.parquet")
    for table in (frame, tmp_path / "table.parquet", str(tmp_path / "table.parquet")):
        people = from_table(table, labels={"object": ("a", "b", "c"), "code": ("no", "yes")})
        assert people["name"].tolist() == [1, 0, 1]
        assert people["object"].tolist() == [2, 0, 2]
        assert dict(people.labels) == {"name": ("a", "c"), "object": ("a", "b", "c"), "code": ("no", "yes")}
        assert [people[name].dtype for name in ("age", "flag", "count", "size")] == [
            *(torch.int64, torch.bool, torch.int64, torch.float32)
        ]
        assert list(from_table(table, ["size", "age"]).columns) == ["size", "age"]
    with pytest.raises(ValueError, match=r"expected .csv, .tsv or .parquet"):
        from_table("table.xls")


@pytest.mark.parametrize(
    ("column", "labels", "message"),
    [
        ([1.0, None], None, r"column 'x' is nan in row 1: expected a value"),
        (["a", None], None, r"in row 1: expected a value"),
        (["a", "z"], ("a", "b"), r"column 'x' is 'z' in row 1: expected one of \['a', 'b'\]"),
        ([0, 2], ("a", "b"), r"column 'x' is 2 in row 1: expected a code from 0 to 1"),
        ([0.0, 1.0], ("a", "b"), r"'x' is float64 and has labels"),
        ([False, True], ("a", "b"), r"'x' is bool and has labels"),
        ([1.0, np.inf], None, r"column 'x' is inf in row 1"),
        ([1.0, 1e300], None, r"column 'x' is 1e\+300 in row 1: expected a number that float32 holds"),
        (np.array([1, 2**63], np.uint64), None, r"in row 1: expected a whole number below"),
        (["a", 3], None, r"column 'x' is 3 in row 1: expected text, a number or a bool"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), None, r"in row 0: expected text, a number or a bool"),
    ],
)
def test_bad_tables_are_refused_by_column_and_row(column, labels, message):
    with pytest.raises(ValueError, match=message):
        from_table(pd.DataFrame({"x": column}), labels=labels and {"x": labels})


def test_an_age_below_0_in_a_table_is_refused():
    with pytest.raises(ValueError, match=r"column 'age' is -1 in row 1: expected an age from 0"):
        from_table(pd.DataFrame({"age": [1, -1]}))


def test_a_table_lacks_no_column_in_silence():
    frame = pd.DataFrame({"x": [1, 2], "w": [1.0, -1.0]})
    with pytest.raises(LookupError, match="no column 'y'"):
        from_table(frame, ["y"])
    with pytest.raises(LookupError, match="no column 'y'"):
        from_table(frame, weight="y", num_people=3)
    with pytest.raises(LookupError, match=r"labels are for \['y'\]"):
        from_table(frame, labels={"y": ("a",)})
    with pytest.raises(ValueError, match=r"column 'w' is -1.0 in row 1: expected a finite weight from 0"):
        from_table(frame, weight="w", num_people=3)
    with pytest.raises(ValueError, match="without num_people"):
        from_table(frame, weight="w")
    with pytest.raises(ValueError, match=r"column 'x' is \w+: expected numbers, since it is the weight"):
        from_table(pd.DataFrame({"x": ["a", "b"]}), weight="x", num_people=3)
    with pytest.raises(ValueError, match="num_people is 0: expected an int, 1 or more"):
        from_table(frame, num_people=0)
    for names in (["x", "x"], ["x", 3]):
        with pytest.raises(ValueError, match="expected names, each once"):
            from_table(frame.set_axis(names, axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_systematic_counts_are_those_of_a_comb_laid_over_the_rows(seed):
    """Row by row in exact fractions: teeth one person apart, moved by one draw, are counted where they fall."""
    weights = np.random.default_rng(seed).integers(0, 9, 40).astype(float)
    num_people = 77
    start = Fraction(Draws(seed, torch.tensor([0]), scope="population").uniform("a test").item())
    teeth = [person - start for person in range(1, num_people + 1)]
    ends = [Fraction(int(weights[:row].sum()) * num_people, int(weights.sum())) for row in range(41)]
    expected = [sum(low < tooth <= high for tooth in teeth) for low, high in pairwise(ends)]
    assert systematic_counts(weights, num_people, seed, "a test").tolist() == expected


def test_a_weighted_survey_is_resampled_to_its_expectation():
    """Counts are expectations rounded down or up; their mean over 2,000 seeds is off by 5 sigma once in 10^5 runs."""
    weights = np.array([0.3, 2.2, 0.0, 1.5, 4.0])
    frame = pd.DataFrame({"row": np.arange(5), "w": weights})
    expected, total = 11 * weights / weights.sum(), np.zeros(5)
    for seed in range(2000):
        people = from_table(frame, weight="w", num_people=11, seed=seed)
        counts = people["row"].bincount(minlength=5).numpy()
        assert counts.sum() == 11
        assert (np.abs(counts - expected) < 1).all()
        total += counts
    assert list(people.columns) == ["row"]
    share = expected % 1
    assert (np.abs(total / 2000 - expected) <= 5 * np.sqrt(share * (1 - share) / 2000)).all()
    assert from_table(frame, num_people=10)["row"].tolist() == np.repeat(np.arange(5), 2).tolist()


# ---- archetypes

CITY = {
    "student": {"age": (18, 25), "cautious": False, "risk": (0.5, 1.0), "job": "none", "wage": 0},
    "worker": {
        "age": (25, 64),
        "cautious": True,
        "risk": torch.distributions.Normal(0.3, 0.1),
        "job": {"office": 0.75, "shop": 0.25},
        "wage": 20,
    },
}
SHARES = {"student": 0.3, "worker": 0.7}


def test_more_people_leave_the_first_ones_as_they_are():
    few, many = (from_archetypes(CITY, SHARES, n, seed=3) for n in (100, 5000))
    same(few, many.take(torch.arange(100)))
    assert not torch.equal(few["age"], from_archetypes(CITY, SHARES, 100, seed=4)["age"])


def test_archetypes_give_their_people_what_they_say():
    """20,000 people; each of the ten bands fails by chance about once in 10^4 to 10^5 seeds."""
    n = 20_000
    people = from_archetypes(CITY, SHARES, n, seed=1)
    student, worker = people.mask(archetype="student"), people.mask(archetype="worker")
    assert student.sum().item() == pytest.approx(0.3 * n, abs=4.5 * (n * 0.21) ** 0.5)
    assert people.labels == {"archetype": ("student", "worker"), "job": ("none", "office", "shop")}
    for mask, archetype in ((student, "student"), (worker, "worker")):
        low, high = CITY[archetype]["age"]
        counts = people["age"][mask].bincount(minlength=high + 1)
        assert counts[:low].sum() == 0
        assert len(counts) == high + 1
        assert stats.chisquare(counts[low:]).pvalue > 1e-5
    assert torch.equal(people["cautious"], worker)
    assert people["wage"].dtype == torch.int64
    assert torch.equal(people["wage"], 20 * worker.long())
    assert stats.kstest(people["risk"][student], "uniform", (0.5, 0.5)).pvalue > 1e-5
    assert stats.kstest(people["risk"][worker], "norm", (0.3, 0.1)).pvalue > 1e-5
    assert people.mask(job="none").equal(student)
    offices = int(people.mask(job="office").sum())
    assert stats.binomtest(offices, int(worker.sum()), 0.75).pvalue > 1e-5


def test_attributes_are_independent_given_the_archetype():
    """A rank correlation of about 14,000 pairs; fails by chance once in 10^5 seeds."""
    people = from_archetypes(CITY, SHARES, 20_000, seed=2)
    worker = people.mask(archetype="worker")
    assert stats.spearmanr(people["age"][worker], people["risk"][worker]).pvalue > 1e-5


def test_people_keep_their_luck_under_other_shares():
    one = from_archetypes(CITY, SHARES, 2000)
    other = from_archetypes(CITY, {"student": 0.4, "worker": 0.6}, 2000)
    stayed = one["archetype"] == other["archetype"]
    assert 0.85 < stayed.float().mean() < 0.95
    same(one.take(stayed), other.take(stayed))


@pytest.mark.parametrize(
    ("archetypes", "shares", "message"),
    [
        (CITY, {"student": 1.0}, "shares are for .'student'.: expected one for each of"),
        (CITY, {"student": 0.5, "worker": 0.4}, r"sum to 0\.9: expected shares"),
        (CITY, {"student": 1.5, "worker": -0.5}, "expected a number, 0 to 1"),
        ({"a": {"x": 1}, "b": {"y": 1}}, {"a": 0.5, "b": 0.5}, r"archetype 'b' has attributes \['y'\]: expected"),
        ({"a": {"x": 1}, "b": {"x": "red"}}, {"a": 0.5, "b": 0.5}, "'x' is of several kinds"),
        ({"a": {"x": True}, "b": {"x": 1}}, {"a": 0.5, "b": 0.5}, "'x' is of several kinds"),
        ({"a": {"x": [1, 2]}}, {"a": 1.0}, r"x of 'a' is \[1, 2\]: expected a number"),
        ({"a": {"x": (3, 1)}}, {"a": 1.0}, r"x of 'a' is \(3, 1\): expected \(low, high\)"),
        ({"a": {"x": {"red": 0.5}}}, {"a": 1.0}, r"x of 'a': .* sum to 0\.5"),
        ({"a": {"age": (-5, -1)}}, {"a": 1.0}, "expected an age from 0"),
        ({"a": {"x": torch.distributions.Gamma(2.0, 1.0)}}, {"a": 1.0}, r"x of 'a' is Gamma.*: expected one distr"),
        ({"a": {"x": torch.distributions.Normal(torch.zeros(2), 1.0)}}, {"a": 1.0}, r"x of 'a' is Normal"),
    ],
)
def test_bad_archetypes_are_refused(archetypes, shares, message):
    with pytest.raises(ValueError, match=message):
        from_archetypes(archetypes, shares, 50)
