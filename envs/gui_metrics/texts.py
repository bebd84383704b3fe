"""How published rules compare typed text: shared words, edit distance, substrings."""

import unicodedata
from collections.abc import Set


def token_f1(one: Set[str], other: Set[str]) -> float:
    """The harmonic mean of the shares of each set that the other has; 0 where either is empty."""
    common = len(one & other)
    return 2 * common / (len(one) + len(other)) if common else 0.0


def edit_distance(one: str, other: str) -> int:
    """Fewest insertions, deletions and replacements of a character (Levenshtein)."""
    row = list(range(len(one) + 1))
    for i, letter in enumerate(other, 1):
        diagonal, row[0] = row[0], i
        for j, same in enumerate(one, 1):
            diagonal, row[j] = row[j], min(diagonal + (letter != same), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def anls(one: str, other: str) -> float:
    """1 less the edit distance by the longer text's length; 1 where both are empty."""
    longest = max(len(one), len(other))
    return 1 - edit_distance(one, other) / longest if longest else 1.0


def close(one: str, other: str) -> bool:
    """HiconAgent's and GUI-Odyssey's rule: one within the other, an empty one too, or a similarity of 0.5 or more."""
    one, other = one.strip(), other.strip()
    return one in other or other in one or anls(one, other) >= 0.5


def folded(text: str) -> str:
    """The text after NFKC, without regard to case, each run of blanks one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
