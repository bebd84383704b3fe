"""Answers, a thought and then an action, as a policy writes them; and how they are read back."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ethogram.envs.gui.actions import DIRECTIONS, KEYS, STATUSES, TYPES
from ethogram.envs.gui.words import VOCABULARY

from . import symbols
from .prompts import AT_A_POINT, MAY_HAVE_WORDS, SCROLL, WITH_WORDS, bins, spelt
from .screens import DONE, INFEASIBLE, PRESS, TYPED, text_of

THOUGHT = 4  # symbols of a thought at most
LENGTH = 2 + THOUGHT + 4 + 1  # think, a thought, action, its type and at most three arguments, end
HELD = 1000.0  # ms of a wait and of a long press, which answers do not tell
_DRAG, _HELD = TYPES.index("drag"), tuple(TYPES.index(name) for name in ("wait", "long_press"))


class Read(NamedTuple):
    """Answers as actions; -1 where an answer has no such thing."""

    type: Tensor  # (m,) int64
    at: Tensor  # (m, 2) int64, columns and rows of the grid
    text: Tensor  # (m,) int64, a word id
    direction: Tensor  # (m,) int64
    formed: Tensor  # (m,) bool: think, a thought, action, a type with its arguments and no others, end

    @property
    def said(self) -> Tensor:
        """(m,) int64 the words of answers; 0 for none where an action may have none, -1 where it should have one."""
        return torch.where(torch.isin(self.type, torch.tensor(MAY_HAVE_WORDS)), self.text.clamp(min=0), self.text)

    def action(self, words: int = len(VOCABULARY)) -> dict[str, Tensor]:
        """Actions as symbolic worlds take them, which know so many words; what lacks its arguments does nothing."""
        needs = torch.isin(self.type, torch.tensor(AT_A_POINT)) & (self.at < 0).any(1)
        needs |= torch.isin(self.type, torch.tensor(WITH_WORDS)) & (self.said < 0)
        needs |= (self.type == SCROLL) & (self.direction < 0)
        needs |= self.text >= words
        kind = torch.where(needs, 0, self.type.clamp(min=0))
        return {
            "type": kind,
            "point": (self.at.clamp(min=0) + 0.5) / symbols.BINS,
            "element": torch.zeros_like(kind),
            "direction": self.direction.clamp(min=0),
            "text": torch.where(needs, 0, self.text.clamp(min=0)),
        }


def in_full(read: Read, sources: Callable[[int], Iterable[str]]) -> dict[str, Any]:
    """Actions as worlds of strings take them, a dict as ``GuiActions`` has it.

    sources: the texts that a row has seen, from which a word's text is taken; where none of them has it, the text is
    "", so that what happened can be counted. A press without a key is one of "none". Typing in the corner cell is
    typing without a place; waits and long presses take HELD ms. Drags have no place here, and do nothing.
    """
    short = read.action(len(symbols.SYMBOLS))
    kind, n = short["type"].masked_fill(short["type"] == _DRAG, 0), len(read.type)
    text, key, status = np.full(n, "", object), torch.zeros_like(kind), torch.zeros_like(kind)
    for row in torch.isin(kind, torch.tensor(WITH_WORDS)).nonzero()[:, 0].tolist():
        word = int(short["text"][row])
        if kind[row] == PRESS:
            key[row] = next((k for k, name in enumerate(KEYS) if k and symbols.word_of(name) == word), 0)
            continue
        fails = kind[row] == DONE and word == symbols.word_of(INFEASIBLE)
        if kind[row] == DONE:
            status[row] = STATUSES.index(INFEASIBLE if fails else "success")
        text[row] = "" if fails or not word else text_of(word, sources(row))
    placed = torch.isin(kind, torch.tensor(AT_A_POINT))
    placed &= ~(torch.isin(kind, torch.tensor(TYPED)) & (read.at == 0).all(1))
    nothing = torch.zeros_like(kind)
    return {
        "type": kind,
        "point": torch.where(placed[:, None], short["point"], 0.0),
        "point2": torch.zeros(n, 2),
        "element": nothing,
        "direction": torch.where(kind == SCROLL, short["direction"], 0),
        "text": text,
        "key": key,
        "ms": torch.where(torch.isin(kind, torch.tensor(_HELD)), HELD, 0.0),
        "status": status,
        "clear": nothing,
        "submit": nothing,
    }


def written(truth: dict[str, Tensor], thought: Tensor | None = None) -> Tensor:
    """(m, LENGTH) answers, with zeros behind the end. thought: (m, up to THOUGHT) symbols, 0 for none."""
    m = len(truth["type"])
    thought = torch.zeros(m, 0, dtype=torch.int64) if thought is None else thought
    fixed = [torch.full((m, 1), symbol) for symbol in (symbols.THINK, symbols.ACTION, symbols.END)]
    action = spelt(truth["type"], bins(truth["point"]), truth["text"], truth["direction"])
    row = torch.cat([fixed[0], thought, fixed[1], action, fixed[2]], 1)
    order = (row == 0).to(torch.int8).argsort(dim=1, stable=True)  # zeros go behind
    row = row.gather(1, order)[:, :LENGTH]
    return torch.nn.functional.pad(row, (0, LENGTH - row.shape[1]))


def parsed(answer: Tensor, statement: bool = False) -> Read:
    """Answers, (m, R) symbols, read; what comes after the first "end" does not count.

    statement: well formed is then what has a statement of an error, as reflections have, before its thought.
    """
    ended = (answer == symbols.END).cumsum(1)
    answer = torch.where((ended == 0) | ((ended == 1) & (answer == symbols.END)), answer, 0)
    acts = answer == symbols.ACTION
    start = torch.where(acts.any(1), acts.long().argmax(1) + 1, answer.shape[1])
    window = torch.nn.functional.pad(answer, (0, 5)).gather(1, start[:, None] + torch.arange(5))
    kind = _number(window[:, 0], symbols.FIRST_TYPE, len(TYPES))
    found = [
        _first(window[:, 1:4], first, count)
        for first, count in (
            (symbols.FIRST_X, symbols.BINS),
            (symbols.FIRST_Y, symbols.BINS),
            (symbols.FIRST_WORD, symbols.NUM_WORDS + symbols.TEXTS),
            (symbols.FIRST_DIRECTION, len(DIRECTIONS)),
        )
    ]
    at = torch.stack(found[:2], 1)
    # an answer is well formed if writing what was read gives it back
    again = {"type": kind.clamp(min=0), "text": found[2].clamp(min=0), "direction": found[3].clamp(min=0)}
    spelling = spelt(again["type"], at.clamp(min=0), again["text"], again["direction"])
    spelling = torch.cat([spelling, torch.full((len(answer), 1), symbols.END)], 1)
    spelling = spelling.gather(1, (spelling == 0).to(torch.int8).argsort(dim=1, stable=True))[:, :5]
    complete = (spelling == window).all(1) & (kind >= 0)
    complete &= ~(torch.isin(kind, torch.tensor(AT_A_POINT)) & (at < 0).any(1))
    order = torch.arange(answer.shape[1])
    thinks = torch.where((answer == symbols.THINK).any(1), (answer == symbols.THINK).long().argmax(1), len(order))
    free = (answer >= symbols.FIRST_PLAN) | (order >= start[:, None] - 1) | (order == thinks[:, None])
    if statement:
        begins = (thinks > 0) & (answer[:, 0] == symbols.STATEMENT)
        free = free | (order == 0)
    else:
        begins = thinks == 0
    begins = begins & (thinks < start - 1) & free.all(1)
    return Read(kind, at, found[2], found[3], complete & begins)


def _number(symbol: Tensor, first: int, count: int) -> Tensor:
    """Symbols as numbers of a range of symbols, -1 for others."""
    return torch.where((symbol >= first) & (symbol < first + count), symbol - first, -1)


def _first(window: Tensor, first: int, count: int) -> Tensor:
    """(m,) the first number of a range in a window, -1 for none."""
    number = _number(window, first, count)
    there = number >= 0
    return torch.where(there.any(1), number.gather(1, there.long().argmax(1, keepdim=True))[:, 0], -1)
