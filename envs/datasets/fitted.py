"""From a log of sessions to users who can be simulated: their states, moves and clicks, and how well that fits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator import Draws, Sites, as_tensor, check_callable, check_is, check_number, checked_int
from ethogram.simulator.formats import Ids

from ..clicks import DBN, ClickLog, ClickModel, RankCTR
from ..sessions import CascadingMDP, CascadingSession, Visit
from .session_log import SessionLog, clicked_item
from .tastes import cluster, count_pairs, nearest, profiles, transitions


@dataclass(frozen=True, eq=False)
class FittedSession(CascadingSession):
    """A ``CascadingSession`` whose users begin in states drawn from a distribution, and pay in the log's unit.

    start: (S,) float64 probabilities, the draw "start". unit: what a reward of 1 of the mdp is worth.
    """

    start: Tensor | None = None
    unit: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        states = self.mdp.num_states
        check_number("unit", self.unit)
        if self.unit == 0:
            raise ValueError("unit is 0: expected a number above 0")
        if self.start is None:
            return
        start = as_tensor("start", self.start, dtype=torch.float64).double()
        if start.shape != (states,) or not (start >= 0).all() or not abs(float(start.sum()) - 1) < 1e-6:
            raise ValueError(
                f"start is {start.tolist()}: expected the probabilities of {states} states, which sum to 1"
            )
        object.__setattr__(self, "start", start)

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Tensor]:
        """Users in states of their own."""
        state, seen = super().reset(draws, site)
        if self.start is None:
            return state, seen
        first = draws.inverse_cdf("start", self.start.cumsum(0)[None], torch.zeros_like(seen))
        return (state._replace(state=first) if isinstance(state, Visit) else first), first

    @cached_property
    def _reward(self) -> Tensor:
        return self.unit * pad(self.mdp.reward, (0, 1)).float().flatten()


class HeldOut(NamedTuple):
    """Mean log-probability in nats (of rewards: the root mean squared error) of what was held out."""

    model: float
    baseline: float  # of a simpler one, see ``fit_sessions``
    num: int  # how many were held out


@dataclass(frozen=True, eq=False)
class SessionFit:
    """Users fitted to a log of sessions: a world (``world``), its numbers (``mdp``), and what they are called."""

    mdp: CascadingMDP  # rewards in units of ``unit``
    user: ClickModel
    start: Tensor  # (S,) float64, the probability that a session begins in each state
    unit: float  # the largest mean reward of a click, in the log's unit
    state_ids: Ids  # (S,) the log's, or 0 to S - 1 for clusters
    item_ids: Ids  # (N,)
    profiles: Tensor | None  # (S, F) centres of clustered states
    held_out: Mapping[str, HeldOut]  # "clicks" a list, "next state", "first state", "reward" a click

    @property
    def world(self) -> FittedSession:
        """The sessions as a world, with the click model as its user."""
        return FittedSession(self.mdp, self.user, self.start, self.unit)

    def __repr__(self) -> str:
        fit = ", ".join(f"{name} {f.model:.4g} (baseline {f.baseline:.4g})" for name, f in self.held_out.items())
        sizes = f"{self.mdp.num_states} states, {self.mdp.num_items} items, lists of up to {self.mdp.length}"
        return f"SessionFit({type(self.user).__name__}, {sizes}; held out: {fit or 'nothing'})"


def fit_sessions(
    log: SessionLog,
    *,
    num_states: int | None = None,
    features: Any = None,
    user: Callable[[ClickLog], ClickModel] = DBN.fit,
    horizon: int | None = None,
    memory: float = 0.7,
    strength: float = 10.0,
    held_out: int = 5,
    seed: int = 0,
) -> SessionFit:
    """Users of a log: states, how they move, where they begin, how they click, and what a click is worth.

    num_states: to cluster lists into so many states, where the log has none. A user's profile before a list is a mean
        of ``features`` (N, F) of the items clicked so far, which keeps ``memory`` of itself at each click and begins at
        the mean over all clicks; its state is the nearest centre (k-means++ seeded by ``seed``, then Lloyd). features
        None: each item is a feature of its own. num_states None, and no state in the log: one state.
    user: a click model's ``fit``, such as ``DBN.fit`` or ``lambda log: PBM.fit(log, iterations=500)``; one with an
        attraction by item.
    horizon: lists a session; None: the log's mean, rounded.
    strength: how many made-up counts pull an estimate towards a coarser one: the next state after a click on an item
        towards that after any click in the state, that towards uniform (one count), as after no click; the worth of an
        item's clicks in a state towards the item's mean, and that towards the mean of all.
    held_out: every so many-th session is left out, and the others' estimates are held against it: clicks against
        ``RankCTR`` (each position its rate), next states against their shares, first ones against even shares, worth
        against its mean. The model returned is then fitted to all sessions. 0 leaves nothing out.

    What a log cannot tell is in no estimate: it shows associations under the policy that logged, not the effect of
    showing other lists. Raises ValueError for a log without clicks, and numbers out of range.
    """
    check_is("log", log, SessionLog, "a SessionLog; SessionLog.from_frame(table, …) reads one")
    check_callable("user", user, "a click model's fit, such as DBN.fit")
    check_number("memory", memory, 0, 1)
    check_number("strength", strength)
    checked_int("held_out", held_out, 0)
    if not log.lists.clicks.any():
        raise ValueError("the log has no clicks: expected some, for nothing says what attracts or moves users")
    if not (0 < memory < 1 and strength > 0 and held_out != 1):
        raise ValueError(
            f"memory {memory}, strength {strength}, held_out {held_out}: expected memory between 0 and 1, a strength "
            "above 0, and every 2nd session or fewer held out"
        )
    if log.has_states and num_states is not None:
        raise ValueError(f"num_states is {num_states}, and the log has states of its own: expected one of the two")
    if features is not None and num_states is None:
        raise ValueError("features without num_states: expected into how many states to cluster lists by them")
    states, moved, centres = log.lists.state, None, None
    if num_states is not None:
        num_states = checked_int("num_states", num_states, 1)
        states, moved, centres = _clustered(log, num_states, features, memory, seed)
    data = _Data.of(log, states, moved, num_states or log.lists.num_states)
    shown = {}
    if held_out:
        out = torch.arange(len(log)) % held_out == held_out - 1
        if not out.any():
            raise ValueError(f"held_out is {held_out}, and the log has {len(log)} sessions: expected at least as many")
        shown = _fit(data, ~out, user, strength).held_against(data, out)
    found = _fit(data, torch.ones(len(log), dtype=torch.bool), user, strength)
    unit = float(found.worth.max()) or 1.0
    if horizon is None:
        horizon = max(1, round(len(log.lists) / len(log)))
    mdp = CascadingMDP(found.user.parameters["attraction"], found.moves, found.worth / unit, log.lists.length, horizon)
    state_ids = log.lists.state_ids if log.lists.state_ids is not None else np.arange(mdp.num_states)
    item_ids = log.lists.item_ids if log.lists.item_ids is not None else np.arange(mdp.num_items)
    return SessionFit(mdp, found.user, found.start, unit, state_ids, item_ids, centres, shown)


def _clustered(
    log: SessionLog, num_states: int, features: Any, memory: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(R,) states before and after each list, and the (S, F) centres."""
    items = log.lists.num_items
    table = (
        torch.eye(items).double() if features is None else as_tensor("features", features, dtype=torch.float64).double()
    )
    if table.dim() != 2 or len(table) != items or not table.isfinite().all():
        raise ValueError(
            f"features are {tuple(table.shape)}: expected finite numbers ({items}, F), a row for each item"
        )
    clicked = clicked_item(log.lists)
    met = pad(table, (0, 0, 0, 1))[clicked]  # -1, no click: zeros
    before, after, _ = profiles(log.starts, met, memory)
    centres = cluster(before, num_states, seed)
    return nearest(before, centres), nearest(after, centres), centres


@dataclass(frozen=True, eq=False)
class _Data:
    """R lists as the estimates read them."""

    lists: ClickLog  # with the states
    session: Tensor  # (R,)
    first: Tensor  # (R,) bool
    item: Tensor  # (R,) of the last click, N for none
    follows: Tensor  # (R,) bool: a next state is known
    becomes: Tensor  # (R,) it
    reward: Tensor  # (R,)

    @classmethod
    def of(cls, log: SessionLog, states: Tensor, moved: Tensor | None, num_states: int) -> "_Data":
        old = log.lists
        ids = old.state_ids if moved is None else np.arange(num_states)
        lists = ClickLog(states, old.slates, old.clicks, state_ids=ids, item_ids=old.item_ids)
        session = log.session
        first = pad(session[1:] != session[:-1], (1, 0), value=True)
        follows = ~pad(first[1:], (0, 1), value=True) if moved is None else torch.ones_like(first)
        becomes = states.roll(-1) if moved is None else moved
        item = clicked_item(old)
        return cls(lists, session, first, item.where(item >= 0, old.num_items), follows, becomes, log.reward)


@dataclass(frozen=True, eq=False)
class _Estimates:
    user: ClickModel
    moves: Tensor  # (S, N + 1, S)
    start: Tensor  # (S,)
    worth: Tensor  # (S, N)
    rates: RankCTR  # and the other baselines
    share: Tensor  # (S,) of next states
    mean: float  # worth of a click

    def held_against(self, data: _Data, out: Tensor) -> dict[str, HeldOut]:
        """The log-probabilities of what the sessions ``out`` (n,) bool did."""
        rows = out[data.session]
        lists, clicked = data.lists[rows], rows & (data.item < data.lists.num_items)
        follows, first = rows & data.follows, rows & data.first
        chance = self.moves[data.lists.state, data.item, data.becomes].log()
        begun = self.start[data.lists.state].log()
        found = {
            "clicks": [self.user.log_likelihood(lists), self.rates.log_likelihood(lists)],
            "next state": [chance[follows], self.share[data.becomes[follows]].log()],
            "first state": [begun[first], torch.full((int(first.sum()),), 1 / len(self.start)).double().log()],
        }
        shown = {k: HeldOut(float(m.mean()), float(b.mean()), len(m)) for k, (m, b) in found.items() if len(m)}
        paid = data.reward[clicked]
        if len(paid) and bool((paid != paid[0]).any()):
            off = paid - self.worth[data.lists.state[clicked], data.item[clicked]], paid - self.mean
            model, baseline = (float(wrong.square().mean().sqrt()) for wrong in off)
            shown["reward"] = HeldOut(model, baseline, len(paid))
        return shown


def _fit(data: _Data, sessions: Tensor, user: Callable[[ClickLog], ClickModel], strength: float) -> _Estimates:
    """All estimates from some of the sessions, (n,) bool."""
    rows = sessions[data.session]
    states, items = data.lists.num_states, data.lists.num_items
    state, item, becomes, reward = data.lists.state, data.item, data.becomes, data.reward
    model = user(data.lists[rows])
    if tuple(model.parameters.get("attraction", torch.zeros(0)).shape) != (states, items):
        raise ValueError(f"user gives {model!r}: expected a click model with an attraction ({states}, {items})")
    clicked, follows = rows & (item < items), rows & data.follows
    after_any = transitions(state, becomes, follows & clicked, states, prior=1 / states)
    after_none = transitions(state, becomes, follows & ~clicked, states, prior=1 / states)
    some = follows & clicked
    pairs = state[some] * items + item[some]
    counts = count_pairs(pairs, becomes[some], states * items, states).view(states, items, states)
    after_click = (counts + strength * after_any[:, None]) / (counts.sum(-1, keepdim=True) + strength)
    moves = torch.cat([after_click, after_none[:, None]], 1)

    mean = float(reward[clicked].mean())
    cell = (state * items + item)[clicked]
    total = torch.zeros(states * items).double().index_add_(0, cell, reward[clicked]).view(states, items)
    count = cell.bincount(minlength=states * items).view(states, items)
    by_item = (total.sum(0) + strength * mean) / (count.sum(0) + strength)
    worth = (total + strength * by_item) / (count + strength)

    def shares(of: Tensor) -> Tensor:
        counted = of.bincount(minlength=states) + 1 / states
        return counted / counted.sum()

    rates = RankCTR.fit(data.lists[rows])
    return _Estimates(model, moves, shares(state[rows & data.first]), worth, rates, shares(becomes[follows]), mean)
