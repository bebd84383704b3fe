"""Paired effects with standard errors: the same runs with one thing changed.

A pair is the same seed with one thing changed. Every draw is shared, so that two runs differ only where the change
acts: common random numbers, without any bookkeeping, because chance is a function (see ``draws.py``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .backends import Backend
from .ensemble import Instead, Outcome, ensemble, standard_error
from .setup import Setup


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

    @property
    def variance_ratio(self) -> Tensor:
        """(…) how many times more variance the difference would have with independent seeds.

        Var(counterfactual) + Var(factual) over Var(difference). Below 1 pairing harms, which happens where a change
        turns luck round; inf where the difference is the same in every pair; NaN where nothing varies at all.
        """
        independent = self.factual.var(0) + self.counterfactual.var(0)
        return independent / self.difference.var(0)

    def __str__(self) -> str:
        if self.mean.dim():
            return f"effect over {tuple(self.mean.shape)}, {len(self.seeds)} pairs"
        return f"{self.mean:+.4g} ± {self.stderr:.2g} ({len(self.seeds)} pairs)"


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
    if instead is setup or not (instead or isinstance(instead, Setup)):
        raise ValueError("contrast with no change: give interventions, or another Setup, as replace(setup, …) makes it")
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
