"""The makers of the ids ``ethogram/GuiCarry-v0`` and so on, one a family.

Each takes what its family takes, and horizon: steps, as the family has it by default; and free_text: as ``SymbolicGui``
takes it.
"""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any

from ..gui import App, GuiView, SymbolicGui
from . import hubs, lines

Made = tuple[SymbolicGui, int, GuiView]  # world, steps, view
SHELL = [
    Parameter("horizon", Parameter.KEYWORD_ONLY, default=None, annotation=int | None),
    Parameter("free_text", Parameter.KEYWORD_ONLY, default=False, annotation=bool),
]


def _id(family: Callable[..., App]) -> Callable[..., Made]:
    """The maker of a family's id."""

    @wraps(family)
    def maker(*, horizon: int | None = None, free_text: bool = False, **settings: Any) -> Made:
        app = family(**settings)
        return SymbolicGui(app, free_text), app.horizon if horizon is None else horizon, GuiView()

    maker.__signature__ = signature(family).replace(  # type: ignore[attr-defined]  # by which unknown settings are told
        parameters=[*signature(family).parameters.values(), *SHELL], return_annotation=Made
    )
    return maker


carry, form, undo, compare = _id(lines.carry), _id(lines.form), _id(lines.undo), _id(lines.compare)
keypad, termination = _id(lines.keypad), _id(lines.termination)
search, checklist, recent_action = _id(hubs.search), _id(hubs.checklist), _id(hubs.recent_action)
multi_app, reactive = _id(hubs.multi_app), _id(hubs.reactive)
