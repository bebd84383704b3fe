"""Prompts: the goal, the last screens and actions, and the present screen, as tokens of symbols."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from ethogram.envs.gui.actions import TYPES
from ethogram.simulator import History, check_is, checked_int

from . import symbols
from .screens import MORE, READ, Columns, as_symbols, deeds, deeds_before

WIDTH = 6  # symbols that one token may be at once; where texts are strings, an element is more
GOAL, SCREEN, DID, NOW = range(4)  # parts of a prompt: SCREEN and DID are of the past
Drop = Literal["screens", "actions", "both"]
AT_A_POINT = tuple(TYPES.index(name) for name in ("tap", "double_tap", "long_press", "hover", "type", "select"))
MAY_HAVE_WORDS = tuple(TYPES.index(name) for name in ("press", "done"))  # a key; how it ended, or an answer
WITH_WORDS = (*(TYPES.index(name) for name in ("type", "select", "open")), *MAY_HAVE_WORDS)
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


def read(seen: dict[str, Tensor], did: dict[str, Tensor], there: Tensor) -> Prompts:
    """Prompts from windows of k + 1 screens, the present one last, and of k actions.

    seen: of (m, k + 1, …), by ``as_symbols``. did: of (m, k, …), by ``deeds``. there: (m, k + 1) bool, which of these
    steps have been.
    """
    m, screens = there.shape
    parts = [asking(seen["goal"][:, -1])]
    for k in range(screens):
        age = screens - 1 - k
        parts.append(
            (*screen({n: column[:, k] for n, column in seen.items()}, there[:, k]), NOW if age == 0 else SCREEN, age)
        )
        if age:
            parts.append((*deed({n: column[:, k] for n, column in did.items()}, there[:, k]), DID, age))
    ask = torch.full((m, 1, 1), symbols.ANSWER)
    parts.append((ask, torch.ones(m, 1, dtype=torch.bool), NOW, 0))
    return joined(parts)


def asking(goal: Tensor) -> tuple[Tensor, Tensor, int, int]:
    """Tokens of goals, (m, g) ids or (m, g, spans), as ``joined`` takes a part."""
    ids = words(goal)
    ids = ids if ids.dim() == 3 else ids[..., None]
    return ids, ids[..., 0] > 0, GOAL, 0


def joined(parts: list[tuple[Tensor, Tensor, int, int]]) -> Prompts:
    """Prompts from tokens (m, t, some), whether they are present (m, t), their part and their age."""
    width = max(WIDTH, *(part[0].shape[-1] for part in parts))
    tokens = [torch.nn.functional.pad(part[0], (0, width - part[0].shape[-1])) for part in parts]
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
    """Symbols of word ids, 0 for 0; ValueError for ids that there are not."""
    if int(ids.max()) >= (most := symbols.NUM_WORDS + symbols.TEXTS):
        raise ValueError(f"a word has id {int(ids.max())}: expected less than {most}; hash strings by word_of")
    return torch.where(ids > 0, ids + symbols.FIRST_WORD, 0)


def screen(seen: dict[str, Tensor], there: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (m, 1 + E, 4 + words) of screens, a page and its elements, and whether they are present, (m, 1 + E)."""
    kind, box = seen["kind"], seen["box"]
    at = bins((box[..., :2] + box[..., 2:]) / 2)
    flags = (seen["flags"].long() * torch.tensor([4, 2, 1])).sum(-1)
    rows = [
        *(kind + symbols.FIRST_KIND, *words(seen["text"]).unbind(-1)),
        *(at[..., 0] + symbols.FIRST_X, at[..., 1] + symbols.FIRST_Y, flags + symbols.FIRST_FLAGS),
    ]
    elements = torch.stack(rows, -1)
    page = torch.nn.functional.pad(torch.full((len(kind), 1, 1), symbols.PAGE), (0, elements.shape[-1] - 1))
    if "more" in seen:
        page[:, 0, 1] = torch.where(seen["more"], symbols.FIRST_WORD + symbols.word_of(MORE), 0)
    present = torch.cat([there[:, None], (kind > 0) & there[:, None]], 1)
    return torch.cat([page, elements], 1), present


def deed(did: dict[str, Tensor], there: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (m, 5, 1) of actions: the type, its column, row, word and direction, those that it has."""
    written = spelt(did["type"], bins(did["point"]), did["text"], did["direction"])
    there = there & did["known"] if "known" in did else there
    return written[..., None], (written > 0) & there[:, None]


def spelt(kind: Tensor, at: Tensor, word: Tensor, direction: Tensor) -> Tensor:
    """(m, 5) symbols of actions, 0 where a type has no such argument. Shapes: kind (m,), at (m, 2), the others (m,)."""
    pointed, worded = (torch.isin(kind, torch.tensor(types)) for types in (AT_A_POINT, WITH_WORDS))
    worded &= (word > 0) | ~torch.isin(kind, torch.tensor(MAY_HAVE_WORDS))
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


def check_window(steps: Steps, memory: int) -> None:
    """ValueError where steps look back further than a policy, which would learn from what it will not see."""
    if (most := int(steps.prompts.available.max())) > memory:
        raise ValueError(f"steps look back {most} steps, and the policy {memory}: expected the same memory of both")


def window(
    history: History, row: Tensor, step: Tensor, memory: int, labels: Sequence[str] = ()
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """The last ``memory`` steps before steps of rows, (m,) both, and these.

    Screens (m, memory + 1, …), what was done on each but the last (m, memory, …), and which of these steps have been,
    (m, memory + 1) bool. What was done is what the observation tells of it, where it does, as ``Replay``'s.
    """
    at = step[:, None] + torch.arange(-memory, 1)
    there, at = at >= 0, at.clamp(min=0)
    whole = as_symbols(_shown(history.observation), labels)
    seen = {name: column[row[:, None], at] for name, column in whole.items()}
    if "past" in history.observation:
        before = deeds_before(history.observation["past"], memory)
        return seen, {name: column[row, step] for name, column in before.items()}, there
    before = deeds(history.action, {name: column[:, :-1] for name, column in _shown(history.observation).items()})
    return seen, {name: column[row[:, None], at[:, :-1]] for name, column in before.items()}, there


def lately(
    history: History, observation: Columns, memory: int, labels: Sequence[str] = ()
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """``window`` for a policy that is acting: the last k steps, ``memory`` or as many as there are, and the present."""
    steps, shown = history.num_steps, _shown(observation)
    past, n = min(memory, steps), len(observation["box"])
    there = torch.ones(n, past + 1, dtype=torch.bool)
    last = {name: column[:, None] for name, column in shown.items()}
    if past:
        there = torch.arange(past, -1, -1) <= history.length[:, None]
        for name, column in last.items():
            earlier = history.observation[name][:, steps - past : steps]
            join = torch.cat if isinstance(column, Tensor) else np.concatenate
            last[name] = join((earlier, column), 1)
    seen = as_symbols(last, labels)
    if "past" in observation:
        before = deeds_before(observation["past"], memory)
        return seen, {name: column[:, memory - past :] for name, column in before.items()}, there
    if not past:
        return seen, {}, there
    action = {name: column[:, steps - past :] for name, column in history.action.items()}
    return seen, deeds(action, {name: column[:, :-1] for name, column in last.items()}), there


def _shown(observation: Columns) -> Columns:
    """The parts of an observation that are read of a screen; what it tells of the past has other axes."""
    return {name: column for name, column in observation.items() if name in READ}


def steps_of(history: History, memory: int, labels: Sequence[str] = ()) -> Steps:
    """Every step of every row of a history of screens, each with the ``memory`` steps before it.

    labels: the strings that labels of recorded elements are places in, ``recording.arrays.strings``.
    """
    check_is("history", history, History, "a History of screens")
    memory = checked_int("memory", memory, 0)
    row, step = steps_there(history)
    seen, did, there = window(history, row, step, memory, labels)
    return Steps(read(seen, did, there), truth_of(history, row, step), row, step)


def steps_there(history: History) -> tuple[Tensor, Tensor]:
    """(m,) rows and (m,) steps at which somebody acted; ValueError if nobody ever did."""
    if not bool(history.length.any()):
        raise ValueError("history has no step of anybody: expected screens on which something was done")
    row, step = history.valid.nonzero().T
    return row, step


def truth_of(history: History, row: Tensor, step: Tensor) -> dict[str, Tensor]:
    """Actions at steps of rows: "type" (m,), "point" (m, 2), "text" (m,), an id, "direction" (m,)."""
    did = deeds(history.action, {name: column[:, :-1] for name, column in _shown(history.observation).items()})
    return {name: column[row, step] for name, column in did.items()}


def latest(history: History, observation: Columns, memory: int, labels: Sequence[str] = ()) -> Prompts:
    """Prompts of a policy that is acting: the present observation, and what it remembers of its history."""
    return read(*lately(history, observation, memory, labels))
