"""What would have happened instead: outcomes, ensembles, paired effects, and the luck behind a log."""

from .abduction import abduct
from .contrast import Effect, contrast
from .ensemble import Ensemble, checked_seeds, ensemble, standard_error
from .outcomes import cumulative_regret, mean_over_rows, mean_return, reward_by_step, session_length, state_share, total

__all__ = [
    "Effect",
    "Ensemble",
    "abduct",
    "checked_seeds",
    "contrast",
    "cumulative_regret",
    "ensemble",
    "mean_over_rows",
    "mean_return",
    "reward_by_step",
    "session_length",
    "standard_error",
    "state_share",
    "total",
]
