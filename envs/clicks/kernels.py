"""The compiled CPU side of fitting click models; the torch twins stand beside the callers."""

import numpy as np

from ethogram.simulator.kernels import Array, compiled


@compiled
def count(state: Array, slates: Array, clicks: Array, stop: Array, clicked: Array, shown: Array) -> None:
    """Add the clicks and impressions at positions 0 to ``stop[i]`` of each row to the (S, N) tables."""
    for i in range(slates.shape[0]):
        row = state[i]
        for j in range(min(stop[i] + 1, slates.shape[1])):
            item = slates[i, j]
            if item < 0:
                break
            shown[row, item] += 1
            clicked[row, item] += clicks[i, j]


@compiled
def count_positions(slates: Array, clicks: Array, clicked: Array, shown: Array) -> None:
    """Add the clicks and impressions at each position to two (m,) tables."""
    for i in range(slates.shape[0]):
        for j in range(slates.shape[1]):
            shown[j] += slates[i, j] >= 0
            clicked[j] += clicks[i, j]


@compiled
def last_true(flags: Array, out: Array) -> None:
    """The last True of each row of (n, L) bool, L where there is none."""
    length = flags.shape[1]
    for i in range(out.shape[0]):
        last = length
        for j in range(length):  # no early exit: where a user clicks is not predictable
            last = j if flags[i, j] else last
        out[i] = last


@compiled
def expect_skips(
    pair: Array, where: Array, count: Array, attraction: Array, examination: Array, attracted: Array, examined: Array
) -> None:
    """The E-step of PBM and UBM over kinds of skips, added to the last two; see ``click_fitting.fit_product``."""
    for i in range(pair.shape[0]):
        a, g = attraction[pair[i]], examination[where[i]]
        share = count[i] / max(1 - a * g, 1e-300)
        attracted[pair[i]] += share * (1 - g) * a
        examined[where[i]] += share * (1 - a) * g


@compiled
def expect(
    state: Array,
    slates: Array,
    clicks: Array,
    attraction: Array,
    satisfaction: Array,
    after_click: Array,
    after_skip: float,
    after_satisfied: float,
    examined: Array,
    satisfied: Array,
    skip_counts: Array,
    click_counts: Array,
    satisfied_counts: Array,
) -> None:
    """The E-step of the browsing models, added to the tables from ``examined`` on; see ``click_fitting.expect``."""
    length = slates.shape[1]
    forward, goes_on = np.empty(length), np.empty(length)
    for i in range(slates.shape[0]):
        row = state[i]
        shown, last, e = 0, -1, 1.0
        while shown < length and slates[i, shown] >= 0:
            a, s = attraction[row, slates[i, shown]], satisfaction[row, slates[i, shown]]
            goes = s * after_satisfied + (1 - s) * after_click[shown]
            forward[shown], goes_on[shown] = e, goes
            if clicks[i, shown]:
                last, e = shown, goes
            else:
                e = e * (1 - a) * after_skip / max(1 - e * a, 1e-300)
            shown += 1
        x = below = 0.0
        for r in range(shown - 1, -1, -1):
            item = slates[i, r]
            a, s, e = attraction[row, item], satisfaction[row, item], forward[r]
            x = a + (1 - a) * after_skip * x
            here = e * (1 - x) / max(1 - e * x, 1e-300) if r > last else 1.0  # P(E_r = 1 | all clicks)
            examined[row, item] += here
            if r < shown - 1:
                if clicks[i, r]:
                    pleased = below * s * after_satisfied / max(goes_on[r], 1e-300)  # satisfied and went on
                    content = pleased + (1 - below) * s * (1 - after_satisfied) / max(1 - goes_on[r], 1e-300)
                    satisfied[row, item] += content
                    satisfied_counts[0] += pleased
                    satisfied_counts[1] += content
                    click_counts[0, r] += below - pleased
                    click_counts[1, r] += 1 - content
                else:
                    skip_counts[0] += below
                    skip_counts[1] += here
            below = here
