"""Predictions made from the reference: what a metric gives to chance, to the wrong neighbour, to small errors."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..gui import GuiAction, opposite
from .recorded import RecordedEpisode

Predictions = list[list[GuiAction | None]]  # [episode][step]; None where there is no prediction
ROW = 130 / 2400  # of the screen: a row of a list on a phone of 1080 x 2400 pixels
_POINTS = ("tap", "long_press", "double_tap", "hover")


def _each(recording: Sequence[RecordedEpisode], change: Callable[[GuiAction], GuiAction]) -> Predictions:
    return [[s.reference and change(s.reference) for s in episode.steps] for episode in recording]


def _moved(action: GuiAction, x: float, y: float) -> GuiAction:
    """The action at another point, at the screen's edge where that would leave it."""
    if action.type not in (*_POINTS, "type", "select") or action.point is None:
        return action
    return replace(action, point=(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)))


def reference(recording: Sequence[RecordedEpisode]) -> Predictions:
    """The recorded actions themselves."""
    return _each(recording, lambda action: action)


def chance(recording: Sequence[RecordedEpisode], seed: int = 0) -> Predictions:
    """The recorded action of another step, any one: types, points and texts as often as they are, but not when."""
    known = [step.reference for episode in recording for step in episode.steps if step.reference]
    order = iter(np.random.default_rng(seed).integers(len(known), size=sum(len(e.steps) for e in recording)))
    return [[known[next(order)] for _ in episode.steps] for episode in recording]


def random_taps(recording: Sequence[RecordedEpisode], seed: int = 0) -> Predictions:
    """The reference, but tapped anywhere on the screen."""
    rng = np.random.default_rng(seed)
    return _each(recording, lambda action: _moved(action, *rng.random(2)))


def noisy_taps(recording: Sequence[RecordedEpisode], seed: int = 0, spread: float = 0.05) -> Predictions:
    """The reference, tapped with an error that is normal along each axis; spread: its deviation, of the screen."""
    rng = np.random.default_rng(seed)

    def change(action: GuiAction) -> GuiAction:
        x, y = action.point or (0.0, 0.0)
        return _moved(action, x + spread * rng.standard_normal(), y + spread * rng.standard_normal())

    return _each(recording, change)


def wrong_neighbour(recording: Sequence[RecordedEpisode]) -> Predictions:
    """The reference, tapped a row (5.4 % of the screen's height) below; above, where there is no screen below."""

    def change(action: GuiAction) -> GuiAction:
        x, y = action.point or (0.0, 0.0)
        return _moved(action, x, y + ROW if y + ROW <= 1 else y - ROW)

    return _each(recording, change)


def last_word_missing(recording: Sequence[RecordedEpisode]) -> Predictions:
    """The reference without the last word of its text; without the last letter, where there is one word."""

    def change(action: GuiAction) -> GuiAction:
        words = action.text.split()
        return replace(action, text=" ".join(words[:-1]) if len(words) > 1 else action.text[:-1])

    return _each(recording, change)


def scrolls_reversed(recording: Sequence[RecordedEpisode]) -> Predictions:
    """The reference, scrolled the other way."""

    def change(action: GuiAction) -> GuiAction:
        if action.direction == "none":
            return action
        return replace(action, point=action.point2, point2=action.point, direction=opposite(action.direction))

    return _each(recording, change)
