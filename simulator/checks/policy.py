"""The contract of policies as a test."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from gymnasium.vector.utils import batch_space

from ..arguments import checked_int
from ..checkpoints import fingerprint
from ..draws import Draws
from ..gym import to_numpy
from ..history import History, map_column
from ..rollout import check_role
from ..sites import Sites
from ..trees import to_cpu
from ..world import Policy, World
from .difference import described
from .watched import Watched, check_repeats, check_rows_alone, nothing_yet


def check_policy(
    policy: Policy,
    world: World,
    *,
    rows: int = 6,
    horizon: int = 8,
    seed: int = 0,
    independent: bool = True,
) -> None:
    """Raise AssertionError unless the policy keeps the contract of ``world.Policy`` in a world that keeps its own.

    Its actions are a batch of the action space; a run repeats to the bit and touches no global generator; a copy by
    pickle is the same policy; acting changes neither the policy nor what it is handed, be it by torch or by NumPy; a
    batch equals its rows run one by one and in another order.

    independent: False for a policy that looks across rows, or acts only on certain ids; rows are not run alone.
    """
    check_role("world", world)
    check_role("policy", policy)
    checked_int("rows", rows, 2), checked_int("horizon", horizon, 2)
    name = type(policy).__name__
    run = Watched(world, policy, torch.arange(rows) + 3, horizon, seed)
    _check_actions(run)
    replace(run, policy=_Reading(policy))()
    history = check_repeats(run, name)
    if independent:
        check_rows_alone(run, history, name)


@dataclass(frozen=True, eq=False)
class _Reading:
    """A policy that is held to read what it is handed, and not to write to it: a run itself notices torch alone."""

    policy: Policy

    def act(self, observation: Any, history: History, draws: Draws) -> Any:
        """The policy's actions; AssertionError where it wrote."""
        shown = {"observation": observation, "history": (history.columns, history.length), "ids": draws.ids}
        before = {name: fingerprint(columns) for name, columns in shown.items()}
        action = self.policy.act(observation, history, draws)
        changed = [name for name, columns in shown.items() if fingerprint(columns) != before[name]]
        assert not changed, (
            f"act changed the {' and the '.join(changed)} in place at step {draws.step}: compute on a copy, for the "
            "world and the record hold the same memory"
        )
        return action


def _check_actions(run: Watched) -> None:
    """Raise unless actions are in the action space."""
    space = batch_space(run.world.action_space, len(run.ids))
    action = replace(run, policy=_Reading(run.policy)).begun(Sites()).act(nothing_yet(run))
    try:
        batch = to_numpy(map_column(to_cpu, action))
    except Exception as error:
        raise AssertionError(f"act returns a {type(action).__name__}: expected tensors as {space} has") from error
    assert space.contains(batch), (
        f"act returns {described(action)}, which {space} does not contain: expected {len(run.ids)} rows of "
        f"{run.world.action_space}, with its type, shape and bounds"
    )
