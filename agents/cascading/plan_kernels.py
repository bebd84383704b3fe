"""The compiled side of optimistic planning in a cascading MDP: bounds from counts, plans from bounds.

The face of this folder documents the algorithms. The agents and the compiled runs (``run_kernels.py``) call the same
kernels, so that an agent that learns from histories one at a time and one that is run come to the same bits. S states,
N items, H steps, lists of at most m; column N of a table over items stands for no click.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ethogram.simulator.kernels import compiled

from .list_kernels import Scratch, best_list, rerank_items, search_list

_Array = np.ndarray[Any, Any]


class Rule(NamedTuple):
    """The rule by which an algorithm plans from its counts."""

    log_attraction: float  # L of the bonus on attraction, or its part that does not depend on the count
    log_transition: float  # L of the bonus on p V, likewise
    log_divergence: float  # constant part of the radius beta of the KL event; used with epsilon > 0 only
    anytime: bool  # add log(n (n + 1)) to both L
    bonus_scale: float
    variance_aware: bool
    exhaustive: bool  # search every list instead of BestPerm
    strict_paper: bool  # upper bounds on attraction even where no item is worth a click
    tightened: bool  # no value exceeds the steps that are left
    epsilon: float  # stop when the policy is known to be this good; 0: never


class Counts(NamedTuple):
    """All that is kept of the past; float64, which holds whole numbers."""

    examined: _Array  # (S, N) times that the item was looked at
    clicked: _Array  # (S, N + 1) times that it was clicked
    moves: _Array  # (S, S, N + 1) moves[s, z, a]: times that a click on a in s led to z
    visited: _Array  # (S,) bool, states whose counts have changed since the last plan


class Bounds(NamedTuple):
    """Bounds that follow from the counts of one state on their own."""

    attraction_upper: _Array  # (S, N)
    attraction_lower: _Array  # (S, N)
    log_over_n: _Array  # (S, N + 1) L / n of the transition, infinite where n = 0


class Plan(NamedTuple):
    """Values and lists for each step and state."""

    upper: _Array  # (H + 1, S) no less than V*, as long as the confidence bounds hold
    lower: _Array  # (H + 1, S) no more than V*
    value: _Array  # (H, S, N + 1) upper bound on the value of a click
    bonus: _Array  # (H, S, N + 1) half width of the bound on p V
    order: _Array  # (H, S, N) int64, items by value
    slates: _Array  # (H, S, m) int64
    error: _Array  # (H + 1, S) no less than upper minus the value of the policy; kept up with epsilon > 0 only


@compiled
def bound_state(s: int, counts: Counts, rule: Rule, bounds: Bounds) -> bool:
    """Confidence bounds from the counts of state s; empirical Bernstein for attraction. Whether an upper one moved."""
    num_items, shifted = counts.examined.shape[1], False
    for a in range(num_items):
        n, upper, lower = counts.examined[s, a], 1.0, 0.0
        if n > 0:
            mean = counts.clicked[s, a] / n
            log = rule.log_attraction + (math.log(n * (n + 1)) if rule.anytime else 0.0)
            if rule.variance_aware:
                radius = 2 * math.sqrt(mean * (1 - mean) * log / n) + 5 * log / n
            else:
                radius = 2 * math.sqrt(log / n)
            radius = min(rule.bonus_scale * radius, 1.0)
            upper, lower = min(1.0, mean + radius), max(0.0, mean - radius)
        shifted |= bounds.attraction_upper[s, a] != upper
        bounds.attraction_upper[s, a], bounds.attraction_lower[s, a] = upper, lower
    for a in range(num_items + 1):
        n = counts.clicked[s, a]
        log = rule.log_transition + (math.log(n * (n + 1)) if rule.anytime and n > 0 else 0.0)
        bounds.log_over_n[s, a] = log / n if n > 0 else np.inf
    return shifted


@compiled
def add_products(table: _Array, factor: _Array, total: _Array) -> None:
    """total[a] += table[z, a] factor[z] for z = 0, 1, …, in this order; four at a time save reads and writes."""
    rows, z = table.shape[0], 0
    while z + 4 <= rows:
        t, u, v, w = table[z], table[z + 1], table[z + 2], table[z + 3]
        p, q, r, s = factor[z], factor[z + 1], factor[z + 2], factor[z + 3]
        for a in range(total.shape[0]):
            total[a] = total[a] + t[a] * p + u[a] * q + v[a] * r + w[a] * s
        z += 4
    while z < rows:
        t, p = table[z], factor[z]
        for a in range(total.shape[0]):
            total[a] += t[a] * p
        z += 1


@compiled
def add_squares(table: _Array, value: _Array, mean: _Array, total: _Array) -> None:
    """total[a] += table[z, a] (value[z] - mean[a])^2, as ``add_products``."""
    rows, z = table.shape[0], 0
    while z + 4 <= rows:
        t, u, v, w = table[z], table[z + 1], table[z + 2], table[z + 3]
        p, q, r, s = value[z], value[z + 1], value[z + 2], value[z + 3]
        for a in range(total.shape[0]):
            x = mean[a]
            y = total[a] + t[a] * (p - x) ** 2 + u[a] * (q - x) ** 2
            total[a] = y + v[a] * (r - x) ** 2 + w[a] * (s - x) ** 2
        z += 4
    while z < rows:
        t, p = table[z], value[z]
        for a in range(total.shape[0]):
            total[a] += t[a] * (p - mean[a]) ** 2
        z += 1


@compiled
def moments(moves: _Array, times: _Array, upper: _Array, lower: _Array, out: _Array) -> None:
    """Under the empirical transition of each action: E upper, E lower, E (upper - lower)^2, Var upper, in four rows.

    moves (S, A), times (A,), out (4, A). Actions run innermost and contiguously: many at a time in one register,
    with no sum over a register's lanes. Actions never taken get zeros.
    """
    out[:] = 0
    add_products(moves, upper, out[0])
    add_products(moves, lower, out[1])
    add_products(moves, (upper - lower) ** 2, out[2])
    for a in range(moves.shape[1]):
        n = max(times[a], 1.0)
        out[0, a] /= n
        out[1, a] /= n
        out[2, a] /= n
    add_squares(moves, upper, out[0], out[3])
    for a in range(moves.shape[1]):
        out[3, a] /= max(times[a], 1.0)


@compiled
def transition_bonus(variance: float, gap: float, log_over_n: float, horizon: int, scale: float) -> float:
    """Half width of the bound on p V, at most H; ``gap`` is E (upper - lower)^2."""
    if log_over_n == np.inf:
        return float(horizon)
    radius = 2 * math.sqrt(variance * log_over_n) + 2 * math.sqrt(gap * log_over_n) + 5 * horizon * log_over_n
    return min(scale * radius, float(horizon))


@compiled
def plan_state(
    h: int, s: int, counts: Counts, bounds: Bounds, reward: _Array, rule: Rule, plan: Plan, room: Scratch, work: _Array
) -> float:
    """The optimistic list of state s at step h, and the bounds on its value, from those of step h + 1.

    Returns the lower bound as it is before negative ones become 0.
    """
    horizon, num_items = plan.order.shape[0], plan.order.shape[2]
    left = horizon - 1 - h  # steps after this one
    span = left if rule.anytime else horizon  # V lies in [0, left]; CascadingVI's bonus as remembered has H
    moments(counts.moves[s], counts.clicked[s], plan.upper[h + 1], plan.lower[h + 1], work)
    value, bonus, below = plan.value[h, s], plan.bonus[h, s], work[1]
    for a in range(num_items + 1):
        known = rule.tightened and left == 0  # nothing follows the last step
        b = 0.0 if known else transition_bonus(
            work[3, a], work[2, a], bounds.log_over_n[s, a], span, rule.bonus_scale
        )  # fmt: skip
        w = reward[s, a] + work[0, a] + b
        value[a] = min(w, reward[s, a] + left) if rule.tightened else w
        below[a] = reward[s, a] + work[1, a] - b
        bonus[a] = b
    upper, lower, slate = bounds.attraction_upper[s], bounds.attraction_lower[s], plan.slates[h, s]
    if_none_worth = upper if rule.strict_paper else lower
    if rule.exhaustive:
        best = search_list(upper, value[:num_items], value[num_items], if_none_worth, slate)
    else:
        order, items = plan.order[h, s], value[:num_items]
        rerank_items(items, order)
        best = best_list(upper, items, value[num_items], if_none_worth, order, room, slate)
    plan.upper[h, s] = min(best, left + 1.0 if rule.tightened else float(horizon))
    tail = below[num_items]
    for i in range(slate.shape[0] - 1, -1, -1):
        a = slate[i]
        if a >= 0:
            tail = lower[a] * below[a] + (1 - upper[a]) * tail
    plan.lower[h, s] = max(tail, 0.0)
    return tail


@compiled
def click_error(h: int, s: int, a: int, counts: Counts, rule: Rule, plan: Plan) -> float:
    """X(s, a): how far the upper bound on the value of a click may exceed the policy's value of it."""
    horizon, num_states = plan.order.shape[0], plan.order.shape[1]
    left, n = horizon - 1 - h, counts.clicked[s, a]
    if left == 0 or n == 0:
        return float(left)
    mean = 0.0
    for z in range(num_states):
        mean += counts.moves[s, z, a] * plan.error[h + 1, z]
    beta = rule.log_divergence
    if num_states > 1:
        beta += (num_states - 1) * (1 + math.log(1 + n / (num_states - 1)))
    error = 2 * plan.bonus[h, s, a] + 9 * horizon**2 * beta / n + (1 + 2 / horizon) * mean / n
    return min(float(left), error)


@compiled
def estimation_error(h: int, s: int, counts: Counts, bounds: Bounds, rule: Rule, plan: Plan) -> float:
    """G_h(s), by a walk up the list: no less than upper[h, s] minus the value of the policy."""
    horizon, num_items = plan.order.shape[0], plan.order.shape[2]
    value, slate = plan.value[h, s], plan.slates[h, s]
    error, tail = click_error(h, s, num_items, counts, rule, plan), value[num_items]
    for i in range(slate.shape[0] - 1, -1, -1):
        a = slate[i]
        if a < 0:
            continue
        upper, lower = bounds.attraction_upper[s, a], bounds.attraction_lower[s, a]
        x = click_error(h, s, a, counts, rule, plan)
        ends = max(lower * x + (1 - lower) * error, upper * x + (1 - upper) * error)
        if value[a] > value[num_items]:
            error = (upper - lower) * max(0.0, value[a] - tail) + ends
            tail = upper * value[a] + (1 - upper) * tail
        else:  # no item is worth a click: planned with the lower bound
            error = (upper - lower) * max(0.0, tail - value[a]) + ends
            tail = lower * value[a] + (1 - lower) * tail
    return min(error, float(horizon - h))


@compiled
def first_row_outside(table: _Array, least: int, below: int) -> int:
    """The first row of (n, K) integers with one outside [least, below); -1 where there is none."""
    for i in range(table.shape[0]):
        outside = False
        for j in range(table.shape[1]):
            outside |= (table[i, j] < least) | (table[i, j] >= below)
        if outside:
            return i
    return -1


@compiled
def first_row_off_slate(slates: _Array, clicks: _Array, lengths: _Array) -> int:
    """The first row with a click on an empty position; -1 where there is none. Arguments as in ``count_episodes``."""
    for i in range(slates.shape[0]):
        for t in range(lengths[i]):
            if clicks[i, t] < slates.shape[2] and slates[i, t, clicks[i, t]] < 0:
                return i
    return -1


@compiled
def count_step(s: int, slate: _Array, click: int, after: int, counts: Counts) -> None:
    """One step: what was examined, what was clicked, and where that led."""
    length, item = slate.shape[0], counts.examined.shape[1]
    for i in range(min(click + 1, length)):
        if slate[i] < 0:
            break
        counts.examined[s, slate[i]] += 1
    if click < length:
        item = slate[click]
    counts.clicked[s, item] += 1
    counts.moves[s, after, item] += 1
    counts.visited[s] = True


@compiled
def count_episodes(states: _Array, slates: _Array, clicks: _Array, lengths: _Array, counts: Counts) -> None:
    """All steps of histories: states (n, T + 1), slates (n, T, m), clicks (n, T), lengths (n,)."""
    for i in range(states.shape[0]):
        for t in range(lengths[i]):
            count_step(states[i, t], slates[i, t], clicks[i, t], states[i, t + 1], counts)
