"""Compiled play."""

import numpy as np
import torch
from torch import Tensor

from ethogram.envs.sessions.mdp import CascadingMDP
from ethogram.simulator import Draws, check_is, checked_int

from . import kernels
from .bandit import CascadeBandit
from .items import CTS, CascadeKLUCB, CascadeUCB1, CascadeUCBV, TSCascade
from .sampling import LARGEST, normal

AT_ONCE = 10**6  # indices computed in one call, a fraction of a second: in between a program can be interrupted


def play(agent: CascadeBandit, bandit: CascadingMDP, num_rounds: int, *, seed: int = 0, first: int = 0) -> Tensor:
    """Let an agent learn online in a cascading bandit, compiled: the lists that it shows, (num_rounds, K) int64.

    The same lists, to the bit, and the same counts in the agent afterwards, as ``episodes(CascadingSession(bandit),
    agent, num_rounds, horizon=1, seed=seed, first=first)`` gives, some thousand times faster. For the agents without
    features, on CPU; ``cascade_regret`` turns the lists into regret.

    bandit: one state, one step, as ``cascading_bandit`` makes it.
    """
    if type(agent) not in _RULES:
        raise ValueError(
            f"agent is a {type(agent).__name__}: expected one of {sorted(kind.__name__ for kind in _RULES)}; "
            "let others learn through episodes"
        )
    check_is("bandit", bandit, CascadingMDP, "a CascadingMDP, such as cascading_bandit makes")
    if (bandit.num_states, bandit.horizon) != (1, 1):
        raise ValueError(
            f"bandit is an MDP of {bandit.num_states} states and {bandit.horizon} steps: expected one of each; "
            "cascading_bandit makes such, episodes plays in others"
        )
    if (bandit.num_items, bandit.length) != (agent.num_items, agent.length):
        raise ValueError(
            f"play of lists of {agent.length} out of {agent.num_items} items: expected {bandit.length} out of "
            f"{bandit.num_items}, those of the MDP"
        )
    num_rounds, first = checked_int("num_rounds", num_rounds, 1), checked_int("first", first)
    if not _are_counts(agent.clicks, agent.examined, agent.num_items):
        what = f"clicks {agent.clicks.tolist()} of {agent.examined.tolist()} examined"
        raise ValueError(f"the agent has {what:.200}: expected counts, float64 ({agent.num_items},) both")
    world = Draws(seed, torch.arange(first, first + num_rounds), scope="world")
    policy = world.scoped("policy")
    levels = torch.empty(num_rounds, 2, dtype=torch.float64)
    levels[:, 0] = torch.tensor([agent._level(agent.lists + k) for k in range(num_rounds)], dtype=torch.float64)
    levels[:, 1] = normal(policy, "posterior") if isinstance(agent, TSCascade) else levels[:, 0]
    if isinstance(agent, CascadeUCBV):
        levels[:, 1] *= agent.margin
    clicks, examined = agent.clicks.cpu().clone(), agent.examined.cpu().clone()
    slates = torch.empty(num_rounds, agent.length, dtype=torch.int64)
    keys = np.uint64(policy.key("posterior")), np.uint64(world.key("attracted"))
    counted, attraction = (clicks.numpy(), examined.numpy()), bandit.attraction[0].numpy()
    some = max(AT_ONCE // agent.num_items, 1)
    for start in range(0, num_rounds, some):
        part = slice(start, start + some)
        kernels.play(
            _RULES[type(agent)], levels[part].numpy(), attraction, *keys, first + start, *counted, slates[part].numpy()
        )
    agent.clicks, agent.examined, agent.lists = clicks, examined, agent.lists + num_rounds
    return slates


_RULES = {
    CascadeUCB1: kernels.UCB1,
    CascadeKLUCB: kernels.KL_UCB,
    CascadeUCBV: kernels.UCB_V,
    TSCascade: kernels.TS,
    CTS: kernels.CTS,
}


def _are_counts(clicks: Tensor, examined: Tensor, num_items: int) -> bool:
    """Whether an agent's counts are such as learning leaves behind."""
    for counts in (clicks, examined):
        if counts.dtype != torch.float64 or tuple(counts.shape) != (num_items,):
            return False
    return bool(((clicks >= 0) & (clicks <= examined) & (examined <= LARGEST)).all())
