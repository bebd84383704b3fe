"""Normal and beta draws, KL bounds."""

import math

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, as_tensor

from . import kernels

LARGEST = 2.0**40  # of a + b: beyond it a draw's attempts are lost in rounding, and need not end


def kl_upper_bound(mean: Tensor, budget: Tensor) -> Tensor:
    """The largest u with KL(mean, u) <= budget, between Bernoulli distributions; all (N,) float64.

    By Newton's method from above: KL is convex and increases in u >= mean, so that the iterates descend to the root.
    """
    mean, budget = as_tensor("mean", mean), as_tensor("budget", budget)
    if mean.dtype != torch.float64 or budget.dtype != torch.float64 or mean.dim() != 1 or mean.shape != budget.shape:
        what = f"{mean.dtype} {tuple(mean.shape)} and {budget.dtype} {tuple(budget.shape)}"
        raise ValueError(f"mean and budget are {what}: expected float64 (N,) both")
    if not bool(((mean >= 0) & (mean <= 1) & (budget >= 0)).all()):
        raise ValueError("a mean is outside [0, 1], or a budget negative or NaN: expected shares, and 0 or more")
    if mean.is_cpu:
        out = torch.empty_like(mean)
        kernels.kl_bounds(mean.numpy(), budget.numpy(), out.numpy())
        return out
    return _kl_upper_bound_torch(mean, budget)


def _kl_upper_bound_torch(mean: Tensor, budget: Tensor) -> Tensor:
    entropy = -torch.xlogy(mean, mean) - torch.xlogy(1 - mean, 1 - mean)
    high = (mean + budget + (budget * (budget + 2 * mean)).sqrt()).minimum(mean + (budget / 2).sqrt())
    high = high.where(high < 1, -torch.expm1(-(budget + entropy) / (1 - mean)))
    high = high.where(mean < 1, 1.0)
    moving = (mean < high) & (high < 1)
    while bool(moving.any()):
        excess = -entropy - mean * high.log() - (1 - mean) * (1 - high).log() - budget
        step = excess * high * (1 - high) / (high - mean)
        high = (high - step).where(moving, high)
        moving &= (step > 1e-8 * (high - mean)) & (mean < high) & (high < 1)
    return high.maximum(mean)


def normal(draws: Draws, site: str, index: int | Tensor | None = None) -> Tensor:
    """Standard normal draws, float64: the inverse distribution function at ``draws.uniform(site, index)``."""
    return torch.special.ndtri(draws.uniform(site, index).double())


def beta(draws: Draws, site: str, a: Tensor, b: Tensor) -> Tensor:
    """Beta(a, b) draws, one for each row and item, (n, N) float64; a, b: (N,) float64, at least 1.

    Cheng's algorithm BB (Communications of the ACM 21, 1978): rejection from a log-logistic envelope. Attempt k of
    item e takes the draws with index e + 2 k 2^32 and e + (2 k + 1) 2^32. At most 1.5 attempts are expected. a = 1 or
    b = 1 lies on the border of BB; its scale is 1 there, with which the proof goes through.
    """
    a, b = as_tensor("a", a), as_tensor("b", b)
    if a.dtype != torch.float64 or b.dtype != torch.float64 or a.dim() != 1 or a.shape != b.shape:
        what = f"{a.dtype} {tuple(a.shape)} and {b.dtype} {tuple(b.shape)}"
        raise ValueError(f"Beta parameters are {what}: expected float64 (N,) both")
    if not bool(((a >= 1) & (b >= 1) & (a + b <= LARGEST)).all()):
        low, high = min(a.min().item(), b.min().item()), max(a.max().item(), b.max().item())
        raise ValueError(f"Beta parameters go from {low:g} to {high:g}: expected at least 1, at most {LARGEST:g}")
    if draws.ids.is_cpu:
        out = torch.empty(len(draws.ids), len(a), dtype=torch.float64)
        key = np.uint64(draws.key(site))
        kernels.beta_draws(key, draws.ids.numpy(), a.numpy(), b.numpy(), out.numpy())
        return out
    return _beta_torch(draws, site, a, b)


def _beta_torch(draws: Draws, site: str, a: Tensor, b: Tensor) -> Tensor:
    low, high, total = a.minimum(b), a.maximum(b), a + b
    scale = ((total - 2) / (2 * a * b - total)).sqrt().where(low > 1, 1.0)  # Cheng's beta
    items = torch.arange(len(a), device=a.device).expand(len(draws.ids), -1)
    out = torch.full(items.shape, torch.nan, dtype=torch.float64, device=a.device)
    attempt = 0
    while bool(out.isnan().any()):
        u = draws.uniform(site, items + (2 * attempt << 32)).double()
        u2 = draws.uniform(site, items + (2 * attempt + 1 << 32)).double()
        v = scale * (u / (1 - u)).log()
        w = low * v.exp()
        r = (low + 1 / scale) * v - math.log(4)
        accepted = r + total * (total / (high + w)).log() >= (u * u * u2).log()
        drawn = torch.where(a == low, w, high) / (high + w)
        out = drawn.where(accepted & out.isnan(), out)
        attempt += 1
    return out
