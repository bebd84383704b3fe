"""The compiled CPU side of the symbolic screens; the torch twins stand in ``motion.py``."""

import numpy as np

from ethogram.simulator.kernels import INCREMENT, Array, compiled, mix, unit

from .apps import EMPTY, STACK
from .words import NINE

_INCREMENT = np.uint64(INCREMENT)
_SCREEN, _SKIN, _DEPTH, _STACK, _VALUES = 0, 1, 2, 3, 3 + STACK  # columns of a state
_TAP, _SCROLL, _TYPE, _BACK, _HOME, _DONE = 1, 6, 7, 10, 11, 15  # types of action


@compiled
def begin(
    task_key: np.uint64,
    task_ids: Array,
    skin_key: np.uint64,
    skin_ids: Array,
    variables: Array,
    skins: int,
    state: Array,
) -> None:
    """First states, (n, 11 + V) int64, of draws as ``draws.keyed`` gives them; variables (V, 5): as ``Variable``."""
    for i in range(state.shape[0]):
        state[i, :_VALUES] = 0
        draw = unit(mix(skin_key + np.uint64(skin_ids[i]) * _INCREMENT))
        state[i, _SKIN] = np.int64(draw * np.float32(skins))
        row = mix(task_key + np.uint64(task_ids[i]) * _INCREMENT)
        for v in range(variables.shape[0]):
            base, choices, group, shift, hides = variables[v]
            draw = unit(mix(row + np.uint64(group + 1) * _INCREMENT))
            turn = (np.int64(draw * np.float32(choices)) + shift) % choices
            state[i, _VALUES + v] = base + turn
            if hides >= 0:
                state[i, _VALUES + v] = _word(state[i], base) if turn else state[i, _VALUES + hides]


@compiled
def move(
    state: Array,
    elements: Array,
    scrolls: Array,
    dialogs: Array,
    wanted: Array,
    order: Array,
    boxes: Array,
    answer: int,
    kind: Array,
    point: Array,
    element: Array,
    direction: Array,
    text: Array,
    words: int,
    after: Array,
    reward: Array,
    done: Array,
) -> int:
    """A step of every row, from ``state`` (n, 11 + V) to ``after``, both int64; reward (n,) float32, done (n,) bool.

    dialogs: (S, 3) as in ``App``, or (0, 3) for none at all. order (K, 8), boxes (K, 8, 4): of the layouts. kind,
    element, direction, text (n,) int64 and point (n, 2) float32: actions. Returns the first row with a number that is
    none of its space (a point: if it is used), or a state that is none; -1 where all are, and n where there are not as
    many actions.
    """
    screens, places, n = elements.shape[0], elements.shape[1], state.shape[0]
    if not kind.shape[0] == point.shape[0] == element.shape[0] == direction.shape[0] == text.shape[0] == n:
        return n
    for i in range(n):
        screen, skin, depth = state[i, _SCREEN], state[i, _SKIN], state[i, _DEPTH]
        bad = (screen < 0) | (screen >= screens) | (skin < 0) | (skin >= order.shape[0]) | (depth < 0) | (depth > STACK)
        bad |= (kind[i] < 0) | (kind[i] > _DONE) | (element[i] < 0) | (element[i] > places)
        if bad | (direction[i] < 0) | (direction[i] > 4) | (text[i] < 0) | (text[i] >= words):
            return i
        for c in range(state.shape[1]):
            after[i, c] = state[i, c]
        reward[i], done[i] = 0, kind[i] == _DONE
        act, here = kind[i], _shown(state, i, screen, dialogs) if dialogs.shape[0] else screen
        if act in (_TAP, _TYPE):
            slot = element[i] - 1
            if slot < 0:
                slot = _hit(elements[here], order[skin], boxes[skin], point[i, 0], point[i, 1])
            if slot < 0:
                if not (0 <= point[i, 0] <= 1 and 0 <= point[i, 1] <= 1):
                    return i
                continue
            what = elements[here, order[skin, slot]]
            leads, sets, fills = what[3], what[4], what[7]
            if act == _TYPE:
                if fills >= 0:
                    after[i, _VALUES + fills] = text[i]
                continue
            if sets >= 0:
                place, adds = _VALUES + sets, what[6]
                if adds == 1:
                    after[i, place] = min(state[i, place] + 1, NINE)
                else:
                    last = place + max(adds - 1, 0)
                    while adds and place < last and state[i, place]:
                        place += 1
                    if not (adds and state[i, place]):
                        after[i, place] = _word(state[i], what[5])
            if leads >= 0:
                if depth == STACK:
                    for k in range(STACK - 1):
                        after[i, _STACK + k] = state[i, _STACK + k + 1]
                    depth -= 1
                after[i, _STACK + depth] = screen
                after[i, _DEPTH], after[i, _SCREEN] = depth + 1, leads
        elif act == _SCROLL and here == screen and (direction[i] == 1 or direction[i] == 2):
            after[i, _SCREEN] = scrolls[screen, direction[i] - 1]
        elif act == _BACK:
            if here == screen and depth > 0:
                after[i, _DEPTH], after[i, _SCREEN] = depth - 1, state[i, _STACK + depth - 1]
        elif act == _HOME:
            after[i, _DEPTH], after[i, _SCREEN] = 0, 0
        elif act == _DONE:
            if answer >= 0:
                after[i, _VALUES + answer] = text[i]
            right = True
            for w in range(wanted.shape[0]):
                one, other = after[i, _VALUES + wanted[w, 0]], after[i, _VALUES + wanted[w, 1]]
                right &= one >= other if wanted[w, 2] else one == other
            reward[i] = right
    return -1


@compiled
def _hit(screen: Array, order: Array, boxes: Array, x: float, y: float) -> int:
    """The first place that holds an element with a point in its box, -1 for none."""
    for e in range(order.shape[0]):
        if screen[order[e], 0] != EMPTY and boxes[e, 0] <= x <= boxes[e, 2] and boxes[e, 1] <= y <= boxes[e, 3]:
            return e
    return -1


@compiled
def _word(state: Array, word: int) -> int:
    return word if word >= 0 else state[_VALUES - 1 - word]


@compiled
def _shown(state: Array, i: int, screen: int, dialogs: Array) -> int:
    """The screen that is shown in row i: the present one, or the dialog over it."""
    variable = dialogs[screen, 0]
    if variable < 0 or state[i, _VALUES + variable] != dialogs[screen, 1]:
        return screen
    return dialogs[screen, 2]


@compiled
def show(
    state: Array,
    elements: Array,
    scrolls: Array,
    dialogs: Array,
    goal: Array,
    order: Array,
    boxes: Array,
    at: Array,
    box: Array,
    kind: Array,
    flags: Array,
    text: Array,
    wants: Array,
) -> None:
    """The observations of (n, 11 + V) states.

    at (n,) int64 is the screen shown; box (n, 8, 4) float32; kind (n, 8) int64; flags (n, 8, 3) int8; text (n, 8, 2)
    int64; wants (n, 4) int64 is the goal.
    """
    for i in range(state.shape[0]):
        screen, skin = state[i, _SCREEN], state[i, _SKIN]
        if dialogs.shape[0]:
            screen = _shown(state, i, screen, dialogs)
        at[i], scrolling = screen, scrolls[screen, 1] != screen
        for e in range(order.shape[1]):
            what = elements[screen, order[skin, e]]
            here = what[0] != EMPTY
            for k in range(4):
                box[i, e, k] = boxes[skin, e, k] if here else np.float32(0)
            kind[i, e] = what[0]
            flags[i, e, 0] = (what[3] >= 0) | (what[4] >= 0)
            flags[i, e, 1] = what[7] >= 0
            flags[i, e, 2] = here & scrolling
            text[i, e, 0], text[i, e, 1] = _word(state[i], what[1]), _word(state[i], what[2])
        for k in range(goal.shape[0]):
            wants[i, k] = _word(state[i], goal[k])
