"""The makers of the epidemic ids in ``envs/__init__.py``: each gives (world, horizon, view)."""

from collections.abc import Sequence
from typing import Any

from ethogram.simulator import Do, Policy, check_is
from ethogram.simulator.gym import Counts, count_values
from ethogram.simulator.populations import Everybody, FlatChoices, Planner

from .disease import STAGES, City
from .epidemic import Epidemic
from .planner import epidemic_planner_world, small_city


def epidemic(
    num_people: int = 1000, horizon: int = 180, world: Epidemic | None = None, interventions: Sequence[Do] = ()
) -> tuple[FlatChoices, int, Counts]:
    """``ethogram/Epidemic-v0``: everybody's seat in a city; isolate and work, 0 or 1, for each person and day.

    The action is flat, (2 n,), person by person: what learners such as PPO know. num_people: of a synthetic city, if
    no world is given. horizon: days. interventions: on the world's sites. Cities of a vector environment have the same
    people and other luck.
    """
    world = small_city(num_people) if world is None else world
    check_is("world", world, Epidemic, "an Epidemic")
    seat = FlatChoices(Everybody(world, world.num_people, interventions))
    return seat, horizon, Counts(_counted, world.num_people, "day")


def epidemic_planner(
    num_people: int = 1000, horizon: int = 26, world: Epidemic | None = None, citizens: Policy | None = None
) -> tuple[Planner, int, Counts]:
    """``ethogram/EpidemicPlanner-v0``: the planner's seat in a city; see ``epidemic_planner_world``. horizon: weeks."""
    seat = epidemic_planner_world(num_people, world, citizens)
    return seat, horizon, Counts(_counted_by_planner, seat.num_people, "week")


def _counted(state: City) -> dict[str, Any]:
    """How many people of each city are in each of the STAGES, (r,) each."""
    return count_values(state.stage, STAGES)


def _counted_by_planner(state: Any) -> dict[str, Any]:
    return _counted(state.people)
