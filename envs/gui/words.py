"""The words of symbolic screens and goals, the numbers by which everybody knows them, and free text made of them."""

from typing import Any

import numpy as np
from gymnasium import spaces

UI = ("", *map(str, range(10)), "Next", "Page", "Type", "Undo", "Find", "Open each", "Tap", "plain", "nothing")
LABELS = (
    *("code", "room", "floor", "guest", "gate", "bus", "shelf", "drawer"),
    *("badge", "order", "ticket", "parcel", "desk", "lamp", "card", "plan"),
)
APPS = ("Mail", "Notes", "Maps", "Clock", "Files", "Photos", "Music", "Shop")
_FIRST = ("ba", "de", "fi", "go", "ku", "la", "me", "no")
_SECOND = ("ra", "si", "ta", "ve", "wo", "xu", "yi", "zo")
VALUES = tuple(first + second for first in _FIRST for second in _SECOND)
MORE = ("In turn", "Enter", "Largest", "Same as", "Copy", "Send", "infeasible", "Offer", "Close")

VOCABULARY = UI + LABELS + APPS + VALUES + MORE  # what a text id names; 0 is no text

ZERO, NINE = 1, 10  # "0", where counts begin, and "9", where they stay
NEXT, PAGE, TYPE, UNDO, FIND, OPEN_EACH, TAP, PLAIN, NOTHING = range(11, 20)
FIRST_LABEL = len(UI)
FIRST_APP = FIRST_LABEL + len(LABELS)
FIRST_VALUE = FIRST_APP + len(APPS)
IN_TURN, ENTER, LARGEST, SAME_AS, COPY, SEND, INFEASIBLE, OFFER, CLOSE = range(
    FIRST_VALUE + len(VALUES), len(VOCABULARY)
)


class Words(spaces.Text):
    """Text that is one of the vocabulary's words, or none: what is typed where typing is free.

    Gymnasium's own ``Text`` has no space among its characters by default, and samples what is no word of anybody's.
    """

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        """seed: of the samples."""
        super().__init__(
            max(map(len, VOCABULARY)), min_length=0, charset="".join(sorted({*"".join(VOCABULARY)})), seed=seed
        )

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A word, each as often; masks of Gymnasium's Text are refused."""
        if mask is not None or probability is not None:
            raise ValueError("mask or probability is given: expected neither, as they choose characters, not words")
        return VOCABULARY[int(self.np_random.integers(len(VOCABULARY)))]

    def contains(self, x: Any) -> bool:
        """Whether it is a word."""
        return isinstance(x, str) and x in _IDS

    def __repr__(self) -> str:
        some = f"{VOCABULARY[FIRST_LABEL]!r} and {VOCABULARY[FIRST_VALUE]!r}"
        return f"Words({len(VOCABULARY)} of VOCABULARY, such as {some})"


def ids_of(texts: Any) -> Any:
    """The ids of words, (n,) int64, from an array of n strings. Raises ValueError for what is no word, naming it."""
    try:
        return np.array([_IDS[text] for text in texts], np.int64)
    except (KeyError, TypeError):
        row = next(i for i, text in enumerate(texts) if not (isinstance(text, str) and text in _IDS))
        raise ValueError(
            f"text of row {row} is {texts[row]!r}: expected a word of VOCABULARY, written as there, or ''"
        ) from None


_IDS = {word: i for i, word in enumerate(VOCABULARY)}
