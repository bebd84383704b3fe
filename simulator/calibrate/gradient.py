"""Fit_by_gradient."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoint import Checkpoint, fingerprint
from ..whatif import checked_seeds
from .fit import Bounds, Fit, Simulate, as_columns, checked, inside_box, logit, series_of, square_root, standard_normal


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
    names, box, observed = checked(bounds, observed)
    series = series_of(simulate, observed)
    seeds = checked_seeds(seeds)
    if steps < 1 or spread < 2 * len(names) + 2:
        raise ValueError(f"steps={steps}, spread={spread}: expected 1 or more, and at least {2 * len(names) + 2}")
    middle = {name: (low + high) / 2 for name, (low, high) in bounds.items()} | dict(start or {})
    if sorted(middle) != sorted(names) or not all(bounds[n][0] < middle[n] < bounds[n][1] for n in names):
        raise ValueError(f"start is {middle}: expected for each of {list(names)} a value inside its bounds")
    where = torch.tensor([middle[name] for name in names], dtype=torch.float64)
    half = (steps + 1) // 2
    state = {
        "at": logit(where, box),
        "mean": torch.zeros_like(where),  # Adam's
        "square": torch.zeros_like(where),
        "whiten": torch.eye(len(observed), dtype=torch.float64),  # what differences are multiplied by
    }
    trace: list[list[float]] = []

    def mean_series(at: Tensor) -> Tensor:
        parameters = dict(zip(names, inside_box(at, box).unbind(), strict=True))
        found = torch.stack([series(parameters, seed) for seed in seeds]).mean(0)
        if not found.requires_grad:
            raise ValueError(
                "simulate gives a series without a gradient in the parameters: run a world that has one with draws "
                "that do, such as envs.relaxed, or use fit_by_search"
            )
        return found

    def by_chance(at: Tensor, number: int) -> Tensor:
        """(spread, K) how series at the same parameters differ from their mean, with seeds of their own each time."""
        parameters = dict(zip(names, inside_box(at, box).tolist(), strict=True))
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
                    f"the gradient is {slope.tolist()} at {inside_box(state['at'], box).tolist()}: expected finite "
                    "numbers; the square root of 0 has none, so take that of count + 1"
                )
            trace.append([loss.item(), *inside_box(state["at"], box).tolist()])
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
    sample = inside_box(at + standard_normal("interval", 0, 4000, len(names)) @ square_root(covariance).T, box)
    if saver is not None:
        saver.remove()
    return Fit(
        names,
        inside_box(at, box),
        sample,
        torch.full((len(sample),), 1 / len(sample), dtype=torch.float64),
        as_columns(("loss", *names), trace),
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
    root = square_root((1 - own) * covariance + own * covariance.diag().diag())
    return torch.linalg.solve_triangular(root, torch.eye(len(root), dtype=root.dtype), upper=False)
