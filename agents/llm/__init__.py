"""Language models as agents: one code path from a small model on this machine to any OpenAI-compatible endpoint."""

from .asking import Answer, Ask, Asker
from .fences import Fence
from .forms import Asked, Clicks, Form, OnScreen, Whole
from .policy import LLMPolicy, NoAnswer, answer_quality
from .prompts import Prompt, Prompts, so_far
from .questions import Choice, Malformed, Predicate, Score, Written, read, schema_of
from .requests import Abilities, Model, Reply, Request

__all__ = [
    "Abilities",
    "Answer",
    "Ask",
    "Asked",
    "Asker",
    "Choice",
    "Clicks",
    "Fence",
    "Form",
    "LLMPolicy",
    "Malformed",
    "Model",
    "NoAnswer",
    "OnScreen",
    "Predicate",
    "Prompt",
    "Prompts",
    "Reply",
    "Request",
    "Score",
    "Whole",
    "Written",
    "answer_quality",
    "read",
    "schema_of",
    "so_far",
]
