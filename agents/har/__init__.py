"""History-aware reasoning: a policy on screens that learns from its own errors to think of what it did before."""

from .asking import AskedGuide, AskedJudge, Mistake
from .guidance import Guide, Judge, error_of, guidelines, mentions, thoughts
from .practice import Exercise, Practice, errors, grounding, hybrid_reward, inference, reflection, stated
from .stages import Course, WarmUp, awareness, collected, har, located, moved_by_history, succeeds

__all__ = [
    "AskedGuide",
    "AskedJudge",
    "Course",
    "Exercise",
    "Guide",
    "Judge",
    "Mistake",
    "Practice",
    "WarmUp",
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
    "reflection",
    "stated",
    "succeeds",
    "thoughts",
]
