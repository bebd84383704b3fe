"""Click models: how examination becomes clicks. Fitted from logs, evaluated on logs, and plugged in as users.

Chuklin, Markov & de Rijke, "Click Models for Web Search" (2015), collect the models; each class names its own
paper. The formulas of the marginal and conditional click probabilities are the field's standard ones; the exact
E-step of the browsing models is derived here (see ``_posterior``) and held against enumeration by the tests.

In all models C_r = E_r A_r: position r is clicked if it is examined and its item attracts. The models differ in
the examination E_r:

    RCM, DocumentCTR, RankCTR, PBM      independent of the other positions         (``_PositionModel``)
    CascadeModel, DCM, SDBN, DBN, CCM   the user goes down the list until leaving  (``_BrowsingModel``)
    UBM                                 depends on the last position clicked
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from ethogram.simulator.draws import Draws
from ethogram.simulator.history import History

from . import click_kernels
from .cascade import first_true
from .spaces import find_bad_slate

_TINY = 1e-300  # keeps 0 / 0 at 0 where an event has probability 0
_NO_LIMIT = 2**62


@dataclass(frozen=True, eq=False)
class ClickLog:
    """What n users were shown and clicked.

    state: (n,) int64, the user state in which (or the query for which) each slate was shown. slates: (n, m) int64,
    1 to m distinct items, then -1 for empty positions. clicks: (n, m) bool, none on an empty position.
    ``log[rows]`` is part of a log, for a split into training and test.
    """

    state: Tensor
    slates: Tensor
    clicks: Tensor

    def __post_init__(self) -> None:
        _check_shown(self.state, self.slates)
        if len(self) == 0:
            raise ValueError("the log has no rows: expected at least one slate shown")
        if self.clicks.dtype != torch.bool or self.clicks.shape != self.slates.shape:
            raise ValueError(
                f"clicks are {self.clicks.dtype} {tuple(self.clicks.shape)}: expected bool "
                f"{tuple(self.slates.shape)}, one for each position; convert numbers with `clicks == 1`"
            )
        if (self.clicks & (self.slates < 0)).any():
            row = int((self.clicks & (self.slates < 0)).any(1).nonzero()[0])
            raise ValueError(
                f"row {row} has clicks {self.clicks[row].tolist()} on slate {self.slates[row].tolist()}: "
                "expected none on -1, an empty position"
            )

    @classmethod
    def of(cls, history: History) -> Self:
        """The log of a recorded ``CascadingSession``, its valid steps in order, row by row.

        It takes the site "clicks" where it was recorded (``user=`` a click model), and otherwise the one click of
        the site "click".
        """
        valid = history.valid
        slates = history.action[valid]
        if "clicks" in history.columns:
            clicks = history.column("clicks")[valid]
        else:
            clicks = history.column("click")[valid][:, None] == torch.arange(slates.shape[1], device=slates.device)
        return cls(history.observation[:, :-1][valid], slates, clicks)

    def __len__(self) -> int:
        return len(self.state)

    def __getitem__(self, rows: slice | Tensor) -> "ClickLog":
        return ClickLog(self.state[rows], self.slates[rows], self.clicks[rows])

    @property
    def length(self) -> int:
        """m, the number of positions."""
        return self.slates.shape[1]


class Perplexity(NamedTuple):
    """How surprised a model is by each click or skip, 1 (certain and right) to 2 (a coin toss) and beyond."""

    overall: float  # mean of by_position
    by_position: Tensor  # (m,) float64


class ClickModel(ABC):
    """What all click models can do; ``CascadingSession(mdp, user=model)`` lets one click in the world.

    Items and states out of a model's range, malformed slates and probabilities outside [0, 1] raise ValueError.
    """

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """Which positions each user clicks, (n, m) bool.

        observation: "state" (n,) int64, "slate" (n, m) int64, and if present "attraction" (n, m) in [0, 1], which
        then stands in for the model's own, so that a world can intervene on it.
        Draws: "attracted" and "satisfied" of (user, item), wherever the item is shown; "examined" and "continued"
        of (user, position).
        """
        state, slates = observation["state"], observation["slate"]
        self._check(state, slates)
        if "attraction" in observation:
            attraction = observation["attraction"]
            _check_probability('observation["attraction"]', attraction, tuple(slates.shape))
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

    attraction: Tensor  # (S, N), of the models that have one

    def _check(self, state: Tensor, slates: Tensor) -> None:
        """Raise ValueError unless the model covers these states, items and positions."""
        _check_shown(state, slates, self.attraction)

    def _attraction(self, state: Tensor, slates: Tensor) -> Tensor:
        """(n, m) float64, 0 at empty positions."""
        return _look_up(self.attraction, state, slates)

    @abstractmethod
    def _clicks(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> Tensor: ...

    @abstractmethod
    def _marginal(self, state: Tensor, slates: Tensor, attraction: Tensor) -> Tensor: ...

    @abstractmethod
    def _conditional(self, log: ClickLog, attraction: Tensor) -> Tensor: ...


# ---------------------------------------------------------------------------------------------------------------
# Positions examined independently of one another
# ---------------------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True, eq=False)
class RCM(_PositionModel):
    """Random clicks: the same chance for every item at every position. It ignores a given attraction.

    rate: the click-through rate of all that was shown.
    """

    rate: float

    def __post_init__(self) -> None:
        _check_number("rate", self.rate)

    @classmethod
    def fit(cls, log: ClickLog, num_states: int, num_items: int, *, prior: float = 1.0) -> Self:
        """The share clicked, with ``prior`` clicks and as many skips added."""
        _check_fit(log, num_states, num_items, prior)
        clicked, shown = _count_positions(log)
        return cls(float(_ratio(clicked.sum(), shown.sum(), prior)))

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """See ``ClickModel.act``; "attraction" is ignored."""
        return super().act({"state": observation["state"], "slate": observation["slate"]}, history, draws)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        _check_shown(state, slates)

    def _attraction(self, state: Tensor, slates: Tensor) -> Tensor:
        return (slates >= 0).double() * self.rate


@dataclass(frozen=True, eq=False)
class RankCTR(_PositionModel):
    """Each position has its own click-through rate, whatever it shows. It ignores a given attraction.

    rate: (m,) float64.
    """

    rate: Tensor

    def __post_init__(self) -> None:
        _check_probability("rate", self.rate, (None,))

    @classmethod
    def fit(cls, log: ClickLog, num_states: int, num_items: int, *, prior: float = 1.0) -> Self:
        """The share clicked at each position, with ``prior`` clicks and as many skips added."""
        _check_fit(log, num_states, num_items, prior)
        return cls(_ratio(*_count_positions(log), prior))

    def act(self, observation: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """See ``ClickModel.act``; "attraction" is ignored."""
        return super().act({"state": observation["state"], "slate": observation["slate"]}, history, draws)

    def _check(self, state: Tensor, slates: Tensor) -> None:
        _check_shown(state, slates, length=len(self.rate))

    def _attraction(self, state: Tensor, slates: Tensor) -> Tensor:
        return (slates >= 0).double()

    def _examination(self, slates: Tensor) -> Tensor:
        return self.rate[: slates.shape[1]]


@dataclass(frozen=True, eq=False)
class DocumentCTR(_PositionModel):
    """Each item has its own click-through rate in each state, wherever it is shown.

    attraction: (S, N) float64.
    """

    attraction: Tensor

    def __post_init__(self) -> None:
        _check_probability("attraction", self.attraction, (None, None))

    @classmethod
    def fit(cls, log: ClickLog, num_states: int, num_items: int, *, prior: float = 1.0) -> Self:
        """The share clicked of each item in each state, with ``prior`` clicks and as many skips added."""
        _check_fit(log, num_states, num_items, prior)
        everywhere = torch.full_like(log.state, log.length)
        return cls(_ratio(*_count(log, everywhere, num_states, num_items), prior))


@dataclass(frozen=True, eq=False)
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
        _check_probability("attraction", self.attraction, (None, None))
        _check_probability("examination", self.examination, (None,))

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int,
        num_items: int,
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
        _check_fit(log, num_states, num_items, prior, iterations)
        position = torch.arange(log.length, device=log.slates.device).expand_as(log.slates)
        em = iterations, tolerance, progress
        return cls(*_fit_product(log, position, log.length, (num_states, num_items), prior, em))

    def _check(self, state: Tensor, slates: Tensor) -> None:
        _check_shown(state, slates, self.attraction, len(self.examination))

    def _examination(self, slates: Tensor) -> Tensor:
        return self.examination[: slates.shape[1]]


# ---------------------------------------------------------------------------------------------------------------
# Examination that depends on the last click
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
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
        _check_probability("attraction", self.attraction, (None, None))
        _check_probability("examination", self.examination, (None, len(self.examination) + 1))

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int,
        num_items: int,
        *,
        iterations: int = 50,
        prior: float = 1.0,
        tolerance: float = 1e-6,
        progress: bool = False,
    ) -> Self:
        """EM from 1/2 everywhere, as ``PBM.fit``."""
        _check_fit(log, num_states, num_items, prior, iterations)
        m = log.length
        context = torch.arange(m, device=log.slates.device) * (m + 1) + _last_click_above(log.clicks)
        em = iterations, tolerance, progress
        attraction, examination = _fit_product(log, context, m * (m + 1), (num_states, num_items), prior, em)
        return cls(attraction, examination.view(m, m + 1))

    def _check(self, state: Tensor, slates: Tensor) -> None:
        _check_shown(state, slates, self.attraction, len(self.examination))

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


# ---------------------------------------------------------------------------------------------------------------
# Users who go down the list until they leave
# ---------------------------------------------------------------------------------------------------------------


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
        return attraction * _filtered(log.clicks, attraction, after_skip, after_click)


def _filtered(clicks: Tensor, attraction: Tensor, after_skip: float, after_click: Tensor) -> Tensor:
    """P(E_r = 1 | C_1, …, C_{r-1}), (n, m): the forward pass of a browsing model.

    after_skip, after_click: P(E_{r+1} = 1 | E_r = 1), the latter broadcastable to (n, m).
    """
    after_click = after_click.expand_as(attraction)
    examined = [torch.ones_like(attraction[:, 0])]
    for r in range(clicks.shape[1] - 1):
        e, a = examined[r], attraction[:, r]
        passed_over = e * (1 - a) / (1 - e * a).clamp(min=_TINY)  # P(E_r = 1 | C_r = 0, …)
        examined.append(torch.where(clicks[:, r], after_click[:, r], passed_over * after_skip))
    return torch.stack(examined, dim=1)


@dataclass(frozen=True, eq=False)
class CascadeModel(_BrowsingModel):
    """Cascade model, CM (Craswell et al., WSDM 2008): the first item that attracts is clicked, and that is all.

    attraction: (S, N) float64, the paper's α. It is the user of the cascading MDP (Du et al., ICLR 2024). A second
    click has probability 0, so that a log with one has likelihood -inf.
    """

    attraction: Tensor

    def __post_init__(self) -> None:
        _check_probability("attraction", self.attraction, (None, None))

    @classmethod
    def fit(cls, log: ClickLog, num_states: int, num_items: int, *, prior: float = 1.0) -> Self:
        """(clicks + prior) / (impressions + 2 prior) at or above each row's first click; what follows is not used."""
        _check_fit(log, num_states, num_items, prior)
        return cls(_ratio(*_count(log, first_true(log.clicks), num_states, num_items), prior))

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        return 1.0, torch.zeros_like(attraction)

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        skip = torch.ones_like(slates, dtype=torch.bool)
        return skip, ~skip


@dataclass(frozen=True, eq=False)
class DCM(_BrowsingModel):
    """Dependent click model (Guo, Liu & Wang, WSDM 2009): after a click at r the user goes on with chance λ_r.

    Symbols, as paper = here:
        α_d = attraction      (S, N) float64
        λ_r = continuation    (m,) float64; the last one is of no consequence
    """

    attraction: Tensor
    continuation: Tensor

    def __post_init__(self) -> None:
        _check_probability("attraction", self.attraction, (None, None))
        _check_probability("continuation", self.continuation, (None,))

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int,
        num_items: int,
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
        _check_fit(log, num_states, num_items, prior, iterations, least=0)
        if iterations == 0:
            last = _last_click(log)
            clicked, _ = _count_positions(log)
            not_last = clicked - torch.bincount(last, minlength=log.length + 1)[:-1]
            attraction = _ratio(*_count(log, last, num_states, num_items), prior)
            return cls(attraction, _ratio(not_last, clicked, prior))
        clicked, _ = _count_clicks(log, num_states, num_items)

        def one_round(attraction: Tensor, continuation: Tensor) -> tuple[Tensor, Tensor]:
            never = torch.zeros_like(attraction)
            counts = _expect(log, attraction, never, 1.0, continuation, 0.0)
            return _ratio(clicked, counts.examined, prior), _share(counts.after_click, prior)

        half = torch.full(clicked.shape, 0.5, dtype=torch.float64, device=clicked.device)
        start = half, half.new_full((log.length,), 0.5)
        return cls(*_iterate(one_round, start, iterations, tolerance, progress))

    def _check(self, state: Tensor, slates: Tensor) -> None:
        _check_shown(state, slates, self.attraction, len(self.continuation))

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        return 1.0, self.continuation[: slates.shape[1]]

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        click = draws.bernoulli("continued", self.continuation[: slates.shape[1]], slates.shape[1])
        return torch.ones_like(click), click


@dataclass(frozen=True, eq=False)
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
        _check_probability("attraction", self.attraction, (None, None))
        _check_probability("satisfaction", self.satisfaction, tuple(self.attraction.shape))
        _check_number("continuation", self.continuation)

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int,
        num_items: int,
        *,
        iterations: int = 50,
        prior: float = 1.0,
        tolerance: float = 1e-6,
        progress: bool = False,
    ) -> Self:
        """EM on the exact likelihood, from 1/2 everywhere. Arguments as in ``PBM.fit``."""
        _check_fit(log, num_states, num_items, prior, iterations)
        em = iterations, tolerance, progress
        attraction, satisfaction, continuation = _fit_dbn(log, num_states, num_items, None, prior, em)
        return cls(attraction, satisfaction, float(continuation))

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        unsatisfied = 1 - _look_up(self.satisfaction, state, slates)
        return self.continuation, self.continuation * unsatisfied

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        skip = draws.uniform("continued", slates.shape[1]) < self.continuation
        return skip, skip & ~draws.bernoulli("satisfied", _look_up(self.satisfaction, state, slates), slates)


@dataclass(frozen=True, eq=False)
class SDBN(_BrowsingModel):
    """Simplified DBN (Chapelle & Zhang, WWW 2009): DBN whose user only leaves satisfied, γ = 1.

    attraction, satisfaction: (S, N) float64, as in ``DBN``.
    """

    attraction: Tensor
    satisfaction: Tensor

    def __post_init__(self) -> None:
        _check_probability("attraction", self.attraction, (None, None))
        _check_probability("satisfaction", self.satisfaction, tuple(self.attraction.shape))

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int,
        num_items: int,
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
        _check_fit(log, num_states, num_items, prior, iterations, least=0)
        if iterations > 0:
            em = iterations, tolerance, progress
            return cls(*_fit_dbn(log, num_states, num_items, 1.0, prior, em)[:2])
        last = _last_click(log)
        clicked, shown = _count(log, last, num_states, num_items)
        item = log.slates.gather(1, last.clamp(max=log.length - 1)[:, None])[:, 0]
        pair = (log.state * num_items + item)[last < log.length]
        lasts = torch.bincount(pair, minlength=clicked.numel()).view_as(clicked)
        return cls(_ratio(clicked, shown, prior), _ratio(lasts, clicked, prior))

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        return 1.0, 1 - _look_up(self.satisfaction, state, slates)

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        click = ~draws.bernoulli("satisfied", _look_up(self.satisfaction, state, slates), slates)
        return torch.ones_like(click), click


@dataclass(frozen=True, eq=False)
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
        _check_probability("attraction", self.attraction, (None, None))
        for name in ("after_skip", "after_click", "after_satisfied"):
            _check_number(name, getattr(self, name))

    @classmethod
    def fit(
        cls,
        log: ClickLog,
        num_states: int,
        num_items: int,
        *,
        iterations: int = 50,
        prior: float = 1.0,
        tolerance: float = 1e-6,
        progress: bool = False,
    ) -> Self:
        """EM on the exact likelihood, from 1/2 everywhere. Arguments as in ``PBM.fit``."""
        _check_fit(log, num_states, num_items, prior, iterations)
        clicked, clicked_above = _count_clicks(log, num_states, num_items)

        def one_round(attraction: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
            after_click = after[1].expand(log.length).contiguous()
            counts = _expect(log, attraction, attraction, float(after[0]), after_click, float(after[2]))
            attracted = _ratio(clicked + counts.satisfied, counts.examined + clicked_above, prior)
            after = torch.stack([counts.after_skip, counts.after_click.sum(1), counts.after_satisfied], dim=1)
            return attracted, _share(after, prior)

        half = torch.full(clicked.shape, 0.5, dtype=torch.float64, device=clicked.device)
        attraction, after = _iterate(one_round, (half, half.new_full((3,), 0.5)), iterations, tolerance, progress)
        return cls(attraction, *after.tolist())

    def _goes_on(self, state: Tensor, slates: Tensor, attraction: Tensor) -> tuple[float, Tensor]:
        click = attraction * self.after_satisfied + (1 - attraction) * self.after_click
        return self.after_skip, click

    def _would_go_on(self, state: Tensor, slates: Tensor, attraction: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        luck = draws.uniform("continued", slates.shape[1])
        satisfied = draws.bernoulli("satisfied", attraction, slates)
        return luck < self.after_skip, luck < torch.where(satisfied, self.after_satisfied, self.after_click)


# ---------------------------------------------------------------------------------------------------------------
# Estimation
# ---------------------------------------------------------------------------------------------------------------

_EM = tuple[int, float, bool]  # iterations, tolerance, progress


def _iterate(
    one_round: Callable[..., tuple[Tensor, ...]],
    parameters: tuple[Tensor, ...],
    iterations: int,
    tolerance: float,
    progress: bool,
) -> tuple[Tensor, ...]:
    """EM: rounds until no parameter moves by more than ``tolerance``, or ``iterations`` of them.

    progress: show a bar with the largest move. A tolerance below 0 never stops early.
    """
    bar = tqdm(range(iterations), disable=not progress, unit="round")
    for _ in bar:
        before, parameters = parameters, one_round(*parameters)
        change = max(float((new - old).abs().max()) for new, old in zip(parameters, before, strict=True))
        bar.set_postfix(change=f"{change:.2g}", refresh=False)
        if change <= tolerance:
            break
    bar.close()
    return parameters


def _fit_product(
    log: ClickLog, context: Tensor, num_contexts: int, shape: tuple[int, int], prior: float, em: _EM
) -> tuple[Tensor, Tensor]:
    """EM for P(C = 1) = α[state, item] γ[context], the form of PBM and UBM: α of ``shape``, γ (num_contexts,).

    A click was examined and attracted. A skip attracted with probability (1 - γ) α / (1 - γ α) and was examined with
    (1 - α) γ / (1 - γ α). Rows enter through their counts alone, so that a round costs as much as there are different
    (pair, context) skipped, however long the log.
    """
    num_pairs = shape[0] * shape[1]
    index = log.state[:, None] * shape[1] + log.slates  # (n, m)
    clicked, skipped = log.clicks, (log.slates >= 0) & ~log.clicks
    cells, count = torch.unique(index[skipped] * num_contexts + context[skipped], return_counts=True)
    pair, where, count = cells // num_contexts, cells % num_contexts, count.double()
    clicks_of_pair = torch.bincount(index[clicked], minlength=num_pairs).double()
    clicks_at = torch.bincount(context[clicked], minlength=num_contexts).double()
    shown_pair = clicks_of_pair + torch.bincount(pair, count, num_pairs)
    shown_at = clicks_at + torch.bincount(where, count, num_contexts)

    expect_skips = _expect_skips_compiled if pair.is_cpu else _expect_skips_torch

    def one_round(attraction: Tensor, examination: Tensor) -> tuple[Tensor, Tensor]:
        attracted, examined = expect_skips(pair, where, count, attraction, examination)
        attraction = _ratio(clicks_of_pair + attracted, shown_pair, prior)
        return attraction, _ratio(clicks_at + examined, shown_at, prior)

    start = torch.full_like(shown_pair, 0.5), torch.full_like(shown_at, 0.5)
    attraction, examination = _iterate(one_round, start, *em)
    return attraction.view(shape), examination


def _expect_skips_compiled(
    pair: Tensor, where: Tensor, count: Tensor, attraction: Tensor, examination: Tensor
) -> tuple[Tensor, Tensor]:
    """How many of the skips attracted, by pair, and were examined, by context."""
    attracted, examined = torch.zeros_like(attraction), torch.zeros_like(examination)
    tensors = pair, where, count, attraction, examination, attracted, examined
    click_kernels.expect_skips(*(t.numpy() for t in tensors))
    return attracted, examined


def _expect_skips_torch(
    pair: Tensor, where: Tensor, count: Tensor, attraction: Tensor, examination: Tensor
) -> tuple[Tensor, Tensor]:
    a, g = attraction[pair], examination[where]
    share = count / (1 - a * g).clamp(min=_TINY)
    attracted = torch.bincount(pair, share * (1 - g) * a, len(attraction))
    return attracted, torch.bincount(where, share * (1 - a) * g, len(examination))


def _fit_dbn(
    log: ClickLog, num_states: int, num_items: int, continuation: float | None, prior: float, em: _EM
) -> tuple[Tensor, Tensor, Tensor]:
    """EM for DBN; a given continuation is kept. Attraction, satisfaction (S, N) and continuation ()."""
    clicked, clicked_above = _count_clicks(log, num_states, num_items)

    def one_round(attraction: Tensor, satisfaction: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        after_click = gamma.expand(log.length).contiguous()
        counts = _expect(log, attraction, satisfaction, float(gamma), after_click, 0.0)
        if continuation is None:
            gamma = _share(counts.after_skip + counts.after_click.sum(1), prior)
        return (
            _ratio(clicked, counts.examined, prior),
            _ratio(counts.satisfied, clicked_above, prior),
            gamma,
        )

    half = torch.full(clicked.shape, 0.5, dtype=torch.float64, device=clicked.device)
    gamma = half.new_tensor(0.5 if continuation is None else continuation)
    attraction, satisfaction, gamma = _iterate(one_round, (half, half, gamma), *em)
    return attraction, satisfaction, gamma


class _Expected(NamedTuple):
    """Expected counts of a browsing model given all clicks: what its M-steps need.

    Of going on, the counts are (times gone on, times at that point), where something is shown below.
    """

    examined: Tensor  # (S, N)
    satisfied: Tensor  # (S, N) clicks that satisfied, where something is shown below
    after_skip: Tensor  # (2,)
    after_click: Tensor  # (2, m) after clicks that did not satisfy, by position
    after_satisfied: Tensor  # (2,) after those that did


def _expect(
    log: ClickLog,
    attraction: Tensor,
    satisfaction: Tensor,
    after_skip: float,
    after_click: Tensor,
    after_satisfied: float,
) -> _Expected:
    """The E-step of the browsing models. Derived here, not from a paper.

    A click satisfies with probability ``satisfaction`` (S, N); the user goes on with probability ``after_skip``,
    ``after_click`` (m,) if not satisfied, ``after_satisfied``. DCM has no satisfaction, DBN never goes on satisfied.

    Down to the last click every position was examined. Below it nothing is clicked, so with the forward probability
    e_r = P(E_r = 1 | C_1, …, C_{r-1}) and x_r = P(a click at r or below | E_r = 1), Bayes' rule gives
    P(E_r = 1 | C_1, …, C_m) = e_r (1 - x_r) / (1 - e_r x_r). Since E_{r+1} = 1 implies E_r = 1, these marginals
    count the times of going on, too, and whether a click satisfied depends on that alone.
    """
    expect = _expect_compiled if log.slates.is_cpu else _expect_torch
    return expect(log, attraction, satisfaction, after_skip, after_click, after_satisfied)


def _expect_compiled(
    log: ClickLog,
    attraction: Tensor,
    satisfaction: Tensor,
    after_skip: float,
    after_click: Tensor,
    after_satisfied: float,
) -> _Expected:
    by_position = (torch.zeros(shape, dtype=torch.float64) for shape in [(2,), (2, log.length), (2,)])
    counts = _Expected(torch.zeros_like(attraction), torch.zeros_like(attraction), *by_position)
    tensors = log.state, log.slates, log.clicks, attraction, satisfaction, after_click
    arrays, sums = ([t.numpy() for t in group] for group in (tensors, counts))
    click_kernels.expect(*arrays, after_skip, after_satisfied, *sums)
    return counts


def _expect_torch(
    log: ClickLog,
    attraction: Tensor,
    satisfaction: Tensor,
    after_skip: float,
    after_click: Tensor,
    after_satisfied: float,
) -> _Expected:
    shown = log.slates >= 0
    a, s = _look_up(attraction, log.state, log.slates), _look_up(satisfaction, log.state, log.slates)
    goes_on = s * after_satisfied + (1 - s) * after_click
    x = [torch.zeros_like(a[:, 0])]
    for r in reversed(range(log.length)):
        x.append(a[:, r] + (1 - a[:, r]) * after_skip * x[-1])
    x_r = torch.stack(x[:0:-1], dim=1)
    e_r = _filtered(log.clicks, a, after_skip, goes_on)
    above = log.clicks.flip(1).byte().cummax(1).values.flip(1) > 0  # at or above the last click
    examined = torch.where(above, 1.0, e_r * (1 - x_r) / (1 - e_r * x_r).clamp(min=_TINY)) * shown
    below, followed = pad(examined[:, 1:], (0, 1)), pad(shown[:, 1:], (0, 1))
    click, skip = (log.clicks & followed).double(), (~log.clicks & followed).double()
    pleased = click * below * s * after_satisfied / goes_on.clamp(min=_TINY)  # satisfied and went on
    left = click * (1 - below) * s * (1 - after_satisfied) / (1 - goes_on).clamp(min=_TINY)
    satisfied = pleased + left

    def by_pair(values: Tensor) -> Tensor:
        pair = log.state[:, None] * attraction.shape[1] + log.slates
        return torch.bincount(pair[shown], values[shown], attraction.numel()).view_as(attraction)

    return _Expected(
        by_pair(examined),
        by_pair(satisfied),
        torch.stack([(skip * below).sum(), (skip * examined).sum()]),
        torch.stack([(click * below - pleased).sum(0), (click - satisfied).sum(0)]),
        torch.stack([pleased.sum(), satisfied.sum()]),
    )


def _ratio(hits: Tensor, tries: Tensor, prior: float) -> Tensor:
    """(hits + prior) / (tries + 2 prior), float64; 1/2 where nothing was tried and the prior is 0."""
    total = tries.double() + 2 * prior
    return torch.where(total > 0, (hits + prior) / total.clamp(min=_TINY), 0.5)


def _share(counts: Tensor, prior: float) -> Tensor:
    """``_ratio`` of counts[0] to counts[1]."""
    return _ratio(counts[0], counts[1], prior)


def _last_click(log: ClickLog) -> Tensor:
    """(n,) position of each row's last click, m where there is none."""
    if log.clicks.is_cpu:
        last = torch.empty_like(log.state)
        click_kernels.last_true(log.clicks.numpy(), last.numpy())
        return last
    last = log.length - 1 - first_true(log.clicks.flip(1))
    return last.where(last >= 0, log.length)


def _count_positions(log: ClickLog) -> tuple[Tensor, Tensor]:
    """(m,) int64 clicks and impressions at each position."""
    if log.clicks.is_cpu:
        clicked, shown = torch.zeros(2, log.length, dtype=torch.int64)
        click_kernels.count_positions(*(t.numpy() for t in (log.slates, log.clicks, clicked, shown)))
        return clicked, shown
    return log.clicks.sum(0), (log.slates >= 0).sum(0)


def _count(log: ClickLog, stop: Tensor, num_states: int, num_items: int) -> tuple[Tensor, Tensor]:
    """(S, N) int64 clicks and impressions of each item in each state, at positions 0 to ``stop[i]`` of row i."""
    count = _count_compiled if log.slates.is_cpu else _count_torch
    return count(log, stop, num_states, num_items)


def _count_compiled(log: ClickLog, stop: Tensor, num_states: int, num_items: int) -> tuple[Tensor, Tensor]:
    clicked = torch.zeros(num_states, num_items, dtype=torch.int64)
    shown = torch.zeros_like(clicked)
    tensors = log.state, log.slates, log.clicks, stop, clicked, shown
    click_kernels.count(*(t.numpy() for t in tensors))
    return clicked, shown


def _count_torch(log: ClickLog, stop: Tensor, num_states: int, num_items: int) -> tuple[Tensor, Tensor]:
    counts = (log.slates >= 0) & (torch.arange(log.length, device=stop.device) <= stop[:, None])
    pair = (log.state[:, None] * num_items + log.slates)[counts]
    clicked, shown = (
        torch.bincount(pairs, minlength=num_states * num_items).view(num_states, num_items)
        for pairs in (pair[log.clicks[counts]], pair)
    )
    return clicked, shown


def _count_clicks(log: ClickLog, num_states: int, num_items: int) -> tuple[Tensor, Tensor]:
    """(S, N) int64 clicks, and clicks above each row's lowest item, where it matters whether they satisfied."""
    lowest = (log.slates >= 0).sum(1) - 1
    clicked, above = (_count(log, stop, num_states, num_items)[0] for stop in (lowest, lowest - 1))
    return clicked, above


def _look_up(table: Tensor, state: Tensor, slates: Tensor) -> Tensor:
    """(n, m) entries of an (S, N) table, 0 at empty positions."""
    return torch.where(slates >= 0, table[state[:, None], slates], 0.0)


# ---------------------------------------------------------------------------------------------------------------
# What is let in
# ---------------------------------------------------------------------------------------------------------------


def _check_shown(state: Tensor, slates: Tensor, table: Tensor | None = None, length: int | None = None) -> None:
    """Raise ValueError unless these are states and slates, within an (S, N) table and of at most ``length``."""
    if slates.dtype != torch.int64 or slates.dim() != 2 or slates.shape[1] == 0:
        raise ValueError(
            f"slates are {slates.dtype} {tuple(slates.shape)}: expected int64 (rows, positions); pad shorter ones "
            "with -1"
        )
    if state.dtype != torch.int64 or tuple(state.shape) != (len(slates),):
        raise ValueError(
            f"state is {state.dtype} {tuple(state.shape)}: expected int64 ({len(slates)},), one for each slate"
        )
    if length is not None and slates.shape[1] > length:
        raise ValueError(
            f"slates have {slates.shape[1]} positions: expected at most {length}, as many as the model has parameters "
            "for"
        )
    num_states, num_items = (_NO_LIMIT, _NO_LIMIT) if table is None else table.shape
    row = find_bad_slate(slates, num_items)
    if row >= 0:
        below = "" if table is None else f" below {num_items}"
        raise ValueError(
            f"slate of row {row} is {slates[row].tolist()}: expected distinct items from 0{below}, then -1 for empty "
            "positions"
        )
    if len(state) and (int(state.min()) < 0 or int(state.max()) >= num_states):
        row = int(((state < 0) | (state >= num_states)).nonzero()[0])
        below = "" if table is None else f" to {num_states - 1}"
        raise ValueError(f"state of row {row} is {int(state[row])}: expected 0{below}")


def _check_probability(name: str, table: Tensor, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless a floating-point table has this shape (None: any) and numbers in [0, 1]."""
    fits = table.dim() == len(shape) and all(want in (None, is_) for want, is_ in zip(shape, table.shape, strict=True))
    if not fits or not table.is_floating_point() or table.numel() == 0:
        words = "(" + ", ".join("any" if want is None else str(want) for want in shape) + ")"
        raise ValueError(f"{name} is {table.dtype} {tuple(table.shape)}: expected float64 {words}, not empty")
    low, high = (float(end) for end in torch.aminmax(table))
    if not (low >= 0 and high <= 1):  # NaN is neither
        where = (~((table >= 0) & (table <= 1))).nonzero()[0].tolist()
        raise ValueError(f"{name}{where} is {float(table[tuple(where)]):.6g}: expected a probability in [0, 1]")


def _check_number(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}: expected a probability in [0, 1]")


def _check_fit(
    log: ClickLog, num_states: int, num_items: int, prior: float, iterations: int = 1, least: int = 1
) -> None:
    item, state = int(log.slates.max()), int(log.state.max())
    if item >= num_items or state >= num_states:
        raise ValueError(
            f"the log has item {item} and state {state} as its highest: expected items below num_items = {num_items} "
            f"and states below num_states = {num_states}"
        )
    if not 0 <= prior < float("inf"):
        raise ValueError(f"prior is {prior}: expected a number from 0, of clicks and of skips to add")
    if iterations < least:
        raise ValueError(f"iterations is {iterations}: expected at least {least} rounds of EM")
