"""The relaxed city: the exact one's bits, values that agree with it, and gradients held against finite differences."""

import math
import warnings
from dataclasses import replace

import pytest
import torch

from ethogram.agents.citizens import Answers, Archetypes, Heuristic, Logits, Perceptron, Relaxed, Routine
from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import Disease, Epidemic, Measures, RelaxedEpidemic, relaxed_epidemic
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Do, rollout
from ethogram.simulator.calibrate import RelaxedDraws, fit_by_gradient
from ethogram.simulator.networks import Contacts, MeanField, RandomMeetings, erdos_renyi
from ethogram.simulator.recording import Record

SITES = ("infected", "isolates", "confirmed", "died")
DISEASE = Disease(
    exposed_days=(0, 0.5, 0.5), infectious_days=(0, 0, 0.3, 0.3, 0.4), fatality=(0.2,) * 9, importation=1e-4
)
MEASURES = Measures(vaccination=0.01, vaccine_delay=3, confirmation=0.3, announced=3, quarantine_days=4)


def city(n, **changes):
    people = synthetic_city(n, seed=1)
    layers = city_layers(people, daily=1, seed=1)
    return replace(Epidemic(layers, people["age"], people["area"], DISEASE, MEASURES, initial=0.03), **changes)


def well_mixed(n, **changes):
    """The same people, each meeting all others a little: what the gradient neglects is then as good as absent."""
    return city(n, layers={"community": MeanField.well_mixed(n, 10.0)}, **changes)


def features(seen):
    return {"ill": seen["ill"] != 0, "decades": seen["age"] / 10, "cases": (seen["cases"].clamp(min=0) + 1).log()}


def leaf(number):
    return torch.tensor(number, dtype=torch.float64, requires_grad=True)


def run(world, citizens, seed, horizon, *, relaxed=True, interventions=()):
    n = world.city.num_people if relaxed else world.num_people
    names = [f"relaxed_{name}" for name in SITES] if relaxed else list(SITES)
    return rollout(
        world,
        Relaxed(citizens) if relaxed else citizens,
        rows=n,
        horizon=horizon,
        record=[Record(name, reduce="sum") for name in names],
        interventions=interventions,
        **({"draws": RelaxedDraws(seed, torch.arange(n), scope="world")} if relaxed else {"seed": seed}),
    )


@pytest.mark.parametrize("seed", range(2))
def test_forward_it_is_the_exact_city_to_the_bit(seed):
    n, number = 400, 4.0
    exact = city(n, disease=replace(DISEASE, reproduction=number))
    relaxed = RelaxedEpidemic(city(n), leaf(number))
    coefficients = {"intercept": -3.0, "ill": 2.0, "decades": 0.2, "cases": 0.4}
    plain = run(exact, Logits(features, coefficients, {"intercept": 2.0}, period=2), seed, 40, relaxed=False)
    graded = {name: leaf(value) for name, value in coefficients.items()}
    found = run(relaxed, Logits(features, graded, {"intercept": 2.0}, period=2), seed, 40)
    for name, column in plain.observation.items():
        assert torch.equal(found.observation[name].detach(), column), name
    for name in SITES:
        series = found.series[f"relaxed_{name}"]
        assert torch.equal(series.detach(), plain.series[name])
        assert plain.series[name].sum() > 10, name
        slopes = torch.autograd.grad(series.sum(), [relaxed.reproduction, *graded.values()], retain_graph=True)
        assert all(slope != 0 for slope in slopes)


@pytest.mark.parametrize(
    "interventions",
    [
        [],
        [Do("attends_school", 0.0, start=5), Do("attends_community", lambda a: a / 2, start=9)],
        [Do("isolates", True, start=4, who=torch.arange(500) < 200), Do("hazard", lambda h: h / 2, start=10)],
        [Do("infected", False, start=3, stop=9, who=torch.arange(500) % 2 == 0), Do("died", True, start=12)],
        [Do("confirmation", 0.8, start=2), Do("vaccinated", lambda v: v | (torch.arange(500) < 100), start=1, stop=2)],
    ],
)
def test_what_is_followed_beside_the_exact_city_comes_to_the_same(interventions, monkeypatch):
    """Before the forward values are put in the place of the followed ones, the two are compared, person by person."""
    apart = []
    join = relaxed_epidemic._with_gradient

    def compared(exact, relaxed):
        apart.append((exact - relaxed).abs().max().item() if exact.dtype == torch.float64 else 0.0)
        return join(exact, relaxed)

    monkeypatch.setattr(relaxed_epidemic, "_with_gradient", compared)
    run(RelaxedEpidemic(city(500), leaf(4.0)), Heuristic(most=leaf(0.5)), 3, 40, interventions=interventions)
    assert len(apart) > 200
    assert max(apart) < 1e-9


def network():
    """Fitted to some days of people who fear cases."""
    days = rollout(city(400), Heuristic(half=1.0), rows=400, horizon=20)
    return Perceptron.fit(days, features, epochs=2)


@pytest.mark.parametrize("make", [network, lambda: Routine(isolate=0.3, period=3), lambda: Heuristic(half=2.0)])
def test_citizens_decide_alike_in_both_cities(make):
    citizens, n = make(), 300
    draws = RelaxedDraws(1, torch.arange(n), scope="world")
    relaxed = rollout(RelaxedEpidemic(city(n)), Relaxed(citizens), rows=n, horizon=15, draws=draws)
    exact = rollout(city(n), citizens, rows=n, horizon=15, seed=1)
    ill = exact.observation["ill"][:, :-1].bool()
    decided = torch.where(ill, relaxed.action[..., 1], relaxed.action[..., 0])
    assert torch.equal(torch.stack([decided, relaxed.action[..., 2]], -1), exact.action.double())
    assert exact.action[..., 0].any()


def test_what_people_see_reaches_their_probabilities():
    """A network rounds its inputs, which must not stop the gradient: it is the finite difference over wide steps."""
    citizens, cases = network(), torch.tensor([2.0, 5.0, 9.0], dtype=torch.float64)

    def isolate(cases):
        ill, age = torch.zeros(3, dtype=torch.int8), torch.tensor([20, 40, 60])
        return citizens.probabilities({"ill": ill, "age": age, "cases": cases})[:, 0]

    (slope,) = torch.autograd.grad(isolate(cases.requires_grad_()).sum(), cases)
    difference = (isolate(cases.detach() + 0.1) - isolate(cases.detach() - 0.1)) / 0.2
    torch.testing.assert_close(slope, difference, rtol=0.05, atol=1e-4)
    assert (slope.abs() > 1e-3).all()


def test_citizens_without_a_gradient_are_refused():
    archetypes = Archetypes(Answers(lambda questions: [(0.5, 1.0)] * len(questions)), {"period": None})
    for citizens in (archetypes, Fixed([0, 1])):
        with pytest.raises(TypeError, match=f"citizens are {type(citizens).__name__}: expected some with"):
            Relaxed(citizens)


def test_plain_draws_give_the_same_run():
    world = RelaxedEpidemic(city(300))
    citizens = Relaxed(Heuristic())
    plain = rollout(world, citizens, rows=300, horizon=20, seed=5, record=["relaxed_infected"])
    draws = RelaxedDraws(5, torch.arange(300), scope="world")
    relaxed = rollout(world, citizens, rows=300, horizon=20, draws=draws, record=["relaxed_infected"])
    assert plain.equals(relaxed)
    assert plain.column("relaxed_infected").any()


def test_the_gradient_is_that_of_the_expected_outcome_where_many_meet():
    """500 people who all meet; a band of 10 % and 4 standard errors of the two means that are compared."""
    base, seeds, horizon = well_mixed(500, initial=0.1), 24, 25  # half of them are infected: the well run out
    start = {"reproduction": 5.0, "when_ill": 0.3, "most": 0.4}

    def citizens(p):
        return Heuristic(when_ill=p["when_ill"], most=p["most"], half=100.0)

    def exact(p, seed):
        world = replace(base, disease=replace(DISEASE, reproduction=p["reproduction"]))
        series = run(world, citizens(p), seed, horizon, relaxed=False).series
        return torch.stack([series[name].sum() for name in SITES])

    slopes = []  # (seeds, sites, parameters)
    for seed in range(seeds):
        leaves = {name: leaf(number) for name, number in start.items()}
        series = run(RelaxedEpidemic(base, leaves["reproduction"]), citizens(leaves), seed, horizon).series
        totals = [series[f"relaxed_{name}"].sum() for name in SITES]
        found = [torch.stack(torch.autograd.grad(total, list(leaves.values()), retain_graph=True)) for total in totals]
        slopes.append(torch.stack(found))
    slope = torch.stack(slopes)
    for k, name in enumerate(start):
        up, down = (start | {name: start[name] * factor} for factor in (1.25, 0.75))
        change = torch.stack([exact(up, s) - exact(down, s) for s in range(3 * seeds)]) / (0.5 * start[name])
        error = (change.var(0) / len(change) + slope[:, :, k].var(0) / seeds).sqrt()
        apart = (slope[:, :, k].mean(0) - change.mean(0)).abs()
        assert (apart < 0.1 * change.mean(0).abs() + 4 * error).all(), name
        assert (change.mean(0).abs() > 2.5 * error).all(), name  # else the band would hold anything


@pytest.mark.filterwarnings("ignore:RelaxedEpidemic")
def test_nobody_is_considered_twice_among_few_contacts(monkeypatch):
    """In a ring each of two contacts is met for a whole course, and one of them infects; unmended, a tenth more."""
    people, number = torch.arange(300), leaf(2.6)
    ring = Contacts.from_edges(people, (people + 1) % 300, 300)
    world = RelaxedEpidemic(city(300, layers={"community": ring}, disease=Disease()), number)
    course = world.exact.susceptibility.double().mean().item() * world.exact.disease.shed_by_case
    expected = torch.full((300,), -math.expm1(-course) / course / 2, dtype=torch.float64)
    torch.testing.assert_close(world._first, expected)
    assert torch.equal(RelaxedEpidemic(well_mixed(300))._first, torch.ones(300, dtype=torch.float64))

    def slope():
        infected = run(world, Heuristic(), 0, 25).series["relaxed_infected"].sum()
        return torch.autograd.grad(infected, number)[0]

    once = slope()
    monkeypatch.setattr(relaxed_epidemic, "once", lambda considered, happens, first: considered)
    assert once < 0.95 * slope()


def test_a_city_of_few_contacts_warns_after_two_generations():
    def through(contacts, horizon):
        layers = {"community": erdos_renyi(60, contacts, seed=1), "city": RandomMeetings(60, 1)}
        world = RelaxedEpidemic(city(60, layers=layers, disease=Disease()), leaf(2.6))  # a generation of 10 days
        run(world, Heuristic(), 0, horizon)

    with pytest.warns(UserWarning, match=r"contacts a person, the gradient of what happens after 2 generations"):
        through(4, 21)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        through(4, 20)
        through(10, 40)


def test_the_gradient_recovers_a_citys_reproduction_and_behaviour():
    """One simulated city: the truth is in the 98 % intervals, which tell more than the bounds do."""
    base, truth = city(500, initial=0.06), {"reproduction": 4.0, "when_ill": 0.5}
    bounds = {"reproduction": (1.0, 9.0), "when_ill": (0.0, 1.0)}

    def weekly(p, seed):
        world = RelaxedEpidemic(base, p["reproduction"])
        series = run(world, Heuristic(when_ill=p["when_ill"], most=0.1), seed, 28).series
        names = ("relaxed_infected", "relaxed_isolates")
        return (1 + torch.cat([series[name].view(4, 7).sum(1) for name in names])).sqrt()

    recorded = weekly({name: torch.tensor(value) for name, value in truth.items()}, 10**6).detach()
    how = {"seeds": range(3), "steps": 10, "learning_rate": 0.4, "spread": 16}
    fit = fit_by_gradient(weekly, recorded, bounds, progress=False, **how)
    for name, value in truth.items():
        low, high = fit.interval(name, 0.98)
        assert low <= value <= high, name
        assert high - low < 0.7 * (bounds[name][1] - bounds[name][0]), name


def test_the_relaxed_city_refuses_what_it_cannot_do():
    world = RelaxedEpidemic(city(60, layers={"community": RandomMeetings(60, 4)}))
    soft = RelaxedDraws(0, torch.arange(60), scope="world", temperature=0.5)
    with pytest.raises(ValueError, match=r"temperature is 0\.5: expected 0"):
        rollout(world, Relaxed(Heuristic()), rows=60, horizon=5, draws=soft)
    with pytest.raises(ValueError, match=r"actions are \(60, 2\): expected \(60, 3\)"):
        rollout(world, Heuristic(), rows=60, horizon=5)
