"""Histories as files and tables, and logged interactions as histories."""

from .frames import to_minari, to_pandas
from .interactions import Interactions, load_interactions
from .saving import load, save
from .tables import by_seed, history_table, html_table

__all__ = [
    "Interactions",
    "by_seed",
    "history_table",
    "html_table",
    "load",
    "load_interactions",
    "save",
    "to_minari",
    "to_pandas",
]
