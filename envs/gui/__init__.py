"""Graphical user interfaces: what can be done on a screen."""

from .actions import DIRECTIONS, KEYS, STATUSES, TYPES, GuiAction, GuiActions, action_space, along, opposite

__all__ = [
    "DIRECTIONS",
    "KEYS",
    "STATUSES",
    "TYPES",
    "GuiAction",
    "GuiActions",
    "action_space",
    "along",
    "opposite",
]
