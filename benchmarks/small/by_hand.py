"""The peers of ``small_runs.py``: the same jobs by hand, in NumPy, in numba and in plain Python, without ethogram."""

import math
import random
from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, Any]
INCREMENT, M1, M2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _33 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(33)


class Forms:
    """The world of ``sessions.Form`` as a vector environment in NumPy; rows restart on the step after the end.

    slips: (pages, 3) probability that an action does nothing. leaves: probability of giving up, a step.
    """

    def __init__(self, num_envs: int, horizon: int, slips: Array, leaves: float) -> None:
        self.horizon, self.slips, self.leaves, self.last = horizon, slips, np.float32(leaves), len(slips)
        self.moves = np.array([-1, 1, 0])
        self.random = np.random.default_rng(0)
        self.page, self.age = np.zeros(num_envs, np.int64), np.zeros(num_envs, np.int64)
        self.done = np.zeros(num_envs, np.bool_)

    def step(self, action: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """One step of every row."""
        luck = self.random.random((2, len(action)), np.float32)
        going = ~self.done
        moves = self.moves[action]
        moves[luck[0] < self.slips[np.minimum(self.page, self.last - 1), action]] = 0
        page = np.clip(self.page + moves, 0, self.last)
        page[self.done] = 0
        sent = page == self.last
        terminated = (sent | (luck[1] < self.leaves)) & going
        reward = sent * np.float32(1) - np.float32(0.01)
        reward[self.done] = 0
        self.age = (self.age + 1) * going
        truncated = (self.age >= self.horizon) & ~terminated
        self.page, self.done = page, terminated | truncated
        return page.copy(), reward, terminated, truncated, {}


@numba.njit(inline="always")
def mix(z: Any) -> Any:
    """SplitMix64's output function."""
    z = (z ^ (z >> _30)) * M1
    z = (z ^ (z >> _27)) * M2
    return z ^ (z >> _31)


class Sessions:
    """A cascading MDP as a vector environment in numba; rows restart on the step after the end."""

    def __init__(self, num_envs: int, mdp: Any) -> None:
        self.tables = mdp.attraction.numpy(), mdp.reward.numpy(), mdp.transition.numpy().cumsum(2)
        self.horizon, self.initial = mdp.horizon, mdp.initial
        self.state, self.age = np.full(num_envs, mdp.initial), np.zeros(num_envs, np.int64)
        self.luck = np.arange(num_envs).astype(np.uint64) * M1

    def step(self, slates: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """One step of every row."""
        n = len(slates)
        observation, reward, truncated = np.empty(n, np.int64), np.empty(n, np.float32), np.empty(n, np.bool_)
        out = observation, reward, truncated
        if not session_step(slates, *self.tables, self.horizon, self.initial, self.state, self.age, self.luck, *out):
            raise ValueError("a slate repeats an item or leaves the range")
        return observation, reward, np.zeros(n, np.bool_), truncated, {}


@numba.njit(cache=True)
def session_step(
    slates: Array,
    attraction: Array,
    reward: Array,
    cumulative: Array,
    horizon: int,
    initial: int,
    state: Array,
    age: Array,
    luck: Array,
    observation: Array,
    received: Array,
    truncated: Array,
) -> bool:
    """Look down each slate until the first click, pay, move on."""
    items, good = attraction.shape[1], True
    for i in range(slates.shape[0]):
        if age[i] == horizon:
            age[i], state[i], observation[i], received[i], truncated[i] = 0, initial, initial, 0, False
            continue
        s, clicked = state[i], items
        for j in range(slates.shape[1]):
            a = slates[i, j]
            for k in range(j):
                good &= slates[i, k] != a
            if a < 0 or a >= items:
                return False
            luck[i] += INCREMENT
            if clicked == items and (mix(luck[i]) >> _33) * 2.0**-31 < attraction[s, a]:
                clicked = a
        luck[i] += INCREMENT
        u, after = (mix(luck[i]) >> _33) * 2.0**-31, 0
        while after < cumulative.shape[2] - 1 and u >= cumulative[s, clicked, after]:
            after += 1
        received[i] = reward[s, clicked] if clicked < items else 0
        age[i] += 1
        state[i] = observation[i] = after
        truncated[i] = age[i] == horizon
    return good


@numba.njit(cache=True)
def best_list(attraction: Array, value: Array, no_click: float, length: int) -> Any:
    """(list, its value) by the dynamic program as one writes it down, for one state."""
    order = np.argsort(-value)
    worth = 0
    while worth < len(order) and value[order[worth]] > no_click:
        worth += 1
    best, take = np.full((worth + 1, length + 1), no_click), np.zeros((worth + 1, length + 1), np.bool_)
    for i in range(worth - 1, -1, -1):
        u, w = attraction[order[i]], value[order[i]]
        for k in range(1, length + 1):
            with_it = u * w + (1 - u) * best[i + 1, k - 1]
            take[i, k] = with_it > best[i + 1, k]
            best[i, k] = max(with_it, best[i + 1, k])
    slate, k, at = np.full(length, -1), length, 0
    for i in range(worth):
        if k and take[i, k]:
            slate[at] = order[i]
            at, k = at + 1, k - 1
    return slate, best[0, length]


@numba.njit(cache=True)
def best_lists(attraction: Array, value: Array, no_click: Array, length: int) -> Any:
    """The same for a batch."""
    slates, values = np.empty((len(value), length), np.int64), np.empty(len(value))
    for row in range(len(value)):
        slates[row], values[row] = best_list(attraction[row], value[row], no_click[row], length)
    return slates, values


def best_value(u: list[float], w: list[float], no_click: float, length: int) -> float:
    """The dynamic program in plain Python."""
    worth = sorted((a for a in range(len(w)) if w[a] > no_click), key=lambda a: -w[a])
    best: list[tuple[float, tuple[int, ...]]] = [(no_click, ())] + [(float("-inf"), ())] * length
    for a in reversed(worth):
        gain, miss = u[a] * w[a], 1 - u[a]
        for k in range(length, 0, -1):
            value = gain + miss * best[k - 1][0]
            if value > best[k][0]:
                best[k] = value, (a, *best[k - 1][1])
    return best[min(length, len(worth))][0]


class TwoKernels:
    """SEIR with the two kernels of ethogram at commit 5dc25fc, in buffers that are kept: what its days cost alone.

    keys: (T, 3) uint64 of its draws of infection, onset and recovery; limits: (3, 256) uint64, below which a draw
    (31 bits) lets each happen, the first by the number of infectious contacts; stage: (n,) int8 at the start.
    """

    def __init__(self, start: Array, target: Array, keys: Array, limits: Array, stage: Array) -> None:
        self.start, self.target = start.view(f"u{start.itemsize}"), target.view(f"u{target.itemsize}")
        self.keys, self.limits, self.first = keys, limits, stage
        n = len(stage)
        self.stage, self.count = np.empty(n, np.int8), np.empty(n, np.uint8)
        self.sends = np.zeros((2, -(-n // 8) * 8), np.bool_)  # today, yesterday

    def __call__(self) -> Array:
        """How many are infectious on each day."""
        self.stage[:], self.count[:], self.sends[:] = self.first, 0, False
        now, before, n = *self.sends, len(self.stage)
        curve = np.zeros(len(self.keys))
        for t, keys in enumerate(self.keys):
            np.equal(self.stage, 2, out=now[:n])
            curve[t] = np.count_nonzero(now)
            push(self.start, self.target, now, before, now.view(np.uint64), before.view(np.uint64), self.count)
            day(keys, self.limits, self.stage, self.count)
            now, before = before, now
        return curve


@numba.njit(cache=True, error_model="numpy")
def push(start: Array, target: Array, now: Array, before: Array, now8: Array, before8: Array, count: Array) -> Any:
    """count[j] goes up for each contact of who begins to send, and down for each of who stops."""
    n, held, touched, who = count.shape[0], 0, np.uint32(0), np.empty(72, np.uint32)
    for w in range(now8.shape[0] + 1):
        if w < now8.shape[0] and now8[w] == before8[w]:
            continue
        for i in range(8 * w, min(8 * w + 8, n)):
            who[held] = i
            held += now[i] != before[i]
        if held < 64 and w < now8.shape[0]:
            continue
        for k in range(held):  # asks for memory early
            if start[who[k]] < start[who[k] + np.uint32(1)]:
                touched += target[start[who[k]]]
        for k in range(held):
            i = who[k]
            for e in range(start[i], start[i + np.uint32(1)]):
                count[target[e]] += np.int64(now[i]) - np.int64(before[i])
        held = 0
    return touched


@numba.njit(cache=True, error_model="numpy")
def day(keys: Array, limits: Array, stage: Array, count: Array) -> None:
    """What happens to each person; in passes without branches."""
    who, may, limit = np.empty(4097, np.uint32), np.empty(4096, np.uint8), limits.ravel()
    none = np.uint64(0)
    for first in range(0, stage.shape[0], 4096):
        s, c = stage[first : first + 4096], count[first : first + 4096]
        held, happens = none, none
        for i in range(s.shape[0]):
            may[i] = (s[i] == 1) | (s[i] == 2) | ((s[i] == 0) & (c[i] > 0))
        for i in range(s.shape[0]):
            who[held] = i
            held += np.uint64(may[i])
        for k in range(held):
            i = who[k]
            at = np.uint64(s[i])
            value = mix(keys[at] + np.uint64(first + i) * INCREMENT) >> _33
            who[happens] = i
            happens += np.uint64(value < limit[at * np.uint64(256) + np.uint64(c[i]) * np.uint64(at == none)])
        for k in range(happens):
            s[who[k]] += 1


@numba.njit(cache=True, error_model="numpy")
def _geometric(scale: float) -> int:
    """Days until a success, from 1; scale: 1 / log(1 - p)."""
    return 1 + int(math.log(1 - random.random()) * scale)


@numba.njit(cache=True, error_model="numpy")
def event_driven(
    start: Array, target: Array, hazard: float, onset: float, recovery: float, initial: float, curve: Array, seed: int
) -> None:
    """SEIR by events: whoever is infected has their dates drawn at once, and so have those whom they will infect.

    curve: (T,), how many are infectious on each day, zeros before. Rates a day.
    """
    random.seed(seed)
    n, days, events = start.shape[0] - 1, curve.shape[0], 0
    seen = np.zeros(n, np.bool_)
    due = np.full(n, days, np.int16)  # the earliest known day of infection
    head, link, who = np.full(days, -1), np.empty(target.shape[0], np.int64), np.empty(target.shape[0], np.int32)
    change = np.zeros(days + 1)
    for day in range(-1, days):
        event, i = (head[day], 0) if day >= 0 else (np.int64(-1), 0)
        while event >= 0 or (day < 0 and i < n):
            if day < 0:  # those who are infectious at the start
                j, i = i, i + 1
                if random.random() >= initial:
                    continue
                begins = 0
            else:
                j, event = np.int64(who[event]), link[event]
                if seen[j]:
                    continue
                begins = day + 1 + _geometric(-1 / onset)
            seen[j] = True
            lasts = _geometric(-1 / recovery)
            if begins >= days:
                continue
            change[begins] += 1
            change[min(begins + lasts, days)] -= 1
            reaches = -math.expm1(-hazard * lasts)  # probability that a contact is infected before the recovery
            e = start[j] + _geometric(-1 / (hazard * lasts)) - 1
            while e < start[j + 1]:
                k = target[e]
                on = begins + int(math.log(1 - random.random() * reaches) / -hazard)
                if on < due[k] and not seen[k]:
                    due[k], who[events], link[events], head[on] = on, k, head[on], events
                    events += 1
                e += _geometric(-1 / (hazard * lasts))
    curve[:] = np.cumsum(change)[:days]
