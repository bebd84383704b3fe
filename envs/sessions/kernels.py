"""The compiled CPU side of the recommendation sessions; the torch twins stand beside the callers."""

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix

_INCREMENT, _33 = np.uint64(INCREMENT), np.uint64(33)


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
def lookup(table: Array, rows: Array, columns: Array, out: Array) -> int:
    """out[i, j] = table[rows[i], columns[i, j]], column -1 being the last; the first i that is off the table, or -1."""
    height, width = table.shape
    for i in range(out.shape[0]):
        bad = (rows[i] < 0) | (rows[i] >= height)
        for j in range(out.shape[1]):
            bad |= (columns[i, j] < -1) | (columns[i, j] >= width)
        if bad:
            return i
        for j in range(out.shape[1]):
            out[i, j] = table[rows[i], columns[i, j]]
    return -1


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
def clicked_rows(state: Array, slate: Array, click: Array, num_items: int, out: Array) -> None:
    """out[i] = state[i] (N + 1) + the item at click[i], N where none was clicked."""
    length = slate.shape[1]
    for i in range(out.shape[0]):
        item = slate[i, click[i]] if 0 <= click[i] < length else -1
        out[i] = state[i] * (num_items + 1) + (item if item >= 0 else num_items)


@compiled
def session_step(
    attracted_key: np.uint64,
    attracted_ids: Array,
    state_key: np.uint64,
    state_ids: Array,
    state: Array,
    slate: Array,
    attraction: Array,
    reward: Array,
    cumulative: Array,
    after: Array,
    received: Array,
    position: Array,
    chosen: Array,
) -> bool:
    """A whole step of ``CascadingSession``, where nobody changes what lies in between.

    Keys and ids are those of ``draws.keyed``. attraction (S (N + 1),), cumulative (S (N + 1), S): uint32, thresholds
    of the draws (``thresholds``), by which the comparisons are those of the readable step. reward (S (N + 1),).
    Writes the next state ``after``, the reward ``received``, and, unless they have no entries, into ``position`` where
    the click was and into ``chosen`` what was clicked, -1 for nothing; returns False where it is certain that a slate,
    a state or the number of ids is not good.
    """
    n, length, last = slate.shape[0], slate.shape[1], cumulative.shape[1] - 1
    items = np.int64(attraction.shape[0] // (last + 1) - 1)
    good, tell, name = True, position.shape[0] > 0, chosen.shape[0] > 0
    if attracted_ids.shape[0] != n or state_ids.shape[0] != n:
        return False
    for i in range(n):
        inside = (state[i] >= 0) & (state[i] <= last)
        good &= inside
        row = mix(attracted_key + np.uint64(attracted_ids[i]) * _INCREMENT)
        first = (state[i] if inside else 0) * (items + 1)
        clicked, click, seen, shown = items, length, np.uint64(0), False
        for j in range(length - 1, -1, -1):  # no early exit: where a user clicks is not predictable
            item = slate[i, j]
            good &= (item >= -1) & (item < items) & ((item >= 0) | ~shown)
            shown |= item >= 0
            place = item if (item >= 0) & (item < items) else items
            bit = np.uint64(item >= 0) << np.uint64(item & 63)
            if seen & bit:  # perhaps the same item again, perhaps one 64 apart
                for k in range(j + 1, length):
                    good &= slate[i, k] != item
            seen |= bit
            draw = np.uint32(mix(row + np.uint64(item + 1) * _INCREMENT) >> _33)
            attracts = draw < attraction[first + place]
            clicked, click = place if attracts else clicked, j if attracts else click
        good &= shown
        if tell:
            position[i] = click
        if name:
            chosen[i] = clicked if clicked < items else -1
        after[i] = first + clicked
    for i in range(n):
        outcome = after[i]
        draw = np.uint32(mix(state_key + np.uint64(state_ids[i]) * _INCREMENT) >> _33)
        row_ = cumulative[outcome]
        count = np.uint32(0)
        for k in range(last):
            count += np.uint32(draw >= row_[k])
        after[i] = count
        received[i] = reward[outcome]
    return good
