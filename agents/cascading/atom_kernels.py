"""The same with whole lists as actions."""

import math
from typing import Any, NamedTuple

import numpy as np

from ethogram.simulator.kernels import compiled

from .plan_kernels import moments, transition_bonus
from .run_kernels import TrueMDP, evaluate, first_click, next_state

_Array = np.ndarray[Any, Any]


class ListCounts(NamedTuple):
    """AdaptVI's memory of the past, for each of L lists."""

    shown: _Array  # (S, L)
    reward: _Array  # (S, L) sum of rewards
    squares: _Array  # (S, L) sum of squared rewards
    moves: _Array  # (S, S, L)
    visited: _Array  # (S,) bool


class ListPlan(NamedTuple):
    """Values and lists for each step and state, and which list that is."""

    upper: _Array  # (H + 1, S)
    lower: _Array  # (H + 1, S)
    chosen: _Array  # (H, S) int64, index of the list
    slates: _Array  # (H, S, m) int64


@compiled
def replan_lists(
    counts: ListCounts, log: float, tightened: bool, lists: _Array, plan: ListPlan, first: int, last: int
) -> None:
    """Optimistic values with each list as one action; at step 0 for states first to last - 1 only."""
    horizon, num_states = plan.chosen.shape
    work = np.empty((4, lists.shape[0]))
    next_changed = False
    for h in range(horizon - 1, -1, -1):
        changed, left = False, horizon - 1 - h
        for s in range(first if h == 0 else 0, last if h == 0 else num_states):
            if not (next_changed or counts.visited[s]):
                continue
            moments(counts.moves[s], counts.shown[s], plan.upper[h + 1], plan.lower[h + 1], work)
            best, best_lower, chosen = -np.inf, 0.0, 0
            for a in range(lists.shape[0]):
                n = counts.shown[s, a]
                high, low, mean, log_over_n = 1.0, 0.0, 0.0, np.inf
                if n > 0:
                    log_over_n, mean = log / n, counts.reward[s, a] / n
                    variance = max(counts.squares[s, a] / n - mean**2, 0.0)
                    radius = 2 * math.sqrt(variance * log_over_n) + 5 * log_over_n
                    high, low = min(1.0, mean + radius), max(0.0, mean - radius)
                known = tightened and left == 0
                b = 0.0 if known else transition_bonus(work[3, a], work[2, a], log_over_n, horizon, 1.0)
                q = high + work[0, a] + b
                q = min(q, high + left) if tightened else q
                if q > best:
                    best, best_lower, chosen = q, low + work[1, a] - b, a
            best, best_lower = min(best, left + 1.0 if tightened else float(horizon)), max(best_lower, 0.0)
            changed |= best != plan.upper[h, s] or best_lower != plan.lower[h, s]
            plan.upper[h, s], plan.lower[h, s], plan.chosen[h, s] = best, best_lower, chosen
            plan.slates[h, s] = lists[chosen]
        next_changed = changed
    counts.visited[:] = False


@compiled
def count_list_step(s: int, a: int, reward: float, after: int, counts: ListCounts) -> None:
    """One step: the list shown, the reward it brought, and where it led."""
    counts.shown[s, a] += 1
    counts.reward[s, a] += reward
    counts.squares[s, a] += reward * reward
    counts.moves[s, after, a] += 1
    counts.visited[s] = True


@compiled
def count_list_episodes(states: _Array, chosen: _Array, rewards: _Array, lengths: _Array, counts: ListCounts) -> None:
    """All steps of histories: states (n, T + 1), chosen (n, T) list indices, rewards (n, T), lengths (n,)."""
    for i in range(states.shape[0]):
        for t in range(lengths[i]):
            count_list_step(states[i, t], chosen[i, t], rewards[i, t], states[i, t + 1], counts)


@compiled
def run_adapt(
    world: TrueMDP,
    counts: ListCounts,
    log: float,
    tightened: bool,
    lists: _Array,
    plan: ListPlan,
    attracted: _Array,
    moved: _Array,
    curve: _Array,
) -> None:
    """Episodes of AdaptVI; arguments as ``run_cascading``, without its estimation error."""
    horizon, num_states, length = plan.slates.shape
    values = np.empty((horizon + 1, num_states))
    for k in range(curve.shape[1]):
        replan_lists(counts, log, tightened, lists, plan, world.initial, world.initial + 1)
        curve[0, k], curve[1, k] = evaluate(plan.slates, world, values), plan.upper[0, world.initial]
        s = world.initial
        for h in range(horizon):
            slate = plan.slates[h, s]
            click = first_click(s, slate, attracted[h, k], world)
            item = slate[click] if click < length else world.attraction.shape[1]
            after = next_state(s, item, moved[h, k], world)
            reward = np.float64(np.float32(world.reward[s, item]))  # rewards are recorded as float32
            count_list_step(s, plan.chosen[h, s], reward, after, counts)
            s = after
    counts.visited[:] = True
    replan_lists(counts, log, tightened, lists, plan, 0, num_states)
