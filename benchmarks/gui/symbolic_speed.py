"""How many steps of a symbolic GUI task, with observation, does a CPU second buy?

Run: python benchmarks/gui/symbolic_speed.py        (under a minute)

GuiCarry-v0 at memory distance 2, stepped by actions made beforehand: taps and typing at random, as in learning's first
hours. Every step gives the whole observation (boxes, kinds, flags, texts, goal). "world" is ``SymbolicGui.step``
alone, on rows all at one step; "make_vec" is the vector environment, episodes beginning anew where they end; "one
env" is ``gymnasium.make`` with resets. One thread; CPU seconds of the process; the median of the rounds, and their
lowest and highest.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import torch

import ethogram.envs  # noqa: F401  (registers the id)
from ethogram.envs.gui import ELEMENTS, VOCABULARY, SymbolicGui
from ethogram.envs.gui_tasks import carry
from ethogram.simulator import Draws, Sites

TARGETS = {"world": 1_000_000, "make_vec": 1_000_000, "one env": 20_000}  # steps a CPU second
TYPES = torch.tensor([1, 1, 1, 7])  # tap, tap, tap, type


def actions(rows: int, step: int) -> dict[str, torch.Tensor]:
    """Taps on elements and typed words."""
    draws = Draws(1, torch.arange(rows), step)
    return {
        "type": TYPES[(draws.uniform("type") * len(TYPES)).long()],
        "point": torch.zeros(rows, 2),
        "element": 1 + (draws.uniform("element") * ELEMENTS).long(),
        "direction": torch.zeros(rows, dtype=torch.int64),
        "text": (draws.uniform("text") * len(VOCABULARY)).long(),
    }


def world_steps(rows: int, steps: int) -> Callable[[], int]:
    """Steps of the world itself."""
    world, made = SymbolicGui(carry()), [actions(rows, step) for step in range(16)]
    draws, site = Draws(0, torch.arange(rows)), Sites()

    def run() -> int:
        state, _ = world.reset(draws, site)
        for step in range(steps):
            state = world.step(state, made[step % 16], draws.at(step), site).state
        return rows * steps

    return run


def vector_steps(rows: int, steps: int) -> Callable[[], int]:
    """Steps of the vector environment; an idle step at an episode's beginning counts, as it costs a reset."""
    envs = gymnasium.make_vec("ethogram/GuiCarry-v0", rows)
    made = [{name: part.numpy() for name, part in actions(rows, step).items()} for step in range(16)]

    def run() -> int:
        envs.reset(seed=0)
        for step in range(steps):
            envs.step(made[step % 16])
        return rows * steps

    return run


def single_steps(steps: int) -> Callable[[], int]:
    """Steps of one environment, and the resets between its episodes."""
    env: Any = gymnasium.make("ethogram/GuiCarry-v0")
    parts = [{name: part.numpy() for name, part in actions(64, step).items()} for step in range(4)]
    made = [{name: part[i] for name, part in column.items()} for column in parts for i in range(64)]

    def run() -> int:
        env.reset(seed=0)
        for step in range(steps):
            _, _, over, late, _ = env.step(made[step % 256])
            if over or late:
                env.reset()
        return steps

    return run


def rates(run: Callable[[], int], rounds: int) -> list[float]:
    """Steps a CPU second of each round, after one that warms up."""
    run()
    found = []
    for _ in range(rounds):
        start = time.process_time()
        steps = run()
        found.append(steps / (time.process_time() - start))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for rows in (1, 1024, 8192):
        steps = 20_000 if rows == 1 else 400_000 // rows
        ways: dict[str, Callable[[], int]] = {"world": world_steps(rows, steps), "make_vec": vector_steps(rows, steps)}
        if rows == 1:
            ways["one env"] = single_steps(steps // 2)
        for way, run in ways.items():
            found = rates(run, rounds)
            aim = f"; aim {TARGETS[way]:,}" if (rows > 1) != (way == "one env") else ""
            print(
                f"{way:>9}, {rows:5,} rows: {statistics.median(found):>11,.0f} steps a CPU second "
                f"({min(found):,.0f} to {max(found):,.0f}{aim})"
            )


if __name__ == "__main__":
    main()
