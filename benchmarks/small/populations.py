"""Populations, the single environments, and starting up: what ``small_runs.py`` measures of them."""

import math
import re
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import by_hand
import gymnasium
import numpy as np
import torch
from timing import Array, Jobs, Timed, cycling, find, fresh, held

import ethogram.simulator
from ethogram.simulator import Draws, Record, rollout


def vector(peers: bool) -> Jobs:
    """``gymnasium.make_vec`` of populations."""
    jobs = Jobs()
    for name in ("Epidemic-v0", "EpidemicPlanner-v0"):
        for n in (1, 8, 32):
            envs = gymnasium.make_vec(f"ethogram/{name}", num_envs=n)
            envs.reset(seed=0)
            envs.action_space.seed(0)
            jobs[f"{name}, {n} {'envs' if n > 1 else 'env'}"] = Timed(
                cycling(envs.step, [envs.action_space.sample() for _ in range(4)]), n
            )
    return jobs


def env(peers: bool) -> Jobs:
    """One step of one environment."""
    few = {"num_people": 100}
    ids = {"CascadingSession-v0": (50, {}), "Adoption-v0": (50, few), "Epidemic-v0": (50, few)}
    ids |= {"EpidemicPlanner-v0": (13, {})}
    jobs = Jobs()
    for name, (steps, settings) in ids.items():
        made = gymnasium.make(f"ethogram/{name}", horizon=steps, **settings)
        jobs[name] = played(made, steps)
        if peers and name == "CascadingSession-v0":
            jobs[f"{name} / CartPole-v1"] = played(gymnasium.make("CartPole-v1"), 200)
    return jobs


def played(made: Any, steps: int) -> Timed:
    """So many steps of an environment; one that ends before is reset within them."""
    made.action_space.seed(0)
    actions = [made.action_space.sample() for _ in range(steps)]

    def run() -> None:
        for action in actions:
            _, _, terminated, _, _ = made.step(action)
            if terminated:
                made.reset()

    return Timed(run, steps, before=lambda: made.reset(seed=0))


def epidemic(people: int, days: int) -> tuple[Any, dict[str, Any]]:
    """SEIR on an Erdős–Rényi network as in ``epidemic_speed.py``, and the arguments of its rollout."""
    contacts = find("erdos_renyi", "simulator.networks", "simulator.generators")(people, 16, seed=1)
    world = find("SEIR", "envs.epidemics", "envs.seir")(contacts, 0.02, 0.25, 0.1, 0.005)
    record = [Record("sheds", reduce="sum"), *(Record(name, every=days) for name in ("observation", "action"))]
    record.append(Record("reward", every=days, reduce="sum"))
    return world, {"rows": people, "horizon": days, "record": record}


def seir(peers: bool) -> Jobs:
    """SEIR at three sizes."""
    jobs, policy, seeds = Jobs(), find("Fixed", "agents")(0), count()
    for people in (10**4, 10**5, 10**6):
        world, run = epidemic(people, 100)
        jobs[f"{people:,} people"] = Timed(lambda world=world, run=run: rollout(world, policy, **run))
        if not peers:
            continue
        start, target = world.contacts.start.numpy(), world.contacts.target.numpy()
        kernels = by_hand.TwoKernels(start, target, *keyed(world, people, 100))
        curve, other = rollout(world, policy, **run).series["sheds"].numpy(), np.zeros(100)
        assert (kernels() == curve).all()
        rates = world.transmission, world.onset_rate, world.recovery_rate, world.initial
        events = start, target, *rates, other
        by_hand.event_driven(*events, 0)
        assert people < 10**5 or abs(other.sum() / curve.sum() - 1) < 0.1
        jobs[f"{people:,} people / two kernels by hand"] = Timed(kernels)
        jobs[f"{people:,} people / event-driven numba"] = Timed(
            lambda events=events: by_hand.event_driven(*events, next(seeds))
        )
    return jobs


def keyed(world: Any, people: int, days: int) -> tuple[Array, Array, Array]:
    """Keys of the draws, limits of the draws and first stages of a rollout, for ``by_hand.TwoKernels``."""
    draws = Draws(0, torch.arange(people), scope="world")
    keys = [[draws.at(t).key(name) for name in ("infected", "onset", "recovers")] for t in range(days)]
    below, limits = find("thresholds", "simulator.draws"), torch.zeros(3, 256, dtype=torch.int64)
    limits[0] = below(torch.tensor([-math.expm1(-world.transmission * k) for k in range(256)], dtype=torch.float64))
    limits[1:, 0] = below(torch.tensor([-math.expm1(-rate) for rate in (world.onset_rate, world.recovery_rate)]))
    stage = 2 * draws.bernoulli("initial", torch.as_tensor(world.initial)).to(torch.int8)
    return np.array(keys, np.uint64), limits.numpy().view(np.uint64), stage.numpy()


def cores(peers: bool) -> Jobs:
    """SEIR on a million people, with one thread and with two."""
    (world, run), policy = epidemic(10**6, 100), find("Fixed", "agents")(0)

    def both() -> dict[str, float]:
        found = {}
        for threads in (1, 2):
            torch.set_num_threads(threads)
            began, start = time.perf_counter(), time.process_time()
            rollout(world, policy, **run)
            cpu, wall = time.process_time() - start, time.perf_counter() - began
            found |= {f"wall, {threads} threads": wall, f"CPU, {threads} threads": cpu}
        order = ("wall, 2 threads", "wall, 1 threads", "CPU, 2 threads", "CPU, 1 threads")
        return {name.replace("1 threads", "2 threads / one thread"): found[name] for name in order}

    both()
    return {"both": both}


def history(peers: bool) -> Jobs:
    """Bytes of a History that keeps what it keeps by default."""
    people, days = 10**4, 100
    world, _ = epidemic(people, days)
    kept = rollout(world, find("Fixed", "agents")(0), rows=people, horizon=days)
    return {"SEIR": lambda: {"SEIR": held(kept, {}) / (people * days)}}


IMPORT = """
import time, torch
wall, cpu = time.perf_counter(), time.process_time()
import ethogram.simulator, ethogram.envs, ethogram.agents
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def imports(peers: bool) -> Jobs:
    """Importing simulator, envs and agents where torch is imported already."""

    def run() -> dict[str, float]:
        (wall, cpu), torch_itself = map(float, fresh(IMPORT)[2].split()), fresh("import torch")
        return {"wall": wall, "wall / torch": torch_itself[0], "CPU": cpu, "CPU / torch": torch_itself[1]}

    run()
    return {"import": run}


def readme(peers: bool) -> Jobs:
    """The fifteen lines of the README, a whole process, compiled for the first time and again."""
    root = Path(ethogram.simulator.__file__).resolve().parents[1]
    code = re.search(r"fifteen lines.*?```python\n(.*?)```", (root / "README.md").read_text(), re.S)[1]  # type: ignore

    def run() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as kernels:
            (cold, cold_cpu, _), (warm, warm_cpu, _) = fresh(code, kernels), fresh(code, kernels)
        return {"cold, wall": cold, "cold, CPU": cold_cpu, "warm, wall": warm, "warm, CPU": warm_cpu}

    return {"readme": run}
