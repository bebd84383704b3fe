"""The city against a plain loop over people, conservation of people, and interventions that act where they should."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import DEAD, NEVER, Disease, Economy, Epidemic, Measures, gamma_days
from ethogram.simulator import Do, Draws, Setup, contrast, rollout
from ethogram.simulator.networks import Contacts
from ethogram.simulator.recording import Record


def random_contacts(n, mean_degree, seed):
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, n, (2, int(n * mean_degree / 2)))
    keep = source != target
    return Contacts.from_edges(torch.tensor(source[keep]), torch.tensor(target[keep]), n, repeats="merge")


def city(n, **changes):
    rng = np.random.default_rng(0)
    layers = {"household": (2, 1), "workplace": (4, 2), "school": (3, 3), "community": (4, 4)}
    world = Epidemic(
        {name: random_contacts(n, degree, seed) for name, (degree, seed) in layers.items()},
        torch.tensor(rng.integers(0, 95, n)),
        torch.tensor(np.sort(rng.integers(0, 3, n))),
        initial=0.1,
    )
    return replace(world, **changes)


class Wavers:
    """Isolates and works at random, more so when ill."""

    def act(self, observation, history, draws):
        isolate = draws.uniform("isolate") < 0.1 + 0.5 * observation["ill"]
        return torch.stack([isolate, draws.uniform("work") < 0.9], 1).to(torch.int8)


ODD = Disease(
    reproduction=5.0,
    exposed_days=(0, 0.3, 0.3, 0.4),
    infectious_days=(0.2, 0, 0.5, 0, 0.3),
    fatality=(0.3,) * 9,
    importation=0.001,
)


def test_the_city_equals_a_loop_over_people_to_the_bit():
    n, steps, seed = 50, 30, 5
    measures = Measures(vaccination=0.03, vaccine_delay=4, confirmation=0.3, quarantine_days=6, announced=5)
    world = city(n, disease=ODD, measures=measures, economy=Economy(separation=0.1))
    sites = ["hazard", "infected", "died", "recovered", "confirmed", "vaccinated", "employed", "jobless", "demand"]
    history = rollout(world, Wavers(), rows=n, horizon=steps, seed=seed, record=sites)
    action = history.action.bool()

    def luck(name, t):
        return Draws(seed, torch.arange(n), t, "world").uniform(name).tolist()

    def days(table, u):
        cumulative = np.cumsum(np.array(table, dtype=np.float64))
        return 1 + next((k for k in range(len(table)) if u < cumulative[k]), len(table) - 1)

    met = {name: [[] for _ in range(n)] for name in world.layers}
    for name, layer in world.layers.items():
        for s, t in zip(layer.source.tolist(), layer.target.tolist(), strict=True):
            met[name][t].append(s)
    age, area, generation = world.age.tolist(), world.area.tolist(), world.disease.generation
    adult = [18 <= a < 65 for a in age]
    stage = [int(u < np.float32(0.1)) for u in luck("initial", 0)]
    assert sum(stage) > 1
    infected_on = [-1 if s else NEVER for s in stage]
    until = [
        -1 + days(ODD.exposed_days, u) if s else NEVER for s, u in zip(stage, luck("exposed_days", 0), strict=True)
    ]
    vaccinated_on, confirmed_on = [NEVER] * n, [NEVER] * n
    employed = [a and not u < np.float32(0.04) for a, u in zip(adult, luck("idle", 0), strict=True)]
    counts, residents = np.zeros((3, 5)), np.bincount(area, minlength=3)
    shed_by_case = sum(
        e * i * sum(generation[d - 1] * (0.33 if d <= de else 0.72) for d in range(1, de + di + 1))
        for de, e in enumerate(ODD.exposed_days, 1)
        for di, i in enumerate(ODD.infectious_days, 1)
    )
    strength = sum(layer.num_contacts for layer in world.layers.values()) / n
    for t in range(steps):
        seen = {key: column[:, t].tolist() for key, column in history.observation.items()}
        assert seen["ill"] == [int(s == 2) for s in stage]
        assert seen["employed"] == [int(e) for e in employed]
        assert seen["cases"] == pytest.approx([counts[a, 1] for a in area], abs=1e-3)
        assert seen["change"] == pytest.approx([counts[a, 1] - counts[a, 2:].mean() for a in area], abs=1e-3)
        alive = [s != DEAD for s in stage]
        isolates = [bool(action[i, t, 0]) and alive[i] for i in range(n)]
        away = [isolates[i] or t - confirmed_on[i] <= 6 for i in range(n)]
        assert seen["quarantined"] == [int(t - confirmed_on[i] <= 6) for i in range(n)]
        attends = {name: [float(alive[i] and not away[i]) for i in range(n)] for name in world.layers}
        attends["household"] = [float(a) for a in alive]
        attends["workplace"] = [attends["workplace"][i] * employed[i] for i in range(n)]
        sheds = [
            {1: 0.33, 2: 0.72}[stage[i]] * generation[t - infected_on[i] - 1] if stage[i] in (1, 2) else 0.0
            for i in range(n)
        ]
        after, sick = list(stage), {"infected": [], "died": [], "recovered": [], "confirmed": [], "vaccinated": []}
        u = {
            name: luck(name, t)
            for name in (
                "infected",
                "died",
                "confirmed",
                "vaccinated",
                "exposed_days",
                "infectious_days",
                "separated",
                "hired",
            )
        }
        hazards = []
        for i in range(n):
            reach = sum(sheds[j] * attends[name][j] * attends[name][i] for name in met for j in met[name][i])
            scale = 5.0 * world.disease.susceptibility[min(age[i] // 10, 8)] / (strength * shed_by_case)
            protected = vaccinated_on[i] != NEVER and t - vaccinated_on[i] >= 4
            hazards.append((scale * reach + 0.001) * (0.3 if protected else 1))
            infected = stage[i] == 0 and u["infected"][i] < 1 - math.exp(-hazards[i])
            onset, ends = stage[i] == 1 and until[i] <= t, stage[i] == 2 and until[i] <= t
            died = ends and u["died"][i] < np.float32(0.3 * (0.1 if protected else 1))
            after[i] += infected + onset + ends + died
            confirmed = stage[i] == 2 and confirmed_on[i] < infected_on[i] and u["confirmed"][i] < np.float32(0.3)
            vaccinated = alive[i] and vaccinated_on[i] == NEVER and u["vaccinated"][i] < np.float32(0.03)
            for name, value in (("infected", infected), ("died", died), ("recovered", ends and not died)):
                sick[name].append(bool(value))
            sick["confirmed"].append(bool(confirmed))
            sick["vaccinated"].append(bool(vaccinated))
            if infected:
                infected_on[i], until[i] = t, t + days(ODD.exposed_days, u["exposed_days"][i])
            if onset:
                until[i] = t + days(ODD.infectious_days, u["infectious_days"][i])
            confirmed_on[i] = t if confirmed else confirmed_on[i]
            vaccinated_on[i] = t if vaccinated else vaccinated_on[i]
        assert history.column("hazard")[:, t].tolist() == pytest.approx(hazards, rel=1e-4, abs=1e-7)
        for name, expected in sick.items():
            assert history.column(name)[:, t].tolist() == expected, (name, t)
        wants = [adult[i] and alive[i] and bool(action[i, t, 1]) for i in range(n)]
        idle = sum(wants[i] and not employed[i] for i in range(n))
        usual = 0.4 * 0.04 * sum(adult) / n
        demand = 1 - (0.35 * sum(isolates) + 0.4 * idle) / sum(alive) + usual
        assert history.series["demand"][t].item() == pytest.approx(demand)
        if t % 7 == 0:
            loss = 0.1 + 0.3 * max(0, 1 - demand)
            for i in range(n):
                closed = (employed[i] and not isolates[i]) - attends["workplace"][i]
                lost = employed[i] and u["separated"][i] < np.float32(loss + 0.06 * closed)
                found = wants[i] and not employed[i] and u["hired"][i] < np.float32(0.12 * max(0, demand))
                employed[i] = ((employed[i] and not lost) or found) and wants[i]
        else:
            employed = [employed[i] and alive[i] for i in range(n)]
        assert history.column("employed")[:, t].tolist() == employed
        assert history.column("jobless")[:, t].tolist() == [wants[i] and not employed[i] for i in range(n)]
        today = np.bincount(area, weights=sick["confirmed"], minlength=3)
        counts[:, 0] += 1000 * today / residents
        if (t + 1) % 5 == 0:
            counts = np.hstack([np.zeros((3, 1)), counts[:, :4]])
        stage = after
    for name in ("infected", "died", "recovered", "confirmed", "vaccinated"):
        assert history.column(name).any(), name


def test_people_are_conserved_and_the_dead_stay_dead():
    n = 400
    world = city(n, disease=ODD)
    sums = [Record(s, reduce="sum") for s in ("initial", "infected", "onset", "died", "recovered")]
    history = rollout(world, Fixed([0, 1]), rows=n, horizon=80, record=[*sums, "stimulus"], seed=2)
    s = history.series
    infected = s["initial"][0] + s["infected"].sum()
    in_progress = infected - s["died"].sum() - s["recovered"].sum()
    assert 0 <= in_progress <= n
    assert s["onset"].sum() <= infected <= n
    again = rollout(
        world, Fixed([0, 1]), rows=n, horizon=80, record=["died", "isolates", "employed", "jobless"], seed=2
    )
    dead = again.column("died").cumsum(1).bool()
    assert dead[:, -1].any()
    assert again.column("died").sum(1).max() == 1
    after = dead[:, :-1]
    for name in ("isolates", "employed", "jobless"):
        assert not (again.column(name)[:, 1:] & after).any()


def test_closing_a_layer_for_everybody_equals_taking_it_away():
    world = city(300, measures=Measures(confirmation=0.0))
    without = replace(world, layers={k: v for k, v in world.layers.items() if k != "school"})
    scale = replace(without.disease, reproduction=without.disease.reproduction * without.strength / world.strength)
    closed = rollout(
        world,
        Fixed([0, 1]),
        rows=300,
        horizon=40,
        seed=3,
        interventions=[Do("attends_school", 0.0)],
        record=["infected"],
    )
    gone = rollout(replace(without, disease=scale), Fixed([0, 1]), rows=300, horizon=40, seed=3, record=["infected"])
    assert torch.equal(closed.column("infected"), gone.column("infected"))
    assert closed.column("infected").any()


def test_interventions_by_site_act_on_a_named_group():
    n = 500
    world = city(n, disease=ODD)
    old = world.age >= 65
    run = {"rows": n, "horizon": 60, "seed": 4}
    kept = rollout(world, Fixed([0, 1]), record=["vaccinated", "died"], **run)
    assert not kept.column("vaccinated").any()
    shots = [Do("vaccination", 0.5, start=1, stop=20, who=old), Do("isolates", True, start=5, who=~old)]
    changed = rollout(world, Fixed([0, 1]), interventions=shots, record=["vaccinated", "died"], **run)
    assert not changed.column("vaccinated")[~old].any()
    assert changed.column("vaccinated")[old].any(1).float().mean() > 0.9
    assert changed.column("died").sum() < kept.column("died").sum()


def test_a_dose_of_zero_changes_no_bit():
    world = city(200)
    run = {"rows": 200, "horizon": 30, "seed": 1, "record": "all"}
    plain = rollout(world, Wavers(), **run)
    nothing = [Do("hazard", lambda h: h * 1.0), Do("vaccination", 0.0), Do("stimulus", 0.0)]
    assert rollout(world, Wavers(), interventions=nothing, scenario="factual", **run).equals(plain)


def test_stimulus_and_closures_move_work_as_they_should():
    world = city(2000, disease=Disease(reproduction=0.0))
    record = [Record("jobless", reduce="mean"), Record("observation", every=999), Record("action", every=999)]
    setup = Setup(world, Fixed([0, 1]), rows=2000, horizon=70, record=record)
    how = {"outcome": lambda h: h.series["jobless"][-1], "seeds": range(4)}
    close, pay = Do("attends_workplace", 0.0), Do("stimulus", 0.5)
    closed = contrast(setup, [close], **how)
    assert closed.mean > 5 * closed.stderr
    paid = contrast(setup, [close, pay], **how)
    assert (paid.difference < closed.difference).all()  # spending stays up, and with it jobs


def test_days_have_the_distribution_of_their_gamma():
    days = gamma_days(5.5, 2.4, 60)
    assert sum(days) == pytest.approx(1)
    mean = sum((k + 0.5) * p for k, p in enumerate(days))
    assert mean == pytest.approx(5.5, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": torch.full((50,), -1)}, "age of person 0 is -1"),
        ({"age": torch.zeros(50)}, "age is torch.float32"),
        ({"area": torch.zeros(49, dtype=torch.int64)}, r"area is torch.int64 \(49,\)"),
        ({"layers": {}}, "layers is empty"),
        ({"layer_weight": {"shool": 0.5}}, r"layer_weight names \['shool'\]"),
        ({"initial": 2.0}, "initial is 2.0"),
    ],
)
def test_a_city_that_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(city(50), **changes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Disease(fatality=(0.1,)),
        lambda: Disease(exposed_days=(0.5, 0.2)),
        lambda: Disease(reproduction=math.nan),
        lambda: Measures(vaccination=2.0),
        lambda: Measures(announced=0),
    ],
)
def test_parameters_that_are_none_are_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()
