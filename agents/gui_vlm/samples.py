"""Samples: a goal, the last screenshots and actions, and the present one, as a vision-language model reads them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ethogram.envs.gui.actions import GuiAction
from ethogram.simulator import check_has, check_is, checked_int

from ..gui_learning import Prompts, Steps


@dataclass(frozen=True, eq=False)
class Sample:
    """One step to answer.

    goal: what the user wants. screens: PIL images, the earliest first and the present one last.
    actions: what was done on each screen but the present one. did: what is right on the present one, if known.
    """

    goal: str
    screens: tuple[Any, ...]
    actions: tuple[GuiAction, ...] = ()
    did: GuiAction | None = None

    def __post_init__(self) -> None:
        check_is("goal", self.goal, str, "text")
        for screen in self.screens:
            check_has("a screen", screen, "a PIL image", "size", "convert")
        for action in self.actions:
            check_is("an action", action, GuiAction, "a GuiAction")
        if len(self.screens) != len(self.actions) + 1:
            raise ValueError(
                f"{len(self.screens)} screens and {len(self.actions)} actions: expected an action for each screen but "
                "the present one, which is the last"
            )

    def limited(self, memory: int) -> "Sample":
        """The same, looking back at most ``memory`` steps."""
        past = min(memory, len(self.actions))
        first = len(self.actions) - past
        return replace(self, screens=self.screens[first:], actions=self.actions[first:])


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of samples, in the place of ``Prompts``."""

    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def rows(self, rows: Tensor) -> "Samples":
        """Some of them: (k,) int64, or (m,) bool."""
        return Samples(tuple(self.samples[i] for i in torch.arange(len(self))[rows].tolist()))

    def repeated(self, times: int) -> "Samples":
        """Each so many times, side by side."""
        return Samples(tuple(sample for sample in self.samples for _ in range(times)))

    def limited(self, memory: int | Tensor) -> "Samples":
        """The same, looking back at most ``memory`` steps: one number, or (m,) int64."""
        most = memory.tolist() if isinstance(memory, Tensor) else [memory] * len(self)
        return Samples(tuple(sample.limited(k) for sample, k in zip(self.samples, most, strict=True)))

    @property
    def available(self) -> Tensor:
        """(m,) int64 how many steps of history each has."""
        return torch.tensor([len(sample.actions) for sample in self.samples])


def steps_of_pictures(episodes: Iterable[tuple[str, Sequence[Any], Sequence[GuiAction]]], memory: int) -> Steps:
    """Every step of recorded episodes, each with the ``memory`` steps before it, for a trainer such as ``HCPO``.

    episodes: (goal, screenshots, what was done on each of them), as many actions as screenshots.
    """
    memory = checked_int("memory", memory, 0)
    samples, row, step = [], [], []
    for number, (goal, screens, actions) in enumerate(episodes):
        if len(screens) != len(actions):
            raise ValueError(
                f"episode {number} has {len(screens)} screens and {len(actions)} actions: expected as many of each"
            )
        for t, did in enumerate(actions):
            first = max(t - memory, 0)
            samples.append(Sample(goal, tuple(screens[first : t + 1]), tuple(actions[first:t]), did))
            row.append(number)
            step.append(t)
    prompts = cast(Prompts, Samples(tuple(samples)))  # asked for nothing but rows, repeated, limited and available
    return Steps(prompts, {}, torch.tensor(row), torch.tensor(step))
