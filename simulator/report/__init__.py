"""Plots and pages of what happened. Importing this loads matplotlib."""

from . import pictures, plots
from .page import report
from .plots import history_figure

__all__ = ["history_figure", "pictures", "plots", "report"]
