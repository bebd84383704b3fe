"""Populations as one row: everybody's seat and a planner's.

``mesa_model`` (a population as a Mesa model) and ``shards`` (one over several processes) are imported by file, since
they load Mesa and torch.distributed.
"""

from .blocks import Rate
from .rule import ByRule
from .seats import Everybody, Planner
from .side_by_side import Repeatable, repeated

__all__ = ["ByRule", "Everybody", "Planner", "Rate", "Repeatable", "repeated"]
