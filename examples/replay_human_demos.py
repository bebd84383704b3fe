"""What does a policy's own history cost it on recorded human sessions?

Run: python examples/replay_human_demos.py        (under a minute on two CPU cores; --help for options)
     python examples/replay_human_demos.py mine.jsonl --source android_control

Sessions that people recorded are played again: whatever a policy does, the recorded screens follow. What it sees of its
past is the recorded actions, its own, or its own with the recorded one in the place of each miss. Policies that use
their past look better on recorded histories than on their own, and by how much depends on who counts a miss. Without
AndroidControl's test split, a made-up recording stands in for it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from ethogram.agents.gui_baselines import AfterLast, AnyAction, CopyReference, MostFrequent, RepeatLast
from ethogram.envs.gui import GuiAction
from ethogram.envs.gui_logs import SOURCES, Recording, Replay, success
from ethogram.envs.gui_metrics import RecordedEpisode, RecordedStep
from ethogram.simulator import History, Policy, rollout
from ethogram.simulator.report import plots, report
from ethogram.simulator.whatif import standard_error

MODES = ("recorded", "own", "own_patched")
METRICS = ("match/strict", "match/ui_s1", "match/aitw")


def made_up(episodes: int, seed: int = 0) -> Recording:
    """Errands on a phone: open an app, look through a list, tap rows, search for something, go back."""
    rng = np.random.default_rng(seed)
    follows = {
        "open": ("tap", "scroll"),
        "tap": ("tap", "type", "scroll", "back"),
        "scroll": ("scroll", "scroll", "tap"),
        "type": ("tap",),
        "back": ("tap", "open"),
    }

    def step(kind: str) -> RecordedStep:
        if kind == "tap":
            top = 0.1 + 0.2 * int(rng.integers(4))  # a row of the list, and the list
            return RecordedStep(GuiAction("tap", (0.5, top + 0.1)), ((0.0, top, 1.0, top + 0.2), (0.0, 0.1, 1.0, 0.9)))
        what = {"open": {"text": "Shop"}, "scroll": {"direction": "down"}, "type": {"text": "red shoes"}, "back": {}}
        return RecordedStep(GuiAction(kind, **what[kind]))  # type: ignore[arg-type]

    def session(number: int) -> RecordedEpisode:
        kinds = ["open"]
        for _ in range(int(rng.integers(1, 9))):
            kinds.append(str(rng.choice(follows[kinds[-1]])))
        return RecordedEpisode(str(number), "made up", tuple(map(step, kinds)))

    return Recording(tuple(map(session, range(episodes))), "made up")


def policies(recording: Recording) -> dict[str, Policy]:
    """From one that has seen the answers to one that has seen nothing."""
    return {
        "the reference, 5 % off": CopyReference(recording, spread=0.05),
        "what follows the last": AfterLast(recording),
        "the last again": RepeatLast(),
        "the most frequent": MostFrequent(recording),
        "any that was recorded": AnyAction(recording),
    }


def by_episode(history: History, metric: str) -> torch.Tensor:
    """(n,) the share of each episode's steps that is right, of those that count; NaN where none does."""
    return history.sites[metric].where(history.valid, torch.nan).nanmean(1)


def percent(values: torch.Tensor) -> str:
    """A mean over episodes and its standard error."""
    values = values[~values.isnan()]
    return f"{100 * values.mean():.1f} ± {100 * standard_error(values):.1f}"


def compare(recording: Recording) -> dict[str, dict[str, History]]:
    """Replay with each policy and history, print what came of it, and give the records, by policy and mode."""
    found: dict[str, dict[str, History]] = {}
    heads = [f"{metric.removeprefix('match/')} {what}" for what in ("steps", "episodes") for metric in METRICS]
    print(f"\n{'% right':25}{'past':13}" + "".join(f"{head:>18}" for head in heads))
    for name, policy in policies(recording).items():
        for mode in MODES:
            world = Replay(recording, mode)
            history = rollout(world, policy, rows=len(recording), horizon=world.horizon, record=[*METRICS])
            cells = [percent(by_episode(history, metric)) for metric in METRICS]
            cells += [percent(success(history, recording, metric)) for metric in METRICS]
            print(f"{name:25}{mode:13}" + "".join(f"{cell:>18}" for cell in cells))
            found.setdefault(name, {})[mode] = history
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", help="file or folder of recordings (default: where ETHOGRAM_DATA names)")
    parser.add_argument("--source", choices=SOURCES, default="android_control", help="whose format it is in")
    parser.add_argument("--quick", action="store_true", help="the first 200 episodes, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figure (default outputs)")
    options = parser.parse_args()
    if options.path is None and options.source in ("aitw", "odyssey"):
        parser.error(f"{options.source} has no usual place: give the path of its file or folder")
    torch.set_num_threads(1)
    try:
        recording = SOURCES[options.source](*([options.path] if options.path else []))
    except FileNotFoundError as error:
        if options.path:
            raise
        print(f"{error}.\nGoing on with a made-up recording.\n")
        recording = made_up(1000)
    recording = recording.some(200) if options.quick else recording
    print(recording, *recording.left_out[:3], sep="\n")
    histories = compare(recording)

    panels = plots.panels(2, columns=2, size=(5.2, 3.6))
    for ax, metric in zip(panels, (METRICS[0], METRICS[-1]), strict=True):
        plots.label(ax, f"Steps right by {metric}", "", "share of an episode's steps")
        bars = {}
        for mode in MODES:
            shares = [by_episode(modes[mode], metric) for modes in histories.values()]
            shares = [share[~share.isnan()] for share in shares]
            bars[f"past: {mode}"] = ([float(s.mean()) for s in shares], [2 * standard_error(s) for s in shares])
        plots.bars(ax, [name.replace(" ", "\n", 2) for name in histories], bars)
    print(f"\nFigure: {plots.save(panels, options.out / 'replay_human_demos.png')}")
    repeats = histories["the last again"]
    page = options.out / "replay_human_demos.html"
    solved = success(repeats["own"], recording, METRICS[0])
    print(f"Report: {report(repeats['own'], page, world=Replay(recording, 'own'), success=solved)}")
    recorded, own = (percent(by_episode(repeats[mode], METRICS[0])) for mode in ("recorded", "own"))
    print(f"Doing the last action again is right in {recorded} % of steps after recorded ones, {own} % after its own")


if __name__ == "__main__":
    main()
