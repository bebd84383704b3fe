"""The maker of the MovieLens id in ``envs/__init__.py``."""

from pathlib import Path
from typing import Any

from ethogram.simulator import World

from ..sessions import FlatSlates


def movielens_session(path: str | Path | None = None, flat: bool = False, **settings: Any) -> tuple[World, int]:
    """``ethogram/MovieLensSession-v0``: one session of a user of MovieLens; (world, horizon).

    path and settings (num_items, num_states, length, horizon) are those of ``movielens_world``. flat: as in
    ``ethogram/CascadingSession-v0``.
    """
    from .movielens_mdp import movielens_world

    world = movielens_world(path, **settings)
    return FlatSlates(world) if flat else world, world.mdp.horizon
