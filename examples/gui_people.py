"""How long would people take for the same tasks on screens, and what do their misses cost?

Run: python examples/gui_people.py        (under a minute; --help for options)

A policy says what to tap and type; a hand with human timing does it. It moves after Fitts's law, lands beside small
targets now and then, and types key by key, as people did in 10,117 recorded web tasks. With their recordings at hand
(--data, or ETHOGRAM_DATA) the law is fitted here; else its published fit is used.

The same episodes, with the same luck, are done by people and by people who never miss: the difference is what misses
cost. Then a task that leaves no step to spare, by how steady the hand is; and clones of what those people did, by how
many screens they look back.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ethogram.agents.gui import Human, HumanTiming, Scripted, clone, fit_human_timing
from ethogram.envs.gui import App, SymbolicGui
from ethogram.envs.gui_metrics import episode_scores
from ethogram.envs.gui_tasks import carry, checklist, form, search, undo
from ethogram.simulator import History, Policy, rollout
from ethogram.simulator.report import plots
from ethogram.simulator.whatif import standard_error

FAMILIES: dict[str, Callable[[int], App]] = {
    "carry a value": carry,
    "fill in a form": form,
    "undo a change": undo,
    "search folders": search,
    "open apps": checklist,
}
DISTANCE = 2
SPREADS = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0)
MEMORIES = range(7)


def played(app: App, policy: Policy, episodes: int, horizon: int, seed: int = 0) -> History:
    """Episodes of a task."""
    return rollout(SymbolicGui(app), policy, rows=episodes, horizon=horizon, seed=seed)


def seconds(history: History) -> Tensor:
    """(n,) how long each episode took."""
    return history.action["time_ms"].gather(1, history.length[:, None] - 1)[:, 0] / 1000


def timing_of(data: Path | None) -> HumanTiming:
    """Fitted to recordings, if they are there; else the published fit."""
    folders = [data] if data else [Path(os.environ.get("ETHOGRAM_DATA", "data"), inner) for inner in ("gui", "")]
    for folder in folders:
        if (file := folder / "miniwob_demos_actions.jsonl.gz").is_file():
            fit = fit_human_timing(file)
            print(fit)
            return fit.timing
    print(f"no recordings at hand: the published fit, {HumanTiming()}")
    return HumanTiming()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=3000, help="of each task (default 3000)")
    parser.add_argument("--data", type=Path, help="folder with miniwob_demos_actions.jsonl.gz")
    parser.add_argument("--quick", action="store_true", help="few episodes, and the published fit, in seconds")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default outputs)")
    given = parser.parse_args()
    episodes = 500 if given.quick else given.episodes
    torch.set_num_threads(1)
    timing = HumanTiming() if given.quick else timing_of(given.data)
    people, steady = Human(Scripted(), timing), Human(Scripted(), timing, misses=False)

    print(f"\n{'task':18}{'seconds, people':>18}{'middle half':>15}{'misses cost':>17}{'steps lost':>20}")
    shares = torch.arange(1, 100) / 100
    ways: dict[str, list[float]] = {}
    for name, make in FAMILIES.items():
        app = make(DISTANCE)
        did, sure = (played(app, hand, episodes, 3 * app.horizon) for hand in (people, steady))
        took, lost = seconds(did), seconds(did) - seconds(sure)
        low, high = torch.quantile(took, torch.tensor([0.25, 0.75])).tolist()
        ways[name] = torch.quantile(took, shares).tolist()
        missed = 1 - sure.length.double().sum() / did.length.sum()
        print(
            f"{name:18}{took.mean():11.1f} ± {standard_error(took):4.2f}{f'{low:.1f} to {high:.1f}':>15}"
            f"{lost.mean():10.2f} ± {standard_error(lost):4.2f}{100 * missed:18.1f} %"
        )

    app, success = search(DISTANCE), []
    print(f"\n{app.name}, no step to spare: success, with its 95 % interval over episodes")
    for spread in SPREADS:
        hand = Human(Scripted(), replace(timing, aim=max(spread, 1e-6)))
        scores = episode_scores(played(app, hand, episodes, app.horizon))
        success.append(100 * scores.success.value)
        next_one = f"after a miss the next hits in {100 * scores.recovery.value:.0f} %"
        print(f"hand steady to {spread:.0f} pixels: {scores.success}; {next_one}")

    app = carry(DISTANCE)
    watched = played(app, people, episodes, 3 * app.horizon, seed=1)
    copies = [clone(watched, memory) for memory in MEMORIES]
    right = [played(app, copy, episodes, 3 * app.horizon).reward.sum(1).mean().item() * 100 for copy in copies]
    print(f"\nclones of people who carry a value over {DISTANCE} screens, by screens that they look back:")
    print(", ".join(f"{memory}: {share:.1f} %" for memory, share in zip(MEMORIES, right, strict=True)))

    given.out.mkdir(parents=True, exist_ok=True)
    left, middle, last = plots.panels(3, columns=3, size=(4.2, 3.4))
    plots.curves(plots.label(left, "People's time for a task", "share of episodes", "seconds"), ways, shares.tolist())
    plots.label(middle, "Search without a step to spare", "spread of the hand (pixels of 160 x 210)", "success (%)")
    plots.curves(middle, {"people": success}, list(SPREADS))
    plots.label(last, f"Clones of people, distance {DISTANCE}", "screens looked back", "success (%)")
    plots.curves(last, {"clone": right}, list(MEMORIES))
    print(f"\nPicture: {plots.save([left, middle, last], given.out / 'gui_people.png')}")


if __name__ == "__main__":
    main()
