"""From a few answers and many predictions to what all would have answered, with intervals; and how far one may be off.

Predictions alone are biased, answers alone are few. Prediction-powered inference (Angelopoulos, Bates, Fannjiang,
Jordan & Zrnic, "Prediction-powered inference", Science 382, 2023) takes the mean of the predictions of everybody, and
corrects it by the mean error on those who were asked at random: unbiased however wrong the predictions are, and the
narrower the better they are. Here everybody is predicted, so that chance lies in who is asked alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ethogram.simulator import as_tensor, check_number
from ethogram.simulator.kernels import Array
from ethogram.simulator.whatif import student_t


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error, and how many degrees of freedom that one has."""

    value: float
    stderr: float
    degrees: int

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """The ends of a confidence interval, by Student's t."""
        reach = student_t(level, self.degrees) * self.stderr
        return self.value - reach, self.value + reach


def prediction_powered(
    answered: Array, predicted: Array, everybody: float, weight: Array | None = None, power: float | None = 1.0
) -> Estimate:
    """The mean answer of a population of which n were drawn and asked, from predictions of all:

        power everybody + mean over the n of weight (answered - power predicted)

    answered, predicted: (n,) of those who were drawn, independently and with replacement. everybody: the mean
    prediction of the population. weight: (n,) 1 / (people in all times the probability of being the one drawn), of
    Hansen & Hurwitz, "On the theory of sampling from finite populations" (1943); None: all were as likely. Draws where
    predictions are doubtful are active inference (Zrnic & Candès, "Active statistical inference", ICML 2024).

    power: 1 trusts the predictions, 0 leaves them out (the asked people alone); any number that does not hang on who
    was drawn keeps the estimate and its variance unbiased. None is the power with the least estimated variance,
    Cov(weight answered, weight predicted) / Var(weight predicted): PPI++ (Angelopoulos, Duchi & Zrnic, 2023), without
    its n / N, since nobody is beyond the N who are predicted. It brings in a bias of the order 1 / n.

    Raises ValueError for fewer than two draws (three if power is None), and for other shapes.
    """
    answered, predicted = _numbers("answered", answered), _numbers("predicted", predicted)
    weight = np.ones_like(answered) if weight is None else _numbers("weight", weight)
    check_number("everybody", everybody, -math.inf)
    if power is not None:
        check_number("power", power, -math.inf)
    least = 2 if power is not None else 3
    if answered.ndim != 1 or answered.shape != predicted.shape or answered.shape != weight.shape:
        shapes = answered.shape, predicted.shape, weight.shape
        raise ValueError(f"answered, predicted, weight have shapes {shapes}: expected (n,), those who were drawn")
    if len(answered) < least:
        raise ValueError(f"{len(answered)} answers: expected {least} or more, for a spread")
    tuned = power is None
    if power is None:
        power = tuned_power([(weight * answered, weight * predicted)])
    errors = weight * (answered - power * predicted)
    variance = float(errors.var(ddof=1)) / len(errors)
    return Estimate(power * everybody + float(errors.mean()), math.sqrt(variance), len(errors) - 1 - tuned)


def tuned_power(parts: Sequence[tuple[Array, Array]]) -> float:
    """The power with the least variance, from weighted (answered, predicted) of independent parts; else 1."""
    both = sum(float(((y - y.mean()) * (z - z.mean())).sum()) for y, z in parts)
    alone = sum(float(np.square(z - z.mean()).sum()) for _, z in parts)
    return both / alone if alone > 0 else 1.0


def conformal_bound(errors: Array, weight: Array | None = None, most: float = 1.0, level: float = 0.9) -> float:
    """How far from its prediction the answer for one more person is at most, with probability ``level`` or more.

    errors: (n,) of those who were drawn, none of whom the predictor has learned from. weight: (n,) how many times more
    likely each is as the next person than as a draw, up to a factor; None: all alike. most: the largest that anybody's
    weight can be. Split conformal prediction, weighted: Tibshirani, Foygel Barber, Candès & Ramdas, "Conformal
    prediction under covariate shift" (2019), with ``most`` in the place of the next person's own weight, so that one
    number serves for all. inf where the draws are too few to say.
    """
    check_number("level", level, 0, 1)
    check_number("most", most)
    errors = _numbers("errors", errors)
    weight = np.ones_like(errors) if weight is None else _numbers("weight", weight)
    if errors.ndim != 1 or errors.shape != weight.shape:
        raise ValueError(f"errors and weight have shapes {errors.shape}, {weight.shape}: expected (n,)")
    order = errors.argsort()
    reached = weight[order].cumsum() >= level * (weight.sum() + most) * (1 - 1e-12)  # rounding counts for us
    return float(errors[order][reached.argmax()]) if reached.any() else math.inf


def _numbers(name: str, values: Any) -> Array:
    """An array of float64; ValueError for NaN."""
    array = np.asarray(as_tensor(name, values, dtype=torch.float64), np.float64)
    if np.isnan(array).any():
        raise ValueError(f"{name} has NaN at {np.argwhere(np.isnan(array))[0].tolist()}: expected numbers")
    return array
