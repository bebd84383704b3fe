"""Plots and pages of what happened. Importing this loads matplotlib."""

from . import pictures, plots
from .page import write_report

__all__ = ["pictures", "plots", "write_report"]
