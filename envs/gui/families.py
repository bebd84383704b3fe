"""Families of tasks: each makes an App whose memory distance is the steps between seeing something and needing it.

At distance 0 all that is needed is on the screen where it is needed; from 1 on it never is.
"""

from math import factorial

from ethogram.simulator import checked_int

from .apps import BUTTON, ELEMENTS, ICON, INPUT, ITEM, TEXT, WORDS, App, Element, Variable, made, shown
from .words import (
    APPS,
    FIND,
    FIRST_APP,
    FIRST_LABEL,
    FIRST_VALUE,
    LABELS,
    NEXT,
    NOTHING,
    OPEN_EACH,
    PAGE,
    PLAIN,
    TAP,
    TYPE,
    UNDO,
    VALUES,
    ZERO,
)

Screens = list[list[Element]]
FARTHEST = 9  # as many halls as there are digits
_GROUP = 1  # the first of the values' own draws; group 0 is for labels


def carry(distance: int = 2, facts: int = 1, distractors: int = 3) -> App:
    """``GuiCarry-v0``: values seen in a list must be typed ``distance`` screens later; the goal names which.

    facts: values to carry, 1 to 3. distractors: other values in the list, which scrolls where it is long; facts and
    distractors are at most 15, and at distance 0, where fields and list share a screen, 8 less the facts.
    A policy without memory types what it likes: it succeeds in 1 of 64^facts episodes.
    """
    distance = checked_int("distance", distance, 0, FARTHEST)
    facts = checked_int("facts", facts, 1, WORDS - 1)
    most = 15 - facts if distance else ELEMENTS - 2 * facts
    rows = facts + checked_int("distractors", distractors, 0, most)
    variables = [Variable(FIRST_LABEL, len(LABELS), 0, j) for j in range(rows)]
    variables += [Variable(FIRST_VALUE, len(VALUES), _GROUP + j) for j in range(rows)]
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
    return made(
        f"carry, distance {distance}",
        screens,
        variables,
        goal=[TYPE, *(shown(j) for j in range(facts))],
        wanted=[(2 * rows + j, rows + j) for j in range(facts)],
        needed=[(last, rows + j) for j in range(facts)],
        horizon=2 * steps,
        memoryless=float(len(VALUES)) ** -facts if distance else 1.0,
        below=range(len(views) - 1),
    )


def form(distance: int = 2, fields: int = 3) -> App:
    """``GuiForm-v0``: a letter gives values, and a form asks for them one a page, the first ``distance`` screens later.

    fields: 1 to 6. A policy without memory succeeds in 1 of 64^fields episodes.
    """
    distance, fields = checked_int("distance", distance, 0, FARTHEST), checked_int("fields", fields, 1, 6)
    variables = [Variable(FIRST_VALUE, len(VALUES), _GROUP + j) for j in range(fields)] + [Variable(0)] * fields
    letter = [Element(ITEM, FIRST_LABEL + j, shown(j)) for j in range(fields)]
    screens = _line([letter], distance) if distance else []
    first = len(screens)
    for j in range(fields):
        page = [] if distance else [letter[j]]
        page.append(Element(INPUT, FIRST_LABEL + j, shown(fields + j), fills=fields + j))
        if j < fields - 1:
            page.append(Element(BUTTON, NEXT, leads=len(screens) + 1))
        screens.append(page)
    return made(
        f"form, distance {distance}",
        screens,
        variables,
        goal=[TYPE],
        wanted=[(fields + j, j) for j in range(fields)],
        needed=[(first + j, j) for j in range(fields)],
        horizon=2 * (distance + 2 * fields),
        memoryless=float(len(VALUES)) ** -fields if distance else 1.0,
    )


def undo(distance: int = 2) -> App:
    """``GuiUndo-v0``: going on overwrites a setting, which must be put back as it was ``distance`` screens earlier.

    Nowhere in the app does the old value stand any more. A policy without memory succeeds in 1 of 64 episodes.
    """
    distance = checked_int("distance", distance, 0, FARTHEST)
    old, setting, field = 0, 1, 2
    place = Element(INPUT, FIRST_LABEL, shown(field), fills=field)
    if distance:
        screens = [*_line([[Element(ITEM, FIRST_LABEL, shown(setting))]], distance), [place]]
        screens[0][-1] = screens[0][-1]._replace(content=PLAIN, sets=setting, gives=PLAIN)
    else:
        screens = [[Element(ITEM, FIRST_LABEL, shown(old)), place]]
    value = Variable(FIRST_VALUE, len(VALUES), _GROUP)
    return made(
        f"undo, distance {distance}",
        screens,
        [value, value, Variable(PLAIN)],
        goal=[UNDO, FIRST_LABEL],
        wanted=[(field, old)],
        needed=[(len(screens) - 1, variable) for variable in (old, setting)[: 1 + bool(distance)]],
        horizon=2 * (distance + 2),
        memoryless=1 / len(VALUES) if distance else 1.0,
    )


def search(distance: int = 1, folders: int = 4) -> App:
    """``GuiSearch-v0``: an item lies ``distance`` screens inside one of some folders; look in each once.

    folders: 2 to 7. There is just enough time to look into each. A policy without memory cannot know which it has
    tried: at best it opens one at random each time, and succeeds in 1 - (1 - 1/folders)^folders of all episodes.
    """
    distance, folders = checked_int("distance", distance, 0, FARTHEST), checked_int("folders", folders, 2, 7)
    target, chosen, first = 0, 1, 2  # then each folder's item, and how often the folder was opened
    variables = [Variable(FIRST_VALUE, len(VALUES), _GROUP), Variable(0)]
    variables += [Variable(NOTHING, folders, 0, i, hides=target) for i in range(folders)]
    variables += [Variable(ZERO)] * folders
    items = [
        Element(ITEM, shown(first + i), shown(chosen), sets=chosen, gives=shown(first + i)) for i in range(folders)
    ]
    screens: Screens = [items] if not distance else [[]]
    for i in range(folders if distance else 0):
        counter = first + folders + i
        screens[0].append(Element(ICON, FIRST_APP + i, leads=len(screens), sets=counter, adds=1))
        screens += _inside(FIRST_APP + i, len(screens), distance, [items[i]])
    return made(
        f"search, distance {distance}",
        screens,
        variables,
        goal=[FIND, shown(target)],
        wanted=[(chosen, target)],
        needed=[(0, first + folders + i if distance else first + i) for i in range(folders)],
        horizon=folders * (distance + 1) + 1 if distance else 2,
        memoryless=1 - (1 - 1 / folders) ** folders if distance else 1.0,
    )


def checklist(distance: int = 1, apps: int = 3) -> App:
    """``GuiChecklist-v0``: open each app that the goal names once, ``distance`` screens deep; home always looks alike.

    apps: 2 or 3, of 6. At best a policy without memory opens one at random each time, and says that it is done inside
    the one app that it takes for the last: it succeeds in (apps - 1)! / apps^apps of all episodes.
    """
    distance, apps = checked_int("distance", distance, 0, FARTHEST), checked_int("apps", apps, 2, WORDS - 1)
    there = 6
    variables = [Variable(ZERO)] * there + [Variable(ZERO), Variable(ZERO + 1)]
    screens: Screens = [[]]
    for i in range(there):
        icon = Element(ICON, FIRST_APP + i, 0 if distance else shown(i), leads=len(screens))
        depth = max(distance, 1)
        if depth == 1:
            icon = icon._replace(sets=i, adds=1)
        screens[0].append(icon)
        screens += _inside(FIRST_APP + i, len(screens), depth, [], counts=i)
        if not distance:
            screens[-1][0] = Element(TEXT, FIRST_APP + i, shown(i))
    counted = [(i, there + 1 if i < apps else there) for i in range(there)]
    return made(
        f"checklist, distance {distance}",
        screens,
        variables,
        goal=[OPEN_EACH, *(FIRST_APP + i for i in range(apps))],
        wanted=counted,
        needed=[(0, i) for i in range(apps)],
        horizon=apps * (max(distance, 1) + 1) + 1,
        memoryless=factorial(apps - 1) / apps**apps if distance else 1.0,
    )


def reactive(distractors: int = 5) -> App:
    """``GuiReactive-v0``: the goal names an item that is on the screen; no memory is needed. distractors: 0 to 7."""
    rows = 1 + checked_int("distractors", distractors, 0, ELEMENTS - 1)
    variables = [Variable(FIRST_LABEL, len(LABELS), 0, j) for j in range(rows)] + [Variable(0)]
    screen = [Element(ITEM, shown(j), shown(rows), sets=rows, gives=shown(j)) for j in range(rows)]
    wanted, needed = [(rows, 0)], [(0, 0)]
    return made("reactive", [screen], variables, [TAP, shown(0)], wanted, needed, horizon=4, memoryless=1.0)


def _line(views: Screens, distance: int) -> Screens:
    """The views of a list, the last with a button that goes on, and so many screens less one between it and the end."""
    here = len(views) - 1
    screens: Screens = [*views[:-1], [*views[-1], Element(BUTTON, NEXT, leads=here + 1)]]
    for k in range(1, distance):
        decoys = [Element(ICON, FIRST_APP + (k + i) % len(APPS)) for i in range(3)]
        screens.append([Element(TEXT, PAGE, ZERO + k), *decoys, Element(BUTTON, NEXT, leads=here + k + 1)])
    return screens


def _inside(app: int, first: int, depth: int, content: list[Element], counts: int = -1) -> Screens:
    """The screens of an app, one leading to the next; counts: the variable that counts arrivals at the last."""
    screens: Screens = []
    for k in range(depth - 1):
        last = k == depth - 2 and counts >= 0
        on = Element(BUTTON, NEXT, leads=first + k + 1, sets=counts if last else -1, adds=int(last))
        screens.append([Element(TEXT, app, ZERO + k), on])
    return [*screens, [Element(TEXT, app), *content]]
