"""Compiled looks at batches of actions and states."""

from ..kernels import Array, compiled


@compiled
def first_outside(values: Array, low: Array, high: Array) -> int:
    """The first of (n k,) numbers that is not between low and high, (k,) each, or -1; NaN is outside."""
    i = 0
    for _ in range(values.shape[0] // low.shape[0]):
        for j in range(low.shape[0]):
            if not low[j] <= values[i] <= high[j]:
                return i
            i += 1
    return -1


@compiled
def count_values(values: Array, counts: Array) -> None:
    """counts[k, i] += how many of row i of (n, m) integers are k, for each k of (K, n); others are not counted."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if 0 <= values[i, j] < counts.shape[0]:
                counts[values[i, j], i] += 1
