"""GuiView: the picture of a screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.simulator.gym import View

from .apps import EMPTY, KINDS
from .motion import DONE, SCROLL, TAP, TYPE
from .words import VOCABULARY

_DID = {TAP: "tap", SCROLL: "scroll", TYPE: "type", 10: "back", 11: "home", DONE: "done"}


@dataclass(frozen=True)
class GuiView(View):
    """The present screen, with the goal and what was done last."""

    def note(self, observation: Any, action: Any, reward: float, info: Mapping[str, Any]) -> Any:
        """The screen; the action that led to it; the reward for that."""
        return observation, action, reward

    def picture(self, notes: Sequence[Any]) -> Any:
        """The last screen; where the tap that led to it fell is said in words, since it fell on another."""
        from ethogram.simulator import report

        seen, action, reward = notes[-1]
        did = "" if action is None else f"; after {_told(action, notes[-2][0])}"
        won = ", rewarded" if reward > 0 else ""
        title = f"{_words(seen['goal'])}\nstep {len(notes) - 1}{did}{won}"
        there = seen["kind"] != EMPTY
        boxes, kinds = seen["box"][there], [KINDS[kind] for kind in seen["kind"][there]]
        texts = [_words(pair) for pair in seen["text"][there]]
        return report.pictures.screen(report.plots.axes(title, "", "", size=(3.6, 5.4)), boxes, kinds, texts)


def _words(ids: Any) -> str:
    return " ".join(VOCABULARY[i] for i in np.asarray(ids).tolist() if i)


def _told(action: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """An action in words, on the screen on which it was done."""
    kind, element = int(action["type"]), int(action["element"])
    what = _DID.get(kind, "nothing")
    text = action["text"] if isinstance(action["text"], str) else VOCABULARY[int(action["text"])]
    if kind == TYPE or (kind == DONE and text):
        what = f"{what} '{text}'"
    if kind in (TAP, TYPE):
        x, y = np.asarray(action["point"]).tolist()
        what += f" on '{_words(seen['text'][element - 1])}'" if element else f" at ({x:.2f}, {y:.2f})"
    return what
