"""Policies on screens that learn: what they read and write, the transformer, and how its history is compressed."""

from . import symbols
from .answers import LENGTH, THOUGHT, Read, parsed, written
from .guidance import guidelines, mentions, thoughts
from .har import Exercise, Practice, errors, grounding, hybrid_reward, inference, reflection
from .hcpo import HCPO, Backend
from .imitation import Imitation
from .policy import GuiPolicy
from .prompts import DID, GOAL, NOW, SCREEN, Drop, Prompts, Steps, latest, read, steps_of
from .rewards import Mode
from .summaries import Episodes, asked, episodes_of

__all__ = [
    "DID",
    "GOAL",
    "HCPO",
    "LENGTH",
    "NOW",
    "SCREEN",
    "THOUGHT",
    "Backend",
    "Drop",
    "Episodes",
    "Exercise",
    "GuiPolicy",
    "Imitation",
    "Mode",
    "Practice",
    "Prompts",
    "Read",
    "Steps",
    "asked",
    "episodes_of",
    "errors",
    "grounding",
    "guidelines",
    "hybrid_reward",
    "inference",
    "latest",
    "mentions",
    "parsed",
    "read",
    "reflection",
    "steps_of",
    "symbols",
    "thoughts",
    "written",
]
