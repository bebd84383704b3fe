"""The compiled CPU side of the cascading bandits: the KL bound, Beta draws, and whole runs of an index policy.

Runs show the same lists as the agents of this folder do in ``episodes``, to the bit: what is elementary
arithmetic is done here in the same order as there, and what needs a logarithm is either handed in or computed by the
same kernel on both sides.
"""

import math

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

UCB1, KL_UCB, UCB_V, TS, CTS = range(5)  # which index ``play`` computes
_INCREMENT = np.uint64(INCREMENT)
_LOG_4, _LOG_5E = math.log(4), 1 + math.log(5)


@compiled
def keyed(key: np.uint64, identity: int, index: int) -> np.float32:
    """``draws.uniform(site, index)`` of one row, where key is ``draws.key(site)``."""
    row = mix(key + np.uint64(identity) * _INCREMENT)
    return unit(mix(row + np.uint64(index + 1) * _INCREMENT))


@compiled
def kl_bound(mean: float, budget: float) -> float:
    """The largest q with KL(mean, q) <= budget, between Bernoulli distributions; mean in [0, 1], budget >= 0."""
    if mean >= 1:
        return 1.0
    # KL(p, q) is at least (q - p)^2 / 2 q and 2 (q - p)^2: where these reach the budget, KL is beyond it.
    high = min(mean + budget + math.sqrt(budget * (budget + 2 * mean)), mean + math.sqrt(budget / 2))
    entropy = -(1 - mean) * math.log(1 - mean)
    if mean > 0:
        entropy -= mean * math.log(mean)
    if high >= 1:  # it is also at least -entropy - (1 - p) log(1 - q)
        high = -math.expm1(-(budget + entropy) / (1 - mean))
    while mean < high < 1:  # Newton from above on a convex increasing function: descends to the root
        excess = -entropy - mean * math.log(high) - (1 - mean) * math.log(1 - high) - budget
        step = excess * high * (1 - high) / (high - mean)
        high -= step
        if step <= 1e-8 * (high - mean):  # the next step would be this ratio squared
            break
    return max(high, mean)


@compiled
def kl_bounds(mean: Array, budget: Array, out: Array) -> None:
    """out[i] = kl_bound(mean[i], budget[i]), all (N,) float64."""
    for i in range(out.shape[0]):
        out[i] = kl_bound(mean[i], budget[i])


@compiled
def beta_draw(key: np.uint64, identity: int, item: int, a: float, b: float) -> float:
    """One Beta(a, b) draw, a and b at least 1, by rejection: the symbols and steps are those of ``bandits.beta``."""
    low, high, total = min(a, b), max(a, b), a + b
    scale = 1.0 if low == 1 else math.sqrt((total - 2) / (2 * low * high - total))
    attempt = 0
    while True:
        u = np.float64(keyed(key, identity, item + (2 * attempt << 32)))
        u2 = np.float64(keyed(key, identity, item + (2 * attempt + 1 << 32)))
        v = scale * math.log(u / (1 - u))
        w = low * math.exp(v)
        r = (low + 1 / scale) * v - _LOG_4
        z = u * u * u2
        # The first test implies the second and spares its logarithms.
        if low + r - w + _LOG_5E >= 5 * z or r + total * math.log(total / (high + w)) >= math.log(z):
            return w / (high + w) if a == low else high / (high + w)
        attempt += 1


@compiled
def beta_draws(key: np.uint64, ids: Array, a: Array, b: Array, out: Array) -> None:
    """out[i, e] is item e's draw in row i: ids (n,) int64; a, b (N,) and out (n, N) float64."""
    for i in range(out.shape[0]):
        for item in range(out.shape[1]):
            out[i, item] = beta_draw(key, ids[i], item, a[item], b[item])


@compiled
def show(index: Array, slate: Array) -> None:
    """The items of largest index into slate, largest first; ties go to the lower item."""
    length = slate.shape[0]
    for item in range(index.shape[0]):
        if item >= length and index[item] <= index[slate[length - 1]]:
            continue
        place = min(item, length - 1)
        while place > 0 and index[item] > index[slate[place - 1]]:
            slate[place] = slate[place - 1]
            place -= 1
        slate[place] = item


@compiled
def fill_index(
    rule: int, level: Array, key: np.uint64, identity: int, clicks: Array, examined: Array, index: Array
) -> None:
    """Each item's index in one round; level (2,) holds what depends on the round alone: see ``bandits.play``."""
    for item in range(index.shape[0]):
        seen = examined[item]
        if rule == CTS:
            index[item] = beta_draw(key, identity, item, 1 + clicks[item], 1 + (seen - clicks[item]))
            continue
        if rule != TS and seen == 0:
            index[item] = np.inf
            continue
        mean = clicks[item] / max(seen, 1.0)
        if rule == UCB1:
            index[item] = mean + math.sqrt(level[0] / seen)
        elif rule == KL_UCB:
            index[item] = kl_bound(mean, level[0] / seen)
        elif rule == UCB_V:
            index[item] = mean + math.sqrt(2 * mean * (1 - mean) * level[0] / seen) + level[1] / seen
        else:
            spread = level[0] / (seen + 1)
            index[item] = mean + level[1] * max(math.sqrt(mean * (1 - mean) * spread), spread)


@compiled
def play(
    rule: int,
    levels: Array,
    attraction: Array,
    policy_key: np.uint64,
    world_key: np.uint64,
    first: int,
    clicks: Array,
    examined: Array,
    slates: Array,
) -> None:
    """Rounds ``first``, first + 1, … of a cascading bandit, counted into clicks and examined.

    levels (rounds, 2) float64; attraction, clicks, examined (N,) float64; slates (rounds, K) int64, written.
    """
    index = np.empty(attraction.shape[0])
    for t in range(slates.shape[0]):
        fill_index(rule, levels[t], policy_key, first + t, clicks, examined, index)
        show(index, slates[t])
        for item in slates[t]:
            examined[item] += 1
            if keyed(world_key, first + t, item) < attraction[item]:
                clicks[item] += 1
                break
