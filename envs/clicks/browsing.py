"""Click models in which the user goes down the list until leaving: CascadeModel, DCM, DBN, SDBN, CCM."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator import Draws, check_number

from ..sessions import first_true
from .counts import check_fit, count_clicks, count_items, count_positions, last_click, ratio, share
from .em import expect, filtered_examination, fit_dbn, iterate
from .log import ClickLog, check_shown, look_up
from .model import ClickModel


class _BrowsingModel(ClickModel):
    """E_1 = 1; who examines r goes on to r + 1 with a probability that depends on whether r is clicked."""

    @abstractmethod
    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        """P(E_{r+1} = 1 | E_r = 1) after a skip, and after a click: broadcastable to (n, m)."""

    @abstractmethod
    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Whether each user would go on from r after a skip and after a click, bool, broadcastable to (n, m)."""

    def _clicks(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> Tensor:
        attracted = draws.bernoulli("attracted", attraction, slates)
        after_skip, after_click = self._would_go_on(state, slates, attraction, draws)
        goes_on = torch.where(attracted, after_click, after_skip)
        examined = pad(goes_on, (1, -1), value=True).cumprod(1)  # (n, m) 1 as long as the user has gone on
        return attracted & (examined > 0)

    def _marginal(self, state: Tensor, slates: Tensor, attraction: Tensor) -> Tensor:
        after_skip, after_click = self._goes_on(state, slates, attraction)
        goes_on = attraction * after_click + (1 - attraction) * after_skip
        return attraction * pad(goes_on, (1, -1), value=1.0).cumprod(1)

    def _conditional(self, log: ClickLog, attraction: Tensor) -> Tensor:
        after_skip, after_click = self._goes_on(log.state, log.slates, attraction)
        return attraction * filtered_examination(log.clicks, attraction, after_skip, after_click)


@dataclass(frozen=True, eq=False, repr=False)
class CascadeModel(_BrowsingModel):
    """Cascade model, CM (Craswell et al., WSDM 2008): the first item that attracts is clicked, and that is all.

    attraction: (S, N) float64, the paper's α. It is the user of the cascading MDP (Du et al., ICLR 2024). A second
    click has probability 0, so that a log with one has likelihood -inf.
    """

    attraction: Tensor

    def __post_init__(self) -> None:
        self._let_in("attraction", (None, None))

    @classmethod
    def fit(
        cls, log: ClickLog, num_states: int | None = None, num_items: int | None = None, *, prior: float = 1.0
    ) -> Self:
        """(clicks + prior) / (impressions + 2 prior) at or above each row's first click; what follows is not used."""
        num_states, num_items = check_fit(log, num_states, num_items, prior)
        return cls(ratio(*count_items(log, first_true(log.clicks), num_states, num_items), prior)).named(log)

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        return 1.0, torch.zeros_like(attraction)

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        skip = torch.ones_like(slates, dtype=torch.bool)
        return skip, ~skip


@dataclass(frozen=True, eq=False, repr=False)
class DCM(_BrowsingModel):
    """Dependent click model (Guo, Liu & Wang, WSDM 2009): after a click at r the user goes on with chance λ_r.

    Symbols, as paper = here:
        α_d = attraction      (S, N) float64
        λ_r = continuation    (m,) float64; the last one is of no consequence
    """

    attraction: Tensor
    continuation: Tensor

    def __post_init__(self) -> None:
        self._let_in("attraction", (None, None))
        self._let_in("continuation", (None,))

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int | None = None,
        num_items: int | None = None,
        *,
        iterations: int = 0,
        prior: float = 1.0,
        tolerance: float = 1e-6,
        progress: bool = False,
    ) -> Self:
        """The paper's closed form, or with iterations > 0 EM on the exact likelihood.

        The closed form takes it that a user leaves at the last click, and reads the whole list where there is none:
        α = clicks / impressions at or above the last click, λ_r = the share of clicks at r that are not the last.
        It is quick and biased, since some users go on and find nothing; EM is not. Arguments as in ``PBM.fit``.
        """
        num_states, num_items = check_fit(log, num_states, num_items, prior, iterations, least=0)
        if iterations == 0:
            last = last_click(log)
            clicked, _ = count_positions(log)
            not_last = clicked - torch.bincount(last, minlength=log.length + 1)[:-1]
            attraction = ratio(*count_items(log, last, num_states, num_items), prior)
            return cls(attraction, ratio(not_last, clicked, prior)).named(log)
        clicked, _ = count_clicks(log, num_states, num_items)

        def one_round(attraction: Tensor, continuation: Tensor) -> tuple[Tensor, Tensor]:
            never = torch.zeros_like(attraction)
            counts = expect(log, attraction, never, 1.0, continuation, 0.0)
            return ratio(clicked, counts.examined, prior), share(counts.after_click, prior)

        half = torch.full(clicked.shape, 0.5, dtype=torch.float64, device=clicked.device)
        start = half, half.new_full((log.length,), 0.5)
        return cls(*iterate(one_round, start, iterations, tolerance, progress)).named(log)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        check_shown(state, slates, self.attraction, len(self.continuation))

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        return 1.0, self.continuation[: slates.shape[1]]

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        click = draws.bernoulli("continued", self.continuation[: slates.shape[1]], slates.shape[1])
        return torch.ones_like(click), click


@dataclass(frozen=True, eq=False, repr=False)
class DBN(_BrowsingModel):
    """Dynamic Bayesian network model (Chapelle & Zhang, WWW 2009): users leave bored, or satisfied by a click.

    Symbols, as paper = here:
        a_u = attraction      (S, N) float64
        s_u = satisfaction    (S, N) float64, given a click; its relevance is a_u s_u
        γ = continuation      float, going on from any position that did not satisfy
    """

    attraction: Tensor
    satisfaction: Tensor
    continuation: float

    def __post_init__(self) -> None:
        self._let_in("attraction", (None, None))
        self._let_in("satisfaction", tuple(self.attraction.shape))
        check_number("continuation", self.continuation, 0, 1)

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int | None = None,
        num_items: int | None = None,
        *,
        continuation: float | None = None,
        iterations: int = 50,
        prior: float = 1.0,
        tolerance: float = 1e-6,
        progress: bool = False,
    ) -> Self:
        """EM on the exact likelihood, from 1/2 everywhere. continuation: γ if it is known and held; None: fitted, too.

        The other arguments are those of ``PBM.fit``.
        """
        num_states, num_items = check_fit(log, num_states, num_items, prior, iterations)
        em = iterations, tolerance, progress
        if continuation is not None:
            check_number("continuation", continuation, 0, 1)
        attraction, satisfaction, gamma = fit_dbn(log, num_states, num_items, continuation, prior, em)
        return cls(attraction, satisfaction, float(gamma)).named(log)

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        unsatisfied = 1 - look_up(self.satisfaction, state, slates)
        return self.continuation, self.continuation * unsatisfied

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        skip = draws.uniform("continued", slates.shape[1]) < self.continuation
        return skip, skip & ~draws.bernoulli("satisfied", look_up(self.satisfaction, state, slates), slates)


@dataclass(frozen=True, eq=False, repr=False)
class SDBN(_BrowsingModel):
    """Simplified DBN (Chapelle & Zhang, WWW 2009): DBN whose user only leaves satisfied, γ = 1.

    attraction, satisfaction: (S, N) float64, as in ``DBN``.
    """

    attraction: Tensor
    satisfaction: Tensor

    def __post_init__(self) -> None:
        self._let_in("attraction", (None, None))
        self._let_in("satisfaction", tuple(self.attraction.shape))

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int | None = None,
        num_items: int | None = None,
        *,
        iterations: int = 0,
        prior: float = 1.0,
        tolerance: float = 1e-6,
        progress: bool = False,
    ) -> Self:
        """The paper's closed form, or with iterations > 0 EM on the exact likelihood.

        The closed form counts as ``DCM.fit`` does: attraction = clicks / impressions at or above the last click,
        satisfaction = the share of an item's clicks that are their row's last. It is quick and biased; EM is not.
        """
        num_states, num_items = check_fit(log, num_states, num_items, prior, iterations, least=0)
        if iterations > 0:
            em = iterations, tolerance, progress
            return cls(*fit_dbn(log, num_states, num_items, 1.0, prior, em)[:2]).named(log)
        last = last_click(log)
        clicked, shown = count_items(log, last, num_states, num_items)
        item = log.slates.gather(1, last.clamp(max=log.length - 1)[:, None])[:, 0]
        pair = (log.state * num_items + item)[last < log.length]
        lasts = torch.bincount(pair, minlength=clicked.numel()).view_as(clicked)
        return cls(ratio(clicked, shown, prior), ratio(lasts, clicked, prior)).named(log)

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        return 1.0, 1 - look_up(self.satisfaction, state, slates)

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        click = ~draws.bernoulli("satisfied", look_up(self.satisfaction, state, slates), slates)
        return torch.ones_like(click), click


@dataclass(frozen=True, eq=False, repr=False)
class CCM(_BrowsingModel):
    """Click chain model (Guo et al., WWW 2009): what attracts also satisfies, and the user may leave at any position.

    Symbols, as paper = here:
        α_d = attraction          (S, N) float64, of being clicked when examined and of satisfying when clicked
        τ_1 = after_skip          float, chance to go on
        τ_2 = after_click         float, the same after a click that did not satisfy
        τ_3 = after_satisfied     float, the same after one that did
    """

    attraction: Tensor
    after_skip: float
    after_click: float
    after_satisfied: float

    def __post_init__(self) -> None:
        self._let_in("attraction", (None, None))
        for name in ("after_skip", "after_click", "after_satisfied"):
            check_number(name, getattr(self, name), 0, 1)

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
        """EM on the exact likelihood, from 1/2 everywhere. Arguments as in ``PBM.fit``."""
        num_states, num_items = check_fit(log, num_states, num_items, prior, iterations)
        clicked, clicked_above = count_clicks(log, num_states, num_items)

        def one_round(attraction: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
            after_click = after[1].expand(log.length).contiguous()
            counts = expect(log, attraction, attraction, float(after[0]), after_click, float(after[2]))
            attracted = ratio(clicked + counts.satisfied, counts.examined + clicked_above, prior)
            after = torch.stack([counts.after_skip, counts.after_click.sum(1), counts.after_satisfied], dim=1)
            return attracted, share(after, prior)

        half = torch.full(clicked.shape, 0.5, dtype=torch.float64, device=clicked.device)
        attraction, after = iterate(one_round, (half, half.new_full((3,), 0.5)), iterations, tolerance, progress)
        return cls(attraction, *after.tolist()).named(log)

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        click = attraction * self.after_satisfied + (1 - attraction) * self.after_click
        return self.after_skip, click

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        luck = draws.uniform("continued", slates.shape[1])
        satisfied = draws.bernoulli("satisfied", attraction, slates)
        return luck < self.after_skip, luck < torch.where(satisfied, self.after_satisfied, self.after_click)
