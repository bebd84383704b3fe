"""Who acts on screens: scripted policies, clones of what was done, and people's pace, misses and typing."""

from .clone import Clone, clone
from .fitting import HeldOut, TimingFit, fit_human_timing
from .human import Human
from .scripted import Scripted
from .timing import HumanTiming

__all__ = ["Clone", "HeldOut", "Human", "HumanTiming", "Scripted", "TimingFit", "clone", "fit_human_timing"]
