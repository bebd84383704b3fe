"""Agents that learn a cascading MDP: CascadingVI, CascadingBPI, and the baseline that takes lists as atoms.

Du, Srikant & Chen, "Cascading Reinforcement Learning", ICLR 2024 (arXiv 2401.08961). Written from accounts of the
paper, not from its text. The form of the algorithms (bonuses per state and item, BestPerm for the lists, the
variance-aware bonus on attraction) is reported there; the constants of the bonuses are as remembered; the
estimation error of CascadingBPI and the tightenings are derived here. What is what is said in each docstring.

Symbols, as paper = here:
    n_q, c_q      = Counts.examined, .clicked  how often item a was looked at, and clicked, in state s
    q-bar, q      = Bounds.attraction_upper, .attraction_lower
    b^{pV}        = Plan.bonus
    V-bar, V      = Plan.upper, Plan.lower     bounds on V*
    K             = num_episodes
    delta         = delta                      probability with which the bounds may fail
"""

import math
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.envs.mdp import CascadingMDP
from ethogram.simulator.draws import Draws
from ethogram.simulator.history import History

from . import cascading_kernels as kernels
from .oracle import optimal_values

_Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class _Optimist:
    """Counts, the bounds that follow from them, and the optimistic plan that follows from the bounds."""

    reward: _Array  # (S, N + 1), 0 for no click
    counts: kernels.Counts
    bounds: kernels.Bounds
    working: kernels.Plan  # the plan, of which some bonuses may be out of date
    rule: kernels.Rule
    leeway: kernels.Leeway
    whole: bool = False  # whether none is

    @classmethod
    def start(cls, reward: Tensor, length: int, horizon: int, rule: kernels.Rule) -> "_Optimist":
        """No counts yet, and the plan that this gives."""
        (S, N), H = reward.shape, horizon
        counts = kernels.Counts(np.zeros((S, N)), np.zeros((S, N + 1)), np.zeros((S, S, N + 1)), np.ones(S, np.bool_))
        bounds = kernels.Bounds(np.ones((S, N)), np.zeros((S, N)), np.full((S, N + 1), np.inf))
        plan = kernels.Plan(
            upper=np.zeros((H + 1, S)),
            lower=np.zeros((H + 1, S)),
            value=np.zeros((H, S, N + 1)),
            bonus=np.zeros((H, S, N + 1)),
            order=np.tile(np.arange(N), (H, S, 1)),
            slates=np.full((H, S, length), -1),
            error=np.zeros((H + 1, S)),
        )
        leeway = kernels.Leeway(moved=np.zeros(H + 1), until=np.full((H, S), -np.inf))
        optimist = cls(pad(reward, (0, 1)).numpy(), counts, bounds, plan, rule, leeway)
        optimist.replan()
        return optimist

    @property
    def plan(self) -> kernels.Plan:
        """All that follows from the counts."""
        if not self.whole:
            self.counts.visited[:] = True
            self.replan()
            self.whole = True
        return self.working

    def replan(self) -> None:
        """The lists and the bounds on values after counts have changed."""
        tables = self.counts, self.bounds, self.reward, self.rule, self.working, self.leeway
        kernels.replan(*tables, 0, len(self.reward))
        self.whole = False

    def learn(self, history: History) -> None:
        """Count what the histories show, and plan again."""
        states, slates = _steps(history, self.working.slates.shape, self.reward.shape[1] - 1)
        clicks = _integers(history.column("click"))
        _check_numbers("click", clicks, 0, slates.shape[2] + 1)
        kernels.count_episodes(states, slates, clicks, history.length.cpu().numpy(), self.counts)
        self.replan()


def _integers(column: Tensor) -> _Array:
    """A recorded column of integers as a contiguous array; what lies between two is no integer and rounds down."""
    if column.is_floating_point():
        column = column.floor()
    return column.cpu().to(torch.int64).contiguous().numpy()


def _steps(history: History, shape: tuple[int, ...], num_items: int) -> tuple[_Array, _Array]:
    """States (n, T + 1) and slates (n, T, m) of histories that an agent planning (H, S, m) can learn from."""
    _, num_states, length = shape
    action = history.action
    if action.dim() != 3 or action.shape[2] != length:
        raise ValueError(
            f"actions have shape {tuple(action.shape)}: expected slates (rows, steps, {length}), padded with -1"
        )
    states, slates = _integers(history.observation), _integers(action)
    _check_numbers("observation", states, 0, num_states)
    _check_numbers("action", slates, -1, num_items)
    return states, slates


def _check_numbers(name: str, column: _Array, least: int, below: int) -> None:
    """ValueError where a recorded number lies outside [least, below)."""
    row = kernels.first_row_outside(column.reshape(len(column), math.prod(column.shape[1:])), least, below)
    if row >= 0:
        raise ValueError(
            f"'{name}' of row {row} is {column[row].tolist()}: expected numbers from {least} to {below - 1}"
        )


def _check_settings(reward: Tensor, length: int, horizon: int, delta: float) -> None:
    if reward.dim() != 2 or reward.dtype != torch.float64 or not ((reward >= 0) & (reward <= 1)).all():
        raise ValueError(
            f"reward is {reward.dtype} {tuple(reward.shape)}: expected float64 (states, items) in [0, 1], the known "
            "reward for a click on each item"
        )
    if not 1 <= length <= reward.shape[1]:
        raise ValueError(f"length is {length}: expected 1 to {reward.shape[1]}, the number of items")
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}: expected at least 1 step")
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta}: expected a probability between 0 and 1")


def _act(slates: _Array, observation: Tensor, step: int) -> Tensor:
    """The planned list of each row's state."""
    if step >= len(slates):
        raise IndexError(
            f"step {step} of an agent that plans {len(slates)} steps: pass horizon={len(slates)} to rollout"
        )
    if observation.is_cpu:  # the same, without torch's indexing, which costs more than the look-up
        return torch.from_numpy(slates[step][observation.numpy()])
    return torch.from_numpy(slates[step]).to(observation.device)[observation]


@dataclass(eq=False)
class CascadingVI:
    """CascadingVI: optimistic value iteration with bonuses for states and items, never for lists.

    Regret is O(H sqrt(H S N K)) up to logarithms, with probability 1 - delta (the paper's Theorem 1).

    reward: (S, N) float64 in [0, 1], what a click gives; known, as in the paper. length, horizon: m and H of the
        world. num_episodes: K, which the bonuses depend on.
    variance_aware: False widens the bonus on attraction to min(2 sqrt(L / n), 1): CascadingVI-Bonus. The paper does
        not give that bonus in the accounts at hand; this one is ours.
    oracle: "bestperm", or "exhaustive" for a search of every list: CascadingVI-Oracle, the same lists more slowly.
    strict_paper: upper bounds on attraction everywhere. Otherwise the lower bounds are used where no item seems worth
        more than no click, without which a plan is not optimistic there (derived here).
    tightened: no value exceeds the number of steps that are left, and the last step has no bonus on its transition
        (derived here).
    bonus_scale: multiplies both bonuses; 1 is the theory. A tenth learns TRAP an order of magnitude faster.

    Learns from the sites "click", and from the observation, the state of the user. The device of the observation
    does not matter; counts and plans are on the CPU. L = log(14 K H S N / delta), the constants as remembered.
    """

    reward: Tensor
    length: int
    horizon: int
    num_episodes: int
    delta: float = 0.005
    variance_aware: bool = True
    oracle: str = "bestperm"
    strict_paper: bool = False
    tightened: bool = True
    bonus_scale: float = 1.0
    model: _Optimist = field(init=False, repr=False)  # what it has learnt

    def __post_init__(self) -> None:
        _check_settings(self.reward, self.length, self.horizon, self.delta)
        if self.oracle not in ("bestperm", "exhaustive"):
            raise ValueError(f"oracle is {self.oracle!r}: expected 'bestperm' or 'exhaustive'")
        if self.num_episodes < 1 or self.bonus_scale < 0:
            raise ValueError(
                f"num_episodes is {self.num_episodes} and bonus_scale {self.bonus_scale}: expected at least 1 and 0"
            )
        log = math.log(14 * self.num_episodes * self.horizon * self.reward.numel() / self.delta)
        rule = kernels.Rule(
            log_attraction=log,
            log_transition=log,
            log_divergence=0.0,
            anytime=False,
            bonus_scale=float(self.bonus_scale),
            variance_aware=self.variance_aware,
            exhaustive=self.oracle == "exhaustive",
            strict_paper=self.strict_paper,
            tightened=self.tightened,
            epsilon=0.0,
        )
        self.model = _Optimist.start(self.reward, self.length, self.horizon, rule)

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The optimistic list of each row's state at this step, (n, m) int64, padded with -1."""
        return _act(self.model.working.slates, observation, draws.step)

    def learn(self, history: History) -> Self:
        """Count one or many episodes, and plan again."""
        self.model.learn(history)
        return self


@dataclass(eq=False)
class CascadingBPI:
    """CascadingBPI: show optimistic lists until the policy is known to be within epsilon of the best.

    Play while ``stopped`` is False; then the policy it plays has, with probability 1 - delta, a value of at least
    V* - epsilon in the initial state. The paper's algorithm stops so too, but its bonuses and its estimation error
    could not be recovered: those used here are derived, with bounds that hold at all times at once, and with the
    steps that are left, the range of V, where CascadingVI's bonus on p V has H. Of several sound choices this one was
    kept because its sample counts come closest to the reference's: they are no independent confirmation of it. With H
    it needs 9 to 20 % more episodes. ``gap`` is G_1(s_1) >= V-bar_1(s_1) - V^pi_1(s_1).

    reward, length, horizon: as for CascadingVI. epsilon: in units of reward an episode. initial: the state that
    episodes start in.
    """

    reward: Tensor
    length: int
    horizon: int
    epsilon: float
    delta: float = 0.005
    initial: int = 0
    model: _Optimist = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_settings(self.reward, self.length, self.horizon, self.delta)
        if not self.epsilon > 0:
            raise ValueError(f"epsilon is {self.epsilon}: expected a positive gap in units of reward")
        (S, N), H = self.reward.shape, self.horizon
        if not 0 <= self.initial < S:
            raise ValueError(f"initial is {self.initial}: expected a state between 0 and {S - 1}")
        rule = kernels.Rule(
            log_attraction=math.log(12 * S * N / self.delta),
            log_transition=math.log(12 * S * (N + 1) * H / self.delta),
            log_divergence=math.log(4 * S * (N + 1) / self.delta),
            anytime=True,
            bonus_scale=1.0,
            variance_aware=True,
            exhaustive=False,
            strict_paper=False,
            tightened=True,
            epsilon=float(self.epsilon),
        )
        self.model = _Optimist.start(self.reward, self.length, self.horizon, rule)

    @property
    def gap(self) -> float:
        """An upper bound on how far the policy is from the best, in the initial state."""
        return float(self.model.working.error[0, self.initial])

    @property
    def stopped(self) -> bool:
        """Whether the policy is known to be good enough."""
        return self.gap <= self.epsilon

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The optimistic list of each row's state at this step, (n, m) int64, padded with -1."""
        return _act(self.model.working.slates, observation, draws.step)

    def learn(self, history: History) -> Self:
        """Count one or many episodes, and plan again."""
        self.model.learn(history)
        return self


@dataclass(eq=False)
class AdaptVI:
    """AdaptVI: value iteration in the manner of EULER (Zanette & Brunskill, 2019) with each list as one action.

    The paper's baseline: it learns from the reward and the next state of a list, not from which item was clicked.
    The bonuses have the form and constants of CascadingVI's, with L = log(14 K H S |lists| / delta), and the
    empirical variance of the rewards (the accounts at hand do not say more).

    num_states, num_items: S and N. The rest as for CascadingVI. Refuses more than ``MOST_PAIRS`` pairs of a state and
    a list: counts of where each leads take S times as much room.
    """

    num_states: int
    num_items: int
    length: int
    horizon: int
    num_episodes: int
    delta: float = 0.005
    tightened: bool = True
    lists: Tensor = field(init=False, repr=False)  # (L, m), every list, padded with -1
    counts: kernels.ListCounts = field(init=False, repr=False)
    plan: kernels.ListPlan = field(init=False, repr=False)
    log: float = field(init=False, repr=False)  # L

    MOST_PAIRS = 1_000_000

    def __post_init__(self) -> None:
        S, N, H, m = self.num_states, self.num_items, self.horizon, self.length
        _check_settings(torch.zeros(S, N, dtype=torch.float64), m, H, self.delta)
        num_lists = sum(math.perm(N, k) for k in range(1, m + 1))
        if num_lists * S > self.MOST_PAIRS:
            raise ValueError(
                f"{num_lists:,} lists in {S} states are {num_lists * S:,} pairs: expected at most "
                f"{self.MOST_PAIRS:,}; use CascadingVI, which learns about items instead"
            )
        every = [a + (-1,) * (m - k) for k in range(1, m + 1) for a in permutations(range(N), k)]
        self.lists = torch.tensor(every)
        self.log = math.log(14 * self.num_episodes * H * S * num_lists / self.delta)
        self._index = {a: i for i, a in enumerate(every)}
        self.counts = kernels.ListCounts(
            shown=np.zeros((S, num_lists)),
            reward=np.zeros((S, num_lists)),
            squares=np.zeros((S, num_lists)),
            moves=np.zeros((S, S, num_lists)),
            visited=np.ones(S, np.bool_),
        )
        self.plan = kernels.ListPlan(
            np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64), np.full((H, S, m), -1)
        )
        self._replan()

    def _replan(self) -> None:
        arrays = self.lists.numpy(), self.plan
        kernels.replan_lists(self.counts, self.log, self.tightened, *arrays, 0, self.num_states)

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The optimistic list of each row's state at this step, (n, m) int64, padded with -1."""
        return _act(self.plan.slates, observation, draws.step)

    def learn(self, history: History) -> Self:
        """Count one or many episodes, and plan again."""
        states, slates = _steps(history, self.plan.slates.shape, self.num_items)
        valid = history.valid.cpu().numpy()
        chosen = np.zeros(slates.shape[:2], np.int64)
        chosen[valid] = [self._index[tuple(a)] for a in slates[valid].tolist()]
        rewards = history.reward.cpu().double().contiguous().numpy()
        kernels.count_list_episodes(states, chosen, rewards, history.length.cpu().numpy(), self.counts)
        self._replan()
        return self


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """What a run of K episodes was worth, in the initial state; float64."""

    optimal: float  # V*
    value: Tensor  # (K,) exact value of the policy of each episode
    upper: Tensor  # (K,) the agent's upper bound on V* before each episode
    error: Tensor  # (K,) CascadingBPI's bound on upper - value; 0 for the others

    @property
    def regret(self) -> Tensor:
        """(K,) cumulative: the sum of V* - V^pi so far, which is exact and not sampled."""
        return (self.optimal - self.value).cumsum(0)

    @property
    def optimistic(self) -> Tensor:
        """(K,) bool: whether the upper bound held, up to rounding."""
        return self.upper >= self.optimal - 1e-9


def learn_in(
    mdp: CascadingMDP, agent: CascadingVI | CascadingBPI | AdaptVI, num_episodes: int, *, seed: int = 0, first: int = 0
) -> LearningCurve:
    """Let an agent learn for so many episodes, as ``episodes(CascadingSession(mdp), agent, …)`` does, but compiled.

    The agent ends with the same counts and plan, to the bit, since the same kernels meet the same draws. Episode k
    has row id ``first + k``. CascadingBPI stops when it knows enough: the curve then has fewer episodes.

    Raises ValueError where the agent was made for another shape, reward or initial state than the MDP has.
    """
    slates = agent.plan.slates if isinstance(agent, AdaptVI) else agent.model.plan.slates
    shape = (mdp.horizon, mdp.num_states, mdp.length)
    items = agent.num_items if isinstance(agent, AdaptVI) else agent.reward.shape[1]
    if (*slates.shape, items) != (*shape, mdp.num_items):
        raise ValueError(
            f"the agent plans (steps, states, positions, items) = {(*slates.shape, items)}: expected those of the MDP, "
            f"{(*shape, mdp.num_items)}"
        )
    if not isinstance(agent, AdaptVI) and not torch.equal(agent.reward, mdp.reward):
        raise ValueError("the agent's reward differs from the MDP's: pass reward=mdp.reward to the agent")
    if isinstance(agent, CascadingBPI) and agent.initial != mdp.initial:
        raise ValueError(f"the agent expects initial state {agent.initial}: the MDP starts in {mdp.initial}")
    tables = (mdp.attraction, mdp.transition, pad(mdp.reward, (0, 1)))
    attraction, transition, reward = (x.contiguous().numpy() for x in tables)
    world = kernels.World(attraction, transition, reward, mdp.initial)
    parts: list[_Array] = []
    for start in range(first, first + num_episodes, 4096):
        ids = torch.arange(start, min(start + 4096, first + num_episodes))
        draws = [Draws(seed, ids, step=h, scope="world") for h in range(mdp.horizon)]
        attracted = torch.stack([d.uniform("attracted", mdp.num_items) for d in draws]).numpy()
        moved = torch.stack([d.uniform("state") for d in draws]).numpy()
        curve = np.zeros((3, len(ids)))
        played = len(ids)
        if isinstance(agent, AdaptVI):
            arguments = (agent.counts, agent.log, agent.tightened, agent.lists.numpy(), agent.plan)
            kernels.run_adapt(world, *arguments, attracted, moved, curve)
        else:
            model = agent.model
            state = (model.counts, model.bounds, model.rule, model.plan, model.leeway)
            played = kernels.run_cascading(world, *state, attracted, moved, curve)
        parts.append(curve[:, :played])
        if played < len(ids):
            break
    value, upper, error = torch.from_numpy(np.concatenate(parts, axis=1))
    return LearningCurve(float(optimal_values(mdp)[0][0, mdp.initial]), value, upper, error)
