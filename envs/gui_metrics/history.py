"""The worth of the past to a policy on screens, how well facts are kept, and how far repeats agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import History, as_tensor, check_is, checked_int

from .measures import Array, Measure, Runs, listed, measures


def _success(history: History, verdict: str | None) -> Array:
    """(n,) 1.0 for episodes that are rewarded, or without a wrong step by a recorded verdict."""
    if verdict is None:
        good = history.reward.where(history.valid, 0).sum(1) > 0
    else:
        good = ~((history[verdict] < 1) & history.valid).any(1)
    return good.double().cpu().numpy()


def success_by_distance(
    runs: Mapping[int, Runs], *, verdict: str | None = None, resamples: int = 1000, seed: int = 0
) -> dict[int, Measure]:
    """Success by memory distance, or by whatever the keys are: the length of the history that was seen, say.

    runs: for each distance a history, or those of several runs. verdict: of recorded episodes, a column in which every
        step must be 1 or NaN; of runs that stop at a miss, the metric that stops them. None: an episode succeeds if it
        is rewarded.
    """
    check_is("runs", runs, Mapping, "a dict of distances to histories")
    found = {}
    for distance, some in runs.items():
        top = np.stack([_success(history, verdict) for history in listed(f"runs[{distance}]", some)])[..., None]
        found[distance] = measures(top, np.ones_like(top), resamples, seed)[0]
    return found


def history_gain(
    full: Runs, other: Runs, *, verdict: str | None = None, resamples: int = 1000, seed: int = 0
) -> Measure:
    """By how much success falls when the past is changed: success with the whole past minus that with the other one.

    With ``other`` of a policy that sees no past this is the history gain; of one whose past is dropped, shuffled or
    corrupted, its sensitivity to that. Episodes are paired by row, and runs by their order.
    """
    one, two = listed("full", full), listed("other", other)
    if len(one) != len(two) or not torch.equal(one[0].ids, two[0].ids):
        raise ValueError(f"full and other are of {len(one)} and {len(two)} runs, or of other rows: expected the same")
    top = np.stack([_success(a, verdict) - _success(b, verdict) for a, b in zip(one, two, strict=True)])[..., None]
    return measures(top, np.ones_like(top), resamples, seed)[0]


def history_tokens(runs: Runs, memory: int, *, resamples: int = 1000, seed: int = 0) -> Measure:
    """Words on the last ``memory`` screens before the present one, on average over steps: what a past costs to read."""
    memory, top, bottom = checked_int("memory", memory, 0), [], []
    for history in listed("runs", runs):
        words = (history.observation["text"] > 0).flatten(2).sum(2)[:, :-1].double()  # (n, T), before each action
        total = torch.nn.functional.pad(words.cumsum(1), (1, 0))  # (n, T + 1), of all screens before
        steps = torch.arange(history.num_steps)
        read = total[:, steps] - total[:, (steps - memory).clamp(min=0)]
        top.append(read.where(history.valid, 0).sum(1).cpu().numpy())
        bottom.append(history.length.double().cpu().numpy())
    return measures(np.stack(top)[..., None], np.stack(bottom)[..., None], resamples, seed)[0]


def retention(runs: Runs, facts: Any, *, resamples: int = 1000, seed: int = 0) -> Measure:
    """Information retention: the share of facts that are right at an episode's end.

    runs: recorded with the site "values". facts: (W, 2) int64, pairs of variables that are to be equal, as
        ``App.wanted`` has them; of more columns, the rows count whose third is 0.
    """
    pairs = as_tensor("facts", facts)
    if pairs.dim() != 2 or pairs.shape[1] < 2 or pairs.dtype.is_floating_point:
        raise ValueError(f"facts are {pairs.dtype} {tuple(pairs.shape)}: expected (W, 2) int64, as App.wanted is")
    pairs = pairs if pairs.shape[1] == 2 else pairs[pairs[:, 2] == 0]
    top = []
    for history in listed("runs", runs):
        values: Tensor = history["values"]
        last = values[torch.arange(len(history)), (history.length - 1).clamp(min=0)]
        top.append((last[:, pairs[:, 0]] == last[:, pairs[:, 1]]).double().mean(1).cpu().numpy())
    stacked = np.stack(top)[..., None]
    return measures(stacked, np.ones_like(stacked), resamples, seed)[0]


@dataclass(frozen=True)
class RepeatScores:
    """How far repeats of the same tasks agree; printing gives the table.

    success: of one try. all_of: pass^k, the chance that k tries all succeed (Yao et al., tau-bench, 2024), by k.
    any_of: pass@k, that one of k does (Chen et al. 2021). flipped: tasks that neither always nor never succeed.
    flip_rate: the chance that two tries of a task differ.
    """

    success: Measure
    all_of: Mapping[int, Measure]
    any_of: Mapping[int, Measure]
    flipped: Measure
    flip_rate: Measure
    tasks: int
    repeats: int

    def __str__(self) -> str:
        rows = {"success": self.success, **{f"pass^{k}": m for k, m in self.all_of.items()}}
        rows |= {f"pass@{k}": m for k, m in self.any_of.items()} | {
            "flipped": self.flipped,
            "flip rate": self.flip_rate,
        }
        lines = [f"{name:12}{measure}" for name, measure in rows.items()]
        return "\n".join([*lines, f"{self.tasks:,} tasks, {self.repeats} repeats"])


def repeat_scores(
    runs: Sequence[History] | Tensor,
    ks: Sequence[int] = (),
    *,
    verdict: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> RepeatScores:
    """Scores of repeats of the same tasks: histories of the same rows with other luck, two or more.

    runs: or whether each of R repeats of E tasks succeeded, (R, E). ks: numbers of tries; (): 1, 2, 4, … up to R.

    With c successes in R repeats, a task's pass^k is C(c, k) / C(R, k), its pass@k 1 - C(R - c, k) / C(R, k), and its
    flip rate 2 c (R - c) / (R (R - 1)): without bias for every k up to R. The intervals draw tasks; the spread is
    success from repeat to repeat, NaN for what takes all of them.
    """
    if isinstance(runs, Tensor):
        if runs.dim() != 2:
            raise ValueError(f"runs have shape {tuple(runs.shape)}: expected (repeats, tasks)")
        success = (runs > 0).double().cpu().numpy()
    else:
        success = np.stack([_success(history, verdict) for history in listed("runs", runs)])
    repeats, tasks = success.shape
    if repeats < 2:
        raise ValueError(f"runs are {repeats}: expected two repeats or more")
    tries = [checked_int("each of ks", k, 1, repeats) for k in ks] or [
        2**i for i in range(repeats.bit_length()) if 2**i <= repeats
    ]
    c = success.sum(0).astype(np.int64)
    every = np.array([[comb(i, k) / comb(repeats, k) for k in tries] for i in range(repeats + 1)])
    columns = np.concatenate(
        [
            every[c],
            1 - every[repeats - c],
            ((c > 0) & (c < repeats)).astype(float)[:, None],
            (2 * c * (repeats - c) / (repeats * (repeats - 1)))[:, None],
        ],
        1,
    )[None]
    (one,) = measures(success[..., None], np.ones_like(success)[..., None], resamples, seed)
    others = measures(columns, np.ones_like(columns), resamples, seed)
    all_of, any_of = (
        dict(zip(tries, part, strict=True)) for part in (others[: len(tries)], others[len(tries) : 2 * len(tries)])
    )
    return RepeatScores(one, all_of, any_of, others[-2], others[-1], tasks, repeats)
