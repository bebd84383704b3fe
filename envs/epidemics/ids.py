"""The makers of the epidemic ids in ``envs/__init__.py``."""

from collections.abc import Sequence

from gymnasium.vector import AutoresetMode

from ethogram.simulator import Do, Policy, WorldEnv, WorldVectorEnv
from ethogram.simulator.populations import Everybody

from .epidemic import Epidemic
from .planner import epidemic_planner_world, small_city


def epidemic(
    num_people: int = 1000, horizon: int = 180, world: Epidemic | None = None, interventions: Sequence[Do] = ()
) -> WorldEnv:
    """``ethogram/Epidemic-v0``: everybody's seat in a city; [isolate, work] for each person and day.

    num_people: of a synthetic city, if no world is given. horizon: days. interventions: on the world's sites.
    """
    return WorldEnv(_epidemic(num_people, world, interventions), horizon)


def epidemics(
    num_envs: int = 1,
    num_people: int = 1000,
    horizon: int = 180,
    world: Epidemic | None = None,
    interventions: Sequence[Do] = (),
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
) -> WorldVectorEnv:
    """The same, many cities with the same people and other luck."""
    return WorldVectorEnv(_epidemic(num_people, world, interventions), num_envs, horizon, autoreset_mode)


def _epidemic(num_people: int, world: Epidemic | None, interventions: Sequence[Do]) -> Everybody:
    world = world or small_city(num_people)
    return Everybody(world, world.num_people, interventions)


def epidemic_planner(
    num_people: int = 1000,
    horizon: int = 26,
    world: Epidemic | None = None,
    citizens: Policy | None = None,
) -> WorldEnv:
    """``ethogram/EpidemicPlanner-v0``: the planner's seat in a city; see ``epidemic_planner_world``. horizon: weeks."""
    return WorldEnv(epidemic_planner_world(num_people, world, citizens), horizon)


def epidemic_planners(
    num_envs: int = 1,
    num_people: int = 1000,
    horizon: int = 26,
    world: Epidemic | None = None,
    citizens: Policy | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
) -> WorldVectorEnv:
    """The same, many cities with the same people and other luck."""
    return WorldVectorEnv(epidemic_planner_world(num_people, world, citizens), num_envs, horizon, autoreset_mode)
