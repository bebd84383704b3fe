"""Makers of what the registered ids open: a family says which world and how many steps, these make the shell of it."""

from importlib import import_module
from inspect import signature
from typing import Any

from gymnasium.vector import AutoresetMode

from ..arguments import checked_int
from .env import WorldEnv
from .vector import WorldVectorEnv

SHELL = ("render_mode", "device")  # what every id takes besides its family's settings


def make_env(maker: str, render_mode: str | None = None, device: str | None = None, **settings: Any) -> WorldEnv:
    """One row.

    maker: "module:function", so that registering an id loads nothing; the function takes the settings and gives
    (world, horizon, view). render_mode, device: as ``WorldEnv`` takes them. TypeError names settings that are none.
    """
    world, horizon, view = _made(maker, settings)
    return WorldEnv(world, horizon, view=view, render_mode=render_mode, device=device)


make_env.metadata = WorldEnv.metadata  # type: ignore[attr-defined]  # gymnasium.make reads here what it may wrap


def make_vector(
    maker: str,
    num_envs: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
    device: str | None = None,
    **settings: Any,
) -> WorldVectorEnv:
    """Many rows of the same world.

    max_episode_steps: an earlier end than the family's horizon, as ``gymnasium.make`` takes it for one row; None or -1
    for no other limit.
    """
    world, horizon, view = _made(maker, settings)
    if max_episode_steps not in (None, -1):
        horizon = min(horizon, checked_int("max_episode_steps", max_episode_steps, 1))
    return WorldVectorEnv(world, num_envs, horizon, autoreset_mode, view=view, render_mode=render_mode, device=device)


def _made(maker: str, settings: dict[str, Any]) -> tuple[Any, int, Any]:
    module, _, name = maker.partition(":")
    function = getattr(import_module(module), name)
    known = [*signature(function).parameters, *SHELL]
    if unknown := sorted(set(settings) - set(known)):
        raise TypeError(f"unknown keyword {', '.join(map(repr, unknown))}: expected some of {', '.join(known)}")
    world, horizon, view = function(**settings)
    return world, horizon, view
