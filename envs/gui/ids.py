"""The makers of the ids ``ethogram/GuiCarry-v0`` and so on, one a family."""

from . import families
from .apps import App
from .symbolic import SymbolicGui
from .view import GuiView

Made = tuple[SymbolicGui, int, GuiView]  # world, steps, view


def carry(distance: int = 2, facts: int = 1, distractors: int = 3, horizon: int | None = None) -> Made:
    """``families.carry``; horizon: steps, as the family has it by default."""
    return _made(families.carry(distance, facts, distractors), horizon)


def form(distance: int = 2, fields: int = 3, horizon: int | None = None) -> Made:
    """``families.form``; horizon: steps, as the family has it by default."""
    return _made(families.form(distance, fields), horizon)


def undo(distance: int = 2, horizon: int | None = None) -> Made:
    """``families.undo``; horizon: steps, as the family has it by default."""
    return _made(families.undo(distance), horizon)


def search(distance: int = 1, folders: int = 4, horizon: int | None = None) -> Made:
    """``families.search``; horizon: steps, as the family has it by default."""
    return _made(families.search(distance, folders), horizon)


def checklist(distance: int = 1, apps: int = 3, horizon: int | None = None) -> Made:
    """``families.checklist``; horizon: steps, as the family has it by default."""
    return _made(families.checklist(distance, apps), horizon)


def reactive(distractors: int = 5, horizon: int | None = None) -> Made:
    """``families.reactive``; horizon: steps, as the family has it by default."""
    return _made(families.reactive(distractors), horizon)


def _made(app: App, horizon: int | None) -> Made:
    return SymbolicGui(app), app.horizon if horizon is None else horizon, GuiView()
