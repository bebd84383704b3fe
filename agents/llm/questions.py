"""Questions to a language model: choice, predicate, score, what is written; JSON of spaces, and its strict reading."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ethogram.envs.sessions.slates import Slates

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of options; there are no more in one question
LEVELS = 10  # of a score
GRID = 100  # steps of a real number in JSON: servers keep bounds of whole numbers, and drop those of others
LONGEST_ANSWER = 100_000  # characters; what is longer is not looked at


@dataclass(frozen=True)
class Choice:
    """One of 2 to 26 options. Its answer is a place among them, from 0.

    name: by which it is worded, and drawn. options: in our words. texts: what the world says of each, which is data and
    is fenced; () for nothing. apart: what was decided before is not told; it does not matter.
    """

    name: str
    options: tuple[str, ...]
    texts: tuple[str, ...] = ()
    apart: bool = False

    def value(self, index: int, within: float) -> Any:
        """The answer, when an option is drawn; within: from 0 to 1, where in a level."""
        return index


@dataclass(frozen=True)
class Predicate:
    """Yes or no. Its answer is 1 or 0; yes is the first option, so that a likelier one turns only no into yes."""

    name: str
    apart: bool = False
    options = ("yes", "no")
    texts = ()

    def value(self, index: int, within: float) -> Any:
        """The answer, when an option is drawn."""
        return 1 - index


@dataclass(frozen=True)
class Score:
    """A number from ``low`` to ``high``, by levels of equal width. Its answer is a number within the level drawn.

    whole: whole numbers only, from low to high.
    """

    name: str
    low: float
    high: float
    whole: bool = False
    apart: bool = False
    texts = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The levels in words."""
        if not self.whole:
            edges = [f"{self._at(k):.6g}" for k in range(LEVELS + 1)]
            return tuple(f"{a} to {b}" for a, b in pairwise(edges))
        ends = [(self._at(k), self._at(k + 1) - 1) for k in range(LEVELS)]
        return tuple(str(a) if a == b else f"{a} to {b}" for a, b in ends)

    def _at(self, level: int) -> Any:
        """Where a level begins."""
        if self.whole:
            return int(self.low) - (-level * (int(self.high) - int(self.low) + 1) // LEVELS)  # rounded up
        return self.low + level * ((self.high - self.low) / LEVELS)

    def value(self, index: int, within: float) -> Any:
        """The answer, when a level is drawn, and where in it: every number between low and high can be had."""
        low, high = self._at(index), self._at(index + 1)
        if self.whole:
            return min(low + int(within * (high - low)), high - 1)
        return min(max(low + within * (high - low), self.low), self.high)


@dataclass(frozen=True)
class Written:
    """An answer in JSON, drawn by the model as a whole: a text, or an action of many parts.

    schema: as ``schema_of`` has it. read: from JSON to the answer; raises ``Malformed``.
    """

    name: str
    schema: Mapping[str, Any] = field(hash=False)
    read: Callable[[str], Any] = field(hash=False, compare=False)
    most_tokens: int = 256
    apart = False

    def value(self, text: str, within: float) -> Any:
        """The answer that a text is."""
        return self.read(text)


Question = Choice | Predicate | Score | Written


class Malformed(ValueError):
    """An answer that is no answer. What it says stays out of the message."""


def written(space: gymnasium.Space[Any], name: str) -> Written:
    """An element of a space as a question whose answer is JSON."""
    return Written(name, schema_of(space), partial(read, space))


def schema_of(space: gymnasium.Space[Any]) -> dict[str, Any]:
    """The JSON schema of an element of a space; ``read`` makes one of what obeys it, and refuses what does not.

    Whole numbers have their bounds. Real ones are steps of a grid from low to high, 0 to 100, since servers drop other
    bounds; they also drop that items of a list differ, and which characters a text has: ``read`` looks at all.
    """
    if isinstance(space, spaces.Discrete):
        return _whole(int(space.start), int(space.start + space.n - 1))
    if isinstance(space, Slates):
        items = _whole(0, space.num_items - 1)
        return {"type": "array", "items": items, "minItems": 1, "maxItems": space.length, "uniqueItems": True}
    if isinstance(space, spaces.Text):
        return {"type": "string", "minLength": space.min_length, "maxLength": space.max_length}
    if isinstance(space, spaces.Dict | spaces.Tuple):
        named = {name: schema_of(part) for name, part in parts_of(space)}
        return {"type": "object", "properties": named, "required": list(named), "additionalProperties": False}
    low, high = bounds(space)
    schema = _whole(int(low.min()), int(high.max())) if _is_whole(space) else _whole(0, GRID)
    for length in reversed(space.shape or ()):
        schema = {"type": "array", "items": schema, "minItems": length, "maxItems": length}
    return schema


def _whole(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


def _is_whole(space: gymnasium.Space[Any]) -> bool:
    return not isinstance(space, spaces.Box) or np.issubdtype(space.dtype, np.integer)


def parts_of(space: "spaces.Dict | spaces.Tuple[Any]") -> list[tuple[str, gymnasium.Space[Any]]]:
    """The parts of a space by name; those of a tuple are numbered."""
    named = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
    return [(str(key), part) for key, part in named]


def bounds(space: gymnasium.Space[Any]) -> tuple[Any, Any]:
    """The lowest and highest element of an array's space; TypeError or ValueError where nothing can be asked."""
    if isinstance(space, spaces.MultiBinary):
        return np.zeros(space.shape, np.int64), np.ones(space.shape, np.int64)
    if isinstance(space, spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    if not isinstance(space, spaces.Box):
        expected = "Discrete, MultiDiscrete, MultiBinary, a bounded Box, Slates, Text, or a Dict or Tuple of these"
        raise TypeError(f"no question can be made of {space}: expected {expected}; a form of your own asks for others")
    if not np.isfinite([space.low, space.high]).all():
        raise ValueError(f"{space} has no bounds: expected finite ones, between which a number can be asked")
    return space.low, space.high


def read(space: gymnasium.Space[Any], text: str) -> Any:
    """The element of a space that a JSON text says, by ``schema_of(space)``.

    Raises Malformed, which says where and what was expected, and nothing of the text, for anything else: other JSON,
    names twice or too many, 3.0 or true for 3, numbers outside their bounds, items twice, text after the end.
    """
    if len(text) > LONGEST_ANSWER:
        raise Malformed(f"the answer has {len(text):,} characters: expected {LONGEST_ANSWER:,} at most")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed(
            f"the answer is no JSON ({len(text)} characters): expected one value, {_called(space)}"
        ) from None
    element = _element(space, found, "the answer")
    if not space.contains(element):
        raise Malformed(f"the answer is outside the space: expected {_called(space)}")
    return element


def _called(space: gymnasium.Space[Any]) -> str:
    return f"an element of {type(space).__name__}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise Malformed("the answer has a name twice: expected each once")
    return dict(pairs)


def _no_number(word: str) -> Any:
    raise Malformed("the answer has NaN or Infinity: expected numbers")


def _element(space: gymnasium.Space[Any], found: Any, where: str) -> Any:
    """JSON as an element of a space, by which its types and bounds are right."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = parts_of(space)
        if not isinstance(found, dict) or found.keys() != {name for name, _ in parts}:
            raise Malformed(f"{where} is {_kind(found)}: expected an object of {[name for name, _ in parts]}")
        made = {name: _element(part, found[name], f"{where}.{name}") for name, part in parts}
        return made if isinstance(space, spaces.Dict) else tuple(made.values())
    if isinstance(space, spaces.Text):
        if not isinstance(found, str):
            raise Malformed(f"{where} is {_kind(found)}: expected a string")
        return found
    if isinstance(space, spaces.Discrete):
        least, most = int(space.start), int(space.start + space.n - 1)
        return space.dtype.type(_integer(found, least, most, where))
    if isinstance(space, Slates):
        if not isinstance(found, list) or not 1 <= len(found) <= space.length:
            raise Malformed(f"{where} is {_kind(found)}: expected a list of 1 to {space.length} items")
        items = [_integer(item, 0, space.num_items - 1, where) for item in found]
        return np.array(items + [-1] * (space.length - len(items)), np.int64)
    low, high = bounds(space)
    return _array(space, found, low, high, where)


def _array(space: gymnasium.Space[Any], found: Any, low: Any, high: Any, where: str) -> Any:
    """Nested lists as an array between two others."""
    if np.ndim(low):
        if not isinstance(found, list) or len(found) != len(low):
            raise Malformed(f"{where} is {_kind(found)}: expected a list of {len(low)}")
        entries = zip(found, low, high, strict=True)
        return np.stack([_array(space, *entry, f"{where}[{i}]") for i, entry in enumerate(entries)])
    if _is_whole(space):
        return np.array(_integer(found, int(low), int(high), where), space.dtype)
    step = _integer(found, 0, GRID, where)
    return np.array(high if step == GRID else low + step / GRID * (high - low), space.dtype)


def _integer(found: Any, low: int, high: int, where: str) -> int:
    if type(found) is not int or not low <= found <= high:
        raise Malformed(f"{where} is {_kind(found)}: expected an integer from {low} to {high}")
    return found


def _kind(found: Any) -> str:
    """A value of JSON in words that tell nothing of it."""
    if isinstance(found, list | dict):
        return f"{'a list' if isinstance(found, list) else 'an object'} of {len(found)}"
    words = {str: "a string", bool: "true or false", int: "another integer", float: "a number", type(None): "null"}
    return words[type(found)]
