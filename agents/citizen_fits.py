"""Citizens fitted to what people saw and did: log-odds linear in named features, and a small network.

Sums of float64 products depend on the order of their terms, so that a matrix product gives a person other last bits
in another batch. Here each person's numbers are the same in any batch and any order: log-odds are added up term by
term, or are sums of multiples of a power of two, which are exact in any order; and ``expit`` is written with ``exp``,
for ``torch.sigmoid`` gives other bits at the end of a tensor. On another kind of processor or device the last bit of
``exp``, so of a probability, may differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from ethogram.simulator import Draws, History, map_column, write_atomically

from .citizens import DECISIONS, decide

INTERCEPT = "intercept"
ROUNDS = 50  # of Newton's method; real data take some ten
GRID, WEIGHT_GRID = 2.0**-12, 2.0**-16  # what a network rounds its inputs and its weights to
LARGEST, LARGEST_WEIGHT, WIDEST = 2.0**10, 2.0**6, 512  # with which sums of products stay exact: 53 bits
ROWS = 1 << 13  # through a network at once: what fits the cache

Features = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]  # what is seen to named numbers, (n,) each
Data = History | tuple[Mapping[str, Tensor], Tensor]  # or (observation columns (m,), actions (m, 2))


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

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        return decide(self.probabilities(observation), draws, self.period)


@dataclass(frozen=True, eq=False)
class Network:
    """A small neural network from named features to log-odds, fitted to data; made by ``fit`` or ``load``.

    features: as of ``Logits``. names: of its K features. mean, scale: (K,) float64 of the training data, by which
    features are standardised. weights, biases: of each layer, float64, multiples of 2^-16. Layers' inputs are rounded
    to 2^-12, which makes their sums exact and a person's probabilities the same in any batch.
    """

    features: Features
    names: tuple[str, ...]
    mean: Tensor
    scale: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    period: int = 1

    @classmethod
    def fit(
        cls,
        data: Data,
        features: Features,
        *,
        hidden: Sequence[int] = (16,),
        epochs: int = 50,
        batch: int = 512,
        rate: float = 0.03,
        seed: int = 0,
        period: int = 1,
    ) -> Self:
        """Maximum likelihood by Adam; data as in ``Logits.fit``, hidden: units of each hidden layer.

        Trains on the CPU in one thread, so that the same data, settings and processor give the same bits. Raises
        ValueError for a feature that is constant in the data.
        """
        names, x, y = decisions(data, features, period)
        x, y = x.cpu(), y.cpu()
        mean, scale = x.mean(0), x.std(0, correction=0)
        if constant := [name for name, s in zip(names, scale.tolist(), strict=True) if not s > 0]:
            raise ValueError(f"features {constant} are constant in these {len(x)} decisions: drop them")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the matrices are small: threads would wait for each other
        try:
            weights, biases = train((x - mean) / scale, y, hidden, epochs, batch, rate, seed)
        finally:
            torch.set_num_threads(threads)
        return cls(features, tuple(names), mean, scale, weights, biases, period)

    def probabilities(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(n, 2) float64. Raises ValueError for other features, and for people unlike any in the training data."""
        columns = features_of(self.features, observation)
        if tuple(columns) != self.names:
            raise ValueError(f"features gives {list(columns)}: expected {list(self.names)}, as in training")
        x = torch.stack(list(columns.values()), 1)
        return expit(torch.cat([self._log_odds(x[i : i + ROWS], i) for i in range(0, len(x), ROWS)]))

    def _log_odds(self, x: Tensor, first: int) -> Tensor:
        """(n, 2) from features (n, K), both float64, of the rows from ``first`` on."""
        x = (x - self.mean.to(x.device)) / self.scale.to(x.device)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = _on_grid(x.relu() if layer else x, first) @ weight.to(x.device) + bias.to(x.device)
        return x

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        return decide(self.probabilities(observation), draws, self.period)

    def save(self, path: str | Path) -> None:
        """Write all but ``features``, which is code, to a file, atomically."""
        tensors = {"mean": self.mean, "scale": self.scale, "weights": list(self.weights), "biases": list(self.biases)}
        content = {"names": list(self.names), "period": self.period, **tensors}
        write_atomically(Path(path), lambda file: torch.save(content, file))

    @classmethod
    def load(cls, path: str | Path, features: Features) -> Self:
        """Read what ``save`` wrote; no code in the file is run. features: the function that it was fitted with."""
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            fields = [saved[name] for name in ("names", "mean", "scale", "weights", "biases", "period")]
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ValueError(f"{path} is not a network that can be read ({error}); Network.save writes one") from error
        names, mean, scale, weights, biases, period = fields
        return cls(features, tuple(names), mean, scale, tuple(weights), tuple(biases), period)


def expit(log_odds: Tensor) -> Tensor:
    """Probabilities of log-odds: the same bits wherever in a tensor a number stands."""
    return 1 / (1 + (-log_odds).exp())


def features_of(features: Features, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """name -> (n,) float64. Raises ValueError where ``features`` gives anything but named tensors (n,)."""
    found = features(observation)
    if not isinstance(found, Mapping) or not found or INTERCEPT in found:
        names = list(found) if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(f"features gives {names}: expected a dict of names to tensors (n,); the intercept is implied")
    n = len(next(iter(observation.values())))
    for name, column in found.items():
        if not isinstance(column, Tensor) or tuple(column.shape) != (n,):
            what = f"of shape {tuple(column.shape)}" if isinstance(column, Tensor) else f"a {type(column).__name__}"
            raise ValueError(f"feature '{name}' is {what}: expected a tensor ({n},), one number for each person")
    return {name: column.to(torch.float64) for name, column in found.items()}


def decisions(data: Data, features: Features, period: int) -> tuple[list[str], Tensor, Tensor]:
    """The decisions in a record: names of K features, their values (m, K) float64, what was done (m, 2) float64.

    Of a History: on the days on which a period begins, in rows that have not ended, for the decisions of the other
    days hang on the same luck. A pair of observations and actions is taken as it is.
    """
    if period < 1:
        raise ValueError(f"period is {period}: expected at least 1 day")
    if isinstance(data, History):
        first = data.valid & (torch.arange(data.num_steps, device=data.length.device) % period == 0)  # (n, T)
        seen, did = map_column(lambda column: column[:, :-1][first], data.observation), data.action[first]
    else:
        seen, did = data
    columns = features_of(features, seen)
    m = len(next(iter(columns.values())))
    if not isinstance(did, Tensor) or tuple(did.shape) != (m, 2) or not ((did == 0) | (did == 1)).all():
        what = tuple(did.shape) if isinstance(did, Tensor) else type(did).__name__
        raise ValueError(f"actions are {what}: expected a tensor ({m}, 2) of 0 and 1, [isolate, work]")
    x = torch.stack(list(columns.values()), 1)
    if not (good := x.isfinite()).all():
        row, k = (~good).nonzero()[0].tolist()
        raise ValueError(f"feature '{list(columns)[k]}' is {x[row, k]} in decision {row}: expected finite numbers")
    return list(columns), x, did.to(torch.float64)


def maximum_likelihood(names: Sequence[str], x: Tensor, y: Tensor, what: str) -> tuple[Tensor, Tensor]:
    """Logistic regression by Newton's method: coefficients and standard errors, (1 + K,) each, the intercept first.

    names, x: K features, (m, K) float64. y: (m,) float64 of 0 and 1. what: the decision, for messages.
    Standard errors are those of the information matrix, so of decisions that are independent given the features.
    Raises ValueError where no maximum exists (features that predict some decisions perfectly) or no unique one
    (features that are sums of others).
    """
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


def _on_grid(x: Tensor, first: int) -> Tensor:
    """The multiples of GRID next to a layer's inputs. Raises ValueError beyond what sums stay exact for."""
    if not (good := x.abs() <= LARGEST).all():
        row = int((~good).any(1).nonzero()[0])
        raise ValueError(
            f"inputs of a layer for row {first + row} are {x[row].tolist()}: expected numbers up to {LARGEST:g}; in "
            "standard deviations of the training data, features are so far out that it knows nothing of such people"
        )
    rounded = (x / GRID).round() * GRID
    return x + (rounded - x).detach() if x.requires_grad else rounded  # the same bits; a gradient passes rounding by


def train(
    x: Tensor, y: Tensor, hidden: Sequence[int], epochs: int, batch: int, rate: float, seed: int
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Weights and biases of a network by maximum likelihood: Adam on mini-batches, at a rate that falls to 0.

    x: (m, K) float64, standardised. y: (m, 2) float64. All on the CPU; uses no global generator.
    """
    sizes = [x.shape[1], *hidden, y.shape[1]]
    if min(epochs, batch, *sizes) < 1 or max(sizes) > WIDEST or not rate > 0:
        raise ValueError(
            f"layers of {sizes} with epochs={epochs}, batch={batch}, rate={rate}: expected layers of 1 to {WIDEST}, "
            "at least 1 epoch and a batch of 1, and a rate above 0"
        )
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(a, b, dtype=x.dtype, generator=generator) * (2 / a) ** 0.5 for a, b in pairwise(sizes)]
    biases = [torch.zeros(b, dtype=x.dtype) for b in sizes[1:]]
    parameters = [p.requires_grad_() for p in weights + biases]
    adam = torch.optim.Adam(parameters, rate)
    falling = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, epochs * -(-len(x) // batch))
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x), generator=generator), batch):
            out = x[rows]
            for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                out = (out.relu() if layer else out) @ weight + bias
            adam.zero_grad()
            binary_cross_entropy_with_logits(out, y[rows]).backward()  # type: ignore[no-untyped-call]
            adam.step()
            falling.step()
    highest = max(p.detach().abs().max().item() for p in parameters)
    if not highest <= LARGEST_WEIGHT:
        raise ValueError(f"a weight has become {highest:g}: expected up to {LARGEST_WEIGHT:g}; lower rate or epochs")
    found = [tuple(((p.detach() / WEIGHT_GRID).round() * WEIGHT_GRID) for p in part) for part in (weights, biases)]
    return found[0], found[1]
