"""Text that comes from the world is data: it stands as JSON between marks that it cannot contain."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Self

from ethogram.simulator import check_is, checked_int

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, invisible and half characters, and what is none
_WORD = re.compile(r"[A-Z][a-z0-9-]{7,63}")  # a capital once: marks cannot overlap
MOST_ENTRIES = 64  # of a list


@dataclass(frozen=True)
class Fence:
    """A pair of marks around data, and how long a text within may be.

    mark: a capital, then 7 to 63 small letters, digits and hyphens, which no text of the world should know.
    longest: characters of one text; what is more is cut, and the cut is stated.

    Whatever the data says, between two marks stands one JSON value and nothing else: a mark within a text is written
    with an escape, and so are ``<`` and ``[INST]``, with which chat templates begin the words that only they may say.
    """

    mark: str
    longest: int = 400

    def __post_init__(self) -> None:
        check_is("mark", self.mark, str, "a word such as 'Data-3f29c1'")
        if not _WORD.fullmatch(self.mark):
            raise ValueError(
                f"mark has {len(self.mark)} characters: expected a capital, then 7 to 63 small letters, digits and "
                "hyphens, such as 'Data-3f29c1'"
            )
        checked_int("longest", self.longest, 1)

    @classmethod
    def of_seed(cls, seed: int, longest: int = 400) -> Self:
        """The fence of a run: the same in each of its steps, another for another seed."""
        return cls("Data-" + hashlib.sha256(f"fence {seed}".encode()).hexdigest()[:12], longest)

    def around(self, data: Any) -> str:
        """Data as JSON between the marks; texts and names in it are cleaned."""
        text = json.dumps(self._cleaned(data), ensure_ascii=False, allow_nan=False)
        text = text.replace("<", "\\u003c").replace(">", "\\u003e")  # JSON itself has none of these
        text = re.sub(r"\[(?=/?[A-Z])", "\\\\u005b", text)  # nor this: its values begin otherwise
        text = text.replace(self.mark, f"\\u{ord(self.mark[0]):04x}{self.mark[1:]}")
        return f"{self.mark} {text} {self.mark}"

    def _cleaned(self, data: Any) -> Any:
        if isinstance(data, str):
            return cleaned(data, self.longest)
        if isinstance(data, dict):
            return {cleaned(str(name), self.longest): self._cleaned(part) for name, part in data.items()}
        if isinstance(data, list | tuple):
            kept = [self._cleaned(part) for part in data[:MOST_ENTRIES]]
            return kept + [f"({len(data) - MOST_ENTRIES} more)"] * (len(data) > MOST_ENTRIES)
        return data if data is None or isinstance(data, bool | int) else _number(float(data))


def cleaned(text: str, longest: int) -> str:
    """A text in one line, without what cannot be seen, cut to a length with a mark that says so."""
    head = text[: 2 * longest]  # of a text of megabytes nobody looks at the rest
    seen = "".join(" " if c in "\n\r\t" else c for c in head if c in "\n\r\t" or unicodedata.category(c) not in _HIDDEN)
    cut = len(seen) > longest or len(head) < len(text)
    return f"{seen[:longest]}… (cut, of {len(text)} characters)" if cut else seen


def _number(value: float) -> Any:
    """Four digits of a number, which is all that anybody reads; "nan" and "inf" as words."""
    return float(f"{value:.4g}") if abs(value) < float("inf") else str(value)
