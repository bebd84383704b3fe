"""Naming, recording and intervening."""

import pytest
import torch

from ethogram.simulator.sites import Do, Sites


def test_an_intervention_acts_only_at_its_site_in_its_time_and_on_whom_it_names():
    who = torch.tensor([True, False, True])
    site = Sites([Do("x", 9.0, start=2, stop=4, who=who)])
    for step in range(6):
        site.step = step
        x, y = site("x", torch.zeros(3)), site("y", torch.zeros(3))
        assert y.tolist() == [0, 0, 0]
        assert x.tolist() == ([9, 0, 9] if step in (2, 3) else [0, 0, 0])


def test_functions_see_the_value_and_interventions_compose_in_order():
    site = Sites([Do("x", lambda x: x + 1), Do("x", lambda x: x * 10)])
    assert site("x", torch.tensor([1.0, 2.0])).tolist() == [20, 30]


def test_what_is_recorded_is_what_the_interventions_made_of_it():
    seen = []
    site = Sites([Do("x", 5)], record=lambda name, step, value: seen.append((name, step, value.tolist())))
    site("x", torch.tensor([1, 2]))
    assert seen == [("x", 0, [5, 5])]


def test_a_misspelt_name_lists_the_names_that_there_are():
    site = Sites()
    site("propensity", torch.zeros(1))
    with pytest.raises(LookupError, match=r"no site named \['propensty'\]; this model names \['propensity'\]"):
        site.check_names(["propensty"])


@pytest.mark.parametrize(
    ("do", "value", "message"),
    [
        (Do("x", 0.5), torch.zeros(3, dtype=torch.int64), "expected torch.int64"),
        (Do("x", torch.zeros(2)), torch.zeros(3), "broadcasts to"),
        (Do("x", 1.0, who=torch.tensor([True])), torch.zeros(3), "has 1 rows: expected 3"),
        (Do("x", {}, who=torch.tensor([True])), {"a": torch.zeros(1)}, "leave who= out"),
    ],
)
def test_an_intervention_that_does_not_fit_is_refused(do, value, message):
    with pytest.raises(ValueError, match=message):
        Sites([do])("x", value)


def test_times_and_rows_are_checked_when_the_intervention_is_made():
    with pytest.raises(ValueError, match="0 <= start < stop"):
        Do("x", 1, start=3, stop=3)
    with pytest.raises(ValueError, match="expected bool"):
        Do("x", 1, who=torch.tensor([0, 1]))
