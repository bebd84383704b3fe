"""What do networks, sums over contacts, and checkpoints of a population cost?

Run: python benchmarks/populations/network_speed.py        (a minute or two)

Networks of a million people and 16 million directed contacts are built by each generator. Then the sum over contacts,
with what a user would write instead: SciPy's sparse product and torch's index_add. The message of one's own is a
saturating dose, sent_j / (sent_j + received_i), which no matrix product can do: SciPy and torch work it out for every
contact. At last a checkpoint of a city. CPU seconds on one thread; ratios are medians of paired repeats.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array

from ethogram.envs.epidemics import Epidemic
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Draws
from ethogram.simulator.checkpoints import Checkpoint
from ethogram.simulator.networks import (
    Contacts,
    configuration,
    erdos_renyi,
    scale_free,
    small_world,
    sum_over_contacts,
    within_groups,
)
from ethogram.simulator.sites import Sites

Call = Callable[[], object]


def seconds(call: Call) -> float:
    """CPU time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def paired(ours: Call, peers: dict[str, Call], repeats: int) -> tuple[float, dict[str, tuple[float, float]]]:
    """Our median milliseconds; peer -> its median milliseconds, and the median ratio to ours of the same round."""
    for call in (ours, *peers.values()):
        call()  # compiles, touches memory
    own, theirs = [], {name: [] for name in peers}
    for _ in range(repeats):
        own.append(seconds(ours))
        for name, call in peers.items():
            theirs[name].append(seconds(call))
    ratios = {name: statistics.median(b / a for a, b in zip(own, times, strict=True)) for name, times in theirs.items()}
    return 1e3 * statistics.median(own), {n: (1e3 * statistics.median(t), ratios[n]) for n, t in theirs.items()}


def build(people: int) -> None:
    """Every generator."""
    degree = scale_free(people, 8, seed=2).degree
    makers = {
        "Erdős–Rényi": lambda: erdos_renyi(people, 16, seed=1),
        "small world": lambda: small_world(people, 16, 0.1, seed=1),
        "scale-free": lambda: scale_free(people, 8, seed=1),
        "configuration, of scale-free degrees": lambda: configuration(degree, seed=1),
        "groups of 500": lambda: within_groups(torch.arange(people) // 500, 16, seed=1),
    }
    for name, make in makers.items():
        found: list[Contacts] = []
        took = seconds(lambda make=make, found=found: found.append(make()))  # type: ignore[misc]
        print(f"  {name:<40} {found[0].num_contacts:>12,} contacts {took:>7.2f} s")


def sums(people: int, repeats: int) -> None:
    """The primitive beside SciPy and torch."""
    contacts = erdos_renyi(people, 16, seed=1)
    start, target = contacts.start.numpy(), contacts.target.numpy()
    matrix = {
        kind: csr_array((np.ones(len(target), kind), target, start.astype(np.int32)), shape=(people, people))
        for kind in (np.float32, np.float64)
    }
    source, reached = contacts.source, contacts.target.long()
    generator = torch.Generator().manual_seed(0)
    dose = torch.rand(people, generator=generator)
    few = dose * (torch.rand(people, generator=generator) < 0.09)
    row = np.repeat(np.arange(people), np.diff(start))

    def index_add(message: Callable[[], torch.Tensor]) -> Call:
        return lambda: torch.zeros(people).index_add_(0, reached, message())

    def saturating() -> object:
        values = dose.numpy()
        message = values[target] / (values[target] + values[row])
        return csr_array((message, target, start.astype(np.int32)), shape=(people, people)).sum(1)

    cases: dict[str, tuple[Call, dict[str, Call]]] = {
        "everybody sends": (
            lambda: sum_over_contacts(contacts, dose),
            {
                "SciPy float32": lambda: matrix[np.float32] @ dose.numpy(),
                "SciPy float64": lambda: matrix[np.float64] @ dose.double().numpy(),
                "torch index_add": index_add(lambda: dose[source]),
            },
        ),
        "9 % send": (
            lambda: sum_over_contacts(contacts, few),
            {
                "SciPy float32": lambda: matrix[np.float32] @ few.numpy(),
                "torch index_add": index_add(lambda: few[source]),
            },
        ),
        "a message of one's own": (
            lambda: sum_over_contacts(contacts, dose, lambda sent, received: sent / (sent + received), dose),
            {
                "SciPy float32, a plain product": lambda: matrix[np.float32] @ dose.numpy(),
                "SciPy, the same message": saturating,
                "torch index_add, the same message": index_add(lambda: dose[source] / (dose[source] + dose[reached])),
            },
        ),
    }
    for name, (ours, peers) in cases.items():
        own, found = paired(ours, peers, repeats)
        print(f"  {name:<40} {own:>8.1f} ms")
        for peer, (time_of, ratio) in found.items():
            print(f"      {peer:<36} {time_of:>8.1f} ms   {ratio:>6.2f} times ours")


def checkpoint(people: int, repeats: int) -> None:
    """Saving a city and reading it again: wall time, with the file flushed to the disk."""
    city = synthetic_city(people)
    world = Epidemic(city_layers(city), city["age"], city["area"])
    draws = Draws(0, torch.arange(people), scope="world")
    state, _ = world.reset(draws, Sites())
    with tempfile.TemporaryDirectory() as folder:
        times = []
        for k in range(repeats):
            saver = Checkpoint(Path(folder) / "city.pt", {}, 0)
            start = time.perf_counter()
            saver.save(k, state, ({}, {}))
            middle = time.perf_counter()
            saver.load(state)
            times.append((middle - start, time.perf_counter() - middle))
        size = (Path(folder) / "city.pt").stat().st_size / 1e6
    save, load = (statistics.median(t) for t in zip(*times, strict=True))
    print(f"  {people:,} people, {size:.0f} MB: saved in {save:.3f} s, read in {load:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10**6, help="default 1000000")
    parser.add_argument("--repeats", type=int, default=7, help="paired repeats (default 7)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    build(1000)
    print(f"\nNetworks of {arguments.people:,} people, CPU seconds")
    build(arguments.people)
    print("\nSums over contacts, Erdős–Rényi of mean degree 16")
    sums(arguments.people, arguments.repeats)
    print("\nA checkpoint of a city")
    checkpoint(arguments.people, arguments.repeats)


if __name__ == "__main__":
    main()
