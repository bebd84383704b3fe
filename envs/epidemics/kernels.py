"""The compiled CPU side of the population worlds; the readable torch form stands beside each caller."""

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

_INCREMENT = np.uint64(INCREMENT)


@compiled
def _to_whom(stage: Array, out: Array, total: Array, may: Array, who: Array) -> np.uint64:
    """The exposed, the infectious, and the susceptible whom something reaches: how many; who: their places."""
    for i in range(stage.shape[0]):
        may[i] = (stage[i] == 1) | (stage[i] == 2) | ((stage[i] == 0) & out[i] & (total[i] > 0))
    count = np.uint64(0)
    for i in range(stage.shape[0]):
        who[count] = i
        count += np.uint64(may[i])
    return count


@compiled
def seir_day_of_counts(
    keys: Array, limits: Array, ids: Array, stage: Array, out: Array, count: Array, after: Array, reward: Array
) -> None:
    """``seir_day`` where what reaches a person is a count of contacts: a draw is then compared as an integer.

    limits: (3, m + 1) uint64, how many of the 2^31 values that a draw can take lead on to the next stage: in row 0 by
    the count of infectious contacts, in rows 1 and 2 at the beginning.
    """
    block, none, width = 4096, np.uint64(0), np.uint64(limits.shape[1])
    who, may, limit = np.empty(block + 1, np.uint32), np.empty(block, np.uint8), limits.ravel()
    for first in range(0, stage.shape[0], block):  # in passes without branches, as below
        here = slice(first, min(first + block, stage.shape[0]))
        s, o, c, a, r, d = stage[here], out[here], count[here], after[here], reward[here], ids[here]
        held, happens = _to_whom(s, o, c, may, who), none
        for k in range(held):
            i = who[k]
            at = np.uint64(s[i])
            value = mix(keys[at] + np.uint64(d[i]) * _INCREMENT) >> np.uint64(33)
            who[happens] = i
            happens += np.uint64(value < limit[at * width + np.uint64(c[i]) * np.uint64(at == none)])
        for k in range(happens):
            i = who[k]
            a[i], r[i] = s[i] + 1, -np.float32(s[i] == 0)


@compiled
def seir_day(
    keys: Array,
    chances: Array,
    ids: Array,
    stage: Array,
    out: Array,
    total: Array,
    transmission: float,
    after: Array,
    reward: Array,
) -> None:
    """Move each person on by a day of ``SEIR``, where nobody records or changes what lies in between.

    keys (3,) uint64 and chances (3,) float32: of infection (its chance is not used), onset and recovery. after: a
    copy of the stage, which is moved on; reward: zeros.
    """
    block, none = 4096, np.uint64(0)
    who, may = np.empty(block + 1, np.uint32), np.empty(block, np.uint8)
    limit, slope = np.zeros(4, np.float32), np.zeros(4, np.float32)
    limit[1], limit[2], slope[0] = chances[1], chances[2], transmission * (1 + 1e-6)  # rounding shall leave nobody out
    for first in range(0, stage.shape[0], block):
        # Without branches, for who is ill is not predictable: to whom something may happen, and then to whom it does.
        here = slice(first, min(first + block, stage.shape[0]))
        s, o, t, a, r, d = stage[here], out[here], total[here], after[here], reward[here], ids[here]
        count, happens = _to_whom(s, o, t, may, who), none
        for k in range(count):
            i = who[k]
            u = unit(mix(keys[s[i]] + np.uint64(d[i]) * _INCREMENT))
            who[happens] = i
            happens += np.uint64(u < limit[s[i]] + slope[s[i]] * np.float32(t[i]))
        for k in range(happens):
            i = who[k]
            u = unit(mix(keys[s[i]] + np.uint64(d[i]) * _INCREMENT))
            if s[i] > 0:
                a[i] = s[i] + 1
            elif np.float64(u) < -np.expm1(-transmission * np.float64(t[i])):
                a[i], r[i] = 1, -1
