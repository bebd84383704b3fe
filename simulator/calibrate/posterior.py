"""Parameters as simulations tell them: by regression where the model fits, by distance where it does not."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..draws import Draws
from .fit import square_root


class Weighted(NamedTuple):
    """(k, d) logits of parameters, and their weights, (k,), that sum to 1."""

    at: Tensor
    weight: Tensor

    @property
    def effective(self) -> float:
        """The number of equal weights that would tell as much (Kish)."""
        return (self.weight.sum() ** 2 / self.weight.square().sum()).item()

    def picked(self, count: int, seed: int, generation: int = 0, site: str = "predicted") -> Tensor:
        """(count, d): drawn by weight, one in each of ``count`` equal parts of it."""
        luck = Draws(seed, torch.arange(count), generation, "search").uniform(site).to(torch.float64)
        place = torch.searchsorted(self.weight.cumsum(0), (torch.arange(count) + luck) / count)
        return self.at[place.clamp(max=len(self.weight) - 1)]


def adjusted(at: Tensor, apart: Tensor, weight: Tensor, keep: float) -> tuple[Weighted, float]:
    """Those kept, moved to where the observed series puts them, and the tolerance.

    at: (n, d). apart: (n, K) how the series of each differs from the observed one. weight: (n,). What turns a series
    into d numbers is fitted to twice as many as are kept, on their leading principal components, one for each ten of
    them: more would fit the noise. It goes without weights, since any such numbers will do, and one far point of large
    weight would turn the plane.
    """
    near = apart.square().sum(1).argsort(stable=True)[: int(2 * keep * len(at))]
    at, apart, weight = at[near], apart[near], weight[near]
    components = torch.linalg.svd(apart - apart.mean(0), full_matrices=False)[2][: max(1, len(at) // 10)]
    leading = apart @ components.T
    told, left_over = _regressed(at, leading, torch.ones_like(weight))
    size = len(told)
    numbers = leading @ told[1:]  # (near, d); those of the observed series are 0
    unexplained = square_root(left_over.T @ left_over / (len(at) - size))
    distance = torch.linalg.solve_triangular(unexplained, numbers.T, upper=False).square().sum(0).sqrt()
    kept = distance.argsort(stable=True)[: len(at) // 2]
    tolerance = distance[kept[-1]].clamp(min=1e-300)
    weight = weight[kept] * (1 - (distance[kept] / tolerance) ** 2).clamp(min=1e-9)  # Epanechnikov's kernel
    weight = weight / weight.sum()
    told, left_over = _regressed(at[kept], numbers[kept], weight)
    widened = ((len(at) + size) / (len(at) - size)) ** 0.5  # for what the first regression fitted of noise
    return Weighted(told[0] + widened * left_over, weight), tolerance.item()


def nearest(at: Tensor, apart: Tensor, weight: Tensor, count: int) -> Weighted:
    """The ``count`` whose series come nearest to the observed one, as they are."""
    near = apart.square().sum(1).argsort(stable=True)[:count]
    return Weighted(at[near], weight[near] / weight[near].sum())


def with_error(at: Tensor, apart: Tensor, weight: Tensor, least: float, power: float | None = None) -> Weighted:
    """The posterior of a model that draws the record up to an error of unknown size; less what counts for nothing.

    The K errors are normal and their size has Jeffreys' prior, so that a simulation at the distance D counts for
    D^-K: as in least squares, what the model cannot draw says how sure one can be (ABC as exact inference under such
    an error: Wilkinson, Statistical Applications in Genetics and Molecular Biology 2013). Where fewer than ``least``
    would count, the power is lowered until they do. A ``power`` above K: more of those that are nearest, whatever the
    posterior.
    """
    far, power = apart.square().mean(1).sqrt().clamp(min=1e-150).log(), power or float(apart.shape[1])
    while True:
        found = Weighted(at, (weight.log() - power * far).softmax(0))
        if found.effective >= least or power < 0.5:
            counts = found.weight > 1e-6 / len(at)
            return Weighted(at[counts], found.weight[counts] / found.weight[counts].sum())
        power *= 0.8


def lowest(at: Tensor, apart: Tensor, start: Tensor) -> Tensor:
    """(d,): where the mean series comes nearest to the observed one, as far as can be seen from ``start``.

    The series of the simulations around it are taken as linear in the parameters, at most half as far as these reach,
    and the same once more from there, a few times, as long as it comes nearer (Gauss-Newton).
    """
    k, far = 6 * (len(start) + 1), torch.inf
    scale = at[apart.square().sum(1).argsort(stable=True)[: max(k, 200)]].std(0)
    found = start
    for _ in range(6):
        away = (at - start) / scale
        near = away.square().sum(1).argsort(stable=True)[:k]
        reach = away[near].square().sum(1)
        plane, _ = _regressed(apart[near], away[near], 1 - 0.999 * reach / reach.max())
        if (height := plane[0].square().mean().item()) >= far:
            break
        found, far = start, height
        step = -torch.linalg.pinv(plane[1:].T, rtol=1e-9) @ plane[0]
        start = start + scale * step * (0.5 * reach.max().sqrt() / step.norm().clamp(min=1e-300)).clamp(max=1)
    return found


def _regressed(at: Tensor, on: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted least squares of (k, d) on (k, c): coefficients (1 + c, d), the intercept first, and what is left."""
    design, root = torch.cat([torch.ones_like(on[:, :1]), on], 1), weight.sqrt()[:, None]
    coefficients = torch.linalg.pinv(design * root, rtol=1e-9) @ (at * root)
    return coefficients, at - design @ coefficients
