"""Histories as text: one sentence for each past action, as HAR keeps them, in place of past screens."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ethogram.simulator import History, check_is

from . import symbols
from .prompts import (
    AT_A_POINT,
    DID,
    NOW,
    WITH_WORDS,
    Prompts,
    asking,
    bins,
    joined,
    joined_rows,
    screen,
    spelt,
    steps_there,
    truth_of,
    window,
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
    text = seen["text"][torch.arange(len(area)), area.argmin(1), :2]
    return torch.where(inside.any(1, keepdim=True), text, 0)


def sentence(seen: dict[str, Tensor], kind: Tensor, point: Tensor, word: Tensor) -> Tensor:
    """(m, 4) symbols that say what was done: the type, two words of the element, and the word typed."""
    pointed, worded = (torch.isin(kind, torch.tensor(types)) for types in (AT_A_POINT, WITH_WORDS))
    element = torch.where(pointed[:, None], words(acted_on(seen, point)), 0)
    typed = torch.where(worded, words(word), 0)
    return torch.cat([(kind + symbols.FIRST_TYPE)[:, None], element, typed[:, None]], 1)


def episodes_of(history: History, labels: Sequence[str] = ()) -> Episodes:
    """Every step of every row of a history of screens; labels: as in ``steps_of``."""
    check_is("history", history, History, "a History of screens")
    row, step = steps_there(history)
    seen, did, there = window(history, row, step, PAST, labels)
    now = {name: column[:, -1] for name, column in seen.items()}
    return Episodes(now, sentences_of(seen, did, there, sentence), truth_of(history, row, step), row, step)


def sentences_of(
    seen: dict[str, Tensor],
    did: dict[str, Tensor],
    there: Tensor,
    say: Callable[[dict[str, Tensor], Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """(m, PAST, 4) sentences that ``say`` makes of a ``window`` of k steps, the earliest first and none behind."""
    m, k = len(there), there.shape[1] - 1
    said = torch.zeros(m, PAST, 4, dtype=torch.int64)
    if not k:
        return said
    there = there[:, :k] & did.get("known", there[:, :k])
    before = {name: column[:, :k].flatten(0, 1) for name, column in seen.items()}
    what = (did[name].flatten(0, 1) for name in ("type", "point", "text"))
    found = torch.where(there[..., None], say(before, *what).view(m, k, 4), 0)
    order = (~there).to(torch.int8).argsort(dim=1, stable=True)  # those that have been, first
    said[:, :k] = found.gather(1, order[..., None].expand(-1, -1, 4))
    return said


def asked(
    task: int, seen: dict[str, Tensor], sentences: Tensor, goal: Tensor | None = None, more: Tensor | None = None
) -> Prompts:
    """Prompts of a task, ``symbols.ANSWER`` for the next action: goal, numbered sentences, screen, and the question.

    goal: word ids of the shape of the screen's own, which is the default. more: (m, t) symbols between the screen and
    the question, such as a wrong answer and guidelines.
    """
    m = len(seen["kind"])
    there = sentences[..., 0] > 0
    number = torch.where(there, symbols.FIRST_STEP + torch.arange(PAST), 0)
    here = torch.ones(m, dtype=torch.bool)
    ask = torch.full((m, 1, 1), task)
    extra = torch.zeros(m, 0, dtype=torch.int64) if more is None else more
    return joined([
        asking(seen["goal"] if goal is None else goal),
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
