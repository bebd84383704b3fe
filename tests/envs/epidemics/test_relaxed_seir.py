"""The relaxed epidemic: the exact one's bits, and gradients held against finite differences."""

import warnings

import numpy as np
import pytest
import torch

from ethogram.envs.epidemics import SEIR, RelaxedSEIR
from ethogram.simulator import Do, Draws, check_world, rollout
from ethogram.simulator.calibrate import RelaxedDraws
from ethogram.simulator.networks import Contacts
from ethogram.simulator.recording import Record

START = {"transmission": 0.03, "onset_rate": 0.25, "recovery_rate": 0.15, "home": 0.3}


def random_contacts(n, mean_degree, seed, *, weighted=False):
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, n, (2, int(n * mean_degree / 2)))
    keep = source != target
    weight = torch.tensor(rng.random(keep.sum()), dtype=torch.float32) if weighted else None
    return Contacts.from_edges(
        torch.tensor(source[keep]), torch.tensor(target[keep]), n, weight=weight, repeats="add" if weighted else "merge"
    )


class StaysHomeWhenIll:
    """With a probability; in the relaxed world, said for each stage."""

    def __init__(self, home):
        self.home = home

    def act(self, observation, history, draws):
        stays = draws.bernoulli("home", self.home)
        if observation.dim() == 1:
            return (observation == 2).long() * stays
        never = torch.zeros(len(stays), dtype=torch.float64)
        return torch.stack([never, never, stays.to(torch.float64), never], 1)


def run(contacts, parameters, seed, *, horizon=30, temperature=None, initial=0.02):
    """(horizon + 1, 4) people in each stage: exact, or relaxed where there is a temperature."""
    n = contacts.num_people
    *rates, home = parameters.values() if isinstance(parameters, dict) else parameters
    if temperature is None:
        world, draws = SEIR(contacts, *rates, initial), None
        count = Record("observation", reduce=lambda stage: stage.long().bincount(minlength=4).double())
    else:
        world = RelaxedSEIR(contacts, *rates, initial)
        draws = RelaxedDraws(seed, torch.arange(n), scope="world", temperature=temperature)
        count = Record("observation", reduce=lambda stage: stage.sum(0))
    history = rollout(
        world, StaysHomeWhenIll(home), rows=n, horizon=horizon, seed=0 if draws else seed, record=[count], draws=draws
    )
    return history.series["observation"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 1e-10])
def test_the_hard_limit_is_the_exact_epidemic_to_the_bit(weighted, temperature):
    contacts = random_contacts(300, 8, 0, weighted=weighted)
    parameters = START | {"transmission": 0.2}
    for seed in range(3):
        exact = run(contacts, parameters, seed, initial=0.1)
        leaves = {name: torch.tensor(v, dtype=torch.float64, requires_grad=True) for name, v in parameters.items()}
        relaxed = run(contacts, leaves, seed, temperature=temperature, initial=0.1)
        assert exact[-1, 1:].sum() > 30
        assert torch.equal(relaxed.detach(), exact)


def test_the_gradient_of_the_soft_epidemic_is_its_finite_difference():
    """The soft run is a smooth function: what is checked is that no term of its derivative is missing."""
    contacts = random_contacts(60, 8, 1, weighted=True)
    start = torch.tensor([0.2, 0.25, 0.15, 0.3], dtype=torch.float64)

    def outcome(parameters):
        series = run(contacts, parameters.unbind(), 0, horizon=8, temperature=0.5, initial=0.1)
        return torch.stack([series[-1, 1:].sum(), series[4, 2]])

    slopes = torch.autograd.functional.jacobian(outcome, start)
    for k in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[k] = 1e-4
        difference = (outcome(start + step) - outcome(start - step)) / 2e-4
        torch.testing.assert_close(slopes[:, k], difference, rtol=2e-3, atol=1e-3)


def test_straight_through_is_exact_where_an_outcome_decides_nothing_else():
    """One day, one draw a person: the expected number of infections is a sum of 1 - exp(-hazard)."""
    n = 20_000
    hazard = torch.linspace(0, 2, n, dtype=torch.float64)
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    draws = RelaxedDraws(3, torch.arange(n))
    infected = draws.event("infected", scale * hazard)
    assert torch.equal(infected.detach(), Draws(3, torch.arange(n)).event("infected", hazard).double())
    (slope,) = torch.autograd.grad(infected.sum(), scale)
    expected = (hazard * (-hazard).exp()).sum().item()
    assert slope.item() == pytest.approx(expected, rel=0.03)
    happens = draws.bernoulli("x", scale * 0.3 * torch.ones(n))
    assert torch.autograd.grad(happens.sum(), scale)[0].item() == pytest.approx(0.3 * n)


def test_the_gradient_is_that_of_the_expected_outcome_among_many_contacts():
    """500 people with 60 contacts each: finite differences of the exact epidemic's mean attack rate, 120 paired seeds.

    The band is 10 %, and 3.5 standard errors of the two means that are compared.
    """
    contacts = random_contacts(500, 60, 2)
    start = START | {"transmission": 0.006}
    wide = {"transmission": 0.0006, "recovery_rate": 0.015, "home": 0.06}

    def attack(parameters, seed, **how):
        return run(contacts, parameters, seed, horizon=35, **how)[-1, 1:].sum() / 500

    slopes = []
    for seed in range(60):
        leaves = {name: torch.tensor(v, dtype=torch.float64, requires_grad=True) for name, v in start.items()}
        found = torch.autograd.grad(attack(leaves, seed, temperature=0.0), list(leaves.values()))
        slopes.append(torch.stack(found))
    slopes = dict(zip(start, torch.stack(slopes).T, strict=True))
    for name, step in wide.items():
        up, down = (start | {name: start[name] + sign * step} for sign in (1, -1))
        difference = torch.stack([attack(up, seed) - attack(down, seed) for seed in range(120)]) / (2 * step)
        error = (difference.var() / 120 + slopes[name].var() / 60).sqrt().item()
        expected = difference.mean().item()
        assert slopes[name].mean().item() == pytest.approx(expected, abs=0.1 * abs(expected) + 3.5 * error), name


def slope_and_difference(contacts, name, start, wide, horizon, seeds):
    """Mean and standard error of the gradient of how many are ever infected, and of its paired finite difference."""

    def ever(parameters, seed, **how):
        rates = {key: parameters[key] for key in ("transmission", "onset_rate", "recovery_rate")} | {"home": 0.0}
        return run(contacts, rates, seed, horizon=horizon, initial=parameters["initial"], **how)[-1, 1:].sum()

    slopes = []
    for seed in range(seeds // 2):
        leaf = torch.tensor(start[name], dtype=torch.float64, requires_grad=True)
        outcome = ever(start | {name: leaf}, seed, temperature=0.0)
        slopes.append(torch.autograd.grad(outcome, leaf)[0])
    up, down = (start | {name: start[name] + sign * wide} for sign in (1, -1))
    change = torch.stack([ever(up, seed) - ever(down, seed) for seed in range(seeds)]) / (2 * wide)
    slope = torch.stack(slopes)
    return slope.mean(), slope.std() / len(slope) ** 0.5, change.mean(), change.std() / seeds**0.5


@pytest.mark.parametrize(("name", "degree", "horizon"), [("initial", 4, 13), ("transmission", 8, 20)])
def test_the_gradient_holds_where_few_meet(name, degree, horizon):
    """Within 10 % and 3 standard errors. Cases that are considered again and again would make it far too large."""
    start = {"transmission": 0.4 / degree, "onset_rate": 0.5, "recovery_rate": 0.2, "initial": 0.04}
    contacts = random_contacts(400, degree, 4)
    wide = 0.2 * start[name]
    slope, error, change, other = slope_and_difference(contacts, name, start, wide, horizon, 100)
    assert abs(slope - change) < 0.1 * change + 3 * (error**2 + other**2).sqrt()
    assert change > 6 * other  # else anything would do


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_the_gradient_in_initial_has_the_closed_form_of_pairs(share):
    """Who is infected on the first day, of pairs: 2 p (1 - p) of each, so that the slope is 0 at a half."""
    pairs, infects = 2000, 0.4
    first = torch.arange(0, 2 * pairs, 2)
    contacts = Contacts.from_edges(first, first + 1, 2 * pairs)
    slopes = []
    for seed in range(8):
        p = torch.tensor(share, dtype=torch.float64, requires_grad=True)
        rates = {"transmission": infects, "onset_rate": 0.0, "recovery_rate": 0.0, "home": 0.0}
        stages = run(contacts, rates, seed, horizon=1, temperature=0.0, initial=p)
        slopes.append(torch.autograd.grad(stages[-1, 1], p)[0] / pairs)
    slope = torch.stack(slopes)
    expected = 2 * (1 - 2 * share) * -np.expm1(-infects)
    assert slope.mean().item() == pytest.approx(expected, abs=0.02 + 4 * slope.std().item() / 8**0.5)


def test_a_gradient_beyond_its_reach_warns():
    def through(degree, horizon, **how):
        leaf = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
        run(random_contacts(60, degree, 0), START | {"transmission": leaf}, 0, horizon=horizon, temperature=0.0, **how)

    with pytest.warns(UserWarning, match="may be off by more than 10 %: use fit_by_search"):
        through(4, 40)
    for degree, horizon in ((4, 22), (12, 40)):  # a generation is 10.7 days
        with pytest.warns(UserWarning, match="the gradient in initial of what happens"):
            through(degree, horizon, initial=torch.tensor(0.1, requires_grad=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        through(4, 20)
        through(4, 20, initial=torch.tensor(0.1, requires_grad=True))
        through(12, 30, initial=torch.tensor(0.1, requires_grad=True))
        through(12, 40)


def test_plain_draws_give_the_same_run_and_interventions_act():
    contacts = random_contacts(200, 8, 3)
    never = torch.zeros(200, 4)

    class GoesOut:
        def act(self, observation, history, draws):
            return never

    world = RelaxedSEIR(contacts, 0.1, initial=0.05)
    plain = rollout(world, GoesOut(), rows=200, horizon=20, seed=4)
    relaxed = rollout(world, GoesOut(), rows=200, horizon=20, draws=RelaxedDraws(4, torch.arange(200), scope="world"))
    assert torch.equal(plain.observation, relaxed.observation)
    assert torch.equal(plain.observation.sum(2), torch.ones(200, 21, dtype=torch.float64))
    closed = rollout(world, GoesOut(), rows=200, horizon=20, seed=4, interventions=[Do("hazard", 0.0)])
    assert closed.reward.sum() == 0 > plain.reward.sum()


def test_the_relaxed_world_keeps_the_contract():
    check_world(
        RelaxedSEIR(random_contacts(6, 3, 0), 0.3, initial=0.3), StaysHomeWhenIll(0.5), horizon=5, independent=False
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RelaxedDraws(0, torch.arange(3), temperature=-1.0), "temperature is -1.0"),
        (lambda: RelaxedDraws(0, torch.arange(3)).event("x", torch.tensor([0.1, -1, 0])), "all >= 0"),
        (lambda: RelaxedSEIR(random_contacts(6, 3, 0), torch.tensor(-1.0)), "transmission is tensor.*: expected"),
        (lambda: RelaxedSEIR(random_contacts(6, 3, 0), torch.ones(6)), "transmission is tensor.*: expected"),
        (lambda: RelaxedSEIR(random_contacts(6, 3, 0), initial=2.0), "initial is 2.0"),
    ],
)
def test_what_is_no_probability_is_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_a_number_of_people_to_begin_with_is_that_of_the_exact_one():
    contacts = random_contacts(200, 6, 1)
    for initial in (1, 3):
        exact = rollout(SEIR(contacts, initial=initial), StaysHomeWhenIll(0.3), rows=200, horizon=9)
        relaxed = rollout(RelaxedSEIR(contacts, initial=initial), StaysHomeWhenIll(0.3), rows=200, horizon=9)
        assert relaxed.observation[:, 0, 2].sum() == initial
        assert torch.equal(relaxed.reward, exact.reward)
