"""Naming, recording and intervening."""

import numpy as np
import pytest
import torch

from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Naming, rollout
from ethogram.simulator.sites import Do, Sites


class Careful:
    """Shows or clicks the first item, unless it is too unsure, which it names."""

    names_sites = True

    def act(self, observation, history, draws, site=None):
        unsure = draws.uniform("unsure") < 0.5
        if site is not None:
            unsure = site(f"{draws.scope}_unsure", unsure)
        first = torch.where(unsure, 1, 0)
        if draws.scope == "user":
            return torch.stack([~unsure, torch.zeros_like(unsure)], 1)
        return torch.stack([first, 2 + first], 1)


def test_quantities_of_a_policy_and_of_a_user_are_recorded_and_intervened_on_like_a_worlds():
    world, names = CascadingSession(trap(), user=Careful()), ["policy_unsure", "user_unsure", "clicks"]
    assert isinstance(world.user, Naming)
    history = rollout(world, Careful(), rows=40, horizon=3, record=names)
    unsure = history["policy_unsure"]
    assert torch.equal(history.action[..., 0], unsure.long())
    assert not torch.equal(unsure, history["user_unsure"])
    assert torch.equal(history["user_unsure"], ~history["clicks"][..., 0])
    other = rollout(world, Careful(), rows=40, horizon=3, interventions=[Do("policy_unsure", True)])
    assert (other.action[..., 0] == 1).all()
    with pytest.raises(LookupError, match="policy_unsure"):
        rollout(world, Careful(), rows=2, horizon=2, record=["policy_sure"])


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
    with pytest.raises(ValueError, match=r"stop of Do\('x'\) is 3: expected an int, 4 or more"):
        Do("x", 1, start=3, stop=3)
    with pytest.raises(ValueError, match="expected bool"):
        Do("x", 1, who=torch.tensor([0, 1]))


def test_who_has_none_of_a_quantity_has_none_whatever_an_intervention_says():
    there = torch.tensor([True, False, True])
    site = Sites([Do("x", 0.5)])
    assert site("x", there.float(), there).tolist() == [0.5, 0, 0.5]
    assert Sites([Do("x", True)])("x", there, there).tolist() == there.tolist()


def test_an_intervention_that_leaves_the_range_of_a_site_is_refused():
    some = torch.tensor([False, True])
    for value, within, expected in (
        (1.5, (0, 1), "gives 1.5 in row 1: expected 0 to 1"),
        (float("nan"), (0, 1), "gives nan in row 1: expected 0 to 1"),
        (-1.0, (0, float("inf")), "gives -1 in row 1: expected a finite number, 0 or more"),
        (float("inf"), (float("-inf"), float("inf")), "gives inf in row 1: expected a finite number"),
    ):
        with pytest.raises(ValueError, match=rf"Do\('x'\) {expected}"):
            Sites([Do("x", value, who=some)])("x", torch.zeros(2), within=within)
    assert Sites()("x", torch.full((2,), 9.0), within=(0, 1)).tolist() == [9, 9]  # only an intervention is looked at


@pytest.mark.parametrize("value", [257, -129, 128])
def test_a_number_that_the_type_of_a_site_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match=f"gives {value}: expected one that fits torch.int8"):
        Sites([Do("x", value)])("x", torch.zeros(3, dtype=torch.int8))


def test_arrays_lists_and_numpy_ints_make_an_intervention_too():
    for who in (torch.tensor([False, True]), np.array([False, True]), [False, True]):
        site = Sites([Do("x", 9.0, start=np.int64(1), stop=np.int32(3), who=who)])
        site.step = 2
        assert site("x", torch.zeros(2)).tolist() == [0, 9]
    for wrong in ({"start": True}, {"start": 1.0}, {"stop": "3"}, {"who": "all"}, {"who": {1}}):
        with pytest.raises((TypeError, ValueError), match=r"of Do\('x'\) is"):
            Do("x", 9.0, **wrong)
