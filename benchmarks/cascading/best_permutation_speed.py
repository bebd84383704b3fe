"""How fast is the best list found?

Run: python benchmarks/cascading/best_permutation_speed.py        (about a minute on one CPU core)

Microseconds of CPU a state, lists of up to 3 items: our oracle over a batch of states and at one state (through the
public function, its checks included), beside a dynamic program in plain Python, and enumeration of every list in
plain Python and in NumPy, and the same recurrence written by hand in numba, called on NumPy arrays with no check.
Medians of paired repeats; the ratios are ours to the numba by hand, above 1 where ours takes longer.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numba
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


@numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
def by_hand(u: Any, w: Any, no_click: Any, slates: Any, values: Any) -> None:
    """The recurrence as one would write it in numba: sort, then a table from the last item to the first."""
    num_items, length = u.shape[1], slates.shape[1]
    best, take = np.empty((num_items + 1, length + 1)), np.empty((num_items, length + 1), np.bool_)
    for row in range(len(u)):
        order = np.argsort(-w[row])
        worth = 0
        while worth < num_items and w[row, order[worth]] > no_click[row]:
            worth += 1
        best[worth, :], best[:, 0] = -np.inf, no_click[row]
        for i in range(worth - 1, -1, -1):
            attraction, value = u[row, order[i]], w[row, order[i]]
            for k in range(1, length + 1):
                taken = attraction * value + (1 - attraction) * best[i + 1, k - 1]
                take[i, k] = taken > best[i + 1, k]
                best[i, k] = taken if take[i, k] else best[i + 1, k]
        k = min(length, worth)  # an item is worth a click in each of the states below
        values[row], at = best[0, k], 0
        slates[row] = -1
        for i in range(worth):
            if k > 0 and take[i, k]:
                slates[row, at] = order[i]
                at, k = at + 1, k - 1


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
    names = [
        "ours, batch",
        "ours, one state",
        "Python DP",
        "ours, search",
        "NumPy search",
        "Python search",
        "numba, batch",
        "numba, one",
    ]
    print(f"microseconds of CPU a state; m = {LENGTH}, {given.states} states a batch, {given.repeats} repeats")
    print("   N " + " ".join(f"{name:>16}" for name in names) + "   batch ratio   one ratio")
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
        slates, values = np.empty((given.states, LENGTH), np.int64), np.empty(given.states)
        hand = u.numpy(), w.numpy(), none.numpy(), slates, values
        hand_one = tuple(x[:1] for x in hand)
        by_hand(*hand)
        ours = best_permutation(u, w, none, LENGTH)
        assert np.array_equal(ours[0], slates)
        assert np.array_equal(ours[1], values)
        sides: list[tuple[Callable[[], Any], int, int]] = [  # what to run, calls, states a call
            (lambda u=u, w=w, none=none: best_permutation(u, w, none, LENGTH), 3, given.states),
            (lambda u1=u1, w1=w1, none1=none1: best_permutation(u1, w1, none1, LENGTH), 500, 1),
            (lambda plain=plain: dynamic_program(*plain), 500, 1),
            (lambda u1=u1, w1=w1, none1=none1: best_permutation_by_search(u1, w1, none1, LENGTH), 20, 1),
            (lambda lists=lists, arrays=arrays: numpy_enumeration(lists, *arrays), 20, 1),
            (lambda plain=plain: enumeration(*plain), 1, 1),
            (lambda hand=hand: by_hand(*hand), 3, given.states),
            (lambda hand_one=hand_one: by_hand(*hand_one), 500, 1),
        ]
        for run, _, _ in sides:
            run()
        rounds = [[microseconds(run, calls) / states for run, calls, states in sides] for _ in range(given.repeats)]
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        print(
            f"{n:4} "
            + " ".join(f"{x:16,.2f}" for x in medians)
            + f"   {medians[0] / medians[6]:11.2f}   {medians[1] / medians[7]:9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
