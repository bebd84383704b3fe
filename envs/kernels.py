"""The compiled CPU side of the recommendation sessions; the torch twins stand beside the callers."""

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

_INCREMENT = np.uint64(INCREMENT)


@compiled
def bad_slate(slates: Array, num_items: int) -> int:
    """The first row of (n, L) int64 slates that is not 1 to L distinct items, then -1s; -1 where all are."""
    length = slates.shape[1]
    for i in range(slates.shape[0]):
        bad = slates[i, 0] < 0
        for j in range(length):
            item = slates[i, j]
            bad |= (item >= num_items) | (item < -1)
            if j:
                bad |= (item >= 0) & (slates[i, j - 1] < 0)
            for k in range(j):
                bad |= (item >= 0) & (slates[i, k] == item)
        if bad:
            return i
    return -1


@compiled
def lookup(table: Array, rows: Array, columns: Array, out: Array) -> None:
    """out[i, j] = table[rows[i], columns[i, j]], column -1 being the last."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = table[rows[i], columns[i, j]]


@compiled
def first_true(flags: Array, out: Array) -> None:
    """The first True of each row of (n, L) bool, L where there is none."""
    length = flags.shape[1]
    for i in range(out.shape[0]):
        first = length
        for j in range(length - 1, -1, -1):  # no early exit: where a user clicks is not predictable
            first = j if flags[i, j] else first
        out[i] = first


@compiled
def outcomes(state: Array, slate: Array, click: Array, num_items: int, out: Array) -> None:
    """out[i] = state[i] (N + 1) + the item at click[i], N where none was clicked."""
    length = slate.shape[1]
    for i in range(out.shape[0]):
        item = slate[i, click[i]] if 0 <= click[i] < length else -1
        out[i] = state[i] * (num_items + 1) + (item if item >= 0 else num_items)


@compiled
def session_step(
    attracted_key: np.uint64,
    state_key: np.uint64,
    ids: Array,
    state: Array,
    slate: Array,
    attraction: Array,
    reward: Array,
    cumulative: Array,
    after: Array,
    received: Array,
) -> None:
    """A whole step of ``CascadingSession``, where nobody records or changes what lies in between.

    attraction (S, N + 1), reward (S (N + 1),) and cumulative (S (N + 1), S) as the world keeps them; writes the next
    state ``after`` and the reward ``received``. The same draws and the same comparisons as the readable step.
    """
    items, last = attraction.shape[1] - 1, cumulative.shape[1] - 1
    for i in range(ids.shape[0]):
        row = mix(attracted_key + np.uint64(ids[i]) * _INCREMENT)
        clicked = items
        for j in range(slate.shape[1] - 1, -1, -1):  # no early exit: where a user clicks is not predictable
            item = slate[i, j]
            attracts = unit(mix(row + np.uint64(item + 1) * _INCREMENT)) < attraction[state[i], item]
            clicked = item if attracts else clicked
        outcome = state[i] * (items + 1) + clicked
        u = unit(mix(state_key + np.uint64(ids[i]) * _INCREMENT))
        count = 0
        for k in range(last):
            count += u >= cumulative[outcome, k]
        after[i] = count
        received[i] = reward[outcome]
