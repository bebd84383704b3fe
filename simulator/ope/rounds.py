"""Logged rounds from a History, and propensities onto one."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..arguments import as_tensor, check_is
from ..history import History, map_column


def session_prefix(propensity: Tensor) -> Tensor:
    """(n, T · m) prefix probabilities along whole sessions, from those within each slate, (n, T, m).

    A session of T slates is one long cascade: what is clicked, and where the user goes, depends on all that was shown
    before. ``rips(clicks.flatten(1), session_prefix(logged), session_prefix(evaluated))`` is then the value of a
    session, although the two policies lead users to different states; rounds taken one by one would miss that.
    Steps after a session's end must carry probability 1 under both policies.
    """
    propensity = as_tensor("propensity", propensity)
    if propensity.dim() != 3:
        raise ValueError(f"propensity has shape {tuple(propensity.shape)}: expected (sessions, steps, positions)")
    before = torch.nn.functional.pad(propensity[:, :-1, -1].cumprod(1), (1, 0), value=1.0)  # (n, T) earlier slates
    return (before[..., None] * propensity).flatten(1)


@dataclass(frozen=True, eq=False)
class Rounds:
    """The rounds of a history, one for each step before a row's end.

    observation: (k, …) what the logging policy saw, None if it was not kept.
    action: (k,) int64 items, or (k, m) slates.
    reward: float64, (k,) for items; (k, m) for slates, 1 where the user clicked.
    propensity: float64, (k,) or (k, m), the column "propensity"; None if there is none.
    unit: (k,) int64, the row that each round is from.
    """

    observation: Any
    action: Tensor
    reward: Tensor
    propensity: Tensor | None
    unit: Tensor


def rounds(history: History) -> Rounds:
    """The logged rounds of a history of items, ``action`` (n, T), or of slates, (n, T, m).

    Clicks on slates are read from the site "clicks" (n, T, m), or else from "click" (n, T), the position clicked.
    """
    check_is("history", history, History, "a History")
    valid, action, sites = history.valid, history.action, history.sites
    if not isinstance(action, Tensor) or action.dtype != torch.int64 or action.dim() not in (2, 3):
        what = f"{action.dtype} {tuple(action.shape)}" if isinstance(action, Tensor) else type(action).__name__
        raise ValueError(f"actions of the history are {what}: expected int64 items (n, T) or slates (n, T, m)")
    if action.dim() == 2:
        reward = history.reward
    elif "clicks" in sites:
        reward = sites["clicks"]
    elif "click" in sites:
        reward = sites["click"][..., None] == torch.arange(action.shape[2], device=action.device)
    else:
        raise LookupError(
            f"no site 'clicks' or 'click' in this history of slates, which has {sorted(sites)}; run the rollout with "
            'record=["click"]'
        )
    observation = propensity = None
    if "observation" in history.columns:
        observation = map_column(lambda a: a[:, :-1][valid], history.observation)
    if "propensity" in sites:
        propensity = sites["propensity"][valid].double()
    unit = torch.arange(len(history), device=action.device)[:, None].expand_as(valid)[valid]
    return Rounds(observation, action[valid], reward[valid].double(), propensity, unit)


def with_propensity(history: History, propensity: Tensor) -> History:
    """The history with how likely its actions were as the column "propensity": (n, T) or (n, T, m)."""
    check_is("history", history, History, "a History")
    propensity = as_tensor("propensity", propensity)
    if tuple(propensity.shape[:2]) != (len(history), history.num_steps):
        raise ValueError(
            f"propensity begins with axes {tuple(propensity.shape[:2])}: expected {(len(history), history.num_steps)}"
        )
    return history.with_site("propensity", propensity)
