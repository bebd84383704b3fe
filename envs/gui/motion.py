"""Actions on states, and looks at them, in torch, for any device; ``kernels.py`` gives the same bits."""

from typing import Any

import torch
from torch import Tensor

from ethogram.simulator import Draws

from .actions import TYPES
from .apps import EMPTY, STACK, App
from .layouts import SKINS
from .words import NINE

SCREEN, SKIN, DEPTH, OPENED, VALUES = 0, 1, 2, 3, 3 + STACK  # columns of a state: where a part begins
NUM_TYPES = len(TYPES)
TAP, SCROLL, TYPE, BACK, HOME, DONE = (TYPES.index(name) for name in ("tap", "scroll", "type", "back", "home", "done"))
UP, DOWN = 1, 2  # where the view goes


def begin(app: App, draws: Draws) -> Tensor:
    """First states, (n, 11 + V) int64."""
    base, choices, group, shift, hides = app.variables.T
    luck = draws.uniform("task", int(group.max()) + 1)[:, group]  # (n, V)
    turn = ((luck * choices).long() + shift) % choices
    values = base + turn
    hidden = values.gather(1, hides.clamp(min=0).expand(len(values), -1))
    other = values.gather(1, (-1 - base).clamp(min=0).expand(len(values), -1)).where(base < 0, base)
    values = torch.where(hides < 0, values, torch.where(turn == 0, hidden, other))
    start = torch.zeros(len(values), VALUES, dtype=torch.int64, device=values.device)
    start[:, SKIN] = (draws.uniform("skin") * SKINS).long()
    return torch.cat([start, values], 1)


def move(
    app: App, order: Tensor, boxes: Tensor, state: Tensor, action: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """States after a step, (n, 11 + V) int64, rewards (n,) float32 and who is done, (n,) bool."""
    kind, rows = action["type"], torch.arange(len(state), device=state.device)
    screen, skin, depth = state[:, SCREEN], state[:, SKIN], state[:, DEPTH]
    here = _shown(app, state)
    plain = here == screen  # no dialog is open
    place = torch.where(action["element"] > 0, action["element"] - 1, _hit(app, order, boxes, state, action["point"]))
    what = app.elements[here, order[skin, place.clamp(min=0)]]  # (n, 8)
    at = place >= 0
    tapped, typed = at & (kind == TAP), at & (kind == TYPE)

    fills, sets, adds = what[:, 7], what[:, 4], what[:, 6]
    given = torch.where(adds == 1, (_value(state, sets) + 1).clamp(max=NINE), _words(state, what[:, 5:6])[:, 0])
    listed = adds > 1
    for _ in range(int(adds.max()) - 1):  # to the first place that is empty
        taken = listed & (_value(state, sets) > 0) & (sets < what[:, 4] + adds - 1)
        sets = sets + taken
    full = listed & (_value(state, sets) > 0)
    after = _put(state, VALUES + fills, action["text"], typed & (fills >= 0))
    after = _put(after, VALUES + sets, given, tapped & (sets >= 0) & ~full)

    opens = tapped & (what[:, 3] >= 0)
    stack = state[:, OPENED:VALUES]
    deep = (opens & (depth == STACK))[:, None]
    stack = torch.where(deep, stack.roll(-1, 1), stack)
    top = depth.clamp(max=STACK - 1)
    stack = _put(stack, top, screen, opens)
    back = (kind == BACK) & (depth > 0) & plain
    there = torch.where(opens, what[:, 3], screen)
    there = torch.where(back, stack[rows, (depth - 1).clamp(min=0)], there)
    direction = action["direction"]
    scrolls = (kind == SCROLL) & plain & ((direction == UP) | (direction == DOWN))
    there = torch.where(scrolls, app.scrolls[screen, (direction - 1).clamp(0, 1)], there)
    home, done = kind == HOME, kind == DONE
    there = there.masked_fill(home, 0)
    depth = torch.where(opens, top + 1, depth - back.long()).masked_fill(home, 0)

    after = torch.cat([there[:, None], skin[:, None], depth[:, None], stack, after[:, VALUES:]], 1)
    if app.answer >= 0:
        after = _put(after, torch.full_like(depth, VALUES + app.answer), action["text"], done)
    one, other = after[:, VALUES + app.wanted[:, 0]], after[:, VALUES + app.wanted[:, 1]]
    right = torch.where(app.wanted[:, 2] > 0, one >= other, one == other).all(1)
    return after, (done & right).to(torch.float32), done


def show(app: App, order: Tensor, boxes: Tensor, state: Tensor) -> dict[str, Any]:
    """The observations of states, (n, 11 + V)."""
    screen, skin = _shown(app, state), state[:, SKIN]
    what = app.elements[screen[:, None], order[skin]]  # (n, 8, 8)
    here = what[..., 0] != EMPTY
    scrolling = here & (app.scrolls[screen, 1] != screen)[:, None]
    flags = torch.stack([(what[..., 3] >= 0) | (what[..., 4] >= 0), what[..., 7] >= 0, scrolling], 2)
    return {
        "screen": screen,
        "box": boxes[skin] * here[..., None],
        "kind": what[..., 0].clone(),
        "flags": flags.to(torch.int8),
        "text": _words(state, what[..., 1:3].flatten(1)).view(len(state), -1, 2),
        "goal": _words(state, app.goal.expand(len(state), -1)),
    }


def _shown(app: App, state: Tensor) -> Tensor:
    """(n,) the screen that is shown: the present one, or the dialog over it."""
    screen = state[:, SCREEN]
    variable, word, dialog = app.dialogs[screen].T
    return dialog.where((variable >= 0) & (_value(state, variable) == word), screen)


def _hit(app: App, order: Tensor, boxes: Tensor, state: Tensor, point: Tensor) -> Tensor:
    """The first place that holds an element with a point in its box, (n,); -1 for none."""
    screen, skin = _shown(app, state), state[:, SKIN]
    here = app.elements[screen[:, None], order[skin], 0] != EMPTY  # (n, 8)
    box, corner = boxes[skin], point[:, None]
    inside = here & (box[..., :2] <= corner).all(2) & (corner <= box[..., 2:]).all(2)
    return torch.where(inside.any(1), inside.long().argmax(1), -1)


def _words(state: Tensor, words: Tensor) -> Tensor:
    """(n, k) words, with what variables are in the place of those that stand for them."""
    variables = (VALUES - 1 - words).clamp(0, state.shape[1] - 1)
    return torch.where(words >= 0, words, state.gather(1, variables))


def _value(state: Tensor, variable: Tensor) -> Tensor:
    return state.gather(1, VALUES + variable.clamp(min=0)[:, None])[:, 0]


def _put(table: Tensor, column: Tensor, value: Tensor, who: Tensor) -> Tensor:
    """A copy of an (n, C) table in which some rows have a new value in a column of their own."""
    column = column.clamp(0, table.shape[1] - 1)[:, None]
    return table.scatter(1, column, torch.where(who[:, None], value[:, None], table.gather(1, column)))
