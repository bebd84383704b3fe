"""Scripted policies for the symbolic GUI tasks: one that remembers all it has seen, and the best that forgets."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ethogram.envs.gui.apps import BUTTON, ICON, INPUT, ITEM, TEXT
from ethogram.envs.gui.words import (
    CLOSE,
    COPY,
    ENTER,
    FIND,
    FIRST_VALUE,
    IN_TURN,
    INFEASIBLE,
    LARGEST,
    NEXT,
    NINE,
    OPEN_EACH,
    PAGE,
    SAME_AS,
    SEND,
    ZERO,
)
from ethogram.simulator import Draws, History, checked_int

TAP, SCROLL, TYPE, HOME, DONE, DOWN = 1, 6, 7, 11, 15, 2  # of the action schema


Seen = dict[str, Tensor]  # the last k screens and the present one, as observed, and what was tapped on each of the k


@dataclass(frozen=True)
class Scripted:
    """Solves every family, by rules that read the goal, the screen, and the last ``memory`` screens before it.

    memory: steps that it looks back. With enough of them it is the oracle, which always succeeds. With 0 its actions
    depend on the present screen alone, and it is the best of those policies, as ``App.memoryless`` says: where the
    oracle looks back, it types always the same word, chooses always the first, opens one of the apps and presses one of
    the buttons at random, and takes the goal's last app for the last.

    The first of these rules that applies is followed: close an advertisement; press what is to be pressed next; choose
    what a dialog asks for; fill in an empty field; tap what the goal names; go on; scroll down; at home, open what is
    to be opened and was not; say done where nothing is left; go home.
    """

    memory: int = 100

    def __post_init__(self) -> None:
        checked_int("memory", self.memory, 0)

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> dict[str, Tensor]:
        """An action a row, from the screen, (n, 8, …)."""
        kind, text, goal = observation["kind"], observation["text"], observation["goal"]
        clickable, scrolls = observation["flags"][..., 0] > 0, observation["flags"][..., 2] > 0
        seen = self._seen(observation, history)
        field = kind == INPUT
        empty = field & (text[..., 1] < FIRST_VALUE)
        named = (text[..., :1] == goal[:, None]).any(2) & (text[..., 0] > 0)  # (n, 8) the goal has its first word
        item = (kind == ITEM) & clickable & named
        chosen = (item & (text[..., 0] == text[..., 1])).any(1)
        on = (kind == BUTTON) & (text[..., 0] == NEXT)
        icon = (kind == ICON) & clickable
        home = icon.any(1)
        left = draws.gumbel("icon", kind.shape[1]).where(icon & self._unopened(text, goal, seen), -torch.inf)
        finished = field.any(1) | chosen | home | (_in_last_app(text, kind, goal) & (self.memory == 0))
        finished |= ((kind == TEXT) & (text[..., 0] == goal[:, :1]) & (goal[:, :1] > 0)).any(1)  # the answer is given
        nowhere = torch.zeros_like(goal[:, 0])
        close = (kind == BUTTON) & (text[..., 0] == CLOSE)
        rules = [
            (close.any(1), TAP, _first(close)),
            *self._presses(observation, seen, draws),
            *_choices(kind, clickable, text, goal, seen),
            (empty.any(1), TYPE, _first(empty)),
            (item.any(1) & ~chosen, TAP, _first(item)),
            (on.any(1), TAP, _first(on)),
            (scrolls.any(1), SCROLL, nowhere),
            (left.isfinite().any(1), TAP, 1 + left.argmax(1)),
            (finished, DONE, nowhere),
        ]
        act, element = torch.full_like(nowhere, HOME), nowhere
        for applies, what, where in reversed(rules):
            act, element = torch.where(applies, what, act), torch.where(applies, where, element)
        name = text[torch.arange(len(text), device=text.device), (element - 1).clamp(min=0), 0]
        typed = _value_of(name, seen)
        answer = torch.where(self._infeasible(goal, seen), INFEASIBLE, 0)
        return {
            "type": act,
            "point": torch.zeros_like(observation["box"][:, 0, :2]),
            "element": element,
            "direction": torch.where(act == SCROLL, DOWN, 0),
            "text": torch.where(act == TYPE, typed.where(typed > 0, FIRST_VALUE), answer.where(act == DONE, 0)),
        }

    def _seen(self, observation: dict[str, Tensor], history: History) -> Seen:
        """ "kind" (n, k + 1, 8) and "text" (n, k + 1, 8, 2); "tapped" (n, k), the first words of what was tapped."""
        if not self.memory or not history.num_steps:
            nothing = observation["goal"][:, :0]
            return {"kind": observation["kind"][:, None], "text": observation["text"][:, None], "tapped": nothing}
        last = slice(-self.memory - 1, None)
        seen = {name: history.observation[name][:, last] for name in ("kind", "text")}
        did = {name: history.action[name][:, -self.memory :] for name in ("type", "element")}
        at = (did["element"] - 1).clamp(min=0)[..., None]
        word = seen["text"][:, :-1, :, 0].gather(2, at)[..., 0]
        return {**seen, "tapped": word.where((did["type"] == TAP) & (did["element"] > 0), 0)}

    def _presses(self, now: dict[str, Tensor], seen: Seen, draws: Draws) -> list[tuple[Tensor, int, Tensor]]:
        """Rules for buttons that are to be pressed in turn, a code that is to be entered, or to send so many times."""
        kind, text, goal = now["kind"], now["text"], now["goal"]
        verb, names = goal[:, 0], goal[:, 1:]
        turn, code, send = verb == IN_TURN, verb == ENTER, verb == SEND
        if not (turn | code | send).any():
            return []
        label, digit = text[..., 0], (text[..., 0] >= ZERO) & (text[..., 0] <= NINE)
        button = ((kind == BUTTON) | (kind == ICON)) & (now["flags"][..., 0] > 0)
        key = button & torch.where(turn[:, None], (label[..., None] == names[:, None]).any(2), digit & code[:, None])
        key |= button & (label == SEND)
        here = key.any(1)
        times = torch.where(turn, (names > 0).sum(1), names[:, 0] - ZERO)  # presses that are wanted
        tapped = seen["tapped"]
        named = (tapped[..., None] == names[:, None]) & (names[:, None] > 0)  # (n, k, 3)
        place = (1 + named.long().argmax(2)) * named.any(2)
        number = torch.arange(1, 1 + place.shape[1], device=place.device) * (place > 0)
        latest = place.gather(1, number.argmax(1, keepdim=True))[:, 0] if place.shape[1] else torch.zeros_like(verb)
        counted = torch.where(code[:, None], (tapped >= ZERO) & (tapped <= NINE), tapped == SEND).sum(1)
        displayed = ((kind == TEXT) & digit).any(1) | ((label == SEND) & (text[..., 1] > 0)).any(1)
        display = ((kind == TEXT) & digit & (text[..., 1] > 0)).sum(1)
        display = torch.where(send, ((text[..., 1] - ZERO) * (label == SEND)).sum(1), display)
        done = torch.where(displayed, display, torch.where(turn, latest, counted))  # presses so far
        following = goal.gather(1, (1 + done).clamp(max=goal.shape[1] - 1)[:, None])[:, 0]
        following = torch.where(turn, following, torch.where(code, _value_of(ZERO + 1 + done, seen), SEND))
        due, enough = key & (label == following[:, None]), done >= times
        if not self.memory:
            ways = torch.where(turn & (kind != ICON).all(1), times + 1, times)
            luck = draws.uniform("press")
            stop = luck * (times + 1) < torch.where((ways > times) | ~turn, 1, 0)
            stop |= send & (times > 2)  # then giving up at once succeeds more often
            any_key = draws.gumbel("key", kind.shape[1]).where(key, -torch.inf).argmax(1)
            due = torch.where(
                displayed[:, None], due, torch.arange(kind.shape[1], device=kind.device) == any_key[:, None]
            )
            enough = torch.where(displayed, enough, stop)
            page = ((kind == TEXT) & (label == PAGE) & (text[..., 1] == 0)).any(1)
            here, enough = here | (turn & page), torch.where(turn & page, luck * times < 1, enough)
        over = here & (enough | self._infeasible(goal, seen))
        return [(over, DONE, torch.zeros_like(verb)), (key.any(1) & due.any(1), TAP, _first(due))]

    def _infeasible(self, goal: Tensor, seen: Seen) -> Tensor:
        """(n,) whether two values that are to be the same are known to differ; who forgets may guess so."""
        send = goal[:, 0] == SEND
        if not send.any():
            return send
        one, other = _value_of(goal[:, 2], seen), _value_of(goal[:, 3], seen)
        guessed = (goal[:, 1] - ZERO > 2) & (self.memory == 0)
        return send & torch.where((one > 0) & (other > 0), one != other, guessed)

    def _unopened(self, text: Tensor, goal: Tensor, seen: Seen) -> Tensor:
        """(n, 8) whether an icon is to be opened: the goal asks for it, and nothing seen says that it was."""
        verb, label, last = goal[:, :1], text[..., 0], _last(goal)
        asked = (text[..., :1] == goal[:, None, 1:]).any(2) | (verb == FIND)
        inside = seen["text"][..., 0].where(seen["kind"] == TEXT, -1).flatten(1)  # headings of apps and folders
        left = asked & (text[..., 1] <= ZERO) & ~(text[:, :, :1] == inside[:, None]).any(2)
        source = left & (label != last) & (label > 0)
        unread = source.any(1, keepdim=True) & (self.memory > 0)
        return torch.where(verb == COPY, torch.where(unread, source, asked & (label == last)), left)


def _value_of(name: Tensor, seen: Seen) -> Tensor:
    """(n,) what stood beside a name when that was last seen with a value; 0 where it was not."""
    kind, text = seen["kind"], seen["text"]
    told = (text[..., 0] == name[:, None, None]) & ((kind == ITEM) | (kind == ICON))
    told &= (text[..., 1] >= FIRST_VALUE) | ((text[..., 1] >= ZERO) & (text[..., 1] <= NINE))
    told, value = told.flatten(1), text[..., 1].flatten(1)  # the latest last
    place = told.shape[1] - 1 - told.flip(1).long().argmax(1)
    return value.gather(1, place[:, None])[:, 0].where(told.any(1), 0)


def _choices(
    kind: Tensor, clickable: Tensor, text: Tensor, goal: Tensor, seen: Seen
) -> list[tuple[Tensor, int, Tensor]]:
    """The rule for a dialog that asks which value is largest, or the same as another."""
    verb, item = goal[:, 0], (kind == ITEM) & clickable
    asked = ((verb == LARGEST) | (verb == SAME_AS)) & item.any(1)
    if not asked.any():
        return []
    value = torch.stack([_value_of(name, seen) for name in text[..., 0].T], 1)  # (n, 8)
    same = (value == _value_of(goal[:, 1], seen)[:, None]).long()
    score = torch.where(verb[:, None] == LARGEST, value, same).where(item, -1)
    return [(asked, TAP, 1 + score.argmax(1))]


def _first(which: Tensor) -> Tensor:
    """(n,) the number, from 1, of the first True of (n, 8)."""
    return 1 + which.long().argmax(1)


def _in_last_app(text: Tensor, kind: Tensor, goal: Tensor) -> Tensor:
    """(n,) whether this is the app that the goal names last, and nothing here counts how often it was opened."""
    here = (kind == TEXT) & (text[..., 0] == _last(goal)) & (text[..., 1] == 0)
    return here.any(1) & (goal[:, 0] == OPEN_EACH)


def _last(goal: Tensor) -> Tensor:
    """(n, 1) the last word of a goal."""
    return goal.gather(1, (goal > 0).sum(1, keepdim=True) - 1)
