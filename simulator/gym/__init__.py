"""The Gymnasium shells: a world as an Env, as a VectorEnv of many rows; a foreign Env as a world.

Chance stays keyed: an episode is a row id, hashed from the environment's seed and the number of the episode since
it was seeded (``episode_ids``). So a vector environment equals single ones, whatever their number and whenever
their episodes end, and an episode seen in Gymnasium can be played again, recorded and intervened on::

    rollout(world, policy, rows=episode_ids(seed, episode), horizon=horizon)  # seed=0, the default

Rows are moved by one call of the world, wherever each is in its episode (``batch.py``). Actions are copied as they come
in and what goes out is a copy, so that neither side can change what the other holds.
``info`` holds what a ``View`` of the world tells, under the same names at every step and reset; ``render()`` draws it.
"""

from .convert import checked_space, first_row, stack, to_numpy
from .env import WorldEnv, episode_ids
from .foreign import FromGym
from .vector import WorldVectorEnv
from .view import Counts, View, count_values

__all__ = [
    "Counts",
    "FromGym",
    "View",
    "WorldEnv",
    "WorldVectorEnv",
    "checked_space",
    "count_values",
    "episode_ids",
    "first_row",
    "stack",
    "to_numpy",
]
