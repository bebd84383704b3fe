"""Calibration by gradient: Adam on the mean series, then the delta method's interval."""

import math
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..arguments import check_is, check_number, checked_int
from ..checkpoints import Checkpoint
from ..whatif import checked_seeds
from .fit import (
    IMPLAUSIBLE,
    Bounds,
    Fit,
    Simulate,
    as_columns,
    checked,
    concluded,
    inside_box,
    logit,
    plausibility,
    series_of,
    square_root,
    standard_normal,
)


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
    holds if the model is right, and has the simulations' own noise in it. The last ``spread`` simulations say whether
    the record could be one of them; if not, the fit says so, and its covariance is multiplied by what is left of the
    loss for each degree of freedom (Birge's ratio).

    trace: "loss" (in the second half in units of chance) and each parameter, by step. checkpoint: a file to resume
    from, to the same bits, with as many threads of torch: sums of gradients depend on those. It is removed at the end.
    """
    names, box, observed = checked(simulate, bounds, observed)
    steps, spread = checked_int("steps", steps, 1), checked_int("spread", spread, 2 * len(names) + 2)
    check_number("learning_rate", learning_rate)
    start = {} if start is None else start
    check_is("start", start, Mapping, "name -> number, such as {'r0': 2.0}")
    search = _Search(names, box, observed, series_of(simulate, observed), checked_seeds(seeds), spread)
    state = _begun(search.place_of(start), torch.eye(len(observed), dtype=torch.float64))
    trace: list[list[float]] = []
    saver, first = None, 0
    if checkpoint is not None:
        run = {"simulate": simulate, "observed": observed, "bounds": dict(bounds), "start": dict(start)}
        run |= {"seeds": search.seeds, "steps": steps, "learning_rate": learning_rate, "spread": spread}
        saver = Checkpoint(checkpoint, run, checkpoint_every, free=["simulate"])
        if (saved := saver.load(state)) is not None:
            first, state, trace = saved
            if state["threads"] != torch.get_num_threads():
                raise ValueError(
                    f"the checkpoint was made with {state['threads']} threads of torch, and there are "
                    f"{torch.get_num_threads()} now: expected as many; call torch.set_num_threads({state['threads']})"
                )
    half = (steps + 1) // 2
    bar = tqdm(range(first, steps), initial=first, total=steps, disable=not progress, unit="step")
    with bar, saver or nullcontext():
        for step in bar:
            if step == half:
                state = _begun(state["at"], _whitening(search.chance(state["at"], 0)))
            loss, slope = search.loss(state["at"], state["whiten"])
            trace.append([loss, *inside_box(state["at"], box).tolist()])
            state |= _adam(state, slope, step % half, learning_rate * (1 - step % half / half))
            bar.set_postfix(loss=f"{loss:.4g}")
            if saver is not None:
                saver.save(step + 1, state, trace, last=step == steps - 1)
    estimate, sample, predictive = _estimate(search, state["at"], state["whiten"])
    if saver is not None:
        saver.remove()
    plausible = plausibility(observed, predictive, torch.full_like(observed, 1e-9))
    doubts: tuple[str, ...] = ()
    if plausible < IMPLAUSIBLE:
        doubts = (f"the model does not draw the record (plausibility {plausible:.2g}): its intervals are widened",)
    return concluded(
        Fit(
            names,
            estimate,
            sample,
            torch.full((len(sample),), 1 / len(sample), dtype=torch.float64),
            as_columns(("loss", *names), trace),
            (steps + 1) * len(search.seeds) + (1 + (steps > 1)) * spread,
            predictive,
            plausible,
            doubts=doubts,
        )
    )


@dataclass(frozen=True, eq=False)
class _Search:
    """Parameters in a box, (d, 2), whose mean series over ``seeds`` is to come near to the observed one, (K,).

    ``at``, wherever it stands, is (d,): the logits of where in the box the parameters are.
    """

    names: tuple[str, ...]
    box: Tensor
    observed: Tensor
    series: Simulate
    seeds: tuple[int, ...]
    spread: int

    def place_of(self, start: Mapping[str, float]) -> Tensor:
        """(d,) the logits of a start, the middle for parameters that it does not name."""
        within = dict(zip(self.names, self.box.tolist(), strict=True))
        values = {name: (low + high) / 2 for name, (low, high) in within.items()} | dict(start)
        for name, value in values.items():
            check_number(f"start of '{name}'", value, -math.inf)
        if sorted(values) != sorted(self.names) or not all(low < values[n] < high for n, (low, high) in within.items()):
            raise ValueError(f"start is {values}: expected for each of {list(self.names)} a value inside its bounds")
        return logit(torch.tensor([values[name] for name in self.names], dtype=torch.float64), self.box)

    def mean_series(self, at: Tensor) -> Tensor:
        """(K,) with a gradient."""
        parameters = dict(zip(self.names, inside_box(at, self.box).unbind(), strict=True))
        found = torch.stack([self.series(parameters, seed) for seed in self.seeds]).mean(0)
        if not found.requires_grad:
            raise ValueError(
                "simulate gives a series without a gradient in the parameters: run a world that has one with draws "
                "that do, such as RelaxedSEIR and RelaxedDraws, or use fit_by_search"
            )
        return found

    def chance(self, at: Tensor, number: int) -> Tensor:
        """(spread, K) series at the same parameters, with seeds of their own each time."""
        parameters = dict(zip(self.names, inside_box(at, self.box).tolist(), strict=True))
        first = max(self.seeds) + 1 + number * self.spread
        return torch.stack([self.series(parameters, seed).detach() for seed in range(first, first + self.spread)])

    def loss(self, at: Tensor, whiten: Tensor) -> tuple[float, Tensor]:
        """The mean square of the whitened difference from the observed series, and its slope, (d,)."""
        at = at.clone().requires_grad_()
        loss = (whiten @ (self.mean_series(at) - self.observed)).square().mean()
        (slope,) = torch.autograd.grad(loss, at)
        if not bool(slope.isfinite().all()):
            raise ValueError(
                f"the gradient is {slope.tolist()} at {inside_box(at, self.box).tolist()}: expected finite "
                "numbers; the square root of 0 has none, so take that of count + 1"
            )
        return loss.item(), slope


def _begun(at: Tensor, whiten: Tensor) -> dict[str, Tensor]:
    """The state of a search that begins at ``at``; differences of series are multiplied by ``whiten``, (K, K)."""
    fixed = {"whiten": whiten, "threads": torch.tensor(torch.get_num_threads())}
    return {"at": at, "mean": torch.zeros_like(at), "square": torch.zeros_like(at), **fixed}  # Adam's moments


def _adam(state: dict[str, Tensor], slope: Tensor, step: int, rate: float) -> dict[str, Tensor]:
    """One step of Adam (Kingma & Ba, ICLR 2015) with its usual constants."""
    mean, square = 0.9 * state["mean"] + 0.1 * slope, 0.999 * state["square"] + 0.001 * slope**2
    direction = (mean / (1 - 0.9 ** (step + 1))) / ((square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
    return {"at": state["at"] - rate * direction, "mean": mean, "square": square}


def _whitening(series: Tensor) -> Tensor:
    """(K, K): what makes the differences of series, (spread, K), from their mean independent and of size 1.

    From few simulations a covariance finds combinations that hardly vary by luck. It is mixed with its diagonal, which
    counts like K more simulations.
    """
    covariance = series.T.cov()
    own = len(covariance) / (len(covariance) + len(series))
    root = square_root((1 - own) * covariance + own * covariance.diag().diag())
    return torch.linalg.solve_triangular(root, torch.eye(len(root), dtype=root.dtype), upper=False)


def _estimate(search: _Search, at: Tensor, whiten: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A Gauss-Newton step from ``at``, (d,) parameters; the delta method's interval as a sample of them, (4000, d).

    And (spread, K) series at ``at``. Where the observed one is not plausible among those, the interval is widened.
    """
    here = at.clone().requires_grad_()
    mean = search.mean_series(here)
    slopes = torch.stack([torch.autograd.grad(entry, here, retain_graph=True)[0] for entry in mean])  # (K, d)
    makes_up = torch.linalg.pinv(whiten @ slopes) @ whiten  # (d, K) for a difference of series
    step = makes_up @ (search.observed - mean.detach())
    series = search.chance(at, 1)
    covariance = (1 + 1 / len(search.seeds)) * (series @ makes_up.T).T.cov().view(len(at), len(at))
    if plausibility(search.observed, series, torch.full_like(mean, 1e-9)) < IMPLAUSIBLE and len(mean) > len(at):
        left = whiten @ (search.observed - mean.detach() - slopes @ step)
        covariance = covariance * max(1.0, left.square().sum().item() / (len(mean) - len(at)))
    noise = standard_normal("interval", 0, 4000, len(search.names)) @ square_root(covariance).T
    return inside_box(at + step, search.box), inside_box(at + step + noise, search.box), series
