"""Language models as agents: one code path from a small model on this machine to any OpenAI-compatible endpoint."""

from .asking import Answer, Ask, Asker
from .budget import Budget, OverBudget, Spent
from .cache import Cache, Miss
from .client import EndpointDown
from .endpoint import Endpoint
from .forms import Asked, Clicks, Form, OnScreen, Whole
from .policy import LLMPolicy, NoAnswer, answer_quality
from .prompts import Fence, Prompt, Prompts, so_far
from .questions import Choice, Malformed, Predicate, Score, Written, read, schema_of
from .requests import Abilities, Model, Reply, Request

__all__ = [
    "Abilities",
    "Answer",
    "Ask",
    "Asked",
    "Asker",
    "Budget",
    "Cache",
    "Choice",
    "Clicks",
    "Endpoint",
    "EndpointDown",
    "Fence",
    "Form",
    "LLMPolicy",
    "Malformed",
    "Miss",
    "Model",
    "NoAnswer",
    "OnScreen",
    "OverBudget",
    "Predicate",
    "Prompt",
    "Prompts",
    "Reply",
    "Request",
    "Score",
    "Spent",
    "Whole",
    "Written",
    "answer_quality",
    "read",
    "schema_of",
    "so_far",
]
