"""A cursor over a line of text: it takes what is expected, or says where that is missing."""

import re
from typing import NoReturn

from .units import ParseError, Units

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}


class Scanner:
    """The rest of a text, from a position on. Raises ParseError for what is no text."""

    def __init__(self, text: str, at: int = 0, end: int | None = None) -> None:
        if not isinstance(text, str):
            raise ParseError(text, "", "text")
        self.text, self.at, self.end = text, at, len(text) if end is None else end

    def within(self, begin: str, end: str) -> "Scanner":
        """A cursor between two marks; over all of the text where the first is missing, the rest where the second is."""
        if (at := self.text.find(begin)) < 0:
            return self
        stop = self.text.find(end)
        return Scanner(self.text, at + len(begin), stop if stop >= 0 else None)

    def fail(self, expected: str) -> NoReturn:
        """Raise ParseError at the position."""
        raise ParseError(self.text, self.at, expected)

    def spaces(self) -> None:
        """Skip blanks and ends of lines."""
        while self.at < self.end and self.text[self.at].isspace():
            self.at += 1

    def take(self, *literals: str) -> str:
        """The first of the literals that stands here, past blanks before it. Raises ParseError if none does."""
        if (found := self.maybe(*literals)) is None:
            self.fail(" or ".join(map(repr, literals)))
        return found

    def maybe(self, *literals: str) -> str | None:
        """The first of the literals that stands here, past blanks before it; None, without a move, if none does."""
        start = self.at
        self.spaces()
        for literal in literals:
            if self.text.startswith(literal, self.at, self.end):
                self.at += len(literal)
                return literal
        self.at = start
        return None

    def word(self, expected: str) -> str:
        """Letters, digits and underscores."""
        self.spaces()
        start = self.at
        while self.at < self.end and (self.text[self.at].isalnum() or self.text[self.at] == "_"):
            self.at += 1
        if start == self.at:
            self.fail(expected)
        return self.text[start : self.at]

    def number(self) -> float:
        """A number, with or without a fraction."""
        self.spaces()
        match = _NUMBER.match(self.text, self.at, self.end)
        if match is None:
            self.fail("a number")
        self.at = match.end()
        return float(match[0])

    def quoted(self) -> tuple[str, int]:
        r"""The text between ' or ", its escapes (\n, \', \\ …) resolved, and the position where it begins."""
        quote, start, text = self.take("'", '"'), self.at, []
        while self.at < self.end and self.text[self.at] != quote:
            letter = self.text[self.at]
            if letter == "\\":
                self.at += 1
                letter = _ESCAPES.get(self.text[self.at : self.at + 1], "")
                if not letter:
                    self.fail("an escape: one of \\n \\t \\r \\\\ \\' \\\"")
            text.append(letter)
            self.at += 1
        self.take(quote)
        return "".join(text), start

    def pair(self, units: Units, between: str = ",") -> tuple[float, float]:
        """Two numbers as a point; ParseError at the first where it is off the screen."""
        self.spaces()
        start, x = self.at, self.number()
        if between:
            self.take(between)
        y = self.number()
        try:
            return units.read(x, y)
        except ValueError as error:
            raise ParseError(self.text, start, str(error)) from None

    def over(self) -> None:
        """Raise ParseError unless nothing but blanks is left."""
        self.spaces()
        if self.at < self.end:
            self.fail("the end")


def quote(text: str) -> str:
    """The text between ' and ', escaped as ``Scanner.quoted`` reads it."""
    for letter, escape in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(letter, escape)
    return f"'{text}'"
