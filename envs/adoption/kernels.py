"""The compiled CPU side of a day of ``Adoption``; the readable torch form is its ``step``."""

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

_INCREMENT = np.uint64(INCREMENT)


@compiled
def adopt(keys: Array, ids: Array, propensity: Array, churn: Array, before: Array, after: Array) -> int:
    """Who has adopted after a day, (n,) bool, by who had before and the draws of adopting and of giving up.

    Returns the last person whose propensity is NaN, or -1.

    keys: (2,) uint64. propensity: (n,) probability. churn: the same, or (1,) for all.
    """
    bad = -1
    for i in range(before.shape[0]):
        if propensity[i] != propensity[i]:
            bad = i
        u = unit(mix(keys[np.int64(before[i])] + np.uint64(ids[i]) * _INCREMENT))
        after[i] = not u < churn[min(i, churn.shape[0] - 1)] if before[i] else u < propensity[i]
    return bad


@compiled
def observe(
    adopted: Array, reached: Array, strength: Array, exposure: Array, observation: Array, reward: Array
) -> None:
    """exposure = reached / strength, what each sees of it, (n, 2), and the reward, all float32."""
    for i in range(adopted.shape[0]):
        exposure[i] = reached[i] / strength[i]
        observation[i, 0] = reward[i] = adopted[i]
        observation[i, 1] = exposure[i]
