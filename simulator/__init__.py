"""Run agents in worlds, record what happens, change one thing, and see what would have happened instead.

The names below are all that most programs need. Families have folders of their own, from which names are imported:
``whatif`` (outcomes: a History to a number), ``ope`` (off-policy evaluation), ``networks`` (contacts), ``populations``
(seats), ``calibrate``, ``formats`` (files and tables), and ``report`` (plots and pages, which import matplotlib).
"""

from .arguments import as_tensor, check_callable, check_has, check_is, check_number, checked_int, checked_seed
from .checkpoints import Checkpoint, write_atomically
from .checks import check_policy, check_world
from .draws import Draws, derived_ids
from .gym import FromGym, WorldEnv, WorldVectorEnv
from .history import Column, History, map_column
from .kernels import thresholds
from .memory import Memory, nothing_yet, steps_remembered
from .recording import Record
from .rollout import episodes, rollout
from .sites import Do, Sites
from .trees import ask, to_device
from .whatif import Effect, Ensemble, Processes, Ray, Replay, Setup, abduct, contrast, ensemble
from .world import Learner, Naming, Policy, Remembering, Transition, World

__all__ = [
    "Checkpoint",
    "Column",
    "Do",
    "Draws",
    "Effect",
    "Ensemble",
    "FromGym",
    "History",
    "Learner",
    "Memory",
    "Naming",
    "Policy",
    "Processes",
    "Ray",
    "Record",
    "Remembering",
    "Replay",
    "Setup",
    "Sites",
    "Transition",
    "World",
    "WorldEnv",
    "WorldVectorEnv",
    "abduct",
    "as_tensor",
    "ask",
    "check_callable",
    "check_has",
    "check_is",
    "check_number",
    "check_policy",
    "check_world",
    "checked_int",
    "checked_seed",
    "contrast",
    "derived_ids",
    "ensemble",
    "episodes",
    "map_column",
    "nothing_yet",
    "rollout",
    "steps_remembered",
    "thresholds",
    "to_device",
    "write_atomically",
]
