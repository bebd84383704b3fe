"""Streams: a description brought up to date window by window, a policy that acts on it."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, as_tensor, check_has, checked_int

from .choices import Choices, choices_of
from .descriptions import Description, Inferrer


def streamed(
    inferrer: Inferrer, choices: Choices, window: int, draws: Draws, said: tuple[Description, ...] = ()
) -> tuple[Description, ...]:
    """The descriptions after each window of choices, each written from the one before and that window alone.

    choices: (n, T); what is left over behind the last whole window is not read. draws: of n rows. said: those of the
    first windows, where they are known.
    """
    for k in range(len(said), choices.chosen.shape[1] // checked_int("window", window, 1)):
        chunk = choices.between(k * window, (k + 1) * window)
        said = (*said, inferrer.describe(chunk, said[-1] if said else None, draws.at(k)))
    return said


@dataclass(eq=False)
class PreferenceAgent:
    """A policy that foresees what people choose by a description of them, which it writes as it goes along.

    For worlds whose observations are those of ``Choosing``. Every ``window`` steps the choices since the last time
    bring the description up to date, or, with ``reread``, all choices so far are read for a new one. Before the first
    window is full, all options are equally likely to it. Options are drawn from what ``inferrer.choose`` says.

    What was described is kept and used again for the same people, choices and luck, so that a step costs no more late
    than early; the actions are a function of history and draws alone.
    """

    inferrer: Inferrer
    window: int = 12
    reread: bool = False
    _known: Any = field(init=False, default=None, repr=False)  # (seed, scope, ids), choices read, descriptions

    def __post_init__(self) -> None:
        check_has("inferrer", self.inferrer, "an Inferrer", "describe", "choose")
        checked_int("window", self.window, 1)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": None}

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        """(n,) int64, the option that each person is expected to choose."""
        options = observation["options"]
        if not draws.together:
            raise ValueError("rows are at steps of their own: expected rows that began together")
        count = draws.step // self.window
        if count:
            said = self.describe(choices_of(history).between(0, count * self.window), draws)
            probability = self.inferrer.choose(said, options)
        else:
            probability = torch.full(options.shape[:-1], 1 / options.shape[-2])
        return draws.categorical("option", as_tensor("probability of the inferrer", probability))

    def describe(self, read: Choices, draws: Draws) -> Description:
        """Their present description, after one window of choices or more; draws: of these people, at any step."""
        who = (draws.seed, draws.scope, draws.ids)
        said, steps = self._written(who, read)
        if not self.reread:
            said = streamed(self.inferrer, read, self.window, draws, said)
        elif steps < read.chosen.shape[1]:
            said = (self.inferrer.describe(read, None, draws.at(read.chosen.shape[1] // self.window - 1)),)
        self._known = who, Choices(*(part.clone() for part in read)), said
        return said[-1]

    def _written(self, who: tuple[int, str, Tensor], read: Choices) -> tuple[tuple[Description, ...], int]:
        """Descriptions that are there already, and of how many of these choices."""
        if self._known is None:
            return (), 0
        before, known, said = self._known
        steps = known.chosen.shape[1]
        same = before[:2] == who[:2] and torch.equal(before[2], who[2])
        same = same and all(map(torch.equal, known, read.between(0, steps)))
        return (said, steps) if same else ((), 0)
