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
Rule = tuple[Tensor, int, Tensor]  # (n,) where it applies, a type of action, (n,) the element


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
        """Kinds (n, k + 1, 8) and texts (n, k + 1, 8, 2), and the first words of what was tapped, (n, k)."""
        if not self.memory or not history.num_steps:
            nothing = observation["goal"][:, :0]
            return {"kind": observation["kind"][:, None], "text": observation["text"][:, None], "tapped": nothing}
        last = slice(-self.memory - 1, None)
        seen = {name: history.observation[name][:, last] for name in ("kind", "text")}
        did = {name: history.action[name][:, -self.memory :] for name in ("type", "element")}
        at = (did["element"] - 1).clamp(min=0)[..., None]
        word = seen["text"][:, :-1, :, 0].gather(2, at)[..., 0]
        return {**seen, "tapped": word.where((did["type"] == TAP) & (did["element"] > 0), 0)}

    def _presses(self, now: dict[str, Tensor], seen: Seen, draws: Draws) -> list[Rule]:
        """Rules for buttons that are to be pressed in turn, a code that is to be entered, or to send so many times."""
        goal = now["goal"]
        turn = goal[:, 0] == IN_TURN
        if not (turn | (goal[:, 0] == ENTER) | (goal[:, 0] == SEND)).any():
            return []
        key, shown = _keys(now), _shown_presses(now)  # shown: -1 where it is hidden
        times = torch.where(turn, (goal[:, 1:] > 0).sum(1), goal[:, 1] - ZERO)  # presses that are wanted
        pressed = torch.where(shown >= 0, shown, _remembered_presses(goal, seen))
        due = key & (now["text"][..., 0] == _next_key(goal, pressed, seen)[:, None])
        over = key.any(1) & ((pressed >= times) | self._infeasible(goal, seen))
        if not self.memory:
            guess, stops = _guess(now, key, times, draws)
            due, over = torch.where((shown >= 0)[:, None], due, guess), torch.where(shown >= 0, over, stops)
        return [(over, DONE, torch.zeros_like(times)), (due.any(1), TAP, _first(due))]

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
    told &= (text[..., 1] >= FIRST_VALUE) | _is_digit(text[..., 1])
    told, value = told.flatten(1), text[..., 1].flatten(1)  # the latest last
    place = told.shape[1] - 1 - told.flip(1).long().argmax(1)
    return value.gather(1, place[:, None])[:, 0].where(told.any(1), 0)


def _keys(now: dict[str, Tensor]) -> Tensor:
    """(n, 8) which buttons are among those that the goal wants pressed."""
    label, verb = now["text"][..., 0], now["goal"][:, :1]
    button = ((now["kind"] == BUTTON) | (now["kind"] == ICON)) & (now["flags"][..., 0] > 0)
    named = (label[..., None] == now["goal"][:, None, 1:]).any(2) & (verb == IN_TURN)
    return button & (named | (_is_digit(label) & (verb == ENTER)) | ((label == SEND) & (verb == SEND)))


def _shown_presses(now: dict[str, Tensor]) -> Tensor:
    """(n,) how often the screen says that keys were pressed; -1 where it does not say."""
    label, content = now["text"].unbind(2)
    place, sends = (now["kind"] == TEXT) & _is_digit(label), (label == SEND) & (content > 0)
    count = torch.where(place, content > 0, (content - ZERO) * sends).sum(1)
    return count.where((place | sends).any(1), -1)


def _remembered_presses(goal: Tensor, seen: Seen) -> Tensor:
    """(n,) how often keys were pressed, as far as is remembered; those to be pressed in turn, up to the latest."""
    tapped, names = seen["tapped"], goal[:, None, 1:]
    named = (tapped[..., None] == names) & (names > 0)  # (n, k, 3)
    turn = (1 + named.long().argmax(2)) * named.any(2)  # (n, k) place of what was pressed, 0 for what is none of them
    when = torch.arange(1, 1 + turn.shape[1], device=turn.device) * (turn > 0)
    latest = (turn * (when == when.amax(1, keepdim=True))).amax(1) if turn.shape[1] else torch.zeros_like(goal[:, 0])
    count = torch.where(goal[:, :1] == ENTER, _is_digit(tapped), tapped == SEND).sum(1)
    return torch.where(goal[:, 0] == IN_TURN, latest, count)


def _next_key(goal: Tensor, pressed: Tensor, seen: Seen) -> Tensor:
    """(n,) the word on the key that is to be pressed after so many; 0 where that is not known."""
    named = goal.gather(1, (1 + pressed).clamp(max=goal.shape[1] - 1)[:, None])[:, 0]
    digit, verb = _value_of(ZERO + 1 + pressed, seen), goal[:, 0]
    return torch.where(verb == IN_TURN, named, torch.where(verb == ENTER, digit, SEND))


def _guess(now: dict[str, Tensor], key: Tensor, times: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """(n, 8) a key at random, and (n,) whether to say done: as often as succeeds most, for one who forgets.

    Once in K + 1 times; where presses open a way, at the end of one way in K; to send thrice is not worth a try.
    """
    kind, verb = now["kind"], now["goal"][:, 0]
    number = draws.gumbel("key", kind.shape[1]).where(key, -torch.inf).argmax(1, keepdim=True)
    guess = key & (torch.arange(kind.shape[1], device=kind.device) == number)
    turn, opens = verb == IN_TURN, (key & (kind == ICON)).any(1)
    end = turn & ((kind == TEXT) & (now["text"][..., 0] == PAGE) & (now["text"][..., 1] == 0)).any(1)
    chance = torch.where(end, 1 / times, torch.where(opens, 0, 1 / (times + 1)))
    chance = chance.masked_fill((verb == SEND) & (times > 2), 1)
    return guess, (key.any(1) | end) & (draws.uniform("press") < chance)


def _is_digit(words: Tensor) -> Tensor:
    return (words >= ZERO) & (words <= NINE)


def _choices(kind: Tensor, clickable: Tensor, text: Tensor, goal: Tensor, seen: Seen) -> list[Rule]:
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
