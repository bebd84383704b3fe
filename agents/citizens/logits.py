"""Citizens fitted to what people saw and did: log-odds linear in named features.

Sums of float64 products depend on the order of their terms, so that a matrix product gives a person other last bits
in another batch. Here each person's numbers are the same in any batch and any order: log-odds are added up term by
term, or, in ``perceptron.py``, are sums of multiples of a power of two, which are exact in any order; and ``expit``
(``features.py``) is written with ``exp``, for ``torch.sigmoid`` gives other bits at the end of a tensor. On another
kind of processor or device the last bit of ``exp``, so of a probability, may differ.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ethogram.simulator import Draws, History, check_callable, check_is, check_number

from .decisions import DECISIONS, check_period, decide
from .features import INTERCEPT, Data, Features, decisions, expit, features_of

ROUNDS = 50  # of Newton's method; real data take some ten


@dataclass(frozen=True, eq=False)
class Logits:
    """Log-odds that are linear in named features: written down, or fitted to data.

    features: what people see to a dict of names to tensors (n,), by operations on each person alone; a function at
    the top of a module, so that the policy can be pickled. isolate, work: name of a feature, or "intercept", to its
    coefficient; one that is left out counts 0. stderr: of a fit, standard errors by decision and name.
    """

    features: Features
    isolate: Mapping[str, float]
    work: Mapping[str, float]
    period: int = 1
    stderr: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_period(self.period)
        check_callable("features", self.features, "a function of what people see")
        for decision in DECISIONS:
            coefficients = getattr(self, decision)
            check_is(decision, coefficients, Mapping, "a dict of features' names to coefficients")
            for name, value in coefficients.items():
                check_number(f"the coefficient of '{name}' for '{decision}'", value, -math.inf)

    @classmethod
    def fit(cls, data: Data, features: Features, *, period: int = 1) -> Self:
        """The maximum of the likelihood, by Newton's method in float64.

        data: a History with its observations and actions, of which the days on which a period begins count; or a pair
        of observation columns (m,) each and actions (m, 2). Standard errors take decisions to be independent given
        the features. Raises ValueError where no finite or no single maximum exists; see ``maximum_likelihood``.
        """
        names, x, y = decisions(data, features, period)
        found = [maximum_likelihood(names, x, y[:, k], name) for k, name in enumerate(DECISIONS)]
        isolate, work = ({name: b.tolist()[k] for k, name in enumerate([INTERCEPT, *names])} for b, _ in found)
        stderr = {d: dict(zip(isolate, e.tolist(), strict=True)) for d, (_, e) in zip(DECISIONS, found, strict=True)}
        return cls(features, isolate, work, period, stderr)

    def probabilities(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(n, 2) float64. Raises LookupError for the coefficient of a feature that there is not."""
        x = features_of(self.features, observation)
        some = next(iter(x.values()))
        both = []
        for coefficients in (self.isolate, self.work):
            if unknown := sorted(coefficients.keys() - {INTERCEPT, *x}):
                raise LookupError(
                    f"coefficients of {unknown}: features gives {sorted(x)}, and '{INTERCEPT}' is implied"
                )
            log_odds = torch.zeros_like(some) + coefficients.get(INTERCEPT, 0.0)
            for name, column in x.items():
                log_odds = log_odds + coefficients.get(name, 0.0) * column
            both.append(expit(log_odds))
        return torch.stack(both, 1)

    def repeated(self, times: int) -> Self:
        """For several populations at once: the same, since it looks at nobody else."""
        return self

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        return decide(self.probabilities(observation), draws, self.period)


def maximum_likelihood(names: Sequence[str], x: Tensor, y: Tensor, what: str) -> tuple[Tensor, Tensor]:
    """Logistic regression by Newton's method: coefficients and standard errors, (1 + K,) each, the intercept first.

    names, x: K features, (m, K) float64. y: (m,) float64 of 0 and 1. what: the decision, for messages.
    Standard errors are those of the information matrix, so of decisions that are independent given the features.
    Raises ValueError where no maximum exists (features that predict some decisions perfectly) or no unique one
    (features that are sums of others).
    """
    if not (whole := (y == 0) | (y == 1)).all():
        row = int((~whole).nonzero()[0])
        raise ValueError(f"'{what}' is {y[row]:g} in decision {row}: expected 0 or 1; Perceptron.fit takes answers too")
    if y.min() == y.max():
        raise ValueError(
            f"'{what}' is {int(y[0])} in all {len(y)} decisions: expected both, for the log-odds of always and never "
            "are infinite; Routine says always or never"
        )
    names = [INTERCEPT, *names]
    x = torch.cat([torch.ones_like(y)[:, None], x], 1)
    scale = x.square().mean(0).sqrt().clamp(min=1e-300)
    x = x / scale
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    if values[0] < 1e-10:
        same = [name for name, part in zip(names, vectors[:, 0].tolist(), strict=True) if abs(part) > 0.01]
        raise ValueError(f"features {same} say the same in these {len(x)} decisions: expected to tell apart; drop one")
    b, side = torch.zeros_like(scale), 2 * y - 1  # side: +1 where it was done
    step = b
    for _ in range(ROUNDS):
        log_odds = x @ b
        weight = expit(log_odds) * expit(-log_odds)
        root, failed = torch.linalg.cholesky_ex((x * weight[:, None]).T @ x)
        if failed:
            break
        step = torch.cholesky_solve((x.T @ (side * expit(-side * log_odds)))[:, None], root)[:, 0]
        if (x @ step).abs().max() < 1e-8:
            return b / scale, torch.cholesky_inverse(root).diagonal().sqrt() / scale
        loss = softplus(-side * log_odds).sum()
        while softplus(-side * (x @ (b + step))).sum() > loss * (1 + 1e-12):  # too far along a concave likelihood
            step = step / 2
        b = b + step
    growing = [name for name, far in zip(names, (x * step).abs().amax(0).tolist(), strict=True) if not far < 0.1]
    raise ValueError(
        f"the coefficients of {growing} for '{what}' grow without bound: some values of these features go with always "
        "or never (perfect separation), so that no likelihood is highest; drop or merge them, or take more data"
    )
