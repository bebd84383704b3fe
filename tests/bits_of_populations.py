"""Cases of ``test_same_bits.py``: people in networks and cities, the seats above them, and what chance gives."""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import by_hand
import numpy as np
import pandas as pd
import torch
from bits import CASES, SAME_AS, arrays_of, case, rough, same_as

import ethogram.envs  # noqa: F401  registers the ids
from ethogram.agents.bandits import beta, normal
from ethogram.agents.citizens import Heuristic, Logits, Relaxed
from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR, RelaxedEpidemic, RelaxedSEIR, epidemic_planner_world
from ethogram.envs.people import from_archetypes, from_marginals, from_table, synthetic_city
from ethogram.simulator.calibrate import RelaxedDraws
from ethogram.simulator.draws import Draws, derived_ids
from ethogram.simulator.gym import episode_ids
from ethogram.simulator.networks import (
    MeanField,
    RandomMeetings,
    Timetable,
    configuration,
    erdos_renyi,
    scale_free,
    small_world,
    sum_over_contacts,
    within_groups,
)
from ethogram.simulator.populations import Everybody
from ethogram.simulator.populations.mesa_model import PopulationModel
from ethogram.simulator.recording import Record
from ethogram.simulator.rollout import rollout
from ethogram.simulator.sites import Do

N = by_hand.N


# ---- populations

SHEET = {"rows": N, "horizon": 20, "seed": 4}
SOME = torch.arange(N) % 3 == 0
NETWORKS = {
    "contacts": by_hand.ring,
    "weights": by_hand.weighted,
    "one way": partial(by_hand.weighted, directed=True),
    "meetings": lambda: RandomMeetings(N, 3),
    "mean field": lambda: MeanField(torch.arange(N) % 3, by_hand.table(3, 3, low=1, high=4)),
    "timetable": lambda: Timetable([by_hand.ring(), RandomMeetings(N, 2), by_hand.weighted()]),
}
SEIR_CHANGES = [
    Do("sheds", False, start=3, stop=6, who=SOME),
    Do("hazard", lambda h: h / 2, start=2),
    Do("infected", True, start=8, stop=9, who=SOME),
    Do("recovers", False, start=12),
    Do("initial", True, stop=1, who=torch.arange(N) < 2),
]


def infected_over(make, **run):
    return rollout(SEIR(make(), 0.15, initial=0.05), by_hand.StaysIn(), **SHEET, **run)


def watched(make):
    """Without sites."""
    history = infected_over(make, record="all")
    return {name: array for name, array in arrays_of(history).items() if name not in history.sites}


def adopted_over(make):
    parameters = {"peer_effect": by_hand.table(N, low=2, high=6).float(), "initial": 0.1, "intercept": -3.0}
    changes = [Do("propensity", lambda p: p.clamp(min=0.5), start=5, who=SOME), Do("gives_up", False, start=9, stop=12)]
    run = {"world": Adoption(make(), **parameters), "policy": by_hand.Nudges(), **SHEET}
    sites = ["exposure", "adopts", "gives_up", "adopted"]  # not the propensity, a sigmoid in float32
    changed = rollout(**run, interventions=changes, record=sites)
    return {"plain": arrays_of(rollout(**run)), "changed": arrays_of(changed)}


for _name, _make in NETWORKS.items():
    CASES[f"SEIR over {_name}"] = partial(infected_over, _make)
    CASES[f"SEIR over {_name}, all sites"] = partial(infected_over, _make, record="all", interventions=SEIR_CHANGES)
    CASES[f"adoption over {_name}"] = partial(adopted_over, _make)
    SAME_AS[f"SEIR over {_name}, watched"] = (f"SEIR over {_name}", partial(watched, _make))


LEVERS = [
    Do("attends_workplace", 0.5, start=3, who=SOME),
    Do("attends_school", 0.0, start=5, stop=15),
    Do("stimulus", 0.1, start=6),
    Do("vaccination", 0.3, start=2, who=~SOME),
    Do("isolates", True, start=9, stop=11, who=SOME),
    Do("hazard", lambda h: h * 2, start=12),
]


def lived_by(citizens, **run):
    return rough(rollout(by_hand.city(), citizens(), **SHEET, **run), "hazard", "demand")


for _name, _make in by_hand.CITIZENS.items():
    CASES[f"city of {_name}"] = partial(lived_by, _make)
    CASES[f"city of {_name}, all sites"] = partial(lived_by, _make, record="all", interventions=LEVERS)


KINDS = [
    "infected",
    Record("observation", every=4),
    Record("action", every=3),
    Record("jobless", reduce="mean"),
    Record("isolates", reduce="sum", by=torch.arange(N) % 4),
    Record("employed", reduce="mean", by=torch.arange(N) % 4),
    Record("hazard", every=5),
    Record("died", every=2),
]


@case
def records():
    more = [Record("reward", reduce="mean"), Record("confirmed", reduce=lambda c: c.nonzero()[:, 0].sum())]
    return rough(lived_by(Heuristic, record=KINDS + more, interventions=LEVERS), "reward")


def runs():
    """Name -> what to roll out in one process and in several."""
    ill = {"policy": by_hand.StaysIn(), **SHEET}
    city = {"world": by_hand.city(), "policy": Heuristic(half=2.0), "interventions": LEVERS, "record": KINDS, **SHEET}
    return {
        "adoption": {"world": Adoption(by_hand.weighted(), initial=0.1), "policy": by_hand.Nudges(), **SHEET},
        "contacts": {"world": SEIR(by_hand.ring(), 0.15, initial=0.1), **ill},
        "meetings": {"world": SEIR(RandomMeetings(N, 3), 0.15, initial=0.1), **ill},
        "city": city,
    }


@case
def populations_in_one_process():
    return rough({name: arrays_of(rollout(**run)) for name, run in runs().items()}, "hazard")


PROCESS = """
import sys
sys.path[:0] = [sys.argv[1]]
import numpy as np
import torch.distributed as dist
from bits import arrays_of, rough
from bits_of_populations import runs
from ethogram.simulator.populations import shards

folder, rank = sys.argv[2], int(sys.argv[3])
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
found = rough({name: arrays_of(shards.rollout(**run)) for name, run in runs().items()}, "hazard")
if rank == 0:
    np.savez(f"{folder}/found.npz", **found)
dist.destroy_process_group()
"""


@same_as("populations in one process")
def populations_in_two_processes():
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), folder]
        both = [subprocess.Popen([*command, rank], env=environment) for rank in "01"]
        try:
            assert [process.wait(timeout=200) for process in both] == [0, 0]
        finally:
            for process in both:
                process.kill()
        with np.load(Path(folder) / "found.npz") as found:
            return dict(found)


@case
def citizens_seat():
    world = Everybody(by_hand.city(), N, interventions=[Do("stimulus", 0.1, start=2)])
    action = by_hand.table(N, 2, low=0, high=2).to(torch.int8)
    return rough(rollout(world, Fixed(action), rows=3, horizon=10, seed=6), "reward")


@case
def planner_seat():
    return rough(rollout(epidemic_planner_world(world=by_hand.city()), by_hand.Levers(), rows=3, horizon=5, seed=6))


def with_gradient(world, policy, leaf, temperature=0.0):
    """A relaxed run, and the derivative of its reward."""
    draws = RelaxedDraws(5, torch.arange(N), scope="world", temperature=temperature)
    site = "infected" if isinstance(world, RelaxedSEIR) else "relaxed_infected"
    history = rollout(world, policy, rows=N, horizon=12, draws=draws, record=[site])
    history.column(site).sum().backward()
    return rough(arrays_of(history) | {"gradient": leaf.grad})


@case
def relaxed_SEIR():
    leaf = torch.tensor(0.15, dtype=torch.float64, requires_grad=True)
    world = RelaxedSEIR(by_hand.weighted(), leaf, initial=0.05)
    return with_gradient(world, Fixed(torch.tensor([0.0, 0.0, 0.25, 0.0])), leaf)


@case
def relaxed_SEIR_soft():
    leaf = torch.tensor(0.15, dtype=torch.float64, requires_grad=True)
    world = RelaxedSEIR(RandomMeetings(N, 4), leaf, initial=0.05)
    return with_gradient(world, Fixed(torch.zeros(4)), leaf, temperature=0.3)


@case
def relaxed_city():
    leaf = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    return with_gradient(RelaxedEpidemic(by_hand.city(), leaf), Relaxed(Heuristic(half=2.0)), leaf)


# ---- what chance gives


@case
def draws():
    ids = torch.tensor([0, 1, 2, 3, 10**12, -5, 2**62])
    luck = Draws(11, ids, 3, "world")
    p = by_hand.table(7, 4)
    which, index = torch.tensor([0, 0, 1, 2, 3, 3, 6]), torch.arange(-1, 20).reshape(7, 3)
    exact = {
        "rows": luck.uniform("a"),
        "span": luck.uniform("a", 5),
        "index": luck.uniform("a", index),
        "others": torch.stack([luck.uniform("b"), luck.at(4).uniform("a"), luck.scoped("user").uniform("a")]),
        "seeds": torch.stack([Draws(seed, ids).uniform("a") for seed in (-1, 0, 2**70)]),
        "of": luck.of(torch.tensor([6, 2])).uniform("a", 2),
        "bernoulli": luck.bernoulli("c", p, 4),
        "among": luck.bernoulli("c", p[:, 0], among=ids % 2 == 0),
        "event": luck.event("d", p[:, 1] * 2),
        "event32": luck.event("d", p[:, 1].float()),
        "categorical": luck.categorical("e", p / p.sum(1, keepdim=True)),
        "table": luck.categorical("e", p / p.sum(1, keepdim=True), which),
        "inverse": luck.inverse_cdf("f", (p / p.sum(1, keepdim=True)).float().cumsum(1), which),
        "key": np.uint64(luck.key("a")),
        "derived": derived_ids(ids, torch.arange(7)),
        "episodes": episode_ids(torch.arange(7), torch.arange(7) * 3),
    }
    floats = {"gumbel": luck.gumbel("g"), "span of gumbel": luck.gumbel("g", 3), "normal": normal(luck, "n", 2)}
    return arrays_of(exact) | rough(floats | {"beta": beta(luck, "k", 1 + 3 * p[0], 1 + 5 * p[1])})


@case
def networks():
    made = {
        "erdos_renyi": erdos_renyi(N, 5, seed=1),
        "small_world": small_world(N, 4, 0.2, seed=2),
        "scale_free": scale_free(N, 3, seed=3),
        "configuration": configuration(torch.arange(N) % 4 + torch.eye(N, dtype=torch.int64)[0] * 2 * (N % 2), seed=4),
        "within_groups": within_groups(torch.arange(N) // 7 - 1, 3, seed=5),
        "weighted": by_hand.weighted(),
        "one way": by_hand.weighted(directed=True).reverse,
        "some": by_hand.weighted().among(SOME),
    }
    made |= {f"layer {name}": layer for name, layer in by_hand.city().layers.items() if hasattr(layer, "target")}
    found = {name: {"start": net.start, "target": net.target, "strength": net.strength} for name, net in made.items()}
    met = RandomMeetings(N, 3).at(Draws(1, torch.arange(N), 2))
    sums = {name: sum_over_contacts(make().at(Draws(1, torch.arange(N), 2)), SOME) for name, make in NETWORKS.items()}
    pairs = torch.stack([met.partner(torch.arange(N), k) for k in range(3)])
    return found | {"weight": made["weighted"].weight, "partners": pairs, "sums": sums}


@case
def populations():
    kinds = {
        "young": {"age": (18, 30), "income": (1.0, 3.0), "mode": {"bike": 0.5, "car": 0.5}, "pass": True},
        "old": {"age": (60, 90), "income": torch.distributions.Normal(2.0, 0.25), "mode": "bus", "pass": False},
    }
    counts = {
        "age": {20: 30, 40: 20, 60: 11},
        ("age", "sex"): {(a, s): c for a, c in ((20, 15), (40, 10), (60, 5.5)) for s in "mf"},
    }
    survey = pd.DataFrame({"age": [20, 40, 60], "home": ["b", "a", "b"], "w": [1.0, 2.5, 0.5], "x": [0.5, 1.5, 2.5]})
    made = {
        "city": synthetic_city(200, seed=1),
        "archetypes": from_archetypes(kinds, {"young": 0.7, "old": 0.3}, 50, seed=2),
        "marginals": from_marginals(counts, 61, seed=3),
        "survey": from_table(survey, weight="w", num_people=20, seed=4),
        "table": from_table(survey),
    }
    return rough({name: dict(people.columns) for name, people in made.items()})


def mesa(**how):
    """A city as a Mesa model after all its steps."""
    run = runs()["city"]
    model = PopulationModel(**{name: value for name, value in run.items() if name != "horizon"}, **how)
    for _ in range(run["horizon"]):
        model.step()
    return model


@case
def a_city():
    return rough(rollout(**runs()["city"]), "hazard")


@same_as("a city")
def a_city_as_a_mesa_model():
    return rough(mesa().history, "hazard")


@case
def what_mesa_collects():
    model = mesa(model_reporters={"ill": lambda m: m.sum("ill")}, agent_reporters={"employed": "employed"})
    tables = model.datacollector.get_model_vars_dataframe(), model.datacollector.get_agent_vars_dataframe()
    return {"ill": tables[0]["ill"].to_numpy(), "employed": tables[1]["employed"].to_numpy(np.int64)}


@case
def fitted_citizens():
    days = rollout(by_hand.city(), Heuristic(half=2.0, work=0.8), **SHEET)
    fit = Logits.fit(days, by_hand.features)
    return rough({"isolate": fit.isolate, "work": fit.work, "stderr": fit.stderr})
