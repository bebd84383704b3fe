"""Populations: people as columns, from archetypes, tables, surveys and censuses; a synthetic city."""

from .agenttorch import AgentTorchCity, agenttorch_city, agenttorch_edges, from_agenttorch, read_series
from .archetypes import from_archetypes
from .city import CLASS, IN_WORK, city_layers, join_layers, synthetic_city
from .marginals import from_marginals, iterative_proportional_fitting
from .population import Population, bands
from .tables import from_table, systematic_counts

__all__ = [
    "CLASS",
    "IN_WORK",
    "AgentTorchCity",
    "Population",
    "agenttorch_city",
    "agenttorch_edges",
    "bands",
    "city_layers",
    "from_agenttorch",
    "from_archetypes",
    "from_marginals",
    "from_table",
    "iterative_proportional_fitting",
    "join_layers",
    "read_series",
    "synthetic_city",
    "systematic_counts",
]
