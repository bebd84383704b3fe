"""Separate answers in a weighted sample of parameters."""

import torch
from torch import Tensor

LEAST = 0.05  # share of the weight below which a set apart is stray


def modes_of(sample: Tensor, weight: Tensor) -> list[Tensor]:
    """The indices of those that belong together, the heaviest set first; usually one set.

    sample: (k, d). A kernel estimate of the density is climbed from every point (mean shift: Comaniciu & Meer, IEEE
    PAMI 2002); two peaks are one where the density on the straight line between them stays above half the lower one.
    """
    k, d = sample.shape
    mean = weight @ sample
    scale = (weight @ (sample - mean).square()).sqrt().clamp(min=1e-300)
    x = (sample - mean) / scale
    effective = (1 / weight.square().sum()).item()
    width = 0.8 * effective ** (-1 / (d + 4))

    def kernel(at: Tensor) -> Tensor:
        return weight * (-torch.cdist(at, x).square() / (2 * width**2)).exp()  # (len(at), k)

    at = x
    for _ in range(30):
        share = kernel(at)
        at = share @ x / share.sum(1, keepdim=True).clamp(min=1e-300)
    height = kernel(at).sum(1)
    of = torch.full((k,), -1)
    peaks: list[int] = []
    for i in height.argsort(descending=True, stable=True).tolist():
        for number, peak in enumerate(peaks):
            path = at[peak] + torch.linspace(0, 1, 9, dtype=torch.float64)[:, None] * (at[i] - at[peak])
            if kernel(path).sum(1).min() >= 0.5 * height[i]:
                of[i] = number
                break
        else:
            of[i] = len(peaks)
            peaks.append(i)
    sets = [(of == number).nonzero()[:, 0] for number in range(len(peaks))]
    sets.sort(key=lambda rows: -weight[rows].sum().item())
    return [sets[0], *(rows for rows in sets[1:] if weight[rows].sum() > LEAST)]
