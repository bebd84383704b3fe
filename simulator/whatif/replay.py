"""Replay: a policy that does again what was recorded."""

from dataclasses import dataclass
from typing import Any

import torch

from ..arguments import check_is
from ..draws import Draws
from ..history import History


@dataclass(frozen=True, eq=False)
class Replay:
    """Plays back the actions of a recorded history: row i of the run does what row i did.

    A row that had ended repeats its first action: what that leads to is padding, as in the record. Steps beyond the
    record raise IndexError.
    """

    recorded: History

    def __post_init__(self) -> None:
        check_is("recorded", self.recorded, History, "a History, as rollout gives")

    def act(self, observation: Any, history: History, draws: Draws) -> Any:
        """The recorded action of this step."""
        if len(draws.ids) != len(self.recorded) or not torch.equal(draws.ids, self.recorded.ids):
            raise ValueError(
                f"replay of {len(self.recorded)} recorded rows on {len(draws.ids)} rows: expected the same ids; "
                "pass rows=recorded.ids to rollout"
            )
        steps = self.recorded.num_steps
        if draws.step >= steps:
            raise IndexError(
                f"replay of {steps} recorded steps at step {draws.step}: expected a horizon of at most {steps}"
            )
        return self.recorded.action_at(draws.step)
