"""The symbols that screens, histories and answers are written in: one vocabulary for what is read and what is written.

HiconAgent and HAR write text; here a token is one of a few hundred symbols, so that their mechanisms train in minutes.
A token that is read may be several symbols at once (an element's kind, words and place); one that is written is one.
"""

from functools import lru_cache
from hashlib import blake2b

from ethogram.envs.gui.actions import DIRECTIONS, TYPES
from ethogram.envs.gui.apps import KINDS

BINS = 32  # columns and rows of the grid that points are written on
NUM_WORDS = 192  # word ids of a world's vocabulary
TEXTS = 2048  # buckets of strings, for worlds of strings; their ids follow those of words

PLAN = (
    *("screen", "next", "done with", "left", "step 1", "step 2", "step 3", "step 4"),
    *("ignored history", "wrong element", "wrong type", "early stop", "repeated", "wrong was"),
    *("check history", "count what is done", "avoid", "look", "subgoal open"),
)
SYMBOLS = (
    *("", "end", "think", "action", "statement", "page", "answer", "reflect", "locate", "summarise"),
    *PLAN,
    *(f"kind {kind}" for kind in KINDS),
    *(f"flags {flags:03b}" for flags in range(8)),
    *TYPES,
    *(f"view {direction}" for direction in DIRECTIONS),
    *(f"x {x}" for x in range(BINS)),
    *(f"y {y}" for y in range(BINS)),
    *(f"word {word}" for word in range(NUM_WORDS + TEXTS)),
)
END, THINK, ACTION, STATEMENT, PAGE, ANSWER, REFLECT, LOCATE, SUMMARISE = range(1, 10)
FIRST_PLAN = SYMBOLS.index(PLAN[0])
ON_SCREEN, NEXT, DONE_WITH, LEFT, FIRST_STEP = (SYMBOLS.index(name) for name in (*PLAN[:4], "step 1"))
IGNORED, WRONG_ELEMENT, WRONG_TYPE, EARLY_STOP, REPEATED, WRONG_WAS = (SYMBOLS.index(name) for name in PLAN[8:14])
CHECK_HISTORY, COUNT_DONE, AVOID, LOOK, SUBGOAL_OPEN = (SYMBOLS.index(name) for name in PLAN[14:])
FIRST_KIND, FIRST_FLAGS, FIRST_TYPE = (SYMBOLS.index(name) for name in ("kind ", "flags 000", TYPES[0]))
FIRST_DIRECTION, FIRST_X, FIRST_Y, FIRST_WORD = (SYMBOLS.index(name) for name in ("view none", "x 0", "y 0", "word 0"))


@lru_cache(maxsize=1 << 16)
def word_of(text: str) -> int:
    """A word id for a string, for worlds of strings: a bucket of TEXTS, 0 for no text; case and space do not count."""
    folded = " ".join(text.casefold().split())
    digest = blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return NUM_WORDS + int.from_bytes(digest, "little") % TEXTS if folded else 0
