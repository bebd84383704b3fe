"""The maker of the id ``ethogram/GuiReplay-v0``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.simulator.gym import View

from ..gui import TYPES
from .aitw import load_aitw
from .android_control import load_android_control
from .odyssey import load_odyssey
from .recording import Recording
from .replay import Mode, Replay
from .web import load_mind2web, load_miniwob

SOURCES: dict[str, Callable[..., Recording]] = {
    "android_control": load_android_control,
    "aitw": load_aitw,
    "odyssey": load_odyssey,
    "mind2web": load_mind2web,
    "miniwob": load_miniwob,
}


def gui_replay(
    path: str | Path | Recording | None = None,
    source: str = "android_control",
    history: Mode = "recorded",
    stop_on_miss: bool = False,
    metric: str = "match/strict",
    past: int = 4,
    instructions: bool = False,
    horizon: int | None = None,
) -> tuple[Replay, int, View]:
    """``ethogram/GuiReplay-v0``: an episode of recorded screens, which one by the seed; (world, horizon, view).

    path: what the source's reader takes, or a Recording that was read. source: of ``SOURCES``. The others are those of
    ``Replay``. horizon: steps; by default those of the longest episode.
    """
    if source not in SOURCES:
        raise ValueError(f"source is {source!r}: expected one of {list(SOURCES)}")
    if path is None and source in ("aitw", "odyssey"):
        raise ValueError(f"path is missing: expected the file or folder of {source}'s recordings")
    recording = path if isinstance(path, Recording) else SOURCES[source](path)
    world = Replay(recording, history, stop_on_miss, metric, past, instructions)
    return world, world.horizon if horizon is None else horizon, ReplayView(recording)


@dataclass(frozen=True)
class ReplayView(View):
    """The present screen, as far as its elements are known, with the goal and what was done last."""

    recording: Recording

    def note(self, observation: Any, action: Any, reward: float, info: Mapping[str, Any]) -> Any:
        """The screen; the action that led to it; the reward for that."""
        return observation, action, reward

    def picture(self, notes: Sequence[Any]) -> Any:
        """The last screen, in the order of its elements."""
        from ethogram.simulator import report

        seen, action, reward = notes[-1]
        did = "" if action is None else f"; after {TYPES[int(action['type'])]}, {reward:g} right"
        title = f"{seen['goal']:.60}\nstep {int(seen['step'])}{did}"
        there = (np.asarray(seen["box"]) != 0).any(1)
        texts = [self.recording.arrays.strings[i] for i in seen["label"][there]]
        boxes, kinds = seen["box"][there], ["text"] * len(texts)
        return report.pictures.screen(report.plots.axes(title, "", "", size=(3.6, 5.4)), boxes, kinds, texts)
