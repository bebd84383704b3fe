"""Tasks along a line of screens: what stands at its beginning decides what is right at its end.

The memory distance is the steps between seeing something and needing it. At distance 0 all that is needed is on the
screen where it is needed; from 1 on it never is.
"""

from ethogram.simulator import check_is, checked_int

from .. import gui
from ..gui import BUTTON, ELEMENTS, ICON, INPUT, ITEM, TEXT, App, Element, Variable, made, shown

words = gui.words
NEXT, ZERO, FIRST_LABEL, FIRST_VALUE, FIRST_APP = (
    words.NEXT,
    words.ZERO,
    words.FIRST_LABEL,
    words.FIRST_VALUE,
    words.FIRST_APP,
)
LABELS, VALUES, DIGITS = len(words.LABELS), len(words.VALUES), 10  # how many of each

Screens = list[list[Element]]
Dialogs = dict[int, tuple[int, int, int]]
FARTHEST = 9  # as many screens in between as there are digits
INFEASIBLE_IN = 8  # episodes of ``termination``: one of so many cannot be done
GROUP = 1  # the first of the values' own draws; group 0 is for labels
POPUPS = 32  # the first of the draws of pop-ups


def carry(distance: int = 2, facts: int = 1, distractors: int = 3, branching: int = 1, popups: int = 0) -> App:
    """``GuiCarry-v0``: values seen in a list must be typed ``distance`` screens later; the goal names which.

    facts: values to carry, 1 to 3. distractors: other values in the list, which scrolls where it is long; facts and
    distractors are at most 15, and at distance 0, where fields and list share a screen, 8 less the facts.
    branching: ways out of each screen in between, 1 to 4, all but one of them leading astray. popups: 0, or k for an
    advertisement over one of k screens, which must be closed.
    A policy without memory types what it likes: it succeeds in 1 of 64^facts episodes.
    """
    distance = checked_int("distance", distance, 0, FARTHEST)
    facts = checked_int("facts", facts, 1, 3)
    most = 15 - facts if distance else ELEMENTS - 2 * facts
    rows = facts + checked_int("distractors", distractors, 0, most)
    variables = [*_labels(rows), *(Variable(FIRST_VALUE, VALUES, GROUP + j) for j in range(rows))]
    variables += [Variable(0)] * facts
    listed = [Element(ITEM, shown(j), shown(rows + j)) for j in range(rows)]
    fields = [Element(INPUT, shown(j), shown(2 * rows + j), fills=2 * rows + j) for j in range(facts)]
    if distance:
        views: Screens = [listed[:ELEMENTS], listed[ELEMENTS:]] if rows >= ELEMENTS else [listed]
        screens = [*_line(views, distance), fields]
    else:
        views, screens = [listed], [[*listed, *fields]]
    steps = len(views) - 1 + distance + facts + 1
    last = len(screens) - 1
    dialogs = _astray(screens, variables, branching, popups)
    return made(
        f"carry, distance {distance}",
        screens,
        variables,
        goal=[words.TYPE, *(shown(j) for j in range(facts))],
        wanted=[(2 * rows + j, rows + j) for j in range(facts)],
        needed=[(last, rows + j) for j in range(facts)],
        horizon=2 * (steps + len(dialogs)),
        memoryless=float(VALUES) ** -facts if distance else 1.0,
        below=range(len(views) - 1),
        dialogs=dialogs,
    )


def form(distance: int = 2, fields: int = 3, branching: int = 1, popups: int = 0) -> App:
    """``GuiForm-v0``: a letter gives values, and a form asks for them one a page, the first ``distance`` screens later.

    fields: 1 to 6. branching, popups: as in ``carry``. A policy without memory succeeds in 1 of 64^fields episodes.
    """
    distance, fields = checked_int("distance", distance, 0, FARTHEST), checked_int("fields", fields, 1, 6)
    variables = [Variable(FIRST_VALUE, VALUES, GROUP + j) for j in range(fields)] + [Variable(0)] * fields
    letter = [Element(ITEM, FIRST_LABEL + j, shown(j)) for j in range(fields)]
    screens = _line([letter], distance) if distance else []
    first = len(screens)
    for j in range(fields):
        page = [] if distance else [letter[j]]
        page.append(Element(INPUT, FIRST_LABEL + j, shown(fields + j), fills=fields + j))
        if j < fields - 1:
            page.append(Element(BUTTON, NEXT, leads=len(screens) + 1))
        screens.append(page)
    dialogs = _astray(screens, variables, branching, popups)
    return made(
        f"form, distance {distance}",
        screens,
        variables,
        goal=[words.TYPE],
        wanted=[(fields + j, j) for j in range(fields)],
        needed=[(first + j, j) for j in range(fields)],
        horizon=2 * (distance + 2 * fields + len(dialogs)),
        memoryless=float(VALUES) ** -fields if distance else 1.0,
        dialogs=dialogs,
    )


def undo(distance: int = 2, branching: int = 1, popups: int = 0) -> App:
    """``GuiUndo-v0``: going on overwrites a setting, which must be put back as it was ``distance`` screens earlier.

    Nowhere in the app does the old value stand any more. branching, popups: as in ``carry``. A policy without memory
    succeeds in 1 of 64 episodes.
    """
    distance = checked_int("distance", distance, 0, FARTHEST)
    old, setting, field = 0, 1, 2
    place = Element(INPUT, FIRST_LABEL, shown(field), fills=field)
    if distance:
        screens = [*_line([[Element(ITEM, FIRST_LABEL, shown(setting))]], distance), [place]]
        screens[0][-1] = screens[0][-1]._replace(content=words.PLAIN, sets=setting, gives=words.PLAIN)
    else:
        screens = [[Element(ITEM, FIRST_LABEL, shown(old)), place]]
    last, value = len(screens) - 1, Variable(FIRST_VALUE, VALUES, GROUP)
    variables = [value, value, Variable(words.PLAIN)]
    dialogs = _astray(screens, variables, branching, popups)
    return made(
        f"undo, distance {distance}",
        screens,
        variables,
        goal=[words.UNDO, FIRST_LABEL],
        wanted=[(field, old)],
        needed=[(last, variable) for variable in (old, setting)[: 1 + bool(distance)]],
        horizon=2 * (distance + 2 + len(dialogs)),
        memoryless=1 / VALUES if distance else 1.0,
        dialogs=dialogs,
    )


def compare(
    distance: int = 2, facts: int = 2, equal: bool = False, distractors: int = 1, branching: int = 1, popups: int = 0
) -> App:
    """``GuiCompare-v0``: values stand on a screen each, and ``distance`` screens later a dialog asks which is largest.

    equal: it asks instead which is the same as another value, which stands on a screen before them. facts: values to
    choose from, 2 to 6. distractors: values not asked for, 0 to 6; at distance 0 there are 8 values at most.
    branching, popups: as in ``carry``. Of equal largest values, each is right. A policy without memory chooses as it
    likes: of digits drawn alike it finds a largest in sum_v (v / 10)^(facts - 1) / 10 of all episodes, v from 1 to 10,
    and the same in 1 of ``facts``.
    """
    distance, facts = checked_int("distance", distance, 0, FARTHEST), checked_int("facts", facts, 2, 6)
    check_is("equal", equal, bool, "True or False")
    sample = int(equal)  # a value more, to which the others are compared
    most = 6 if distance else min(6, ELEMENTS - facts - sample)
    rows = facts + sample + checked_int("distractors", distractors, 0, most)
    labels = _labels(rows)
    if equal:
        values = [Variable(FIRST_VALUE, VALUES, GROUP, j) for j in range(rows)]  # all different
        choices = [Variable(shown(rows + 1 + j), facts, GROUP + 1, j, hides=rows) for j in range(facts)]
    else:
        values, choices = [Variable(ZERO, DIGITS, GROUP + j) for j in range(rows)], []
    variables = [*labels, *values, *choices, Variable(0)]
    chosen = len(variables) - 1
    value = [*range(rows, 2 * rows)]  # of each row, its variable
    value[sample : sample + facts] = range(2 * rows, chosen) if equal else value[:facts]
    listed = [Element(ITEM, shown(j), shown(value[j])) for j in range(rows)]
    asked = range(sample, sample + facts)
    ask = [listed[j]._replace(sets=chosen, gives=shown(value[j])) for j in asked]
    if distance:
        told = len(asked) + sample  # screens
        views = [listed[s::told] for s in range(told)]
        screens = _line(
            [*([*view, Element(BUTTON, NEXT, leads=s + 1)] for s, view in enumerate(views[:-1])), views[-1]], distance
        )
        ask = [element._replace(content=0) for element in ask]
    else:
        told, screens = 1, []
        ask += [row for j, row in enumerate(listed) if j not in asked]
    verb, end = words.SAME_AS if equal else words.LARGEST, len(screens)
    screens.append([Element(TEXT, verb, shown(chosen))])
    dialogs = _astray(screens, variables, branching, popups, but=end)
    dialogs[end] = (chosen, 0, len(screens))
    screens.append(ask)
    largest = sum((v / DIGITS) ** (facts - 1) for v in range(1, DIGITS + 1)) / DIGITS
    return made(
        f"compare, distance {distance}",
        screens,
        variables,
        goal=[verb, shown(0)] if equal else [verb],
        wanted=[(chosen, value[0])] if equal else [(chosen, value[j], 1) for j in asked],
        needed=[(len(screens) - 1, value[j]) for j in range(sample + facts)],
        horizon=2 * (told + distance + 1 + len(dialogs)),
        memoryless=(1 / facts if equal else largest) if distance else 1.0,
        dialogs=dialogs,
    )


def keypad(distance: int = 2, digits: int = 2, keys: int = 4, branching: int = 1) -> App:
    """``GuiKeypad-v0``: a code seen ``distance`` screens earlier is to be entered, and what was entered is not shown.

    digits: of the code, 1 to 6. keys: 2 to 8; at distance 0, where code, keys and what was entered share a screen, keys
    and twice the digits are at most 8. branching: as in ``carry``.
    A policy without memory knows neither the code nor how much of it is entered. It presses each key as often, and
    says that it is done once in so many times: it succeeds in keys^-K K^K / (K + 1)^(K + 1) of all episodes, K digits.
    """
    distance, digits = (
        checked_int("distance", distance, 0, FARTHEST),
        checked_int("digits", digits, 1, 6 if distance else 3),
    )
    keys = checked_int("keys", keys, 2, ELEMENTS if distance else ELEMENTS - 2 * digits)
    entered, nothing = digits, 2 * digits + 1
    variables = [Variable(ZERO + 1, keys, GROUP + j) for j in range(digits)] + [Variable(0)] * (digits + 2)
    code = [Element(ITEM, ZERO + 1 + j, shown(j)) for j in range(digits)]
    pad = [Element(BUTTON, ZERO + 1 + k, sets=entered, gives=ZERO + 1 + k, adds=digits + 1) for k in range(keys)]
    seen = [Element(TEXT, ZERO + 1 + j, shown(entered + j)) for j in range(digits)]
    screens = [*_line([code], distance), pad] if distance else [[*code, *pad, *seen]]
    last = len(screens) - 1
    _astray(screens, variables, branching, 0)
    return made(
        f"keypad, distance {distance}",
        screens,
        variables,
        goal=[words.ENTER, ZERO + digits],
        wanted=[*((entered + j, j) for j in range(digits)), (entered + digits, nothing)],
        needed=[(last, variable) for j in range(digits) for variable in (j, entered + j)],
        horizon=2 * (distance + digits + 1),
        memoryless=float(keys) ** -digits * _stopping(digits) if distance else 1.0,
    )


def termination(distance: int = 2, sends: int = 2, distractors: int = 2, branching: int = 1) -> App:
    """``GuiTermination-v0``: send as often as the goal says and say done; or nothing, and say that it is infeasible.

    It is infeasible where two values that the goal names differ, in one of 8 episodes; one stands ``distance`` screens
    before the other and the button, and nobody can say so before they have been there. Nothing shows how often the
    button was pressed. sends: 1 to 3. distractors: other values, 0 to 5. branching: as in ``carry``.
    A policy without memory gives up at the button, or sends and says done as it comes, the better of the two: it
    succeeds in max(1/8, 7/8 K^K / (K + 1)^(K + 1)) of all episodes, K sends.
    """
    distance, sends = checked_int("distance", distance, 0, FARTHEST), checked_int("sends", sends, 1, 3)
    rows = 2 + checked_int("distractors", distractors, 0, 5)
    labels = _labels(rows)
    first = len(labels)
    ticket, other, zero, given_up, gate, right, asked, count, answer, arrived, there = range(first, first + 11)
    differ = {"choices": INFEASIBLE_IN, "group": GROUP}
    variables = [
        *labels,
        Variable(FIRST_VALUE, VALUES, GROUP + 1),
        Variable(FIRST_VALUE, VALUES, GROUP + 1, 1),
        Variable(ZERO),
        Variable(words.INFEASIBLE),
        Variable(shown(ticket), hides=other, **differ),
        Variable(0, hides=given_up, **differ),
        Variable(ZERO + sends, hides=zero, **differ),
        Variable(ZERO),
        Variable(0),
        Variable(0 if distance else words.SEND),
        Variable(words.SEND),
        *(Variable(FIRST_VALUE, VALUES, GROUP + j) for j in range(2, rows)),
    ]
    notice = [Element(ITEM, shown(0), shown(ticket))]
    notice += [Element(ITEM, shown(j), shown(there + j - 1)) for j in range(2, rows)]
    desk = [Element(ITEM, shown(1), shown(gate))]
    desk.append(Element(BUTTON, words.SEND, 0 if distance else shown(count), sets=count, adds=1))
    screens = [*_line([notice], distance), desk] if distance else [[*notice, *desk]]
    last = len(screens) - 1
    if distance:
        screens[last - 1][-1] = screens[last - 1][-1]._replace(sets=arrived, gives=words.SEND)
    _astray(screens, variables, branching, 0)
    return made(
        f"termination, distance {distance}",
        screens,
        variables,
        goal=[words.SEND, ZERO + sends, shown(0), shown(1)],
        wanted=[(count, asked), (answer, right), (arrived, there)],
        needed=[(last, ticket), (last, count)],
        horizon=2 * (distance + sends + 1),
        memoryless=max(1, (INFEASIBLE_IN - 1) * _stopping(sends)) / INFEASIBLE_IN if distance else 1.0,
        answer=answer,
    )


def _labels(count: int) -> list[Variable]:
    """Names, all different."""
    return [Variable(FIRST_LABEL, LABELS, 0, j) for j in range(count)]


def _stopping(times: int) -> float:
    """The highest chance of going on so many times and then stopping, if each time is decided alike."""
    return float(times**times / (times + 1) ** (times + 1))


def _line(views: Screens, distance: int) -> Screens:
    """The views of a list, the last with a button that goes on, and so many screens less one between it and the end."""
    here = len(views) - 1
    screens: Screens = [*views[:-1], [*views[-1], Element(BUTTON, NEXT, leads=here + 1)]]
    for k in range(1, distance):
        decoys = [Element(ICON, FIRST_APP + (k + i) % len(words.APPS)) for i in range(3)]
        screens.append([Element(TEXT, words.PAGE, ZERO + k), *decoys, Element(BUTTON, NEXT, leads=here + k + 1)])
    return screens


def _astray(screens: Screens, variables: list[Variable], branching: int, popups: int, but: int = -1) -> Dialogs:
    """Let icons lead to a dead end, and put pop-ups over all screens but one; both lists grow. Gives the dialogs."""
    branching, popups = checked_int("branching", branching, 1, 4), checked_int("popups", popups, 0)
    line, dead_end, dialogs = len(screens), len(screens), {}
    if branching == 1 and not popups:
        return {}
    screens.append([Element(TEXT, words.NOTHING)])
    for s in range(line):
        for e in [e for e, element in enumerate(screens[s]) if element.kind == ICON][: branching - 1]:
            screens[s][e] = screens[s][e]._replace(leads=dead_end)
    offer = len(variables)
    variables += [Variable(words.OFFER)] if popups else []
    for s in [s for s in range(line) if popups and s != but]:
        closed = {"sets": len(variables), "gives": 0}
        dialogs[s] = (len(variables), words.OFFER, len(screens))
        variables.append(Variable(0, popups, POPUPS + s, hides=offer))
        advertisement = Element(ICON, FIRST_APP + s % len(words.APPS), leads=dead_end, **closed)
        screens.append([Element(TEXT, words.OFFER), advertisement, Element(BUTTON, words.CLOSE, **closed)])
    return dialogs
