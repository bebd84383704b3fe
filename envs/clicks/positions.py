"""Click models in which positions are examined independently: RCM, RankCTR, DocumentCTR, PBM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, check_number

from .counts import check_fit, count_items, count_positions, ratio
from .em import fit_product
from .log import ClickLog, check_shown
from .model import ClickModel


class _PositionModel(ClickModel):
    """P(C_r = 1) = attraction × examination of r, whatever is clicked elsewhere."""

    def _examination(self, slates: Tensor) -> Tensor:
        return torch.ones(slates.shape[1], dtype=torch.float64, device=slates.device)

    def _clicks(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> Tensor:
        examined = draws.bernoulli("examined", self._examination(slates), slates.shape[1])
        return examined & draws.bernoulli("attracted", attraction, slates)

    def _marginal(self, state: Tensor, slates: Tensor, attraction: Tensor) -> Tensor:
        return attraction * self._examination(slates)

    def _conditional(self, log: ClickLog, attraction: Tensor) -> Tensor:
        return self._marginal(log.state, log.slates, attraction)


@dataclass(frozen=True, eq=False, repr=False)
class RCM(_PositionModel):
    """Random clicks: the same chance for every item at every position. It ignores a given attraction.

    rate: the click-through rate of all that was shown.
    """

    rate: float

    def __post_init__(self) -> None:
        check_number("rate", self.rate, 0, 1)

    @classmethod
    def fit(
        cls, log: ClickLog, num_states: int | None = None, num_items: int | None = None, *, prior: float = 1.0
    ) -> Self:
        """The share clicked, with ``prior`` clicks and as many skips added."""
        num_states, num_items = check_fit(log, num_states, num_items, prior)
        clicked, shown = count_positions(log)
        return cls(float(ratio(clicked.sum(), shown.sum(), prior))).named(log)

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """See ``ClickModel.act``; "attraction" is ignored."""
        return super().act({"state": observation["state"], "slate": observation["slate"]}, history, draws)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        check_shown(state, slates)

    def _attraction(self, state: Tensor, slates: Tensor) -> Tensor:
        return (slates >= 0).double() * self.rate


@dataclass(frozen=True, eq=False, repr=False)
class RankCTR(_PositionModel):
    """Each position has its own click-through rate, whatever it shows. It ignores a given attraction.

    rate: (m,) float64.
    """

    rate: Tensor

    def __post_init__(self) -> None:
        self._let_in("rate", (None,))

    @classmethod
    def fit(
        cls, log: ClickLog, num_states: int | None = None, num_items: int | None = None, *, prior: float = 1.0
    ) -> Self:
        """The share clicked at each position, with ``prior`` clicks and as many skips added."""
        num_states, num_items = check_fit(log, num_states, num_items, prior)
        return cls(ratio(*count_positions(log), prior)).named(log)

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """See ``ClickModel.act``; "attraction" is ignored."""
        return super().act({"state": observation["state"], "slate": observation["slate"]}, history, draws)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        check_shown(state, slates, length=len(self.rate))

    def _attraction(self, state: Tensor, slates: Tensor) -> Tensor:
        return (slates >= 0).double()

    def _examination(self, slates: Tensor) -> Tensor:
        return self.rate[: slates.shape[1]]


@dataclass(frozen=True, eq=False, repr=False)
class DocumentCTR(_PositionModel):
    """Each item has its own click-through rate in each state, wherever it is shown.

    attraction: (S, N) float64.
    """

    attraction: Tensor

    def __post_init__(self) -> None:
        self._let_in("attraction", (None, None))

    @classmethod
    def fit(
        cls, log: ClickLog, num_states: int | None = None, num_items: int | None = None, *, prior: float = 1.0
    ) -> Self:
        """The share clicked of each item in each state, with ``prior`` clicks and as many skips added."""
        num_states, num_items = check_fit(log, num_states, num_items, prior)
        everywhere = torch.full_like(log.state, log.length)
        return cls(ratio(*count_items(log, everywhere, num_states, num_items), prior)).named(log)


@dataclass(frozen=True, eq=False, repr=False)
class PBM(_PositionModel):
    """Position-based model (Craswell et al., WSDM 2008): each position is examined with its own probability.

    Symbols, as paper = here:
        α_d = attraction     (S, N) float64
        γ_r = examination    (m,) float64
    Only the products α γ_r show in clicks: (c α, γ / c) is the same model.
    """

    attraction: Tensor
    examination: Tensor

    def __post_init__(self) -> None:
        self._let_in("attraction", (None, None))
        self._let_in("examination", (None,))

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int | None = None,
        num_items: int | None = None,
        *,
        iterations: int = 50,
        prior: float = 1.0,
        tolerance: float = 1e-6,
        progress: bool = False,
    ) -> Self:
        """EM from 1/2 everywhere.

        iterations: at most so many rounds. tolerance: they end when no parameter moves by more; below 0, never.
        progress: show a bar with the largest move.
        prior: so many clicks (examinations) and as many skips are added to the expected counts of each parameter,
        which makes it the posterior mode under Beta(1 + prior, 1 + prior). With prior 0 it is the maximum of the
        likelihood, and what was never shown stays at 1/2.
        """
        num_states, num_items = check_fit(log, num_states, num_items, prior, iterations)
        position = torch.arange(log.length, device=log.slates.device).expand_as(log.slates)
        em = iterations, tolerance, progress
        return cls(*fit_product(log, position, log.length, (num_states, num_items), prior, em)).named(log)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        check_shown(state, slates, self.attraction, len(self.examination))

    def _examination(self, slates: Tensor) -> Tensor:
        return self.examination[: slates.shape[1]]
