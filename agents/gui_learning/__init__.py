"""Policies on screens that learn: what they read and write, the transformer, and how its history is compressed."""

from .answers import LENGTH, THOUGHT, Read, parsed, written
from .hcpo import HCPO
from .imitation import Imitation
from .policy import GuiPolicy
from .prompts import DID, GOAL, NOW, SCREEN, Drop, Prompts, Steps, latest, read, steps_of

__all__ = [
    "DID",
    "GOAL",
    "HCPO",
    "LENGTH",
    "NOW",
    "SCREEN",
    "THOUGHT",
    "Drop",
    "GuiPolicy",
    "Imitation",
    "Prompts",
    "Read",
    "Steps",
    "latest",
    "parsed",
    "read",
    "steps_of",
    "written",
]
