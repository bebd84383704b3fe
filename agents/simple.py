"""Policies that need no learning: uniform, fixed, a table, softmax slates; and the simulator's replay, handed on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from torch import Tensor

from ethogram.simulator import Draws, History, Replay, as_tensor, checked_int

__all__ = ["Fixed", "PlackettLuce", "Replay", "Table", "UniformSlates"]


@dataclass(frozen=True, eq=False)
class Fixed:
    """The same action for every row at every step; ``action`` as one row's action, a tensor or nested ints."""

    action: Any

    def repeated(self, times: int) -> Self:
        """For several populations at once: the same, since it looks at nobody else."""
        return self

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The action, once a row."""
        action = self._action.to(draws.ids.device)
        return action.expand(len(draws.ids), *action.shape)

    @cached_property
    def _action(self) -> Tensor:
        return as_tensor("action of Fixed", self.action)


@dataclass(frozen=True, eq=False)
class Table:
    """A policy as a table: which action in which state at which step.

    actions: (H, S, …), or (S, …) for a policy that does not depend on the step, with stationary=True. Steps beyond H
    and states beyond S raise IndexError.
    """

    actions: Tensor
    stationary: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "actions", as_tensor("actions of a Table", self.actions))
        if self.actions.dim() < 2 - self.stationary:
            what = f"actions of a Table have shape {tuple(self.actions.shape)}"
            raise ValueError(f"{what}: expected (steps, states, …), or (states, …) with stationary=True")

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The action of each row's state, an int64 observation (n,)."""
        try:
            if not draws.together and not self.stationary:
                return self.actions[draws.step, observation]
            table = self.actions if self.stationary else self.actions[draws.step]
            return table.index_select(0, observation)
        except (IndexError, RuntimeError, TypeError, AttributeError) as error:
            raise self._refusal(observation, draws) from error

    def _refusal(self, observation: Any, draws: Draws) -> IndexError:
        """The reason why there is no action."""
        shape, known = tuple(self.actions.shape), isinstance(observation, Tensor)
        what = f"{observation.dtype} {tuple(observation.shape)}" if known else repr(observation)
        expected = "states, …" if self.stationary else "steps, states, …"
        more = "" if self.stationary else "; one for all steps, (states, …), takes stationary=True"
        return IndexError(
            f"a Table of actions {shape} is asked at step {draws.step} for {what:.80}: expected ({expected}) that has "
            f"this step and these states, int64 (n,){more}"
        )


@dataclass(frozen=True, eq=False)
class UniformSlates:
    """Lists of ``length`` distinct items, every ordered list equally likely."""

    num_items: int
    length: int

    def __post_init__(self) -> None:
        checked_int("length", self.length, 1, checked_int("num_items", self.num_items, 1))

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        """(n, length) int64."""
        return draws.uniform("slate", self.num_items).argsort(dim=1)[:, : self.length]


@dataclass(frozen=True, eq=False)
class PlackettLuce:
    """Lists of ``length`` distinct items, drawn one after the other in proportion to exp(score) among those left.

    scores: (S, N) float64, a row for each user state, or (N,) for all; smaller scores explore more.

    How likely a list was is known exactly, which is what off-policy evaluation asks of a logging policy:
    ``prefix_propensity(policy.scores_in(states), slates)`` and its neighbours in ``simulator.ope``.
    """

    scores: Tensor
    length: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", as_tensor("scores", self.scores))
        if self.scores.isnan().any():
            raise ValueError("scores have NaN among them: expected numbers")
        if self.scores.dim() not in (1, 2):
            raise ValueError(f"scores have shape {tuple(self.scores.shape)}: expected (items,) or (states, items)")
        checked_int("length", self.length, 1, self.scores.shape[-1])

    def scores_in(self, state: Tensor) -> Tensor:
        """(…, N) the scores that apply in each of these states (…)."""
        return self.scores.expand(*state.shape, -1) if self.scores.dim() == 1 else self.scores[state]

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """(n, length) int64: the top of the scores plus Gumbel noise, which draws exactly this distribution."""
        noise = draws.gumbel("slate", self.scores.shape[-1])
        return (self.scores_in(observation) + noise).topk(self.length, dim=1).indices
