"""Language models as agents: one code path from a small model on this machine to any OpenAI-compatible endpoint."""

from .requests import Abilities, Model, Reply, Request

__all__ = ["Abilities", "Model", "Reply", "Request"]
