"""Tasks on symbolic screens: families of apps with a memory distance."""

from .hubs import checklist, multi_app, reactive, recent_action, search
from .lines import carry, compare, form, keypad, termination, undo

__all__ = [
    "carry",
    "checklist",
    "compare",
    "form",
    "keypad",
    "multi_app",
    "reactive",
    "recent_action",
    "search",
    "termination",
    "undo",
]
