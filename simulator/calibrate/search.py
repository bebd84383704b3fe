"""Fit_by_search (ABC)."""

import math
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoints import Checkpoint
from ..draws import Draws, checked_seed
from .fit import (
    Bounds,
    Fit,
    Simulate,
    as_columns,
    checked,
    inside_box,
    series_of,
    square_root,
    standard_normal,
    weighted_quantile,
)

FREEDOM = 4  # degrees of freedom of the t distribution from which the search proposes


def fit_by_search(
    simulate: Simulate,
    observed: Tensor,
    bounds: Bounds,
    *,
    simulations: int = 4000,
    population: int = 200,
    keep: float = 0.2,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> Fit:
    """Parameters under which simulations come near to the observed series: approximate Bayesian computation.

    The prior is uniform within the bounds. A first ``population`` is simulated from it; each further one, until
    ``simulations`` are spent, from a t distribution around what all before it say. All of them count, each weighted by
    the prior over the mixture that they were drawn from (adaptive multiple importance sampling: Cornuet et al.,
    Scandinavian Journal of Statistics 2012).

    What they say: a linear regression of parameters on series turns a series into as many numbers as there are
    parameters (Fearnhead & Prangle, JRSS B 2012), the share ``keep`` whose numbers come nearest to the observed ones
    is kept, and each one kept is moved by how its numbers differ from them, by local-linear regression (Beaumont,
    Zhang & Balding, Genetics 2002). Both regressions are of the logit of where between its bounds a parameter lies.
    Where they are far from linear, such as for two separate answers, intervals are wider than they need to be.

    simulate: given {name: float} and a seed, returns (K,). Each simulation has a seed of its own. observed: (K,).

    trace: by generation, "tolerance" (how far off the farthest kept is, in standard deviations of what the regression
    leaves unexplained), "effective" (how many are kept in effect, by their weights) and each parameter's weighted mean.
    checkpoint: a file to resume from, to the same bits; removed at the end. Ctrl-C saves to it first.
    """
    names, box, observed = checked(bounds, observed)
    seed = checked_seed(seed)
    series, d = series_of(simulate, observed), len(names)
    if not 0 < keep <= 0.5 or keep * population < 10 * d or simulations < population:
        raise ValueError(
            f"population={population}, keep={keep}, simulations={simulations}: expected to keep at most half and at "
            f"least {10 * d} of a population, 10 for each parameter, and to simulate one population or more"
        )
    first = Draws(seed, torch.arange(population), 0, "search").uniform("first", d).to(torch.float64).logit()
    state = {
        "at": first,  # (n, d) logits of all parameters to simulate so far
        "series": torch.zeros(0, len(observed), dtype=torch.float64),  # what has come of them
        "centre": torch.zeros(0, d, dtype=torch.float64),  # of each generation's t distribution but the first
        "root": torch.zeros(0, d, d, dtype=torch.float64),
    }
    trace: list[list[float]] = []
    saver = None
    if checkpoint is not None:
        run = {"simulate": simulate, "observed": observed, "bounds": dict(bounds), "seed": seed}
        run |= {"simulations": simulations, "population": population, "keep": keep}
        saver = Checkpoint(checkpoint, run, checkpoint_every, free=["simulate"])
        if (saved := saver.load(state)) is not None:
            _, state, trace = saved
    bar = tqdm(total=simulations, initial=len(state["series"]), disable=not progress, unit="simulation")
    with bar, saver or nullcontext():
        while True:
            for number in range(len(state["series"]), len(state["at"])):
                parameters = dict(zip(names, inside_box(state["at"][number], box).tolist(), strict=True))
                found = series(parameters, (seed << 32) + number).detach()
                state["series"] = torch.cat([state["series"], found[None]])
                bar.update()
                if saver is not None:
                    saver.save(number + 1, state, trace)
            apart = (state["series"] - observed) / _scale(state["series"][:population])
            sample, weight, tolerance = _posterior(state["at"], apart, _log_weight(state), keep)
            effective = _in_effect(weight)
            trace.append([tolerance, effective, *(weight @ inside_box(sample, box)).tolist()])
            bar.set_postfix(tolerance=f"{tolerance:.3g}", effective=f"{effective:.0f}")
            if len(state["at"]) + population > simulations:
                break
            centre = weight @ sample
            root = square_root(2 * (weight[:, None] * (sample - centre)).T @ (sample - centre))
            proposals = centre + _student(seed, population, len(trace), d) @ root.T
            for name, rows in (("at", proposals), ("centre", centre[None]), ("root", root[None])):
                state[name] = torch.cat([state[name], rows])
    if saver is not None:
        saver.remove()
    sample = inside_box(sample, box)
    estimate = torch.tensor([weighted_quantile(column, weight, 0.5) for column in sample.T], dtype=torch.float64)
    columns = as_columns(("tolerance", "effective", *names), trace)
    return Fit(names, estimate, sample, weight, columns, len(state["series"]))


def _posterior(at: Tensor, apart: Tensor, log_weight: Tensor, keep: float) -> tuple[Tensor, Tensor, float]:
    """Those kept, (k, d), moved to where the observed series puts them; their weights, (k,); and the tolerance.

    at: (n, d). apart: (n, K) how the series of each differs from the observed one. What turns a series into d numbers
    is fitted to twice as many as are kept, on their leading principal components, one for each ten of them: more would
    fit the noise. It goes without weights, since any such numbers will do, and one far point of large weight would turn
    the plane.
    """
    near = apart.square().sum(1).argsort(stable=True)[: int(2 * keep * len(at))]
    at, apart, weight = at[near], apart[near], log_weight[near].softmax(0)
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
    return told[0] + widened * left_over, weight, tolerance.item()


def _regressed(at: Tensor, on: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted least squares of (k, d) on (k, c): coefficients (1 + c, d), the intercept first, and what is left."""
    design, root = torch.cat([torch.ones_like(on[:, :1]), on], 1), weight.sqrt()[:, None]
    coefficients = torch.linalg.pinv(design * root, rtol=1e-9) @ (at * root)
    return coefficients, at - design @ coefficients


def _in_effect(weight: Tensor) -> float:
    """The number of equal weights that would tell as much (Kish)."""
    return (weight.sum() ** 2 / weight.square().sum()).item()


def _scale(series: Tensor) -> Tensor:
    """(K,) standard deviations; 1 for what does not vary."""
    spread = series.std(0)
    return torch.where(spread > 0, spread, 1.0)


def _student(seed: int, count: int, generation: int, d: int) -> Tensor:
    """(count, d) draws of the multivariate t distribution."""
    normal = standard_normal("proposal", seed, count, d + FREEDOM, generation)
    return normal[:, :d] / normal[:, d:].square().mean(1, keepdim=True).sqrt()


def _log_weight(state: dict[str, Tensor]) -> Tensor:
    """(n,) of the prior over the mixture of all proposals, of which the prior itself is one."""
    at, d = state["at"], state["at"].shape[1]
    prior = (-at.abs() - 2 * torch.nn.functional.softplus(-at.abs())).sum(1)  # uniform: logistic in the logit
    parts = [prior]
    constant = math.lgamma((FREEDOM + d) / 2) - math.lgamma(FREEDOM / 2) - d / 2 * math.log(FREEDOM * math.pi)
    for centre, root in zip(state["centre"], state["root"], strict=True):
        square = torch.linalg.solve_triangular(root, (at - centre).T, upper=False).square().sum(0)
        parts.append(constant - root.diag().log().sum() - (FREEDOM + d) / 2 * (square / FREEDOM).log1p())
    return prior - torch.stack(parts).logsumexp(0)
