"""Parameters of a model from a recorded series: by gradient where the model has one, by search where it has none.

Both ask for ``simulate(parameters, seed)``, which runs the model and returns the series that it would have recorded,
and return a ``Fit``: an estimate, a weighted sample of parameters that agree with the record, and how it went. Neither
knows what the model is. Their intervals hold if the model is right; whether it is, a look at simulations under
``fit.draw`` beside the record tells.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .checkpoint import Checkpoint, fingerprint
from .draws import Draws
from .ensemble import checked_seeds

Bounds = Mapping[str, tuple[float, float]]
Simulate = Callable[[dict[str, Any], int], Tensor]

FREEDOM = 4  # degrees of freedom of the t distribution from which the search proposes


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
        return _quantile(self.sample[:, self._place(name)], self.weight, level)

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


def fit_by_gradient(
    simulate: Simulate,
    observed: Tensor,
    bounds: Bounds,
    *,
    start: Mapping[str, float] | None = None,
    seeds: Iterable[int] = range(8),
    steps: int = 60,
    learning_rate: float = 0.15,
    spread: int = 64,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> Fit:
    """The parameters whose mean series comes nearest to the observed one, by Adam.

    This is the method of simulated moments in two rounds (McFadden, Econometrica 1989; Hansen, Econometrica 1982): it
    minimises the mean square of ``observed`` minus the mean of ``simulate`` over ``seeds``, always the same ones
    (common random numbers). In the second half of the steps, differences count by how much series vary by chance and
    together: less where, say, whole epidemics come early or late. For the first half let the series be such that all
    entries are about equally noisy; for counts their square roots are, ``(count + 1).sqrt()``. A Gauss-Newton step
    ends it.

    simulate: given {name: tensor () float64 that requires grad} and a seed, returns (K,) with a gradient.
    observed: (K,). bounds: name -> (low, high); the search is in the logit of where between them a parameter lies.
    start: where to begin, the middle by default. learning_rate: of Adam, for that logit; it falls to 0 linearly in
    each half.

    The interval is the delta method's: ``spread`` more simulations (at half time and at the end) say how much a series
    varies by chance, and the gradient of the mean series how much each parameter must move to make up for it. It
    holds if the model is right, and has the simulations' own noise in it.

    trace: "loss" (in the second half in units of chance) and each parameter, by step. checkpoint: a file to resume
    from, to the same bits; removed at the end.
    """
    names, box, observed = _checked(bounds, observed)
    series = _series_of(simulate, observed)
    seeds = checked_seeds(seeds)
    if steps < 1 or spread < 2 * len(names) + 2:
        raise ValueError(f"steps={steps}, spread={spread}: expected 1 or more, and at least {2 * len(names) + 2}")
    middle = {name: (low + high) / 2 for name, (low, high) in bounds.items()} | dict(start or {})
    if sorted(middle) != sorted(names) or not all(bounds[n][0] < middle[n] < bounds[n][1] for n in names):
        raise ValueError(f"start is {middle}: expected for each of {list(names)} a value inside its bounds")
    where = torch.tensor([middle[name] for name in names], dtype=torch.float64)
    half = (steps + 1) // 2
    state = {
        "at": _logit(where, box),
        "mean": torch.zeros_like(where),  # Adam's
        "square": torch.zeros_like(where),
        "whiten": torch.eye(len(observed), dtype=torch.float64),  # what differences are multiplied by
    }
    trace: list[list[float]] = []

    def mean_series(at: Tensor) -> Tensor:
        parameters = dict(zip(names, _inside(at, box).unbind(), strict=True))
        found = torch.stack([series(parameters, seed) for seed in seeds]).mean(0)
        if not found.requires_grad:
            raise ValueError(
                "simulate gives a series without a gradient in the parameters: run a world that has one with draws "
                "that do, such as envs.relaxed, or use fit_by_search"
            )
        return found

    def by_chance(at: Tensor, number: int) -> Tensor:
        """(spread, K) how series at the same parameters differ from their mean, with seeds of their own each time."""
        parameters = dict(zip(names, _inside(at, box).tolist(), strict=True))
        fresh = range(max(seeds) + 1 + number * spread, max(seeds) + 1 + (number + 1) * spread)
        found = torch.stack([series(parameters, seed).detach() for seed in fresh])
        return found - found.mean(0)

    saver, first = None, 0
    if checkpoint is not None:
        run = ("gradient", simulate, observed, dict(bounds), dict(start or {}), seeds, steps, learning_rate, spread)
        saver = Checkpoint(checkpoint, fingerprint(run), checkpoint_every)
        if (saved := saver.load(state)) is not None:
            first, state, trace = saved
    with tqdm(range(first, steps), initial=first, total=steps, disable=not progress, unit="step") as bar:
        for step in bar:
            if step == half:
                zero, whiten = torch.zeros_like(where), _whitening(by_chance(state["at"], 0))
                state = {"at": state["at"], "mean": zero, "square": zero, "whiten": whiten}
            at = state["at"].clone().requires_grad_()
            loss = (state["whiten"] @ (mean_series(at) - observed)).square().mean()
            (slope,) = torch.autograd.grad(loss, at)
            if not bool(slope.isfinite().all()):
                raise ValueError(
                    f"the gradient is {slope.tolist()} at {_inside(state['at'], box).tolist()}: expected finite "
                    "numbers; the square root of 0 has none, so take that of count + 1"
                )
            trace.append([loss.item(), *_inside(state["at"], box).tolist()])
            state |= _adam(state, slope, step % half, learning_rate * (1 - step % half / half))
            bar.set_postfix(loss=f"{loss.item():.4g}")
            if saver is not None and step < steps - 1:
                saver.save(step + 1, state, trace)

    at = state["at"].clone().requires_grad_()
    mean = mean_series(at)
    slopes = torch.stack([torch.autograd.grad(entry, at, retain_graph=True)[0] for entry in mean])  # (K, d)
    makes_up = torch.linalg.pinv(state["whiten"] @ slopes) @ state["whiten"]  # (d, K) for a difference of series
    at = state["at"] + makes_up @ (observed - mean.detach())
    moved = by_chance(state["at"], 1) @ makes_up.T  # (spread, d)
    covariance = (1 + 1 / len(seeds)) * moved.T @ moved / (spread - 1)
    sample = _inside(at + _normal("interval", 0, 4000, len(names)) @ _root(covariance).T, box)
    if saver is not None:
        saver.remove()
    return Fit(
        names,
        _inside(at, box),
        sample,
        torch.full((len(sample),), 1 / len(sample), dtype=torch.float64),
        _columns(("loss", *names), trace),
        (steps + 1) * len(seeds) + (1 + (steps > 1)) * spread,
    )


def _adam(state: dict[str, Tensor], slope: Tensor, step: int, rate: float) -> dict[str, Tensor]:
    """One step of Adam (Kingma & Ba, ICLR 2015) with its usual constants."""
    mean, square = 0.9 * state["mean"] + 0.1 * slope, 0.999 * state["square"] + 0.001 * slope**2
    direction = (mean / (1 - 0.9 ** (step + 1))) / ((square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
    return {"at": state["at"] - rate * direction, "mean": mean, "square": square}


def _whitening(chance: Tensor) -> Tensor:
    """(K, K): what makes chance differences, (spread, K), independent and of size 1.

    From few simulations a covariance finds combinations that hardly vary by luck. It is mixed with its diagonal, which
    counts like K more simulations.
    """
    covariance = chance.T @ chance / (len(chance) - 1)
    own = len(covariance) / (len(covariance) + len(chance))
    root = _root((1 - own) * covariance + own * covariance.diag().diag())
    return torch.linalg.solve_triangular(root, torch.eye(len(root), dtype=root.dtype), upper=False)


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
    checkpoint: a file to resume from, to the same bits; removed at the end.
    """
    names, box, observed = _checked(bounds, observed)
    series, d = _series_of(simulate, observed), len(names)
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
        run = ("search", simulate, observed, dict(bounds), simulations, population, keep, seed)
        saver = Checkpoint(checkpoint, fingerprint(run), checkpoint_every)
        if (saved := saver.load(state)) is not None:
            _, state, trace = saved
    with tqdm(total=simulations, initial=len(state["series"]), disable=not progress, unit="simulation") as bar:
        while True:
            for number in range(len(state["series"]), len(state["at"])):
                parameters = dict(zip(names, _inside(state["at"][number], box).tolist(), strict=True))
                found = series(parameters, (seed << 32) + number).detach()
                state["series"] = torch.cat([state["series"], found[None]])
                bar.update()
                if saver is not None:
                    saver.save(number + 1, state, trace)
            apart = (state["series"] - observed) / _scale(state["series"][:population])
            sample, weight, tolerance = _posterior(state["at"], apart, _log_weight(state), keep)
            effective = _in_effect(weight)
            trace.append([tolerance, effective, *(weight @ _inside(sample, box)).tolist()])
            bar.set_postfix(tolerance=f"{tolerance:.3g}", effective=f"{effective:.0f}")
            if len(state["at"]) + population > simulations:
                break
            centre = weight @ sample
            root = _root(2 * (weight[:, None] * (sample - centre)).T @ (sample - centre))
            proposals = centre + _student(seed, population, len(trace), d) @ root.T
            for name, rows in (("at", proposals), ("centre", centre[None]), ("root", root[None])):
                state[name] = torch.cat([state[name], rows])
    if saver is not None:
        saver.remove()
    sample = _inside(sample, box)
    estimate = torch.tensor([_quantile(column, weight, 0.5) for column in sample.T], dtype=torch.float64)
    columns = _columns(("tolerance", "effective", *names), trace)
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
    unexplained = _root(left_over.T @ left_over / (len(at) - size))
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
    """How many equal weights would tell as much (Kish)."""
    return (weight.sum() ** 2 / weight.square().sum()).item()


def _scale(series: Tensor) -> Tensor:
    """(K,) standard deviations; 1 for what does not vary."""
    spread = series.std(0)
    return torch.where(spread > 0, spread, 1.0)


def _student(seed: int, count: int, generation: int, d: int) -> Tensor:
    """(count, d) draws of the multivariate t distribution."""
    normal = _normal("proposal", seed, count, d + FREEDOM, generation)
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


def _checked(bounds: Bounds, observed: Tensor) -> tuple[tuple[str, ...], Tensor, Tensor]:
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


def _series_of(simulate: Simulate, observed: Tensor) -> Simulate:
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


def _inside(at: Tensor, box: Tensor) -> Tensor:
    """(…, d) logits to parameters between their bounds."""
    return box[:, 0] + (box[:, 1] - box[:, 0]) * at.sigmoid()


def _logit(where: Tensor, box: Tensor) -> Tensor:
    """The inverse of ``_inside``."""
    return ((where - box[:, 0]) / (box[:, 1] - box[:, 0])).logit()


def _normal(site: str, seed: int, rows: int, columns: int, step: int = 0) -> Tensor:
    """(rows, columns) standard normal draws, float64."""
    uniform = Draws(seed, torch.arange(rows), step, "calibrate").uniform(site, columns)
    return torch.special.ndtri(uniform.to(torch.float64))


def _root(covariance: Tensor) -> Tensor:
    """Lower triangular, its product with its transpose the covariance; of one that is nearly singular too."""
    floor = 1e-9 * covariance.diag().mean().clamp(min=1e-12)
    return torch.linalg.cholesky(covariance + floor * torch.eye(len(covariance), dtype=covariance.dtype))


def _quantile(values: Tensor, weight: Tensor, level: float) -> float:
    """Of a weighted sample, (k,) each."""
    order = values.argsort()
    place = torch.searchsorted(weight[order].cumsum(0), level * float(weight.sum()))
    return values[order[min(int(place), len(order) - 1)]].item()


def _columns(names: tuple[str, ...], rows: list[list[float]]) -> dict[str, Tensor]:
    return dict(zip(names, torch.tensor(rows, dtype=torch.float64).T, strict=True))
