"""Does a policy on screens act better where memory is needed, once it is rewarded for thinking of what it did?

Run: python examples/train_har.py        (about two minutes; --help for options)

The past is told in sentences, such as "tap mail": which button was pressed, which folder was opened. A teacher who
looks at the screen alone shows a small transformer how to think and act; one thought in seven looks back. HAR
(arXiv:2511.09127) then collects the policy's own errors, has it reflect on them with hints that never name what is
right, and has it try again in the form in which it will act. Its reward is form * (action + 0.2 * memory), where memory
is 1 if the thought says something true of the past.

Beside it, the same number of updates by the same rewards without reflection, hints and memory: plain GRPO.
"""

import argparse
import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import Episodes, GuiPolicy, episodes_of
from ethogram.agents.har import WarmUp, awareness, har, located, moved_by_history, succeeds
from ethogram.agents.learning import train
from ethogram.envs.gui import App, SymbolicGui
from ethogram.envs.gui_tasks import reactive, recent_action, search
from ethogram.simulator import rollout
from ethogram.simulator.report import plots, report
from ethogram.simulator.whatif import standard_error

TASKS: dict[str, App] = {
    "what the goal names": reactive(3),
    "buttons in turn": recent_action(1, presses=3),
    "each folder once": search(1, folders=3),
}
WARM, GRPO, HAR = "warm-up", "GRPO", "HAR"


class Size(NamedTuple):
    """Of a run."""

    episodes: int  # of the expert, in each task
    warm: int  # updates of the warm-up
    updates: int  # of each round
    prompts: int  # of an update
    tested: int  # episodes in each task


FULL, QUICK = Size(1500, 900, 40, 16, 100), Size(60, 25, 2, 4, 20)


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
    """What is measured: 1 or 0 for each step."""
    everything = Episodes.mixed(tests.values())
    needs = [part for name, part in tests.items() if name != "what the goal names"]
    return {
        **{f"right: {name}": succeeds(policy, part) for name, part in tests.items()},
        "right: elements that are described": located(policy, everything),
        "thoughts that say something true of the past": awareness(policy, Episodes.mixed(needs)),
        "actions that another past changes": torch.cat([moved_by_history(policy, part) for part in needs]),
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
    policy = GuiPolicy(4, past="sentences", width=32, layers=2, hidden=128)
    train(WarmUp(policy, shown, seed=given.seed), size.warm, rate=4e-3)
    plain = copy.deepcopy(policy)
    found = {WARM: measures(policy, tests)}
    settings = {"rate": 1e-3, "prompts": size.prompts, "seed": given.seed}
    har(plain, shown, (0, 2 * size.updates), gamma=0, located=False, **settings)
    found[GRPO] = measures(plain, tests)
    course = har(policy, shown, (size.updates, size.updates), **settings)
    found[HAR] = measures(policy, tests)

    print(f"\n{'in %, with 95 % intervals':52}" + "".join(f"{way:>14}" for way in found))
    for name in found[WARM]:
        print(f"{name:52}" + "".join(f"{percent(part[name]):>14}" for part in found.values()))
    given.out.mkdir(parents=True, exist_ok=True)
    left, right = plots.panels(2)
    rewards = {"round 1: reflection": course.first["reward"], "round 2: as it will act": course.second["reward"]}
    plots.curves(plots.label(left, "HAR's rounds", "update", "reward"), rewards)
    ways = {
        way: (
            [value.mean().item() for value in part.values()],
            [1.96 * standard_error(value).item() for value in part.values()],
        )
        for way, part in found.items()
    }
    names = ["goal", "in turn", "folders", "described", "aware", "moved"]
    plots.bars(plots.label(right, "Shares, as printed", "", "share"), names, ways)
    picture, app = plots.save(right, given.out / "train_har.png"), TASKS["buttons in turn"]
    world = SymbolicGui(app)
    history = rollout(world, policy, rows=4, horizon=app.horizon, seed=3)
    page = report(history, given.out / "train_har.html", title="After HAR", world=world, policy=policy)
    print(f"\nPicture: {picture}; a film of four episodes: {page}")
    needs = [f"right: {name}" for name in TASKS if name != "what the goal names"]
    was, with_grpo, now = (torch.cat([found[way][name] for name in needs]) for way in (WARM, GRPO, HAR))
    print(
        f"Where memory is needed, steps are right in {percent(was)} % after the warm-up, {percent(with_grpo)} % after "
        f"GRPO and {percent(now)} % after HAR (HAR less GRPO: {percent(now - with_grpo)} points)."
    )


if __name__ == "__main__":
    main()
