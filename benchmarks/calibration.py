"""Are the relaxed epidemic's gradients right, and do the intervals of calibration hold as often as they say?

Run: python benchmarks/calibration.py        (about twenty minutes; --quick for two)

First table: straight-through gradients of the final attack rate over finite differences of its mean in the exact
epidemic, with paired seeds; 1 is right. Second: town after town is simulated with known parameters and fitted.
"""

import argparse
import time
from typing import Any

import torch
from torch import Tensor

from ethogram.envs.relaxed import RelaxedDraws, RelaxedSEIR
from ethogram.envs.seir import SEIR
from ethogram.simulator import Draws, History, rollout
from ethogram.simulator.calibrate import Fit, fit_by_gradient, fit_by_search
from ethogram.simulator.generators import erdos_renyi
from ethogram.simulator.meetings import MeanField
from ethogram.simulator.networks import Network
from ethogram.simulator.rollout import Record


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


def stages(contacts: Network, p: dict[str, Any], days: int, seed: int, start: int, temperature: float | None) -> Tensor:
    """(days + 1, 4) people in each stage; temperature None: the exact epidemic."""
    exact, people = temperature is None, contacts.num_people
    transmission = 0.15 * p["R0"] / contacts.strength.mean().item()
    world = (SEIR if exact else RelaxedSEIR)(contacts, transmission, p["onset"], p["recovery"], 0.02)

    def count(stage: Tensor) -> Tensor:
        return stage.long().bincount(minlength=4).double() if exact else stage.sum(0)

    ids = torch.arange(people)
    draws = (
        Draws(seed, ids, scope="world") if exact else RelaxedDraws(seed, ids, scope="world", temperature=temperature)
    )
    record = [Record("observation", reduce=count), Record("action", every=days)]
    home = HomeWhenIll(p["home"], start)
    return rollout(world, home, rows=ids, horizon=days, record=record, draws=draws).series["observation"]


def gradients(contacts: Network, temperature: float, seeds: int) -> tuple[list[float], list[float]]:
    """For each parameter: gradient over finite difference, and its standard error."""
    start = {"R0": 2.4, "onset": 0.25, "recovery": 0.15, "home": 0.3}

    def attack(p: dict[str, Any], seed: int, temperature: float | None) -> Tensor:
        return stages(contacts, p, 50, seed, 0, temperature)[-1, 1:].sum() / contacts.num_people

    slopes = []
    for seed in range(seeds // 4):
        leaves = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in start.items()}
        slopes.append(torch.stack(torch.autograd.grad(attack(leaves, seed, temperature), list(leaves.values()))))
    slope = torch.stack(slopes)
    ratios, errors = [], []
    for k, (name, value) in enumerate(start.items()):
        up, down = start | {name: 1.1 * value}, start | {name: 0.9 * value}
        change = torch.stack([attack(up, s, None) - attack(down, s, None) for s in range(seeds)]) / (0.2 * value)
        ratio = (slope[:, k].mean() / change.mean()).item()
        relative = [(x.std() / x.mean() / len(x) ** 0.5).item() for x in (slope[:, k], change)]
        ratios.append(ratio)
        errors.append(abs(ratio) * (relative[0] ** 2 + relative[1] ** 2) ** 0.5)
    return ratios, errors


def coverage(method: str, sets: int, quick: bool) -> None:
    """Prints bias, error and how many 90 % intervals hold the truth."""
    truth, bounds = {"R0": 2.5, "home": 0.6}, {"R0": (1.0, 6.0), "home": (0.0, 1.0)}
    town = MeanField.well_mixed(1000, 1.0)

    def model(p: dict[str, Any], seed: int, temperature: float | None = None) -> Tensor:
        found = stages(town, {"onset": 0.5, "recovery": 0.15} | p, 30, seed, 14, temperature)
        return (1 + found[2::2, 2]).sqrt()

    fits: list[Fit] = []
    began = time.process_time()
    for number in range(sets):
        record = model(truth, 10**7 + number)
        if method == "by gradient":
            how: dict[str, Any] = {"seeds": range(8), "steps": 24, "learning_rate": 0.4, "spread": 60}
            fit = fit_by_gradient(lambda p, seed: model(p, seed, 0.0), record, bounds, progress=False, **how)
        else:
            count = 400 if quick else 1500
            fit = fit_by_search(model, record, bounds, simulations=count, population=200, seed=number, progress=False)
        fits.append(fit)
    seconds = (time.process_time() - began) / sets
    for name, value in truth.items():
        errors = torch.tensor([fit[name] - value for fit in fits])
        held = [sum(low <= value <= high for low, high in (fit.interval(name, p) for fit in fits)) for p in (0.5, 0.9)]
        width = sum(high - low for low, high in (fit.interval(name) for fit in fits)) / sets
        print(
            f"{method:<12} {name:<6} {value:5.2f} {errors.mean():+9.3f} {errors.square().mean().sqrt():9.3f} "
            f"{width:9.3f} {held[0]:7d} {held[1]:7d} {sets:6d} {seconds:9.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer seeds and towns")
    parser.add_argument("--seeds", type=int, default=200, help="of each finite difference (default 200)")
    parser.add_argument("--sets", type=int, default=56, help="towns to fit (default 56)")
    arguments = parser.parse_args()
    seeds, sets = (40, 4) if arguments.quick else (arguments.seeds, arguments.sets)
    torch.set_num_threads(1)  # the runs are small

    print(f"Gradient over finite difference of the attack rate; 1,000 people, 50 days, {seeds} pairs")
    print(f"{'contacts':<22} {'temperature':>11} {'R0':>13} {'onset':>13} {'recovery':>13} {'home':>13}")
    networks: dict[str, Network] = {f"{d} a person": erdos_renyi(1000, d, seed=1) for d in (12, 30, 100)}
    networks["everybody"] = MeanField.well_mixed(1000, 10.0)
    for name, contacts in networks.items():
        for temperature in (0.0, 0.3):
            columns = " ".join(
                f"{ratio:6.2f} ± {error:.2f}"
                for ratio, error in zip(*gradients(contacts, temperature, seeds), strict=True)
            )
            print(f"{name:<22} {temperature:>11} {columns}", flush=True)

    print(f"\nTowns of 1,000 people, 15 numbers each; intervals of 50 and 90 % that hold the truth, of {sets}")
    columns = f"{'truth':>5} {'mean err':>9} {'rms err':>9} {'width 90':>9} {'50 %':>7} {'90 %':>7} {'of':>6}"
    print(f"{'':<19} {columns} {'CPU s/fit':>9}")
    for method in ("by gradient", "by search"):
        coverage(method, sets, arguments.quick)


if __name__ == "__main__":
    main()
