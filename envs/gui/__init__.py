"""GUI navigation: what can be done on a screen, apps of symbolic screens, and the world in which to act on them."""

from .actions import DIRECTIONS, KEYS, STATUSES, TYPES, USED_BY, GuiAction, GuiActions, action_space, along, opposite
from .apps import (
    BUTTON,
    ELEMENTS,
    FLAGS,
    ICON,
    INPUT,
    ITEM,
    KINDS,
    TEXT,
    App,
    Element,
    Variable,
    made,
    shown,
)
from .page import page_of
from .paths import begun, path_efficiency, shortest
from .symbolic import SymbolicGui
from .view import GuiView
from .words import VOCABULARY

__all__ = [
    "BUTTON",
    "DIRECTIONS",
    "ELEMENTS",
    "FLAGS",
    "ICON",
    "INPUT",
    "ITEM",
    "KEYS",
    "KINDS",
    "STATUSES",
    "TEXT",
    "TYPES",
    "USED_BY",
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
    "begun",
    "made",
    "opposite",
    "page_of",
    "path_efficiency",
    "shortest",
    "shown",
]
