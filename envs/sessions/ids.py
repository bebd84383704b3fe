"""The maker of the session id in ``envs/__init__.py``."""

from typing import Any

import torch

from ethogram.simulator import Policy, World

from .cascade import CascadingSession
from .flat import encoded, view_of
from .instances import trap
from .mdp import CascadingMDP
from .view import SessionView


def cascading_session(
    mdp: CascadingMDP | None = None,
    horizon: int | None = None,
    user: Policy | None = None,
    flat: bool = False,
    discrete: bool = False,
    attraction: Any = None,
    transition: Any = None,
    reward: Any = None,
    length: int | None = None,
    initial: int | None = None,
) -> tuple[World, int, SessionView]:
    """``ethogram/CascadingSession-v0``: one session of a cascading MDP; (world, horizon, view).

    mdp: TRAP by default. Instead of it, its fields one by one: attraction, transition, reward (arrays or tensors),
        length, and if wanted initial; ``horizon`` is then needed.
    horizon: steps; the MDP's by default.
    user: a click model, as ``CascadingSession`` takes it.
    flat: actions in the MultiDiscrete encoding of slates, for PPO and A2C of Stable-Baselines3 and the like.
    discrete: actions numbered in one Discrete, for DQN and the like, where there are few lists (``DiscreteSlates``).
    """
    needed = {"attraction": attraction, "transition": transition, "reward": reward, "length": length}
    given = {name: value for name, value in (needed | {"initial": initial}).items() if value is not None}
    if given and mdp is not None:
        raise ValueError(f"both mdp and its fields {sorted(given)} are given: expected one or the other")
    if given:
        if missing := sorted(set(needed) - set(given)):
            raise ValueError(f"fields {sorted(given)} of an MDP are given: expected {missing} too")
        if horizon is None:
            raise ValueError("horizon is None: expected the number of steps, which an MDP given by its fields needs")
        for name in ("attraction", "transition", "reward"):
            given[name] = torch.as_tensor(given[name], dtype=torch.float64)
        mdp = CascadingMDP(**given, horizon=horizon)
    elif mdp is None:
        mdp = trap()
    world = encoded(CascadingSession(mdp, user), flat, discrete)
    return world, mdp.horizon if horizon is None else horizon, view_of(world)
