"""Are the gradients of the relaxed epidemics right, and do the intervals of calibration hold as often as they say?

Run: python benchmarks/populations/calibration.py        (two hours; --quick for some minutes)

First tables: straight-through gradients of an outcome over finite differences of its mean in the exact epidemic, with
paired seeds; 1 is right. Then the search on a model whose posterior is known. Then towns and cities are simulated with
known parameters and fitted, one after the other.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ethogram.agents.citizens import Heuristic, Relaxed
from ethogram.envs.epidemics import SEIR, Disease, Epidemic, RelaxedEpidemic, RelaxedSEIR
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Draws, History, rollout
from ethogram.simulator.calibrate import Bounds, Fit, RelaxedDraws, fit_by_gradient, fit_by_search
from ethogram.simulator.networks import MeanField, Network, erdos_renyi
from ethogram.simulator.recording import Record

Parameters = dict[str, Any]
Model = Callable[[Parameters, int, float | None], Tensor]  # (parameters, seed, temperature; None: exact) to a series
SITES = ("infected", "isolates", "confirmed", "died")


class HomeWhenIll:
    """Each ill person stays at home on a day with a probability, from a day on."""

    def __init__(self, share: Any, start: int) -> None:
        self.share, self.start = share, start

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """(n,) int64; in the relaxed world (n, 4) float64, for each stage."""
        stays = draws.bernoulli("home", self.share if draws.step >= self.start else 0.0)
        if observation.dim() == 1:
            return (observation == 2).long() * stays
        return torch.tensor([0, 0, 1, 0]) * stays.to(torch.float64)[:, None]


def stages(contacts: Network, p: Parameters, days: int, seed: int, start: int, temperature: float | None) -> Tensor:
    """(days + 1, 4) people in each stage of a SEIR town."""
    exact, people = temperature is None, contacts.num_people
    transmission = 0.15 * p["R0"] / contacts.strength.mean().item()
    world = (SEIR if exact else RelaxedSEIR)(contacts, transmission, p["onset"], p["recovery"], 0.02)

    def count(stage: Tensor) -> Tensor:
        return stage.long().bincount(minlength=4).double() if exact else stage.sum(0)

    record = [Record("observation", reduce=count), Record("action", every=days)]
    home = HomeWhenIll(p["home"], start)
    return rollout(world, home, **chance(people, days, seed, temperature), record=record).series["observation"]


def chance(people: int, days: int, seed: int, temperature: float | None) -> Parameters:
    """What a rollout of so many people and days takes for the exact run or the relaxed one."""
    draws = None if temperature is None else RelaxedDraws(seed, torch.arange(people), 0, "world", temperature)
    return {"rows": people, "horizon": days, "draws": draws, "seed": seed if draws is None else 0}


def citizens(p: Parameters) -> Heuristic:
    """Who stays at home in the city."""
    return Heuristic(when_ill=p["when ill"], most=p["most"], half=30.0)


def reported(city: Epidemic, p: Parameters, days: int, seed: int, temperature: float | None) -> dict[str, Tensor]:
    """(days,) for each of SITES, of a whole city."""
    small = [Record("action", every=days), Record("reward", reduce="mean")]
    small.append(Record("observation", reduce=lambda seen: seen["cases"][:1]))
    prefix = "" if temperature is None else "relaxed_"
    record = [*small, *(Record(prefix + name, reduce="sum") for name in SITES)]
    world: Epidemic | RelaxedEpidemic
    if temperature is None:
        world, policy = replace(city, disease=replace(city.disease, reproduction=p["R0"])), citizens(p)
    else:
        world, policy = RelaxedEpidemic(city, p["R0"]), Relaxed(citizens(p))  # type: ignore[assignment]
    run = chance(city.num_people, days, seed, temperature)
    series = rollout(world, policy, **run, record=record).series
    return {name: series[prefix + name] for name in SITES}


def some_city(people: int) -> Epidemic:
    """A synthetic one, in which one in 50 dies, so that deaths are something to follow."""
    who = synthetic_city(people, seed=1)
    disease = Disease(fatality=(0.02,) * 9)
    return Epidemic(city_layers(who, daily=2, seed=1), who["age"], who["area"], disease, initial=0.02)


def ratios(model: Model, start: Parameters, temperature: float, seeds: int) -> Tensor:
    """(parameters, outcomes, 2): gradient over finite difference, and its standard error."""
    slopes = []
    for seed in range(seeds // 4):
        leaves = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in start.items()}
        outcomes = model(leaves, seed, temperature)
        of = [torch.autograd.grad(outcome, list(leaves.values()), retain_graph=True) for outcome in outcomes]
        slopes.append(torch.tensor(of))
    slope, found = torch.stack(slopes), []  # (seeds, outcomes, parameters)
    for k, (name, value) in enumerate(start.items()):
        up, down = start | {name: 1.1 * value}, start | {name: 0.9 * value}
        change = torch.stack([model(up, s, None) - model(down, s, None) for s in range(seeds)]) / (0.2 * value)
        ratio = slope[:, :, k].mean(0) / change.mean(0)
        relative = [x.std(0) / x.mean(0) / len(x) ** 0.5 for x in (slope[:, :, k], change)]
        found.append(torch.stack([ratio, ratio.abs() * (relative[0] ** 2 + relative[1] ** 2).sqrt()], -1))
    return torch.stack(found)


def gradients(seeds: int, days: int = 50) -> None:
    """Prints the first two tables."""
    start = {"R0": 2.4, "onset": 0.25, "recovery": 0.15, "home": 0.3}
    print(f"Gradient over finite difference of the attack rate: SEIR, 1,000 people, {days} days, {seeds} pairs")
    print(f"{'contacts':<22} {'temperature':>11} " + " ".join(f"{name:>13}" for name in start))
    networks: dict[str, Network] = {f"{d} a person": erdos_renyi(1000, d, seed=1) for d in (12, 30, 100)}
    networks["everybody"] = MeanField.well_mixed(1000, 10.0)
    for name, contacts in networks.items():
        for temperature in (0.0, 0.3):

            def attack(p: Parameters, seed: int, at: float | None, contacts: Network = contacts) -> Tensor:
                return stages(contacts, p, days, seed, 0, at)[-1:, 1:].sum(1)

            columns = " ".join(f"{r:6.2f} ± {e:.2f}" for r, e in ratios(attack, start, temperature, seeds)[:, 0])
            print(f"{name:<22} {temperature:>11} {columns}", flush=True)

    people, names = 4000, ("infected", "confirmed")
    city = replace(some_city(people), initial=0.03)
    print(f"\nThe same of totals: a city of {people:,} people, {2 * seeds} pairs")
    columns = " ".join(f"{f'{name}, {until} days':>19}" for name in names for until in (days // 2, days))
    print(f"{'contacts':<22} {'parameter':<11} {columns}")
    random = {f"random, {d} a person": {"community": erdos_renyi(people, d, seed=1)} for d in (4, 8)}
    layers = {"in layers": city.layers, **random, "everybody": {"community": MeanField.well_mixed(people, 10.0)}}
    for name, contacts in layers.items():
        world = replace(city, layers=contacts)

        def totals(p: Parameters, seed: int, at: float | None, world: Epidemic = world) -> Tensor:
            found = reported(world, p, days, seed, at)
            return torch.stack([found[name][:until].sum() for name in names for until in (days // 2, days)])

        found = ratios(totals, {"R0": 2.6, "when ill": 0.5, "most": 0.5}, 0.0, 2 * seeds)
        for parameter, row in zip(("R0", "when ill", "most"), found, strict=True):
            print(f"{name:<22} {parameter:<11} " + " ".join(f"{r:12.2f} ± {e:.2f}" for r, e in row), flush=True)


def posterior(sets: int) -> None:
    """Prints how far the search is from the exact posterior of a curve that fades, with noise, found on a grid."""
    bounds, place = {"height": (0.0, 10.0), "decay": (0.0, 2.0)}, torch.arange(10).double()

    def fading(p: Parameters, seed: int) -> Tensor:
        noise = torch.special.ndtri(Draws(seed, torch.arange(10)).uniform("noise").double())
        return p["height"] * (-p["decay"] * place).exp() + 0.2 * noise

    grid = torch.cartesian_prod(torch.linspace(1.5, 4.5, 401).double(), torch.linspace(0.1, 0.6, 401).double())
    curves = grid[:, :1] * (-grid[:, 1:] * place).exp()
    print(f"{'simulations':>11} {'parameter':<10} {'median off, in sd (rms)':>24} {'width over exact':>18}")
    for simulations in (1200, 4000):
        off: dict[str, list[float]] = {name: [] for name in bounds}
        width: dict[str, list[float]] = {name: [] for name in bounds}
        for number in range(sets):
            record = fading({"height": 3.0, "decay": 0.3}, 10**6 + number)
            weight = ((curves - record).square().sum(1) / (-2 * 0.2**2)).softmax(0)
            exact = Fit(tuple(bounds), record[:2], grid, weight, {}, 0)
            fit = fit_by_search(fading, record, bounds, simulations=simulations, seed=number, progress=False)
            for name in bounds:
                (low, high), (exact_low, exact_high) = fit.interval(name), exact.interval(name)
                off[name].append((fit[name] - exact.quantile(name, 0.5)) / ((exact_high - exact_low) / (2 * 1.645)))
                width[name].append((high - low) / (exact_high - exact_low))
        for name in bounds:
            rms, ratio = torch.tensor(off[name]).square().mean().sqrt(), torch.tensor(width[name])
            print(f"{simulations:>11} {name:<10} {rms:>24.2f} {ratio.mean():>11.2f} ± {ratio.std():.2f}", flush=True)


def coverage(model: Model, truth: Parameters, bounds: Bounds, sets: int, quick: bool) -> None:
    """Prints bias, error and how many intervals hold the truth, by both methods."""
    columns = f"{'truth':>5} {'mean err':>9} {'rms err':>9} {'width 90':>9} {'50 %':>7} {'90 %':>7} {'of':>6}"
    print(f"{'':<21} {columns} {'CPU s/fit':>9}")
    for method in ("by gradient", "by search"):
        fits, began = [], time.process_time()
        for number in range(sets):
            record = model(truth, 10**7 + number, None)
            if method == "by gradient":
                how: Parameters = {"seeds": range(8), "steps": 24, "learning_rate": 0.4, "spread": 60}
                fit = fit_by_gradient(lambda p, seed: model(p, seed, 0.0), record, bounds, progress=False, **how)
            else:
                count = 400 if quick else 1500
                fit = fit_by_search(
                    lambda p, seed: model(p, seed, None), record, bounds, simulations=count, progress=False, seed=number
                )
            fits.append(fit)
        seconds = (time.process_time() - began) / sets
        for name, value in truth.items():
            errors = torch.tensor([fit[name] - value for fit in fits])
            held = [
                sum(low <= value <= high for low, high in (fit.interval(name, p) for fit in fits)) for p in (0.5, 0.9)
            ]
            width = sum(high - low for low, high in (fit.interval(name) for fit in fits)) / sets
            print(
                f"{method:<12} {name:<8} {value:5.2f} {errors.mean():+9.3f} {errors.square().mean().sqrt():9.3f} "
                f"{width:9.3f} {held[0]:7d} {held[1]:7d} {sets:6d} {seconds:9.1f}",
                flush=True,
            )


def town_series(p: Parameters, seed: int, temperature: float | None) -> Tensor:
    """(15,) the infectious every other day, as square roots: all entries about equally noisy."""
    town = MeanField.well_mixed(1000, 1.0)
    return (1 + stages(town, {"onset": 0.5, "recovery": 0.15} | p, 30, seed, 14, temperature)[2::2, 2]).sqrt()


def city_series(city: Epidemic) -> Model:
    """(16,) confirmed cases and people isolating in each week of eight, as square roots."""

    def model(p: Parameters, seed: int, temperature: float | None) -> Tensor:
        series = reported(city, p, 56, seed, temperature)
        return torch.cat([(1 + series[name].view(8, 7).sum(1)).sqrt() for name in ("confirmed", "isolates")])

    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer seeds, towns and cities")
    parser.add_argument("--seeds", type=int, default=200, help="of each finite difference (default 200)")
    parser.add_argument("--towns", type=int, default=56, help="to fit (default 56)")
    parser.add_argument("--cities", type=int, default=16, help="to fit (default 16)")
    arguments = parser.parse_args()
    seeds, towns, cities = (arguments.seeds, arguments.towns, arguments.cities)
    if arguments.quick:
        seeds, towns, cities = 40, 4, 1
    torch.set_num_threads(1)  # the runs are small

    gradients(seeds)
    print(f"\nThe search beside the exact posterior, {towns} series of 10 numbers")
    posterior(towns)
    print(f"\nSEIR towns of 1,000 people, 15 numbers each; intervals of 50 and 90 % that hold the truth, of {towns}")
    truth: Parameters = {"R0": 2.5, "home": 0.6}
    coverage(town_series, truth, {"R0": (1.0, 6.0), "home": (0.0, 1.0)}, towns, arguments.quick)
    print(f"\nCities of 1,000 people in layers, 16 numbers each, of {cities}")
    truth, box = {"R0": 2.6, "when ill": 0.5, "most": 0.5}, {"R0": (1.0, 6.0), "when ill": (0.0, 1.0)}
    coverage(city_series(some_city(1000)), truth, box | {"most": (0.0, 1.0)}, cities, arguments.quick)


if __name__ == "__main__":
    main()
