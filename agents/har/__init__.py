"""History-aware reasoning: a policy on screens that learns from its own errors to think of what it did before."""

from .guidance import error_of, guidelines, mentions, thoughts
from .practice import Exercise, Practice, errors, grounding, hybrid_reward, inference, reflection, stated
from .stages import (
    Course,
    WarmUp,
    alike,
    awareness,
    collected,
    har,
    located,
    moved_by_history,
    needs_memory,
    succeeds,
)

__all__ = [
    "Course",
    "Exercise",
    "Practice",
    "WarmUp",
    "alike",
    "awareness",
    "collected",
    "error_of",
    "errors",
    "grounding",
    "guidelines",
    "har",
    "hybrid_reward",
    "inference",
    "located",
    "mentions",
    "moved_by_history",
    "needs_memory",
    "reflection",
    "stated",
    "succeeds",
    "thoughts",
]
