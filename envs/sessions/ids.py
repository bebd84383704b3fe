"""The maker of the session id in ``envs/__init__.py``."""

from dataclasses import fields
from typing import Any

import torch

from ethogram.simulator import Policy, World

from .cascade import CascadingSession
from .flat import FlatSlates
from .instances import trap
from .mdp import CascadingMDP


def cascading_session(
    mdp: CascadingMDP | None = None,
    horizon: int | None = None,
    user: Policy | None = None,
    flat: bool = False,
    **arrays: Any,
) -> tuple[World, int]:
    """``ethogram/CascadingSession-v0``: one session of a cascading MDP; (world, horizon).

    mdp: TRAP by default. Instead of it, its fields one by one: attraction, transition, reward (arrays or tensors),
        length, and if wanted initial; ``horizon`` is then needed.
    horizon: steps; the MDP's by default.
    user: a click model, as ``CascadingSession`` takes it.
    flat: actions in the MultiDiscrete encoding of slates, for Stable-Baselines3 and the like.
    """
    if arrays and mdp is not None:
        raise ValueError(f"both mdp and its fields {sorted(arrays)} are given: expected one or the other")
    if arrays:
        names = [field.name for field in fields(CascadingMDP)]
        if unknown := sorted(set(arrays) - set(names)):
            raise TypeError(f"{unknown} are unknown: expected mdp, user, flat, horizon, or fields of an MDP, {names}")
        if missing := sorted({"attraction", "transition", "reward", "length"} - set(arrays)):
            raise ValueError(f"fields {sorted(arrays)} of an MDP are given: expected {missing} too")
        for name in ("attraction", "transition", "reward"):
            arrays[name] = torch.as_tensor(arrays[name], dtype=torch.float64)
        if horizon is None:
            raise ValueError("horizon is None: expected the number of steps, which an MDP given by its fields needs")
        mdp = CascadingMDP(**arrays, horizon=horizon)
    elif mdp is None:
        mdp = trap()
    world = CascadingSession(mdp, user)
    return FlatSlates(world) if flat else world, mdp.horizon if horizon is None else horizon
