"""How fast is the best list found?

Run: python benchmarks/best_permutation_speed.py        (about a minute on one CPU core)

Microseconds of CPU a state, lists of up to 3 items: our oracle over a batch of states and at one state (through the
public function, its checks included), beside a dynamic program in plain Python, and enumeration of every list in
plain Python and in NumPy. Medians of paired repeats. References measured elsewhere at N = 20: a straightforward
numba program 0.6, C 0.06, and a dynamic program in plain Python about 16.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import torch

from ethogram.agents.cascading import best_permutation, best_permutation_by_search

LENGTH = 3


def dynamic_program(u: list[float], w: list[float], no_click: float) -> float:
    """The recurrence in plain Python, over Python floats."""
    worth = sorted((a for a in range(len(w)) if w[a] > no_click), key=lambda a: -w[a])
    best: list[tuple[float, tuple[int, ...]]] = [(no_click, ())] + [(float("-inf"), ())] * LENGTH
    for a in reversed(worth):
        gain, miss = u[a] * w[a], 1 - u[a]
        for k in range(LENGTH, 0, -1):
            value = gain + miss * best[k - 1][0]
            if value > best[k][0]:
                best[k] = value, (a, *best[k - 1][1])
    return best[min(LENGTH, len(worth))][0]


def enumeration(u: list[float], w: list[float], no_click: float) -> float:
    """Every list, in plain Python."""
    highest = float("-inf")
    for k in range(1, LENGTH + 1):
        for slate in permutations(range(len(u)), k):
            tail = no_click
            for a in reversed(slate):
                tail = u[a] * w[a] + (1 - u[a]) * tail
            highest = max(highest, tail)
    return highest


def numpy_enumeration(lists: np.ndarray[Any, Any], u: Any, w: Any, no_click: float) -> float:
    """Every list, in one NumPy expression; ``lists`` (L, m) is made beforehand, -1 for no item."""
    gain, miss = np.append(u * w, 0.0), np.append(1 - u, 1.0)
    tail = np.full(len(lists), no_click)
    for i in range(LENGTH - 1, -1, -1):
        tail = gain[lists[:, i]] + miss[lists[:, i]] * tail
    return float(tail.max())


def microseconds(run: Callable[[], Any], calls: int) -> float:
    """CPU time of one call."""
    start = time.process_time()
    for _ in range(calls):
        run()
    return (time.process_time() - start) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=2000, help="states in a batch (default 2000)")
    parser.add_argument("--repeats", type=int, default=9, help="paired repeats (default 9)")
    given = parser.parse_args()
    names = ["ours, batch", "ours, one state", "Python DP", "ours, search", "NumPy search", "Python search"]
    print(f"microseconds of CPU a state; m = {LENGTH}, {given.states} states a batch, {given.repeats} repeats")
    print("   N " + " ".join(f"{name:>16}" for name in names) + "   DP / one   DP / batch")
    for n in (10, 15, 20, 25):
        draw = np.random.default_rng(n)
        u, w = torch.from_numpy(draw.random((2, given.states, n)))
        none = torch.full((given.states,), 0.1, dtype=torch.float64)
        u1, w1, none1 = u[0], w[0], none[0]
        plain = u1.tolist(), w1.tolist(), 0.1
        every = [a + (-1,) * (LENGTH - k) for k in range(1, LENGTH + 1) for a in permutations(range(n), k)]
        lists, arrays = np.array(every), (u1.numpy(), w1.numpy(), 0.1)
        best = best_permutation(u1, w1, none1, LENGTH)[1].item()
        for other in (dynamic_program(*plain), enumeration(*plain), numpy_enumeration(lists, *arrays)):
            assert abs(best - other) < 1e-12
        sides: list[tuple[Callable[[], Any], int, int]] = [  # what to run, calls, states a call
            (lambda u=u, w=w, none=none: best_permutation(u, w, none, LENGTH), 3, given.states),
            (lambda u1=u1, w1=w1, none1=none1: best_permutation(u1, w1, none1, LENGTH), 500, 1),
            (lambda plain=plain: dynamic_program(*plain), 500, 1),
            (lambda u1=u1, w1=w1, none1=none1: best_permutation_by_search(u1, w1, none1, LENGTH), 20, 1),
            (lambda lists=lists, arrays=arrays: numpy_enumeration(lists, *arrays), 20, 1),
            (lambda plain=plain: enumeration(*plain), 1, 1),
        ]
        for run, _, _ in sides:
            run()
        rounds = [[microseconds(run, calls) / states for run, calls, states in sides] for _ in range(given.repeats)]
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        print(
            f"{n:4} "
            + " ".join(f"{x:16,.2f}" for x in medians)
            + f"   {medians[2] / medians[1]:8.2f}   {medians[2] / medians[0]:10.0f}",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
