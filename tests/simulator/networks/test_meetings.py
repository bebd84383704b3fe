"""Contacts that are not stored: matchings are matchings, uniform, and the same compiled and plain; mean fields."""

import math

import numpy as np
import pytest
import torch

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR
from ethogram.simulator import Draws, rollout
from ethogram.simulator.networks import Contacts, MeanField, RandomMeetings, Timetable, sum_over_contacts
from ethogram.simulator.networks.meetings import Met
from ethogram.simulator.recording import Record


def draws(n, step=0, seed=0):
    return Draws(seed, torch.arange(n), step)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9, 100, 1000, 1025])
def test_each_matching_pairs_everybody_but_the_odd_one_out(n):
    met = RandomMeetings(n, 4).at(draws(n, step=3))
    people = torch.arange(n)
    for k in range(4):
        other = met.partner(people, k)
        matched = other >= 0
        assert (~matched).sum() == n % 2
        assert (other != people).all()
        assert torch.equal(met.partner(other[matched], k), people[matched])


@pytest.mark.parametrize("n", [2, 7, 64, 501])
def test_compiled_meetings_are_the_plain_ones(n):
    met = RandomMeetings(n, 5).at(draws(n, seed=2))
    sent = torch.rand(n, generator=torch.Generator().manual_seed(n)).round(decimals=2).double()
    sent[::3] = 0
    plain = torch.zeros(n, dtype=torch.float64)
    partners = [met.partner(torch.arange(n), k) for k in range(5)]
    for other in partners:
        plain += torch.where(other >= 0, (sent[other.clamp(min=0)] * 2**32).round() / 2**32, 0)
    assert torch.equal(sum_over_contacts(met, sent), plain)
    reached = sum_over_contacts(met, sent.requires_grad_())
    assert torch.equal(reached.detach(), plain)
    worth = torch.arange(n).double()
    by_hand = sum(torch.where(other >= 0, worth[other.clamp(min=0)], 0) for other in partners)
    assert torch.equal(torch.autograd.grad(reached @ worth, sent)[0], by_hand)


def test_everybody_is_as_likely_to_be_met_as_anybody_else():
    """6 people, 20,000 matchings: chi-square over 15 pairs, 9 degrees of freedom (each person is in every matching)."""
    met = RandomMeetings(6, 20_000).at(draws(6))
    counts = torch.stack([met.reached(person) for person in torch.eye(6, dtype=torch.float64)])
    expected = 20_000 / 5
    upper = counts[torch.triu_indices(6, 6, 1).unbind()]
    assert ((upper - expected) ** 2 / expected).sum() < 27.9  # once in 1,000 seeds


def test_meetings_differ_between_steps_and_sites_and_not_between_calls():
    n, people = 1000, torch.arange(1000)
    partners = [
        RandomMeetings(n, 1, site).at(draws(n, step)).partner(people, 0)
        for site, step in (("a", 0), ("a", 0), ("a", 1), ("b", 0))
    ]
    assert torch.equal(partners[0], partners[1])
    assert (partners[0] == partners[2]).float().mean() < 0.02
    assert (partners[0] == partners[3]).float().mean() < 0.02


def test_a_mean_field_is_the_average_over_all_pairs():
    group = torch.tensor([0, 1, 1, 0, 1])
    rates = torch.tensor([[1.0, 2.0], [0.5, 4.0]], dtype=torch.float64)
    sent = torch.tensor([1.0, 0.5, 0.0, 0.25, 1.0])
    loop = [
        sum(float(rates[group[i], group[j]] * sent[j] / (group == group[j]).sum()) for j in range(5)) for i in range(5)
    ]
    assert sum_over_contacts(MeanField(group, rates), sent).tolist() == pytest.approx(loop, rel=1e-12)
    assert MeanField(group, rates).strength.tolist() == [3, 4.5, 4.5, 3, 4.5]


def test_a_mean_field_epidemic_follows_the_differential_equation():
    """50,000 people, small steps: the deterministic limit within 1 % of the population at each step."""
    n, beta, onset, recovery = 50_000, 0.06, 0.05, 0.02
    world = SEIR(MeanField.well_mixed(n, 1.0), beta, onset, recovery, initial=0.01)
    stage = Record("observation", reduce=lambda s: s.long().bincount(minlength=4))
    found = rollout(world, Fixed(0), rows=n, horizon=300, record=[stage]).series["observation"] / n
    s, e, i = 0.99, 0.0, 0.01
    for t in range(300):
        assert found[t, 2].item() == pytest.approx(i, abs=0.01)
        new, on, off = (
            s * -torch.tensor(-beta * i).expm1().item(),
            e * -torch.tensor(-onset).expm1().item(),
            i * -torch.tensor(-recovery).expm1().item(),
        )
        s, e, i = s - new, e + new - on, i + on - off


def test_a_timetable_takes_turns():
    week = [Contacts.from_edges([0], [1], 3), Contacts.from_edges([1], [2], 3)]
    table = Timetable(week)
    sent = torch.tensor([1.0, 0, 0])
    assert [sum_over_contacts(table.at(draws(3, t)), sent)[1].item() for t in range(4)] == [1, 0, 1, 0]
    assert table.strength.tolist() == [0.5, 1, 0.5]


@pytest.mark.parametrize("network", [RandomMeetings(60, 4), MeanField.well_mixed(60, 4.0)])
def test_worlds_run_on_networks_that_are_not_stored(network):
    for world, action in ((SEIR(network, 0.1, initial=0.1), 0), (Adoption(network, initial=0.2), 0.0)):
        twice = [rollout(world, Fixed(action), rows=60, horizon=20, record="all") for _ in range(2)]
        assert torch.equal(twice[0].observation, twice[1].observation)
        assert twice[0].observation.float().std() > 0


def test_seir_on_a_timetable_sums_anew_each_day():
    one = Contacts.from_edges([0, 1], [1, 2], 3)
    world = SEIR(Timetable([one, Contacts.from_edges([0], [2], 3)]), 1.0, initial=torch.tensor([1.0, 0, 0]))
    hazard = rollout(world, Fixed(0), rows=3, horizon=4, record=["hazard", "sheds"])
    reached = hazard.column("hazard")[:, :2] > 0
    assert not reached[0].any()  # who is infectious is no longer susceptible
    assert reached[1].tolist() == [True, False]


@pytest.mark.parametrize("degree", [2.5, math.nan, math.inf, -1, True, "3", None, 2**40])
def test_meetings_are_a_whole_number(degree):
    with pytest.raises(ValueError, match=r"degree .*: expected whole numbers"):
        RandomMeetings(10, degree)
    with pytest.raises(ValueError, match="expected whole numbers"):
        Met(10, degree, 7, torch.device("cpu"))


@pytest.mark.parametrize("num_people", [2.5, math.nan, 1, 2**31])
def test_so_are_the_people_who_meet(num_people):
    with pytest.raises(ValueError, match="expected whole numbers, people from 2"):
        RandomMeetings(num_people, 3)


@pytest.mark.parametrize("people", [[-1], [10], [3, 10**12]])
def test_somebody_else_meets_nobody(people):
    """Their places would be walked for ever."""
    met = RandomMeetings(np.int64(10), np.int64(3)).at(Draws(0, torch.arange(10)))
    with pytest.raises(ValueError, match="expected 0 to 9"):
        met.partner(people, 0)


def test_bad_meetings_are_refused():
    with pytest.raises(ValueError, match="people from 2"):
        RandomMeetings(1, 3)
    with pytest.raises(ValueError, match="same number"):
        Timetable([RandomMeetings(4, 1), RandomMeetings(6, 1)])
    with pytest.raises(ValueError, match="float64"):
        MeanField(torch.tensor([0, 1]), torch.ones(1, 1, dtype=torch.float64))
    with pytest.raises(TypeError, match="at\\(draws\\)"):
        sum_over_contacts(RandomMeetings(4, 1), torch.ones(4))
    with pytest.raises(TypeError, match="stored"):
        sum_over_contacts(MeanField.well_mixed(4, 1.0), torch.ones(4), lambda s, r: s * r, torch.ones(4))
