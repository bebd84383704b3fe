"""Does a policy on screens act better where memory is needed, once it is rewarded for thinking of what it did?

Run: python examples/train_har.py        (about two minutes; --help for options)

The past is told in sentences, such as "tap mail": which button was pressed, which app was opened. A teacher shows a
small transformer how to think and act; one of its thoughts in seven looks back, and without it acts as the screen alone
suggests. HAR (arXiv:2511.09127) then collects the policy's own errors, has it reflect on them with hints that never
name what is right, and has it try again in the form in which it will act. Its reward is form * (action + 0.2 * memory),
where memory is 1 if the thought says something true of the past.

Beside it, the same number of updates by the same rewards without reflection, hints and memory: plain GRPO.
"""

import argparse
import copy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import Episodes, GuiPolicy, episodes_of
from ethogram.agents.har import WarmUp, awareness, har, located, needs_memory, succeeds
from ethogram.agents.learning import train
from ethogram.envs.gui import App, SymbolicGui
from ethogram.envs.gui_tasks import checklist, reactive, recent_action
from ethogram.simulator import rollout
from ethogram.simulator.report import plots, report
from ethogram.simulator.whatif import standard_error

ALONE = "what the goal names"
TASKS: dict[str, App] = {
    ALONE: reactive(3),
    "buttons in turn, 1 step apart": recent_action(1, presses=3, distractors=1),
    "buttons in turn, 2 steps apart": recent_action(2, presses=3, distractors=1),
    "each app once, 2 steps apart": checklist(1, apps=2),
}
WARM, GRPO, UNPAID, HAR = "warm-up", "GRPO", "HAR, gamma 0", "HAR"


class Size(NamedTuple):
    """Of a run."""

    episodes: int  # of the expert, in each task
    warm: int  # updates of the warm-up
    updates: int  # of each round
    tested: int  # episodes in each task


FULL, QUICK = Size(400, 900, 50, 60), Size(60, 25, 2, 20)


def steps(episodes: int, seed: int) -> dict[str, Episodes]:
    """The expert's steps in each task, with what was done before in sentences."""
    return {
        name: episodes_of(rollout(SymbolicGui(app), Scripted(), rows=episodes, horizon=app.horizon, seed=seed))
        for name, app in TASKS.items()
    }


def percent(success: Tensor) -> str:
    """A mean and its 95 % interval, in per cent."""
    return f"{100 * success.mean():.0f} ± {196 * standard_error(success):.0f}"


def measures(policy: GuiPolicy, tests: dict[str, Episodes]) -> dict[str, Tensor]:
    """What is measured: 1 or 0 for each step; in tasks with memory, for those that need it."""
    needs = {name: part.rows(needs_memory(part).nonzero()[:, 0]) for name, part in tests.items() if name != ALONE}
    return {
        **{f"right: {name}": succeeds(policy, part) for name, part in ({ALONE: tests[ALONE]} | needs).items()},
        "right: elements that are described": located(policy, Episodes.mixed(tests.values())),
        "thoughts that say something true of the past": awareness(policy, Episodes.mixed(needs.values())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few updates, in seconds: what it learns is little")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default outputs)")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    torch.set_num_threads(1)

    shown = Episodes.mixed(steps(size.episodes, given.seed).values())
    tests = steps(size.tested, 1_000_000)
    torch.manual_seed(given.seed)
    start = GuiPolicy(4, past="sentences", width=48, layers=1, hidden=192)
    train(WarmUp(start, shown, blind=1.0, seed=given.seed), size.warm, rate=4e-3)
    found = {WARM: measures(start, tests)}
    rounds = (size.updates, size.updates)
    ways: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
        GRPO: ((0, sum(rounds)), {"gamma": 0, "located": False}),
        UNPAID: (rounds, {"gamma": 0}),
        HAR: (rounds, {}),
    }
    for way, (updates, settings) in ways.items():
        policy = copy.deepcopy(start)
        course = har(policy, shown, updates, rate=3e-4, prompts=8, seed=given.seed, **settings)
        found[way] = measures(policy, tests)

    print(f"\n{'in %, with 95 % intervals':52}" + "".join(f"{way:>14}" for way in found))
    for name in found[WARM]:
        print(f"{name:52}" + "".join(f"{percent(part[name]):>14}" for part in found.values()))
    given.out.mkdir(parents=True, exist_ok=True)
    left, right = plots.panels(2)
    width = min(10, size.updates)
    rounds_of_har = {"round 1: reflection": course.first, "round 2: as it will act": course.second}
    rewards = {name: part["reward"].unfold(0, width, 1).mean(1) for name, part in rounds_of_har.items()}
    plots.curves(
        plots.label(left, f"HAR's rounds, means of {width}", "update", "reward"),
        rewards,
        torch.arange(width, size.updates + 1),
    )
    shares = {
        way: (
            [value.mean().item() for value in part.values()],
            [1.96 * standard_error(value).item() for value in part.values()],
        )
        for way, part in found.items()
    }
    names = ["goal", "1 apart", "2 apart", "apps", "described", "aware"]
    plots.bars(plots.label(right, "Shares, as printed", "", "share"), names, shares)
    picture, app = plots.save(right, given.out / "train_har.png"), TASKS["each app once, 2 steps apart"]
    world = SymbolicGui(app)
    history = rollout(world, policy, rows=4, horizon=app.horizon, seed=3)
    page = report(history, given.out / "train_har.html", title="After HAR", world=world, policy=policy)
    print(f"\nPicture: {picture}; a film of four episodes: {page}")
    needs = [f"right: {name}" for name in TASKS if name != ALONE]
    right_in = {way: torch.cat([part[name] for name in needs]) for way, part in found.items()}
    print(
        "Where memory is needed, steps are right in "
        + ", ".join(f"{percent(share)} % ({way})" for way, share in right_in.items())
        + f"; HAR less GRPO: {percent(right_in[HAR] - right_in[GRPO])} points."
    )


if __name__ == "__main__":
    main()
