"""The compiled CPU side of the population worlds; the readable torch form stands beside each caller."""

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

_INCREMENT = np.uint64(INCREMENT)


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
    """What happens to each person in a day of ``SEIR``, where nobody records or changes what lies in between.

    keys (3,) uint64 and chances (3,) float32: of infection (its chance is not used), onset and recovery. after: a
    copy of the stage, which is moved on; reward: zeros.
    """
    who = np.empty(1024, np.int64)
    for first in range(0, stage.shape[0], 1024):
        count = 0
        for i in range(first, min(first + 1024, stage.shape[0])):  # without a branch: who is ill is not predictable
            who[count] = i
            count += (stage[i] == 1) | (stage[i] == 2) | ((stage[i] == 0) & out[i] & (total[i] > 0))
        for k in range(count):
            i = who[k]
            s = stage[i]
            u = unit(mix(keys[s] + np.uint64(ids[i]) * _INCREMENT))
            if s == 0:
                hazard = transmission * total[i]
                if np.float64(u) < hazard and np.float64(u) < -np.expm1(-hazard):
                    after[i], reward[i] = 1, -1
            elif u < chances[s]:
                after[i] = s + 1
