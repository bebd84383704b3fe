"""Who acts on screens: scripted policies, and people's pace, misses and typing."""

from .fitting import HeldOut, TimingFit, fit_human_timing
from .human import Human
from .scripted import Scripted
from .timing import HumanTiming

__all__ = ["HeldOut", "Human", "HumanTiming", "Scripted", "TimingFit", "fit_human_timing"]
