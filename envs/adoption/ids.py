"""The maker of the id ``ethogram/Adoption-v0``."""

from typing import Any

from ethogram.simulator import check_is
from ethogram.simulator.gym import Counts
from ethogram.simulator.networks import small_world
from ethogram.simulator.populations import Everybody

from .adoption import Adopters, Adoption


def adoption(
    num_people: int = 1000, horizon: int = 100, world: Adoption | None = None
) -> tuple[Everybody, int, Counts]:
    """``ethogram/Adoption-v0``: everybody's seat; a nudge in log-odds for each person and day; (world, horizon, view).

    num_people: of a small world (degree 6, a tenth rewired), if no world is given. horizon: days.
    """
    world = Adoption(small_world(num_people, 6, 0.1)) if world is None else world
    check_is("world", world, Adoption, "an Adoption")
    n = world.contacts.num_people
    return Everybody(world, n), horizon, Counts(_counted, n, "day")


def _counted(state: Adopters) -> dict[str, Any]:
    return {"adopted": state.adopted.cpu().numpy().sum(1)}
