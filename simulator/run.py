"""One step of a run, once: rows of a world move on, and their bookkeeping with them.

``rollout``, the Gymnasium shells, the seats of a population, Mesa models and the checks drive a ``Run``; what they keep
of it, and when they stop, is their own business.
"""

from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from .draws import Draws
from .history import Column, History, first_leaf, map_column
from .sites import Sites
from .trees import ask, leaves_of
from .world import Policy, World

_NOTHING = torch.empty(0)


class Run:
    """Rows of a world, at a step of their episodes.

    world, draws, site: what ``world.step`` takes; ``draws`` is at the step to come. policy: who acts, where ``act`` is
    asked. state, observation: the present ones. reward: (n,) float32, terminated: (n,) bool, those of the last step;
    rows that ended before have reward 0. truncated: (n,) bool, cut short by the world in the last step; None for none.
    alive: (n,) bool, or None while all are.
    """

    def __init__(self, world: World, draws: Draws, site: Sites, policy: Policy | None = None) -> None:
        """Nothing has happened yet: ``begin``, or set ``state`` and ``observation`` to go on from there."""
        self.world, self.policy, self.draws, self.site = world, policy, draws, site
        self._past_is_changed = not site.untouched("history")
        self.state: Any = None
        self.observation: Column = _NOTHING
        self.reward = self.terminated = _NOTHING
        self.truncated: Tensor | None = None
        self.alive: Tensor | None = None
        self._rows = len(draws.ids)
        self._parameters: dict[int, Tensor] | None = None  # that are seen; looked up when somebody acts
        self.known_length: Tensor | None = None  # (n,) int64 steps of each row, as soon as they may differ
        self._checked = False

    def begin(self, draws: Draws | None = None) -> None:
        """The first state and observation; draws: of rows whose episodes begin in the place of those so far."""
        if draws is not None:
            self.draws, self._rows, self.site.step = draws, len(draws.ids), draws.step
            self.alive = self.known_length = None
        self.state, observation = self.world.reset(self.draws, self.site)
        self.observation = self.site("observation", observation)

    def act(self, history: History) -> Any:
        """The policy's next action; it sees the observation and ``history``, and may write to neither."""
        seen, own = self.observation, self._parameters
        if own is None:
            own = self._parameters = self._copied_parameters()
        if own:
            seen = map_column(lambda leaf: own.get(id(leaf), leaf), seen)
        if self._past_is_changed:
            history = self._other_past(history)
        return ask(self.policy, seen, history, self.draws.scoped("policy"), self.site)

    def _copied_parameters(self) -> dict[int, Tensor]:
        """Copies of those tensors of the world that are seen, such as ages: the policy gets these in their place.

        By their ``id``; a run holds its world, so that nothing else can have it.
        """
        seen, fields = self.observation, getattr(self.world, "__dict__", {})
        if isinstance(seen, Tensor):
            for field in fields.values():
                if field is seen:
                    return {id(seen): seen.clone()}
            return {}
        own = {id(field) for field in fields.values()}
        return {id(leaf): leaf.clone() for leaf in leaves_of(seen) if id(leaf) in own}

    def _other_past(self, history: History) -> History:
        """The past as the policy sees it, where somebody intervenes on that; what is recorded stays as it is."""
        self.site.names["history"] = None
        other = self.site.unrecorded()("history", history)
        if not isinstance(other, History):
            what = type(other).__name__
            raise TypeError(
                f"Do('history') gives a {what}: expected a function that returns a History, as drop_past(2)"
            )
        return other

    def advance(self, action: Any) -> None:
        """One step of every row."""
        site, draws = self.site, self.draws
        try:
            rows = first_leaf(action).shape[0]
        except (AttributeError, IndexError):
            self._refuse(action)
        if rows != self._rows:
            self._refuse(action)
        action = site("action", action)
        self.state, observation, reward, terminated, *cut = self.world.step(self.state, action, draws, site)
        if not self._checked:
            check_transition(self.world, self._rows, observation, reward, terminated)
            self._checked = True
        self.reward = site("reward", reward if self.alive is None else reward.where(self.alive, 0))
        self._end(terminated, cut[0] if cut else None)
        step = draws.step + 1
        self.draws, site.step = draws.at(step), step
        self.observation = site("observation", observation)

    def _refuse(self, action: Any) -> NoReturn:
        """Say what is wrong with an action that is not one a row."""
        who, leaf = type(self.policy).__name__ if self.policy else "somebody", first_leaf(action)
        if not hasattr(leaf, "shape"):
            raise TypeError(f"{who} acts with a {type(action).__name__}: expected a tensor, an action a row, or a dict")
        raise ValueError(
            f"{who} gives actions of shape {tuple(leaf.shape)}: expected {self._rows} rows, an action each"
        )

    def _end(self, terminated: Tensor, truncated: Tensor | None = None) -> None:
        """Note who has ended with this step."""
        over = terminated if truncated is None else terminated | truncated
        ends = _any(over)
        if self.alive is not None:
            self.known_length = self.length + self.alive
            terminated = terminated & self.alive
            truncated = None if truncated is None else truncated & self.alive
        elif ends:
            self.known_length = self.length + 1
        self.terminated, self.truncated = terminated, truncated
        if ends:
            self.alive = ~over if self.alive is None else self.alive & ~over

    @property
    def length(self) -> Tensor:
        """(n,) int64, the steps of each row so far."""
        known = self.known_length
        return torch.zeros_like(self.draws.ids) + self.draws.step if known is None else known

    @property
    def over(self) -> bool:
        """Whether all rows have ended."""
        return self.alive is not None and not self.alive.any()

    @property
    def bookkeeping(self) -> tuple[Any, Column, Tensor, Tensor]:
        """The content of a checkpoint: state, observation, length, alive."""
        alive = torch.ones_like(self.draws.ids, dtype=torch.bool) if self.alive is None else self.alive
        return self.state, self.observation, self.length, alive

    def resume(self, step: int, bookkeeping: tuple[Any, Column, Tensor, Tensor]) -> None:
        """Go on after ``step`` steps from what ``bookkeeping`` was then."""
        self.state, self.observation, length, alive = bookkeeping
        if not alive.all():
            self.known_length, self.alive = length, alive
        self.draws, self.site.step = self.draws.at(step), step


def _any(flags: Tensor) -> Any:
    """Whether any of (n,) flags is set."""
    if not flags.is_cpu:
        return flags.any()
    return np.count_nonzero(flags.numpy() if flags.stride() != (0,) else flags[:1].numpy())  # one for all rows


def check_transition(world: World, rows: int, observation: Any, reward: Tensor, terminated: Tensor) -> None:
    """One look at the first step: a wrong shape here would broadcast in silence later."""
    name = type(world).__name__
    if tuple(reward.shape) != (rows,) or reward.dtype != torch.float32:
        raise ValueError(f"reward of {name} is {reward.dtype} {tuple(reward.shape)}: expected float32 ({rows},)")
    if tuple(terminated.shape) != (rows,) or terminated.dtype != torch.bool:
        what = f"{terminated.dtype} {tuple(terminated.shape)}"
        raise ValueError(f"terminated of {name} is {what}: expected bool ({rows},)")
    if len(first_leaf(observation)) != rows:
        raise ValueError(f"observation of {name} has {len(first_leaf(observation))} rows: expected {rows}")
