"""Plots and pages of what happened. Importing this loads matplotlib."""

from .page import write_report
from .plots import COLOURS, label, panels, save

__all__ = ["COLOURS", "label", "panels", "save", "write_report"]
