"""Who acts on screens: scripted policies, clones of what was done, variants, and people's pace, misses and typing."""

from .clone import Clone, clone
from .fitting import HeldOut, TimingFit, fit_human_timing
from .human import Human
from .scripted import Scripted
from .timing import HumanTiming
from .variants import Again, Altered, Chance, WrongNeighbour

__all__ = [
    "Again",
    "Altered",
    "Chance",
    "Clone",
    "HeldOut",
    "Human",
    "HumanTiming",
    "Scripted",
    "TimingFit",
    "WrongNeighbour",
    "clone",
    "fit_human_timing",
]
