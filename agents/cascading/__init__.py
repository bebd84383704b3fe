"""Agents that learn a cascading MDP: CascadingVI, CascadingBPI, and the baseline that takes lists as atoms.

Du, Srikant & Chen, "Cascading Reinforcement Learning", ICLR 2024 (arXiv 2401.08961). Written from accounts of the
paper, not from its text. The form of the algorithms (bonuses per state and item, BestPerm for the lists, the
variance-aware bonus on attraction) is reported there; the constants of the bonuses are as remembered; the
estimation error of CascadingBPI and the tightenings are derived here. What is what is said in each docstring.

Symbols, as paper = here:
    n_q, c_q      = Counts.examined, .clicked  how often item a was looked at, and clicked, in state s
    q-bar, q      = Bounds.attraction_upper, .attraction_lower
    b^{pV}        = Plan.bonus
    V-bar, V      = Plan.upper, Plan.lower     bounds on V*
    K             = num_episodes
    delta         = delta                      probability with which the bounds may fail
"""

from .adapt_vi import AdaptVI
from .cascading_bpi import CascadingBPI
from .cascading_vi import CascadingVI
from .learning_curve import LearningCurve, learn_in
from .oracle import (
    best_permutation,
    best_permutation_by_search,
    list_value,
    myopic_policy,
    optimal_values,
    policy_value,
    state_free_policy,
)

__all__ = [
    "AdaptVI",
    "CascadingBPI",
    "CascadingVI",
    "LearningCurve",
    "best_permutation",
    "best_permutation_by_search",
    "learn_in",
    "list_value",
    "myopic_policy",
    "optimal_values",
    "policy_value",
    "state_free_policy",
]
