"""Fit: estimate, weighted sample, intervals; what both searches share."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..draws import Draws

Bounds = Mapping[str, tuple[float, float]]

Simulate = Callable[[dict[str, Any], int], Tensor]


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters that agree with a record.

    names: d of them. estimate: (d,) float64. sample: (k, d) float64 plausible parameters; weight: (k,), sums to 1.
    trace: how it went, name -> (steps,); see the function that made the fit. simulations: how many it took.
    """

    names: tuple[str, ...]
    estimate: Tensor
    sample: Tensor
    weight: Tensor
    trace: Mapping[str, Tensor]
    simulations: int

    def __getitem__(self, name: str) -> float:
        """The estimate of one parameter."""
        return self.estimate[self._place(name)].item()

    def quantile(self, name: str, level: float) -> float:
        """The value below which a parameter lies with the probability ``level``."""
        return weighted_quantile(self.sample[:, self._place(name)], self.weight, level)

    def interval(self, name: str, level: float = 0.9) -> tuple[float, float]:
        """The central interval that holds a parameter with the probability ``level``."""
        return self.quantile(name, (1 - level) / 2), self.quantile(name, (1 + level) / 2)

    def draw(self, count: int, seed: int = 0) -> list[dict[str, float]]:
        """Plausible parameters to simulate with: ``count`` draws from the sample, by weight."""
        rows = Draws(seed, torch.arange(count)).uniform("draw").to(torch.float64)
        picked = torch.searchsorted(self.weight.cumsum(0), rows).clamp(max=len(self.weight) - 1)
        return [dict(zip(self.names, row, strict=True)) for row in self.sample[picked].tolist()]

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise LookupError(f"no parameter named '{name}'; this fit has {list(self.names)}")
        return self.names.index(name)

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = []
        for name in self.names:
            low, high = self.interval(name)
            lines.append(f"{name:<{width}}  {self[name]:.4g}  (90 % interval {low:.4g} to {high:.4g})")
        return "\n".join(lines)


def checked(bounds: Bounds, observed: Tensor) -> tuple[tuple[str, ...], Tensor, Tensor]:
    """The parameters' names, the (d, 2) bounds, and the observed series in float64; or an error."""
    if not bounds:
        raise ValueError("bounds is empty: expected at least one parameter, such as {'r0': (1.0, 5.0)}")
    for name, (low, high) in bounds.items():
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"bounds of '{name}' are {low} and {high}: expected finite numbers, the lower one first")
    observed = torch.as_tensor(observed, dtype=torch.float64)
    if observed.dim() != 1 or not len(observed) or not bool(observed.isfinite().all()):
        raise ValueError(f"observed is {tuple(observed.shape)}: expected finite numbers (K,), one series")
    return tuple(bounds), torch.tensor(list(bounds.values()), dtype=torch.float64), observed


def series_of(simulate: Simulate, observed: Tensor) -> Simulate:
    """``simulate`` with its result checked, in float64."""

    def series(parameters: dict[str, Any], seed: int) -> Tensor:
        found = torch.as_tensor(simulate(parameters, seed)).to(torch.float64)
        if found.shape != observed.shape or not bool(found.isfinite().all()):
            values = {name: torch.as_tensor(value).item() for name, value in parameters.items()}
            raise ValueError(
                f"simulate gives {tuple(found.shape)} at {values}, seed {seed}: expected finite numbers "
                f"{tuple(observed.shape)}, as the observed series has"
            )
        return found

    return series


def inside_box(at: Tensor, box: Tensor) -> Tensor:
    """(…, d) logits to parameters between their bounds."""
    return box[:, 0] + (box[:, 1] - box[:, 0]) * at.sigmoid()


def logit(where: Tensor, box: Tensor) -> Tensor:
    """The inverse of ``inside_box``."""
    return ((where - box[:, 0]) / (box[:, 1] - box[:, 0])).logit()


def standard_normal(site: str, seed: int, rows: int, columns: int, step: int = 0) -> Tensor:
    """(rows, columns) standard normal draws, float64."""
    uniform = Draws(seed, torch.arange(rows), step, "calibrate").uniform(site, columns)
    return torch.special.ndtri(uniform.to(torch.float64))


def square_root(covariance: Tensor) -> Tensor:
    """Lower triangular, its product with its transpose the covariance; of one that is nearly singular too."""
    floor = 1e-9 * covariance.diag().mean().clamp(min=1e-12)
    return torch.linalg.cholesky(covariance + floor * torch.eye(len(covariance), dtype=covariance.dtype))


def weighted_quantile(values: Tensor, weight: Tensor, level: float) -> float:
    """The value below which a share ``level`` of a weighted sample lies; values and weight (k,)."""
    order = values.argsort()
    place = torch.searchsorted(weight[order].cumsum(0), level * float(weight.sum()))
    return values[order[min(int(place), len(order) - 1)]].item()


def as_columns(names: tuple[str, ...], rows: list[list[float]]) -> dict[str, Tensor]:
    """Rows of numbers as one float64 tensor a name."""
    return dict(zip(names, torch.tensor(rows, dtype=torch.float64).T, strict=True))
