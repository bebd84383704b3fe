"""What would have happened instead: paired effects with standard errors, and abduction from logged histories.

A pair is the same seed with one thing changed. Every draw is shared, so that two runs differ only where the change
acts; there is no bookkeeping, because chance is a function (see ``draws.py``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..recording import Record
from ..sites import Do
from ..world import Policy, World
from .ensemble import Outcome, checked_seeds, ensemble, standard_error


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
    world: World,
    policy: Policy,
    interventions: Sequence[Do] = (),
    *,
    outcome: Outcome,
    seeds: Iterable[int],
    rows: int | Tensor,
    horizon: int,
    instead_world: World | None = None,
    instead_policy: Policy | None = None,
    record: Sequence[str | Record] | str = (),
    progress: bool = False,
    backend: str = "here",
    workers: int | None = None,
) -> Effect:
    """The effect of a change on an outcome, from pairs of runs that share their luck.

    The change is any of: interventions on sites; ``instead_world``, such as ``replace(world, length=2)``;
    ``instead_policy``. outcome: a function of the history, a number or a tensor such as a curve over steps.
    backend, workers: as in ``ensemble``.
    """
    if not interventions and instead_world is None and instead_policy is None:
        raise ValueError("contrast with no change: give interventions, instead_world or instead_policy")
    seeds = checked_seeds(seeds)

    def outcomes(world: World, policy: Policy, interventions: Sequence[Do], name: str) -> Tensor:
        found = ensemble(
            world,
            policy,
            outcome=outcome,
            seeds=seeds,
            rows=rows,
            horizon=horizon,
            scenarios={name: interventions},
            record=record,
            progress=progress,
            backend=backend,
            workers=workers,
        )
        return found.values[name]

    changed_world = world if instead_world is None else instead_world
    changed_policy = policy if instead_policy is None else instead_policy
    return Effect(
        outcomes(world, policy, (), "factual"),
        outcomes(changed_world, changed_policy, interventions, "counterfactual"),
        seeds,
    )
