"""Estimates of off-policy evaluation, and their intervals."""

import math
from dataclasses import dataclass
from numbers import Real
from statistics import NormalDist

import torch
from torch import Tensor

from ..arguments import as_tensor


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """The value of a policy, and how far off that may be.

    value: the mean of ``contributions``, reward a round.
    contributions: (k,) float64, what each round adds; the rounds' rewards reweighted.
    influence: (units,) float64 of mean 0, by how much each independent unit pulls the value: rounds, or rows of them.
        For self-normalised estimators to first order (the delta method), so that the chance in the normaliser counts.
    effective_rounds: how many rounds of the evaluated policy's own would weigh as evenly, (sum w)^2 / sum w^2 (Kish);
        the least over positions. A small one, below fifty or so, says that the two policies hardly overlap, and that
        the interval may be too short.
    skewness: of the influence; 0 for self-normalised estimators, whose normaliser takes the long tail out.
    undefined: why there is no value, which is then NaN as is all that follows from it; "" where there is one. A log in
        which the evaluated policy would have shown nothing of what was shown says nothing about it, not 0.
    """

    value: float
    contributions: Tensor
    influence: Tensor
    effective_rounds: float
    skewness: float
    undefined: str = ""

    @property
    def stderr(self) -> float:
        """The standard error; NaN where nothing varies (one unit, or not one click), for then the log cannot tell.

        NaN, too, where the estimate is undefined.
        """
        units = len(self.influence)
        square = float(self.influence.square().sum())
        return math.sqrt(square / (units * (units - 1))) if units > 1 and square > 0 else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """A confidence interval, corrected for the skewness of importance weights; NaN where the stderr is.

        Hall, "On the removal of skewness by transformation", JRSS B 54 (1992): the studentised error is bent by a
        monotone cubic until its skewness is gone (formula from memory, checked by coverage). Weights have a long right
        tail, so that it reaches further up than down. ``normal_interval`` is the symmetric one.
        """
        a = self.skewness / math.sqrt(len(self.influence))

        def unbent(x: float) -> float:
            return x if abs(a) < 1e-9 else 3 / a * (math.cbrt(1 + a * (x - a / 6)) - 1)

        z = _quantile(level)
        return self.value - self.stderr * unbent(z), self.value - self.stderr * unbent(-z)

    def normal_interval(self, level: float = 0.95) -> tuple[float, float]:
        """The symmetric interval: value ± z · stderr."""
        reach = _quantile(level) * self.stderr
        return self.value - reach, self.value + reach

    def __repr__(self) -> str:
        return f"Estimate({self}, worth {self.effective_rounds:.4g} of {len(self.contributions)} rounds)"

    def __str__(self) -> str:
        if self.undefined:
            return f"undefined: {self.undefined}"
        if math.isnan(self.stderr):
            return f"{self.value:.4g} (nothing varies in the log: no standard error)"
        digits = max(0, 1 - math.floor(math.log10(self.stderr)))
        low, high = self.interval()
        return (
            f"{self.value:.{digits}f} ± {self.stderr:.{digits}f} (95 % interval {low:.{digits}f} to {high:.{digits}f})"
        )


def weighted(reward: Tensor, weight: Tensor, self_normalised: bool, unit: Tensor | None) -> Estimate:
    """The one form behind all IPS estimators: rewards (k, m) times weights (k, m), summed over positions."""
    reweighted, normaliser = reward * weight, weight.mean(0)
    if reason := without_overlap(weight):
        return no_estimate(len(reward), reason)
    if self_normalised:
        reweighted, weight = reweighted / normaliser, weight / normaliser
        influence = over_positions(reweighted - reweighted.mean(0) * weight)
    else:
        influence = over_positions(reweighted - reweighted.mean(0))
    return estimate_of(over_positions(reweighted), influence, effective_size(weight), unit, skewed=not self_normalised)


def without_overlap(weight: Tensor) -> str:
    """Why weights (k, m) say nothing about the evaluated policy; "" where they do."""
    shows_nothing = ~(weight > 0).any(0)
    if not shows_nothing.any():
        return ""
    where = f" down to position {int(shows_nothing.nonzero()[0])}" if len(shows_nothing) > 1 else ""
    return (
        f"no overlap, for the evaluated policy shows nothing of what was logged{where} in {len(weight)} rounds; "
        "evaluate one that stays nearer to the log's, or log more"
    )


def no_estimate(rounds: int, reason: str) -> Estimate:
    """An estimate that is none."""
    nothing = torch.full((rounds,), math.nan, dtype=torch.float64)
    return Estimate(math.nan, nothing, torch.zeros_like(nothing), 0.0, 0.0, reason)


def over_positions(values: Tensor) -> Tensor:
    """(k, m) summed over its few columns, (k,): a matrix product is fifteen times faster at this than ``sum(1)``."""
    return values @ values.new_ones(values.shape[1])


def estimate_of(
    contributions: Tensor, influence: Tensor, effective: float, unit: Tensor | None, *, skewed: bool = True
) -> Estimate:
    """The mean of the contributions; ``unit`` (rounds,) says which influences belong together (a user's, say)."""
    if unit is not None:
        unit = as_tensor("unit", unit, influence.device).to(influence.device)
        if unit.dtype != torch.int64 or unit.shape != influence.shape:
            raise ValueError(f"unit is {unit.dtype} {tuple(unit.shape)}: expected int64 {tuple(influence.shape)}")
        units, index = unit.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        total = influence.new_zeros(len(units)).index_add_(0, index, influence)
        influence = total * (len(units) / len(unit))
    deviation = influence.square().mean().sqrt()
    skewness = float((influence / deviation).pow(3).mean()) if skewed and deviation > 0 else 0.0
    return Estimate(float(contributions.mean()), contributions, influence, effective, skewness)


def effective_size(weight: Tensor) -> float:
    """The number of rounds of equal weight that would tell as much."""
    square = weight.square().sum(0)
    return float((weight.sum(0).square() / square).where(square > 0, 0.0).min())


def _quantile(level: float) -> float:
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a number between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf((1 + level) / 2)
