"""Fit_by_search (ABC)."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..arguments import checked_int, checked_seed
from ..checkpoints import Checkpoint
from .fit import (
    IMPLAUSIBLE,
    Bounds,
    Fit,
    Simulate,
    as_columns,
    checked,
    concluded,
    inside_box,
    one_thread,
    plausibility,
    series_of,
    weighted_quantile,
)
from .modes import modes_of
from .posterior import Weighted, adjusted, lowest, nearest, with_error
from .proposals import begun, further, regression_leads, weight_of

ENOUGH = 50  # simulations that should count in effect
SHARP = 10, 1000.0  # how many of those, at which power of the distance, make estimates of a model that errs
ASTRAY = 0.85  # distance over that of what regression says, below which regression is wrong; 0.9 up where it is right
MOVED = 0.5  # standard deviations by which an estimate should not move in the last third of a search


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

    The prior is uniform within the bounds. A first ``population`` is simulated from it; each further one from a
    mixture of many t distributions, around what a regression says and around the few that came nearest, more of them
    around whichever came nearer before: neither a second answer nor a bad regression leads it astray, and it usually
    comes nearer than random search with as many simulations (of a model that errs, with three and with four parameters,
    at 19 of 20 seeds each, and at 20 and 19 by the estimate: docs/calibration.md). One in twenty is from the prior. All
    of them count, each weighted by the prior over the mixture that they were drawn from (adaptive multiple importance
    sampling: Cornuet et al., Scandinavian Journal of Statistics 2012; local covariances: Filippi et al., Statistical
    Applications in Genetics and Molecular Biology 2013).

    What they say: a linear regression of parameters on series turns a series into as many numbers as there are
    parameters (Fearnhead & Prangle, JRSS B 2012), the share ``keep`` whose numbers come nearest to the observed ones
    is kept, and each one kept is moved by how its numbers differ from them, by local-linear regression (Beaumont,
    Zhang & Balding, Genetics 2002). Both regressions are of the logit of where between its bounds a parameter lies.

    A twentieth of the simulations, 20 to 100, are drawn from the result, to see whether the record could be one of
    them, and as many from the posterior of a model that errs by an unknown amount, from all simulations and without
    regression. If the record could not be one, or those of the other come clearly nearer, regression leads astray
    (Frazier, Robert & Rousseau, JRSS B 2020), and the other is the result. The fit says so, as it does where too few
    simulations count or estimates still move. The estimate is then what comes nearest on average over some further
    simulations with the same seeds, half as many as a check takes: of the medians of separate answers among the
    nearest, the nearest themselves, and where a plane through the series around these leads.

    simulate: given {name: float} and a seed, returns (K,). Each simulation has a seed of its own, but for those that
    compare estimates. observed: (K,). Entries are compared in standard deviations over the first population.
    simulations: all of them, at the most, but for those that compare estimates, 10 to 50 more.

    estimate: medians of the heaviest of the fit's ``modes()``, if regression is right.
    nearest: of all simulations, those that check the result too. trace: by generation, "nearest" (how far off the
    nearest is, root mean square), "tolerance" (how far off the farthest kept is, in standard deviations of what the
    regression leaves unexplained), "effective" (how many are kept in effect, by their weights) and each parameter's
    weighted mean by regression. checkpoint: a file to resume from, to the same bits; removed at the end. Ctrl-C saves
    to it first.
    """
    names, box, observed = checked(simulate, bounds, observed)
    seed, d = checked_seed(seed), len(names)
    population, simulations = checked_int("population", population, 1), checked_int("simulations", simulations, 1)
    check = min(100, max(20, simulations // 20))
    if not isinstance(keep, float) or not 0 < keep <= 0.5 or keep * population < 10 * d:
        raise ValueError(
            f"population={population}, keep={keep!r}: expected to keep at most half and at least {10 * d} of a "
            "population, 10 for each parameter"
        )
    if simulations < population + 2 * check:
        raise ValueError(
            f"simulations={simulations}: expected {population + 2 * check} or more, one population and {2 * check} to "
            "check the result"
        )
    search = _Search(names, box, observed, series_of(simulate, observed), population, keep, seed)
    state, saver = begun(seed, population, d, len(observed)), None
    trace: list[list[float]] = []
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
                found = search.run(state["at"][number], number)
                state["series"] = torch.cat([state["series"], found[None]])
                bar.update()
                if saver is not None:
                    saver.save(number + 1, state, trace)
            with one_thread():
                result = search.result(state)
                trace.append(result.row)
                if len(state["at"]) + population > simulations - 2 * check:
                    break
                state = further(state, result.told, result.near, result.trusted, seed, population, len(trace))
        fit = search.checked(state, result, trace, check, bar)
    if saver is not None:
        saver.remove()
    return concluded(fit)


@dataclass(frozen=True, eq=False)
class _Result:
    """All simulations so far, read in both ways."""

    told: Weighted  # by regression
    near: Weighted  # by distance
    trusted: bool  # whether the last proposals from regression came nearer than those by distance
    apart: Tensor  # (n, K) how series differ from the observed one, in standard deviations
    weight: Tensor  # (n,) of prior over mixture
    row: list[float]  # of the trace


@dataclass(frozen=True, eq=False)
class _Search:
    """Parameters in a box, (d, 2), whose series are to come near to the observed one, (K,)."""

    names: tuple[str, ...]
    box: Tensor
    observed: Tensor
    series: Simulate
    population: int
    keep: float
    seed: int

    def run(self, at: Tensor, number: int) -> Tensor:
        """(K,): the simulation of that number, of the parameters with logits ``at``, (d,)."""
        parameters = dict(zip(self.names, inside_box(at, self.box).tolist(), strict=True))
        return self.series(parameters, (self.seed << 32) + number).detach()

    def scale(self, state: dict[str, Tensor]) -> Tensor:
        """(K,) standard deviations over the first population; 1 for what does not vary."""
        spread = state["series"][: self.population].std(0)
        return torch.where(spread > 0, spread, 1.0)

    def result(self, state: dict[str, Tensor]) -> _Result:
        """From all simulations so far."""
        at, series, scale = state["at"], state["series"], self.scale(state)
        apart, weight = (series - self.observed) / scale, weight_of(state)
        told, tolerance = adjusted(at, apart, weight, self.keep)
        best = apart.square().mean(1).min().sqrt().item()
        row = [best, tolerance, told.effective, *(told.weight @ inside_box(told.at, self.box)).tolist()]
        near = nearest(at, apart, weight, int(self.keep * self.population / 2))
        return _Result(told, near, regression_leads(state, apart.square().mean(1)), apart, weight, row)

    def checked(self, state: dict[str, Tensor], result: _Result, trace: list[list[float]], check: int, bar: Any) -> Fit:
        """The fit, after a look at what its parameters predict."""
        with one_thread():
            erring = with_error(state["at"], result.apart, result.weight, ENOUGH)
        scale, taken, doubts = self.scale(state), len(state["series"]), []
        at = torch.cat([of.picked(check, self.seed) for of in (result.told, erring)])
        drawn = torch.stack([self.run(row, (1 << 31) + taken + k) for k, row in enumerate(at)])
        bar.update(len(at))
        apart = (drawn - self.observed) / scale
        by_regression, by_distance = apart.square().mean(1).sqrt().view(2, check).mean(1).tolist()
        plausible = plausibility(self.observed, drawn[:check], 0.01 * scale)
        found, predictive = result.told, drawn[:check]
        if plausible < IMPLAUSIBLE:
            found, predictive = erring, drawn[check:]
            doubts.append(
                f"the model does not draw the record, or regression leads astray (plausibility {plausible:.2g}): the "
                "intervals are those of a model that errs; look at fit.predictive beside the record"
            )
        elif by_distance < ASTRAY * by_regression:
            found, predictive = erring, drawn[check:]
            doubts.append(
                f"regression leads astray: without it, simulations come nearer ({by_distance:.2g} standard deviations "
                f"off, {by_regression:.2g} with it), so the intervals are made without it, rather too wide than too "
                "narrow"
            )
        if found.effective < ENOUGH:
            doubts.append(f"only {found.effective:.0f} simulations count in effect: simulate more, until {ENOUGH} do")
        columns = as_columns(("nearest", "tolerance", "effective", *self.names), trace)
        nearest_of_all = torch.cat([result.apart, apart]).square().sum(1).argmin()
        best = inside_box(torch.cat([state["at"], at])[nearest_of_all], self.box)
        of_best = dict(zip(self.names, best.tolist(), strict=True))
        sample = inside_box(found.at, self.box)
        fit = Fit(self.names, best, sample, found.weight, columns, taken + len(at), predictive, plausible, of_best)
        if found is result.told:
            with one_thread():
                doubts += _moving(fit)
                medians = torch.tensor(list(fit.modes()[0][1].values()), dtype=torch.float64)
            return replace(fit, estimate=medians, doubts=tuple(doubts))
        estimate, took = self.estimate(state, result, fit, check // 2)
        bar.update(took)
        return replace(fit, estimate=estimate, doubts=tuple(doubts), simulations=fit.simulations + took)

    def estimate(self, state: dict[str, Tensor], result: _Result, fit: Fit, budget: int) -> tuple[Tensor, int]:
        """(d,): of what may come nearest, what does, by so many simulations at the most; and how many it took."""
        with one_thread():
            sharp = with_error(state["at"], result.apart, result.weight, *SHARP)
            answers = modes_of(inside_box(sharp.at, self.box), sharp.weight)[:2]
            near = result.apart.square().sum(1).argsort(stable=True)[:3]
            starts = torch.cat([*(_median(sharp, rows)[None] for rows in answers), state["at"][near]])[:3]
            at = torch.cat([starts, *(lowest(state["at"], result.apart, start)[None] for start in starts)])
        again, first = budget // len(at), (1 << 31) + fit.simulations
        drawn = torch.stack([torch.stack([self.run(row, first + k) for k in range(again)]) for row in at])
        with one_thread():
            far = ((drawn - self.observed) / self.scale(state)).square().mean((1, 2))
        return inside_box(at[far.argmin()], self.box), again * len(at)


def _median(of: Weighted, rows: Tensor) -> Tensor:
    """(d,): of some of a weighted sample."""
    columns = [weighted_quantile(column, of.weight[rows], 0.5) for column in of.at[rows].T]
    return torch.tensor(columns, dtype=torch.float64)


def _moving(fit: Fit) -> list[str]:
    """A doubt where estimates have moved by half a standard deviation in the last third of the search."""
    mean = fit.weight @ fit.sample
    spread = (fit.weight @ (fit.sample - mean).square()).sqrt()
    moved = {
        name: abs((column[-1] - column[len(column) * 2 // 3 - 1]) / deviation).item()
        for name, deviation in zip(fit.names, spread, strict=True)
        if len(column := fit.trace[name]) > 2
    }
    if far := [name for name, by in moved.items() if by > MOVED]:
        return [
            f"{', '.join(far)} moved by {max(moved.values()):.1f} standard deviations in the last third: simulate more"
        ]
    return []
