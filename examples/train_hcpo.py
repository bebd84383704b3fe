"""Does a policy on screens learn to use its history, if it explores with less of it and learns from a compressed one?

Run: python examples/train_hcpo.py        (about two minutes; --help for options)

Three tasks on the screens of an app need different pasts: to tap what the goal names needs none; to press two
buttons in turn needs the last press; to type a value that stood one screen ago needs that screen. A small transformer
copies an expert until it begins to read its past. Then HCPO (HiconAgent, arXiv:2512.01763) goes on by rewards:
each answer of a group is drawn with a history of its own length, all are scored with the whole one, and a branch that
forgets past screens after its first layer learns beside one that keeps them. The policy acts compressed in the end.

Success is measured at steps of episodes that were never trained on, by task and by how far the policy may look back;
and in whole episodes in the world, by the steps between seeing a value and needing it.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import HCPO, GuiPolicy, Imitation, Steps, steps_of, successes
from ethogram.agents.learning import Training, train
from ethogram.envs.gui import App, SymbolicGui
from ethogram.envs.gui_tasks import carry, reactive, recent_action
from ethogram.simulator import rollout
from ethogram.simulator.report import plots, report
from ethogram.simulator.whatif import standard_error

MEMORY, DROP_AT = 2, 1  # steps looked back; layers that still see past screens
TASKS: dict[str, App] = {
    "what the goal names": reactive(3),
    "buttons in turn": recent_action(1),
    "a value one screen ago": carry(1),
}


class Size(NamedTuple):
    """Of a run."""

    episodes: int  # of the expert, in each task, to learn from
    copied: int  # updates of the warm start
    updates: int  # of HCPO
    prompts: int  # of an update
    tested: int  # episodes in each task


FULL, QUICK = Size(2000, 700, 40, 16, 100), Size(200, 30, 4, 4, 20)


def steps(episodes: int, seed: int) -> dict[str, Steps]:
    """The expert's steps in each task."""
    histories = {
        name: rollout(SymbolicGui(app), Scripted(), rows=episodes, horizon=app.horizon, seed=seed)
        for name, app in TASKS.items()
    }
    return {name: steps_of(history, MEMORY) for name, history in histories.items()}


def by_length(policy: GuiPolicy, tests: dict[str, Steps]) -> dict[str, list[Tensor]]:
    """For each task, at each length of history and then with a compressed one, (m,) whether steps are right."""
    return {
        name: [successes(policy, part, length) for length in range(MEMORY + 1)]
        + [successes(policy, part, drop_at=DROP_AT)]
        for name, part in tests.items()
    }


def in_the_world(policy: GuiPolicy, distances: range, episodes: int) -> list[Tensor]:
    """(episodes,) 1 where a value was carried over so many screens; the policy acts compressed."""
    policy.drop_at = DROP_AT
    apps = [carry(distance) for distance in distances]
    return [rollout(SymbolicGui(a), policy, rows=episodes, horizon=a.horizon, seed=2).reward.sum(1) for a in apps]


def percent(success: Tensor) -> str:
    """A mean and its 95 % interval, in per cent."""
    return f"{100 * success.mean():.0f} ± {196 * standard_error(success):.0f}"


def learned(size: Size, seed: int, tests: dict[str, Steps]) -> tuple[GuiPolicy, dict[str, list[Tensor]], Training]:
    """A policy, what it was right at after its warm start, and the course of its training."""
    torch.manual_seed(seed)
    shown = Steps.mixed(steps(size.episodes, seed).values())
    policy = GuiPolicy(MEMORY, width=48, layers=2, hidden=192)
    train(Imitation(policy, shown, batch=64, shorten=False, seed=seed), size.copied, rate=4e-3)
    before = by_length(policy, tests)
    learner = HCPO(policy, shown, size.updates, prompts=size.prompts, drop_at=DROP_AT, seed=seed)
    return policy, before, train(learner, size.updates, rate=1e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few updates, in seconds: what it learns is little")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default outputs)")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    torch.set_num_threads(1)

    tests = steps(size.tested, seed=1_000_000)
    policy, before, course = learned(size, given.seed, tests)
    after = by_length(policy, tests)
    lengths = [*(f"{length} steps" for length in range(MEMORY + 1)), "compressed"]
    print(f"\nsteps that are right, in %, before and after HCPO{'':4}" + "".join(f"{name:>22}" for name in lengths))
    for name in TASKS:
        told = (f"{percent(b)}, {percent(a)}" for b, a in zip(before[name], after[name], strict=True))
        print(f"{name:52}" + "".join(f"{text:>22}" for text in told))
    distances = range(3)
    carried = in_the_world(policy, distances, size.tested)
    for distance, success in zip(distances, carried, strict=True):
        print(f"episodes with a value carried over {distance} screens: {percent(success)} %")

    given.out.mkdir(parents=True, exist_ok=True)
    left, right = plots.panels(2)
    plots.curves(plots.label(left, "Learning", "update", "answers that are right"), {"HCPO": course["success"]})
    bars = {}
    for when, part in (("before", before), ("after", after)):
        shares = [torch.cat([part[name][k] for name in TASKS]) for k in range(len(lengths))]
        errors = [1.96 * standard_error(share).item() for share in shares]
        bars[when] = ([share.mean().item() for share in shares], errors)
    plots.bars(plots.label(right, "Steps that are right", "history", "share"), lengths, bars)
    picture = plots.save(right, given.out / "train_hcpo.png")
    app = carry(1)
    world = SymbolicGui(app)
    history = rollout(world, policy, rows=4, horizon=app.horizon, seed=3)
    page = report(history, given.out / "train_hcpo.html", title="After HCPO", world=world, policy=policy)
    print(f"\nPicture: {picture}; a film of four episodes: {page}")
    was, now = (torch.cat([part[name][-1] for name in TASKS]) for part in (before, after))
    print(
        f"With compressed histories, HCPO takes the share of right steps from {percent(was)} % to {percent(now)} % "
        f"(difference {percent(now - was)} points, of {len(now):,} steps)."
    )


if __name__ == "__main__":
    main()
