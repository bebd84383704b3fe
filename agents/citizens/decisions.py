"""From probabilities to decisions, and what people see."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, as_tensor, check_has, checked_int

DECISIONS = ("isolate", "work")


def check_period(period: int) -> None:
    """Raise TypeError or ValueError unless it is a number of days, at least 1."""
    checked_int("period", period, 1)


def decide(probability: Tensor, draws: Draws, period: int = 1) -> Tensor:
    """(n, 2) int8 actions [isolate, work] from their probabilities, (n, 2), with draws of the period's first day.

    Raises ValueError for another shape, for what is no probability, and for a period below 1.
    """
    if not isinstance(probability, Tensor) or not isinstance(draws, Draws) or type(period) is not int or period < 1:
        check_period(period)
        check_has("draws", draws, "Draws", "ids", "step", "at")
        probability = as_tensor("probability", probability)
    if tuple(probability.shape) != (len(draws.ids), 2):
        raise ValueError(
            f"probability has shape {tuple(probability.shape)}: expected ({len(draws.ids)}, 2), [isolate, work] for "
            "each person"
        )
    plain = type(draws) is Draws and probability.is_cpu
    chance: Any = probability.detach().numpy() if plain else probability  # NumPy is quicker where people are few
    if not (good := (chance >= 0) & (chance <= 1)).all():
        row = int((~torch.as_tensor(good)).any(1).nonzero()[0])
        raise ValueError(f"probability of row {row} is {probability[row].tolist()}: expected 0 to 1")
    luck = draws.at(draws.step - draws.step % period)
    if plain:
        action = np.empty(chance.shape, np.int8)
        for k, name in enumerate(DECISIONS):
            action[:, k] = luck.uniform(name).numpy() < chance[:, k]
        return torch.from_numpy(action)
    return torch.stack([luck.bernoulli(name, probability[:, k]) for k, name in enumerate(DECISIONS)], 1).to(torch.int8)


def seen(observation: Mapping[str, Tensor], name: str) -> Tensor:
    """A column of what people see, (n,)."""
    if not isinstance(observation, Mapping) or name not in observation:
        there = list(observation) if isinstance(observation, Mapping) else f"a {type(observation).__name__}"
        raise LookupError(f"people do not see '{name}': this world shows {there}")
    return observation[name]
