"""Policies for recorded screens that need no learning: they copy, repeat, or guess from how often things were done.

They read what is needed from the recording that they are given, and from the past that the observation shows.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.envs.gui.actions import TYPES, GuiActions
from ethogram.envs.gui_logs.recording import Recording
from ethogram.simulator import Draws, History, check_is, check_number

Action = dict[str, Any]
_POINTED = [TYPES.index(name) for name in ("tap", "double_tap", "long_press", "hover")]


def _at(recording: Recording, steps: Any) -> Action:
    """The references of some steps, (n,) places among all."""
    columns = recording.arrays.reference.items()
    return {name: part[steps] if name == "text" else torch.from_numpy(part[steps]) for name, part in columns}


@dataclass(frozen=True, eq=False)
class CopyReference:
    """The reference; taps with an error that is normal along each axis.

    spread: the deviation of that error, as a fraction of the screen; points stay on the screen.
    """

    recording: Recording
    spread: float = 0.0

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "the Recording that is replayed")
        check_number("spread", self.spread, 0, 1)

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        done = _at(self.recording, self._steps(observation))
        if self.spread:
            radius = (-2 * (1 - draws.uniform("radius")).log()).sqrt()  # Box and Muller
            angle = 2 * torch.pi * draws.uniform("angle")
            error = self.spread * torch.stack((radius * angle.cos(), radius * angle.sin()), 1)
            tapped = torch.isin(done["type"], torch.tensor(_POINTED))[:, None]
            done["point"] = torch.where(tapped, (done["point"] + error).clamp(0, 1), done["point"]).float()
        return done

    def _steps(self, observation: Any) -> Any:
        return self.recording.arrays.first[observation["episode"].numpy()] + observation["step"].numpy()


@dataclass(frozen=True)
class RepeatLast:
    """The last action of the past that it sees, whoever did it; a tap in the middle at first."""

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        past, start = observation["past"], _middle(len(draws.ids))
        last = past["type"].shape[1] - 1
        none = past["whose"][:, last] == 0
        texts = np.where(none.numpy(), "", past["text"][str(last)]).astype(object)
        done = {name: _where(none, part, past[name][:, last]) for name, part in start.items() if name != "text"}
        return {**done, "text": texts}


@dataclass(frozen=True, eq=False)
class MostFrequent:
    """The type that was recorded most often, where it was most often done: always the same action."""

    recording: Recording

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "a Recording to count in")

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        return _at(self.recording, np.full(len(draws.ids), self._typical))

    @cached_property
    def _typical(self) -> int:
        return _typical(self.recording, np.ones(len(self.recording.steps), bool))


@dataclass(frozen=True, eq=False)
class AnyAction:
    """The reference of some step, every step equally likely: chance, with actions as frequent as they are."""

    recording: Recording

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "a Recording to choose from")

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        known = self.recording.arrays.known.nonzero()[0]
        return _at(self.recording, known[(draws.uniform("step").numpy() * len(known)).astype(np.int64)])


@dataclass(frozen=True, eq=False)
class AfterLast:
    """An action as it most often followed one of the type seen last in the past: a Markov chain of types."""

    recording: Recording

    def __post_init__(self) -> None:
        check_is("recording", self.recording, Recording, "a Recording to count in")

    def act(self, observation: Any, history: History, draws: Draws) -> Action:
        """An action a row."""
        past = observation["past"]
        last = torch.where(past["whose"][:, -1] > 0, past["type"][:, -1], len(TYPES))
        return _at(self.recording, self._following[last.numpy()])

    @cached_property
    def _following(self) -> Any:
        """(17,) the step to copy after each type, and at first."""
        arrays = self.recording.arrays
        before = np.roll(arrays.reference["type"], 1)
        before[arrays.first] = len(TYPES)
        every = np.ones(len(before), bool)
        return np.array(
            [
                _typical(self.recording, before == kind if (before == kind).any() else every)
                for kind in range(len(TYPES) + 1)
            ]
        )


def _typical(recording: Recording, among: Any) -> int:
    """The step that stands for some: of the most frequent type, and of these the one nearest to their middle."""
    arrays = recording.arrays
    among = among & arrays.known
    among = among if among.any() else arrays.known
    kinds = arrays.reference["type"]
    kind = Counter(kinds[among].tolist()).most_common(1)[0][0]
    steps = (among & (kinds == kind)).nonzero()[0]
    way = Counter(arrays.reference["direction"][steps].tolist()).most_common(1)[0][0]
    steps = steps[arrays.reference["direction"][steps] == way]
    points = arrays.reference["point"][steps]
    return int(steps[np.square(points - np.median(points, 0)).sum(1).argmin()])


def _middle(rows: int) -> Action:
    """A tap in the middle of the screen."""
    none = GuiActions.of([])._asdict()
    done = {name: torch.zeros(rows, *part.shape[1:], dtype=part.dtype) for name, part in none.items() if name != "text"}
    return {**done, "type": torch.full((rows,), TYPES.index("tap")), "point": torch.full((rows, 2), 0.5)}


def _where(which: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(which.view(-1, *[1] * (one.dim() - 1)), one, other)
