"""Prompts: the goal, the last screens and actions, and the present screen, as tokens of symbols."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor

from ethogram.envs.gui.actions import TYPES
from ethogram.simulator import History, check_is, checked_int

from . import symbols

WIDTH = 6  # symbols that one token may be at once
GOAL, SCREEN, DID, NOW = range(4)  # parts of a prompt: SCREEN and DID are of the past
Drop = Literal["screens", "actions", "both"]
AT_A_POINT = tuple(TYPES.index(name) for name in ("tap", "double_tap", "long_press", "hover", "type", "select"))
WITH_WORDS = tuple(TYPES.index(name) for name in ("type", "select", "open"))
SCROLL = TYPES.index("scroll")


class Prompts(NamedTuple):
    """Prompts of one layout; a token that is not present is seen by nobody."""

    tokens: Tensor  # (m, T, WIDTH) int64 symbols, 0 for none
    present: Tensor  # (m, T) bool
    part: Tensor  # (T,) int64: GOAL, SCREEN, DID or NOW
    age: Tensor  # (T,) int64, how many steps ago, 0 for what is present

    def rows(self, rows: Any) -> Self:
        """Some of the prompts."""
        return self._replace(tokens=self.tokens[rows], present=self.present[rows])

    def repeated(self, times: int) -> Self:
        """Each prompt so many times, side by side."""
        return self._replace(
            tokens=self.tokens.repeat_interleave(times, 0), present=self.present.repeat_interleave(times, 0)
        )

    def limited(self, memory: int | Tensor) -> Self:
        """The same, looking back at most ``memory`` steps: one number, or (m,) int64."""
        most = memory[:, None] if isinstance(memory, Tensor) else memory
        return self._replace(present=self.present & (self.age <= most))

    def kept(self, drop: Drop) -> Tensor:
        """(m, T) bool, which tokens are left when those of the past's screens, actions or both are dropped."""
        parts = {"screens": (SCREEN,), "actions": (DID,), "both": (SCREEN, DID)}[drop]
        return self.present & ~torch.isin(self.part, torch.tensor(parts))

    @property
    def positions(self) -> Tensor:
        """(m, T) int64: present tokens are numbered from 0."""
        return (self.present.cumsum(1) - 1).clamp(min=0)

    @property
    def available(self) -> Tensor:
        """(m,) int64 how many steps of history each has."""
        return torch.where(self.present, self.age, 0).amax(1)


def bins(point: Tensor) -> Tensor:
    """(…, 2) int64 columns and rows of points, fractions of the screen."""
    return (point * symbols.BINS).long().clamp(0, symbols.BINS - 1)


def place(action: dict[str, Tensor], observation: dict[str, Tensor]) -> Tensor:
    """(…, 2) where an action points: the middle of its element on that screen, or its point."""
    element = (action["element"] - 1).clamp(min=0)
    index = element[..., None, None].expand(*element.shape, 1, 4)
    box = observation["box"].gather(-2, index).squeeze(-2)
    return torch.where(action["element"][..., None] > 0, (box[..., :2] + box[..., 2:]) / 2, action["point"])


def read(observation: dict[str, Tensor], action: dict[str, Tensor] | None, there: Tensor) -> Prompts:
    """Prompts from windows of k + 1 screens, the present one last, and of k actions.

    observation: of (m, k + 1, …). action: of (m, k, …), None where k is 0. there: (m, k + 1) bool, which of these
    steps have been.
    """
    m, screens = there.shape
    goal = words(observation["goal"][:, -1])
    parts = [(goal[..., None], goal > 0, GOAL, 0)]
    for k in range(screens):
        age = screens - 1 - k
        seen = {name: column[:, k] for name, column in observation.items()}
        parts.append((*screen(seen, there[:, k]), NOW if age == 0 else SCREEN, age))
        if age and action is not None:
            did = {name: column[:, k] for name, column in action.items()}
            parts.append((*deed(did, seen, there[:, k]), DID, age))
    ask = torch.full((m, 1, 1), symbols.ANSWER)
    parts.append((ask, torch.ones(m, 1, dtype=torch.bool), NOW, 0))
    return joined(parts)


def joined(parts: list[tuple[Tensor, Tensor, int, int]]) -> Prompts:
    """Prompts from tokens (m, t, up to WIDTH), whether they are present (m, t), their part and their age."""
    tokens = [torch.nn.functional.pad(part[0], (0, WIDTH - part[0].shape[-1])) for part in parts]
    sizes = [part[1].shape[1] for part in parts]
    labels = [
        torch.tensor([part[k] for part, size in zip(parts, sizes, strict=True) for _ in range(size)]) for k in (2, 3)
    ]
    return Prompts(torch.cat(tokens, 1), torch.cat([part[1] for part in parts], 1), *labels)


def joined_rows(parts: list[Any]) -> Any:
    """Rows of several trees of one form, below each other; what has no rows, a layout, is the first one's."""
    first = parts[0]
    if isinstance(first, Prompts):
        if any(not torch.equal(part.age, first.age) for part in parts):
            raise ValueError("prompts have several layouts: expected the same memory everywhere")
        tokens, present = (torch.cat([part[k] for part in parts]) for k in range(2))
        return first._replace(tokens=tokens, present=present)
    if isinstance(first, dict):
        return {name: joined_rows([part[name] for part in parts]) for name in first}
    if isinstance(first, Tensor):
        return torch.cat(parts)
    return type(first)(*(joined_rows(list(column)) for column in zip(*parts, strict=True)))


def words(ids: Tensor) -> Tensor:
    """Symbols of word ids, 0 for 0; ValueError for ids beyond NUM_WORDS."""
    if int(ids.max()) >= symbols.NUM_WORDS:
        raise ValueError(
            f"a word has id {int(ids.max())}: expected less than {symbols.NUM_WORDS}; hash strings by word_of"
        )
    return torch.where(ids > 0, ids + symbols.FIRST_WORD, 0)


def screen(seen: dict[str, Tensor], there: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (m, 1 + E, 6) of screens, a page and its elements, and whether they are present, (m, 1 + E)."""
    kind, box = seen["kind"], seen["box"]
    at = bins((box[..., :2] + box[..., 2:]) / 2)
    flags = (seen["flags"].long() * torch.tensor([4, 2, 1])).sum(-1)
    text = words(seen["text"])
    rows = [
        *(kind + symbols.FIRST_KIND, text[..., 0], text[..., 1]),
        *(at[..., 0] + symbols.FIRST_X, at[..., 1] + symbols.FIRST_Y, flags + symbols.FIRST_FLAGS),
    ]
    elements = torch.stack(rows, -1)
    page = torch.nn.functional.pad(torch.full((len(kind), 1, 1), symbols.PAGE), (0, WIDTH - 1))
    present = torch.cat([there[:, None], (kind > 0) & there[:, None]], 1)
    return torch.cat([page, elements], 1), present


def deed(did: dict[str, Tensor], seen: dict[str, Tensor], there: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (m, 5, 1) of actions: the type, its column, row, word and direction, those that it has."""
    written = spelt(did["type"], bins(place(did, seen)), did["text"], did["direction"])
    return written[..., None], (written > 0) & there[:, None]


def spelt(kind: Tensor, at: Tensor, word: Tensor, direction: Tensor) -> Tensor:
    """(m, 5) symbols of actions, 0 where a type has no such argument. Shapes: kind (m,), at (m, 2), the others (m,)."""
    pointed, worded = (torch.isin(kind, torch.tensor(types)) for types in (AT_A_POINT, WITH_WORDS))
    columns = [
        kind + symbols.FIRST_TYPE,
        torch.where(pointed, at[:, 0] + symbols.FIRST_X, 0),
        torch.where(pointed, at[:, 1] + symbols.FIRST_Y, 0),
        torch.where(worded, word + symbols.FIRST_WORD, 0),
        torch.where(kind == SCROLL, direction + symbols.FIRST_DIRECTION, 0),
    ]
    return torch.stack(columns, 1)


class Steps(NamedTuple):
    """Single steps of recorded episodes: what was read, and what was done."""

    prompts: Prompts
    truth: dict[str, Tensor]  # "type" (m,), "point" (m, 2), "text" (m,), "direction" (m,)
    row: Tensor  # (m,) int64, which episode
    step: Tensor  # (m,) int64, from 0

    @classmethod
    def mixed(cls, parts: Iterable[Self]) -> Self:
        """The steps of several histories, such as of several tasks, read with the same memory."""
        mixed: Self = joined_rows(list(parts))
        return mixed


def steps_of(history: History, memory: int) -> Steps:
    """Every step of every row of a history of screens, each with the ``memory`` steps before it."""
    check_is("history", history, History, "a History of screens")
    memory = checked_int("memory", memory, 0)
    row, step = history.valid.nonzero().T
    window = step[:, None] + torch.arange(-memory, 1)
    there, window = window >= 0, window.clamp(min=0)
    observation = {name: column[row[:, None], window] for name, column in history.observation.items()}
    action = {name: column[row[:, None], window[:, :-1]] for name, column in history.action.items()}
    now = {name: column[row, step] for name, column in history.action.items()}
    point = place(now, {name: column[:, -1] for name, column in observation.items()})
    truth = {"type": now["type"], "point": point, "text": now["text"], "direction": now["direction"]}
    return Steps(read(observation, action, there), truth, row, step)


def latest(history: History, observation: dict[str, Tensor], memory: int) -> Prompts:
    """Prompts of a policy that is acting: the present observation, and what it remembers of its history."""
    steps = history.num_steps
    past = min(memory, steps)
    n = len(observation["kind"])
    there = torch.ones(n, past + 1, dtype=torch.bool)
    if past:
        age = torch.arange(past, -1, -1)
        there = age <= history.length[:, None] if len(history.length) == n else there
        seen = {
            name: torch.cat([history.observation[name][:, steps - past : steps], column[:, None]], 1)
            for name, column in observation.items()
        }
        did = {name: column[:, steps - past :] for name, column in history.action.items()}
    else:
        seen, did = {name: column[:, None] for name, column in observation.items()}, None
    return read(seen, did, there)
