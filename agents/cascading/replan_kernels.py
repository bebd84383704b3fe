"""The compiled side of planning again: what new counts leave as it was, to the bit, is not computed.

After an episode a few states have new counts, and the values of most steps move a little. What a state's plan is made
of stands or falls apart: the values of clicks, the list, the lower bound.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

from ethogram.simulator.kernels import compiled

from .list_kernels import Scratch, best_list, scratch
from .plan_kernels import Bounds, Counts, Plan, Rule, bound_state, estimation_error, plan_state, transition_bonus

_Array = np.ndarray[Any, Any]


def inlined(function: Callable[..., Any]) -> Any:
    """As ``compiled``, for what takes less time than a call that hands over so many tables."""
    return numba.njit(inline="always")(function)


class Leeway(NamedTuple):
    """How far the bounds of the next step may move before the plan of a state can change.

    Where every click is worth all that is left to gain, by a margin, small changes of the next step's bounds leave the
    values of clicks as they are, and with them the list and the upper bound. The lower bound stays where it is 0, by a
    margin.
    """

    moved: _Array  # (H + 1,) how far the bounds of a step have moved so far, the largest move of each replan summed
    until: _Array  # (H, S) the plan stands while moved[h + 1] is no larger; -inf: it was not made
    clipped: _Array  # (H, S) the values of clicks stand while moved[h + 1] is no larger; -inf: any move may change them
    seen: _Array  # (S, N + 1) the clicks that the plan was made from
    relisted: _Array  # (H,) bool: whether a list has changed since this was last set to False


class Room(NamedTuple):
    """Memory to plan in."""

    search: Scratch
    work: _Array  # (4, N + 1) as ``moments`` fills it
    slate: _Array  # (m,) int64, a list as it was
    columns: _Array  # (4 k,) int64, the items of a list, and no click to the end
    listed: _Array  # (3, 4 k) of these, as ``listed_moments`` fills it
    shifted: _Array  # (S,) bool, whether the upper bounds on attraction have changed


class Column(NamedTuple):
    """``moments`` of one action."""

    upper: float
    lower: float
    gap: float
    variance: float


@compiled
def make_room(num_states: int, num_items: int, length: int) -> Room:
    """Room for states like these."""
    fours, shifted = length + 4 - length % 4, np.empty(num_states, np.bool_)
    slate, columns, listed = np.empty(length, np.int64), np.empty(fours, np.int64), np.empty((3, fours))
    return Room(scratch(num_items, length), np.empty((4, num_items + 1)), slate, columns, listed, shifted)


@inlined
def column_moments(moves: _Array, a: int, times: float, upper: _Array, lower: _Array) -> Column:
    """``moments`` of action a alone, to the same bits: the same terms in the same order."""
    x, y, gap, variance = 0.0, 0.0, 0.0, 0.0
    for z in range(upper.shape[0]):
        n, u, w = moves[z, a], upper[z], lower[z]
        x += n * u
        y += n * w
        gap += n * ((u - w) * (u - w))
    n = max(times, 1.0)
    x /= n
    for z in range(upper.shape[0]):
        d = upper[z] - x
        variance += moves[z, a] * (d * d)
    return Column(x, y / n, gap / n, variance / n)


@inlined
def listed_moments(moves: _Array, columns: _Array, times: _Array, upper: _Array, lower: _Array, out: _Array) -> None:
    """``moments`` of some actions, a multiple of 4, four sums at once: E lower, E (upper - lower)^2, Var upper."""
    for i in range(0, columns.shape[0], 4):
        a, b, c, d = columns[i], columns[i + 1], columns[i + 2], columns[i + 3]
        j, k, m, n = max(times[a], 1.0), max(times[b], 1.0), max(times[c], 1.0), max(times[d], 1.0)
        e = f = g = h = 0.0
        p = q = r = s = 0.0
        w = x = y = z = 0.0
        for after in range(upper.shape[0]):
            row, high, low = moves[after], upper[after], lower[after]
            gap = (high - low) * (high - low)
            e += row[a] * high
            f += row[b] * high
            g += row[c] * high
            h += row[d] * high
            p += row[a] * low
            q += row[b] * low
            r += row[c] * low
            s += row[d] * low
            w += row[a] * gap
            x += row[b] * gap
            y += row[c] * gap
            z += row[d] * gap
        out[0, i], out[0, i + 1], out[0, i + 2], out[0, i + 3] = p / j, q / k, r / m, s / n
        out[1, i], out[1, i + 1], out[1, i + 2], out[1, i + 3] = w / j, x / k, y / m, z / n
        e, f, g, h = e / j, f / k, g / m, h / n
        w = x = y = z = 0.0
        for after in range(upper.shape[0]):
            row, high = moves[after], upper[after]
            w += row[a] * ((high - e) * (high - e))
            x += row[b] * ((high - f) * (high - f))
            y += row[c] * ((high - g) * (high - g))
            z += row[d] * ((high - h) * (high - h))
        out[2, i], out[2, i + 1], out[2, i + 2], out[2, i + 3] = w / j, x / k, y / m, z / n


@inlined
def click_room(upper: float, bonus: float, log_over_n: float, scale: float, left: int) -> float:
    """How far the next step's bounds may move while a click is worth ``left`` more than its reward; at most 0: not at
    all.

    Let no bound of the next step move by more than d. Then E upper and E lower move by d at most, and so do the
    standard deviation of upper and the root of E (upper - lower)^2, by d and 2 d, being norms. Hence the value of a
    click and the lower bound on it move by d (1 + 6 c), c = scale sqrt(L / n), at most; where a click is worth more
    than what is left to gain by more than that, its value stays clipped. With so few clicks that the bonus is H
    whatever V is, the value is clipped for good. Half of it is given, which leaves room for rounding.
    """
    if not scale * 5 * log_over_n < 1:  # counts alone make the bonus H, which is more than is left
        return np.inf
    room = (upper + bonus - left) / (1 + 6 * scale * math.sqrt(log_over_n))
    return 0.5 * room if room > 1e-6 else 0.0


@inlined
def state_room(work: _Array, bonus: _Array, log_over_n: _Array, scale: float, left: int) -> float:
    """``click_room`` of all clicks of a state just planned; -inf where there is none."""
    room = np.inf
    for a in range(bonus.shape[0]):
        room = min(room, click_room(work[0, a], bonus[a], log_over_n[a], scale, left))
        if room <= 0:
            return -np.inf
    return room


@inlined
def values_stand(h: int, s: int, counts: Counts, bounds: Bounds, rule: Rule, plan: Plan, leeway: Leeway) -> bool:
    """Whether no click's value has changed: those of unchanged counts by their leeway, the others by a look."""
    horizon, moved = plan.order.shape[0], leeway.moved[h + 1]
    if moved > leeway.clipped[h, s]:
        return False
    left = horizon - 1 - h
    if not counts.visited[s] or left == 0:
        return True
    for a in range(leeway.seen.shape[1]):
        if leeway.seen[s, a] == counts.clicked[s, a]:
            continue
        log_over_n, room = bounds.log_over_n[s, a], np.inf
        if rule.bonus_scale * 5 * log_over_n < 1:
            column = column_moments(counts.moves[s], a, counts.clicked[s, a], plan.upper[h + 1], plan.lower[h + 1])
            bonus = transition_bonus(column.variance, column.gap, log_over_n, horizon, rule.bonus_scale)
            room = click_room(column.upper, bonus, log_over_n, rule.bonus_scale, left)
        if room <= 0:
            return False
        leeway.clipped[h, s] = min(leeway.clipped[h, s], moved + room)
    return True


@inlined
def bound_list(
    h: int, s: int, counts: Counts, bounds: Bounds, reward: _Array, rule: Rule, plan: Plan, room: Room
) -> float:
    """The lower bound of a list, as ``plan_state`` finds it, before negative ones become 0, from its clicks alone."""
    horizon, num_items = plan.order.shape[0], plan.order.shape[2]
    left, length = horizon - 1 - h, plan.slates.shape[2]
    columns, listed = room.columns, room.listed
    for i in range(columns.shape[0]):
        columns[i] = plan.slates[h, s, i] if i < length and plan.slates[h, s, i] >= 0 else num_items
    if left > 0:
        listed_moments(counts.moves[s], columns, counts.clicked[s], plan.upper[h + 1], plan.lower[h + 1], listed)
    tail = 0.0
    for i in range(length, -1, -1):
        a = columns[i]
        if a == num_items and i < length:
            continue
        below = reward[s, a]
        if left > 0:
            log_over_n = bounds.log_over_n[s, a]
            bonus = transition_bonus(listed[2, i], listed[1, i], log_over_n, horizon, rule.bonus_scale)
            below = reward[s, a] + listed[0, i] - bonus
        if a == num_items:
            tail = below
        else:
            tail = bounds.attraction_lower[s, a] * below + (1 - bounds.attraction_upper[s, a]) * tail
    return tail


@inlined
def list_room(h: int, s: int, bounds: Bounds, plan: Plan, scale: float, tail: float) -> float:
    """How far the next step's bounds may move while the lower bound of a list stays 0, by the same reasoning.

    tail: the lower bound before it was clipped.
    """
    weight, widest = 1.0, bounds.log_over_n[s, plan.order.shape[2]]  # its values move it by no more than weight times
    for i in range(plan.slates.shape[2] - 1, -1, -1):
        a = plan.slates[h, s, i]
        if a >= 0:
            weight = bounds.attraction_lower[s, a] + (1 - bounds.attraction_upper[s, a]) * weight
            widest = max(widest, bounds.log_over_n[s, a])
    if weight == 0:  # the first item may attract surely or never, and the lower bound is 0 whatever follows
        return np.inf
    slope = 6 * math.sqrt(min(scale * scale * widest, 0.2 * scale))  # beyond, the bonus is H whatever V is
    room = -tail / (weight * (1 + slope))
    return 0.5 * room if room > 1e-6 else 0.0


@inlined
def relist(h: int, s: int, bounds: Bounds, rule: Rule, plan: Plan, room: Room) -> None:
    """The list of a state whose upper bounds on attraction have changed and whose values of clicks have not."""
    upper, lower = bounds.attraction_upper[s], bounds.attraction_lower[s]
    num_items, value = plan.order.shape[2], plan.value[h, s]
    none = lower if not rule.strict_paper else upper
    order, slate = plan.order[h, s], plan.slates[h, s]
    best = best_list(upper, value[:num_items], value[num_items], none, order, room.search, slate)
    plan.upper[h, s] = min(best, plan.order.shape[0] - h + 0.0)


@inlined
def replan_state(
    h: int, s: int, counts: Counts, bounds: Bounds, reward: _Array, rule: Rule, plan: Plan, leeway: Leeway, room: Room
) -> None:
    """The plan of a state at a step, of which only that is computed which may have changed."""
    left, moved = plan.order.shape[0] - 1 - h, leeway.moved[h + 1]
    stand = values_stand(h, s, counts, bounds, rule, plan, leeway)
    worth = plan.value[h, s, plan.order[h, s, 0]] > plan.value[h, s, plan.order.shape[2]]  # an item is worth a click
    keep = stand and not (counts.visited[s] and (room.shifted[s] or not worth))
    if not keep:
        for i in range(plan.slates.shape[2]):
            room.slate[i] = plan.slates[h, s, i]
        if stand:
            relist(h, s, bounds, rule, plan, room)
        else:
            tail = plan_state(h, s, counts, bounds, reward, rule, plan, room.search, room.work)
        for i in range(plan.slates.shape[2]):
            leeway.relisted[h] |= room.slate[i] != plan.slates[h, s, i]
    if stand:
        tail = bound_list(h, s, counts, bounds, reward, rule, plan, room)
        plan.lower[h, s] = max(tail, 0.0)
    else:
        leeway.clipped[h, s] = -np.inf
        if rule.epsilon == 0 and rule.tightened and not rule.exhaustive:
            free = np.inf
            if left > 0:
                free = state_room(room.work, plan.bonus[h, s], bounds.log_over_n[s], rule.bonus_scale, left)
            leeway.clipped[h, s] = moved + free
    leeway.until[h, s] = moved
    if leeway.clipped[h, s] > moved:
        leeway.until[h, s] = min(leeway.clipped[h, s], moved + list_room(h, s, bounds, plan, rule.bonus_scale, tail))


@compiled
def next_stale(s: int, end: int, visited: _Array, until: _Array, moved: float) -> int:
    """The first state from s on whose plan does not stand; ``end`` where there is none."""
    while s < end and not visited[s] and moved <= until[s]:
        s += 1
    return s


@compiled
def replan(
    counts: Counts, bounds: Bounds, reward: _Array, rule: Rule, plan: Plan, leeway: Leeway, first: int, last: int
) -> None:
    """The plan after the visited states' counts have changed; at step 0 for states first to last - 1 only.

    A state's plan depends on its own counts and on the values of the next step: where neither has changed, it
    stands. At the last step this leaves the visited states. It also stands where the values of the next step have
    changed by less than matters: there ``plan.bonus`` alone is out of date, which nobody but CascadingBPI reads.
    """
    horizon, num_states, num_items = plan.order.shape
    room = make_room(num_states, num_items, plan.slates.shape[2])
    for s in range(num_states):
        if counts.visited[s]:
            room.shifted[s] = bound_state(s, counts, rule, bounds)
    for h in range(horizon - 1, -1, -1):
        changed, move, moved, end = False, 0.0, leeway.moved[h + 1], last if h == 0 else num_states
        s = next_stale(first if h == 0 else 0, end, counts.visited, leeway.until[h], moved)
        while s < end:
            upper, lower = plan.upper[h, s], plan.lower[h, s]
            replan_state(h, s, counts, bounds, reward, rule, plan, leeway, room)
            changed |= upper != plan.upper[h, s] or lower != plan.lower[h, s]
            move = max(move, abs(upper - plan.upper[h, s]), abs(lower - plan.lower[h, s]))
            s = next_stale(s + 1, end, counts.visited, leeway.until[h], moved)
        if changed:
            leeway.moved[h] += max(move, 1e-9)  # no move is lost to rounding
    for s in range(num_states):
        if counts.visited[s]:
            for a in range(num_items + 1):
                leeway.seen[s, a] = counts.clicked[s, a]
            if not first <= s < last:
                leeway.until[0, s] = leeway.clipped[0, s] = -np.inf
            counts.visited[s] = False
    if rule.epsilon > 0:
        for h in range(horizon - 1, -1, -1):
            for s in range(first if h == 0 else 0, last if h == 0 else num_states):
                plan.error[h, s] = estimation_error(h, s, counts, bounds, rule, plan)
