"""Where a search simulates next: around many points at once, each with the covariance of its neighbourhood."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..draws import Draws
from .fit import square_root, standard_normal
from .posterior import Weighted

FREEDOM = 4  # degrees of freedom of the t distributions
CENTRES = 30  # t distributions in a mixture
WIDE = 8.0  # by which covariances around what regression says are multiplied: less, and it sees too little to turn on
BLIND = 0.05  # share of proposals that come from the prior, whatever has been found
BY_DISTANCE = 0.35, 0.7  # share of those around what came nearest, where regression is trusted and where it is not


class Mixture(NamedTuple):
    """t distributions with C centres (C, d), and the square roots (C, d, d) of their scale matrices."""

    centre: Tensor
    root: Tensor
    draws: Tensor  # (C,) how many are drawn from each

    def sample(self, site: str, seed: int, generation: int) -> Tensor:
        """(n, d): all draws."""
        of, d = torch.arange(len(self.draws)).repeat_interleave(self.draws.long()), self.centre.shape[1]
        normal = standard_normal(site, seed, len(of), d + FREEDOM, generation)
        student = normal[:, :d] / normal[:, d:].square().mean(1, keepdim=True).sqrt()
        return self.centre[of] + (self.root[of] @ student[:, :, None])[:, :, 0]

    def density(self, at: Tensor) -> Tensor:
        """(n,): the sum of the draws' densities at each of ``at``, (n, d)."""
        d = at.shape[1]
        constant = math.lgamma((FREEDOM + d) / 2) - math.lgamma(FREEDOM / 2) - d / 2 * math.log(FREEDOM * math.pi)
        height = constant - self.root.diagonal(dim1=1, dim2=2).log().sum(1)  # (C,) logarithms
        inverse = torch.linalg.inv(self.root)  # (C, d, d)
        total = torch.zeros(len(at), dtype=torch.float64)
        for part in torch.split(torch.arange(len(self.centre)), 64):  # so that memory does not grow with n C
            apart = torch.einsum("cij,ncj->nci", inverse[part], at[:, None] - self.centre[part])
            far = (apart.square().sum(2) / FREEDOM).log1p()
            total += (height[part] - (FREEDOM + d) / 2 * far).exp() @ self.draws[part]
        return total


def begun(seed: int, population: int, d: int, entries: int) -> dict[str, Tensor]:
    """The state of a search of d parameters for a series of so many entries, before anything is simulated."""
    return {
        "at": _from_prior(seed, population, d, 0),  # (n, d) logits of all parameters to simulate so far
        "series": torch.zeros(0, entries, dtype=torch.float64),  # what has come of them
        "blind": torch.tensor(population),  # how many of them were drawn from the prior
        "last": torch.tensor([0, 0]),  # how many of the last were drawn around the nearest, and then by regression
        "density": torch.zeros(population, dtype=torch.float64),  # (n,) of the mixtures of all others
        **Mixture(
            torch.zeros(0, d, dtype=torch.float64),
            torch.zeros(0, d, d, dtype=torch.float64),
            torch.zeros(0, dtype=torch.float64),
        )._asdict(),
    }


def further(
    state: dict[str, Tensor], told: Weighted, near: Weighted, trusted: bool, seed: int, population: int, generation: int
) -> dict[str, Tensor]:
    """The state with a further population to simulate.

    told: what regression says; trusted: whether it has proved right. near: the few that came nearest, around which no
    covariance is widened: from there the search climbs, as random search cannot.
    """
    blind = max(1, round(BLIND * population))
    by_distance = max(1, round(BY_DISTANCE[not trusted] * population))
    by_told = population - blind - by_distance
    mixtures = [
        (site, _around(sample, wide, count, seed, generation, site))
        for site, sample, wide, count in (("near", near, 1.0, by_distance), ("told", told, WIDE, by_told))
    ]
    new = [_from_prior(seed, blind, state["at"].shape[1], generation)]
    at = torch.cat([*new, *(mixture.sample(site, seed, generation) for site, mixture in mixtures)])
    added = Mixture(*(torch.cat(parts) for parts in zip(*(mixture for _, mixture in mixtures), strict=True)))
    whole = Mixture(*(torch.cat([state[name], part]) for name, part in added._asdict().items()))
    return {
        "at": torch.cat([state["at"], at]),
        "series": state["series"],
        "blind": state["blind"] + blind,
        "last": torch.tensor([by_distance, by_told]),
        "density": torch.cat([state["density"] + added.density(state["at"]), whole.density(at)]),
        **whole._asdict(),
    }


def weight_of(state: dict[str, Tensor]) -> Tensor:
    """(n,): the prior, uniform between the bounds and so logistic in each logit, over the mixture of all proposals."""
    at = state["at"]
    prior = (-at.abs() - 2 * torch.nn.functional.softplus(-at.abs())).sum(1).exp()
    return prior / (state["blind"] * prior + state["density"])


def regression_leads(state: dict[str, Tensor], far: Tensor) -> bool:
    """Whether the last proposals from regression came nearer than those around the nearest; far: (n,)."""
    near, told = state["last"].tolist()
    last = far[len(far) - near - told :]
    return not told or bool(last[near:].median() <= last[:near].median())


def _from_prior(seed: int, count: int, d: int, generation: int) -> Tensor:
    """(count, d) logits."""
    return Draws(seed, torch.arange(count), generation, "search").uniform("first", d).to(torch.float64).logit()


def _around(sample: Weighted, wide: float, draws: int, seed: int, generation: int, site: str) -> Mixture:
    """Some of a weighted sample, picked by weight; each with ``wide`` times the covariance of its nearest quarter.

    A covariance of all would span what lies between separate answers.
    """
    count, (at, weight) = min(CENTRES, draws), sample
    centre = sample.picked(count, seed, generation, site)
    mean = weight @ at
    whole = (weight[:, None] * (at - mean)).T @ (at - mean)
    away = torch.linalg.solve_triangular(square_root(whole), (at - centre[:, None]).mT, upper=False)
    size = min(len(at), max(len(at) // 4, 5 * at.shape[1]))
    near = away.square().sum(1).argsort(dim=1, stable=True)[:, :size]  # (count, size)
    share = weight[near] / weight[near].sum(1, keepdim=True)
    apart = at[near] - centre[:, None]
    local = torch.einsum("cs,csi,csj->cij", share, apart, apart) + 1e-4 * whole
    each = torch.full((count,), draws // count, dtype=torch.float64)
    each[: draws % count] += 1
    return Mixture(centre, square_root(wide * local), each)
