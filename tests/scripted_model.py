"""A model whose answers are exact: a rule says how likely each option is, and letters and samples follow from it."""

import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ethogram.agents.llm import Abilities, Reply, Request

CAN_ALL = Abilities()
CANNOT = Abilities(schema=False, grammar=None, top_logprobs=0)


def options_of(user: str) -> dict[str, str]:
    """letter -> option, of a question."""
    return dict(re.findall(r"^([A-Z])\) (.*)$", user, re.M))


@dataclass
class Scripted:
    """weigh: (options by letter, the whole user message) -> a weight for each letter; the rest of 1 is other tokens."""

    weigh: Callable[[dict[str, str], str], dict[str, float]]
    abilities: Abilities = CAN_ALL
    space: str = ""  # before letters, as after a prefix
    spoil: Callable[[Request], str | None] | None = None  # a text in the place of the answer
    write: Callable[[str], str] = str  # what it writes
    asked: list[Request] = field(default_factory=list)

    def __fingerprint__(self) -> None:
        """Nothing: what was asked does not make another run."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "asked": []}

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """A reply each."""
        self.asked += requests
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        user = request.messages[-1][1]
        if self.spoil and (text := self.spoil(request)) is not None:
            return Reply(text, logprobs=({text: 0.0},) if request.top_logprobs else ())
        if not (options := options_of(user)):
            return Reply(self.write(user))
        weights = self.weigh(options, user)
        if request.top_logprobs:
            tokens = {self.space + letter: math.log(w) for letter, w in weights.items() if w > 0}
            rest = 1 - sum(weights.values())
            return Reply("", logprobs=({**tokens, **({"The": math.log(rest)} if rest > 1e-9 else {})},))
        luck = random.Random(f"{request.seed}{user}")
        letter = luck.choices(list(weights), list(weights.values()))[0]
        return Reply(json.dumps(letter) if request.schema else letter)


def even(options: dict[str, str], user: str) -> dict[str, float]:
    return dict.fromkeys(options, 0.8 / len(options))


@dataclass(frozen=True)
class Likes:
    """Gives options with a word in them so much together; also where what they are is said."""

    word: str
    p: float = 0.9

    def __call__(self, options: dict[str, str], user: str) -> dict[str, float]:
        """The weights."""
        good = [letter for letter, text in options.items() if self.word in text]
        if not good or len(good) == len(options):
            return even(options, user)
        rest = (1 - self.p) / (len(options) - len(good))
        return {k: self.p / len(good) if k in good else rest for k in options}
