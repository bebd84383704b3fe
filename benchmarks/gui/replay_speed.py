"""How long does it take to replay AndroidControl's whole test split with a scripted policy?

Run: python benchmarks/gui/replay_speed.py        (under a minute; needs android_control_test.jsonl.gz)

1,543 episodes of 8,444 steps, all side by side; episodes are of 1 to 24 steps, and only steps that were recorded count.
"read" is the file made a Recording and its arrays. "replay" is ``rollout`` with the policy that copies the reference:
observations with goal, past and screen, the reward by match/strict, and the History of it all; "every metric" records
all eleven verdicts besides. "world" is ``Replay.step`` alone, 8 copies of each episode. "one by one" asks the rules of
``gui_metrics`` step by step, for match/strict alone, and must give the same verdicts. One thread; CPU seconds of the
process; the median of the rounds, and their lowest and highest.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ethogram.agents.gui_baselines import CopyReference
from ethogram.envs.gui import GuiActions
from ethogram.envs.gui_logs import Recording, Replay, load_android_control
from ethogram.envs.gui_metrics import METRICS
from ethogram.simulator import Draws, History, Sites, rollout

COPIES = 8


def replay(recording: Recording, record: str | list[str]) -> History:
    """All episodes once."""
    world = Replay(recording)
    return rollout(world, CopyReference(recording), rows=len(recording), horizon=world.horizon, record=record, seed=0)


def world_steps(recording: Recording) -> Callable[[], object]:
    """``Replay.step`` alone, on actions made beforehand."""
    world, policy = Replay(recording), CopyReference(recording)
    draws, site = Draws(0, torch.arange(COPIES * len(recording))), Sites()
    state, seen = world.reset(draws, site)
    made = []
    for step in range(world.horizon):
        made.append(policy.act(seen, None, draws))  # type: ignore[arg-type]
        state, seen, *_ = world.step(state, made[-1], draws.at(step), site)

    def run() -> None:
        state, _ = world.reset(draws, site)
        for step, action in enumerate(made):
            state = world.step(state, action, draws.at(step), site).state

    return run


def one_by_one(recording: Recording, history: History) -> list[list[float]]:
    """The rules' verdicts on the same actions."""
    rule, acts = METRICS["match/strict"], GuiActions(**history.action)
    return [
        [rule(step, acts.row(i, t)).step for t, step in enumerate(episode.steps)]
        for i, episode in enumerate(recording.episodes)
    ]


def seconds(run: Callable[[], object], rounds: int) -> list[float]:
    """CPU seconds of each round, after one that warms up."""
    run()
    found = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the file (default: where ETHOGRAM_DATA names, or data)")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        recording = load_android_control(options.data)
    except FileNotFoundError as error:
        print(f"skipped: {error}")
        return
    steps = len(recording.steps)
    history = replay(recording, ["match/strict"])
    kept = history.sites["match/strict"]
    for i, row in enumerate(one_by_one(recording, history)):
        assert kept[i, : len(row)].tolist() == row, f"episode {i}: the rules say {row}"
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "read": (lambda: load_android_control(options.data).arrays, steps),
        "replay": (lambda: replay(recording, []), steps),
        "replay, every metric": (lambda: replay(recording, "all"), steps),
        "world": (world_steps(recording), COPIES * steps),
        "one by one": (lambda: one_by_one(recording, history), steps),
    }
    aims = {"replay": "; aim under 1 s", "world": "; aim 100,000 steps"}
    for way, (run, count) in ways.items():
        found = seconds(run, options.rounds)
        middle = statistics.median(found)
        print(
            f"{way:>21}: {middle:.3f} s ({min(found):.3f} to {max(found):.3f}), "
            f"{count / middle:>9,.0f} steps a CPU second{aims.get(way, '')}"
        )


if __name__ == "__main__":
    main()
