"""The maker of the id ``ethogram/Choosing-v0``."""

from ethogram.simulator.gym import View

from .choosing import Choosing


def choosing(
    num_attributes: int = 10,
    num_preferences: int = 3,
    num_options: int = 2,
    temperature: float = 0.0,
    horizon: int = 30,
) -> tuple[Choosing, int, View]:
    """``ethogram/Choosing-v0``: foresee what a person will choose, who cares for a few things; (world, horizon, view).

    The settings are those of ``Choosing``; horizon: choices.
    """
    return Choosing(num_attributes, num_preferences, num_options, temperature), horizon, View()
