"""Parameters of the epidemics that make no sense are refused when they are given, with their name."""

import math

import by_hand
import numpy as np
import pytest
import torch

from ethogram.agents.citizens import Archetypes, Heuristic, Logits, Routine
from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import (
    SEIR,
    Disease,
    Economy,
    Epidemic,
    Measures,
    attack_rate,
    epidemic_planner_world,
    gamma_days,
)
from ethogram.simulator import Draws, Sites, rollout

SHARES = {
    Measures: ("vaccination", "vaccine_against_infection", "vaccine_against_death", "confirmation"),
    Economy: (
        *("unemployed_at_start", "separation", "separation_by_closure", "hiring"),
        *("isolated_spend_less", "jobless_spend_less"),
    ),
    Heuristic: ("when_ill", "most", "work"),
    Routine: ("isolate", "work"),
}
AMOUNTS = {
    Disease: ("reproduction", "importation"),
    Economy: ("separation_by_demand", "benefit", "spending"),
    Heuristic: ("half", "trend"),
    lambda **rates: SEIR(by_hand.ring(), **rates): ("transmission", "onset_rate", "recovery_rate"),
}
DAYS = {
    Measures: ("vaccine_delay", "quarantine_days", "announced"),
    Heuristic: ("period",),
    Routine: ("period",),
    lambda period: Logits(by_hand.features, {}, {}, period): ("period",),
}


def cases(table, values):
    return [(make, name, value) for make, names in table.items() for name in names for value in values]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        *cases(SHARES, (-0.1, 1.1, math.nan, "half", None)),
        *cases(AMOUNTS, (-0.1, math.nan, math.inf, "half", None)),
        *cases(DAYS, (-1, 2.5, math.nan, 1000.5, "half", None)),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_name(make, name, value):
    with pytest.raises((TypeError, ValueError), match=rf"{name} is {value!r}".replace("-", r"\-") + ".*: expected"):
        make(**{name: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Economy(working_age=(65, 18)), r"working_age is \(65, 18\): expected two ages"),
        (lambda: Economy(working_age=(18,)), r"working_age is \(18,\): expected two ages"),
        (lambda: Economy(working_age=18), "working_age is 18: expected two ages"),
        (lambda: Economy(working_age=(18, math.nan)), r"working_age\[1\] is nan"),
        (lambda: Disease(susceptibility=(0.5,) * 8), "susceptibility is .*: expected 9 numbers"),
        (lambda: Disease(susceptibility=(math.nan,) * 9), r"susceptibility\[0\] is nan"),
        (lambda: Disease(fatality=(0.1,) * 8 + (1.1,)), r"fatality\[8\] is 1.1: expected a number, 0 to 1"),
        (lambda: Disease(fatality=0.1), "fatality is 0.1: expected 9 numbers"),
        (lambda: Disease(infectiousness=(0.5,)), "infectiousness is .*: expected two numbers"),
        (lambda: Disease(infectiousness=(-0.5, 1)), r"infectiousness\[0\] is -0.5"),
        (lambda: Disease(infectiousness=(0, 0)), "nobody sheds anything"),
        (lambda: Disease(generation=(0.5, 0.6)), "generation is .*: expected the probabilities of day 1"),
        (lambda: Disease(generation=()), "generation is .*: expected the probabilities of day 1"),
        (lambda: Disease(exposed_days=(1.5, -0.5)), r"exposed_days\[0\] is 1.5"),
        (lambda: Disease(infectious_days="often"), r"infectious_days\[0\] is 'o'"),
        (lambda: gamma_days(-1, 2, 30), "mean is -1"),
        (lambda: gamma_days(5, 0, 30), "sd is 0"),
        (lambda: gamma_days(5, 2, 0.5), "days is 0.5"),
        (lambda: by_hand.city(layer_weight={"school": -1.0}), "layer_weight of 'school' is -1.0"),
        (lambda: by_hand.city(layer_weight={"school": math.nan}), "layer_weight of 'school' is nan"),
        (lambda: Epidemic(by_hand.ring(), [1.5] * 61, [0] * 61), r"age is torch.float32 \(61,\)"),
        (lambda: Epidemic(by_hand.ring(), [1] * 60, [0] * 61), r"age is torch.int64 \(60,\)"),
        (lambda: Epidemic(by_hand.ring(), [1] * 61, [-1] * 61), "area of person 0 is -1"),
        (lambda: epidemic_planner_world(300, citizens=0.5), "citizens is a float, without act: expected a policy"),
        (lambda: Logits(by_hand.features, {"ill": math.nan}, {}), "coefficient of 'ill' for 'isolate' is nan"),
        (lambda: Logits(by_hand.features, 1.0, {}), "isolate is a float: expected a dict"),
        (lambda: Archetypes(lambda questions: [], {}), "answers is a function: expected Answers"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_lists_arrays_and_tensors_are_numbers_too():
    plain = Disease(fatality=(0.5,) * 9, exposed_days=(0.5, 0.5))
    assert Disease(fatality=np.full(9, 0.5), exposed_days=[0.5, 0.5]) == plain
    assert Disease(fatality=torch.full((9,), 0.5), exposed_days=torch.tensor([0.5, 0.5])) == plain
    assert hash(plain) == hash(Disease(fatality=[0.5] * 9, exposed_days=(0.5, 0.5)))
    assert Measures(vaccination=np.float32(0.5), announced=np.int64(7)).announced == 7
    people = {"rows": by_hand.N, "horizon": 3}
    chances = by_hand.table(by_hand.N)
    runs = [rollout(by_hand.city(), Routine(isolate=one), **people) for one in (chances, chances.numpy())]
    assert runs[0].equals(runs[1])


def test_days_do_not_run_out():
    """Beyond 32,767 days, which once were the last, the city goes on as it did."""
    world, late = by_hand.city(initial=5), 40_000
    draws, site = Draws(1, torch.arange(by_hand.N), scope="world"), Sites()
    state, _ = world.reset(draws, site)
    state = state._replace(
        infected_on=torch.where(state.infected_on == -1, late - 1, state.infected_on),
        until=torch.where(state.infected_on == -1, late + 2, state.until),
    )
    action = torch.tensor([[0, 1]], dtype=torch.int8).expand(by_hand.N, 2)
    for day in range(late, late + 9):
        state = world.step(state, action, draws.at(day), site).state
    assert (state.infected_on > late).any()
    assert ((state.stage == 1) | (state.infected_on <= late + 8)).all()
    assert (state.until[state.stage == 1] > late + 8).all()


def test_attack_rates_take_any_whole_groups_and_no_others():
    history = rollout(by_hand.city(), Fixed([0, 1]), rows=by_hand.N, horizon=9, record=["infected"])
    groups = torch.arange(by_hand.N) % 3
    assert torch.equal(attack_rate(history, groups), attack_rate(history, groups.tolist()))
    for wrong in (groups - 1, groups.double(), groups[1:]):
        with pytest.raises(ValueError, match=r"by (is|of person)"):
            attack_rate(history, wrong)
