"""Checks of what is handed to the estimators."""

import math
from typing import Any

import torch
from torch import Tensor

from ..arguments import as_tensor

ONE = 1 + 1e-12  # a probability may be as much, by rounding


def numbers(**arrays: Any) -> list[Tensor]:
    """Arrays as float64 tensors on the device of the first. TypeError, by name, for what is none."""
    first = next(iter(arrays.values()))
    device = first.device if isinstance(first, Tensor) else None
    found = [as_tensor(name, array, device, torch.float64) for name, array in arrays.items()]
    return [tensor.to(device or tensor.device, torch.float64) for tensor in found]


def check_rewards(reward: Tensor, axes: int) -> None:
    """ValueError unless rewards are finite, of some rounds, and have as many axes as the estimator reads."""
    if reward.dim() != axes:
        raise ValueError(
            f"reward has shape {tuple(reward.shape)}: expected {('(rounds,)', '(rounds, positions)')[axes - 1]}"
        )
    if reward.numel() == 0:
        raise ValueError(f"reward has shape {tuple(reward.shape)}: an empty log has no value; expected a round or more")
    check_finite("reward", reward, reward.shape)


def check_finite(name: str, values: Tensor, shape: torch.Size) -> None:
    """ValueError unless the numbers are finite, in the shape expected."""
    if values.shape != shape:
        raise ValueError(f"{name} has shape {tuple(values.shape)}: expected {tuple(shape)}")
    if not math.isfinite(values.sum()) and not values.isfinite().all():
        where = (~values.isfinite()).nonzero()[0].tolist()
        raise ValueError(f"{name}{where} is {values[tuple(where)]}: expected a finite number")


def importance_weight(logged: Tensor, evaluated: Tensor, shape: torch.Size) -> Tensor:
    """evaluated / logged, after a look at both."""
    for name, probability in (("logged", logged), ("evaluated", evaluated)):
        if probability.shape != shape:
            raise ValueError(
                f"{name} probabilities have shape {tuple(probability.shape)}: expected {tuple(shape)}, as reward has"
            )
        low, high = (float(end) for end in probability.aminmax())
        if not (low >= 0 and high <= ONE):  # NaN is neither
            where = (~((probability >= 0) & (probability <= ONE))).nonzero()[0].tolist()
            raise ValueError(
                f"{name} probability {where} is {probability[tuple(where)]:.6g}: expected a number in [0, 1]"
            )
    if not logged.all():
        never = logged == 0
        hopeless = never & (evaluated > 0)
        where = (hopeless if hopeless.any() else never).nonzero()[0].tolist()
        at = tuple(where)
        raise ValueError(
            f"logged probability {where} is 0 where the evaluated policy has {evaluated[at]:.6g}: expected more than 0 "
            "for everything that was shown; "
            + (
                "without support no weight can make up for it: evaluate a policy that stays within the log's"
                if hopeless.any()
                else "what was shown cannot have had probability 0: check the logging policy's propensities"
            )
        )
    return evaluated / logged


def check_prefix(name: str, prefix: Tensor) -> None:
    """ValueError unless probabilities of prefixes fall along the slate."""
    rising = prefix[:, 1:] > prefix[:, :-1] * ONE
    if rising.any():
        row, position = rising.nonzero()[0].tolist()
        raise ValueError(
            f"{name} probability rises from {prefix[row, position]:.6g} to {prefix[row, position + 1]:.6g} at round "
            f"{row}, position {position + 1}: expected that of all items down to each position, which can only fall; "
            "take cumprod(1) of conditional probabilities"
        )


def check_distribution(name: str, distribution: Tensor, axes: int) -> None:
    """ValueError unless each row is a distribution over the items."""
    if distribution.dim() != axes or distribution.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(distribution.shape)}: expected {axes} axes, none empty, the last one items"
        )
    bad = ~((distribution >= 0).all(-1) & ((distribution.sum(-1) - 1).abs() < 1e-6))
    if bad.any():
        where = bad.nonzero()[0].tolist()
        raise ValueError(
            f"{name}{where} sums to {distribution[tuple(where)].sum():.6g}, its least is "
            f"{distribution[tuple(where)].min():.6g}: expected the probabilities of all items, which sum to 1"
        )


def check_actions(action: Tensor, shape: torch.Size, num_items: int) -> Tensor:
    """ValueError unless each action is an item."""
    action = as_tensor("items shown", action)
    if action.dtype != torch.int64 or action.shape != shape:
        raise ValueError(f"items shown are {action.dtype} {tuple(action.shape)}: expected int64 {tuple(shape)}")
    outside = (action < 0) | (action >= num_items)
    if outside.any():
        where = outside.nonzero()[0].tolist()
        raise ValueError(f"item shown {where} is {action[tuple(where)]}: expected 0 to {num_items - 1}")
    return action
