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
    population: int = 400,
    keep: float = 0.5,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> Fit:
    """Parameters under which simulations come near to the observed series: approximate Bayesian computation.

    The prior is uniform within the bounds. A first ``population`` is simulated from it and the share ``keep`` that
    comes nearest is kept; each generation then proposes new ones around those kept (a normal kernel with twice their
    covariance; Beaumont et al., Biometrika 2009), weights them by prior over proposal, and keeps the nearest of old
    and new (Lenormand, Jabot & Deffuant, Computational Statistics 2013), until ``simulations`` are spent or fewer than
    1 in 50 of the new ones come nearer. At last each one kept is moved by how its series differs from the observed
    one, by local-linear regression (Beaumont, Zhang & Balding, Genetics 2002).

    simulate: given {name: float} and a seed, returns (K,). Each simulation has a seed of its own. observed: (K,).
    The distance between series is Euclidean, each entry in units of its standard deviation in the first population.

    trace: by generation, "tolerance" (the distance of the farthest kept), "accepted" (share of the new ones that were
    kept) and each parameter's weighted mean. checkpoint: a file to resume from, to the same bits; removed at the end.
    """
    names, box, observed = _checked(bounds, observed)
    series = _series_of(simulate, observed)
    num_kept, d = int(keep * population), len(names)
    if not 0 < keep < 1 or num_kept < 10 * d or simulations < population:
        raise ValueError(
            f"population={population}, keep={keep}, simulations={simulations}: expected to keep at least {10 * d}, "
            "10 for each parameter, and to simulate one population or more"
        )
    saver = None
    first = Draws(seed, torch.arange(population), 0, "search").uniform("first", d).to(torch.float64).logit()
    state = {  # those kept, and the new ones of this generation as far as they have been simulated
        "at": torch.zeros(0, d, dtype=torch.float64),
        "series": torch.zeros(0, len(observed), dtype=torch.float64),
        "weight": torch.zeros(0, dtype=torch.float64),
        "scale": torch.ones_like(observed),
        "proposals": first,
        "new": torch.zeros(0, len(observed), dtype=torch.float64),
    }
    done = 0
    trace: list[list[float]] = []
    if checkpoint is not None:
        run = ("search", simulate, observed, dict(bounds), simulations, population, keep, seed)
        saver = Checkpoint(checkpoint, fingerprint(run), checkpoint_every)
        if (saved := saver.load(state)) is not None:
            done, state, trace = saved
    with tqdm(total=simulations, initial=done, disable=not progress, unit="simulation") as bar:
        while done + len(state["proposals"]) - len(state["new"]) <= simulations:
            for parameters in _inside(state["proposals"], box).tolist()[len(state["new"]) :]:
                found = series(dict(zip(names, parameters, strict=True)), (seed << 32) + done).detach()
                state["new"] = torch.cat([state["new"], found[None]])
                done += 1
                bar.update()
                if saver is not None:
                    saver.save(done, state, trace)
            state, accepted = _select(state, observed, num_kept)
            tolerance = _distance(state["series"], observed, state["scale"]).max().item()
            means = (state["weight"] @ _inside(state["at"], box) / state["weight"].sum()).tolist()
            trace.append([tolerance, accepted, *means])
            bar.set_postfix(tolerance=f"{tolerance:.3g}", accepted=f"{accepted:.0%}")
            if accepted < 0.02:
                break
            state["proposals"] = _propose(state, seed, len(trace), population - num_kept)
    sample, weight = _adjusted(state, observed)
    sample = _inside(sample, box)
    if saver is not None:
        saver.remove()
    estimate = torch.tensor([_quantile(column, weight, 0.5) for column in sample.T], dtype=torch.float64)
    return Fit(names, estimate, sample, weight, _columns(("tolerance", "accepted", *names), trace), done)


def _select(state: dict[str, Tensor], observed: Tensor, num_kept: int) -> tuple[dict[str, Tensor], float]:
    """The nearest of those kept so far and the new ones, and the share of the new that is among them."""
    at, new, scale = state["proposals"], state["new"], state["scale"]
    log_weight = -at.abs() - 2 * torch.nn.functional.softplus(-at.abs())  # uniform within bounds: logistic in the logit
    if len(state["at"]):
        log_weight = log_weight.sum(1) - _log_density_of_proposals(at, state)
    else:
        log_weight = torch.zeros(len(at), dtype=torch.float64)
        scale = new.std(0)
        scale = torch.where(scale > 0, scale, 1.0)
    pool = {"at": at, "series": new, "weight": log_weight.exp()}
    pool = {name: torch.cat([state[name], column]) for name, column in pool.items()}
    nearest = _distance(pool["series"], observed, scale).argsort(stable=True)[:num_kept]
    accepted = int((nearest >= len(state["at"])).sum()) / len(at)
    kept = {name: column[nearest] for name, column in pool.items()}
    return {**kept, "scale": scale, "proposals": at[:0], "new": new[:0]}, accepted


def _propose(state: dict[str, Tensor], seed: int, generation: int, count: int) -> Tensor:
    """(count, d): each near one of those kept, picked by weight."""
    picked = Draws(seed, torch.arange(count), generation, "search").uniform("parent").to(torch.float64)
    weight = state["weight"] / state["weight"].sum()
    parent = torch.searchsorted(weight.cumsum(0), picked).clamp(max=len(weight) - 1)
    return state["at"][parent] + _normal("kernel", seed, count, state["at"].shape[1], generation) @ _kernel(state).T


def _log_density_of_proposals(at: Tensor, state: dict[str, Tensor]) -> Tensor:
    """(count,) of the mixture of normals from which ``_propose`` draws."""
    root = _kernel(state)
    apart = torch.linalg.solve_triangular(root, (at[:, None] - state["at"]).flatten(0, 1).T, upper=False)
    log_normal = -(apart.square() + math.log(2 * math.pi)).sum(0) / 2 - root.diag().log().sum()
    log_weight = (state["weight"] / state["weight"].sum()).log()
    return (log_normal.view(len(at), -1) + log_weight).logsumexp(1)


def _kernel(state: dict[str, Tensor]) -> Tensor:
    """(d, d) lower triangular: a root of twice the covariance of those kept."""
    weight = (state["weight"] / state["weight"].sum())[:, None]
    centred = state["at"] - (weight * state["at"]).sum(0)
    return _root(2 * (weight * centred).T @ centred)


def _adjusted(state: dict[str, Tensor], observed: Tensor) -> tuple[Tensor, Tensor]:
    """Those kept, moved to where a local-linear regression on their series puts them, and their weights.

    The regression is on the leading principal components of the series, one for each ten kept, with Epanechnikov
    weights in the distance.
    """
    distance = _distance(state["series"], observed, state["scale"])
    near = 1 - (distance / distance.max().clamp(min=1e-300)) ** 2
    weight = state["weight"] * near.clamp(min=1e-9)
    weight = weight / weight.sum()
    apart = (state["series"] - observed) / state["scale"]
    centred = apart - weight @ apart
    components = torch.linalg.svd(centred, full_matrices=False)[2][: len(apart) // 10]
    apart = apart @ components.T  # (k, components)
    design = torch.cat([torch.ones_like(apart[:, :1]), apart], 1) * weight[:, None].sqrt()
    slopes = (torch.linalg.pinv(design, rtol=1e-9) @ (state["at"] * weight[:, None].sqrt()))[1:]
    return state["at"] - apart @ slopes, weight


def _distance(series: Tensor, observed: Tensor, scale: Tensor) -> Tensor:
    """(k,) root mean square difference from the observed series, in units of scale."""
    return ((series - observed) / scale).square().mean(1).sqrt()


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
