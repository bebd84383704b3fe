"""Screens of every world as symbols: words as ids, recorded labels, texts of pages; and ids as texts again.

Worlds whose words are ids (as of ``SymbolicGui``) are read as they are. Those of strings are read by buckets: a text is
what ``symbols.word_of`` makes of it, whole and word by word.

* An element has the first WORDS words of its text, its whole text, the first two words of its value, and, as words,
  its kind and state where symbols have none ("link", "checked").
* A goal has its first GOAL_WORDS words, with the spans of two and three words that begin at each; where it is longer,
  "…" stands for the rest.
* A screen has ELEMENTS elements at most, in their order. Where there are more, those stay first that share a word with
  the goal, then those with a text or that can be acted on; the page has the word "…".
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.envs.browser.scripts import FLAGS, KINDS
from ethogram.envs.gui.actions import KEYS, STATUSES, TYPES
from ethogram.envs.gui.apps import FLAGS as BASIC_FLAGS
from ethogram.envs.gui.apps import ICON, TEXT
from ethogram.envs.gui.apps import KINDS as BASIC_KINDS
from ethogram.envs.gui.words import ids_of
from ethogram.simulator import History

from . import symbols

Columns = dict[str, Any]  # tensors (…) by name, text in NumPy arrays of str, dicts of these

ELEMENTS = 40  # of a screen of strings
WORDS = 4  # of an element's text
TOLD = 10  # ids of an element
GOAL_WORDS = 48
SPANS = 3  # words of the longest span of a goal that has an id of its own
COPIED = 8  # words of the longest span that can be copied from a goal or a screen
MORE = "…"  # there is more than is read
INFEASIBLE = "infeasible"  # done's word where its status is this
NEEDED = ("box", "kind", "flags", "text", "goal")
RECORDED = ("box", "label", "goal")
READ = {*NEEDED, *RECORDED, "value", "instruction"}
_CHUNK = 1024  # screens turned at a time
_EDGES = " \t\"'“”‘’.,:;!?()[]<>"
_QUOTED = re.compile(r"""["“]([^"”]+)["”]|(?<!\w)['‘]([^'’]+)['’](?!\w)""")
_NEAREST = (  # kinds of pages that symbols lack, by what they are most like; their names are words besides
    *range(len(BASIC_KINDS)),
    *(BASIC_KINDS.index({"option": "item", "image": "icon", "container": "text"}.get(kind, "button"))
      for kind in KINDS[len(BASIC_KINDS) :]),
)  # fmt: skip
DONE, PRESS = TYPES.index("done"), TYPES.index("press")
TYPED = tuple(TYPES.index(name) for name in ("type", "select", "open"))


def of_strings(observation: Mapping[str, Any]) -> bool:
    """Whether a world's texts are strings. Raises ValueError for what is no observation of a screen."""
    recorded = "label" in observation
    if any(name not in observation for name in (RECORDED if recorded else NEEDED)):
        raise ValueError(
            f"the observation has {sorted(observation)}: expected {list(NEEDED)} as in SymbolicGui or BrowserGui, "
            f"or {list(RECORDED)} as in Replay"
        )
    return recorded or not isinstance(observation["text"], Tensor)


def as_symbols(observation: Mapping[str, Any], labels: Sequence[str] = ()) -> dict[str, Tensor]:
    """Screens (…) of any world as columns: kind (…, E), box, flags (…, E, 3), text (…, E, words), goal (…, words).

    labels: the strings that labels of recorded elements are places in. Where texts are strings, there is also
    "more" (…,), whether elements were left out, and goals are (…, GOAL_WORDS, SPANS).
    """
    if not of_strings(observation):
        return {name: observation[name] for name in NEEDED}
    lead = observation["box"].shape[:-2]
    flat = {
        name: column.reshape(-1, *column.shape[len(lead) :]) for name, column in observation.items() if name in READ
    }
    count, turn = len(flat["box"]), _recorded if "label" in flat else _page
    parts = []
    for first in range(0, count, _CHUNK):
        rows = slice(first, first + _CHUNK)
        parts.append(_picked(turn({name: column[rows] for name, column in flat.items()}, labels)))
    whole = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return {name: column.view(*lead, *column.shape[1:]) for name, column in whole.items()}


@lru_cache(maxsize=4)
def _ids_of_labels(strings: tuple[str, ...]) -> Tensor:
    """(S, TOLD) int64 ids of the labels of recorded elements."""
    return torch.tensor([_told(text) for text in strings], dtype=torch.int64).reshape(-1, TOLD)


def _page(seen: Columns, labels: Sequence[str]) -> dict[str, Tensor]:
    """Columns of pages: elements with lines of text and value."""
    kind, flags = seen["kind"].long(), seen["flags"].long()
    text, useful = torch.zeros(*kind.shape, TOLD, dtype=torch.int64), (flags[..., : len(BASIC_FLAGS)] > 0).any(-1)
    state = flags.tolist()
    for row, kinds in enumerate(kind.tolist()):
        lines = _lines("text", seen["text"][row], len(kinds))
        values = _lines("value", seen["value"][row] if "value" in seen else "", len(kinds))
        there = [e for e, k in enumerate(kinds) if k]
        ids = [_told(lines[e], values[e], kinds[e], tuple(state[row][e])) for e in there]
        text[row, there] = torch.tensor(ids, dtype=torch.int64).reshape(-1, TOLD)
        useful[row, [e for e in there if lines[e] or values[e]]] = True
    return {
        "kind": torch.tensor(_NEAREST)[kind],
        "box": seen["box"],
        "flags": flags[..., : len(BASIC_FLAGS)],
        "text": text,
        "goal": _goals(seen),
        "useful": useful,
    }


def _lines(name: str, told: Any, count: int) -> list[str]:
    """The lines of a text, one an element, of so many at least."""
    if not isinstance(told, str):
        raise ValueError(f"{name} of the observation is {told!r:.60}: expected text, a line an element, or words' ids")
    lines = told.split("\n")
    return lines + [""] * (count - len(lines))


def _recorded(seen: Columns, labels: Sequence[str]) -> dict[str, Tensor]:
    """Columns of recorded screens: boxes, of which some have labels, and nothing is known besides."""
    label, box = seen["label"], seen["box"]
    if (most := int(label.max())) and most >= len(labels):
        raise ValueError(
            f"labels are {len(labels)} strings, and the observation's go up to {most}: expected "
            "labels=recording.arrays.strings, of the recording that is replayed"
        )
    text = _ids_of_labels(tuple(labels) or ("",))[label]
    kind = torch.where(text[..., 0] > 0, TEXT, ICON)
    return {
        "kind": torch.where((box != 0).any(-1), kind, 0),
        "box": box,
        "flags": torch.zeros(*label.shape, len(BASIC_FLAGS), dtype=torch.int64),
        "text": text,
        "goal": _goals(seen),
        "useful": text[..., 0] > 0,
    }


def _picked(columns: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with ELEMENTS elements: those that matter most, in their order; and whether there were more."""
    there, goal = columns["kind"] > 0, columns["goal"]
    useful, count = columns.pop("useful"), there.shape[1]
    rank = torch.where(there, torch.where(useful, 1, 2), 3)
    more = there.sum(1) > ELEMENTS
    for row in more.nonzero()[:, 0].tolist():
        shared = torch.isin(columns["text"][row], goal[row][goal[row] > 0]).any(-1)
        rank[row] = torch.where(shared & there[row], 0, rank[row])
    order = rank.argsort(dim=1, stable=True)[:, :ELEMENTS]
    order = torch.where(rank.gather(1, order) < 3, order, count).sort(1).values.clamp(max=count - 1)
    kept = torch.arange(order.shape[1]) < there.sum(1, keepdim=True)
    picked = {"goal": goal, "more": more}
    for name in ("kind", "box", "flags", "text"):
        column = columns[name]
        at, mask = (part.view(*part.shape, *[1] * (column.dim() - 2)) for part in (order, kept))
        picked[name] = column.gather(1, at.expand(-1, -1, *column.shape[2:])) * mask
    return picked


@lru_cache(maxsize=1 << 16)
def _told(text: str, value: str = "", kind: int = 0, state: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The ids of an element, TOLD of them."""
    parts = words_in(text)
    said = [*parts[:WORDS], *([text] if len(parts) > 1 else []), *words_in(value)[:2]]
    said += [KINDS[kind]] if kind >= len(BASIC_KINDS) else []
    flags = dict(zip(FLAGS, state, strict=False))
    said += [flag for flag in ("focused", "checked") if flags.get(flag)]
    said += ["disabled"] if flags.get("enabled") == 0 and kind != TEXT else []
    ids = [symbols.word_of(word) for word in said][:TOLD]
    return (*ids, *[0] * (TOLD - len(ids)))


def _goals(seen: Columns) -> Tensor:
    """(N, GOAL_WORDS, SPANS) ids of goals, and of instructions after them."""
    said = seen.get("instruction")
    texts = [str(goal) if said is None else f"{goal} {said[row]}" for row, goal in enumerate(seen["goal"])]
    return torch.tensor([_goal(text) for text in texts], dtype=torch.int64).reshape(-1, GOAL_WORDS, SPANS)


@lru_cache(maxsize=1 << 12)
def _goal(text: str) -> tuple[tuple[int, ...], ...]:
    parts = words_in(text)
    ids = [
        tuple(symbols.word_of(" ".join(parts[k : k + n])) if k + n <= len(parts) else 0 for n in range(1, SPANS + 1))
        for k in range(len(parts))
    ]
    if len(ids) > GOAL_WORDS:
        ids[GOAL_WORDS - 1 :] = [(symbols.word_of(MORE), 0, 0)]
    return (*ids, *[(0,) * SPANS] * (GOAL_WORDS - len(ids)))


def words_in(text: str) -> list[str]:
    """The words of a text, without the marks around them."""
    return [bare for word in text.split() if (bare := word.strip(_EDGES))]


def place(action: Mapping[str, Any], observation: Mapping[str, Any]) -> Tensor:
    """(…, 2) where an action points: the middle of its element on that screen, or its point."""
    element = (action["element"] - 1).clamp(min=0)
    index = element[..., None, None].expand(*element.shape, 1, 4)
    box = observation["box"].gather(-2, index).squeeze(-2)
    return torch.where(action["element"][..., None] > 0, (box[..., :2] + box[..., 2:]) / 2, action["point"])


def deeds(action: Mapping[str, Any], observation: Mapping[str, Any]) -> dict[str, Tensor]:
    """Actions (…) on screens (…) as columns: type, point, text (an id) and direction.

    The text is what was typed, chosen or opened; of a press its key; of done its answer, or "infeasible".
    """
    point, text, kind = place(action, observation), action["text"], action["type"]
    if not isinstance(text, Tensor):
        if of_strings(observation):
            text = _ids(kind, text, action.get("key"), action.get("status"))
        else:
            text = torch.from_numpy(ids_of(np.asarray(text).ravel())).view(kind.shape)
    return {"type": kind, "point": point, "text": text, "direction": action["direction"]}


def deeds_before(past: Mapping[str, Any], count: int) -> dict[str, Tensor]:
    """The last ``count`` of k actions that an observation tells, (…, count), as ``Replay``'s; "known" where one is."""
    if (k := past["type"].shape[-1]) < count:
        raise ValueError(
            f"the world tells {k} past actions: expected {count}, as looked back; take Replay(past={count})"
        )
    last = slice(k - count, k)
    text = np.empty((*past["type"].shape[:-1], count), object)
    for i in range(count):
        text[..., i] = past["text"][str(k - count + i)]
    columns = {name: part[..., last] for name, part in past.items() if name in ("type", "key", "status", "whose")}
    ids = _ids(columns["type"], text, columns["key"], columns["status"])
    return {
        "type": columns["type"],
        "point": past["point"][..., last, :],
        "text": ids,
        "direction": past["direction"][..., last],
        "known": columns["whose"] > 0,
    }


def _ids(kind: Tensor, text: Any, key: Tensor | None, status: Tensor | None) -> Tensor:
    """(…) ids of the words of actions."""
    ids = torch.zeros(kind.shape, dtype=torch.int64)
    for at in torch.isin(kind, torch.tensor((*TYPED, PRESS, DONE))).nonzero().tolist():
        place, said = tuple(at), ""
        if kind[place] == PRESS:
            said = KEYS[int(key[place])] if key is not None and key[place] else ""
        elif kind[place] == DONE and status is not None and STATUSES[int(status[place])] == INFEASIBLE:
            said = INFEASIBLE
        else:
            said = str(text[place])
        ids[place] = symbols.word_of(said)
    return ids


def texts_in(
    observation: Mapping[str, Any], history: History, row: int, memory: int, labels: Sequence[str]
) -> Iterator[str]:
    """The texts that a row has before it: goal, screen, what was typed, and the last ``memory`` screens."""
    yield from (str(observation[name][row]) for name in ("goal", "instruction") if name in observation)
    yield from _shown(
        {name: observation[name][row] for name in ("text", "value", "label") if name in observation}, labels
    )
    steps = history.num_steps
    if "past" in observation:
        yield from (str(text[row]) for text in observation["past"]["text"].values())
    elif steps:
        yield from (str(text) for text in history.action["text"][row])
    for step in range(steps - 1, max(steps - memory, 0) - 1, -1):
        seen = history.observation
        yield from _shown({name: seen[name][row, step] for name in ("text", "value", "label") if name in seen}, labels)


def _shown(seen: Mapping[str, Any], labels: Sequence[str]) -> Iterator[str]:
    if "label" in seen:
        yield from (labels[place] for place in seen["label"].tolist() if place)
    for name in ("text", "value"):
        yield from (line for line in str(seen.get(name, "")).split("\n") if line)


def text_of(word: int, sources: Iterable[str]) -> str:
    """The first text of some whose id is a word's: a source, what it has in quotes, or up to COPIED of its words.

    "" where none is: ids are buckets, from which no text can be read but one that stands somewhere.
    """
    return next((text for text in _copied(sources) if symbols.word_of(text) == word), "")


def _copied(sources: Iterable[str]) -> Iterator[str]:
    for source in dict.fromkeys(sources):
        yield source
        yield from (one or other for one, other in _QUOTED.findall(source))
        parts = words_in(source)
        yield from (" ".join(parts[k : k + n]) for n in range(1, COPIED + 1) for k in range(len(parts) - n + 1))
