"""ClickModel, Perplexity."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ethogram.simulator import Draws, History

from .log import ClickLog, check_probability, check_shown, look_up


class Perplexity(NamedTuple):
    """A model's surprise at each click or skip, 1 (certain and right) to 2 (a coin toss) and beyond."""

    overall: float  # mean of by_position
    by_position: Tensor  # (m,) float64


class ClickModel(ABC):
    """The base class of click models; ``CascadingSession(mdp, user=model)`` lets one click in the world.

    Items and states out of a model's range, malformed slates and probabilities outside [0, 1] raise ValueError.
    """

    attraction: Tensor  # (S, N), of the models that have one

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """The positions that each user clicks, (n, m) bool.

        observation: "state" (n,) int64, "slate" (n, m) int64, and if present "attraction" (n, m) in [0, 1], which
        then stands in for the model's own, so that a world can intervene on it.
        Draws: "attracted" and "satisfied" of (user, item), wherever the item is shown; "examined" and "continued"
        of (user, position).
        """
        state, slates = observation["state"], observation["slate"]
        self._check(state, slates)
        if "attraction" in observation:
            attraction = observation["attraction"]
            check_probability('observation["attraction"]', attraction, tuple(slates.shape))
        else:
            attraction = self._attraction(state, slates)
        return self._clicks(state, slates, attraction, draws) & (slates >= 0)

    def click_probability(self, state: Tensor, slates: Tensor) -> Tensor:
        """P(C_r = 1) before anything is clicked, the marginal; (n, m) float64, 0 at empty positions."""
        self._check(state, slates)
        return self._marginal(state, slates, self._attraction(state, slates))

    def conditional_click_probability(self, log: ClickLog) -> Tensor:
        """P(C_r = 1 | C_1, …, C_{r-1}) given the clicks above in the log; (n, m) float64, 0 at empty positions."""
        self._check(log.state, log.slates)
        return self._conditional(log, self._attraction(log.state, log.slates))

    def log_likelihood(self, log: ClickLog) -> Tensor:
        """log P(C_1, …, C_m) of each row, (n,) float64 in nats; -inf where the model rules the clicks out."""
        chance = self.conditional_click_probability(log)
        return torch.where(log.clicks, chance, 1 - chance).log().sum(1)

    def perplexity(self, log: ClickLog) -> Perplexity:
        """2 to the mean of -log2 P(C_r) over the rows that show something at r, with marginal probabilities.

        Dupret & Piwowarski (SIGIR 2008). A position that no row uses is NaN and left out of the overall mean.
        """
        chance = self.click_probability(log.state, log.slates)
        surprise = -torch.where(log.clicks, chance, 1 - chance).log2()  # 0 at empty positions
        by_position = (surprise.sum(0) / (log.slates >= 0).sum(0)).exp2()
        return Perplexity(float(by_position.nanmean()), by_position)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        """Raise ValueError unless the model covers these states, items and positions."""
        check_shown(state, slates, self.attraction)

    def _attraction(self, state: Tensor, slates: Tensor) -> Tensor:
        """(n, m) float64, 0 at empty positions."""
        return look_up(self.attraction, state, slates)

    @abstractmethod
    def _clicks(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> Tensor: ...

    @abstractmethod
    def _marginal(self, state: Tensor, slates: Tensor, attraction: Tensor) -> Tensor: ...

    @abstractmethod
    def _conditional(self, log: ClickLog, attraction: Tensor) -> Tensor: ...
