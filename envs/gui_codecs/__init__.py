"""Actions of other data sets, environments and models, to and from ours: one class a dialect, units explicit."""

from .android import AITW, AndroidJSON, Odyssey
from .calls import Calls
from .capitals import HAR, OSAtlas
from .qwen import MobileUse
from .units import FRACTIONS, THOUSANDTHS, ParseError, Units
from .web import BrowserGym, Mind2Web, MiniWoB, MiniWoBDemo

__all__ = [
    "AITW",
    "FRACTIONS",
    "HAR",
    "THOUSANDTHS",
    "AndroidJSON",
    "BrowserGym",
    "Calls",
    "Mind2Web",
    "MiniWoB",
    "MiniWoBDemo",
    "MobileUse",
    "OSAtlas",
    "Odyssey",
    "ParseError",
    "Units",
]
