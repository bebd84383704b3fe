"""A population divided among processes gives the bits of one in one process; a killed one is started again."""

import operator
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ethogram.agents.citizens import Heuristic
from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR, Epidemic, Measures
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Do, History, Record, Transition, rollout
from ethogram.simulator.networks import Contacts, MeanField, RandomMeetings, Timetable, erdos_renyi, small_world
from ethogram.simulator.populations.shard import Shard

N = 301  # not a multiple of the number of processes


def weighted():
    contacts = erdos_renyi(N, 6, seed=3)
    source, target = contacts.source, contacts.target.long()
    once = source < target
    weight = ((source + target) % 7 + 1)[once] / 8
    return Contacts.from_edges(source[once], target[once], N, weight=weight)


def city():
    people = synthetic_city(N, seed=2)
    measures = Measures(vaccination=0.01, confirmation=0.4, announced=5)
    layers = city_layers(people, daily=2) | {"weighted": weighted()}
    return Epidemic(layers, people["age"], people["area"], measures=measures, initial=0.05)


class Told:
    """A world of types that not every means of exchange knows."""

    observation_space, action_space = spaces.Text(20), spaces.Discrete(2)

    def reset(self, draws, site):
        return draws.ids, self.told(draws)

    def told(self, draws):
        return np.array([f"{i} at {draws.step}" for i in draws.ids.tolist()], dtype=object)

    def step(self, state, action, draws, site):
        seen = site("told", self.told(draws))
        site("small", torch.stack([state, state + draws.step], 1).to(torch.int16))
        return Transition(state, seen, torch.zeros(len(state)), torch.zeros(len(state), dtype=torch.bool))


class Leaves(Told):
    """People leave one after the other."""

    def step(self, state, action, draws, site):
        return super().step(state, action, draws, site)._replace(terminated=state < 20 * (draws.step + 1))


def runs():
    """Name -> what to roll out."""
    some = torch.arange(N) % 3 == 0
    week = Timetable([small_world(N, 4, 0.1), erdos_renyi(N, 3)])
    peer_effect, people = torch.linspace(2, 4, N), torch.arange(N)
    area = people // 10  # contiguous: no part has them all
    return {
        "adoption": {"world": Adoption(weighted(), peer_effect=peer_effect, initial=0.1), "policy": Fixed(0.1)},
        "SEIR": {"world": SEIR(erdos_renyi(N, 8), 0.05, initial=0.05), "policy": Fixed(0)},
        "SEIR, seven people": {"world": SEIR(erdos_renyi(N, 8), 0.05, initial=7), "policy": Fixed(0)},
        "SEIR, mean field": {"world": SEIR(MeanField.well_mixed(N, 8.0), 0.05, initial=0.05), "policy": Fixed(0)},
        "SEIR, meetings": {"world": SEIR(RandomMeetings(N, 8), 0.05, initial=0.05), "policy": Fixed(0)},
        "SEIR, timetable": {"world": SEIR(week, 0.1, initial=0.05), "policy": Fixed(0)},
        "a city": {
            "world": city(),
            "policy": Heuristic(),
            "interventions": [Do("attends_workplace", 0.5, start=3, who=some), Do("stimulus", 0.1, start=6)],
            "record": [
                "infected",
                Record("jobless", reduce="mean"),
                Record("isolates", reduce="sum", by=torch.arange(N) % 4),
                Record("employed", reduce="mean", by=torch.arange(N) % 4),
                Record("hazard", every=5),
            ],
        },
        "a city by area": {
            "world": city(),
            "policy": Heuristic(),
            "interventions": [
                Do("hazard", lambda hazard: hazard * (1 + area / 50)),  # closes over everybody
                Do("attends_school", lambda attends: attends * (attends.mean() < 0.9), start=2, who=some),
                Do("vaccination", [0.01 * (i % 3) for i in range(N)], start=1),
                Do("demand", lambda demand: demand - 0.1, start=7),
                Do("observation", lambda seen: seen | {"cases": seen["cases"].flip(0)}, start=4),
                Do("attends_community", partial(operator.mul, 0.5), start=9),
            ],
            "record": [
                Record("infected", reduce="sum", by=area),
                Record("isolates", reduce="mean", by=area),
                Record("hazard", reduce="sum", by=area),  # of floats, whose sums hang on their order
                Record("attends_school", reduce="mean"),
                Record("employed", reduce=lambda employed: employed.nonzero().sum()),
                Record("action", reduce="sum", by=area, every=3),
                Record("observation", reduce=lambda seen: torch.stack([seen["cases"], seen["savings"]])[:, area == 7]),
                "demand",
            ],
        },
        "everything of a city": {"world": city(), "policy": Heuristic(), "record": "all"},
        "text and small numbers": {"world": Told(), "policy": Fixed(0), "record": ["small", Record("told", every=4)]},
    }


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import torch
import torch.distributed as dist
import test_shards
from ethogram.simulator.populations import shards

dist.init_process_group("gloo")
folder, dies = sys.argv[2], sys.argv[3] == "dies"


class Dies:
    def __init__(self, policy):
        self.policy = policy

    def act(self, observation, history, draws):
        flag = os.path.join(folder, "died")
        if dies and draws.step == 11 and dist.get_rank() == 1 and not os.path.exists(flag):
            open(flag, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.policy.act(observation, history, draws)


for name, run in test_shards.runs().items():
    if dies and not name.startswith("a city"):
        continue
    run["policy"] = Dies(run["policy"])
    history = shards.rollout(
        **run, rows=test_shards.N, horizon=20, seed=4, checkpoint=os.path.join(folder, "run"), checkpoint_every=0
    )
    history.save(os.path.join(folder, f"{name} {dist.get_rank()}.npz"))
if not dies:
    try:
        shards.rollout(test_shards.Leaves(), test_shards.Fixed(0), rows=test_shards.N, horizon=20)
    except RuntimeError as error:
        with open(os.path.join(folder, f"leaves {dist.get_rank()}"), "w") as file:
            file.write(str(error))
dist.destroy_process_group()
"""


def torchrun(folder, processes, how, restarts=0):
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    command += [f"--max-restarts={restarts}", str(script), str(Path(__file__).parent), str(folder), how]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # or restarts meet addresses of those who died
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr


def assert_same(folder, name, processes):
    whole = rollout(**runs()[name], rows=N, horizon=20, seed=4)
    for rank in range(processes):
        assert History.load(folder / f"{name} {rank}.npz").equals(whole), (name, rank)


def test_two_processes_give_the_bits_of_one(tmp_path):
    torchrun(tmp_path, 2, "lives")
    for name in runs():
        assert_same(tmp_path, name, 2)
    assert not list(tmp_path.glob("run*"))  # checkpoints of finished runs
    assert "all people of part 1 of 2 have ended after 8 of 20 steps" in (tmp_path / "leaves 0").read_text()


def test_a_killed_process_is_started_again_and_the_run_goes_on(tmp_path):
    torchrun(tmp_path, 3, "dies", restarts=1)
    assert (tmp_path / "died").exists()
    for name in ("a city", "a city by area"):
        assert_same(tmp_path, name, 3)


def test_parts_cover_everybody_once():
    for size in (1, 2, 3, 7):
        parts = [Shard(rank, size, 50) for rank in range(size)]
        assert [i for part in parts for i in range(50)[part.people]] == list(range(50))
        assert torch.equal(torch.cat([part.of(torch.arange(50)) for part in parts]), torch.arange(50))
    part = Shard(1, 2, 50)
    who = part.of(Do("hazard", 0.0, who=torch.arange(50) == 30))
    assert who.who.nonzero().tolist() == [[5]]
    assert part.of({"a": [3, "b"]}) == {"a": [3, "b"]}


def test_outside_a_process_group_the_error_says_what_to_do():
    with pytest.raises(RuntimeError, match="torchrun"):
        Shard.mine(100)
