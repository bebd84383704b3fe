"""Keys of the schema as the browser's key events, on a US keyboard."""

from collections.abc import Iterator
from typing import Any

from .pipe import Request

_MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
_NAMED = {  # key: (virtual key, text)
    **{"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "Backspace": (8, ""), "Delete": (46, "")},
    **{"Space": (32, " "), "ArrowUp": (38, ""), "ArrowDown": (40, ""), "ArrowLeft": (37, ""), "ArrowRight": (39, "")},
    **{"Home": (36, ""), "End": (35, ""), "PageUp": (33, ""), "PageDown": (34, "")},
}
_SIGNS = {  # unshifted: (code, virtual key)
    **{"`": ("Backquote", 192), "-": ("Minus", 189), "=": ("Equal", 187), "[": ("BracketLeft", 219)},
    **{"]": ("BracketRight", 221), "\\": ("Backslash", 220), ";": ("Semicolon", 186), "'": ("Quote", 222)},
    **{",": ("Comma", 188), ".": ("Period", 190), "/": ("Slash", 191), " ": ("Space", 32)},
}
_SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
_UPPER = {below: above for above, below in _SHIFTED.items()}


def key_events(key: str) -> list[Request]:
    """Down and up of a key of ``KEYS``, such as "Enter" or "Control+a"; none for "none"."""
    if key == "none":
        return []
    held, _, name = key.rpartition("+")
    return list(stroke(name, _MODIFIERS.get(held, 0)))


def typed(text: str) -> Iterator[Request]:
    """A text, character by character; what no US keyboard has is put in as text."""
    for character in text:
        plain = _SHIFTED.get(character, character.lower())
        if character == "\n":
            yield from stroke("Enter")
        elif plain in _SIGNS or (plain.isascii() and plain.isalnum()):
            yield from stroke(plain, 0 if plain == character else _MODIFIERS["Shift"])
        else:
            yield Request("Input.insertText", {"text": character})


def stroke(name: str, modifiers: int = 0) -> Iterator[Request]:
    """Down and up of one key, named as in the schema, unshifted."""
    event: dict[str, Any] = {"modifiers": modifiers}
    if name in _NAMED:
        number, text = _NAMED[name]
        event |= {"key": " " if name == "Space" else name, "code": name, "windowsVirtualKeyCode": number}
    else:
        code, number = _SIGNS.get(name) or (("Digit" if name.isdigit() else "Key") + name.upper(), ord(name.upper()))
        text = (_UPPER.get(name, name.upper())) if modifiers & _MODIFIERS["Shift"] else name
        event |= {"key": text, "code": code, "windowsVirtualKeyCode": number}
    if modifiers & ~_MODIFIERS["Shift"]:
        text = ""  # a command, no text
    down = {"type": "keyDown", "text": text, "unmodifiedText": text} if text else {"type": "rawKeyDown"}
    yield Request("Input.dispatchKeyEvent", {**down, **event})
    yield Request("Input.dispatchKeyEvent", {"type": "keyUp", **event})
