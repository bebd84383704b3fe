"""Recommendation sessions: a user with a state looks down a list and clicks the first item that attracts them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn.functional import pad

from ethogram.simulator import (
    Draws,
    History,
    Memory,
    Policy,
    Sites,
    Transition,
    ask,
    check_has,
    check_is,
    nothing_yet,
    steps_remembered,
    thresholds,
)

from . import kernels
from .arrays import clicked_rows, first_true, lookup
from .mdp import CascadingMDP
from .slates import Slates, check_slates


class Visit(NamedTuple):
    """The state of ``CascadingSession`` whose users remember."""

    state: Tensor  # (n,) int64 user state
    memory: Memory  # of the user: lists seen, and clicks


@dataclass(frozen=True, eq=False)
class CascadingSession:
    """The cascading MDP as a world (Du, Srikant & Chen, ICLR 2024, section 3).

    Observation: user state, (n,) int64 in [0, S). Action: slate, (n, m) int64, distinct items, -1 for positions
    left empty at the end. Reward: r(state, item) of the item clicked, 0 for no click. Never terminates; the horizon
    truncates it.

    user: None, or a click model that decides which of the items shown are examined and clicked (see ``envs.clicks``).
    It may click several: the last one is the click that is rewarded and moves the user. If it is ``Remembering``, its
    history is what it saw, a dict of "state" (n, T + 1), "slate" and "attraction" (n, T + 1, m), and what it clicked,
    (n, T, m) bool, in its last ``memory`` lists, with rewards 0; else it has no steps.

    Sites: "attraction" (n, m) float64, probability that an item attracts if examined; "clicks" (n, m) bool, with
    ``user`` only; "click" (n,) int64, position clicked, m for none; "state" (n,) int64, where the user goes.
    Tells: "clicked_item" (n,) int64, -1 for none.
    Draws: whether an item attracts is drawn for (user, item, step), whatever its position.
    """

    mdp: CascadingMDP
    user: Policy | None = None

    def __post_init__(self) -> None:
        check_is("mdp", self.mdp, CascadingMDP, "a CascadingMDP")
        if self.user is not None:
            check_has("user", self.user, "a click model", "act")

    @property
    def observation_space(self) -> spaces.Discrete[Any]:
        """User states."""
        return spaces.Discrete(self.mdp.num_states)

    @property
    def action_space(self) -> Slates:
        """Lists of 1 to m items."""
        return Slates(self.mdp.num_items, self.mdp.length)

    @cached_property
    def _remembered(self) -> int:
        return steps_remembered(self.user)

    @cached_property
    def _attraction(self) -> Tensor:
        return pad(self.mdp.attraction, (0, 1))  # (S, N + 1): index -1, an empty position, attracts nobody

    @cached_property
    def _reward(self) -> Tensor:
        return pad(self.mdp.reward, (0, 1)).float().flatten()  # (S (N + 1),): no click is worth nothing

    @cached_property
    def _cumulative(self) -> Tensor:
        return self.mdp.transition.cumsum(-1).flatten(0, 1)  # (S (N + 1), S) of p(. | s, a)

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Tensor]:
        """All users in the initial state."""
        self.mdp.check_unchanged()
        state = torch.full_like(draws.ids, self.mdp.initial)
        site.tell("clicked_item", torch.full_like(state, -1))
        if not self._remembered:
            return state, state
        slate = torch.zeros(len(state), self.mdp.length, dtype=torch.int64, device=state.device)
        seen = {"state": state, "slate": slate, "attraction": slate.to(self.mdp.attraction.dtype)}
        return Visit(state, Memory.empty(self._remembered, seen, slate.bool())), state

    def step(self, state: Any, slate: Tensor, draws: Draws, site: Sites) -> Transition:
        """One list shown. Shapes: state (n,), or a Visit of users who remember; slate (n, m)."""
        state, memory = state if self._remembered else (state, None)
        plain = self.user is None and type(draws) is Draws and state.is_cpu
        if plain and site.untouched("attraction", "click", "state"):
            return self._step_compiled(state, slate, draws, site)
        items, length = self.mdp.num_items, self.mdp.length
        self._check_state(state, draws)
        check_slates(slate, len(state), items, length)
        attraction = site("attraction", lookup(self._attraction, state, slate))  # (n, m) probability
        _check("attraction", attraction, 0, 1)
        if self.user is None:
            click = first_true(draws.bernoulli("attracted", attraction, index=slate))  # (n,)
        else:
            seen = {"state": state, "slate": slate, "attraction": attraction}
            present = None if memory is None else memory.seeing(seen)
            before = nothing_yet(draws) if present is None else present.history(draws)
            clicks = site("clicks", ask(self.user, seen, before, draws.scoped("user"), site))  # (n, m) bool
            _check_clicks(clicks, slate)
            memory = None if present is None else present.after(clicks)
            click = length - 1 - first_true(clicks.flip(1))  # the last; -1 for none
            click = click.where(click >= 0, length)
        click = site("click", click)  # (n,) position, m for none
        _check("click", click, 0, length)
        outcome = clicked_rows(state, slate, click, items)  # (n,) row of the (s, a) tables
        site.tell("clicked_item", _item(outcome, items))
        after = site("state", draws.inverse_cdf("state", self._cumulative, outcome))  # (n,)
        _check("state", after, 0, self.mdp.num_states - 1)
        state = after if memory is None else Visit(after, memory)
        return Transition(state, after, self._reward[outcome], torch.zeros_like(after, dtype=torch.bool))

    def _check_state(self, state: Any, draws: Draws) -> None:
        """ValueError for a state of another world, or of other rows."""
        rows, top = len(draws.ids), self.mdp.num_states - 1
        good = isinstance(state, Tensor) and state.dtype == torch.int64 and tuple(state.shape) == (rows,)
        if not good or ((state < 0) | (state > top)).any():
            what = f"{state.dtype} {tuple(state.shape)}" if isinstance(state, Tensor) else f"a {type(state).__name__}"
            what = f"{state.min()} to {state.max()}" if good else what
            raise ValueError(f"state is {what}: expected int64 ({rows},), from 0 to {top}, as this world makes it")

    @cached_property
    def _compiled(self) -> tuple[np.ndarray[Any, Any], ...]:
        """Tables of ``kernels.session_step``."""
        attraction, cumulative = thresholds(self._attraction.flatten()), thresholds(self._cumulative)
        return attraction.numpy().astype(np.uint32), self._reward.numpy(), cumulative.numpy().astype(np.uint32)

    def _step_compiled(self, state: Tensor, slate: Tensor, draws: Draws, site: Sites) -> Transition:
        """The same bits in one pass, for when nobody changes what lies in between."""
        if state.dtype is not torch.int64 or state.dim() != 1:
            self._check_state(state, draws)
        rows, length = state.shape[0], self.mdp.length
        if not isinstance(slate, Tensor) or slate.dtype != torch.int64 or slate.shape != (rows, length):
            check_slates(slate, rows, self.mdp.num_items, length)  # the kernel relies on the shape, and looks at items
        unseen = site.unwatched("attraction", "click", "state")
        after, reward = np.empty(rows, np.int64), np.empty(rows, np.float32)
        click = np.empty(0 if unseen else rows, np.int64)
        item = np.empty(0 if site.told is None else rows, np.int64)
        good = kernels.session_step(
            *draws.keyed("attracted"),
            *draws.keyed("state"),
            state.numpy(),
            slate.contiguous().numpy(),  # one layout, compiled once
            *self._compiled,
            after,
            reward,
            click,
            item,
        )
        if not good:
            check_slates(slate, rows, self.mdp.num_items, length)
            self._check_state(state, draws)
        site.tell("clicked_item", item)
        moved = torch.from_numpy(after)
        if not unseen:
            if not site.unwatched("attraction"):
                site("attraction", lookup(self._attraction, state, slate))
            site("click", torch.from_numpy(click))
            site("state", moved)
        never = torch.from_numpy(np.zeros(rows, np.bool_))
        return Transition(moved, moved, torch.from_numpy(reward), never)

    def evidence(self, history: History) -> dict[str, tuple[Tensor, Tensor]]:
        """The draws of this world that a history with the site "click" reveals, for ``abduct``.

        Items above the click did not attract, the clicked one did, those below were not looked at; the next
        observation is the state drawn.
        """
        if self.user is not None:
            raise ValueError("evidence of a session with user=: expected the cascade user, whose draws a click reveals")
        click, slates = history.column("click")[..., None], history.action  # (n, T, 1), (n, T, m)
        if slates.dim() != 3 or slates.shape[2] != self.mdp.length:
            raise ValueError(
                f"actions have shape {tuple(slates.shape)}: expected (rows, steps, {self.mdp.length}); pad shorter "
                "lists with -1"
            )
        _check("click", click.where(history.valid[..., None], 0), 0, self.mdp.length)
        position = torch.arange(self.mdp.length, device=slates.device)
        examined = (position <= click) & (slates >= 0) & history.valid[..., None]
        after = history.observation[:, 1:]
        return {"attracted": (position == click, examined), "state": (after, history.valid)}


def _item(outcome: Tensor, items: int) -> Tensor:
    """(n,) int64 the item of rows of the (s, a) tables, -1 where nothing was clicked."""
    item = outcome % (items + 1)
    return item.where(item < items, -1)


def _check(name: str, value: Tensor, low: int, high: int) -> None:
    """An intervention can make a quantity anything: what the step cannot use is refused."""
    outside = ~((value >= low) & (value <= high))  # NaN is outside too
    if outside.any():
        row = int(outside.flatten(1).any(1).nonzero()[0]) if value.dim() > 1 else int(outside.nonzero()[0])
        raise ValueError(f"site '{name}' of row {row} is {value[row].tolist()}: expected {low} to {high}")


def _check_clicks(clicks: Tensor, slate: Tensor) -> None:
    if not isinstance(clicks, Tensor) or clicks.dtype != torch.bool or clicks.shape != slate.shape:
        what = f"{clicks.dtype} {tuple(clicks.shape)}" if isinstance(clicks, Tensor) else type(clicks).__name__
        raise ValueError(f"clicks of the user are {what}: expected bool {tuple(slate.shape)}, one for each position")
    if (clicks & (slate < 0)).any():
        row = int((clicks & (slate < 0)).any(1).nonzero()[0])
        raise ValueError(f"the user of row {row} clicks {clicks[row].tolist()} on {slate[row].tolist()}: -1 is empty")
