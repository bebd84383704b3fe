"""Paired effects with standard errors: the same runs with one thing changed.

A pair is the same seed with one thing changed. Every draw is shared, so that two runs differ only where the change
acts: common random numbers, without any bookkeeping, because chance is a function (see ``draws.py``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..formats import by_seed, html_table
from .backends import Backend
from .ensemble import (
    Instead,
    Outcome,
    check_instead,
    counted,
    ensemble,
    of_a_setup,
    standard_error,
    student_t,
    with_error,
)
from .setup import Setup

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Effect:
    """The outcome with the change minus the outcome without it, over pairs that share their seed.

    factual, counterfactual: (pairs, …) float64.
    """

    factual: Tensor
    counterfactual: Tensor
    seeds: tuple[int, ...]

    @property
    def difference(self) -> Tensor:
        """(pairs, …) counterfactual minus factual."""
        return self.counterfactual - self.factual

    @property
    def mean(self) -> Tensor:
        """(…) the average difference."""
        return self.difference.mean(0)

    @property
    def stderr(self) -> Tensor:
        """(…) the standard error of ``mean``; NaN for a single pair."""
        return standard_error(self.difference)

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """(…) the ends of a confidence interval of ``mean``, by Student's t over pairs; NaN for a single pair."""
        reach = student_t(level, max(len(self.seeds) - 1, 1)) * self.stderr
        return self.mean - reach, self.mean + reach

    @property
    def variance_ratio(self) -> Tensor:
        """(…) how many times more variance the difference would have with independent seeds.

        Var(counterfactual) + Var(factual) over Var(difference). Below 1 pairing harms, which happens where a change
        turns luck round; inf where the difference is the same in every pair; NaN where nothing varies at all, or for a
        single pair.
        """
        if len(self.seeds) == 1:
            return torch.full_like(self.mean, torch.nan)
        independent = self.factual.var(0) + self.counterfactual.var(0)
        return independent / self.difference.var(0)

    def to_pandas(self) -> "pandas.DataFrame":
        """A row for each pair, and place of outcomes that have several: factual, counterfactual, difference."""
        columns = {"factual": self.factual, "counterfactual": self.counterfactual, "difference": self.difference}
        return by_seed(columns, self.seeds)

    def __str__(self) -> str:
        pairs = counted(self.seeds, "pair")
        if self.difference.dim() > 1:
            return f"effect over {tuple(self.mean.shape)}, {pairs}"
        said = with_error(self.difference, "pair", "+")
        return said if len(self.seeds) == 1 else f"{said} ({pairs})"

    def __repr__(self) -> str:
        return f"Effect({self})"

    def _repr_html_(self) -> str:
        if self.difference.dim() > 1:
            return f"<p>{self}</p>"
        low, high = self.interval()
        row: dict[str, str] = {
            "factual": with_error(self.factual, "seed"),
            "counterfactual": with_error(self.counterfactual, "seed"),
            "effect": with_error(self.difference, "pair", "+"),
            "95 % interval": "" if low.isnan() else f"{low + 0.0:+.4g} to {high + 0.0:+.4g}",
            "pairs": str(len(self.seeds)),
        }
        return html_table([row])


@of_a_setup
def contrast(
    setup: Setup,
    instead: Instead,
    *,
    outcome: Outcome,
    seeds: Iterable[int],
    progress: bool = False,
    backend: Backend | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> Effect:
    """The effect of a change on an outcome, from pairs of runs that share their luck (common random numbers).

    instead: interventions on sites, which come after the setup's own; or another Setup in its place, such as
        ``replace(setup, policy=…)`` or ``replace(setup, world=…, interventions=[…])``.
    outcome: a function of the history, a number or a tensor such as a curve over steps.
    backend, checkpoint, checkpoint_every: as in ``ensemble``.
    """
    check_instead("instead", instead)
    if instead is setup or not (instead or isinstance(instead, Setup)):
        raise ValueError(
            "instead changes nothing: expected interventions, or another Setup, as replace(setup, …) makes it"
        )
    if isinstance(instead, Setup):
        _check_alike(setup, instead)
    scenarios = {"factual": (), "counterfactual": instead}
    found = ensemble(
        setup,
        outcome=outcome,
        seeds=seeds,
        scenarios=scenarios,
        progress=progress,
        backend=backend,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
    )
    return Effect(found.values["factual"], found.values["counterfactual"], found.seeds)


def _check_alike(setup: Setup, instead: Setup) -> None:
    """Raise ValueError where there are no pairs: other people, or other days."""
    if setup.horizon != instead.horizon:
        raise ValueError(
            f"instead runs {instead.horizon} steps, the setup {setup.horizon}: expected the same horizon; cut the "
            "longer history in the outcome, or compare them by ensemble"
        )
    ids = [s.rows if isinstance(s.rows, Tensor) else torch.arange(s.rows) for s in (setup, instead)]
    if not torch.equal(ids[0].cpu(), ids[1].cpu()):
        raise ValueError(
            f"instead has {len(ids[1])} rows, the setup {len(ids[0])}, or rows of other ids: expected the same rows, "
            "by which pairs share their luck; compare them by ensemble"
        )
