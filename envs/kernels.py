"""The compiled CPU side of the recommendation sessions; the torch twins stand beside the callers."""

from ethogram.simulator.kernels import Array, compiled


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
