"""Scripted policies for the symbolic GUI tasks: one that remembers all it has seen, and the best that forgets."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ethogram.envs.gui.apps import BUTTON, ICON, INPUT, ITEM, TEXT
from ethogram.envs.gui.words import FIND, FIRST_VALUE, NEXT, OPEN_EACH, ZERO
from ethogram.simulator import Draws, History, checked_int

TAP, SCROLL, TYPE, HOME, DONE, DOWN = 1, 6, 7, 11, 15, 2  # of the action schema


@dataclass(frozen=True)
class Scripted:
    """Solves every family, by rules that read the goal, the screen, and the last ``memory`` screens before it.

    memory: steps that it looks back. With enough of them it is the oracle, which always succeeds. With 0 its actions
    depend on the present screen alone, and it is the best of those policies, as ``App.memoryless`` says: where the
    oracle looks back, it types always the same word, opens one of the apps at random, and takes the goal's last app
    for the last.

    The first of these rules that applies is followed: fill in an empty field; tap what the goal names; go on; scroll
    down; at home, open what is to be opened and was not; say done where nothing is left; go home.
    """

    memory: int = 100

    def __post_init__(self) -> None:
        checked_int("memory", self.memory, 0)

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> dict[str, Tensor]:
        """An action a row, from the screen, (n, 8, …)."""
        kind, text, goal = observation["kind"], observation["text"], observation["goal"]
        clickable, scrolls = observation["flags"][..., 0] > 0, observation["flags"][..., 2] > 0
        seen = self._seen(observation, history)
        field = kind == INPUT
        empty = field & (text[..., 1] < FIRST_VALUE)
        named = (text[..., :1] == goal[:, None]).any(2) & (text[..., 0] > 0)  # (n, 8) the goal has its first word
        item = (kind == ITEM) & clickable & named
        chosen = (item & (text[..., 0] == text[..., 1])).any(1)
        on = (kind == BUTTON) & (text[..., 0] == NEXT)
        icon = (kind == ICON) & clickable
        home = icon.any(1)
        left = draws.gumbel("icon", kind.shape[1]).where(icon & _unopened(text, goal, seen), -torch.inf)
        finished = field.any(1) | chosen | home | (_in_last_app(text, kind, goal) & (self.memory == 0))
        nowhere = torch.zeros_like(goal[:, 0])
        rules = [
            (empty.any(1), TYPE, _first(empty)),
            (item.any(1) & ~chosen, TAP, _first(item)),
            (on.any(1), TAP, _first(on)),
            (scrolls.any(1), SCROLL, nowhere),
            (left.isfinite().any(1), TAP, 1 + left.argmax(1)),
            (finished, DONE, nowhere),
        ]
        act, element = torch.full_like(nowhere, HOME), nowhere
        for applies, what, where in reversed(rules):
            act, element = torch.where(applies, what, act), torch.where(applies, where, element)
        name = text[torch.arange(len(text), device=text.device), (element - 1).clamp(min=0), 0]
        return {
            "type": act,
            "point": torch.zeros_like(observation["box"][:, 0, :2]),
            "element": element,
            "direction": torch.where(act == SCROLL, DOWN, 0),
            "text": torch.where(act == TYPE, _value_of(name, seen), 0),
        }

    def _seen(self, observation: dict[str, Tensor], history: History) -> tuple[Tensor, Tensor]:
        """Kinds (n, k + 1, 8) and texts (n, k + 1, 8, 2) of the last k screens and of the present one."""
        if not self.memory or not history.num_steps:
            return observation["kind"][:, None], observation["text"][:, None]
        last = slice(-self.memory - 1, None)
        return history.observation["kind"][:, last], history.observation["text"][:, last]


def _value_of(name: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
    """(n,) what stood beside a name when that was last seen with a value; where it was not, the first value of all."""
    kind, text = seen
    told = (text[..., 0] == name[:, None, None]) & (text[..., 1] >= FIRST_VALUE) & (kind == ITEM)
    told, value = told.flatten(1), text[..., 1].flatten(1)  # the latest last
    place = told.shape[1] - 1 - told.flip(1).long().argmax(1)
    return value.gather(1, place[:, None])[:, 0].where(told.any(1), FIRST_VALUE)


def _unopened(text: Tensor, goal: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
    """(n, 8) whether an icon is to be opened: the goal asks for it, and no count or screen seen says that it was."""
    kind, before = seen
    asked = (text[..., :1] == goal[:, None, 1:]).any(2) | (goal[:, :1] == FIND)
    inside = before[..., 0].where(kind == TEXT, -1).flatten(1)  # headings of apps and folders
    return asked & (text[..., 1] <= ZERO) & ~(text[:, :, :1] == inside[:, None]).any(2)


def _first(which: Tensor) -> Tensor:
    """(n,) the number, from 1, of the first True of (n, 8)."""
    return 1 + which.long().argmax(1)


def _in_last_app(text: Tensor, kind: Tensor, goal: Tensor) -> Tensor:
    """(n,) whether this is the app that the goal names last, and nothing here counts how often it was opened."""
    last = goal.gather(1, (goal > 0).sum(1, keepdim=True) - 1)
    here = (kind == TEXT) & (text[..., 0] == last) & (text[..., 1] == 0)
    return here.any(1) & (goal[:, 0] == OPEN_EACH)
