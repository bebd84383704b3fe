"""Choices: a stream of behaviour as arrays, from any history in which people chose among options."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ethogram.simulator import Do, Draws, History, Setup, World, check_has, check_is, checked_int, checked_seed


class Choices(NamedTuple):
    """Offers to n people, and what they chose, T times each."""

    options: Tensor  # (n, T, m, D) float32
    chosen: Tensor  # (n, T) int64 in [0, m)

    @property
    def contrast(self) -> Tensor:
        """(n, T, D) what was chosen, less the mean of what was not."""
        index = self.chosen[..., None, None].expand(*self.chosen.shape, 1, self.options.shape[-1])
        taken = self.options.gather(2, index)[:, :, 0]
        return taken - (self.options.sum(2) - taken) / (self.options.shape[2] - 1)

    def between(self, start: int, stop: int) -> "Choices":
        """Those from ``start`` on until before ``stop``."""
        return Choices(self.options[:, start:stop], self.chosen[:, start:stop])

    def rows(self, index: Tensor) -> "Choices":
        """Those of some people, (k,) int64."""
        return Choices(self.options[index], self.chosen[index])


def choices_of(history: History) -> Choices:
    """The choices in a history whose observations are {"options": (n, T + 1, m, D), "chose": (n, T + 1)}.

    "chose" names the option before, as ``ethogram/Choosing-v0`` has it.
    """
    check_is("history", history, History, "a History")
    seen = history.observation
    if not isinstance(seen, dict) or not {"options", "chose"} <= set(seen):
        what = sorted(seen) if isinstance(seen, dict) else f"a {type(seen).__name__}"
        raise ValueError(f"observation of the history is {what}: expected a dict with 'options' and 'chose'")
    steps = history.num_steps
    return Choices(seen["options"][:, :steps], seen["chose"][:, 1 : steps + 1])


class People(NamedTuple):
    """People, n of them, who were watched: choices to read, later ones to foresee, and why they chose."""

    read: Choices  # (n, T, …)
    targets: Choices  # (n, R, …), after those
    preference: Tensor  # (n, D) when they chose the targets

    def rows(self, index: Tensor) -> "People":
        """Some of them, (k,) int64."""
        return People(self.read.rows(index), self.targets.rows(index), self.preference[index])


def people_of(
    world: World, ids: int | Tensor, choices: int, targets: int, seed: int = 0, interventions: Sequence[Do] = ()
) -> People:
    """People of a world that names the site "preference", such as ``Choosing``, followed for a while.

    ids: (n,) int64, who they are; or how many. choices, targets: how many to read, and how many to foresee after.
    """
    check_has("world", world, "a World", "reset", "step")
    choices, targets = checked_int("choices", choices, 1), checked_int("targets", targets, 1)
    setup = Setup(
        world, _Nobody(), rows=ids, horizon=choices + targets, record=("preference",), interventions=interventions
    )
    history = setup.run(checked_seed(seed))
    made = choices_of(history)
    last = history.sites["preference"][:, -1]
    return People(made.between(0, choices), made.between(choices, choices + targets), last)


class _Nobody:
    """Foresees the first option, always: people choose as they would anyway."""

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        return torch.zeros_like(draws.ids)
