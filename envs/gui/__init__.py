"""GUI navigation: what can be done on a screen, and tasks on the screens of apps."""

from .actions import DIRECTIONS, KEYS, STATUSES, TYPES, GuiAction, GuiActions, action_space, along, opposite
from .apps import ELEMENTS, FLAGS, KINDS, App, Element, Variable, made, shown
from .families import carry, checklist, form, reactive, search, undo
from .symbolic import SymbolicGui
from .view import GuiView
from .words import VOCABULARY

__all__ = [
    "DIRECTIONS",
    "ELEMENTS",
    "FLAGS",
    "KEYS",
    "KINDS",
    "STATUSES",
    "TYPES",
    "VOCABULARY",
    "App",
    "Element",
    "GuiAction",
    "GuiActions",
    "GuiView",
    "SymbolicGui",
    "Variable",
    "action_space",
    "along",
    "carry",
    "checklist",
    "form",
    "made",
    "opposite",
    "reactive",
    "search",
    "shown",
    "undo",
]
