"""Decide; the contract of people who decide; Relaxed."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ethogram.simulator import Draws

DECISIONS = ("isolate", "work")


def decide(probability: Tensor, draws: Draws, period: int = 1) -> Tensor:
    """(n, 2) int8 actions [isolate, work] from their probabilities, (n, 2), with draws of the period's first day.

    Raises ValueError for another shape, for what is no probability, and for a period below 1.
    """
    if tuple(probability.shape) != (len(draws.ids), 2) or period < 1:
        raise ValueError(
            f"probabilities of shape {tuple(probability.shape)} and period {period}: expected ({len(draws.ids)}, 2), "
            "[isolate, work] for each person, and at least 1 day"
        )
    if not (good := (probability >= 0) & (probability <= 1)).all():
        row = int((~good).any(1).nonzero()[0])
        raise ValueError(f"probabilities of row {row} are {probability[row].tolist()}: expected 0 to 1")
    luck = draws.at(draws.step - draws.step % period)
    return torch.stack([luck.bernoulli(name, probability[:, k]) for k, name in enumerate(DECISIONS)], 1).to(torch.int8)


def seen(observation: Mapping[str, Tensor], name: str) -> Tensor:
    """A column of what people see, (n,)."""
    if not isinstance(observation, Mapping) or name not in observation:
        there = list(observation) if isinstance(observation, Mapping) else f"a {type(observation).__name__}"
        raise LookupError(f"people do not see '{name}': this world shows {there}")
    return observation[name]
