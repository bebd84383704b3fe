"""Compiled episodes in a known MDP."""

from typing import Any, NamedTuple

import numpy as np

from ethogram.simulator.kernels import compiled

from .plan_kernels import Bounds, Counts, Plan, Rule, count_step
from .replan_kernels import Leeway, replan

_Array = np.ndarray[Any, Any]


class TrueMDP(NamedTuple):
    """The true MDP, of which runs draw and which they evaluate policies in."""

    attraction: _Array  # (S, N)
    transition: _Array  # (S, N + 1, S)
    reward: _Array  # (S, N + 1), 0 for no click
    initial: int


@compiled
def first_click(s: int, slate: _Array, luck: _Array, world: TrueMDP) -> int:
    """The position of the first item that attracts; m if none does. luck: (N,) float32, one draw an item."""
    for i in range(slate.shape[0]):
        a = slate[i]
        if a < 0:
            break
        if luck[a] < world.attraction[s, a]:
            return i
    return slate.shape[0]


@compiled
def next_state(s: int, item: int, luck: float, world: TrueMDP) -> int:
    """The state after a click on ``item``, by inverting the cumulative distribution as ``draws.categorical`` does."""
    row, after = world.transition[s, item], 0
    cumulative = row[0]
    while after < row.shape[0] - 1 and luck >= cumulative:
        after += 1
        cumulative += row[after]
    return after


@compiled
def click_values(s: int, items: _Array, world: TrueMDP, next_values: _Array, click: _Array) -> None:
    """click[i] = r(s, a) + p(. | s, a) V for a = items[i], a multiple of 4: four sums at once, each in order."""
    for i in range(0, items.shape[0], 4):
        a, b, c, d = items[i], items[i + 1], items[i + 2], items[i + 3]
        p, q, r, t = world.transition[s, a], world.transition[s, b], world.transition[s, c], world.transition[s, d]
        w, x, y, z = world.reward[s, a], world.reward[s, b], world.reward[s, c], world.reward[s, d]
        for after in range(next_values.shape[0]):
            value = next_values[after]
            w += p[after] * value
            x += q[after] * value
            y += r[after] * value
            z += t[after] * value
        click[i], click[i + 1], click[i + 2], click[i + 3] = w, x, y, z


@compiled
def reevaluate(slates: _Array, world: TrueMDP, values: _Array, relisted: _Array) -> float:
    """``evaluate`` where values (H + 1, S) are those of a policy whose lists differ at ``relisted`` steps (H,) only.

    A step is evaluated where its lists or the values after it have changed. Notes what is done in ``relisted``.
    """
    horizon, num_states, length = slates.shape
    nothing = world.attraction.shape[1]
    items = np.empty(length + 4 - length % 4, np.int64)
    click = np.empty(items.shape[0])
    values[horizon] = 0
    next_changed = False
    for h in range(horizon - 1, -1, -1):
        if not (next_changed or relisted[h]):
            continue
        after = values[h + 1] if h < horizon - 1 else values[0, :0]  # nothing follows the last step
        first, last = (world.initial, world.initial + 1) if h == 0 else (0, num_states)
        next_changed, relisted[h] = False, False
        for s in range(first, last):
            for i in range(items.shape[0]):
                items[i] = slates[h, s, i] if i < length and slates[h, s, i] >= 0 else nothing
            click_values(s, items, world, after, click)
            tail = click[length]
            for i in range(length - 1, -1, -1):
                if items[i] < nothing:
                    u = world.attraction[s, items[i]]
                    tail = u * click[i] + (1 - u) * tail
            next_changed |= values[h, s] != tail
            values[h, s] = tail
    return values[0, world.initial]


@compiled
def evaluate(slates: _Array, world: TrueMDP, values: _Array) -> float:
    """The exact value of a policy in the initial state; values (H + 1, S) is room to work in."""
    return reevaluate(slates, world, values, np.ones(slates.shape[0], np.bool_))


@compiled
def run_cascading(
    world: TrueMDP,
    counts: Counts,
    bounds: Bounds,
    rule: Rule,
    plan: Plan,
    leeway: Leeway,
    attracted: _Array,
    moved: _Array,
    curve: _Array,
) -> int:
    """Episodes of CascadingVI or CascadingBPI: plan, note the values, play, count. Returns how many were played.

    attracted: (H, K, N) float32, luck of each item. moved: (H, K) float32, luck of the next state. curve: (3, K),
    receives the policy's value, its upper bound, and the estimation error, in the initial state.
    """
    horizon, num_states, length = plan.slates.shape
    values = np.zeros((horizon + 1, num_states))
    for h in range(horizon):
        leeway.relisted[h] = True
    start, played = world.initial, curve.shape[1]
    for k in range(curve.shape[1]):
        replan(counts, bounds, world.reward, rule, plan, leeway, start, start + 1)
        if rule.epsilon > 0 and plan.error[0, start] <= rule.epsilon:
            played = k
            break
        curve[0, k], curve[1, k] = reevaluate(plan.slates, world, values, leeway.relisted), plan.upper[0, start]
        curve[2, k] = plan.error[0, start]
        s = start
        for h in range(horizon):
            slate = plan.slates[h, s]
            click = first_click(s, slate, attracted[h, k], world)
            item = slate[click] if click < length else counts.examined.shape[1]
            after = next_state(s, item, moved[h, k], world)
            count_step(s, slate, click, after, counts)
            s = after
    none = np.int64(0)  # a constant would have replan compiled once more, for it
    replan(counts, bounds, world.reward, rule, plan, leeway, none, num_states)
    return played
