"""Samples: a goal, the last screenshots and actions, and the present one, as a vision-language model reads them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ethogram.envs.gui.actions import GuiAction, GuiActions
from ethogram.simulator import History, check_has, check_is, checked_int

from ..gui_learning import Prompts, Steps

Pictures = Callable[[int, int], Any]  # a PIL image of a recorded screen, by the numbers of its episode and step


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
    if not samples:
        raise ValueError("episodes have no step: expected screenshots on which something was done")
    prompts = cast(Prompts, Samples(tuple(samples)))  # asked for nothing but rows, repeated, limited and available
    return Steps(prompts, {}, torch.tensor(row), torch.tensor(step))


def samples_of(
    history: History, observation: Mapping[str, Any], memory: int, pictures: Pictures | None = None
) -> Samples:
    """The goal, the last screens and actions, and the present screen that a policy which is acting has, a sample a row.

    Screens are the observation's "pixels", or what ``pictures`` gives for its "episode" and "step". Actions are what
    the observation tells of them, as ``Replay``'s does, else the history's; doing nothing is told as waiting.
    Raises ValueError for an observation without a picture.
    """
    steps = history.num_steps
    count, past = min(memory, steps), observation.get("past")
    rows = range(len(observation["goal"]))
    if past is not None and (k := past["whose"].shape[1]) < memory:
        raise ValueError(
            f"the world tells {k} past actions: expected {memory}, as looked back; take Replay(past={memory})"
        )
    samples = []
    for row in rows:
        screens = [_picture(history.observation, (row, t), pictures) for t in range(steps - count, steps)]
        if past is None:
            actions = [_done(history.action, history.observation, (row, t)) for t in range(steps - count, steps)]
        else:
            places = range(past["whose"].shape[1] - count, past["whose"].shape[1])
            actions = [_told(past, row, place) for place in places]
        now = _picture(observation, (row,), pictures)
        samples.append(Sample(str(observation["goal"][row]), (*screens, now), tuple(actions)))
    return Samples(tuple(samples))


def pictured(history: History, pictures: Pictures | None = None) -> list[tuple[str, list[Any], list[GuiAction]]]:
    """The episodes of a history, (goal, screenshots, what was done on each), as ``steps_of_pictures`` takes them."""
    return [
        (
            str(history.observation["goal"][row, 0]),
            [_picture(history.observation, (row, t), pictures) for t in range(length)],
            [_done(history.action, history.observation, (row, t)) for t in range(length)],
        )
        for row, length in enumerate(history.length.tolist())
    ]


def _picture(observation: Mapping[str, Any], at: tuple[int, ...], pictures: Pictures | None) -> Any:
    """The screen of a row, or of a row and a step."""
    if "pixels" in observation:
        from PIL import Image

        return Image.fromarray(observation["pixels"][at].numpy())
    if pictures is None or not {"episode", "step"} <= observation.keys():
        raise ValueError(
            f"the observation has {sorted(observation)}: expected pixels, as BrowserGui(pixels=True) has them, or "
            "pictures=(episode, step) -> image for recorded screens"
        )
    return pictures(int(observation["episode"][at]), int(observation["step"][at]))


def _done(action: Mapping[str, Any], observation: Mapping[str, Any], at: tuple[int, int]) -> GuiAction:
    """An action of a history; one on an element at the middle of its box."""
    did = GuiActions(**action).row(*at)
    if did.element:
        left, top, right, bottom = observation["box"][at][did.element - 1].clamp(0, 1).tolist()
        did = replace(did, element=0, point=((left + right) / 2, (top + bottom) / 2))
    return GuiAction("wait") if did.type == "noop" else did


def _told(past: Mapping[str, Any], row: int, place: int) -> GuiAction:
    """A past action that an observation tells; waiting where it tells none."""
    if not int(past["whose"][row, place]):
        return GuiAction("wait")
    columns = {name: past[name][row : row + 1, place] for name in GuiActions._fields if name != "text"}
    did = GuiActions(**columns, text=past["text"][str(place)][row : row + 1]).row(0)
    return GuiAction("wait") if did.type == "noop" else did
