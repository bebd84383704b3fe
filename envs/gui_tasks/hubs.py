"""Tasks around a home screen, which looks always alike: what was done before decides what is right there.

The memory distance is the steps between seeing or doing something and needing it. At distance 0 all that is needed is
on the screen where it is needed; from 1 on it never is.
"""

from collections.abc import Mapping
from math import factorial

from ethogram.simulator import checked_int

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
LABELS, APPS, VALUES = len(words.LABELS), len(words.APPS), len(words.VALUES)  # how many of each

Screens = list[list[Element]]
FARTHEST = 9  # as many screens in between as there are digits
GROUP = 1  # the first of the values' own draws; group 0 is for labels


def search(distance: int = 1, folders: int = 4) -> App:
    """``GuiSearch-v0``: an item lies ``distance`` screens inside one of some folders; look in each once.

    folders: 2 to 7. There is just enough time to look into each. A policy without memory cannot know which it has
    tried: at best it opens one at random each time, and succeeds in 1 - (1 - 1/folders)^folders of all episodes.
    """
    distance, folders = checked_int("distance", distance, 0, FARTHEST), checked_int("folders", folders, 2, 7)
    target, chosen, first = 0, 1, 2  # then each folder's item, and how often the folder was opened
    variables = [Variable(FIRST_VALUE, VALUES, GROUP), Variable(0)]
    variables += [Variable(words.NOTHING, folders, 0, i, hides=target) for i in range(folders)]
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
        goal=[words.FIND, shown(target)],
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
    distance, apps = checked_int("distance", distance, 0, FARTHEST), checked_int("apps", apps, 2, 3)
    there = 6
    variables = [Variable(ZERO)] * there + [Variable(ZERO), Variable(ZERO + 1)]
    screens: Screens = [[]]
    for i in range(there):
        icon = Element(ICON, FIRST_APP + i, 0 if distance else shown(i), leads=len(screens))
        depth = max(distance, 1)
        if depth == 1:
            icon = icon._replace(sets=i, adds=1)
        screens[0].append(icon)
        screens += _inside(FIRST_APP + i, len(screens), depth, [], {"sets": i, "adds": 1})
        if not distance:
            screens[-1][0] = Element(TEXT, FIRST_APP + i, shown(i))
    counted = [(i, there + 1 if i < apps else there) for i in range(there)]
    return made(
        f"checklist, distance {distance}",
        screens,
        variables,
        goal=[words.OPEN_EACH, *(FIRST_APP + i for i in range(apps))],
        wanted=counted,
        needed=[(0, i) for i in range(apps)],
        horizon=apps * (max(distance, 1) + 1) + 1,
        memoryless=factorial(apps - 1) / apps**apps if distance else 1.0,
    )


def recent_action(distance: int = 1, presses: int = 2, distractors: int = 2) -> App:
    """``GuiRecentAction-v0``: press what the goal names in turn; only who knows the last press knows the next.

    A press shows nothing. From distance 2 on it opens a way of ``distance`` - 1 screens, the same for all, and counts
    at its end, from which one returns home.
    presses: K, 2 or 3. distractors: other buttons, 0 to 4; at distance 0, where presses are shown, there are 8 elements
    at most. A policy without memory presses each of the K as often. At distance 1 it says done as often as it presses
    one, and succeeds in (K + 1)^-(K + 1) of all episodes; beyond, it says done on the way, after one press in K, and
    succeeds in (K - 1)^(K - 1) K^(-2 K).
    """
    distance, presses = checked_int("distance", distance, 0, FARTHEST), checked_int("presses", presses, 2, 3)
    most = 4 if distance else min(4, ELEMENTS - 2 * presses)
    names = presses + checked_int("distractors", distractors, 0, most)
    pressed, nothing, latest = names, names + presses + 1, names + presses + 2
    variables = [Variable(FIRST_LABEL, LABELS, 0, j) for j in range(names)] + [Variable(0)] * (presses + 3)
    counts = {"sets": pressed, "adds": presses + 1}
    press = Element(ICON, leads=1) if distance > 1 else Element(BUTTON)
    press = press._replace(sets=latest) if distance > 2 else press._replace(**counts)
    screens = [[press._replace(label=shown(j), gives=shown(j)) for j in range(names)]]
    if not distance:
        screens[0] += [Element(TEXT, ZERO + 1 + j, shown(pressed + j)) for j in range(presses)]
    elif distance > 1:
        screens += _inside(words.PAGE, 1, distance - 1, [], {**counts, "gives": shown(latest)})
    return made(
        f"recent action, distance {distance}",
        screens,
        variables,
        goal=[words.IN_TURN, *(shown(j) for j in range(presses))],
        wanted=[*((pressed + j, j) for j in range(presses)), (pressed + presses, nothing)],
        needed=[(0, pressed + j) for j in range(presses)],
        horizon=2 * (presses * max(distance, 1) + 1),
        memoryless=(
            1.0,
            float(presses + 1) ** -(presses + 1),
            float((presses - 1) ** (presses - 1)) / presses ** (2 * presses),
        )[min(distance, 2)],
    )


def multi_app(distance: int = 2, facts: int = 1, branching: int = 4) -> App:
    """``GuiMultiApp-v0``: copy what apps say into another app, through home; the goal names it last.

    distance: steps from the last value seen to its field: from 2 on the value stands inside its app, at 1 beside the
    app's icon at home, at 0 beside the field. facts: apps that say one value each, 1 or 2. branching: ways out of home,
    ``facts`` + 1 to 8; the apps that are not named say values too. A policy without memory types what it likes: it
    succeeds in 1 of 64^facts episodes.
    """
    distance, facts = checked_int("distance", distance, 0, FARTHEST), checked_int("facts", facts, 1, 2)
    icons = checked_int("branching", branching, facts + 1, ELEMENTS)
    value, field = icons, 2 * icons  # the first of each; an app's name has the app's number
    variables = [Variable(FIRST_APP, APPS, 0, i) for i in range(icons)]
    variables += [Variable(FIRST_VALUE, VALUES, GROUP + i) for i in range(icons)] + [Variable(0)] * facts
    said = [Element(ITEM, shown(i), shown(value + i)) for i in range(icons)]
    fields = [Element(INPUT, shown(i), shown(field + i), fills=field + i) for i in range(facts)]
    target, depth = facts, max(distance - 1, 1)
    screens: Screens = [[]]
    for i in range(icons):
        beside = shown(value + i) if distance == 1 and i != target else 0
        screens[0].append(Element(ICON, shown(i), beside, leads=len(screens)))
        if i == target:
            screens += _inside(shown(i), len(screens), depth, fields if distance else [*said[:facts], *fields])
            last = len(screens) - 1
        else:
            screens += _inside(shown(i), len(screens), 1, said[i : i + 1] if distance > 1 else [])
    return made(
        f"multi-app, distance {distance}",
        screens,
        variables,
        goal=[words.COPY, *(shown(i) for i in range(facts + 1))],
        wanted=[(field + i, value + i) for i in range(facts)],
        needed=[(last, value + i) for i in range(facts)],
        horizon=2 * (3 * facts + depth + 1),
        memoryless=float(VALUES) ** -facts if distance else 1.0,
    )


def reactive(distractors: int = 5) -> App:
    """``GuiReactive-v0``: the goal names an item that is on the screen; no memory is needed. distractors: 0 to 7."""
    rows = 1 + checked_int("distractors", distractors, 0, ELEMENTS - 1)
    variables = [Variable(FIRST_LABEL, LABELS, 0, j) for j in range(rows)] + [Variable(0)]
    screen = [Element(ITEM, shown(j), shown(rows), sets=rows, gives=shown(j)) for j in range(rows)]
    wanted, needed = [(rows, 0)], [(0, 0)]
    return made("reactive", [screen], variables, [words.TAP, shown(0)], wanted, needed, horizon=4, memoryless=1.0)


def _inside(
    app: int, first: int, depth: int, content: list[Element], arrives: Mapping[str, int] | None = None
) -> Screens:
    """The screens of an app, one leading to the next; arrives: what the tap that opens the last does besides."""
    screens: Screens = []
    for k in range(depth - 1):
        does = arrives if arrives and k == depth - 2 else {}
        screens.append([Element(TEXT, app, ZERO + k), Element(BUTTON, NEXT, leads=first + k + 1, **does)])
    return [*screens, [Element(TEXT, app), *content]]
