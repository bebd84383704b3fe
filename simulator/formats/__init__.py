"""Histories as files and tables, and logged interactions as histories."""

from .frames import to_minari, to_pandas
from .interactions import Interactions, load_interactions
from .saving import load, save

__all__ = ["Interactions", "load", "load_interactions", "save", "to_minari", "to_pandas"]
