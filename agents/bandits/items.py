"""UCB1, KL-UCB, UCB-V, TS, CTS."""

import math
from dataclasses import dataclass

from torch import Tensor

from ethogram.simulator import Draws, check_number

from .bandit import CascadeBandit
from .sampling import beta, kl_upper_bound, normal


class CascadeUCB1(CascadeBandit):
    """Mean + sqrt(1.5 log t / T), t lists shown so far (Kveton et al., ICML 2015, Algorithm 1)."""

    def index(self, draws: Draws) -> Tensor:
        """(N,) float64 upper bounds."""
        return self._if_examined(self.mean + (self._level(self.lists) / self.examined).sqrt())

    def _level(self, lists: int) -> float:
        return 1.5 * math.log(max(lists, 1))


class CascadeKLUCB(CascadeBandit):
    """The largest u with T KL(mean, u) <= log t + 3 log log t, in round t (Kveton et al., ICML 2015).

    The right-hand side is negative or undefined in rounds 1 and 2 and taken as 0 there.
    """

    def index(self, draws: Draws) -> Tensor:
        """(N,) float64 upper bounds."""
        budget = self._level(self.lists) / self.examined.clamp(min=1)
        return self._if_examined(kl_upper_bound(self.mean, budget))

    def _level(self, lists: int) -> float:
        t = lists + 1
        return math.log(t) + 3 * math.log(math.log(t)) if t > 2 else 0.0


@dataclass(eq=False)
class CascadeUCBV(CascadeBandit):
    """Mean + sqrt(2 mean (1 - mean) log t / T) + c log t / T, t lists so far (Vial et al., NeurIPS 2022).

    margin: c. 3 is that of UCB-V (Audibert, Munos & Szepesvári, 2009), from memory; smaller ones explore less.
    """

    margin: float = 3.0

    def __post_init__(self) -> None:
        check_number("margin", self.margin)
        super().__post_init__()

    def index(self, draws: Draws) -> Tensor:
        """(N,) float64 upper bounds."""
        level, seen = self._level(self.lists), self.examined
        spread = (2 * self.mean * (1 - self.mean) * level / seen).sqrt()
        return self._if_examined(self.mean + spread + self.margin * level / seen)

    def _level(self, lists: int) -> float:
        return math.log(max(lists, 1))


class TSCascade(CascadeBandit):
    """Mean + Z max(sqrt(mean (1 - mean) log(t + 1) / (T + 1)), log(t + 1) / (T + 1)) in round t.

    Z is one standard normal a list, shared by its items (Cheung et al., 2019; Zhong et al., JMLR 2021).
    """

    def index(self, draws: Draws) -> Tensor:
        """(n, N) float64 samples."""
        spread = self._level(self.lists) / (self.examined + 1)
        deviation = (self.mean * (1 - self.mean) * spread).sqrt().maximum(spread)
        return self.mean + normal(draws, "posterior")[:, None] * deviation

    def _level(self, lists: int) -> float:
        return math.log(lists + 2)


class CTS(CascadeBandit):
    """Thompson sampling from each item's posterior Beta(1 + clicks, 1 + skips), independent (Zhong et al., 2021)."""

    def index(self, draws: Draws) -> Tensor:
        """(n, N) float64 samples."""
        return beta(draws, "posterior", 1 + self.clicks, 1 + (self.examined - self.clicks))
