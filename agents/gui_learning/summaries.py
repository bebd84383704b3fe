"""Histories as text: one sentence for each past action, as HAR keeps them, in place of past screens."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ethogram.simulator import History, check_is

from . import symbols
from .prompts import (
    AT_A_POINT,
    DID,
    GOAL,
    NOW,
    WITH_WORDS,
    Prompts,
    bins,
    joined,
    joined_rows,
    place,
    screen,
    spelt,
    words,
)

PAST = 4  # sentences that a prompt has: the most recent ones, numbered from 1


class Episodes(NamedTuple):
    """Single steps of recorded episodes, with what was done before in sentences."""

    seen: dict[str, Tensor]  # the screen of the step, (m, …)
    sentences: Tensor  # (m, PAST, 4): type, two words of what was acted on, the word typed, as symbols; 0 for none
    truth: dict[str, Tensor]  # "type" (m,), "point" (m, 2), "text" (m,), "direction" (m,)
    row: Tensor  # (m,) int64, which episode
    step: Tensor  # (m,) int64

    @classmethod
    def mixed(cls, parts: Iterable[Self]) -> Self:
        """The steps of several histories, such as of several tasks."""
        mixed: Self = joined_rows(list(parts))
        return mixed

    def rows(self, rows: Tensor) -> "Episodes":
        """Some of the steps."""
        seen, truth = ({name: column[rows] for name, column in part.items()} for part in (self.seen, self.truth))
        return Episodes(seen, self.sentences[rows], truth, self.row[rows], self.step[rows])


def acted_on(seen: dict[str, Tensor], point: Tensor) -> Tensor:
    """(m, 2) word ids of the element whose box holds a point, (m, 2); of the smallest of several, 0 where none does."""
    box = seen["box"]
    inside = ((point[:, None] >= box[..., :2]) & (point[:, None] <= box[..., 2:])).all(-1) & (seen["kind"] > 0)
    area = (box[..., 2:] - box[..., :2]).prod(-1).where(inside, torch.inf)
    text = seen["text"][torch.arange(len(area)), area.argmin(1)]
    return torch.where(inside.any(1, keepdim=True), text, 0)


def sentence(seen: dict[str, Tensor], kind: Tensor, point: Tensor, word: Tensor) -> Tensor:
    """(m, 4) symbols that say what was done: the type, two words of the element, and the word typed."""
    pointed, worded = (torch.isin(kind, torch.tensor(types)) for types in (AT_A_POINT, WITH_WORDS))
    element = torch.where(pointed[:, None], words(acted_on(seen, point)), 0)
    typed = torch.where(worded, words(word), 0)
    return torch.cat([(kind + symbols.FIRST_TYPE)[:, None], element, typed[:, None]], 1)


def episodes_of(history: History) -> Episodes:
    """Every step of every row of a history of screens."""
    check_is("history", history, History, "a History of screens")
    row, step = history.valid.nonzero().T
    seen = {name: column[row, step] for name, column in history.observation.items()}
    did = {name: column[row, step] for name, column in history.action.items()}
    point = place(did, seen)
    said = torch.zeros(len(history), history.num_steps, 4, dtype=torch.int64)
    said[row, step] = sentence(seen, did["type"], point, did["text"])
    truth = {"type": did["type"], "point": point, "text": did["text"], "direction": did["direction"]}
    return Episodes(seen, last_of(said, row, step), truth, row, step)


def last_of(said: Tensor, row: Tensor, step: Tensor) -> Tensor:
    """(m, PAST, 4) sentences before steps, the earliest first and none behind: (n, T, 4) holds one for each step."""
    first = (step - PAST).clamp(min=0)
    at = first[:, None] + torch.arange(PAST)
    there = at < step[:, None]
    return torch.where(there[..., None], said[row[:, None], at.clamp(max=said.shape[1] - 1)], 0)


def asked(
    task: int, seen: dict[str, Tensor], sentences: Tensor, goal: Tensor | None = None, more: Tensor | None = None
) -> Prompts:
    """Prompts of a task, ``symbols.ANSWER`` for the next action: goal, numbered sentences, screen, and the question.

    goal: (m, 4) word ids, the screen's own by default. more: (m, t) symbols between the screen and the question,
    such as a wrong answer and guidelines.
    """
    m = len(seen["kind"])
    goal = words(seen["goal"] if goal is None else goal)
    there = sentences[..., 0] > 0
    number = torch.where(there, symbols.FIRST_STEP + torch.arange(PAST), 0)
    here = torch.ones(m, dtype=torch.bool)
    ask = torch.full((m, 1, 1), task)
    extra = torch.zeros(m, 0, dtype=torch.int64) if more is None else more
    return joined([
        (goal[..., None], goal > 0, GOAL, 0),
        (torch.cat([number[..., None], sentences], 2), there, DID, 1),
        (*screen(seen, here), NOW, 0),
        (extra[..., None], extra > 0, NOW, 0),
        (ask, here[:, None], NOW, 0),
    ])  # fmt: skip


def to_summarise(seen: dict[str, Tensor], kind: Tensor, point: Tensor, word: Tensor) -> Prompts:
    """Prompts that ask for the sentence of an action on a screen."""
    nothing = torch.zeros(len(kind), PAST, 4, dtype=torch.int64)
    did = spelt(kind, bins(point), word, torch.zeros_like(kind))
    return asked(symbols.SUMMARISE, seen, nothing, more=did)


def done_so_far(
    history: History, observation: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """The last PAST screens and actions of a policy that is acting, (n, k, …), and whether they have been, (n, k)."""
    steps = history.num_steps
    last = slice(max(steps - PAST, 0), steps)
    seen = {name: history.observation[name][:, last] for name in observation}
    did = {name: column[:, last] for name, column in history.action.items()}
    ages = torch.arange(steps - last.start, 0, -1)
    return seen, did, ages <= history.length[:, None]
