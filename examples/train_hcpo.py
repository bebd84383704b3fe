"""Does a policy on screens learn to use its history, if it explores with less of it and learns from a compressed one?

Run: python examples/train_hcpo.py        (about a minute and a half; --help for options)

Four tasks on the screens of an app need different pasts: to tap what the goal names needs none; to press two buttons in
turn needs the last press; to type a value that stood one or two screens ago needs that screen. A small transformer
copies an expert until it begins to read its past. Then HCPO (HiconAgent, arXiv:2512.01763) goes on by rewards:
each answer of a group is drawn with a history of its own length, all are scored with the whole one, and a branch that
forgets past screens after its first layer learns beside one that keeps them. The policy acts compressed in the end.

Beside it, the same training with answers drawn with whole histories: two branches without lengths of their own.
Success is measured at steps of episodes that were never trained on, by how far the policy may look back; and in whole
episodes in the world, by the screens between seeing a value and needing it.
"""

import argparse
import copy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import HCPO, GuiPolicy, Imitation, Steps, steps_of, successes
from ethogram.agents.learning import train
from ethogram.envs.gui import App, SymbolicGui
from ethogram.envs.gui_tasks import carry, reactive, recent_action
from ethogram.simulator import rollout
from ethogram.simulator.report import plots, report
from ethogram.simulator.whatif import standard_error

MEMORY, DROP_AT = 2, 1  # steps looked back; layers that still see past screens
CARRIES = [carry(distance, distractors=1) for distance in (1, 2)]
TASKS: dict[str, tuple[App, int]] = {  # and how often it is shown
    "what the goal names": (reactive(2), 1),
    "buttons in turn": (recent_action(1, distractors=0), 1),
    "a value one screen ago": (CARRIES[0], 2),
    "a value two screens ago": (CARRIES[1], 2),
}
LENGTHS = [*(f"{length} steps" for length in range(MEMORY + 1)), "compressed"]
START, WHOLE, METHOD = "before", "whole lengths", "HCPO"


class Size(NamedTuple):
    """Of a run."""

    episodes: int  # of the expert, in each task, to learn from
    copied: int  # updates of the warm start
    updates: int  # of each way of learning by rewards
    prompts: int  # of an update
    tested: int  # episodes in each task


FULL, QUICK = Size(1000, 900, 150, 16, 100), Size(100, 30, 4, 4, 20)


def steps(episodes: int, seed: int) -> dict[str, Steps]:
    """The expert's steps in each task."""
    histories = {
        name: rollout(SymbolicGui(app), Scripted(), rows=episodes * often, horizon=app.horizon, seed=seed)
        for name, (app, often) in TASKS.items()
    }
    return {name: steps_of(history, MEMORY) for name, history in histories.items()}


def by_length(policy: GuiPolicy, tests: dict[str, Steps]) -> dict[str, list[Tensor]]:
    """For each task, at each length of history and then with a compressed one, (m,) whether steps are right."""
    return {
        name: [successes(policy, part, length) for length in range(MEMORY + 1)]
        + [successes(policy, part, drop_at=DROP_AT)]
        for name, part in tests.items()
    }


def in_the_world(policy: GuiPolicy, episodes: int) -> list[Tensor]:
    """(episodes,) 1 where a value was carried over so many screens; the policy acts compressed from now on."""
    policy.drop_at = DROP_AT
    return [rollout(SymbolicGui(a), policy, rows=episodes, horizon=a.horizon, seed=2).reward.sum(1) for a in CARRIES]


def percent(success: Tensor) -> str:
    """A mean and its 95 % interval, in per cent."""
    return f"{100 * success.mean():.0f} ± {196 * standard_error(success):.0f}"


def as_bars(parts: list[Tensor]) -> tuple[list[float], list[float]]:
    """Means and half widths of their 95 % intervals."""
    return [part.mean().item() for part in parts], [1.96 * standard_error(part).item() for part in parts]


def learned(size: Size, seed: int) -> tuple[dict[str, GuiPolicy], dict[str, Tensor]]:
    """A policy after its warm start, and after each way of learning by rewards; and the courses of these."""
    torch.manual_seed(seed)
    shown = Steps.mixed(steps(size.episodes, seed).values())
    start = GuiPolicy(MEMORY, width=48, layers=2, hidden=192)
    train(Imitation(start, shown, batch=64, shorten=False, seed=seed), size.copied, rate=3e-3)
    policies, courses = {START: start}, {}
    ways: dict[str, dict[str, Any]] = {WHOLE: {"lengths": "full"}, METHOD: {}}
    for way, settings in ways.items():
        policy = policies[way] = copy.deepcopy(start)
        learner = HCPO(policy, shown, size.updates, prompts=size.prompts, drop_at=DROP_AT, seed=seed, **settings)
        courses[way] = train(learner, size.updates, rate=3e-4)["success"]
    return policies, courses


def draw(
    found: dict[str, dict[str, list[Tensor]]], carried: dict[str, list[Tensor]], courses: dict[str, Tensor]
) -> Any:
    """Axes with the courses, and success by length of history and by memory distance."""
    axes = plots.panels(3, columns=3)
    width = max(len(courses[METHOD]) // 10, 1)
    means = {way: course.unfold(0, width, 1).mean(1) for way, course in courses.items()}
    plots.label(axes[0], f"Learning, means of {width} updates", "update", "drawn answers that are right")
    plots.curves(axes[0], means, torch.arange(width, len(courses[METHOD]) + 1), first=1)
    lengths = {
        way: as_bars([torch.cat([part[name][k] for name in TASKS]) for k in range(len(LENGTHS))])
        for way, part in found.items()
    }
    plots.bars(plots.label(axes[1], "Steps that are right", "history that is read", "share"), LENGTHS, lengths)
    plots.label(axes[2], "Episodes done, compressed", "screens between seeing and typing", "share")
    plots.bars(axes[2], ["1", "2"], {way: as_bars(part) for way, part in carried.items()}).set_ylim(0, 1)
    axes[1].get_legend().remove()  # that of the last panel is the same
    return axes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few updates, in seconds: what it learns is little")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default outputs)")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    torch.set_num_threads(1)

    tests = steps(size.tested, seed=1_000_000)
    policies, courses = learned(size, given.seed)
    found = {way: by_length(policy, tests) for way, policy in policies.items()}
    carried = {way: in_the_world(policy, size.tested) for way, policy in policies.items()}
    print(f"\n{'steps that are right, in %':28}{'':16}" + "".join(f"{name:>12}" for name in LENGTHS))
    for name in TASKS:
        for way, part in found.items():
            print(f"{name:28}{way:16}" + "".join(f"{percent(share):>12}" for share in part[name]))
    print("\nepisodes with a value carried over 1 and 2 screens, in %, acting with compressed histories")
    for way, success in carried.items():
        print(f"{way:16}" + "".join(f"{percent(share):>12}" for share in success))

    given.out.mkdir(parents=True, exist_ok=True)
    picture = plots.save(draw(found, carried, courses), given.out / "train_hcpo.png")
    world, policy = SymbolicGui(CARRIES[0]), policies[METHOD]
    history = rollout(world, policy, rows=4, horizon=CARRIES[0].horizon, seed=3)
    page = report(history, given.out / "train_hcpo.html", title="After HCPO", world=world, policy=policy)
    print(f"\nPicture: {picture}; a film of four episodes: {page}")
    right = {way: torch.cat([part[name][-1] for name in TASKS]) for way, part in found.items()}
    print(
        "With compressed histories, steps are right in "
        + ", ".join(f"{percent(share)} % ({way})" for way, share in right.items())
        + f"; HCPO less whole lengths: {percent(right[METHOD] - right[WHOLE])} points, of {len(right[METHOD]):,} steps."
    )


if __name__ == "__main__":
    main()
