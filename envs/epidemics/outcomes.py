"""Attack rates."""

import torch
from torch import Tensor

from ethogram.simulator import History
from ethogram.simulator.populations import checked_column
from ethogram.simulator.whatif import total

MOST_GROUPS = 10_000_000


def attack_rate(history: History, by: Tensor | None = None) -> Tensor:
    """The share of people who were infected on the way, a scalar; those who were so at the start do not count.

    by: (n,) int64 groups; then (G,), a share for each. Needs the site "infected", as ``total`` does, kept by the same
    groups if it was reduced.
    """
    if by is None:
        return total(history, "infected").sum() / len(history)
    by = checked_column("by", by, len(history), MOST_GROUPS)
    people = by.bincount()
    if "infected" in history.series:
        found = total(history, "infected")
    else:
        infected = (history.column("infected") & history.valid).sum(1, dtype=torch.float64)
        found = by.bincount(infected)
    if found.shape != people.shape:
        raise ValueError(
            f"'infected' was summed over groups {tuple(found.shape)}: expected {tuple(people.shape)}, the groups of by"
        )
    return found / people
