"""Adoption and SEIR against plain loops over people that share nothing with them but the draws, and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR, Epidemic
from ethogram.simulator import Do, Draws, Setup, contrast, kernels, rollout
from ethogram.simulator.networks import Contacts, RandomMeetings, small_world
from ethogram.simulator.recording import Record


def random_contacts(n, mean_degree, seed, *, weighted=False):
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, n, (2, int(n * mean_degree / 2)))
    keep = source != target
    weight = torch.tensor(rng.random(keep.sum()), dtype=torch.float32) if weighted else None
    repeats = "add" if weighted else "merge"
    return Contacts.from_edges(
        torch.tensor(source[keep]), torch.tensor(target[keep]), n, weight=weight, repeats=repeats
    )


def neighbours(contacts):
    """Person -> [(contact, weight)]."""
    found = [[] for _ in range(contacts.num_people)]
    weight = [1.0] * contacts.num_contacts if contacts.weight is None else contacts.weight.tolist()
    for s, t, w in zip(contacts.source.tolist(), contacts.target.tolist(), weight, strict=True):
        found[t].append((s, w))
    return found


class StaysHomeWhenIll:
    def act(self, observation, history, draws):
        return (observation == 2).long() * (draws.uniform("home") < 0.5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("watched", [False, True])
def test_seir_equals_a_loop_over_people_to_the_bit(weighted, watched):
    n, steps, seed = 50, 40, 7
    contacts = random_contacts(n, 6, 0, weighted=weighted)
    world = SEIR(contacts, transmission=0.15, initial=0.06)
    record = "all" if watched else ()
    history = rollout(world, StaysHomeWhenIll(), rows=n, horizon=steps, seed=seed, record=record)

    known, ids = neighbours(contacts), torch.arange(n)
    luck = [
        {s: Draws(seed, ids, t, "world").uniform(s).tolist() for s in ("infected", "onset", "recovers")}
        for t in range(steps)
    ]
    stage = [2 if u < np.float32(0.06) else 0 for u in Draws(seed, ids, 0, "world").uniform("initial").tolist()]
    onset, recovery = np.float32(-math.expm1(-0.25)), np.float32(-math.expm1(-0.1))
    assert history.observation[:, 0].tolist() == stage
    for t in range(steps):
        out = [a == 0 for a in history.action[:, t].tolist()]
        after = list(stage)
        for i in range(n):
            met = sum(w for j, w in known[i] if stage[j] == 2 and out[j])
            u = {name: luck[t][name][i] for name in luck[t]}
            if stage[i] == 0 and out[i] and met > 0 and u["infected"] < 1 - math.exp(-0.15 * met):
                after[i] = 1
            elif (stage[i] == 1 and u["onset"] < onset) or (stage[i] == 2 and u["recovers"] < recovery):
                after[i] = stage[i] + 1
        assert history.reward[:, t].tolist() == [-float(b == 1 and a == 0) for a, b in zip(stage, after, strict=True)]
        stage = after
        assert history.observation[:, t + 1].tolist() == stage
    assert {0, 1, 2, 3} <= set(history.observation.flatten().tolist())


@pytest.mark.parametrize("hub", [False, True])  # with a hub, counts take four bytes
def test_people_divided_among_threads_give_the_same_bits(monkeypatch, hub):
    n = 400
    contacts = random_contacts(n, 8, 2)
    if hub:
        everybody = torch.arange(1, n)
        ends = zip((torch.zeros_like(everybody), everybody), (contacts.source, contacts.target.long()), strict=True)
        source, target = (torch.cat(end) for end in ends)
        contacts = Contacts.from_edges(source, target, n, directed=True, repeats="merge")
    world = SEIR(contacts, transmission=0.05, initial=0.02)

    def run(threads):
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        return rollout(world, Fixed(0), rows=n, horizon=40, seed=1, record=["sheds"]).columns

    alone = run(1)
    monkeypatch.setattr(kernels, "WORTH_A_THREAD", 100)
    assert all(torch.equal(column, alone[name]) for name, column in run(3).items())


def test_adoption_equals_a_loop_over_people_to_the_bit():
    n, steps, seed = 50, 30, 3
    contacts = random_contacts(n, 4, 1, weighted=True)
    world = Adoption(contacts, intercept=-2.0, peer_effect=5.0, churn=0.1, initial=0.1)
    history = rollout(world, Fixed(0.25), rows=n, horizon=steps, seed=seed)
    known, ids = neighbours(contacts), torch.arange(n)
    adopted = [u < np.float32(0.1) for u in Draws(seed, ids, 0, "world").uniform("initial").tolist()]
    for t in range(steps):
        draws = Draws(seed, ids, t, "world")
        adopts, gives_up = draws.uniform("adopts").tolist(), draws.uniform("gives_up").tolist()
        before = list(adopted)
        for i in range(n):
            strength = sum(w for _, w in known[i])
            exposure = sum(w for j, w in known[i] if before[j]) / strength if strength else 0.0
            assert history.observation[i, t].tolist() == pytest.approx([float(before[i]), exposure], abs=1e-6)
            propensity = 1 / (1 + math.exp(-(-2.0 + 5.0 * exposure + 0.25)))
            adopted[i] = gives_up[i] >= np.float32(0.1) if before[i] else adopts[i] < propensity
        assert history.observation[:, t + 1, 0].bool().tolist() == adopted


def final_size(r0):
    return optimize.brentq(lambda z: 1 - math.exp(-r0 * z) - z, 1e-6, 1)


def test_everybody_meeting_everybody_gives_the_final_size_of_the_closed_form():
    """Complete network of 2,000 and a large outbreak: z = 1 - exp(-R0 z) (Kermack & McKendrick).

    R0 counts whole days: an infectious person sheds on 1 / (1 - exp(-recovery)) days. Eight seeds; the band is four
    standard errors and the O(1/n) of a finite population.
    """
    n = 2000
    everybody = torch.triu_indices(n, n, 1)
    contacts = Contacts.from_edges(everybody[0], everybody[1], n)
    days = 1 / -math.expm1(-0.1)
    world = SEIR(contacts, transmission=2.0 / days / n, initial=10 / n)
    sizes = []
    for seed in range(8):
        record = [Record("observation", reduce=lambda stage: (stage > 0).double().mean()), Record("action", every=999)]
        history = rollout(world, Fixed(0), rows=n, horizon=250, seed=seed, record=record)
        sizes.append(float(history.series["observation"][-1]))
    expected = final_size(2.0)
    assert np.mean(sizes) == pytest.approx(expected, abs=4 * np.std(sizes, ddof=1) / 8**0.5 + 10 / n)


def test_an_intervention_of_dose_zero_changes_no_bit_and_staying_home_averts_infections():
    n = 400
    world = SEIR(random_contacts(n, 8, 2), transmission=0.05, initial=0.02)
    nothing = rollout(world, Fixed(0), rows=n, horizon=60, seed=1, interventions=[Do("hazard", lambda h: h * 1.0)])
    assert torch.equal(nothing.observation, rollout(world, Fixed(0), rows=n, horizon=60, seed=1).observation)
    who = torch.arange(n) % 4 == 0
    home = [Do("action", 1, start=10, who=who)]
    setup = Setup(world, Fixed(0), rows=n, horizon=60)
    effect = contrast(setup, home, seeds=range(6), outcome=lambda h: (h.observation[:, -1] > 0).double().mean())
    assert effect.mean < -4 * effect.stderr


def test_other_rows_than_people_are_refused():
    world = SEIR(random_contacts(30, 4, 0))
    with pytest.raises(ValueError, match="20 rows for the contacts of 30 people"):
        rollout(world, Fixed(0), rows=20, horizon=3)
    with pytest.raises(ValueError, match="20 rows for the contacts of 30 people"):
        rollout(Adoption(world.contacts), Fixed(0.0), rows=20, horizon=3)


def test_actions_that_are_not_one_a_person_are_refused():
    contacts, codes = random_contacts(30, 4, 0), torch.zeros(30, dtype=torch.int64)
    for world, action, message in (
        (SEIR(contacts), [0, 1], r"action has shape \(30, 2\): expected \(30,\)"),
        (Adoption(contacts), [0.0, 1.0], r"nudge has shape \(30, 2\), .*: expected \(30,\)"),
        (Epidemic({"all": contacts}, age=codes, area=codes), 0, r"action has shape \(30,\): expected \(30, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            rollout(world, Fixed(action), rows=30, horizon=3)


@pytest.mark.parametrize("bad", [{"transmission": -1.0}, {"recovery_rate": math.nan}, {"initial": 1.5}])
def test_parameters_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="expected"):
        SEIR(random_contacts(30, 4, 0), **bad)


class Plain(Draws):
    """The same chance, for which no compiled day is made."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"peer_effect": torch.linspace(1, 6, 201), "churn": torch.linspace(0, 0.2, 201)},
        {"intercept": torch.linspace(-3, 0, 201, dtype=torch.float64), "churn": 1},
        {"contacts": RandomMeetings(201, 3), "churn": torch.tensor(0.1), "peer_effect": 2},
    ],
)
def test_the_compiled_day_of_adoption_and_its_torch_form_give_the_same_bits(changes):
    world = Adoption(**({"contacts": small_world(201, 6, 0.1), "initial": 0.2} | changes))
    for record in ((), "all"):
        plain, compiled = (
            rollout(
                world, Fixed(0.3), rows=201, horizon=20, draws=kind(3, torch.arange(201), scope="world"), record=record
            )
            for kind in (Plain, Draws)
        )
        assert plain.equals(compiled)
        assert plain.reward.any()


@pytest.mark.parametrize(
    "parameters",
    [
        {"intercept": torch.full((50,), -4.0, dtype=torch.bfloat16)},
        {"peer_effect": torch.full((50,), 4.0, dtype=torch.float16)},
        {"churn": torch.full((50,), 0.05, dtype=torch.float16)},
    ],
)
def test_adoption_takes_parameters_of_half_precision(parameters):
    world = Adoption(random_contacts(50, 6, 0), initial=0.2, **parameters)
    seen, unseen = (rollout(world, Fixed(0.0), rows=50, horizon=10, record=record) for record in ("all", ()))
    assert torch.equal(seen.observation, unseen.observation)


def test_adoption_counts_a_numpy_number_as_it_does_pythons():
    n, contacts = 50, random_contacts(50, 6, 0)
    for luck in Draws(0, torch.arange(n), 0, "world").uniform("adopts").double().tolist():
        intercept = np.float64(math.log(luck / (1 - luck)))  # at the edge: the last bit decides
        world = Adoption(contacts, intercept=intercept, peer_effect=0.0, initial=0.0)
        seen, unseen = (rollout(world, Fixed(0.0), rows=n, horizon=1, record=record) for record in ("all", ()))
        assert torch.equal(seen.observation, unseen.observation)
