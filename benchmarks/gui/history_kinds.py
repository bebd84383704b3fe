"""What is it worth to a policy whose past it is trained on, and whose past it acts on?

Run: python benchmarks/gui/history_kinds.py [--quick]        (about a minute and a half a seed on one free core)

Buttons must be pressed in turn, and only who knows the last press, some steps ago, knows the next. A policy learns
from an expert's episodes with no past; with the expert's past; with its own, which is what it would have done at the
steps before; or with its own in which the expert's action stands where it was wrong (patched). Then it does unseen
episodes with each of the four, on the expert's screens; and alone in the world. Steps count
at which the past is needed; alone, episodes that succeed.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import GuiPolicy, Imitation, Steps, steps_of, successes, with_own_past
from ethogram.agents.learning import train
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import recent_action
from ethogram.simulator import History, report, rollout
from ethogram.simulator.whatif import standard_error

plots = report.plots
KINDS = {"none": "no past", "recorded": "the expert's past", "own": "its own past", "patched": "its own past, patched"}
SHOWN = (*KINDS.values(), "alone: whole episodes")
DISTANCES = range(4)
MEMORY = 4


def episodes(rows: int, seed: int) -> list[History]:
    """What the expert does, by distance."""
    apps = [recent_action(distance, presses=3) for distance in DISTANCES]
    return [rollout(SymbolicGui(a), Scripted(), rows=rows, horizon=a.horizon, seed=seed) for a in apps]


def seen(kind: str, policy: GuiPolicy, history: History) -> Steps:
    """Each step of the expert, with a past of that kind."""
    if kind in ("own", "patched"):
        return with_own_past(policy, history, patched=kind == "patched")
    steps = steps_of(history, MEMORY)
    return steps if kind == "recorded" else steps._replace(prompts=steps.prompts.limited(0))


def learned(kind: str, shown: list[History], seed: int, rounds: int, updates: int) -> GuiPolicy:
    """A policy trained with a past of that kind, which is seen anew in each round."""
    torch.manual_seed(seed)
    policy = GuiPolicy(MEMORY, width=48, layers=2, hidden=192)
    for k in range(rounds):
        steps = Steps.mixed(seen(kind, policy, history) for history in shown)
        learner = Imitation(policy, steps, batch=64, shorten=False, seed=1000 * seed + k)
        train(learner, updates, rate=2e-3, progress=False)
    return policy


def at_home(policy: GuiPolicy, kind: str, history: History) -> float:
    """The share of right steps of those at home after the first press: only there the past is needed."""
    steps = seen(kind, policy, history)
    home = (history.observation["screen"][steps.row, steps.step] == 0) & (steps.step > 0)
    return successes(policy, steps)[home].mean().item()


def alone(policy: GuiPolicy, distance: int, rows: int, seed: int) -> float:
    """The share of episodes in the world that succeed."""
    app = recent_action(distance, presses=3)
    return rollout(SymbolicGui(app), policy, rows=rows, horizon=app.horizon, seed=seed).reward.sum(1).mean().item()


def one_seed(seed: int, shown: int, tested: int, rounds: int, updates: int) -> list[list[list[float]]]:
    """Shares by kind trained on, kind shown, distance."""
    train_on, test_on = episodes(shown, seed), episodes(tested, 10**6 + seed)
    found = []
    for kind in KINDS:
        policy = learned(kind, train_on, seed, rounds, updates)
        found.append([[at_home(policy, past, history) for history in test_on] for past in KINDS])
        found[-1].append([alone(policy, distance, tested, 10**6 + seed) for distance in DISTANCES])
    return found


def shown_as(shares: Tensor, path: Path) -> None:
    """Print shares (seeds, 4, 5, distances), and draw them."""
    mean, reach = shares.mean(0), 1.96 * standard_error(shares)
    print(f"\nright at steps that need the past (alone: in episodes), in %; {len(shares)} seeds ± 1.96 standard errors")
    print(f"{'trained on':24}{'shown':24}" + "".join(f"distance {distance}".rjust(14) for distance in DISTANCES))
    axes = plots.panels(len(KINDS))
    for i, trained in enumerate(KINDS.values()):
        for j, past in enumerate(SHOWN):
            numbers = (f"{100 * m:.0f} ± {100 * r:.0f}".rjust(14) for m, r in zip(mean[i, j], reach[i, j], strict=True))
            print(f"{trained:24}{past:24}" + "".join(numbers))
        ax = plots.label(axes[i], f"Trained on {trained}", "steps between press and need", "share that is right")
        plots.curves(ax, {past: shares[:, i, j] for j, past in enumerate(SHOWN)}, list(DISTANCES), band="stderr")
        ax.set_ylim(-0.02, 1.02)
        if i:
            ax.get_legend().remove()  # the first one's is all of theirs
    print(f"\nPicture: {plots.save(axes, path)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two seeds and few updates: a check that it runs")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default outputs)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = (20, 10, 2, 2) if given.quick else (400, 200, 8, 60)
    found = []
    for seed in range(2 if given.quick else given.seeds):
        found.append(one_seed(seed, *sizes))
        print(f"seed {seed}: done", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    shown_as(torch.tensor(found), given.out / "history_kinds.png")


if __name__ == "__main__":
    main()
