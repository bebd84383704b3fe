"""Learn_in, LearningCurve: regret, exactly."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ethogram.envs.sessions.mdp import CascadingMDP
from ethogram.simulator import Draws, check_is, checked_int

from . import atom_kernels, run_kernels
from .adapt_vi import AdaptVI
from .cascading_bpi import CascadingBPI
from .cascading_vi import CascadingVI
from .oracle import optimal_values

_Array = np.ndarray[Any, Any]
AT_ONCE = 10**8  # numbers of a plan computed in one call, some tenth of a second: in between one can interrupt it


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """The worth of a run of K episodes, in the initial state; float64."""

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
    check_is("mdp", mdp, CascadingMDP, "a CascadingMDP")
    check_is("agent", agent, (CascadingVI, CascadingBPI, AdaptVI), "a CascadingVI, a CascadingBPI or an AdaptVI")
    num_episodes, first = checked_int("num_episodes", num_episodes, 1), checked_int("first", first)
    slates = agent.plan.slates if isinstance(agent, AdaptVI) else agent.model.working.slates
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
    world = run_kernels.TrueMDP(attraction, transition, reward, mdp.initial)
    choices = len(agent.lists) if isinstance(agent, AdaptVI) else items
    some = min(max(AT_ONCE // (mdp.horizon * mdp.num_states**2 * (choices + 1)), 1), 4096)
    parts: list[_Array] = []
    for start in range(first, first + num_episodes, some):
        ids = torch.arange(start, min(start + some, first + num_episodes))
        draws = [Draws(seed, ids, step=h, scope="world") for h in range(mdp.horizon)]
        attracted = torch.stack([d.uniform("attracted", mdp.num_items) for d in draws]).numpy()
        moved = torch.stack([d.uniform("state") for d in draws]).numpy()
        curve = np.zeros((3, len(ids)))
        played = len(ids)
        if isinstance(agent, AdaptVI):
            arguments = (agent.counts, agent.log, agent.tightened, agent.lists.numpy(), agent.plan)
            atom_kernels.run_adapt(world, *arguments, attracted, moved, curve)
        else:
            model = agent.model
            state = (model.counts, model.bounds, model.rule, model.working, model.leeway)
            model.whole = False
            played = run_kernels.run_cascading(world, *state, attracted, moved, curve)
        parts.append(curve[:, :played])
        if played < len(ids):
            break
    value, upper, error = torch.from_numpy(np.concatenate(parts, axis=1))
    return LearningCurve(float(optimal_values(mdp)[0][0, mdp.initial]), value, upper, error)
