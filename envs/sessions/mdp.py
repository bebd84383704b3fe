"""The arrays of a cascading MDP, and the reference instances that the tests and benchmarks use.

Du, Srikant & Chen, "Cascading Reinforcement Learning", ICLR 2024 (arXiv 2401.08961), section 3.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ethogram.simulator import check_is, checked_int

_TABLES = ("attraction", "transition", "reward")


@dataclass(frozen=True, eq=False)
class CascadingMDP:
    """A user with a state looks down a list and clicks the first item that attracts them.

    Symbols, as paper = here (S states, N items):
        q(s, a) = attraction[s, a]        (S, N) float64, probability that an examined item attracts
        r(s, a) = reward[s, a]            (S, N) float64 in [0, 1], given for a click
        p(s' | s, a) = transition[s, a]   (S, N + 1, S) float64, next state after a click on item a; the last
                                          item, N, is the paper's a_perp: nothing was clicked
        m = length                        longest list; a list holds 1 to m distinct items
        H = horizon                       steps in an episode
        s_1 = initial                     the state in which every episode starts

    The tables are copied, and stay as they are: a session refuses an MDP whose tables were written to.
    """

    attraction: Tensor
    transition: Tensor
    reward: Tensor
    length: int
    horizon: int
    initial: int = 0

    def __post_init__(self) -> None:
        self._check()
        for name in _TABLES:  # its own, so that nobody who made them can change them
            object.__setattr__(self, name, getattr(self, name).clone())
        object.__setattr__(self, "_made", self._versions())

    def __setstate__(self, state: dict[str, Any]) -> None:  # a copy counts anew
        self.__dict__.update(state)
        object.__setattr__(self, "_made", self._versions())

    def check_unchanged(self) -> None:
        """Raise ValueError if a table was written to: what was computed from it would go on as before."""
        if self._versions() != self._made:  # type: ignore[attr-defined]
            raise ValueError(
                f"{' or '.join(_TABLES)} of this MDP was written to after it was made: expected tables that stay as "
                "they are; make another with dataclasses.replace(mdp, attraction=…)"
            )

    def _versions(self) -> tuple[int, ...]:
        tables = [getattr(self, name) for name in _TABLES]
        return tuple([0 if table.is_inference() else table._version for table in tables])

    def _check(self) -> None:
        states, items = _shape(self.attraction)
        _check_table("attraction", self.attraction, (states, items))
        _check_table("reward", self.reward, (states, items))
        _check_table("transition", self.transition, (states, items + 1, states))
        if (self.transition.sum(-1) - 1).abs().max() > 1e-6:
            s, a = ((self.transition.sum(-1) - 1).abs() > 1e-6).nonzero()[0].tolist()
            raise ValueError(
                f"transition[{s}, {a}] sums to {self.transition[s, a].sum():.6g}: expected 1, the total probability "
                "of the next states; divide each row by its sum"
            )
        checked_int("length", self.length, 1, items)
        checked_int("horizon", self.horizon, 1)
        checked_int("initial", self.initial, 0, states - 1)

    @property
    def num_states(self) -> int:
        """S."""
        return self.attraction.shape[0]

    @property
    def num_items(self) -> int:
        """N, not counting "nothing"."""
        return self.attraction.shape[1]


def _shape(attraction: Tensor) -> tuple[int, int]:
    check_is("attraction", attraction, Tensor, "a torch tensor; use torch.as_tensor")
    if attraction.dim() != 2:
        raise ValueError(f"attraction has shape {tuple(attraction.shape)}: expected (states, items)")
    return attraction.shape[0], attraction.shape[1]


def _check_table(name: str, table: Tensor, shape: tuple[int, ...]) -> None:
    check_is(name, table, Tensor, "a torch tensor; use torch.as_tensor")
    if tuple(table.shape) != shape or table.dtype != torch.float64:
        like = "" if name == "attraction" else f", with the states and items of attraction, {shape[0]} of them"
        raise ValueError(f"{name} is {table.dtype} {tuple(table.shape)}: expected float64 {shape}{like}")
    outside = ~((table >= 0) & (table <= 1))  # NaN is outside too
    if outside.any():
        where = outside.nonzero()[0].tolist()
        raise ValueError(f"{name}{where} is {table[tuple(where)]:.6g}: expected a number in [0, 1]")
