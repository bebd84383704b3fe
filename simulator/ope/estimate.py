"""Estimates of off-policy evaluation, and their intervals."""

import math
import warnings
from dataclasses import dataclass
from numbers import Real
from statistics import NormalDist

import torch
from torch import Tensor

from ..arguments import as_tensor

CERTAIN = 0.9999  # level of the interval that must leave out full support before it is doubted
FEWEST = 30  # units whose weights tell chance from a lack of support


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
    support: the share of what the evaluated policy shows that the log speaks for, the mean weight: 1 but for chance
        where the logging policy shows all of it now and then; the least over positions. What it never shows counts as
        0; when self-normalised as what it does show, when doubly robust as the model expects.
    doubt: that support falls short of 1 by more than chance (an interval of 99.99 %, and a hundredth), in words,
        which are a warning, too; "" where it does not, and for fewer than 30 units, which cannot tell.
    """

    value: float
    contributions: Tensor
    influence: Tensor
    effective_rounds: float
    skewness: float
    undefined: str = ""
    support: float = 1.0
    doubt: str = ""

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
        doubt = self.doubt and f"; {self.doubt}"
        if math.isnan(self.stderr):
            return f"{self.value:.4g} (nothing varies in the log: no standard error){doubt}"
        digits = max(0, 1 - math.floor(math.log10(self.stderr)))
        low, high = (f"{end:.{digits}f}" for end in self.interval())
        return f"{self.value:.{digits}f} ± {self.stderr:.{digits}f} (95 % interval {low} to {high}){doubt}"


def weighted(
    reward: Tensor, weight: Tensor, self_normalised: bool, unit: Tensor | None, model: Tensor | None = None
) -> Estimate:
    """The one form behind all IPS estimators: rewards (k, m) times weights (k, m), summed over positions.

    model: (k,) what is added to each round, of which the rewards are then the error.
    """
    if reason := without_overlap(weight):
        return no_estimate(len(reward), reason)
    normaliser = weight.mean(0) if self_normalised else torch.ones_like(weight[0])
    reweighted = reward * weight / normaliser
    centre = reweighted.mean(0)
    influence = over_positions(reweighted - (centre * weight / normaliser if self_normalised else centre))
    contributions = over_positions(reweighted)
    if model is not None:
        contributions, influence = contributions + model, influence + (model - model.mean())
    return estimate_of(contributions, influence, weight, unit, skewed=not self_normalised, depth=4)


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
    contributions: Tensor,
    influence: Tensor,
    weight: Tensor | None,
    unit: Tensor | None,
    *,
    skewed: bool = True,
    depth: int = 3,
) -> Estimate:
    """The mean of the contributions; ``unit`` (rounds,) says which influences belong together (a user's, say).

    weight: (k, m), None for an estimator without. depth: of calls below the user's, whom a warning is for.
    """
    influence = _by_unit(influence, unit)
    skewness = _skewness(influence) if skewed else 0.0
    value = float(contributions.mean())
    if weight is None:
        return Estimate(value, contributions, influence, float(len(contributions)), skewness)
    support, doubt = _support(weight, unit)
    if doubt:
        warnings.warn(doubt, stacklevel=depth)
    return Estimate(value, contributions, influence, _effective_size(weight), skewness, support=support, doubt=doubt)


def _support(weight: Tensor, unit: Tensor | None) -> tuple[float, str]:
    """The least mean of weights (k, m) over positions, and a sentence where it falls short of 1 by more than chance."""
    means = weight.mean(0)
    position = int(means.argmin())
    share, shown = float(means[position]), weight[:, position]
    away = _by_unit(shown - share, unit)
    found = Estimate(share, shown, away, 0.0, _skewness(away))  # of a reward of 1, which is 1 for any policy
    highest = found.interval(CERTAIN)[1] if away.any() else share
    if len(away) < FEWEST or highest >= 0.99:
        return share, ""
    where = f" down to position {position}" if weight.shape[1] > 1 else ""
    return share, (
        f"partial support: some of what the evaluated policy shows{where} is never, or too seldom, shown in the log, "
        f"which speaks for {share:.1%} of it only; evaluate a policy that stays nearer to the log's, or log more"
    )


def _skewness(influence: Tensor) -> float:
    deviation = influence.square().mean().sqrt()
    return float((influence / deviation).pow(3).mean()) if deviation > 0 else 0.0


def _by_unit(values: Tensor, unit: Tensor | None) -> Tensor:
    """(units,) sums of what belongs together, so scaled that their mean is that of the values (rounds,)."""
    if unit is None:
        return values
    unit = as_tensor("unit", unit, values.device).to(values.device)
    if unit.dtype != torch.int64 or unit.shape != values.shape:
        raise ValueError(f"unit is {unit.dtype} {tuple(unit.shape)}: expected int64 {tuple(values.shape)}")
    units, index = unit.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    total = values.new_zeros(len(units)).index_add_(0, index, values)
    return total * (len(units) / len(unit))


def _effective_size(weight: Tensor) -> float:
    """The number of rounds of equal weight that would tell as much."""
    square = weight.square().sum(0)
    return float((weight.sum(0).square() / square).where(square > 0, 0.0).min())


def _quantile(level: float) -> float:
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a number between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf((1 + level) / 2)
