"""Epidemics: SEIR on a contact network, a city with citizens who decide, and both with a gradient."""

from .cities import Cities
from .disease import AGE_BANDS, DEAD, NEVER, STAGES, Disease, Measures, gamma_days
from .economy import Economy
from .epidemic import Epidemic
from .outcomes import attack_rate
from .planner import LEVERS, careful, epidemic_planner_world, levers, per_1000, small_city
from .relaxed_epidemic import RelaxedEpidemic
from .relaxed_seir import RelaxedSEIR
from .seir import EXPOSED, INFECTIOUS, RECOVERED, SEIR, SUSCEPTIBLE

__all__ = [
    "AGE_BANDS",
    "DEAD",
    "EXPOSED",
    "INFECTIOUS",
    "LEVERS",
    "NEVER",
    "RECOVERED",
    "SEIR",
    "STAGES",
    "SUSCEPTIBLE",
    "Cities",
    "Disease",
    "Economy",
    "Epidemic",
    "Measures",
    "RelaxedEpidemic",
    "RelaxedSEIR",
    "attack_rate",
    "careful",
    "epidemic_planner_world",
    "gamma_days",
    "levers",
    "per_1000",
    "small_city",
]
