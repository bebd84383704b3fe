"""Do the intervals of a search hold as often as they say, whatever the model, and what does it say of a wrong one?

Run: python benchmarks/populations/search_coverage.py        (some minutes; --fits 20 for a first look; --beside sbi)

Simulation-based calibration (Talts et al., arXiv 1804.06788; Cook, Gelman & Rubin, JCGS 2006): parameters are drawn
from the prior, a record is simulated with them, and they are fitted to it. If the posterior is right, the share of it
below the truth is uniform: 50 and 90 % intervals hold 50 and 90 % of the truths. Beside it, with as many simulations,
the neural posterior estimation of the package sbi. Then records that the model cannot draw: how near the search and
random search with the same budget come, with two to four parameters, and what the fits of several seeds say.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import INFECTIOUS, SEIR
from ethogram.simulator import Draws, rollout
from ethogram.simulator.calibrate import Bounds, Fit, Simulate, fit_by_search
from ethogram.simulator.networks import MeanField
from ethogram.simulator.recording import Record

TOWN = MeanField.well_mixed(300, 1.0)
ILL = Record("observation", reduce=lambda stage: (stage == INFECTIOUS).double().sum())
TWO_WAVES = (1 + torch.tensor([3, 20, 45, 30, 12, 8, 15, 40, 70, 40, 10], dtype=torch.float64)).sqrt()


def normal(site: str, seed: int, count: int) -> Tensor:
    """(count,) standard normal draws, float64."""
    return torch.special.ndtri(Draws(seed, torch.arange(count)).uniform(site).double())


def fading(p: dict[str, float], seed: int) -> Tensor:
    """(10,): a curve with noise."""
    return p["height"] * (-p["decay"] * torch.arange(10, dtype=torch.float64)).exp() + 0.2 * normal("noise", seed, 10)


def g_and_k(p: dict[str, float], seed: int) -> Tensor:
    """(7,) octiles of 200 draws of the g-and-k distribution (Rayner & MacGillivray, Statistics and Computing 2002)."""
    z = normal("z", seed, 200)
    x = p["a"] + (1 + 0.8 * torch.tanh(p["g"] * z / 2)) * (1 + z**2) ** 0.2 * z
    return x.quantile(torch.arange(1, 8, dtype=torch.float64) / 8)


def ricker(p: dict[str, float], seed: int) -> Tensor:
    """(9,) statistics of 30 counts of a chaotic population with noise (Wood, Nature 2010)."""
    noise, seen, size, sizes = (0.3 * normal("noise", seed, 50)).tolist(), normal("seen", seed, 30), 1.0, []
    for step in noise:
        size = size * math.exp(p["log r"] - size + step)
        sizes.append(size)
    mean = p["scale"] * torch.tensor(sizes[20:], dtype=torch.float64)
    counts = (mean + mean.sqrt() * seen).clamp(min=0).round()
    root = counts.sqrt()
    apart = root - root.mean()
    levels = torch.tensor([0.25, 0.5, 0.75, 0.95], dtype=torch.float64)
    told = [root.mean(), root.std(), (apart[1:] * apart[:-1]).mean(), (apart[2:] * apart[:-2]).mean()]
    return torch.cat([root.quantile(levels), torch.stack([*told, (counts == 0).double().mean()])])


def town(p: dict[str, float], seed: int) -> Tensor:
    """(11,) square roots of the infectious of 300 people, every third day."""
    world = SEIR(TOWN, p["R0"] / p["days"], onset_rate=1.0, recovery_rate=1 / p["days"], initial=0.03)
    history = rollout(world, Fixed(0), rows=300, horizon=33, seed=seed, record=[ILL])
    return (1 + history.series["observation"][3::3]).sqrt()


def wave(p: dict[str, float], seed: int) -> Tensor:
    """(11,) one wave with noise: when it peaks, how wide and how high it is, and on which floor."""
    shape = (-((torch.arange(11, dtype=torch.float64) - p["peak"]) ** 2) / (2 * p["width"] ** 2)).exp()
    return p.get("height", 8.0) * shape + p.get("floor", 0.0) + 0.2 * normal("noise", seed, 11)


WAVES = wave({"peak": 2.5, "width": 1.2}, 1) + 0.6 * wave({"peak": 8.0, "width": 1.0}, 2)
OF_WAVE: Bounds = {"peak": (0.0, 10.0), "width": (0.2, 6.0), "height": (2.0, 12.0), "floor": (0.0, 5.0)}

MODELS: dict[str, tuple[Simulate, Bounds]] = {
    "fading curve": (fading, {"height": (0.5, 10.0), "decay": (0.0, 1.0)}),
    "g-and-k": (g_and_k, {"a": (0.0, 5.0), "g": (0.0, 4.0)}),
    "Ricker map": (ricker, {"log r": (2.0, 5.0), "scale": (2.0, 20.0)}),
    "SEIR town": (town, {"R0": (1.5, 6.0), "days": (2.0, 10.0)}),
}


def from_prior(bounds: Bounds, seed: int) -> dict[str, float]:
    """Parameters, uniform within the bounds."""
    share = Draws(seed, torch.arange(len(bounds))).uniform("truth").tolist()
    return {name: low + (high - low) * u for (name, (low, high)), u in zip(bounds.items(), share, strict=True)}


def by_networks(records: int = 20) -> Callable[..., Fit]:
    """What ``fit_by_sbi`` does, by the package sbi itself: one network (NPE, defaults) serves so many records."""
    from sbi.inference import NPE
    from sbi.utils import BoxUniform

    posteriors: dict[int, Any] = {}

    def fit(simulate: Simulate, record: Tensor, bounds: Bounds, *, simulations: int, seed: int, progress: bool) -> Fit:
        number = seed // records
        if number not in posteriors:
            torch.manual_seed(number)
            low, high = torch.tensor(list(bounds.values())).T
            prior = BoxUniform(low, high)
            at = prior.sample((simulations,))
            rows = [dict(zip(bounds, row, strict=True)) for row in at.double().tolist()]
            series = torch.stack([simulate(p, (number << 32) + k) for k, p in enumerate(rows)])
            learner = NPE(prior, show_progress_bars=progress)
            learner.append_simulations(at, series.float()).train()
            posteriors[number] = learner.build_posterior()
        sample = posteriors[number].sample((4000,), x=record.float(), show_progress_bars=progress).double()
        weight = torch.full((4000,), 1 / 4000, dtype=torch.float64)
        return Fit(tuple(bounds), sample.median(0).values, sample, weight, {}, simulations)

    return fit


def coverage(fit: Callable[..., Fit], simulate: Simulate, bounds: Bounds, fits: int, simulations: int) -> str:
    """A line: how many intervals hold, how wide they are, how uniform the shares below the truth, how long it took."""
    below, width, doubts, began = [], [], 0, time.process_time()
    for number in range(fits):
        truth = from_prior(bounds, 10**7 + number)
        record = simulate(truth, 10**7 + number)
        found = fit(simulate, record, bounds, simulations=simulations, seed=number, progress=False)
        doubts += bool(found.doubts)
        for name, value in truth.items():
            column = found.sample[:, found.names.index(name)]
            below.append((found.weight[column < value].sum()).item())
            low, high = found.interval(name)
            width.append((high - low) / (bounds[name][1] - bounds[name][0]))
    shares = torch.tensor(below).sort().values
    steps = torch.arange(len(shares) + 1) / len(shares)
    apart = torch.maximum((steps[1:] - shares).max(), (shares - steps[:-1]).max()) * len(shares) ** 0.5
    held = [((shares > (1 - p) / 2) & (shares < (1 + p) / 2)).float().mean().item() for p in (0.5, 0.9)]
    seconds = (time.process_time() - began) / fits
    width_of = sum(width) / len(width)
    return f"{held[0]:>6.0%} {held[1]:>6.0%} {apart:>8.2f} {width_of:>8.3f} {doubts:>7} {seconds:>8.1f}"


def beside_random(parameters: int, seeds: range, simulations: int) -> str:
    """A line: at how many seeds the search is at least as near to two waves as random search, and how near both are."""
    bounds, rows = dict(list(OF_WAVE.items())[:parameters]), []

    def off(p: dict[str, float], seed: int) -> float:
        return (wave(p, seed) - WAVES).square().mean().item()

    def expected(p: dict[str, float]) -> float:
        return sum(off(p, 10**8 + k) for k in range(40)) / 40

    for seed in seeds:
        tried = [from_prior(bounds, 10**6 * (1 + seed) + k) for k in range(simulations)]
        random = min((off(p, k), k) for k, p in enumerate(tried))
        seen: list[float] = []

        def simulate(p: dict[str, float], number: int, seen: list[float] = seen) -> Tensor:
            series = wave(p, number)
            seen.append((series - WAVES).square().mean().item())
            return series

        found = fit_by_search(simulate, WAVES, bounds, simulations=simulations, seed=seed, progress=False)
        estimate = expected({name: found[name] for name in bounds})
        rows.append([min(seen), random[0], estimate, expected(tried[random[1]])])
    near = torch.tensor(rows, dtype=torch.float64)
    wins, median = (near[:, ::2] <= near[:, 1::2]).sum(0).tolist(), near.median(0).values.tolist()
    nearest, at_estimate = (
        f"{wins[k]:>4} of {len(seeds)} ({median[2 * k]:.2f}, {median[2 * k + 1]:.2f})" for k in (0, 1)
    )
    return f"{parameters:>10} {nearest:>24} {at_estimate:>24}"


def misfit(simulations: int, seeds: int = 3) -> None:
    """Prints what one wave says of a record with two."""
    bounds: Bounds = {"R0": (1.0, 6.0), "days": (1.0, 10.0)}

    def off(p: dict[str, float]) -> float:
        return torch.stack([(town(p, 10**8 + k) - TWO_WAVES).square().mean() for k in range(40)]).mean().item()

    for seed in range(seeds):
        tried = [from_prior(bounds, 10**6 * (1 + seed) + k) for k in range(simulations)]
        best = min((((town(p, k) - TWO_WAVES).square().mean().item(), k) for k, p in enumerate(tried)))[1]
        found = fit_by_search(town, TWO_WAVES, bounds, simulations=simulations, seed=seed, progress=False)
        at = {name: found[name] for name in bounds}
        print(
            f"seed {seed}: mean square {off(at):.2f}; best of random search {off(tried[best]):.2f}\n{found}", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=60, help="of each model (default 60)")
    parser.add_argument("--simulations", type=int, default=1500, help="of each fit (default 1500)")
    parser.add_argument("--seeds", type=int, default=20, help="of the search beside random search (default 20)")
    parser.add_argument("--first", type=int, default=0, help="the first of these seeds (default 0)")
    parser.add_argument("--beside", choices=["sbi"], help="another method on the same records")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS), help="which (default all)")
    arguments = parser.parse_args()
    if arguments.beside and not find_spec("sbi"):
        parser.error("--beside sbi needs the package sbi: pip install 'ethogram[sbi]'")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # doubts are counted

    print(
        f"{arguments.fits} fits of {arguments.simulations} simulations; KS: 1.36 or more once in 20, were shares even"
    )
    columns = f"{'50 %':>6} {'90 %':>6} {'KS':>8} {'width':>8} {'doubts':>7} {'CPU s':>8}"
    print(f"{'':<14} {'by':<7} {columns}")
    for name in arguments.models:
        line = coverage(fit_by_search, *MODELS[name], arguments.fits, arguments.simulations)
        print(f"{name:<14} {'search':<7} {line}", flush=True)
        if arguments.beside:
            line = coverage(by_networks(), *MODELS[name], arguments.fits, arguments.simulations)
            print(f"{name:<14} {'sbi':<7} {line}", flush=True)
    print("\nTwo waves, a model of one: seeds at which the search is as near as random search (mean squares of both)")
    print(f"{'parameters':>10} {'nearest simulation':>24} {'at the estimate':>24}")
    for parameters in (2, 3, 4):
        print(
            beside_random(parameters, range(arguments.first, arguments.first + arguments.seeds), arguments.simulations),
            flush=True,
        )
    print("\nThe same of an SEIR town")
    misfit(arguments.simulations)


if __name__ == "__main__":
    main()
