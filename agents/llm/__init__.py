"""Language models as agents: one code path from a small model on this machine to any OpenAI-compatible endpoint."""

from .budget import Budget, OverBudget, Spent
from .cache import Cache, Miss
from .client import EndpointDown
from .endpoint import Endpoint
from .requests import Abilities, Model, Reply, Request

__all__ = [
    "Abilities",
    "Budget",
    "Cache",
    "Endpoint",
    "EndpointDown",
    "Miss",
    "Model",
    "OverBudget",
    "Reply",
    "Request",
    "Spent",
]
