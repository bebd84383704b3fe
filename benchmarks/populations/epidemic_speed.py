"""How long does an epidemic among a million people take, here and elsewhere?

Run: python benchmarks/populations/epidemic_speed.py                       (10^5 and 10^6 people; some minutes)
     python benchmarks/populations/epidemic_speed.py --people 8400000 --only ethogram

One job for all: SEIR on one Erdős–Rényi network of mean degree 16, 100 days, 0.5 % infectious at the start; hazard
0.02 a day and contact, onset 0.25 and recovery 0.1 a day; how many are infectious each day is recorded. Peers:

    numba, by hand   lists of exposed and infectious people, geometric jumps to the contacts that are infected, a
                     generator of its own, buffers made before the clock runs
    numba, by event  each infection settled once, when it begins, in a calendar: no interventions, no rates that change
    NumPy frontier   the contacts of infectious people gathered, one draw each
    SciPy            a sparse matrix times the infectious, one draw a person
    torch            index_add over all contacts, one draw a person
    Starsim          its own SIR (a stage fewer) with common random numbers, on the same contacts

Every run is a process of its own with one thread, the implementations take turns, and compilation is paid before on a
small network. CPU seconds of the run without building or loading the network; MB: the peak of the run above what the
process held with the network loaded. Ratios are medians over rounds, each to ours of the same round.
Starsim is left out unless it is there: pip install starsim, or --starsim PYTHON names an environment that has it.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HAZARD, ONSET, RECOVERY, INITIAL, DEGREE = 0.02, 0.25, 0.1, 0.005, 16
Array = np.ndarray[Any, Any]
Result = tuple[float, Array]  # attack rate, share infectious by day


def ethogram(start: Array, target: Array, steps: int, seed: int) -> Callable[[], Result]:
    """Ours, through the public interface."""
    import torch

    from ethogram.agents import Fixed
    from ethogram.envs.epidemics import SEIR
    from ethogram.simulator import Record, rollout
    from ethogram.simulator.networks import Contacts

    torch.set_num_threads(1)
    contacts = Contacts(torch.from_numpy(start), torch.from_numpy(target), symmetric=True)
    world = SEIR(contacts, HAZARD, ONSET, RECOVERY, INITIAL)
    _ = contacts.most  # of the network: how large a count can be
    n = contacts.num_people
    record = [Record("sheds", reduce="sum"), *(Record(name, every=steps) for name in ("observation", "action"))]
    record.append(Record("reward", every=steps, reduce="sum"))

    def run() -> Result:
        history = rollout(world, Fixed(0), rows=n, horizon=steps, seed=seed, record=record)
        return float((history.thinned["observation"][:, 1] > 0).double().mean()), history.series["sheds"].numpy() / n

    return run


def generator() -> tuple[Any, Any]:
    """For the loops by hand, compiled: a uniform draw in (0, 1) from SplitMix64, and how many failures come first."""
    import numba

    @numba.njit(inline="always")
    def draw(state: Array) -> float:
        state[0] += np.uint64(0x9E3779B97F4A7C15)
        z = state[0]
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (np.float64((z ^ (z >> np.uint64(31))) >> np.uint64(11)) + 0.5) * 2.0**-53

    @numba.njit(inline="always")
    def failures(state: Array, scale: float) -> int:
        return np.int64(min(math.log(draw(state)) * scale, 1e9))  # scale: 1 / log(1 - probability)

    return draw, failures


def numba_by_hand(start: Array, target: Array, steps: int, seed: int) -> Callable[[], Result]:
    """The loop that an expert writes for this job and no other: lists of the ill, and rows without a hit unread."""
    import numba

    draw, failures = generator()
    p_onset, p_recovery, scale = 1 - math.exp(-ONSET), 1 - math.exp(-RECOVERY), -1 / HAZARD

    @numba.njit
    def epidemic(
        start: Array, target: Array, state: Array, stage: Array, exposed: Array, ill: Array, curve: Array
    ) -> float:
        n = start.shape[0] - 1
        num_exposed = num_ill = 0
        for i in range(n):
            stage[i] = 2 * (draw(state) < INITIAL)
            ill[num_ill] = i
            num_ill += stage[i] == 2
        for t in range(curve.shape[0]):
            curve[t] = num_ill / n
            before, kept = num_exposed, 0
            for k in range(num_ill):  # in one go: whom they infect, and whether they recover
                i = ill[k]
                e = start[i] + failures(state, scale)
                while e < start[i + 1]:
                    j = target[e]
                    exposed[num_exposed] = j
                    num_exposed += stage[j] == 0
                    stage[j] += stage[j] == 0
                    e += 1 + failures(state, scale)
                ill[kept] = i
                kept += draw(state) >= p_recovery
            num_ill, waiting = kept, 0
            for k in range(num_exposed):  # those infected today wait until tomorrow
                i = exposed[k]
                if k < before and draw(state) < p_onset:
                    ill[num_ill] = i
                    num_ill += 1
                else:
                    exposed[waiting] = i
                    waiting += 1
            num_exposed = waiting
        return (stage > 0).mean()

    def buffers(n: int) -> tuple[Array, ...]:
        return np.array([seed], np.uint64), np.zeros(n, np.int8), np.zeros(n + 1, np.int32), np.zeros(n + 1, np.int32)

    def run() -> Result:
        curve = np.zeros(steps)
        return float(epidemic(start, target, *kept, curve)), curve

    kept = buffers(len(start) - 1)  # touched before the run
    epidemic(start[:1001] * 0, target[:0], *buffers(1000), np.zeros(2))  # compiled
    return run


def event_driven(start: Array, target: Array, steps: int, seed: int) -> Callable[[], Result]:
    """Each infection settled once, when it begins: geometric times, and a calendar of who is infected on which day.

    It holds where rates never change and nobody intervenes; no day is walked for its own sake.
    """
    import numba

    draw, failures = generator()
    onset, recovery, no_contact = -1 / ONSET, -1 / RECOVERY, -HAZARD  # scales, and the log of escaping for a day

    @numba.njit
    def epidemic(
        start: Array, target: Array, state: Array, well: Array, first: Array, who: Array, after: Array, curve: Array
    ) -> float:
        n, steps, free = start.shape[0] - 1, curve.shape[0], 0
        for i in range(n):  # infected so long ago that they are infectious on day 0
            if draw(state) < INITIAL:
                who[free], after[free], first[0] = i, first[0], free
                free += 1
        for day in range(steps + 1):
            event = first[day]
            while event >= 0:
                i, event = who[event], after[event]
                if not well[i]:
                    continue
                well[i] = 0
                begins = day + (0 if day == 0 else 1 + failures(state, onset))
                ends = begins + 1 + failures(state, recovery)
                if begins >= steps:
                    continue
                curve[begins] += 1
                if ends < steps:
                    curve[ends] -= 1
                escapes = no_contact * (ends - begins)
                e = start[i] + failures(state, 1 / escapes)
                while e < start[i + 1]:
                    if well[target[e]]:
                        within = -math.expm1(escapes) * draw(state)
                        at = begins + 1 + np.int64(math.log1p(-within) / no_contact)  # exposed from the day after on
                        if at <= steps:
                            who[free], after[free], first[at] = target[e], first[at], free
                            free += 1
                    e += 1 + failures(state, 1 / escapes)
        return 1 - well.mean()

    def buffers(n: int, contacts: int, days: int) -> tuple[Array, ...]:
        events = np.zeros(n + contacts, np.int32), np.zeros(n + contacts, np.int32)
        return np.array([seed], np.uint64), np.ones(n, np.int8), np.full(days + 1, -1, np.int32), *events

    def run() -> Result:
        curve = np.zeros(steps)
        attack = float(epidemic(start, target, *kept, curve))
        return attack, curve.cumsum() / (len(start) - 1)

    kept = buffers(len(start) - 1, len(target), steps)
    epidemic(start[:1001] * 0, target[:0], *buffers(1000, 0, 2), np.zeros(2))  # compiled
    return run


def stepwise(n: int, steps: int, seed: int, infect: Callable[[Array, Any], Array]) -> Result:
    """The peers that go day by day in NumPy; infect: (stage, generator) to the people infected today."""
    generator = np.random.default_rng(seed)
    stage = np.where(generator.random(n) < INITIAL, 2, 0).astype(np.int8)
    curve = np.zeros(steps)
    for t in range(steps):
        curve[t] = np.count_nonzero(stage == 2) / n
        new = infect(stage, generator)
        exposed, ill = np.flatnonzero(stage == 1), np.flatnonzero(stage == 2)
        stage[exposed[generator.random(len(exposed)) < -math.expm1(-ONSET)]] = 2
        stage[ill[generator.random(len(ill)) < -math.expm1(-RECOVERY)]] = 3
        stage[new] = 1
    return float((stage > 0).mean()), curve


def numpy_frontier(start: Array, target: Array, steps: int, seed: int) -> Callable[[], Result]:
    """Gather the contacts of infectious people."""

    def infect(stage: Array, generator: Any) -> Array:
        ill = np.flatnonzero(stage == 2)
        first, count = start[ill], start[ill + 1] - start[ill]
        contact = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
        met = target[contact][generator.random(len(contact), np.float32) < -math.expm1(-HAZARD)]
        return met[stage[met] == 0]

    return lambda: stepwise(len(start) - 1, steps, seed, infect)


def scipy_product(start: Array, target: Array, steps: int, seed: int) -> Callable[[], Result]:
    """A sparse matrix times a vector."""
    from scipy.sparse import csr_array

    n = len(start) - 1
    matrix = csr_array((np.ones(len(target), np.float32), target, start.astype(np.int32)), shape=(n, n))

    def infect(stage: Array, generator: Any) -> Array:
        pressure = matrix @ (stage == 2).astype(np.float32)
        return np.flatnonzero((stage == 0) & (generator.random(n, np.float32) < -np.expm1(-HAZARD * pressure)))

    return lambda: stepwise(n, steps, seed, infect)


def torch_index_add(start: Array, target: Array, steps: int, seed: int) -> Callable[[], Result]:
    """A message for every contact."""
    import torch

    torch.set_num_threads(1)
    n = len(start) - 1
    source = torch.repeat_interleave(torch.arange(n), torch.from_numpy(np.diff(start)))
    reached = torch.from_numpy(target).long()

    def infect(stage: Array, generator: Any) -> Array:
        ill = torch.from_numpy(stage == 2).float()
        pressure = torch.zeros(n).index_add_(0, reached, ill[source]).numpy()
        return np.flatnonzero((stage == 0) & (generator.random(n, np.float32) < -np.expm1(-HAZARD * pressure)))

    return lambda: stepwise(n, steps, seed, infect)


def starsim(start: Array, target: Array, steps: int, seed: int) -> Callable[[], Result]:
    """Starsim's SIR on the same contacts."""
    import starsim as ss  # type: ignore[import-not-found]

    class Given(ss.Network):  # type: ignore[misc]
        def step(self) -> None:
            """The contacts stay."""

    n = len(start) - 1
    source = np.repeat(np.arange(n), np.diff(start))
    once = source < target
    network = Given(p1=source[once], p2=target[once].astype(np.int64), beta=np.ones(once.sum()), name="given")
    # its SIR has no exposed stage: infectious for 1 / RECOVERY days on average, from the first
    disease = ss.SIR(
        beta=ss.probperday(-math.expm1(-HAZARD)),
        init_prev=ss.bernoulli(INITIAL),
        dur_inf=ss.expon(ss.days(1 / RECOVERY)),
        p_death=ss.bernoulli(0),
    )
    days = {"start": ss.days(0), "dur": ss.days(steps), "dt": ss.days(1)}
    sim = ss.Sim(n_agents=n, **days, diseases=disease, networks=network, rand_seed=seed, verbose=0)
    sim.init()

    def run() -> Result:
        sim.run()
        return float(1 - sim.results.sir.n_susceptible[-1] / n), np.asarray(sim.results.sir.n_infected)[:steps] / n

    return run


JOBS = {
    "ethogram": ethogram,
    "numba, by hand": numba_by_hand,
    "numba, by event": event_driven,
    "NumPy frontier": numpy_frontier,
    "SciPy": scipy_product,
    "torch": torch_index_add,
    "Starsim": starsim,
}


def child(name: str, folder: Path, steps: int, seed: int) -> None:
    """One run in this process: compile on the small network, then the large one."""
    small = [np.load(folder / f"small_{part}.npy") for part in ("start", "target")]
    JOBS[name](*small, min(steps, 20), seed)()
    large = [np.load(folder / f"{part}.npy") for part in ("start", "target")]
    run = JOBS[name](*large, steps, seed)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # from here on the peak is counted anew
    held = megabytes("VmRSS")
    began = time.process_time()
    attack, curve = run()
    seconds = time.process_time() - began
    found = {"seconds": seconds, "MB": megabytes("VmHWM") - held, "attack": attack, "highest": float(np.max(curve))}
    print(json.dumps(found))


def megabytes(entry: str) -> float:
    """What Linux says of this process's memory: VmRSS now, VmHWM at the peak."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1000 for line in file if line.startswith(entry))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[10**5, 10**6], help="default 100000 1000000")
    parser.add_argument("--steps", type=int, default=100, help="days (default 100)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS), help="which implementations")
    parser.add_argument("--starsim", default=sys.executable, metavar="PYTHON", help="a Python that has Starsim")
    parser.add_argument("--child", nargs=4, metavar=("NAME", "FOLDER", "STEPS", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, folder, steps, seed = arguments.child
        child(name, Path(folder), int(steps), int(seed))
        return
    for people in arguments.people:
        compare(people, arguments)


def compare(people: int, arguments: argparse.Namespace) -> None:
    """One table."""
    from ethogram.simulator.networks import erdos_renyi

    found: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.only}
    with tempfile.TemporaryDirectory() as folder:
        for prefix, n in (("small_", 1000), ("", people)):
            contacts = erdos_renyi(n, DEGREE, seed=1)
            np.save(Path(folder) / f"{prefix}start.npy", contacts.start.numpy())
            np.save(Path(folder) / f"{prefix}target.npy", contacts.target.numpy())
        print(f"\n{people:,} people, {contacts.num_contacts:,} directed contacts, {arguments.steps} days")
        del contacts
        for seed in range(arguments.repeats):
            for name in list(found):
                python = arguments.starsim if name == "Starsim" else sys.executable
                command = [python, __file__, "--child", name, folder, str(arguments.steps), str(seed)]
                environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
                done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
                if done.returncode:
                    print(f"  {name} left out: {done.stderr.strip().splitlines()[-1]}")
                    del found[name]
                else:
                    found[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    print(f"  {'':<16} {'CPU s':>8} {'to ours':>8} {'MB':>7} {'attack':>7} {'highest':>8}")
    for name, runs in found.items():
        median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        ours = found.get("ethogram", runs)
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(runs, ours, strict=True))
        print(
            f"  {name:<16} {median['seconds']:>8.3f} {ratio:>8.2f} {median['MB']:>7.0f} {median['attack']:>7.3f} "
            f"{median['highest']:>8.3f}"
        )


if __name__ == "__main__":
    main()
