"""Relaxed: citizens whose decisions have a gradient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ethogram.simulator import Draws, History

from .archetypes import Archetypes
from .decisions import seen


class Deciding(Protocol):
    """Citizens whose probabilities hang on what they see alone, with a gradient: all of ours but ``Archetypes``."""

    @property
    def period(self) -> int:
        """Days for which luck is kept."""
        ...

    def probabilities(self, observation: Mapping[str, Tensor]) -> Tensor:
        """(n, 2) of isolating and of wanting a job."""
        ...


@dataclass(frozen=True, eq=False)
class Relaxed:
    """The same citizens for ``RelaxedEpidemic``, which follows gradients: they decide alike, to the bit.

    citizens: may hold tensors that require grad in place of numbers, such as ``Heuristic(most=tensor)``, or among the
    coefficients of ``Logits``. What each would do if ill is asked by itself, since who is ill hangs on parameters too.
    Raises TypeError for citizens without such probabilities, and for archetypes, whose answers have no gradient.
    """

    citizens: Deciding

    def __post_init__(self) -> None:
        if isinstance(self.citizens, Archetypes) or not hasattr(self.citizens, "probabilities"):
            raise TypeError(
                f"citizens are {type(self.citizens).__name__}: expected some with probabilities(observation) that have "
                "a gradient, such as Heuristic, Logits or Perceptron; fit others by search"
            )

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, 3), [isolate when not ill, isolate when ill, work]; float64 with a gradient under ``RelaxedDraws``."""
        period, ill = self.citizens.period, seen(observation, "ill")
        well, sick = (
            self.citizens.probabilities({**observation, "ill": torch.full_like(ill, value)})[:, 0] for value in (0, 1)
        )
        work = self.citizens.probabilities(observation)[:, 1]
        luck = draws.at(draws.step - draws.step % period)
        sites = [("isolate", well), ("isolate", sick), ("work", work)]
        return torch.stack([luck.bernoulli(name, p).to(torch.float64) for name, p in sites], 1)
