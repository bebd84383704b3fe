"""Recorded sessions on screens: read from the files that data sets come in, and acted on again."""

from .aitw import load_aitw
from .android_control import apps_of, load_android_control
from .ids import SOURCES
from .odyssey import load_odyssey
from .outcomes import progress, success
from .recording import Recording
from .replay import Replay
from .web import load_mind2web, load_miniwob

__all__ = [
    "SOURCES",
    "Recording",
    "Replay",
    "apps_of",
    "load_aitw",
    "load_android_control",
    "load_mind2web",
    "load_miniwob",
    "load_odyssey",
    "progress",
    "success",
]
