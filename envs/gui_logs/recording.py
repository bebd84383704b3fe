"""Recording: what every reader gives, as episodes and as arrays."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from ethogram.simulator import check_is, check_number, checked_int

from ..gui import GuiAction, GuiActions
from ..gui_metrics import Box, RecordedEpisode, RecordedStep

Array = np.ndarray[Any, Any]
_NOTHING = GuiAction("noop")


class Arrays(NamedTuple):
    """All steps of a recording, one after the other, (S, …); numbers of boxes padded to the most of any step.

    Points and boxes are float32, rounded alike, so that a point in a box stays in it.
    """

    first: Array  # (E,) int64, where each episode's steps begin
    length: Array  # (E,) int64, how many it has
    reference: dict[str, Array]  # of GuiActions, (S, …); a noop where there is none
    known: Array  # (S,) bool, there is a reference
    has_point: Array  # (S,) bool, it has a point
    box: Array  # (S, B, 4) what counts as right; 0 beyond ``boxes``
    boxes: Array  # (S,) int64, how many
    element: Array  # (S, M, 4) what stood on the screen; 0 beyond ``elements``
    elements: Array  # (S,) int64, how many
    label: Array  # (S, M) int64, places in ``strings``
    screen: Array  # (S, 2) int64, width and height in pixels
    goal: Array  # (E,) of str
    instruction: Array  # (S,) of str
    strings: tuple[str, ...]  # labels of elements; "" first


@dataclass(frozen=True, eq=False)
class Recording:
    """Recorded episodes of one source.

    left_out: what the reader did not take, and why, one text each.
    """

    episodes: tuple[RecordedEpisode, ...]
    source: str = "own"
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_is("source", self.source, str, "a name")
        check_is("episodes", self.episodes, (tuple, list), "RecordedEpisodes")
        object.__setattr__(self, "episodes", tuple(self.episodes))
        for episode in self.episodes:
            check_is("one of the episodes", episode, RecordedEpisode, "a RecordedEpisode")
            if not episode.steps:
                raise ValueError(f"episode {episode.id} has no steps: expected one at least")
        if not self.episodes:
            why = f"; left out: {'; '.join(self.left_out[:3])}" if self.left_out else ""
            raise ValueError(f"a recording without episodes: expected one at least{why}")
        names = Counter(episode.id for episode in self.episodes)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"episodes {twice[:3]} come more than once: expected ids of their own")

    def __len__(self) -> int:
        return len(self.episodes)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {what}" for what, count in self.counts.items())
        return f"Recording({self.source}: {counts})"

    def some(self, count: int) -> "Recording":
        """The first so many episodes, or all where there are fewer."""
        return Recording(self.episodes[: checked_int("count", count, 1)], self.source, self.left_out)

    def select(self, episodes: Sequence[int] | Array) -> "Recording":
        """Some of the episodes, by their places, in that order; at least one, none twice."""
        places = [checked_int("one of the episodes", place, 0, len(self) - 1) for place in episodes]
        return Recording(tuple(self.episodes[place] for place in places), self.source, self.left_out)

    def split(self, groups: Sequence[str], share: float = 0.3) -> tuple["Recording", "Recording"]:
        """Sessions to train on, and those of about a share of the groups, held out: no group is in both.

        groups: a name an episode, such as its app. By the name alone, hashed, a group is held out or not; whatever
        else was recorded does not move it.
        """
        check_number("share", share, 0, 1)
        if len(groups) != len(self):
            raise ValueError(f"{len(groups)} groups of {len(self)} episodes: expected a name for each")
        for group in groups:
            check_is("one of the groups", group, str, "text")
        out = np.array([_luck(group) < share for group in groups])
        if out.all() or not out.any():
            raise ValueError(f"all {len(set(groups))} groups are on one side: expected more groups, or another share")
        return self.select((~out).nonzero()[0]), self.select(out.nonzero()[0])

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many episodes and steps there are, and how many of those that metrics treat in a way of their own."""
        steps = self.steps
        tapped = [step for step in steps if step.reference and step.reference.type == "tap"]
        return {
            "episodes": len(self.episodes),
            "steps": len(steps),
            "episodes of one step": sum(len(episode.steps) == 1 for episode in self.episodes),
            "episodes not solved": sum(episode.solved is False for episode in self.episodes),
            "taps": len(tapped),
            "taps without a box": sum(not step.boxes for step in tapped),
            "steps without a box": sum(not step.boxes for step in steps),
            "steps without a reference": sum(step.reference is None for step in steps),
            "left out": len(self.left_out),
        }

    @cached_property
    def steps(self) -> list[RecordedStep]:
        """All steps, episode by episode."""
        return [step for episode in self.episodes for step in episode.steps]

    @cached_property
    def arrays(self) -> Arrays:
        """The same as arrays."""
        steps = self.steps
        length = np.array([len(episode.steps) for episode in self.episodes])
        done = [step.reference or _NOTHING for step in steps]
        columns = GuiActions.of(done)._asdict()
        box, boxes = _padded([step.boxes for step in steps])
        element, elements = _padded([step.elements for step in steps])
        places = {"": 0}
        label = np.zeros(element.shape[:2], np.int64)
        for i, step in enumerate(steps):
            if step.labels:
                label[i, : len(step.labels)] = [places.setdefault(text, len(places)) for text in step.labels]
        return Arrays(
            np.concatenate(([0], length.cumsum()[:-1])),
            length,
            {name: value if isinstance(value, np.ndarray) else value.numpy() for name, value in columns.items()},
            np.array([step.reference is not None for step in steps]),
            np.array([action.point is not None for action in done]),
            box,
            boxes,
            element,
            elements,
            label,
            np.array([step.screen for step in steps], np.int64),
            np.array([episode.goal for episode in self.episodes], object),
            np.array([step.instruction for step in steps], object),
            tuple(places),
        )


def _luck(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48


def _padded(rows: list[tuple[Box, ...]]) -> tuple[Array, Array]:
    """Boxes (S, B, 4) float32, B at least 1, and how many there are of each step (S,)."""
    counts = np.array([len(row) for row in rows])
    padded = np.zeros((len(rows), max(1, int(counts.max())), 4), np.float32)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = np.array(
        [box for row in rows for box in row], np.float64
    ).reshape(-1, 4)
    return padded, counts
