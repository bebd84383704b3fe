"""Recommendation sessions: a user with a state looks down a list and clicks what attracts them."""

from .arrays import clicked_rows, first_true, lookup
from .cascade import CascadingSession, Visit
from .flat import DiscreteSlates, FlatSlates, encoded, view_of
from .instances import cascading_bandit, good_medium_bad, movielens_formula, rating_mdp, trap, two_level_bandit
from .mdp import CascadingMDP
from .outcomes import click_rate, click_rate_by_position, click_rate_by_step, item_share
from .slates import Slates, check_slates, find_bad_slate
from .view import SessionView

__all__ = [
    "CascadingMDP",
    "CascadingSession",
    "DiscreteSlates",
    "FlatSlates",
    "SessionView",
    "Slates",
    "Visit",
    "cascading_bandit",
    "check_slates",
    "click_rate",
    "click_rate_by_position",
    "click_rate_by_step",
    "clicked_rows",
    "encoded",
    "find_bad_slate",
    "first_true",
    "good_medium_bad",
    "item_share",
    "lookup",
    "movielens_formula",
    "rating_mdp",
    "trap",
    "two_level_bandit",
    "view_of",
]
