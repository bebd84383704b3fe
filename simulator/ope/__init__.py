"""Off-policy evaluation: the value of a policy from the logged rounds of another, without letting it act.

A round is one choice that was logged: a context, an item or a slate of m items, the clicks, and how likely the
logging policy was to choose it. Each function takes plain arrays, the rounds first, and returns an ``Estimate``.

    ips, dm, dr      one item a round
    sips             slates; the user may look at the slate in any way; weighs by the probability of the whole slate
    rips             slates; a click depends on its item and those above it (cascade); by the items down to it
    iips             slates; a click depends on its own item and position only; by the item at the position
    cascade_dr       rips with a model of what is still to come, which takes variance out

SIPS, IIPS, RIPS: McInerney, Brost, Chandar, Mehrotra & Carterette, "Counterfactual Evaluation of Slate Recommendations
with Sequential Reward Interactions", KDD 2020; IIPS: Li et al., KDD 2018; cascade-DR: Kiyohara et al., WSDM 2022.
Values equal those of Open Bandit Pipeline (sb-obp 0.5.10) to 1e-9. Intervals do not: see ``Estimate``.

Exact probabilities of softmax slates are in ``plackett_luce.py``. A policy that always shows the slate ``target`` has
the prefix probabilities ``(slate == target).cumprod(1)`` and is evaluated by the same functions.
"""

from .estimate import Estimate
from .estimators import cascade_dr, cascade_model, dm, dr, iips, ips, rips, sips
from .plackett_luce import choice_distribution, position_propensity, prefix_propensity
from .rounds import Rounds, rounds, session_prefix, with_propensity

__all__ = [
    "Estimate",
    "Rounds",
    "cascade_dr",
    "cascade_model",
    "choice_distribution",
    "dm",
    "dr",
    "iips",
    "ips",
    "position_propensity",
    "prefix_propensity",
    "rips",
    "rounds",
    "session_prefix",
    "sips",
    "with_propensity",
]
