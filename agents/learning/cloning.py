"""Behaviour cloning: the actions of a history, made likelier."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ethogram.simulator import Draws, History, check_has, check_is, checked_int, checked_seed

from .groups import masked_mean
from .loop import Measures


class Cloning(nn.Module):
    """Learns to act as a history's rows did: a ``Trainee`` that minimises the cross-entropy of their actions.

    policy: an ``nn.Module`` with ``log_probs(history)``, (n, T). batch: rows of an update, drawn without repetition
    where there are enough. Measures: accuracy is not one of them, since a policy may be right in another way; loss is.
    """

    def __init__(self, policy: nn.Module, history: History, *, batch: int = 64, seed: int = 0) -> None:
        super().__init__()
        check_has("policy", policy, "an nn.Module with log_probs(history)", "log_probs", "parameters")
        check_is("history", history, History, "a History")
        self.policy: Any = policy
        self.history = history
        self.batch, self.seed = checked_int("batch", batch, 1), checked_seed(seed)
        if not bool(history.length.any()):
            raise ValueError("history has no step of anybody: expected actions to learn from")

    def losses(self, update: int) -> Iterator[tuple[Tensor, Measures]]:
        """One loss, of a batch of rows."""
        some: Any = self.history[rows_of(update, self.batch, len(self.history), self.seed)]
        yield -masked_mean(self.policy.log_probs(some), some.valid), {}


def rows_of(update: int, batch: int, total: int, seed: int) -> Tensor:
    """(batch,) int64 rows of ``total``: every epoch in an order of its own, each row once an epoch.

    A batch that is larger than an epoch holds rows again.
    """
    places = torch.arange(update * batch, (update + 1) * batch)
    rows = torch.empty_like(places)
    for epoch in range(int(places[0]) // total, int(places[-1]) // total + 1):
        here = places // total == epoch
        luck = Draws(seed, torch.arange(total), step=epoch, scope="batches").uniform("order")
        rows[here] = luck.argsort(stable=True)[places[here] % total]
    return rows
