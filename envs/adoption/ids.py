"""The maker of the id ``ethogram/Adoption-v0``."""

from ethogram.simulator.networks import small_world
from ethogram.simulator.populations import Everybody

from .adoption import Adoption


def adoption(num_people: int = 1000, horizon: int = 100, world: Adoption | None = None) -> tuple[Everybody, int]:
    """``ethogram/Adoption-v0``: everybody's seat; a nudge in log-odds for each person and day; (world, horizon).

    num_people: of a small world (degree 6, a tenth rewired), if no world is given. horizon: days.
    """
    world = Adoption(small_world(num_people, 6, 0.1)) if world is None else world
    if not isinstance(world, Adoption):
        raise TypeError(f"world is a {type(world).__name__}: expected an Adoption")
    return Everybody(world, world.contacts.num_people), horizon
