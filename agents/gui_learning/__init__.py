"""Policies on screens that learn: what they read and write, the transformer, and how its history is compressed."""

from . import symbols
from .answers import LENGTH, THOUGHT, Read, parsed, written
from .evaluation import successes, with_own_past
from .flops import QWEN_3B, Shape, dropped_at, prefill_flops
from .hcpo import HCPO, Backend
from .imitation import Imitation
from .policy import GuiPolicy
from .prompts import (
    AT_A_POINT,
    DID,
    GOAL,
    NOW,
    SCREEN,
    SCROLL,
    WITH_WORDS,
    Drop,
    Prompts,
    Steps,
    bins,
    latest,
    read,
    steps_of,
    words,
)
from .rewards import NEAR, Mode, distance, success
from .summaries import PAST, Episodes, acted_on, asked, episodes_of, sentence, to_summarise

__all__ = [
    "AT_A_POINT",
    "DID",
    "GOAL",
    "HCPO",
    "LENGTH",
    "NEAR",
    "NOW",
    "PAST",
    "QWEN_3B",
    "SCREEN",
    "SCROLL",
    "THOUGHT",
    "WITH_WORDS",
    "Backend",
    "Drop",
    "Episodes",
    "GuiPolicy",
    "Imitation",
    "Mode",
    "Prompts",
    "Read",
    "Shape",
    "Steps",
    "acted_on",
    "asked",
    "bins",
    "distance",
    "dropped_at",
    "episodes_of",
    "latest",
    "parsed",
    "prefill_flops",
    "read",
    "sentence",
    "steps_of",
    "success",
    "successes",
    "symbols",
    "to_summarise",
    "with_own_past",
    "words",
    "written",
]
