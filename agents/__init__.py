"""Agents: what acts in a world, and learns from what happened.

``ethogram.agents.sb3`` stands apart because it imports Stable-Baselines3, an optional dependency.
"""

from .simple import Fixed, Replay, Table, UniformSlates

__all__ = ["Fixed", "Replay", "Table", "UniformSlates"]
