"""Populations as one row, over several processes, and as Mesa models."""

from .mesa_model import Person, PopulationModel
from .seats import Citizens, Planner
from .shard import Shard

__all__ = ["Citizens", "Person", "Planner", "PopulationModel", "Shard"]
