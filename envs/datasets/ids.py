"""The makers of the MovieLens ids in ``envs/__init__.py``."""

from pathlib import Path
from typing import Any

from gymnasium.vector import AutoresetMode

from ethogram.simulator import World, WorldEnv, WorldVectorEnv

from ..sessions import FlatSlates


def movielens_session(path: str | Path | None = None, flat: bool = False, **settings: Any) -> WorldEnv:
    """``ethogram/MovieLensSession-v0``: one session of a user of MovieLens.

    path and settings (num_items, num_states, length, horizon) are those of ``movielens.movielens_session``.
    """
    world, horizon = _movielens(path, flat, settings)
    return WorldEnv(world, horizon)


def movielens_sessions(
    num_envs: int = 1,
    path: str | Path | None = None,
    flat: bool = False,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    **settings: Any,
) -> WorldVectorEnv:
    """The vector environment of ``ethogram/MovieLensSession-v0``; arguments as for ``movielens_session``."""
    world, horizon = _movielens(path, flat, settings)
    return WorldVectorEnv(world, num_envs, horizon, autoreset_mode)


def _movielens(path: str | Path | None, flat: bool, settings: dict[str, Any]) -> tuple[World, int]:
    from .movielens_mdp import movielens_session as make_world

    world = make_world(path, **settings)
    return FlatSlates(world) if flat else world, world.mdp.horizon
