"""Ips, dm, dr, sips, iips, rips, cascade_dr."""

import torch
from torch import Tensor

from ..arguments import as_tensor
from .checks import (
    check_actions,
    check_distribution,
    check_finite,
    check_prefix,
    check_rewards,
    importance_weight,
    numbers,
)
from .estimate import Estimate, estimate_of, no_estimate, over_positions, weighted, without_overlap


def ips(
    reward: Tensor, logged: Tensor, evaluated: Tensor, *, self_normalised: bool = False, unit: Tensor | None = None
) -> Estimate:
    """Inverse propensity scoring: the mean of reward · evaluated / logged.

    reward: (k,). logged, evaluated: (k,) the probability of the item that was shown, under either policy.
    self_normalised: divide by the mean weight instead of by 1 (SNIPS): a little bias for less variance.
    unit: (k,) int64, rounds with the same number belong together (a user, a session) and are not independent: the
        standard error then counts units. ``rounds`` gives it. None: every round is on its own.
    """
    reward, logged, evaluated = numbers(reward=reward, logged=logged, evaluated=evaluated)
    check_rewards(reward, 1)
    weight = importance_weight(logged, evaluated, reward.shape)
    return weighted(reward[:, None], weight[:, None], self_normalised, unit)


def dm(evaluated: Tensor, predicted: Tensor, *, unit: Tensor | None = None) -> Estimate:
    """Direct method: what a model of the reward expects. Its interval does not know how wrong the model is.

    evaluated: (k, N) the evaluated policy's probability of each item. predicted: (k, N) expected reward of each.
    """
    evaluated, predicted = numbers(evaluated=evaluated, predicted=predicted)
    check_distribution("evaluated", evaluated, 2)
    check_finite("predicted", predicted, evaluated.shape)
    contributions = (evaluated * predicted).sum(1)
    return estimate_of(contributions, contributions - contributions.mean(), None, unit)


def dr(
    reward: Tensor,
    action: Tensor,
    logged: Tensor,
    evaluated: Tensor,
    predicted: Tensor,
    *,
    self_normalised: bool = False,
    unit: Tensor | None = None,
) -> Estimate:
    """Doubly robust: the direct method, with what the model got wrong on the log put right by IPS.

    reward: (k,). action: (k,) int64, the item shown. logged: (k,) its probability under the logging policy.
    evaluated, predicted: (k, N) as in ``dm``. Unbiased where the propensities or the model are right; the model must
    not be fitted to the rounds it is used on. self_normalised: divide the correction by the mean weight (SNDR).
    """
    reward, logged, evaluated, predicted = numbers(
        reward=reward, logged=logged, evaluated=evaluated, predicted=predicted
    )
    check_rewards(reward, 1)
    check_distribution("evaluated", evaluated, 2)
    check_finite("predicted", predicted, evaluated.shape)
    action = check_actions(action, reward.shape, evaluated.shape[1])
    weight = importance_weight(logged, evaluated.gather(1, action[:, None])[:, 0], reward.shape)
    model = (evaluated * predicted).sum(1)
    wrong = reward - predicted.gather(1, action[:, None])[:, 0]
    return weighted(wrong[:, None], weight[:, None], self_normalised, unit, model)


def sips(
    reward: Tensor, logged: Tensor, evaluated: Tensor, *, self_normalised: bool = False, unit: Tensor | None = None
) -> Estimate:
    """Standard IPS for slates: unbiased whatever the user does, and of large variance.

    reward: (k, m) at each position. logged, evaluated: (k,) the probability of the whole slate that was shown.
    The value is the expected sum of rewards over the slate. self_normalised, unit: as in ``ips``.
    """
    reward, logged, evaluated = numbers(reward=reward, logged=logged, evaluated=evaluated)
    check_rewards(reward, 2)
    weight = importance_weight(logged, evaluated, reward.shape[:1])
    return weighted(over_positions(reward)[:, None], weight[:, None], self_normalised, unit)


def iips(
    reward: Tensor, logged: Tensor, evaluated: Tensor, *, self_normalised: bool = False, unit: Tensor | None = None
) -> Estimate:
    """Independent IPS for slates: unbiased where a click depends on its own item and position only.

    reward: (k, m). logged, evaluated: (k, m) the probability that the item stands at its position, whatever stands
    elsewhere (``position_propensity``). self_normalised, unit: as in ``ips``.
    """
    reward, logged, evaluated = numbers(reward=reward, logged=logged, evaluated=evaluated)
    check_rewards(reward, 2)
    return weighted(reward, importance_weight(logged, evaluated, reward.shape), self_normalised, unit)


def rips(
    reward: Tensor, logged: Tensor, evaluated: Tensor, *, self_normalised: bool = False, unit: Tensor | None = None
) -> Estimate:
    """Reward interaction IPS for slates: unbiased where a click depends on its item and those above it (cascade).

    reward: (k, m). logged, evaluated: (k, m) the probability of the items from the top down to each position
    (``prefix_propensity``). self_normalised, unit: as in ``ips``.

    Given ``session_prefix`` it is per-decision importance sampling of whole sessions (Precup et al., ICML 2000).
    """
    reward, logged, evaluated = numbers(reward=reward, logged=logged, evaluated=evaluated)
    check_rewards(reward, 2)
    weight = importance_weight(logged, evaluated, reward.shape)
    check_prefix("logged", logged)
    check_prefix("evaluated", evaluated)
    return weighted(reward, weight, self_normalised, unit)


def cascade_dr(
    reward: Tensor,
    slate: Tensor,
    logged: Tensor,
    evaluated: Tensor,
    distribution: Tensor,
    predicted: Tensor,
    *,
    unit: Tensor | None = None,
) -> Estimate:
    """Cascade doubly robust for slates (Kiyohara et al., WSDM 2022, section 3.1).

    reward: (k, m). slate: (k, m) int64. logged, evaluated: (k, m) prefix probabilities as in ``rips``.
    distribution: (k, m, N) the evaluated policy's probability of each item at each position, given the items shown
        above (``choice_distribution``).
    predicted: (k, m, N) a model's expected reward from this position down to the last, were this item shown here under
        the items shown above (``cascade_model`` fits one). It must not be fitted to the rounds it is used on.
    """
    reward, logged, evaluated, distribution, predicted = numbers(
        reward=reward, logged=logged, evaluated=evaluated, distribution=distribution, predicted=predicted
    )
    check_rewards(reward, 2)
    check_distribution("distribution", distribution, 3)
    if distribution.shape[:2] != reward.shape:
        raise ValueError(f"distribution has shape {tuple(distribution.shape)}: expected {(*reward.shape, 'items')}")
    check_finite("predicted", predicted, distribution.shape)
    slate = check_actions(slate, reward.shape, distribution.shape[2])
    weight = importance_weight(logged, evaluated, reward.shape)
    check_prefix("logged", logged)
    check_prefix("evaluated", evaluated)
    if reason := without_overlap(weight):
        return no_estimate(len(reward), reason)
    above = torch.nn.functional.pad(weight[:, :-1], (1, 0), value=1.0)  # the weight of what stands above a position
    expected = (distribution * predicted).sum(2)
    wrong = reward - predicted.gather(2, slate[..., None])[..., 0]
    contributions = over_positions(weight * wrong + above * expected)
    return estimate_of(contributions, contributions - contributions.mean(), weight, unit)


def cascade_model(
    reward: Tensor, slate: Tensor, context: Tensor, evaluated: Tensor, logged: Tensor, distribution: Tensor
) -> Tensor:
    """A table of expected reward from each position down, (m, C, N) float64, for ``cascade_dr``.

    context: (k,) int64 in [0, C), such as the user's state; the others as in ``cascade_dr``. From the last position
    up, a weighted mean over rounds by context and item of reward + what the table expects of the next position; as in
    Kiyohara et al. each round weighs as its prefix. Cells never seen are 0. To predict on other rounds:
    ``table[:, context].transpose(0, 1)``.
    """
    reward, evaluated, logged, distribution = numbers(
        reward=reward, evaluated=evaluated, logged=logged, distribution=distribution
    )
    check_rewards(reward, 2)
    check_distribution("distribution", distribution, 3)
    num_items = distribution.shape[2]
    context = as_tensor("context", context, reward.device).to(reward.device)
    if context.dtype != torch.int64 or context.shape != reward.shape[:1] or int(context.min()) < 0:
        raise ValueError(
            f"context is {context.dtype} {tuple(context.shape)}: expected int64 ({len(reward)},), numbers from 0"
        )
    contexts = int(context.max()) + 1
    slate = check_actions(slate, reward.shape, num_items)
    weight = importance_weight(logged, evaluated, reward.shape)
    table = reward.new_zeros(reward.shape[1], contexts, num_items)
    ahead = torch.zeros_like(reward[:, 0])
    for position in range(reward.shape[1] - 1, -1, -1):
        cell = context * num_items + slate[:, position]
        w, target = weight[:, position], reward[:, position] + ahead
        total = reward.new_zeros(contexts * num_items).index_add_(0, cell, w)
        sums = torch.zeros_like(total).index_add_(0, cell, w * target)
        table[position] = torch.where(total > 0, sums / total, 0.0).view(contexts, num_items)
        ahead = (distribution[:, position] * table[position, context]).sum(1)
    return table
