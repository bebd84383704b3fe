"""How many predicted actions are right on recorded screens, and by whose measure?

A file of predictions is scored by every published step metric at once. Without a file, taps with an error of 5 % of the
screen stand in for a model; without AndroidControl's test split, a made-up recording stands in for that.

Run: python examples/score_gui_predictions.py        (under a minute on two CPU cores)
     python examples/score_gui_predictions.py mine.jsonl --data android_control_test.jsonl.gz
"""

import argparse
from pathlib import Path

import numpy as np

from ethogram.envs.gui import GuiAction
from ethogram.envs.gui_logs import load_android_control
from ethogram.envs.gui_metrics import (
    RecordedEpisode,
    RecordedStep,
    noisy_taps,
    score,
    write_predictions,
)


def made_up(episodes: int, seed: int = 0) -> list[RecordedEpisode]:
    """Phones with a list of rows, a search and a back button: what a recording holds, with nobody behind it."""
    rng = np.random.default_rng(seed)

    def step(kind: str) -> RecordedStep:
        if kind == "scroll":
            return RecordedStep(GuiAction("scroll", direction="down"))
        if kind == "type":
            return RecordedStep(GuiAction("type", text=f"find the {rng.choice(['red', 'blue', 'old'])} one"))
        if kind == "back":
            return RecordedStep(GuiAction("back"))
        top = 0.1 + 0.054 * int(rng.integers(15))  # a row of the list, and the list
        point = (float(rng.uniform(0.1, 0.9)), top + 0.027)
        return RecordedStep(GuiAction("tap", point), ((0.0, top, 1.0, top + 0.054), (0.0, 0.1, 1.0, 0.91)))

    kinds = ("tap", "tap", "tap", "scroll", "type", "back")
    return [
        RecordedEpisode(f"{i}", "made up", tuple(step(str(k)) for k in rng.choice(kinds, int(rng.integers(1, 9)))))
        for i in range(episodes)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, nargs="?", help='JSON Lines of {"episode_id", "step", "action"}')
    parser.add_argument("--data", type=Path, help="recorded episodes (default: where ETHOGRAM_DATA names, or data)")
    parser.add_argument("--quick", action="store_true", help="the first 200 episodes, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the plot (default outputs)")
    options = parser.parse_args()
    try:
        recording = list(load_android_control(options.data).episodes)
    except FileNotFoundError as error:
        if options.data is not None:
            raise
        print(f"{error}.\nGoing on with a made-up recording.\n")
        recording = made_up(1000)
    if options.quick:
        recording = recording[:200]
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.predictions
    if path is None:
        path = write_predictions(options.out / "noisy_taps.jsonl", recording, noisy_taps(recording))
    scores = score(path, recording)
    print(scores)
    print(f"\nPlot: {scores.plot(options.out / 'score_gui_predictions.png')}")
    by_value = sorted(scores.rows, key=lambda row: row.step.value)
    lowest, highest = (
        f"{row.step.value:.1%} ({row.step.low:.1%} to {row.step.high:.1%})" for row in (by_value[0], by_value[-1])
    )
    print(f"Steps right: {lowest} by {by_value[0].metric}, {highest} by {by_value[-1].metric}")


if __name__ == "__main__":
    main()
