"""How do time and memory grow with the city?

Run: python benchmarks/populations/city_growth.py        (up to 8.4 million people; some ten minutes, 10 GB)

A synthetic city in four layers (households, workplaces, schools, community) and two random meetings a day, with
tests, vaccines, jobs, and citizens who decide each day by a rule. Each size is a process of its own with one thread.
Step: CPU seconds of a day, the mean over all days. Bytes a person: of the network as stored; of the state that a
checkpoint saves; and of the whole process at its peak during the run, above what it held with the city built.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import torch

from ethogram.agents import Heuristic
from ethogram.envs.epidemics import Epidemic, Measures
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Draws, Record, rollout
from ethogram.simulator.networks import Contacts
from ethogram.simulator.sites import Sites
from ethogram.simulator.trees import leaves_of


def measure(people: int, days: int) -> dict[str, float]:
    """One city, in this process."""
    torch.set_num_threads(1)
    start = time.process_time()
    city = synthetic_city(people)
    layers = city_layers(city, daily=2)
    built = time.process_time() - start
    world = Epidemic(layers, city["age"], city["area"], measures=Measures(vaccination=0.002), initial=0.005)
    stored = [layer for layer in layers.values() if isinstance(layer, Contacts)]
    graph = sum(t.nbytes for layer in stored for t in (layer.start, layer.target))
    state, _ = world.reset(Draws(0, torch.arange(people), scope="world"), Sites())
    saved = sum(t.numel() * t.element_size() for t in leaves_of(state))
    record = [Record("action", reduce="sum"), Record("reward", reduce="sum"), Record("infected", reduce="sum")]
    record.append(Record("observation", reduce=lambda seen: seen["ill"].sum()))
    rollout(world, Heuristic(), rows=people, horizon=1, record=record)
    held = current_rss()
    start = time.process_time()
    history = rollout(world, Heuristic(), rows=people, horizon=days, record=record)
    step = (time.process_time() - start) / days
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "people": people,
        "contacts": sum(layer.num_contacts for layer in stored),
        "build": built,
        "step": step,
        "graph": graph / people,
        "state": saved / people,
        "run": max(0, current_peak() - held) / people,
        "total": peak / 1e9,
        "attack": float(history.series["infected"].sum()) / people,
    }


def current_rss() -> int:
    """Bytes that the process holds; and from here on the peak is counted anew."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def current_peak() -> int:
    """Bytes at the peak since ``current_rss``."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[10**4, 10**5, 10**6, 8_400_000])
    parser.add_argument("--days", type=int, default=60, help="default 60")
    parser.add_argument("--keep-memory", action="store_true", help="see docs/scale_out.md, on malloc")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.people[0], arguments.days)))
        return
    names = ("contacts", "build s", "step s", "µs a person", "network B", "state B", "run B", "peak GB", "infected")
    print(f"{'people':>10} {names[0]:>12}", *(f"{name:>11}" for name in names[1:]))
    for people in arguments.people:
        command = [sys.executable, __file__, "--child", "--people", str(people), "--days", str(arguments.days)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if arguments.keep_memory:
            environment |= {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**33)}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        f = json.loads(done.stdout.splitlines()[-1])
        each = (f["build"], f["step"], 1e6 * f["step"] / people, f["graph"], f["state"], f["run"], f["total"])
        print(f"{people:>10,} {f['contacts']:>12,}", *(f"{x:>11.4g}" for x in (*each, f["attack"])), flush=True)


if __name__ == "__main__":
    main()
