"""Shortest ways through an app, by breadth-first search with the world's own moves, and how much longer others were."""

from collections.abc import Callable

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, check_is

from .apps import ELEMENTS, App
from .layouts import skins
from .motion import BACK, DEPTH, DONE, DOWN, HOME, OPENED, SCROLL, TAP, TYPE, UP, VALUES, begin, move, show
from .words import FIRST_LABEL, NINE, ZERO

MOST_STATES = 100_000  # that a search looks at


def begun(app: App, history: History) -> Tensor:
    """(n, V) int64, what the variables were at the beginning of each row's episode, by its seed and id."""
    check_is("app", app, App, "an App, as carry() makes one")
    check_is("history", history, History, "a History of that app's world")
    return begin(app, Draws(history.seed, history.ids, scope="world"))[:, VALUES:]


def shortest(app: App, values: Tensor) -> list[int]:
    """The screens shown on a shortest way to do a task, from the first to the one where done is right.

    As many actions are taken as there are screens, the last of them done. values: (V,) int64, what the app's variables
    are at the beginning of the episode, as ``begun`` gives them. It is found by one who knows them all, and types
    only what ``wanted`` asks for.
    Raises ValueError where none is found within the app's horizon.
    """
    check_is("app", app, App, "an App, as carry() makes one")
    check_is("values", values, Tensor, "the words of the app's variables")
    if values.dtype != torch.int64 or values.shape != (app.num_variables,):
        raise ValueError(f"values is {values.dtype} {tuple(values.shape)}: expected int64 ({app.num_variables},)")
    layout, hopeless, matters = skins(), _hopeless(app), _matters(app)
    state = torch.cat([torch.zeros(VALUES, dtype=torch.int64), values])[None]
    known, ways = state * matters, [[int(show(app, *layout, state)["screen"][0])]]
    for _ in range(app.horizon):
        end = _actions(len(state), DONE, text=_asked(app, state, torch.full((len(state),), app.answer)))
        right = move(app, *layout, state, end)[1] > 0
        if right.any():
            return ways[int(right.long().argmax())]
        origin, actions = _tries(app, state, layout[0])
        after = move(app, *layout, state[origin], actions)[0]
        after[:, OPENED:VALUES].masked_fill_(torch.arange(VALUES - OPENED) >= after[:, DEPTH : DEPTH + 1], 0)
        there = ~hopeless(after[:, VALUES:])
        after, origin = after[there], origin[there]
        every, group = torch.unique(torch.cat([known, after * matters]), dim=0, return_inverse=True)
        first = torch.full((len(every),), len(group)).scatter_reduce(0, group, torch.arange(len(group)), "amin")
        fresh = first[first >= len(known)] - len(known)
        known, state, origin = every, after[fresh], origin[fresh]
        if not len(state) or len(known) > MOST_STATES:
            break
        screens = show(app, *layout, state)["screen"].tolist()
        ways = [[*ways[i], screen] for i, screen in zip(origin.tolist(), screens, strict=True)]
    raise ValueError(
        f"no way to do the task of {app.name} is found in {app.horizon} steps and {MOST_STATES:,} states: expected an "
        "app whose task can be done"
    )


def path_efficiency(app: App, history: History) -> Tensor:
    """(n,) float32, for each row the length of a shortest way by that of its own; 0 where the task was not done.

    Its mean is the success weighted by path length of Anderson et al., "On Evaluation of Embodied Navigation Agents",
    2018 (the formula from memory). history: of the app's world, with the whole rewards.
    """
    values, done = _pattern(app, begun(app, history)), history.reward.sum(1) > 0
    patterns, which = torch.unique(values, dim=0, return_inverse=True)
    used = sorted(set(which[done].tolist()))
    lengths = torch.zeros(len(patterns))
    lengths[used] = torch.tensor([float(len(shortest(app, patterns[k]))) for k in used])
    return (lengths[which] / history.length.clamp(min=1)).where(done, 0.0)


def _pattern(app: App, values: Tensor) -> Tensor:
    """(n, V) values that have the same shortest ways, and are the same for many rows."""
    values, gives = values * _matters(app)[VALUES:], app.elements[..., 5]
    if not (gives >= FIRST_LABEL).any():  # then names and values matter only in that they are the same
        same = values[:, :, None] == values[:, None]  # (n, V, V)
        told = (values < FIRST_LABEL) | torch.isin(values, app.dialogs[:, 1])
        values = values.where(told, FIRST_LABEL + same.long().argmax(2))
    if not (app.elements[..., 6] == 1).any() and not ((gives >= ZERO) & (gives <= NINE)).any():  # and digits by order
        digit = (values >= ZERO) & (values <= NINE)
        lower = [((values == word).any(1))[:, None] & (values > word) for word in range(ZERO, NINE)]
        values = values.where(~digit, ZERO + torch.stack(lower).sum(0))
    return values


def _actions(
    rows: int, kind: int | Tensor, element: int | Tensor = 0, direction: int = 0, text: int | Tensor = 0
) -> dict[str, Tensor]:
    """One action, or one each, for some rows."""
    parts = {"type": kind, "element": element, "direction": direction, "text": text}
    columns = {name: torch.as_tensor(part).expand(rows) for name, part in parts.items()}
    return {**columns, "point": torch.zeros(rows, 2)}


def _tries(app: App, state: Tensor, order: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """All that could change each of (k,) states: (20 k,) the state's number, and the actions."""
    rows, k = torch.arange(len(state)), len(state)
    columns = [_actions(k, TAP, e) for e in range(1, ELEMENTS + 1)]
    shown = show(app, order, torch.zeros(len(order), ELEMENTS, 4), state)["screen"]
    for e in range(ELEMENTS):
        fills = app.elements[shown, order[0, e], 7]
        columns.append(_actions(k, TYPE, e + 1, text=_asked(app, state, fills)))
    columns += [_actions(k, SCROLL, direction=way) for way in (UP, DOWN)] + [_actions(k, kind) for kind in (BACK, HOME)]
    return rows.repeat(len(columns)), {name: torch.cat([part[name] for part in columns]) for name in columns[0]}


def _asked(app: App, state: Tensor, variable: Tensor) -> Tensor:
    """(k,) the word that a variable of each state, (k,), is wanted to be; 0 where it is not wanted."""
    word = torch.zeros(len(state), dtype=torch.int64)
    for one, other, _ in app.wanted.tolist():
        word = torch.where(variable == one, state[:, VALUES + other], word)
    return word


def _changes(app: App) -> list[tuple[int, int, int]]:
    """(variable, how, word) of all that elements do; how: 0 it becomes the word, 1 it counts, 2 it is filled once."""
    found = []
    for _, _, _, _, sets, gives, adds, fills in app.elements.flatten(0, 1).tolist():
        found += [(sets + k, min(adds, 2), gives) for k in range(max(adds, 1)) if sets >= 0]
        found += [(fills, 0, 0)] if fills >= 0 else []
    return found


def _hopeless(app: App) -> Callable[[Tensor], Tensor]:
    """A function of (k, V) values: whose task can no longer be done, as what only grows is more than is wanted."""
    how: dict[int, set[int]] = {}
    for variable, kind, _ in _changes(app):
        how.setdefault(variable, set()).add(kind)
    pairs = [(a, b) for a, b, more in app.wanted.tolist() if not more and b not in how]
    counted, filled = ([(a, b) for a, b in pairs if how.get(a) == {kind}] for kind in (1, 2))

    def check(values: Tensor) -> Tensor:
        gone = torch.zeros(len(values), dtype=torch.bool)
        for a, b in counted:
            gone |= values[:, a] > values[:, b]
        for a, b in filled:
            gone |= (values[:, a] != values[:, b]) & (values[:, a] != 0)
        return gone

    return check


def _matters(app: App) -> Tensor:
    """(11 + V,) 1 for the columns of a state on which it depends whether a task is done, and 0 for the others."""
    matter = set(app.wanted[:, :2].flatten().tolist()) | {app.answer} | set(app.dialogs[:, 0].tolist())
    size = -1
    while size != len(matter):
        size = len(matter)
        matter |= {-1 - word for variable, _, word in _changes(app) if variable in matter and word < 0}
        for sets, adds in app.elements[..., (4, 6)].flatten(0, 1).tolist():
            together = set(range(sets, sets + max(adds, 1)))
            matter |= together if adds > 1 and together & matter else set()
    columns = torch.ones(VALUES + app.num_variables, dtype=torch.int64)
    columns[[VALUES + v for v in range(app.num_variables) if v not in matter]] = 0
    return columns
