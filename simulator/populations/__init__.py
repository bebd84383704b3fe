"""Populations as one row: everybody's seat and a planner's.

``mesa_model`` (a population as a Mesa model) and ``shards`` (one over several processes) are imported by file, since
they load Mesa and torch.distributed.
"""

from .seats import Citizens, Planner

__all__ = ["Citizens", "Planner"]
