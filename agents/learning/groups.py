"""The arithmetic of group-relative policy optimisation: advantages within groups, clipped ratios, divergence, means.

Shao et al., "DeepSeekMath", arXiv:2402.03300 (GRPO); Yu et al., "DAPO", arXiv:2503.14476 (asymmetric clip, dynamic
sampling, token mean); Liu et al., "Understanding R1-Zero-like training", arXiv:2503.20783 (no scaling, constant
length). P prompts, G answers to each, T tokens of an answer; row r of P * G is answer r % G to prompt r // G.
"""

from typing import Literal

import torch
from torch import Tensor

Scale = Literal["group", "batch", "none"]
Mean = Literal["token", "answer", "constant"]
SCALES, MEANS = ("group", "batch", "none"), ("token", "answer", "constant")
TINY = 1e-6
FAR = 20.0  # differences of log-probabilities count as no larger: an exponential that overflows has a NaN for gradient


def advantages(reward: Tensor, scale: Scale = "group") -> Tensor:
    """(P, G) floats, rewards less their group's mean, over the deviation of the group, of the batch, or of nobody.

    Standard deviations are unbiased, and TINY is added to them. A group of one keeps its reward, as released code has
    it (mean 0, deviation 1).
    """
    if not reward.is_floating_point():  # in whose own numbers an advantage of 0.9 would be 0
        raise TypeError(f"reward is of {reward.dtype}: expected floats, as reward.float() makes them")
    if reward.shape[1] == 1:
        return reward
    exact = reward.double()  # in float32, a mean of eight times 1.2 is off by a rounding, which TINY makes 0.12 of
    centred = exact - exact.mean(1, keepdim=True)
    if scale != "none":
        centred = centred / ((exact.std(1, keepdim=True) if scale == "group" else exact.std()) + TINY)
    return centred.to(reward.dtype)


def informative(reward: Tensor) -> Tensor:
    """(P,) bool: whether a group's rewards, (P, G), differ, so that there is something to learn from it."""
    return reward.amax(1) > reward.amin(1)


def surrogate(log_prob: Tensor, old: Tensor, advantage: Tensor, low: float, high: float) -> Tensor:
    """PPO's clipped objective (Schulman et al., 2017), to be maximised, for each token: (P * G, T).

    log_prob, old: of the tokens, now and when they were drawn. advantage: broadcasts against them.
    low, high: the ratio counts within [1 - low, 1 + high], and nowhere beyond exp(FAR).
    """
    ratio = (log_prob - old).clamp(max=FAR).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def k3(log_prob: Tensor, reference: Tensor) -> Tensor:
    """An estimate of KL(policy || reference) from each token that the policy drew: exp(d) - d - 1, at least 0.

    d = reference - log_prob; its expectation is the divergence (Schulman, 2020). Clamped to [-10, 10].
    """
    d = (reference - log_prob).clamp(-FAR, FAR)  # beyond, it is clamped all the same
    return (d.exp() - d - 1).clamp(-10, 10)


def masked_mean(values: Tensor, mask: Tensor, mean: Mean = "token") -> Tensor:
    """The mean of (P * G, T) values where ``mask`` is: over tokens; over answers' means; or over their sums / T."""
    values = torch.where(mask, values, 0)
    if mean == "token":
        return values.sum() / mask.sum().clamp(min=1)
    if mean == "answer":
        return (values.sum(1) / mask.sum(1).clamp(min=1)).mean()
    return values.sum(1).mean() / values.shape[1]
