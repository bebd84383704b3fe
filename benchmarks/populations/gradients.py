"""How near is the relaxed SEIR's gradient to the truth, by how many meet and for how long they are followed?

Run: python benchmarks/populations/gradients.py        (some minutes; --pairs 40 for a first look)

For each network and horizon: the gradient of how many have been infected, over the finite difference of its mean in
the exact epidemic, whose two sides share their luck; 1 is right. And how much single gradients and single differences
vary, as parts of the mean: both are averaged until they tell enough.
"""

import argparse
import math
from typing import Any

import torch
from torch import Tensor

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import SEIR, RelaxedSEIR
from ethogram.simulator import Draws, rollout
from ethogram.simulator.calibrate import RelaxedDraws
from ethogram.simulator.networks import MeanField, Network, erdos_renyi
from ethogram.simulator.recording import Record

PEOPLE, HORIZONS = 500, (10, 20, 40)  # days; a generation is 7


def infected(contacts: Network, p: dict[str, Any], seed: int, relaxed: bool) -> Tensor:
    """(horizon + 1,) how many have been infected by each day."""
    rates = p["R0"] * 0.2 / contacts.strength.mean().item(), 0.5, 0.2, p["initial"]
    ids = torch.arange(PEOPLE)

    def count(stage: Tensor) -> Tensor:
        return stage[:, 1:].sum() if relaxed else (stage > 0).double().sum()

    world = (RelaxedSEIR if relaxed else SEIR)(contacts, *rates)
    draws = (RelaxedDraws if relaxed else Draws)(seed, ids, scope="world")
    record = [Record("observation", reduce=count), Record("action", every=HORIZONS[-1])]
    home = Fixed([0.0] * 4) if relaxed else Fixed(0)
    history = rollout(world, home, rows=ids, horizon=HORIZONS[-1], record=record, draws=draws)
    return history.series["observation"]


def line(contacts: Network, start: dict[str, float], pairs: int) -> str:
    """The table's columns of one network."""
    slopes = []
    for seed in range(pairs // 3):
        leaves = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in start.items()}
        series = infected(contacts, leaves, seed, relaxed=True)
        of = [torch.autograd.grad(series[day], list(leaves.values()), retain_graph=True) for day in HORIZONS]
        slopes.append(torch.tensor(of))
    slope, columns = torch.stack(slopes), []  # (seeds, horizons, parameters)
    for k, (name, value) in enumerate(start.items()):
        up, down = start | {name: 1.15 * value}, start | {name: 0.85 * value}
        changes = [infected(contacts, up, s, False) - infected(contacts, down, s, False) for s in range(pairs)]
        change = torch.stack(changes)[:, list(HORIZONS)] / (0.3 * value)
        for h in range(len(HORIZONS)):
            parts = [(x.mean().item(), x.std().item(), len(x)) for x in (slope[:, h, k], change[:, h])]
            ratio = parts[0][0] / parts[1][0]
            error = abs(ratio) * math.hypot(*(sd / mean / n**0.5 for mean, sd, n in parts))
            columns.append(
                f"{ratio:5.2f} ± {error:.2f} ({parts[0][1] / parts[0][0]:.1f}, {parts[1][1] / parts[1][0]:.1f})"
            )
    return " | ".join(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=150, help="of exact runs; a third as many gradients (default 150)")
    parser.add_argument("--initial", type=float, default=0.03, help="share infectious at the start (default 0.03)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the runs are small
    start = {"R0": 2.0, "initial": arguments.initial}
    print(f"{PEOPLE} people; gradient over difference ± standard error (how one gradient varies, one difference)")
    print("contacts   | " + " | ".join(f"{name}, {day} days" for name in start for day in HORIZONS))
    networks: dict[str, Network] = {f"{d} a person": erdos_renyi(PEOPLE, d, seed=1) for d in (4, 8, 16, 40)}
    networks["everybody"] = MeanField.well_mixed(PEOPLE, 8.0)
    for name, contacts in networks.items():
        print(f"{name:<10} | {line(contacts, start, arguments.pairs)}", flush=True)


if __name__ == "__main__":
    main()
