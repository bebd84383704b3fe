"""A policy for finite actions: whatever net turns observations into logits."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ethogram.simulator import Draws, History, check_is, checked_int, map_column


class Categorical(nn.Module):
    """Chooses each part of an action by a softmax of its logits, independently of the other parts.

    net: from observations as the world batches them, (n, …), to logits, (n, sum of choices).
    choices: how many there are; a sequence for a MultiDiscrete action of so many parts.

    Its actions are (n,) int64, or (n, parts), and look at nothing but the present observation. Chance comes from
    ``draws``, so paired worlds share it; ``log_probs`` of a history has a gradient, as ``GRPO`` and ``Cloning`` need.
    """

    def __init__(self, net: nn.Module, choices: int | Sequence[int]) -> None:
        super().__init__()
        check_is("net", net, nn.Module, "an nn.Module from observations to logits")
        self.net = net
        parts = choices if isinstance(choices, Sequence) else [choices]
        self.single = parts is not choices
        self.choices = tuple(checked_int("choices", c, 1) for c in parts)

    def distributions(self, observation: Any) -> list[Tensor]:
        """For each part, (n, choices) log-probabilities."""
        logits = self.net(observation)
        return [part.log_softmax(-1) for part in logits.split(self.choices, dim=-1)]

    @torch.no_grad()
    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        """(n,) or (n, parts) int64."""
        parts = [
            draws.categorical("action" if self.single else f"action {k}", log_prob.exp())
            for k, log_prob in enumerate(self.distributions(observation))
        ]
        return parts[0] if self.single else torch.stack(parts, dim=1)

    def log_probs(self, history: History) -> Tensor:
        """(n, T) of the actions of a history."""
        check_is("action of the history", history.action, Tensor, "numbers of choices, (n, T) or (n, T, parts)")
        n, steps = len(history), history.num_steps
        seen = map_column(lambda a: a[:, :steps].reshape(n * steps, *a.shape[2:]), history.observation)
        action = history.action.reshape(n * steps, -1).long()
        parts = [p.gather(1, action[:, k, None]) for k, p in enumerate(self.distributions(seen))]
        return torch.cat(parts, dim=1).sum(1).view(n, steps)
