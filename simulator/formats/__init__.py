"""Histories as files and tables, and logged interactions as histories."""

from .columns import Ids, Name, id_column, number_column, read_columns, time_column
from .frames import to_minari, to_pandas
from .interactions import Interactions, load_interactions
from .readers import from_minari, from_pandas
from .saving import load, save
from .tables import by_seed, history_table, html_table

__all__ = [
    "Ids",
    "Interactions",
    "Name",
    "by_seed",
    "from_minari",
    "from_pandas",
    "history_table",
    "html_table",
    "id_column",
    "load",
    "load_interactions",
    "number_column",
    "read_columns",
    "save",
    "time_column",
    "to_minari",
    "to_pandas",
]
