"""Which of HAR's claims on history-aware reasoning hold for a small policy trained the same way?

Run: python benchmarks/gui/har_claims.py [--quick]        (about a minute a seed on one free core)

For each seed, a transformer that reads its past as sentences is warmed up by a teacher that seldom looks back, in three
tasks. Each way of learning goes on from there with as many updates and answers. Success is at steps of unseen episodes.
A claim is a difference of two ways within a seed; its interval is 95 %, by Student's t over seeds. "holds" and
"reversed": the interval is on one side of 0; else "open". Absolute numbers are not comparable with the paper's.
"""

import argparse
import copy
from typing import Any

import torch

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import Episodes, GuiPolicy, episodes_of
from ethogram.agents.har import WarmUp, awareness, har, located, moved_by_history, succeeds
from ethogram.agents.learning import train
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import reactive, recent_action, search
from ethogram.simulator import rollout
from ethogram.simulator.whatif import Effect

ALONE = "reactive"  # the task that needs no memory
TASKS = {ALONE: reactive(3), "presses in turn": recent_action(1, presses=3), "folders": search(1, folders=3)}
WAYS: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {  # updates of each round, as shares of half; settings
    "HAR": ((1, 1), {}),
    "GRPO": ((0, 2), {"gamma": 0.0, "located": False}),
    "no reflection": ((0, 2), {}),
    "no hints": ((1, 1), {"hints": False}),
    "no memory reward": ((1, 1), {"gamma": 0.0}),
    "no round 2": ((2, 0), {}),
    "no grounding": ((1, 1), {"located": False}),
    "gamma 1": ((1, 1), {"gamma": 1.0}),
}
MEASURES = ("memory tasks", "reactive", "located", "aware", "moved")
Row = dict[str, float]
CLAIMS = (  # what is claimed; of what; more, less
    ("HAR beats GRPO where memory is needed", "memory tasks", "HAR", "GRPO"),
    ("GRPO beats the warm-up there", "memory tasks", "GRPO", "warm-up"),
    ("HAR equals GRPO where it is not", "reactive", "HAR", "GRPO"),
    ("thoughts look back more", "aware", "HAR", "warm-up"),
    ("... than after GRPO", "aware", "HAR", "GRPO"),
    ("another past changes more actions", "moved", "HAR", "GRPO"),
    ("reflection helps", "memory tasks", "HAR", "no reflection"),
    ("hints help", "memory tasks", "HAR", "no hints"),
    ("the memory reward helps", "memory tasks", "HAR", "no memory reward"),
    ("... and makes thoughts look back", "aware", "HAR", "no memory reward"),
    ("round 2 helps", "memory tasks", "HAR", "no round 2"),
    ("mixed tasks keep grounding", "located", "HAR", "no grounding"),
    ("a large gamma buys mentions", "aware", "gamma 1", "HAR"),
    ("... at the cost of success", "memory tasks", "HAR", "gamma 1"),
)


def steps(episodes: int, seed: int) -> dict[str, Episodes]:
    """The expert's steps in each task, with what was done before in sentences."""
    return {
        name: episodes_of(rollout(SymbolicGui(app), Scripted(), rows=episodes, horizon=app.horizon, seed=seed))
        for name, app in TASKS.items()
    }


def measured(way: str, policy: GuiPolicy, tests: dict[str, Episodes]) -> Row:
    """Shares of steps, by name."""
    needs = [part for name, part in tests.items() if name != ALONE]
    found = (
        torch.cat([succeeds(policy, part) for part in needs]),
        succeeds(policy, tests[ALONE]),
        located(policy, Episodes.mixed(tests.values())),
        torch.cat([awareness(policy, part) for part in needs]),
        torch.cat([moved_by_history(policy, part) for part in needs]),
    )
    return {f"{way}, {name}": share.mean().item() for name, share in zip(MEASURES, found, strict=True)}


def one_seed(seed: int, warm: int, updates: int, episodes: int, tested: int) -> Row:
    """All that is measured with a seed."""
    torch.manual_seed(seed)
    shown = Episodes.mixed(steps(episodes, seed).values())
    tests = steps(tested, 10**6 + seed)
    start = GuiPolicy(4, past="sentences", width=32, layers=2, hidden=128)
    train(WarmUp(start, shown, seed=seed), warm, rate=4e-3, progress=False)
    row = measured("warm-up", start, tests)
    for way, ((first, second), settings) in WAYS.items():
        policy = copy.deepcopy(start)
        rounds = (first * updates, second * updates)
        har(policy, shown, rounds, rate=1e-3, prompts=8, seed=seed, progress=False, **settings)
        row |= measured(way, policy, tests)
    return row


def verdict(more: torch.Tensor, less: torch.Tensor) -> str:
    """The difference of shares, (seeds,) each, in points, its interval, and what follows."""
    effect = Effect(100 * less, 100 * more, tuple(range(len(more))))
    low, high = effect.interval()
    said = "holds" if low > 0 else "reversed" if high < 0 else "open"
    return f"{effect.mean:+6.1f} [{low:+.1f}, {high:+.1f}]  {said}"


def report(rows: list[Row]) -> None:
    """Tables over seeds."""
    of = {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}
    print(f"\n{f'in %, means of {len(rows)} seeds':22}" + "".join(f"{name:>14}" for name in MEASURES))
    for way in ("warm-up", *WAYS):
        print(f"{way:22}" + "".join(f"{100 * of[f'{way}, {name}'].mean():14.1f}" for name in MEASURES))
    print(f"\n{'claim':42}{'of':16}measured, points [95 % interval]  verdict")
    for claim, name, more, less in CLAIMS:
        print(f"{claim:42}{name:16}{verdict(of[f'{more}, {name}'], of[f'{less}, {name}'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=900, help="updates of the warm-up")
    parser.add_argument("--updates", type=int, default=30, help="updates of each of the two rounds")
    parser.add_argument("--quick", action="store_true", help="two seeds and few updates: a check that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds, sizes = range(given.seeds), (given.warm, given.updates, 600, 60)
    if given.quick:
        seeds, sizes = range(2), (20, 2, 60, 10)
    rows = []
    for seed in seeds:
        rows.append(one_seed(seed, *sizes))
        ways = {way: round(100 * rows[-1][f"{way}, memory tasks"], 1) for way in ("warm-up", "GRPO", "HAR")}
        print(f"seed {seed}: {ways}", flush=True)
    report(rows)


if __name__ == "__main__":
    main()
