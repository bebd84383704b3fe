"""What-ifs: setups, outcomes, ensembles, paired effects, and the luck behind a log."""

from .abduction import abduct
from .backends import Backend, Processes, Ray
from .contrast import Effect, contrast
from .ensemble import Ensemble, checked_seeds, counted, ensemble, standard_error, student_t, with_error
from .outcomes import cumulative_regret, mean_over_rows, mean_return, reward_by_step, session_length, state_share, total
from .past import corrupt_past, drop_past, shuffle_past
from .replay import Replay
from .setup import Setup

__all__ = [
    "Backend",
    "Effect",
    "Ensemble",
    "Processes",
    "Ray",
    "Replay",
    "Setup",
    "abduct",
    "checked_seeds",
    "contrast",
    "corrupt_past",
    "counted",
    "cumulative_regret",
    "drop_past",
    "ensemble",
    "mean_over_rows",
    "mean_return",
    "reward_by_step",
    "session_length",
    "shuffle_past",
    "standard_error",
    "state_share",
    "student_t",
    "total",
    "with_error",
]
