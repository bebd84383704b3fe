"""What does a GPU change?

Run: python benchmarks/populations/gpu_speed.py        (needs CUDA; some minutes, 20 GB of memory for the largest)

The same worlds on the processor, on one thread, and on the GPU: SEIR with mean degree 16 over 100 days, and a
synthetic city in layers over some days. Wall seconds, after a first run that compiles and warms up; MB of the GPU at
the peak, the network included. Both must come to the same numbers.
"""

import argparse
import time
from collections.abc import Callable

import torch

from ethogram.agents import Fixed, Heuristic
from ethogram.envs.epidemics import SEIR, Epidemic
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Record, rollout
from ethogram.simulator.networks import erdos_renyi
from ethogram.simulator.trees import to_device

Run = Callable[[str], float]  # on a device to an outcome


def seir(people: int, days: int) -> tuple[Run, int]:
    """How many are infectious over all days."""
    world = SEIR(erdos_renyi(people, 16, seed=1))
    places = {"cpu": world, "cuda": to_device(world, "cuda")}
    record = [Record("sheds", reduce="sum"), *(Record(name, every=days) for name in ("observation", "action"))]
    record.append(Record("reward", every=days, reduce="sum"))

    def run(device: str) -> float:
        rows = torch.arange(people, device=device)
        history = rollout(places[device], Fixed(0), rows=rows, horizon=days, record=record)
        return float(history.series["sheds"].sum())

    return run, days


def city(people: int, days: int) -> tuple[Run, int]:
    """How many are infected over all days."""
    who = synthetic_city(people, seed=1)
    world = Epidemic(city_layers(who, daily=2, seed=1), who["age"], who["area"], initial=0.01)
    places = {"cpu": world, "cuda": to_device(world, "cuda")}
    record = [Record("infected", reduce="sum"), Record("action", every=days), Record("reward", reduce="sum")]
    record.append(Record("observation", every=days, reduce=lambda seen: seen["cases"][:1]))

    def run(device: str) -> float:
        rows = torch.arange(people, device=device)
        history = rollout(places[device], Heuristic(), rows=rows, horizon=days, record=record)
        return float(history.series["infected"].sum())

    return run, days


def compare(name: str, people: int, job: tuple[Run, int], repeats: int) -> None:
    """One line."""
    run, days = job
    seconds, outcome = {}, {}
    torch.cuda.reset_peak_memory_stats()
    for device in ("cpu", "cuda"):
        run(device)
        times = []
        for _ in range(repeats):
            torch.cuda.synchronize()
            began = time.perf_counter()
            outcome[device] = run(device)
            torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
        seconds[device] = min(times)
    same = "same numbers" if outcome["cpu"] == outcome["cuda"] else f"OTHER NUMBERS: {outcome}"
    print(
        f"{name:<6} {people:>11,} {days:>5} {1e3 * seconds['cpu'] / days:>11.2f} {1e3 * seconds['cuda'] / days:>11.2f} "
        f"{seconds['cpu'] / seconds['cuda']:>7.1f} {torch.cuda.max_memory_allocated() / 1e6:>9,.0f}  {same}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[10**5, 10**6, 8_400_000], help="default up to 8.4 M")
    parser.add_argument("--repeats", type=int, default=2, help="the best counts (default 2)")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: this benchmark compares one with the processor")
    torch.set_num_threads(1)
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}; milliseconds a day")
    print(f"{'':<6} {'people':>11} {'days':>5} {'processor':>11} {'GPU':>11} {'ratio':>7} {'GPU MB':>9}")
    for people in arguments.people:
        compare("SEIR", people, seir(people, 100), arguments.repeats)
    for people in arguments.people:
        compare("city", people, city(people, 20), arguments.repeats)


if __name__ == "__main__":
    main()
