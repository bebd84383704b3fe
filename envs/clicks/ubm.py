"""UBM: examination depends on the last position clicked above."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator import Draws

from .counts import check_fit
from .em import fit_product
from .log import ClickLog, check_shown
from .model import ClickModel


@dataclass(frozen=True, eq=False, repr=False)
class UBM(ClickModel):
    """User browsing model (Dupret & Piwowarski, SIGIR 2008): examination depends on where the last click was.

    Symbols, as paper = here:
        α_d = attraction             (S, N) float64
        γ_{r r'} = examination       (m, m + 1) float64: [r, r'] with the last click at r' < r; [r, m] with none
                                     above; the other entries are not used
    As with PBM, (c α, γ / c) is the same model.
    """

    attraction: Tensor
    examination: Tensor

    def __post_init__(self) -> None:
        self._let_in("attraction", (None, None))
        self._let_in("examination", (None, len(self.examination) + 1))

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
        """EM from 1/2 everywhere, as ``PBM.fit``."""
        num_states, num_items = check_fit(log, num_states, num_items, prior, iterations)
        m = log.length
        context = torch.arange(m, device=log.slates.device) * (m + 1) + _last_click_above(log.clicks)
        em = iterations, tolerance, progress
        attraction, examination = fit_product(log, context, m * (m + 1), (num_states, num_items), prior, em)
        return cls(attraction, examination.view(m, m + 1)).named(log)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        check_shown(state, slates, self.attraction, len(self.examination))

    def _given_last(self, r: int) -> Tensor:
        """(r + 1,) examination of position r with the last click at 0, …, r - 1, or, last, none."""
        return torch.cat([self.examination[r, :r], self.examination[r, -1:]])

    def _clicks(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> Tensor:
        attracted = draws.bernoulli("attracted", attraction, slates)
        luck = draws.uniform("examined", slates.shape[1])
        last = torch.full_like(state, len(self.examination))
        clicks = torch.zeros_like(attracted)
        for r in range(slates.shape[1]):
            clicks[:, r] = attracted[:, r] & (luck[:, r] < self.examination[r, last])
            last = torch.where(clicks[:, r], r, last)
        return clicks

    def _marginal(self, state: Tensor, slates: Tensor, attraction: Tensor) -> Tensor:
        last = torch.ones_like(attraction[:, :1])  # (n, r + 1) P(the last click is at 0, …, r - 1, or nowhere)
        chances = []
        for r in range(slates.shape[1]):
            chance = attraction[:, r : r + 1] * self._given_last(r)  # P(C_r = 1 | last click), (n, r + 1)
            here = (last * chance).sum(1, keepdim=True)
            chances.append(here)
            last = last * (1 - chance)
            last = torch.cat([last[:, :r], here, last[:, r:]], dim=1)
        return torch.cat(chances, dim=1)

    def _conditional(self, log: ClickLog, attraction: Tensor) -> Tensor:
        last = _last_click_above(log.clicks)
        last = last.where(last < log.length, len(self.examination))  # the slates may be shorter than the model's
        return attraction * self.examination[torch.arange(log.length, device=last.device), last]


def _last_click_above(clicks: Tensor) -> Tensor:
    """(n, m) int64: the position of the last click above each position, m where there is none."""
    m = clicks.shape[1]
    position = torch.arange(m, device=clicks.device)
    last = pad(torch.where(clicks, position, -1), (1, -1), value=-1).cummax(1).values
    return last.where(last >= 0, m)
