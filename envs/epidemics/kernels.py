"""The compiled CPU side of the population worlds; the readable torch form stands beside each caller."""

from typing import Any

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

_INCREMENT = np.uint64(INCREMENT)


@compiled
def _begin_day(stage: Array, out: Array, total: Array, after: Array, reward: Array, may: Array) -> bool:
    """Nothing has happened yet; may: the exposed, the infectious, and the susceptible whom something reaches."""
    for i in range(stage.shape[0]):
        after[i] = stage[i]
    for i in range(stage.shape[0]):
        reward[i] = np.float32(0)
    for i in range(stage.shape[0]):
        may[i] = (stage[i] == 1) | (stage[i] == 2) | ((stage[i] == 0) & out[i] & (total[i] > 0))
    anybody = np.uint64(0)
    for eight in may.view(np.uint64):
        anybody |= eight
    return anybody != 0


@compiled
def _draw_by_stage(keys: Array, stage: Array, ids: Array, draw: Array) -> None:
    """Each person's draw for what may happen in their stage."""
    infected, onset, recovers = keys[0], keys[1], keys[2]
    for i in range(stage.shape[0]):
        key = infected if stage[i] == 0 else (onset if stage[i] == 1 else recovers)
        draw[i] = unit(mix(key + np.uint64(ids[i]) * _INCREMENT))


@compiled
def _to_whom(draw: Array, stage: Array, total: Array, chances: Array, slope: np.float32, may: Array, who: Array) -> Any:
    """How many of those to whom something may happen draw less than the most that its chance can be; who they are."""
    onset, recovers = chances[1], chances[2]
    for i in range(stage.shape[0]):
        most = slope * np.float32(total[i]) if stage[i] == 0 else (onset if stage[i] == 1 else recovers)
        may[i] = (draw[i] < most) & (may[i] != 0)
    count, by_eight = np.uint64(0), may.view(np.uint64)
    for eight in range(by_eight.shape[0]):
        if by_eight[eight] != 0:
            for i in range(8 * eight, 8 * eight + 8):
                who[count] = i
                count += np.uint64(may[i])
    return count


@compiled
def seir_day(
    keys: Array,
    chances: Array,
    transmission: float,
    ids: Array,
    stage: Array,
    out: Array,
    total: Array,
    after: Array,
    reward: Array,
) -> None:
    """Move each person on by a day of ``SEIR``, where nobody records or changes what lies in between.

    keys (3,) uint64 and chances (3,) float32: of infection (its chance is not used), onset and recovery. total: what
    reaches each person, of any type. after, reward: to be filled.
    """
    block = 1024  # which the caches hold, for passes without branches: what happens to whom cannot be predicted
    draw, may, who = np.empty(block, np.float32), np.zeros(block, np.uint8), np.empty(block + 8, np.uint32)
    slope = np.float32(transmission * (1 + 1e-6))  # no chance of infection is above slope * total, however rounded
    for first in range(0, stage.shape[0], block):
        here = slice(first, min(first + block, stage.shape[0]))
        s, o, t, a, r = stage[here], out[here], total[here], after[here], reward[here]
        may[s.shape[0] :] = 0
        if not _begin_day(s, o, t, a, r, may):
            continue
        _draw_by_stage(keys, s, ids[here], draw)
        for k in range(_to_whom(draw, s, t, chances, slope, may, who)):
            i = who[k]
            if s[i] > 0:
                a[i], r[i] = s[i] + 1, np.float32(0)
                continue
            u, hazard = np.float64(draw[i]), transmission * np.float64(t[i])
            if u < hazard * (1 - hazard / 2) * (1 - 1e-12) or u < -np.expm1(-hazard):  # most are below the lower bound
                a[i], r[i] = 1, -1
