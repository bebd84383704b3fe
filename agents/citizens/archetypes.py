"""Archetypes: one answer a group."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, check_is, check_number

from .answers import Answers, Question
from .decisions import check_period, decide, seen

MOST_GROUPS = 10_000_000


@dataclass(frozen=True, eq=False)
class Archetypes:
    """People who are alike share one answer, a pair of probabilities, and each draws from it with luck of their own.

    The architecture of Chopra et al., "On the limits of agency in agent-based models" (2024), with the language model
    left to the caller.

    answers: where they come from; share it between scenarios, which then ask nothing again.
    by: the columns that people are grouped by -> ascending edges of bins, or None for each whole number by itself.
    The name "period" (with None) stands for the number of the period, from 0, so that everybody is asked anew in each.

    Only groups that have people are asked about. A question is a dict of what ``by`` names and nothing more, so that
    its answer is right for all of the group: {"age": [60, 80], "cases": [5.0, None], "area": 3, "period": 2} is
    60 <= age < 80, cases >= 5, area 3, the third period.
    """

    answers: Answers
    by: Mapping[str, Sequence[float] | None]
    period: int = 1

    def __post_init__(self) -> None:
        check_period(self.period)
        check_is("answers", self.answers, Answers, "Answers(function)")
        check_is("by", self.by, Mapping, "a dict of columns to edges of bins, or None")
        for name, edges in self.by.items():
            if edges is None:
                continue
            check_is(f"by['{name}']", edges, Sequence, "edges of bins, ascending numbers, or None")
            for edge in edges:
                check_number(f"an edge of by['{name}']", edge, -math.inf)
            if name == "period" or len(edges) == 0 or any(a >= b for a, b in pairwise(edges)):
                raise ValueError(f"by '{name}' has edges {edges}: expected ascending numbers, or None ('period': None)")

    def probabilities(self, observation: Mapping[str, Tensor], step: int = 0) -> Tensor:
        """(n, 2) float64 at a step; asks what has not been asked before."""
        some = next(iter(observation.values()))
        code, size = torch.zeros(len(some), dtype=torch.int64, device=some.device), 1
        levels: list[tuple[str, Sequence[Any]]] = []  # name, what each of its levels means
        for name, edges in self.by.items():
            if name == "period":
                continue
            column = seen(observation, name)
            if column.isnan().any():
                raise ValueError(f"'{name}' is NaN in row {int(column.isnan().nonzero()[0])}: expected numbers")
            if edges is not None:
                bounds = torch.tensor(edges, dtype=torch.float64, device=column.device)
                level = torch.bucketize(column.double(), bounds, right=True)
                meaning: Sequence[Any] = [list(pair) for pair in pairwise([None, *edges, None])]
            elif column.is_floating_point():
                raise ValueError(f"'{name}' is {column.dtype}: expected whole numbers, or edges of bins in by")
            else:
                low, high = int(column.min()), int(column.max())
                level, meaning = column.long() - low, range(low, high + 1)
            code, size = code * len(meaning) + level, size * len(meaning)
            levels.append((name, meaning))
            if size > MOST_GROUPS:
                raise ValueError(f"by {list(self.by)} makes over {MOST_GROUPS:,} groups: give bins, and fewer of them")
        peopled = torch.zeros(size, dtype=torch.bool, device=code.device)
        peopled[code] = True
        groups = peopled.nonzero()[:, 0]
        questions = [self._question(group, levels, step // self.period) for group in groups.tolist()]
        table = torch.zeros(size, 2, dtype=torch.float64, device=code.device)
        table[groups] = table.new_tensor(self.answers.to(questions))
        return table[code]

    def _question(self, group: int, levels: Sequence[tuple[str, Sequence[Any]]], period: int) -> Question:
        """The question that describes what the people of a group have in common, in the order of ``by``."""
        found: Question = {"period": period}
        for name, meaning in reversed(levels):
            group, level = divmod(group, len(meaning))
            found[name] = meaning[level]
        return {name: found[name] for name in self.by}

    def repeated(self, times: int) -> Self:
        """For several populations at once: the same, since it looks at nobody else."""
        return self

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8."""
        return decide(self.probabilities(observation, draws.step), draws, self.period)
