"""clone: behaviour cloning on symbolic screens, by counts of what was done where, with a memory of so many steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ethogram.envs.gui.apps import EMPTY, INPUT, TEXT
from ethogram.envs.gui.words import FIRST_APP, FIRST_LABEL, FIRST_VALUE, VALUES, VOCABULARY
from ethogram.simulator import Draws, History, check_is, checked_int

SCROLL, TYPE, DONE = 6, 7, 15  # of the action schema
_NAMELESS, _BESIDE, _GOAL, _LITERAL = 0, 1, 2, 6  # where a typed word is from; _GOAL + j: the goal's word j
_SEEN = ("kind", "flags", "text", "goal", "box")
_AFTER_VALUES = FIRST_VALUE + len(VALUES)
_SORTS = torch.arange(len(VOCABULARY))  # interface words are themselves; names, apps and values are three sorts
_SORTS[FIRST_LABEL:FIRST_APP], _SORTS[FIRST_APP:FIRST_VALUE] = FIRST_LABEL, FIRST_LABEL + 1
_SORTS[FIRST_VALUE:_AFTER_VALUES] = FIRST_LABEL + 2
_MULTIPLIER = 6364136223846793005  # of Knuth's generator: spreads numbers over 64 bits


class _Screens(NamedTuple):
    """Screens as a clone tells them apart, whatever their layout and whichever words are drawn."""

    codes: tuple[Tensor, Tensor]  # (m, 8) int64 each: elements described, with and without what memory adds
    keys: tuple[Tensor, Tensor, Tensor]  # (m,) int64 each: the screen by these codes; and nothing but that there is one
    beside: Tensor  # (m, 8) int64: the value last seen beside the element's first word, 0 where none was


@dataclass(frozen=True, eq=False)
class _Counts:
    """How often what was done in which context."""

    keys: Tensor  # (K,) int64, sorted
    did: Tensor  # (P, 5) int64: type, code of the element or -1, direction, where the word is from, the word
    until: Tensor  # (P,) float64: the context's place, plus the share of its actions up to this one

    @classmethod
    def of(cls, keys: Tensor, did: Tensor) -> "_Counts":
        pairs, count = torch.unique(torch.cat([keys[:, None], did], 1), dim=0, return_counts=True)
        contexts, place = pairs[:, 0].unique(return_inverse=True)
        total = torch.bincount(place, count.double())
        running = count.double().cumsum(0)
        begin = torch.cat([running.new_zeros(1), total.cumsum(0)])[place]
        return cls(contexts, pairs[:, 1:], place + ((running - begin) / total[place]).clamp(max=1))

    def drawn(self, keys: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """(m, 5) what is done in contexts (m,), in proportion to the counts; (m,) bool whether a context is known."""
        place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        at = torch.searchsorted(self.until, place + uniform.double()).clamp(max=len(self.did) - 1)
        return self.did[at], self.keys[place] == keys


@dataclass(frozen=True, eq=False)
class Clone:
    """A policy that does what was done on screens like this one, as often; made by ``clone``.

    memory: how many screens before the present one it looks at. Where the screen with what memory says of it was never
    met, it does as on the screen alone; where that was not met, what was done most anywhere.
    """

    memory: int
    counts: tuple[_Counts, _Counts, _Counts]
    typed: Tensor  # (m,) int64, sorted: the words that were typed

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> dict[str, Tensor]:
        """An action a row, from the screen, (n, 8, …)."""
        recent = {name: observation[name][:, None] for name in ("kind", "text")}
        if self.memory and history.num_steps:
            recent = {name: history.observation[name][:, -self.memory - 1 :] for name in recent}
        seen, chance = _screens(observation, recent), draws.uniform("did")
        did, code = torch.zeros_like(seen.codes[0][:, :5]), seen.codes[0]
        for level in (2, 1, 0):
            drawn, known = self.counts[level].drawn(seen.keys[level], chance)
            did = torch.where(known[:, None], drawn, did)
            code = torch.where(known[:, None], seen.codes[min(level, 1)], code)
        here = code == did[:, 1:2]
        lottery = draws.gumbel("which", here.shape[1]).where(here, -torch.inf)
        slot = lottery.argmax(1)
        element = torch.where(here.any(1), 1 + slot, 0)
        beside = seen.beside.gather(1, slot[:, None])[:, 0]
        any_word = self.typed[(draws.uniform("word") * len(self.typed)).long()] if len(self.typed) else beside
        source, goal = did[:, 3], observation["goal"]
        word = torch.where(source == _LITERAL, did[:, 4], 0)
        word = torch.where(source == _BESIDE, torch.where(beside > 0, beside, any_word), word)
        of_goal = goal.gather(1, (source - _GOAL).clamp(0, goal.shape[1] - 1)[:, None])[:, 0]
        word = torch.where((source >= _GOAL) & (source < _LITERAL), of_goal, word)
        return {
            "type": did[:, 0],
            "point": torch.zeros_like(observation["box"][:, 0, :2]),
            "element": element,
            "direction": did[:, 2],
            "text": word,
        }


def clone(history: History, memory: int = 0) -> Clone:
    """Learn from what was done in symbolic screens, whoever did it; actions by element and by point alike.

    memory: how many screens before the present one count: 0 for none.

    A screen is told by its elements: their kinds, whether they can be tapped or filled in, interface words as such, and
    of other words whether they are names, apps or values, and whether the goal has them. So what is learnt does not
    depend on the layout or on the words that an episode drew. Memory adds to an element whether an app of that name was
    open lately, and whether a value was seen beside that name. A word that was typed counts as that value where it is
    equal to it, else as a word of the goal, else as itself.

    Raises ValueError for a history without symbolic screens, or without a step.
    """
    check_is("history", history, History, "a History of symbolic screens, as rollout gives")
    memory = checked_int("memory", memory, 0)
    observed: Any = history.columns.get("observation")
    did: Any = history.action
    lacking = [f"observation['{name}']" for name in _SEEN if not isinstance(observed, dict) or name not in observed]
    lacking += [f"action['{name}']" for name in ("type", "element") if not isinstance(did, dict) or name not in did]
    if lacking or not history.valid.any():
        what = f"lacks {', '.join(lacking)}" if lacking else "has no step"
        raise ValueError(f"history {what}: expected one of symbolic screens, such as ethogram/GuiCarry-v0 makes")
    keys, done, typed = [], [], []
    for t in range(history.num_steps):
        rows = history.valid[:, t]
        seen = {name: observed[name][rows, t] for name in _SEEN}
        recent = {name: observed[name][rows, max(t - memory, 0) : t + 1] for name in ("kind", "text")}
        screens = _screens(seen, recent)
        action = {name: part[rows, t] for name, part in did.items()}
        keys.append(torch.stack(screens.keys))
        done.append(torch.stack([_done(action, seen, screens, codes) for codes in screens.codes]))
        typed.append(action["text"][action["type"] == TYPE])
    full, plain = torch.cat(done, 1)
    by_all, by_screen, by_none = torch.cat(keys, 1)
    counts = (_Counts.of(by_all, full), _Counts.of(by_screen, plain), _Counts.of(by_none, plain))
    return Clone(memory, counts, torch.cat(typed).sort().values)


def _screens(seen: Mapping[str, Any], recent: Mapping[str, Any]) -> _Screens:
    """The present screens (m, 8, …), with the last ones (m, k + 1, 8, …), the present one among them."""
    kind, text, goal, flags = seen["kind"], seen["text"], seen["goal"], seen["flags"].long()
    word = _SORTS.to(text.device)[text]
    named = ((text[..., None] == goal[:, None, None]) & (text[..., None] > 0)).any(3).long()  # (m, 8, 2)
    plain = kind
    for part, most in (
        (word[..., 0], len(VOCABULARY)),
        (word[..., 1], len(VOCABULARY)),
        (named[..., 0], 2),
        (named[..., 1], 2),
        ((text[..., 0] == text[..., 1]).long(), 2),
        (flags[..., 0], 2),
        (flags[..., 1], 2),
        (flags[..., 2], 2),
    ):
        plain = plain * most + part
    plain = plain.where(kind != EMPTY, 0)
    kinds, texts = recent["kind"].flatten(1), recent["text"].flatten(1, 2)  # (m, L) and (m, L, 2)
    same = text[:, :, :1] == texts[:, None, :, 0]  # (m, 8, L)
    opened = (same & (kinds == TEXT)[:, None]).any(2) & (kind != TEXT) & (word[..., 0] > FIRST_LABEL)
    value = (texts[..., 1] >= FIRST_VALUE) & (texts[..., 1] < _AFTER_VALUES)
    told = same & (value & (kinds != INPUT))[:, None]
    latest = told.shape[2] - 1 - told.flip(2).long().argmax(2)
    beside = texts[..., 1].gather(1, latest).where(told.any(2) & (kind != EMPTY), 0)
    known = (beside > 0) & (kind == INPUT)
    full = plain * 4 + opened.long() * 2 + known.long()
    keys = (_key(full, goal), _key(plain, goal), torch.zeros_like(goal[:, 0]))
    return _Screens((full, plain), keys, beside)


def _key(codes: Tensor, goal: Tensor) -> Tensor:
    """(m,) one number for the elements of a screen, in whatever places, and what kind of task it is."""
    key = goal[:, 0]
    for code in codes.sort(1).values.unbind(1):
        key = (key + code) * _MULTIPLIER + 1
    return key


def _done(action: Mapping[str, Any], seen: Mapping[str, Any], screens: _Screens, codes: Tensor) -> Tensor:
    """(m, 5) actions as ``_Counts`` counts them."""
    box, kind, element = seen["box"], action["type"], action["element"]
    point = action["point"][:, None]
    inside = (box[..., :2] <= point).all(2) & (point <= box[..., 2:]).all(2) & (seen["kind"] != EMPTY)
    slot = torch.where(element > 0, element - 1, inside.long().argmax(1))
    placed = ((element > 0) | inside.any(1)) & ((kind == TYPE) | (kind < SCROLL))  # taps and the like
    code = codes.gather(1, slot[:, None])[:, 0].where(placed, -1)
    text, typed = action["text"], (kind == TYPE) | (kind == DONE)  # done may have an answer
    beside = screens.beside.gather(1, slot[:, None])[:, 0]
    in_goal = (seen["goal"] == text[:, None]) & (text > 0)[:, None]
    source = torch.where(in_goal.any(1), _GOAL + in_goal.long().argmax(1), _LITERAL)
    source = torch.where(placed & (beside > 0) & (beside == text), _BESIDE, source)
    source = source.where(typed & (text > 0), _NAMELESS)
    direction = torch.where(kind == SCROLL, action["direction"], 0)
    return torch.stack([kind, code, direction, source, text.where(source == _LITERAL, 0)], 1)
