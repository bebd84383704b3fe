"""ByRule: people who act by a function of what each of them sees."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from ..arguments import check_callable
from ..draws import Draws
from ..history import History


@dataclass(frozen=True, eq=False)
class ByRule:
    """A policy made of a function: what people see, and their draws, to what they do, each row by itself."""

    rule: Callable[[Any, Draws], Any]

    def __post_init__(self) -> None:
        check_callable("rule of ByRule", self.rule, "a function of what people see and their draws")

    def act(self, observation: Any, history: History, draws: Draws) -> Any:
        """The actions that the rule gives."""
        return self.rule(observation, draws)

    def repeated(self, times: int) -> Self:
        """The same rule, since it looks at nobody else."""
        return self
