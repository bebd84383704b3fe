"""Citizens of a language model at the scale of a city: few are asked, and what all would say is estimated."""

from .answering import Answering
from .audits import Audit, Audits
from .distil import Committee, distil, levels_of, perceptron
from .distilled import Distilled
from .estimates import Estimate, conformal_bound, prediction_powered
from .seen import LastPeriod, Profiles

__all__ = [
    "Answering",
    "Audit",
    "Audits",
    "Committee",
    "Distilled",
    "Estimate",
    "LastPeriod",
    "Profiles",
    "conformal_bound",
    "distil",
    "levels_of",
    "perceptron",
    "prediction_powered",
]
