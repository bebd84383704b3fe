"""Perceptron: a small net from what people see to what they do, fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ethogram.simulator import (
    Draws,
    History,
    check_callable,
    check_is,
    check_number,
    checked_int,
    checked_seed,
    write_atomically,
)

from .decisions import check_period, decide
from .features import Data, Features, decisions, expit, features_of

GRID, WEIGHT_GRID = 2.0**-12, 2.0**-16  # what a network rounds its inputs and its weights to

LARGEST, LARGEST_WEIGHT, WIDEST = 2.0**10, 2.0**6, 512  # with which sums of products stay exact: 53 bits

ROWS = 1 << 13  # through a network at once: what fits the cache


@dataclass(frozen=True, eq=False)
class Perceptron:
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

    def __post_init__(self) -> None:
        check_period(self.period)
        check_callable("features", self.features, "a function of what people see")

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
        """Maximum likelihood by Adam; data as in ``Logits.fit``, or answers, probabilities, in the place of actions.

        hidden: units of each hidden layer.

        Trains on the CPU in one thread, so that the same data, settings and processor give the same bits. Raises
        ValueError for a feature that is constant in the data.
        """
        seed = checked_seed(seed)
        check_is("hidden", hidden, Sequence, "the units of each hidden layer, such as (16,)")
        for place, units in enumerate(hidden):
            checked_int(f"hidden[{place}]", units, 1, WIDEST)
        for name, number in (("epochs", epochs), ("batch", batch)):
            checked_int(name, number, 1)
        check_number("rate", rate)
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

    def repeated(self, times: int) -> Self:
        """For several populations at once: the same, since it looks at nobody else."""
        return self

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
            raise ValueError(
                f"{path} is not a network that can be read ({error}); Perceptron.save writes one"
            ) from error
        names, mean, scale, weights, biases, period = fields
        return cls(features, tuple(names), mean, scale, tuple(weights), tuple(biases), period)


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
    if sizes[0] > WIDEST or rate == 0:
        raise ValueError(f"{sizes[0]} features and a rate of {rate}: expected 1 to {WIDEST}, and a rate above 0")
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
