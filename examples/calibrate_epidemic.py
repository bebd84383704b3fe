"""How infectious was it, and who stayed at home? An epidemic's parameters from a series of counts, found in two ways.

Run: python examples/calibrate_epidemic.py        (about a minute and a half on an idle machine; --help for options)

By gradient: the epidemic in a relaxed form that torch.autograd can follow (envs/epidemics/relaxed_seir.py). By search:
the exact epidemic, and nothing but its simulations (approximate Bayesian computation). First on a series whose
parameters are known, because it was simulated: a town in which the ill are asked to stay at home from day 15 on. Then
on a real one:

Influenza in an English boarding school, 22 January to 4 February 1978, 763 boys (anonymous, "Influenza in a boarding
school", British Medical Journal 1978;1:587). The journal shows the number of boys confined to bed each day in a figure
only, so that the counts in circulation differ by a few boys. Those here are of the R package `outbreaks` 1.9.0,
influenza_england_1978_school, column in_bed, which has them from de Vries et al., A Course in Mathematical Biology
(SIAM 2006), chapter 9. The model is the usual one for this series: a boy in bed is an infected one, everybody meets
everybody. It begins with the 26 in bed on the third day, because how 3 became 26 was mostly luck.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ethogram.envs.epidemics import EXPOSED, INFECTIOUS, SEIR, RelaxedSEIR
from ethogram.simulator import Draws, History, rollout
from ethogram.simulator.calibrate import Bounds, Fit, RelaxedDraws, fit_by_gradient, fit_by_search
from ethogram.simulator.networks import MeanField
from ethogram.simulator.recording import Record
from ethogram.simulator.report import plots

IN_BED = (26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4)  # boys, each day from 24 January 1978; before: 3, 8
EVER_ILL = 512  # boys, by the journal's text
AXES = {  # of parameters
    "R0": "R0 (people infected by one)",
    "stay at home": "stay at home (share of the ill)",
    "days in bed": "time in bed (days)",
}
STEPS_A_DAY = 6  # of the school, where boys get well within two days or so


@dataclass(frozen=True)
class HomeWhenIll:
    """From a step on, each ill person stays at home on a day with a probability."""

    share: Any
    start: int

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """(n,) int64; in the relaxed world (n, 4) float64, for each stage."""
        stays = draws.bernoulli("home", self.share if draws.step >= self.start else 0.0)
        if observation.dim() == 1:
            return (observation == INFECTIOUS).long() * stays
        return torch.nn.functional.one_hot(torch.tensor(INFECTIOUS), 4) * stays.to(torch.float64)[:, None]


def stages(
    people: int, rates: tuple[Any, ...], home: HomeWhenIll, initial: Tensor, horizon: int, seed: int, relaxed: bool
) -> Tensor:
    """(horizon + 1, 4) how many are in each stage; rates: transmission, onset and recovery a step."""
    everybody = MeanField.well_mixed(people, 1.0)
    world = (RelaxedSEIR if relaxed else SEIR)(everybody, *rates, initial)

    def count(stage: Tensor) -> Tensor:
        return stage.sum(0) if relaxed else stage.long().bincount(minlength=4).double()

    ids = torch.arange(people)
    draws = (RelaxedDraws if relaxed else Draws)(seed, ids, scope="world")
    record = [Record("observation", reduce=count), Record("action", every=horizon)]  # nobody reads the actions
    return rollout(world, home, rows=ids, horizon=horizon, record=record, draws=draws).series["observation"]


def town(parameters: dict[str, Any], seed: int, relaxed: bool = False) -> Tensor:
    """(20,) the infectious of 2,000 people, every other day; as square roots, of which all are about equally noisy."""
    well = -math.expm1(-0.2)  # probability a day
    rates = (well * parameters["R0"], 0.5, 0.2)
    home = HomeWhenIll(parameters["stay at home"], start=15)
    return (1 + stages(2000, rates, home, torch.tensor(0.01), 40, seed, relaxed)[2::2, INFECTIOUS]).sqrt()


def boys(parameters: dict[str, Any], seed: int, relaxed: bool = False) -> Tensor:
    """(12, 4) boys in each stage on each day. An infected boy is in bed at once, and infects from the next step on."""
    well = 1 / (STEPS_A_DAY * parameters["days in bed"] - 1)  # probability a step, once infectious
    recovery = -torch.log1p(-torch.as_tensor(well))
    first = (torch.arange(763) < IN_BED[0]).float()
    steps = STEPS_A_DAY * (len(IN_BED) - 1)
    rates = (well * parameters["R0"], 40.0, recovery if relaxed else recovery.item())
    return stages(763, rates, HomeWhenIll(0.0, steps), first, steps, seed, relaxed)[::STEPS_A_DAY]


def school(parameters: dict[str, Any], seed: int, relaxed: bool = False) -> Tensor:
    """(11,) the boys in bed on each day after the first, as square roots."""
    return (1 + boys(parameters, seed, relaxed)[1:, [EXPOSED, INFECTIOUS]].sum(1)).sqrt()


def fits_of(model: Callable[..., Tensor], observed: Tensor, bounds: Bounds, quick: bool) -> dict[str, Fit]:
    """The parameters by both methods, printed."""
    gradient = fit_by_gradient(
        lambda parameters, seed: model(parameters, seed, relaxed=True),
        observed,
        bounds,
        seeds=range(3 if quick else 6),
        steps=10 if quick else 24,
        learning_rate=0.4,
        spread=20 if quick else 80,
    )
    search = fit_by_search(
        model,
        observed,
        bounds,
        simulations=300 if quick else 1400,
        population=100 if quick else 200,
    )
    for method, fit in (("By gradient", gradient), ("By search", search)):
        print(f"{method}, {fit.simulations} simulations:\n{fit}")
    return {"by gradient": gradient, "by search": search}


def picture(
    model: Callable[..., Tensor],
    observed: Tensor,
    fits: dict[str, Fit],
    days: range,
    labels: tuple[str, str, str],
    truth: dict[str, float] | None = None,
    simulations: int = 100,
) -> list[Axes]:
    """The record with what each fit predicts, and the parameters of each fit."""
    left, right = plots.panels(2)
    recorded = observed**2 - 1
    for colour, (name, fit) in zip(plots.COLOURS, fits.items(), strict=False):
        runs = torch.stack([model(p, 10**6 + k) for k, p in enumerate(fit.draw(simulations))]) ** 2 - 1
        low, middle, high = runs.quantile(torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64), dim=0)
        inside = int(((low <= recorded) & (recorded <= high)).sum())
        print(f"Fitted {name}, 90 % of the simulations hold {inside} of the {len(recorded)} recorded numbers.")
        left.fill_between(days, low, high, color=colour, alpha=0.2, linewidth=0, label=f"{name}: 90 % of simulations")
        left.plot(days, middle, color=colour, linewidth=1.6)
        some = slice(0, 400)
        size = 9 * len(fit.sample) * fit.weight[some]
        right.scatter(*fit.sample[some].T, s=size, color=colour, alpha=0.4, linewidth=0, label=name)
    left.plot(days, recorded, "o", color="black", markersize=4.5, label="recorded", zorder=3)
    plots.label(left, *labels)
    left.set_ylim(0, 1.3 * left.get_ylim()[1])
    left.legend(frameon=False, fontsize=8)
    first, second = next(iter(fits.values())).names
    if truth is not None:
        right.plot(truth[first], truth[second], "+", color="black", markersize=16, markeredgewidth=2, label="the truth")
    plots.label(right, "Parameters that agree with the record", AXES[first], AXES[second])
    right.locator_params(axis="x", integer=False)
    right.set_ylim(right.get_ylim()[0], right.get_ylim()[1] + 0.25 * (right.get_ylim()[1] - right.get_ylim()[0]))
    marks = right.legend(frameon=False, fontsize=8, loc="upper right").legend_handles
    for mark in marks[: len(fits)]:
        mark.set(sizes=[25], alpha=0.9)  # type: ignore[union-attr]
    for mark in marks[len(fits) :]:
        mark.set(markersize=9)  # type: ignore[union-attr]
    return [left, right]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer simulations, for a first look; too few to trust")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figures (default outputs)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the runs are small: a second thread would wait for the first

    few = 20 if arguments.quick else 100
    truth = {"R0": 2.5, "stay at home": 0.6}
    print(f"A town of 2,000 people; the truth is {truth}.")
    observed = town(truth, 12345)
    fits = fits_of(town, observed, {"R0": (1.0, 6.0), "stay at home": (0.0, 1.0)}, arguments.quick)
    title = "A town; the ill stay at home from day 15 on"
    drawn = picture(town, observed, fits, range(2, 41, 2), (title, "day", "people infectious"), truth, few)
    print(f"Figure: {plots.save(drawn, arguments.out / 'calibrate_town.png')}\n")

    print("An English boarding school, 1978: 763 boys, the number in bed each day.")
    observed = (1 + torch.tensor(IN_BED[1:], dtype=torch.float64)).sqrt()
    fits = fits_of(school, observed, {"R0": (1.0, 10.0), "days in bed": (0.5, 6.0)}, arguments.quick)
    title = "Boys in bed: influenza in a boarding school"
    drawn = picture(
        school, observed, fits, range(1, len(IN_BED)), (title, "days after 24 January 1978", "boys in bed"), None, few
    )
    print(f"Figure: {plots.save(drawn, arguments.out / 'calibrate_school.png')}\n")

    fit = fits["by search"]
    ever = torch.tensor([763 - boys(p, 10**6 + k)[-1, 0].item() for k, p in enumerate(fit.draw(few))])
    print(f"Boys infected by the end: {ever.min():.0f} to {ever.max():.0f} in {few} simulations; {EVER_ILL} were ill.")
    print("So this model, the usual one, fits the curve roughly and is wrong about how many boys had it.")
    low, high = fit.interval("R0")
    print(f"R0 that the school's curve asks for: {fit['R0']:.2f} (90 % interval {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
