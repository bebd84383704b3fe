"""Variants of a policy for symbolic screens: other luck, a changed past, the wrong neighbour; and mere chance."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ethogram.envs.gui.apps import EMPTY
from ethogram.envs.gui.words import FIRST_VALUE, VALUES, VOCABULARY
from ethogram.simulator import Draws, History, Policy, check_has, check_number, checked_int

Past = Literal["none", "dropped", "shuffled", "corrupted"]
_ACTS = "a policy with act(observation, history, draws)"
_KINDS = torch.tensor([1, 1, 1, 6, 7, 10, 11, 15])  # tap, scroll, type, back, home, done


@dataclass(frozen=True)
class Again:
    """The same policy with other luck, for a repeat of the very same tasks. number: of the repeat, 0 or more."""

    policy: Policy
    number: int

    def __post_init__(self) -> None:
        check_has("policy", self.policy, _ACTS, "act")
        checked_int("number", self.number, 0)

    def act(self, observation: Any, history: History, draws: Draws) -> Any:
        """As the policy acts."""
        return self.policy.act(observation, history, draws.scoped(f"{draws.scope}, again {self.number}"))


@dataclass(frozen=True)
class Altered:
    """A policy whose past is changed before it sees it; the present screen stays.

    past: "none": every earlier screen is empty; "dropped": each with probability ``share``; "shuffled": they come in
    any order; "corrupted": with probability ``share`` each value that stood on one is another, any one. Each step
    changes the past anew.

    Draws, of the policy's scope with ", past" behind it: "past", (n, t) for t screens, (n, 16 t) to corrupt them.
    """

    policy: Policy
    past: Past
    share: float = 0.5

    def __post_init__(self) -> None:
        check_has("policy", self.policy, _ACTS, "act")
        if self.past not in get_args(Past):
            raise ValueError(f"past is {self.past!r}: expected one of {list(get_args(Past))}")
        check_number("share", self.share, 0, 1)

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> Any:
        """As the policy acts after another past."""
        if not history.num_steps:
            return self.policy.act(observation, history, draws)
        before = {name: part[:, :-1] for name, part in history.observation.items()}
        changed = self._changed(before, draws.scoped(f"{draws.scope}, past"))
        seen: Any = {name: torch.cat([part, history.observation[name][:, -1:]], 1) for name, part in changed.items()}
        length = torch.full_like(history.length, history.num_steps)
        other = History.of(
            action=history.action, reward=history.reward, observation=seen, length=length, ids=history.ids
        )
        return self.policy.act(observation, other, draws)

    def _changed(self, before: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        rows, steps, places = before["kind"].shape
        if self.past == "none":
            return {name: torch.zeros_like(part) for name, part in before.items()}
        if self.past == "corrupted":
            count = steps * places
            luck, other = draws.uniform("past", 2 * count).view(rows, 2, steps, places).unbind(1)
            value = before["text"][..., 1]
            wrong = (value >= FIRST_VALUE) & (luck < self.share)
            made = FIRST_VALUE + (other * len(VALUES)).long()
            return {**before, "text": torch.stack([before["text"][..., 0], made.where(wrong, value)], 3)}
        luck = draws.uniform("past", steps)
        if self.past == "shuffled":
            order, row = luck.argsort(1), torch.arange(rows, device=luck.device)[:, None]
            return {name: part[row, order] for name, part in before.items()}
        gone = luck < self.share
        return {
            name: torch.where(gone.view(rows, steps, *[1] * (part.dim() - 2)), torch.zeros_like(part), part)
            for name, part in before.items()
        }


@dataclass(frozen=True)
class WrongNeighbour:
    """A policy that is one element off: taps and words go to the next place on the screen that has an element."""

    policy: Policy

    def __post_init__(self) -> None:
        check_has("policy", self.policy, _ACTS, "act")

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> Any:
        """As the policy acts, but for where."""
        meant = self.policy.act(observation, history, draws)
        there = observation["kind"] != EMPTY  # (n, 8)
        count = there.shape[1]
        places = torch.arange(count, device=there.device)
        after = (places - meant["element"][:, None]) % count  # from the next place on
        nearest = after.where(there, count).argmin(1)
        return {**meant, "element": torch.where(meant["element"] > 0, 1 + nearest, 0)}


@dataclass(frozen=True)
class Chance:
    """Taps, scrolls, types any word, goes back or home, and says done, as it comes."""

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> dict[str, Tensor]:
        """An action a row."""
        places = observation["kind"].shape[1]
        return {
            "type": _KINDS.to(draws.ids.device)[(draws.uniform("type") * len(_KINDS)).long()],
            "point": torch.zeros_like(observation["box"][:, 0, :2]),
            "element": 1 + (draws.uniform("element") * places).long(),
            "direction": 1 + (draws.uniform("direction") * 2).long(),
            "text": (draws.uniform("text") * len(VOCABULARY)).long(),
        }
