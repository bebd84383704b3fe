"""The makers of the epidemic ids in ``envs/__init__.py``: each gives (world, horizon)."""

from collections.abc import Sequence

from ethogram.simulator import Do, Policy
from ethogram.simulator.populations import Everybody, Planner

from .epidemic import Epidemic
from .planner import epidemic_planner_world, small_city


def epidemic(
    num_people: int = 1000, horizon: int = 180, world: Epidemic | None = None, interventions: Sequence[Do] = ()
) -> tuple[Everybody, int]:
    """``ethogram/Epidemic-v0``: everybody's seat in a city; [isolate, work] for each person and day.

    num_people: of a synthetic city, if no world is given. horizon: days. interventions: on the world's sites. Cities
    of a vector environment have the same people and other luck.
    """
    world = small_city(num_people) if world is None else world
    if not isinstance(world, Epidemic):
        raise TypeError(f"world is a {type(world).__name__}: expected an Epidemic")
    return Everybody(world, world.num_people, interventions), horizon


def epidemic_planner(
    num_people: int = 1000, horizon: int = 26, world: Epidemic | None = None, citizens: Policy | None = None
) -> tuple[Planner, int]:
    """``ethogram/EpidemicPlanner-v0``: the planner's seat in a city; see ``epidemic_planner_world``. horizon: weeks."""
    return epidemic_planner_world(num_people, world, citizens), horizon
