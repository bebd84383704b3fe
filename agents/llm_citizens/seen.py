"""Profiles, LastPeriod: what citizens know beside what the world shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, Policy, as_tensor, check_has, check_is

from ..citizens import DECISIONS, check_period


@dataclass(frozen=True, eq=False)
class Profiles:
    """Citizens with attributes that the world does not show, such as an occupation: columns of what they see.

    citizens: a policy of people. columns: name -> (n,), one for each person.
    """

    citizens: Policy
    columns: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        check_has("citizens", self.citizens, "a policy of people, such as Archetypes(…)", "act")
        check_is("columns", self.columns, Mapping, "a dict of names to tensors (n,)")
        columns = {name: _numbers(name, column) for name, column in self.columns.items()}
        if shapes := {name: tuple(column.shape) for name, column in columns.items() if column.dim() != 1}:
            raise ValueError(f"columns have shapes {shapes}: expected (n,), one number for each person")
        object.__setattr__(self, "columns", columns)

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8 of the citizens. Raises ValueError for other people, or a column that the world shows too."""
        for name, column in self.columns.items():
            if len(column) != len(draws.ids):
                raise ValueError(f"column '{name}' is of {len(column)} people: expected {len(draws.ids)}, one for each")
            if name in observation:
                raise ValueError(f"column '{name}' is one that the world shows already: give it another name")
        return self.citizens.act({**observation, **self.columns}, history, draws)


def _numbers(name: str, column: Any) -> Tensor:
    """A column as a tensor; an error tells nothing of the people."""
    try:
        return as_tensor(name, column)
    except TypeError:
        raise TypeError(
            f"columns['{name}'] is a {type(column).__name__} of what are no numbers: expected a tensor, an array or a "
            "list of numbers; of words, such as occupations, their places in a list"
        ) from None


@dataclass(frozen=True, eq=False)
class LastPeriod:
    """Citizens who have heard what all did in the last whole period: for questions that speak of it.

    They see two columns more, the same for all: "isolate last" and "work last", float64, the share of people who did so
    on an average day of the last period; -1 in the first, of which nobody has heard. Reads the actions of the history:
    a run keeps them unless it is told to record something else.
    """

    citizens: Policy
    period: int = 1

    def __post_init__(self) -> None:
        check_has("citizens", self.citizens, "a policy of people, such as Archetypes(…)", "act")
        check_period(self.period)

    @property
    def memory(self) -> int:
        """Steps that are read: the last period, and this one so far."""
        return 2 * self.period - 1

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 2) int8 of the citizens. Looks at all rows: under a planner, city by city."""
        share = torch.full((2,), -1.0, dtype=torch.float64)
        if draws.step >= self.period:
            last = history.num_steps - draws.step % self.period  # where the last period ended
            share = history.action[:, last - self.period : last].double().mean((0, 1))
        told = {f"{name} last": share[k].expand(len(draws.ids)) for k, name in enumerate(DECISIONS)}
        return self.citizens.act({**observation, **told}, history, draws)
