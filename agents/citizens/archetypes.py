"""Archetypes: one answer a group."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, History, Policy, check_is, checked_int
from ethogram.simulator.kernels import Array

from . import kernels
from .answers import Answers
from .decisions import DECISIONS, check_period, decide
from .grouping import By, Groups, check_by, grouped


@dataclass(frozen=True)
class Coverage:
    """How finely people are asked about: of how many groups, by how many questions.

    groups: how many have people. questions: asked for all of them. rare: groups of fewer people are answered as their
    parents. share: of people, by how many of the columns their question speaks of: none first, all of them last.
    """

    groups: int
    questions: int
    rare: int
    share: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Archetypes:
    """People who are alike share one answer, a pair of probabilities, and each draws from it with luck of their own.

    The architecture of Chopra et al., "On the limits of agency in agent-based models" (2024), with the language model
    left to the caller.

    answers: where they come from; share it between scenarios, which then ask nothing again.
    by: the columns that people are grouped by -> ascending edges of bins, or None for each whole number by itself.
    The name "period" (with None) stands for the number of the period, from 0, so that everybody is asked anew in each.
    budget: the most questions that a step may take; None: as many as there are groups. Then rare groups are asked about
    as one, without the last of the columns, and if need be without the last but one: put those first that matter most.

    Only groups that have people are asked about. A question is a dict of what ``by`` names and nothing more, so that
    its answer is right for all of the group: {"age": [60, 80], "cases": [5.0, None], "area": 3, "period": 2} is
    60 <= age < 80, cases >= 5, area 3, the third period.
    """

    answers: Answers
    by: By
    period: int = 1
    budget: int | None = None

    def __post_init__(self) -> None:
        check_period(self.period)
        check_is("answers", self.answers, Answers, "Answers(function)")
        check_by(self.by)
        if self.budget is not None:
            checked_int("budget", self.budget, 1)

    def probabilities(self, observation: Mapping[str, Tensor], step: int = 0) -> Tensor:
        """(n, 2) float64 at a step; asks what has not been asked before."""
        groups = grouped(observation, self.by, step // self.period)
        chance, slot = self._answered(groups)
        return _each(groups, chance, slot)

    def _answered(self, groups: Groups) -> tuple[Array, Array]:
        """The answers, (K, 2) float64, and (size,) int32, which of them each code takes."""
        if self.budget is None:
            return self._known(groups)
        asked = groups.asked(self.budget)
        chance = np.array(self.answers.to(asked.questions), np.float64).reshape(-1, 2)
        return chance, groups.slots(asked.slot)

    def _known(self, groups: Groups) -> tuple[Array, Array]:
        """The same where each group has its own answer: only those that are new are put in words, and looked up."""
        what = groups.meanings, groups.period if "period" in self.by else None
        kept = self._table.get("last")
        if kept is None or kept[0] != what:
            size = int(groups.sizes.prod())
            kept = what, np.full((size, 2), np.nan), np.arange(size, dtype=np.int32)
            self._table["last"] = kept  # all at once: another thread may look
        chance, slot = kept[1:]
        if len(new := groups.codes[np.isnan(chance[groups.codes, 0])]):
            chance[new] = self.answers.to(groups.questions(new))
        return chance, slot

    @cached_property
    def _table(self) -> dict[str, Any]:
        return {}

    def coverage(self, observation: Mapping[str, Tensor]) -> Coverage:
        """How finely these people would be asked about; asks nothing."""
        groups = grouped(observation, self.by)
        asked = groups.asked(self.budget)
        people = np.bincount(asked.depth, groups.people, len(groups.names) + 1)
        share = tuple((people / people.sum()).tolist())
        return Coverage(len(groups.codes), len(asked.questions), asked.rare, share)

    def repeated(self, times: int) -> Policy:
        """For several populations at once: itself; with a budget, which counts the people of each, block by block."""
        return self if self.budget is None else _EachAlone(self, times)

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        groups = grouped(observation, self.by, draws.step // self.period)
        return drawn(groups, *self._answered(groups), draws, self.period)


@dataclass(frozen=True, eq=False)
class _EachAlone:
    """Archetypes of several populations side by side, each asked about by itself."""

    citizens: Archetypes
    times: int

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        found = []
        for rows in torch.arange(len(draws.ids), device=draws.ids.device).chunk(self.times):
            seen = {name: column[rows] for name, column in observation.items()}
            found.append(self.citizens.act(seen, history, draws.of(rows)))
        return torch.cat(found)


def drawn(groups: Groups, chance: Array, slot: Array, draws: Draws, period: int) -> Tensor:
    """``decide`` for people of whose groups it is known what they do: (n, 2) int8.

    chance: (K, 2) float64, numbers from 0 to 1. slot: (size,) int32, which of them each code takes.
    """
    if type(draws) is not Draws or not draws.ids.is_cpu:
        return decide(_each(groups, chance, slot), draws, period)
    if len(groups.code) != len(draws.ids):
        raise ValueError(f"{len(groups.code)} people see something, and {len(draws.ids)} act: expected as many")
    luck, action = draws.at(draws.step - draws.step % period), np.empty((len(groups.code), 2), np.int8)
    (isolate, ids), (work, others) = (luck.keyed(name) for name in DECISIONS)
    keys = np.array([isolate, work], np.uint64)
    kernels.draw_decisions(keys, ids, others, groups.code.numpy(), slot, chance, action)
    return torch.from_numpy(action)


def _each(groups: Groups, chance: Array, slot: Array) -> Tensor:
    """(n, 2) float64 of each person."""
    return torch.from_numpy(chance[slot]).to(groups.code.device)[groups.code.long()]
