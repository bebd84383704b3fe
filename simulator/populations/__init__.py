"""Populations as one row: everybody's seat and a planner's; and people who talk.

``mesa_model`` (a population as a Mesa model) and ``shards`` (one over several processes) are imported by file, since
they load Mesa and torch.distributed.
"""

from .blocks import Rate
from .rule import ByRule
from .seats import Everybody, FlatChoices, Planner
from .settings import (
    InEach,
    check_choices,
    checked_column,
    checked_contacts,
    checked_initial,
    checked_layers,
    first_people,
)
from .side_by_side import Repeatable, repeated
from .talking import Talking

__all__ = [
    "ByRule",
    "Everybody",
    "FlatChoices",
    "InEach",
    "Planner",
    "Rate",
    "Repeatable",
    "Talking",
    "check_choices",
    "checked_column",
    "checked_contacts",
    "checked_initial",
    "checked_layers",
    "first_people",
    "repeated",
]
