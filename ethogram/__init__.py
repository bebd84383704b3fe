"""Simulate how agents behave: describe a world, put agents in it, change one thing, see what would have happened.

The names that most programs need can be had from here (``from ethogram import rollout, contrast, Do``) and are loaded
on first use; the rest stand in ``ethogram.simulator``, ``ethogram.envs`` and ``ethogram.agents``. Importing this
registers the Gymnasium ids. ``python -m ethogram`` lists ids, examples and versions, and runs an example by its name.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not (Path(__file__).resolve().parent / "simulator").exists():  # in a checkout the rooms stand beside this folder
    __path__.append(str(Path(__file__).resolve().parents[1]))

from . import envs as envs

if TYPE_CHECKING:  # the names of _PLACES, for type checkers and editors
    from . import agents as agents
    from . import simulator as simulator
    from .agents import Fixed, PlackettLuce, Table, UniformSlates
    from .simulator import (
        Do,
        Draws,
        Effect,
        Ensemble,
        FromGym,
        History,
        Learner,
        Memory,
        Policy,
        Processes,
        Ray,
        Record,
        Replay,
        Setup,
        Sites,
        Transition,
        World,
        WorldEnv,
        WorldVectorEnv,
        abduct,
        check_policy,
        check_world,
        contrast,
        ensemble,
        episodes,
        rollout,
        to_device,
    )
    from .simulator.whatif import mean_return, total

__version__ = "0.1.0"

_PLACES = {
    "agents": "Fixed PlackettLuce Table UniformSlates",
    "simulator": "Do Draws Effect Ensemble FromGym History Learner Memory Policy Processes Ray Record Replay Setup "
    "Sites Transition World WorldEnv WorldVectorEnv abduct check_policy check_world contrast ensemble episodes rollout "
    "to_device",
    "simulator.whatif": "mean_return total",
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names.split()}
_ROOMS = ("agents", "envs", "simulator")

__all__ = sorted((*_PLACE_OF, *_ROOMS))  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _PLACE_OF:
        return getattr(import_module(f"{__name__}.{_PLACE_OF[name]}"), name)
    raise AttributeError(
        f"ethogram has no {name!r}: expected one of {', '.join(__all__)}; other names stand in its rooms, such as "
        "ethogram.envs.sessions"
    )


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
