"""Measure: a number over episodes with its bootstrap interval and its spread from run to run."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ethogram.simulator import History, check_is, checked_int, checked_seed

Array = np.ndarray[Any, Any]
Runs = History | Sequence[History]
_AT_ONCE = 2**24  # numbers of a block of resamples


class Measure(NamedTuple):
    """A number with its 95 % bootstrap interval over episodes, and its standard deviation from run to run.

    NaN where there is nothing to count; the interval with one episode, the spread with one run.
    """

    value: float
    low: float
    high: float
    spread: float

    def __str__(self) -> str:
        return f"{told(self.value)} ({told(self.low)} to {told(self.high)}), run to run ± {told(self.spread)}"


def told(number: float) -> str:
    """A number in a table; a dash for NaN."""
    return "–" if math.isnan(number) else f"{number:.3f}"


def listed(name: str, runs: Runs) -> list[History]:
    """Runs as a list of histories of the same rows, in the same order; TypeError or ValueError for others."""
    check_is(name, runs, (History, list, tuple), "a History, or a list of those of several runs")
    found = [runs] if isinstance(runs, History) else list(runs)
    if not found:
        raise ValueError(f"{name} is empty: expected a History, or one for each run")
    for run in found:
        check_is(f"each of {name}", run, History, "a History, as rollout gives")
        if not torch.equal(run.ids, found[0].ids):
            raise ValueError(f"{name} are of other rows: expected runs of the same rows, in the same order")
    return found


def measures(top: Array, bottom: Array, resamples: int = 1000, seed: int = 0) -> list[Measure]:
    """Ratios of sums over episodes, such as successes over episodes.

    top, bottom: (R, E, M) float64, of R runs of E episodes, M ratios. A resample draws whole episodes, with all their
    runs, since the steps of an episode, and runs of one, are not independent. resamples, seed: of the bootstrap.
    """
    resamples, seed = checked_int("resamples", resamples, 1), checked_seed(seed)
    runs, episodes, count = top.shape
    with np.errstate(invalid="ignore", divide="ignore"):
        value = top.sum((0, 1)) / bottom.sum((0, 1))
        of_runs = top.sum(1) / bottom.sum(1)
        spread = of_runs.std(0, ddof=1) if runs > 1 else np.full(count, math.nan)
        low, high = np.full((2, count), math.nan)
        if episodes > 1:
            rng, block = np.random.default_rng(seed), max(1, _AT_ONCE // episodes)
            sums, drawn = np.concatenate([top.sum(0), bottom.sum(0)], 1), []
            for begin in range(0, resamples, block):
                many = min(block, resamples - begin)
                weights = rng.multinomial(episodes, np.full(episodes, 1 / episodes), many)
                drawn.append(weights @ sums)
            both = np.concatenate(drawn)
            for m in np.flatnonzero(~np.isnan(value)):
                low[m], high[m] = np.nanquantile(both[:, m] / both[:, count + m], (0.025, 0.975))
    return [Measure(*map(float, numbers)) for numbers in zip(value, low, high, spread, strict=True)]
