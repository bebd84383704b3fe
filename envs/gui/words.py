"""The words of the symbolic screens and goals, and the few numbers by which everybody knows them."""

UI = ("", *map(str, range(10)), "Next", "Page", "Type", "Undo", "Find", "Open each", "Tap", "plain", "nothing")
LABELS = (
    *("code", "room", "floor", "guest", "gate", "bus", "shelf", "drawer"),
    *("badge", "order", "ticket", "parcel", "desk", "lamp", "card", "plan"),
)
APPS = ("Mail", "Notes", "Maps", "Clock", "Files", "Photos", "Music", "Shop")
_FIRST = ("ba", "de", "fi", "go", "ku", "la", "me", "no")
_SECOND = ("ra", "si", "ta", "ve", "wo", "xu", "yi", "zo")
VALUES = tuple(first + second for first in _FIRST for second in _SECOND)

VOCABULARY = UI + LABELS + APPS + VALUES  # what a text id names; 0 is no text

ZERO, NINE = 1, 10  # "0", where counts begin, and "9", where they stay
NEXT, PAGE, TYPE, UNDO, FIND, OPEN_EACH, TAP, PLAIN, NOTHING = range(11, 20)
FIRST_LABEL = len(UI)
FIRST_APP = FIRST_LABEL + len(LABELS)
FIRST_VALUE = FIRST_APP + len(APPS)
