"""The maker of the MovieLens id in ``envs/__init__.py``."""

from pathlib import Path

from ethogram.simulator import World

from ..sessions import SessionView, encoded, view_of


def movielens_session(
    path: str | Path | None = None,
    flat: bool = False,
    discrete: bool = False,
    num_items: int | None = None,
    num_states: int | None = None,
    length: int | None = None,
    horizon: int | None = None,
) -> tuple[World, int, SessionView]:
    """``ethogram/MovieLensSession-v0``: one session of a user of MovieLens; (world, horizon, view).

    path, num_items, num_states, length and horizon are those of ``movielens_world``, with its defaults. flat and
    discrete: as in ``ethogram/CascadingSession-v0``.
    """
    from .movielens_mdp import movielens_world

    settings = {"num_items": num_items, "num_states": num_states, "length": length, "horizon": horizon}
    world = movielens_world(path, **{name: value for name, value in settings.items() if value is not None})
    session = encoded(world, flat, discrete)
    return session, world.mdp.horizon, view_of(session)
