"""Citizens: what people do in a city such as ``Epidemic``, by routine, by rule, or as a language model says.

Each policy gives every person two probabilities, of isolating and of wanting a job, and ``decide`` draws. The names
of the columns that people see are all that a policy knows of the world. None remembers anything of the people, so
all of them act in any batch, in any order, and for a planner.

Luck: a person has one draw for each decision and period, ``period`` days long. Two scenarios of one seed share it,
so a higher probability can only add decisions. Within a period a decision changes only as the person's probability
does, for instance on falling ill.
"""

from .answers import Answers
from .archetypes import Archetypes, Coverage, drawn
from .decisions import DECISIONS, check_period, decide
from .features import Features, decisions
from .grouping import By, Groups, check_by, grouped
from .logits import Logits
from .perceptron import Perceptron
from .relaxed import Relaxed
from .rules import Heuristic, Routine

__all__ = [
    "DECISIONS",
    "Answers",
    "Archetypes",
    "By",
    "Coverage",
    "Features",
    "Groups",
    "Heuristic",
    "Logits",
    "Perceptron",
    "Relaxed",
    "Routine",
    "check_by",
    "check_period",
    "decide",
    "decisions",
    "drawn",
    "grouped",
]
