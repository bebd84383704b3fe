"""Cascading bandits: which K of N items to list, learning from the first click only.

A list is shown from the top; the user clicks the first item that attracts them. So every item down to the click was
examined, and nothing is known of those below. Each agent keeps, for each item, how often it was examined and how
often clicked, and shows the K items of largest *index*, largest first; ties go to the item of lower number. What
sets the agents apart is the index alone. An agent learns from a History with the site "click", as
``CascadingSession`` records it; it ignores user states and does not change within an episode.

The papers give their agents one look at each item beforehand. These start knowing nothing: an item never examined has
an infinite upper bound. Formulas are those of the papers named, as restated in this project's specification, some of
them from memory; each docstring says which constants are a choice.
"""

from .bandit import CascadeBandit, cascade_regret, count_feedback
from .items import CTS, CascadeKLUCB, CascadeUCB1, CascadeUCBV, TSCascade
from .linear import CascadeLinTS, CascadeLinUCB, LinearBandit, LinTSCascade, svd_features
from .play import play
from .sampling import beta, kl_upper_bound, normal

__all__ = [
    "CTS",
    "CascadeBandit",
    "CascadeKLUCB",
    "CascadeLinTS",
    "CascadeLinUCB",
    "CascadeUCB1",
    "CascadeUCBV",
    "LinTSCascade",
    "LinearBandit",
    "TSCascade",
    "beta",
    "cascade_regret",
    "count_feedback",
    "kl_upper_bound",
    "normal",
    "play",
    "svd_features",
]
