"""Agents: what acts in a world, and learns from what happened; and the oracle that knows the world.

``ethogram.agents.sb3`` stands apart because it imports Stable-Baselines3, an optional dependency.
"""

from .bandits import (
    CTS,
    CascadeBandit,
    CascadeKLUCB,
    CascadeLinTS,
    CascadeLinUCB,
    CascadeUCB1,
    CascadeUCBV,
    LinearBandit,
    LinTSCascade,
    TSCascade,
)
from .cascading import (
    AdaptVI,
    CascadingBPI,
    CascadingVI,
    best_permutation,
    myopic_policy,
    optimal_values,
    policy_value,
    state_free_policy,
)
from .citizens import Answers, Archetypes, Heuristic, Logits, Perceptron, Routine, decide
from .simple import Fixed, PlackettLuce, Replay, Table, UniformSlates

__all__ = [
    "CTS",
    "AdaptVI",
    "Answers",
    "Archetypes",
    "CascadeBandit",
    "CascadeKLUCB",
    "CascadeLinTS",
    "CascadeLinUCB",
    "CascadeUCB1",
    "CascadeUCBV",
    "CascadingBPI",
    "CascadingVI",
    "Fixed",
    "Heuristic",
    "LinTSCascade",
    "LinearBandit",
    "Logits",
    "Perceptron",
    "PlackettLuce",
    "Replay",
    "Routine",
    "TSCascade",
    "Table",
    "UniformSlates",
    "best_permutation",
    "decide",
    "myopic_policy",
    "optimal_values",
    "policy_value",
    "state_free_policy",
]
