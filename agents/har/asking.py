"""A teacher and a judge of HAR who are asked in words: functions of text, such as a language model's answers.

Each question is asked once: what was said is kept by content.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ethogram.envs.gui.words import VOCABULARY
from ethogram.simulator import check_callable, checked_int

from .. import gui_learning
from ..gui_learning import Episodes, Read, sentence, words
from .guidance import HINTS, thought_of

symbols = gui_learning.symbols


class Mistake(NamedTuple):
    """A step that went wrong, in words, as who guides is told it."""

    goal: str
    history: tuple[str, ...]  # sentences on what was done before, the earliest first
    wrong: str  # the action that was answered
    right: str  # the action that should have been


@dataclass(frozen=True, eq=False)
class AskedJudge:
    """A ``Judge`` that asks a function of text, once for each history and thought.

    judge: (sentences, thought) -> whether the thought contains what was done before. One that raises TimeoutError has
        said no, and is asked again next time. Words that are buckets of strings are told by their numbers.
    """

    judge: Callable[[tuple[str, ...], str], bool]
    said: dict[Hashable, bool] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_callable("judge", self.judge, "judge(history, think)")

    def __call__(self, answer: Tensor, sentences: Tensor) -> Tensor:
        """(m,) bool. Shapes: answer (m, R), sentences (m, PAST, 4)."""
        thoughts_, pasts = in_words(thought_of(answer)), [tuple(filter(None, in_words(rows))) for rows in sentences]
        return torch.tensor([self._asked(*asked) for asked in zip(pasts, thoughts_, strict=True)], dtype=torch.bool)

    def _asked(self, history: tuple[str, ...], thought: str) -> bool:
        try:
            return bool(_once(self.said, (history, thought), lambda: self.judge(history, thought)))
        except TimeoutError:
            return False


@dataclass(frozen=True, eq=False)
class AskedGuide:
    """A ``Guide`` that asks a function of text, once for each mistake.

    guideline: a ``Mistake`` -> at most HINTS hints, of ``words`` words at most; ValueError for more. Hints with a
        word of what is right are left out, and kept in ``leaked``. One that raises TimeoutError gives no hint, and is
        asked again next time. Words that are no symbol's are buckets of strings, which a policy with ``texts`` knows.
    """

    guideline: Callable[[Mistake], list[str]]
    words: int = 8
    said: dict[Hashable, list[str]] = field(default_factory=dict, repr=False)
    leaked: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        check_callable("guideline", self.guideline, "guideline(mistake)")
        checked_int("words", self.words, 1)

    def __call__(self, read: Read, episodes: Episodes) -> Tensor:
        """(m, HINTS * words) symbols."""
        hints = torch.zeros(len(read.type), HINTS, self.words, dtype=torch.int64)
        for row, mistake in enumerate(_mistakes(read, episodes)):
            told = self._asked(mistake)
            if len(told) > HINTS or any(len(hint.split()) > self.words for hint in told):
                raise ValueError(f"guideline gave {told!r:.200}: expected at most {HINTS} hints of {self.words} words")
            for k, hint in enumerate(told):
                if leaks(hint, mistake):
                    self.leaked.append(hint)
                    continue
                written = in_symbols(hint)
                hints[row, k, : len(written)] = torch.tensor(written)
        return hints.flatten(1)

    def _asked(self, mistake: Mistake) -> list[str]:
        try:
            return _once(self.said, mistake, lambda: list(self.guideline(mistake)))
        except TimeoutError:
            return []


def leaks(hint: str, mistake: Mistake) -> bool:
    """Whether a hint has a word of what is right: of what is acted on or typed, or, without such, the type itself."""
    kind, *rest = mistake.right.casefold().split()
    said = {word.strip(".,:;!?\"'") for word in hint.casefold().split()}
    return not said.isdisjoint(rest or [kind])


def _once(said: dict[Hashable, Any], key: Hashable, ask: Callable[[], Any]) -> Any:
    if key not in said:
        said[key] = ask()
    return said[key]


def _mistakes(read: Read, episodes: Episodes) -> list[Mistake]:
    """Each step in words: of a place, the words of what stands there."""
    goal = words(episodes.seen["goal"])
    truth, at = episodes.truth, (read.at.clamp(min=0) + 0.5) / symbols.BINS
    wrong = sentence(episodes.seen, read.type.clamp(min=0), at, read.text.clamp(min=0))
    right = sentence(episodes.seen, truth["type"], truth["point"], truth["text"])
    pasts = [tuple(filter(None, in_words(rows))) for rows in episodes.sentences]
    goals = in_words(goal if goal.dim() == 2 else goal[..., 0])
    return [Mistake(*parts) for parts in zip(goals, pasts, in_words(wrong), in_words(right), strict=True)]


def in_words(rows: Tensor) -> list[str]:
    """Rows of symbols, (m, k), as text; words as the vocabulary has them."""
    return [" ".join(_word(symbol) for symbol in row if symbol) for row in rows.tolist()]


def _word(symbol: int) -> str:
    word = symbol - symbols.FIRST_WORD
    return VOCABULARY[word] if 0 <= word < len(VOCABULARY) else symbols.SYMBOLS[symbol]


def in_symbols(text: str) -> list[int]:
    """The symbols of a text: of plans such as "check history", of words of the vocabulary, else buckets of strings."""
    left, found = text.split(), []
    while left:
        size = next((n for n in (3, 2, 1) if " ".join(left[:n]).casefold() in _KNOWN), 1)
        part, left = " ".join(left[:size]).casefold(), left[size:]
        found.append(_KNOWN.get(part) or symbols.FIRST_WORD + symbols.word_of(part))
    return found


_KNOWN = {word.casefold(): symbols.FIRST_WORD + k for k, word in enumerate(VOCABULARY) if k}
_KNOWN |= {name: symbols.FIRST_PLAN + k for k, name in enumerate(symbols.PLAN)}
