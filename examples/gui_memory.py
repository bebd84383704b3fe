"""Where does a policy that forgets fail on the screens of an app?

Run: python examples/gui_memory.py        (under a minute; --help for options)

A list shows values, such as "gate: kuta". Some screens later a field asks for one of them, and no screen says it any
more. The memory distance is how many steps lie between seeing a value and needing it; at distance 0 both are on one
screen. Three policies meet the same episodes: one that remembers all it has seen, the best of those that see nothing
but the present screen, and one that does anything. For the second there is a closed form, which is printed beside it.

Then every family of tasks at one distance, one episode drawn, screen by screen, and two pages to open: episodes of a
policy that looks one step back, and a session that a person recorded, step by step, where recordings are at hand:
AndroidControl's test split in the folder that ETHOGRAM_DATA names, or yours by --data.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_baselines import CopyReference
from ethogram.envs.gui import ELEMENTS, VOCABULARY, App, GuiView, SymbolicGui
from ethogram.envs.gui_logs import SOURCES, Recording, Replay
from ethogram.envs.gui_metrics import RecordedEpisode
from ethogram.envs.gui_tasks import (
    carry,
    checklist,
    compare,
    form,
    keypad,
    multi_app,
    recent_action,
    search,
    termination,
    undo,
)
from ethogram.simulator import Draws, History, Policy, rollout
from ethogram.simulator.report import plots, report
from ethogram.simulator.whatif import standard_error

FAMILIES: dict[str, Callable[[int], App]] = {
    "carry a value": carry,
    "carry three values to a form": form,
    "undo a change": undo,
    "search folders": search,
    "open apps, each once": checklist,
    "press buttons in turn": recent_action,
    "which value was largest": compare,
    "enter a code": keypad,
    "send so often, or give up": termination,
    "copy from app to app": multi_app,
}
ORACLE, FORGETS, RANDOM = "remembers", "forgets (best possible)", "at random"
DISTANCES = range(7)
SHOWN = 2  # the memory distance of the table and of the picture


class Anything:
    """Taps, types, goes back and says done as it comes."""

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> dict[str, Tensor]:
        """An action a row."""
        kinds = torch.tensor([1, 1, 1, 7, 7, 10, 15])  # tap, type, back, done
        return {
            "type": kinds[(draws.uniform("type") * len(kinds)).long()],
            "point": torch.zeros(len(draws.ids), 2),
            "element": 1 + (draws.uniform("element") * ELEMENTS).long(),
            "direction": torch.zeros_like(draws.ids),
            "text": (draws.uniform("text") * len(VOCABULARY)).long(),
        }


POLICIES: dict[str, Policy] = {ORACLE: Scripted(), FORGETS: Scripted(memory=0), RANDOM: Anything()}


def successes(app: App, policy: Policy, episodes: int) -> Tensor:
    """(episodes,) 1 where the task was done."""
    history = rollout(SymbolicGui(app), policy, rows=episodes, horizon=app.horizon, seed=0)
    return history.reward.sum(1)


def percent(success: Tensor) -> str:
    """A share of episodes and its standard error."""
    return f"{100 * success.mean():5.1f} ± {100 * standard_error(success):3.1f}"


def table(title: str, apps: dict[str, App], episodes: int) -> dict[str, list[float]]:
    """Print success by app and policy, in per cent; and give it, by policy."""
    found: dict[str, list[float]] = {name: [] for name in POLICIES}
    print(f"\n{title:30}{ORACLE:>14}{FORGETS:>26}{'closed form':>13}{RANDOM:>14}")
    for name, app in apps.items():
        success = {policy: successes(app, POLICIES[policy], episodes) for policy in POLICIES}
        for policy, values in success.items():
            found[policy].append(100 * values.mean().item())
        oracle, forgets, luck = (percent(success[policy]) for policy in (ORACLE, FORGETS, RANDOM))
        print(f"{name:30}{oracle:>14}{forgets:>26}{100 * app.memoryless:13.2f}{luck:>14}")
    return found


def draw_episode(folder: Path) -> list[Path]:
    """One picture a screen of an episode of ``carry``, as the one who remembers plays it."""
    app, view, files = carry(SHOWN), GuiView(), []
    history = rollout(SymbolicGui(app), Scripted(), rows=1, horizon=app.horizon, seed=3)
    seen = [{name: part[0, t].numpy() for name, part in history.observation.items()} for t in range(history.length + 1)]
    notes = [view.note(seen[0], None, 0.0, {})]
    for t in range(int(history.length)):
        files.append(plots.save(view.picture(notes), folder / f"gui_memory_screen_{t}.png"))
        action = {name: part[0, t].numpy() for name, part in history.action.items()}
        notes.append(view.note(seen[t + 1], action, history.reward[0, t].item(), {}))
    return files


def varied(episode: RecordedEpisode) -> tuple[bool, int, int]:
    """How much there is to see: done rather than not, of many kinds of actions, in few steps."""
    kinds = {step.reference.type for step in episode.steps if step.reference}
    return episode.solved is not False, len(kinds), -len(episode.steps)


def recorded_page(source: str, data: Path | None, path: Path) -> str:
    """Write a page of one session that a person recorded; what to say of it, or of why there is none."""
    try:
        recording = SOURCES[source](*([data] if data else []))
    except FileNotFoundError as error:
        if data:
            raise
        return f"No recorded session: {error}. `--data` names another; examples/replay_human_demos.py plays them all."
    chosen = max(recording.episodes, key=varied)
    one = Recording((chosen,), recording.source)
    world = Replay(one)
    seen = rollout(world, CopyReference(one), rows=1, horizon=world.horizon, seed=0, record="all")
    report(seen, path, title=f"What a person did, recorded by {source}", world=world)
    return f"A recorded session of {len(chosen.steps)} steps ({chosen.goal!r:.80}): {path}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=4000, help="of each policy in each task (default 4000)")
    parser.add_argument("--quick", action="store_true", help="few episodes and distances, in seconds")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for what it writes (default outputs)")
    parser.add_argument("--data", type=Path, help="file or folder of recordings (default: where ETHOGRAM_DATA names)")
    parser.add_argument("--source", choices=SOURCES, default="android_control", help="whose format they are in")
    given = parser.parse_args()
    if given.data is None and given.source in ("aitw", "odyssey"):
        parser.error(f"{given.source} has no usual place: name its file or folder by --data")
    episodes, distances = (1000, DISTANCES[:4]) if given.quick else (given.episodes, DISTANCES)
    torch.set_num_threads(1)

    by_distance = {f"carry a value, distance {d}": carry(d) for d in distances}
    success = table(f"success in % of {episodes:,} episodes", by_distance, episodes)
    by_family = {name: make(SHOWN) for name, make in FAMILIES.items()}
    table(f"at memory distance {SHOWN}", by_family, episodes)

    given.out.mkdir(parents=True, exist_ok=True)
    ax = plots.axes("Carrying a value from screen to screen", "steps between seeing and needing", "success (%)")
    files = [plots.save(plots.curves(ax, success, list(distances)), given.out / "gui_memory.png")]
    files += draw_episode(given.out)
    world, policy = SymbolicGui(carry(SHOWN)), Scripted(memory=1)
    seen = rollout(world, policy, rows=20, horizon=world.app.horizon, seed=0, record="all")
    page = report(
        seen, given.out / "gui_memory.html", title="A policy that looks one step back", world=world, policy=policy
    )
    print(f"\nPictures: {', '.join(map(str, files))}\nReport: {page}")
    print(recorded_page(given.source, given.data, given.out / "gui_memory_recorded.html"))
    one = carry(1)
    forgets = successes(one, POLICIES[FORGETS], episodes)
    print(
        f"One step between seeing and needing takes who forgets from 100 % to {percent(forgets).strip()} % "
        f"(closed form 1/64 = {100 * one.memoryless:.1f} %); who remembers stays at 100 %."
    )


if __name__ == "__main__":
    main()
