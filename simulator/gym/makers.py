"""Makers of what the registered ids open: a family says which world and how many steps, these make the shell of it."""

from importlib import import_module
from typing import Any

from gymnasium.vector import AutoresetMode

from .env import WorldEnv
from .vector import WorldVectorEnv


def make_env(maker: str, **settings: Any) -> WorldEnv:
    """One row.

    maker: "module:function", so that registering an id loads nothing; the function takes the settings and gives
    (world, horizon).
    """
    return WorldEnv(*_made(maker, settings))


def make_vector(
    maker: str, num_envs: int = 1, autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP, **settings: Any
) -> WorldVectorEnv:
    """Many rows of the same world."""
    world, horizon = _made(maker, settings)
    return WorldVectorEnv(world, num_envs, horizon, autoreset_mode)


def _made(maker: str, settings: dict[str, Any]) -> tuple[Any, int]:
    module, _, name = maker.partition(":")
    world, horizon = getattr(import_module(module), name)(**settings)
    return world, horizon
