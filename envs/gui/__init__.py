"""GUI navigation: tasks on the screens of apps."""

from .apps import ELEMENTS, FLAGS, KINDS, App, Element, Variable, made, shown
from .families import carry, checklist, form, reactive, search, undo
from .symbolic import SymbolicGui
from .view import GuiView
from .words import VOCABULARY

__all__ = [
    "ELEMENTS",
    "FLAGS",
    "KINDS",
    "VOCABULARY",
    "App",
    "Element",
    "GuiView",
    "SymbolicGui",
    "Variable",
    "carry",
    "checklist",
    "form",
    "made",
    "reactive",
    "search",
    "shown",
    "undo",
]
