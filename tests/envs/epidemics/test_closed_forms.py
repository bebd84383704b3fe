"""Epidemics against what can be worked out on paper, and people who are conserved whatever is done to them.

The closed forms are those of benchmarks/populations/epidemic_closed_forms.py. A comparison of a mean over seeds asks for
less than the quantile of Student's t that chance exceeds once in 10,000 sets of seeds; those here are fixed.
"""

import math
import runpy
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import SEIR, Disease, Economy, Epidemic, Measures, careful, small_city
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Do, rollout
from ethogram.simulator.networks import Contacts, MeanField, configuration, erdos_renyi, sum_over_contacts
from ethogram.simulator.populations import ByRule

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "populations" / "epidemic_closed_forms.py"
paper = SimpleNamespace(**runpy.run_path(str(BENCHMARK)))


def agrees(expected, found):
    line = paper.Line("", expected, found)
    return abs(line.off) < stats.t.isf(0.5e-4, len(found) - 1), str(line)


# ---- the closed forms among themselves, without chance


@pytest.mark.parametrize("name", paper.NETWORKS)
@pytest.mark.parametrize("start", [0.001, 0.05])
def test_the_curve_ends_at_the_attack_rate_and_begins_with_the_eigenvalue(name, start):
    degree = paper.degrees(name, 1000)
    world = paper.usual(degree)
    curve = paper.network_curve(world, degree, start, 3000)
    assert 1 - curve[-1, 0].item() == pytest.approx(paper.attack_rate(world, degree, start), abs=1e-9)
    early = paper.network_curve(world, degree, 1e-9, 60)[:, 2]
    assert (early[60] / early[59]).item() == pytest.approx(paper.growth_a_day(world, degree), abs=1e-5)


def test_the_recursion_of_a_day_ends_at_the_final_size_and_approaches_the_differential_equations_as_steps_shrink():
    world = SEIR(MeanField.well_mixed(10, 8.0), 2.5 * -math.expm1(-0.25) / 8, 0.5, 0.25)
    curve = paper.well_mixed_curve(world, 8.0, 0.01, 1000)
    assert 1 - curve[-1, 0].item() == pytest.approx(paper.well_mixed_size(2.5, 0.01), abs=1e-9)
    off = []
    for steps in (16, 32, 64):
        h = 1 / steps
        world = SEIR(MeanField.well_mixed(10, 1.0), 0.5 * h, paper.AT_ONCE, 0.2 * h)
        found = paper.well_mixed_curve(world, 1.0, 0.01, 60 * steps)[:, 2]
        off.append((found - paper.sir_curve(0.5, 0.2, 0.01, np.arange(60 * steps + 1) * h)).abs().max().item())
    assert off[0] / off[1] == pytest.approx(2, abs=0.1)  # of first order
    assert off[1] / off[2] == pytest.approx(2, abs=0.1)


# ---- the simulation against them


def test_contacts_of_one_case_share_its_infectious_time():
    """20,000 stars of a case and three contacts: chi-square of how many are infected, once in 10,000 seeds.

    Were the edges independent, the statistic would be above a thousand.
    """
    stars, leaves = 20_000, 3
    hub = torch.arange(stars).repeat_interleave(leaves)
    contacts = Contacts.from_edges(hub, stars + torch.arange(stars * leaves), stars * (1 + leaves))
    first = (torch.arange(contacts.num_people) < stars).float()
    world = SEIR(contacts, 0.3, paper.AT_ONCE, 0.25, initial=first)
    infects, _, recovers = paper.chances(world)
    infected = rollout(world, Fixed(0), rows=len(first), horizon=80).observation[stars:, -1] > 0
    counts = infected.view(stars, leaves).sum(1).bincount(minlength=leaves + 1).numpy()
    days = np.arange(1, 200)
    shares = recovers * (1 - recovers) ** (days - 1)
    reached = 1 - (1 - infects) ** days
    expected = stars * np.array([shares @ stats.binom.pmf(k, leaves, reached) for k in range(leaves + 1)])
    limit = stats.chi2.isf(1e-4, leaves)
    assert ((counts - expected) ** 2 / expected).sum() < limit
    apart = stars * stats.binom.pmf(np.arange(leaves + 1), leaves, paper.transmissibility(world))
    assert ((counts - apart) ** 2 / apart).sum() > 1000


@pytest.mark.parametrize("r0", [1.5, 4.0])
def test_a_well_mixed_epidemic_has_the_final_size_and_the_peak_of_the_closed_forms(r0):
    n, days = 20_000, {1.5: 200, 4.0: 80}[r0]
    first = (torch.arange(n) < n // 50).float()
    world = SEIR(MeanField.well_mixed(n, 8.0), r0 * -math.expm1(-0.25) / 8, 0.5, 0.25, initial=first)
    curves = torch.stack([paper.simulated(world, days, seed) for seed in range(12)])
    expected = paper.well_mixed_curve(world, 8.0, 0.02, days)
    peak = int(expected[:, 2].argmax())
    for value, found in (
        (paper.well_mixed_size(r0, 0.02), 1 - curves[:, -1, 0]),
        (expected[peak, 2], curves[:, peak, 2]),
    ):
        good, line = agrees(value, found)
        assert good, line


@pytest.mark.parametrize("name", paper.NETWORKS)
def test_an_epidemic_on_a_network_follows_the_closed_forms_of_its_degrees(name):
    """The attack rate, the peak, and early growth (depletion included) from 2 % infectious; 20,000 people, 12 seeds."""
    n, days = 20_000, 120
    degree = paper.degrees(name, n)
    world = replace(paper.usual(degree), initial=0.02)
    expected, curves = paper.network_curve(world, degree, 0.02, days), paper.on_networks(world, degree, days, range(12))
    peak = int(expected[:, 2].argmax())
    lines = [
        (paper.attack_rate(world, degree, 0.02), 1 - curves[:, -1, 0]),
        (expected[peak, 2], curves[:, peak, 2]),
        (float(expected[10, 2] / expected[5, 2]) ** 0.2, paper.growth_between(curves[..., 2], 5, 10)),
    ]
    for value, found in lines:
        good, line = agrees(value, found)
        assert good, line


@pytest.mark.parametrize("name", ["Poisson, mean 6", "4 each"])
def test_one_case_starts_a_large_outbreak_with_the_probability_of_shared_infectious_times(name):
    """400 towns of 1,000: of those hit by one case, the formula for independent edges would have many more."""
    degree = paper.degrees(name, 1000)
    world = replace(paper.usual(degree), onset_rate=paper.AT_ONCE)
    sizes, rate = paper.sizes_from_one_case(world, degree, 150, 400), paper.attack_rate(world, degree)
    large = sizes > 0.4 * rate
    good, line = agrees(paper.outbreak_probability(world, degree), large.double())
    assert good, line
    assert not agrees(rate, large.double())[0]
    assert sizes[large].mean().item() == pytest.approx(rate, abs=0.01)  # the O(1/n) of a small town


def healthy_city(n, layers, **disease):
    """Everybody of susceptibility 1, in work, and never tested."""
    people = synthetic_city(n)
    jobs = Economy(unemployed_at_start=0.0, separation=0.0, separation_by_demand=0.0, hiring=1.0)
    return Epidemic(
        city_layers(people) if layers is None else layers,
        people["age"],
        people["area"],
        Disease(susceptibility=(1.0,) * 9, **disease),
        Measures(confirmation=0.0),
        jobs,
        initial=0.002,
    )


def test_the_first_cases_of_a_city_infect_as_many_as_its_reproduction_says():
    """40 runs of 10,000 people who all meet, with durations that vary: the number of `reproduction`, within 12 %.

    First cases compete for the same people, which at 20 of them is 0.3 %, accounted for.
    """
    n = 10_000
    city = healthy_city(
        n,
        {"all": MeanField.well_mixed(n, 20.0)},
        exposed_days=(0.1, 0.2, 0.3, 0.2, 0.2),
        infectious_days=(0.3, 0.2, 0, 0.2, 0.3),
    )
    found, share, _ = zip(*(paper.infected_by_the_first(city, 11, seed) for seed in range(40)), strict=True)
    r = city.disease.reproduction
    expected = torch.tensor([-(1 - s) / s * math.expm1(-r * s) for s in share], dtype=torch.float64)
    found = torch.tensor(found, dtype=torch.float64)
    good, line = agrees(expected, found)
    assert good, line
    assert found.mean().item() == pytest.approx(r, rel=0.12)


def test_the_first_cases_of_a_city_of_households_infect_each_contact_once():
    """Exact given who is first: a contact at home escapes, or is infected once. That is below `reproduction`."""
    city = healthy_city(5000, None)
    found, _, first = zip(*(paper.infected_by_the_first(city, 10, seed) for seed in range(40)), strict=True)
    expected = torch.tensor([paper.infected_on_paper(city, who) for who in first], dtype=torch.float64)
    good, line = agrees(expected, torch.tensor(found, dtype=torch.float64))
    assert good, line
    assert expected.mean() < 0.95 * city.disease.reproduction


# ---- people are conserved


@dataclass(frozen=True, eq=False)
class Staged:
    """A city that names its stages after each day."""

    city: Epidemic

    @property
    def observation_space(self):
        return self.city.observation_space

    @property
    def action_space(self):
        return self.city.action_space

    def reset(self, draws, site):
        return self.city.reset(draws, site)

    def step(self, state, action, draws, site):
        transition = self.city.step(state, action, draws, site)
        site("stage", transition.state.stage)
        return transition


GROUP = torch.arange(600) % 3 == 0
SEIR_MEASURES = {
    "none": [],
    "a third at home": [Do("action", 1, start=5, stop=20, who=GROUP)],
    "twice the hazard": [Do("hazard", lambda h: 2 * h, start=3)],
    "no infections for a while": [Do("infected", False, start=4, stop=12)],
    "nobody recovers for a while": [Do("recovers", False, stop=15), Do("onset", False, start=5, stop=9)],
    "a third do not shed": [Do("sheds", False, who=GROUP)],
}


@pytest.mark.parametrize("measures", SEIR_MEASURES.values(), ids=SEIR_MEASURES.keys())
def test_seir_moves_people_only_from_stage_to_next_stage_and_loses_none(measures):
    n = 600
    degree = torch.full((n,), 8)
    world = SEIR(configuration(degree, seed=1), 0.06, 0.4, 0.2, initial=0.03)
    names = ["sheds", "hazard", "infected", "onset", "recovers"]
    history = rollout(world, Fixed(0), rows=n, horizon=40, seed=2, interventions=measures, record=names)
    stage = history.observation.long()
    counts = torch.nn.functional.one_hot(stage, 4).sum(0)  # fails for a stage that there is not
    assert (counts.sum(1) == n).all()
    moved, before = stage.diff(dim=1), stage[:, :-1]
    assert set(moved.unique().tolist()) == {0, 1}
    for k, name in enumerate(("infected", "onset", "recovers")):
        assert torch.equal(history.column(name), (before == k) & (moved == 1)), name
    flows = [history.column(name).sum(0) for name in ("infected", "onset", "recovers")]
    zero = torch.zeros_like(flows[0])
    for k, (comes, goes) in enumerate(zip([zero, *flows], [*flows, zero], strict=True)):
        assert torch.equal(counts.diff(dim=0)[:, k], comes - goes)
    if not any(do.site == "hazard" for do in measures):
        for t in range(40):  # nobody is infected whom no shedding contact reached
            reached = sum_over_contacts(world.contacts, history.column("sheds")[:, t]) > 0
            assert not (history.column("infected")[:, t] & ~reached).any()
    assert counts[-1, 3] > counts[0, 3]


OLD = torch.arange(600) % 4 == 0
CITY_MEASURES = {
    "none": [],
    "schools and workplaces closed": [Do("attends_school", 0.0, start=5), Do("attends_workplace", 0.0, start=5)],
    "half isolate for two weeks": [Do("isolates", True, start=3, stop=17, who=torch.arange(600) % 2 == 0)],
    "vaccines and tests": [Do("vaccination", 0.2, who=OLD), Do("confirmation", 0.9, start=2)],
    "twice the hazard, and money": [Do("hazard", lambda h: 2 * h), Do("stimulus", 1.0, stop=30)],
    "nobody dies, then nobody is infected": [Do("died", False, stop=20), Do("infected", False, start=25)],
}
EDGES = {(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (2, 4), (3, 3), (4, 4)}  # S, E, I, R, D


@pytest.mark.parametrize("measures", CITY_MEASURES.values(), ids=CITY_MEASURES.keys())
def test_the_city_moves_people_along_its_edges_only_and_loses_none(measures):
    n, days = 600, 50
    disease = Disease(
        5.0, exposed_days=(0.2, 0.3, 0.5), infectious_days=(0.1, 0.2, 0.3, 0.4), fatality=(0.2,) * 9, importation=0.001
    )
    people = synthetic_city(n)
    city = Epidemic(city_layers(people), people["age"], people["area"], disease, Measures(0.01, 5), initial=0.02)
    names = ["stage", "initial", "infected", "onset", "recovered", "died"]
    history = rollout(Staged(city), Fixed([0, 1]), rows=n, horizon=days, seed=3, interventions=measures, record=names)
    first = history.column("initial")[:, :1].long()
    stage = torch.cat([first, history.column("stage").long()], 1)  # (n, days + 1)
    pairs = torch.stack([stage[:, :-1], stage[:, 1:]]).flatten(1).unique(dim=1)
    assert set(zip(*pairs.tolist(), strict=True)) <= EDGES
    counts = torch.nn.functional.one_hot(stage, 5).sum(0)
    assert (counts.sum(1) == n).all()
    infected, onset, recovered, died = (history.column(name).sum(0) for name in names[2:])
    moved = torch.stack([-infected, infected - onset, onset - recovered - died, recovered, died], 1)
    assert torch.equal(counts.diff(dim=0), moved)
    assert infected.sum() > 50
    assert recovered.sum() > 50


FORCED = [Do("hazard", lambda h: h + 0.05), Do("infected", True), Do("onset", True), Do("recovers", True)]


@pytest.mark.parametrize("forced", FORCED, ids=lambda do: do.site)
def test_forced_events_happen_only_to_whom_they_can(forced):
    """An intervention that says True for all infects the susceptible, and leaves the others where they are."""
    world = SEIR(erdos_renyi(100, 6.0), 0.1, initial=0.1)
    history = rollout(world, Fixed(0), rows=100, horizon=20, interventions=[forced], record="all")
    stage = history.observation.long()
    pairs = torch.stack([stage[:, :-1], stage[:, 1:]]).flatten(1).unique(dim=1)
    assert set(zip(*pairs.tolist(), strict=True)) <= {(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3)}
    if forced.site == "infected":
        assert (stage[:, 1] != 0).all()
        assert torch.equal(history.column("infected").sum(1), (stage[:, 0] == 0).long())  # recorded as it happened


@pytest.mark.parametrize("name", ["infected", "onset", "died", "recovered", "vaccinated", "isolates"])
def test_forced_events_of_a_city_happen_only_to_whom_they_can(name):
    world = small_city(200, seed=1)
    history = rollout(
        world, ByRule(careful), rows=200, horizon=15, interventions=[Do(name, True, start=2)], record="all"
    )
    died, infected = history.column("died"), history.column("infected")
    assert died.sum(1).max() <= 1
    assert infected.sum(1).max() <= 1
    assert not (infected & (died.cumsum(1) > 0)).any()
    assert not (history.column("isolates") & (died.cumsum(1) - died.long() > 0)).any()
    assert history.column("vaccinated").sum(1).max() <= 1
