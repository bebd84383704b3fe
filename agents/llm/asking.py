"""Questions to distributions: letters and their log-probabilities, else samples by schema, by grammar, by text."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ethogram.simulator import checked_int

from .prompts import Prompt
from .questions import LETTERS, Malformed, Question, Written
from .requests import MOST, Abilities, Model, Reply, Request

_LETTER = re.compile(r"\s*([A-Z])[).:]?\s*")  # "A", " A" and "A)" are one answer: where it stands decides on the space
FEW, MANY = 8, 24  # tokens for a letter without and with a schema, which small models pad with blanks


class Ask(NamedTuple):
    """One question to one who is told something."""

    prompt: Prompt
    question: Question
    words: str  # the question in words
    decided: str = ""  # what was decided before, in our words
    seed: int = 0  # of what is written


class Answer(NamedTuple):
    """A model's answer to a question: a distribution over its options, or a text, or neither.

    probability: (K,) float64, summing to 1; None for what is written, and for no answer. text: what is written.
    mass: the share of the model's own distribution, or of its samples, that fell on the options. order: how far it is
    the order of the options that decides, as the largest total variation between two orders; NaN where not known.
    repaired: whether it took a second attempt. why: there is no answer, in words that tell nothing of prompt or answer.
    """

    probability: Any = None
    text: str | None = None
    mass: float = math.nan
    order: float = math.nan
    repaired: bool = False
    why: str = ""


@dataclass(frozen=True)
class Asker:
    """How questions are put to a model.

    orders: in how many cyclic orders the options are shown, over which log-probabilities are averaged; at least as many
    as there are options leave no preference for a place. samples: how many answers make a distribution where there are
    no log-probabilities, each in the next order.
    """

    model: Model
    orders: int = 3
    samples: int = 6

    def __post_init__(self) -> None:
        checked_int("orders", self.orders, 1, len(LETTERS))
        checked_int("samples", self.samples, 1, 1000)

    def __call__(self, asks: Sequence[Ask]) -> list[Answer]:
        """The answers, in their order. Who has no answer is asked once more, with other seeds, and in the next way."""
        abilities = self.model.abilities
        found = self._attempt(asks, abilities, 0)
        again = [k for k, answer in enumerate(found) if answer.why]
        if again:
            second = self._attempt([asks[k] for k in again], abilities, 1)
            for k, answer in zip(again, second, strict=True):
                found[k] = answer._replace(repaired=True, why=answer.why and f"{found[k].why}, then {answer.why}")
        return found

    def _attempt(self, asks: Sequence[Ask], abilities: Abilities, attempt: int) -> list[Answer]:
        requests: list[Request] = []
        readers: list[tuple[int, Callable[[Sequence[Reply]], Answer]]] = []
        for ask in asks:
            made, reader = self._requests(ask, abilities, attempt)
            readers.append((len(made), reader))
            requests += made
        replies = self.model.answer(requests)
        if len(replies) != len(requests):
            raise ValueError(f"the model gives {len(replies)} replies to {len(requests)} requests: expected one each")
        answers, at = [], 0
        for count, reader in readers:
            answers.append(reader(replies[at : at + count]))
            at += count
        return answers

    def _requests(
        self, ask: Ask, abilities: Abilities, attempt: int
    ) -> tuple[list[Request], Callable[[Sequence[Reply]], Answer]]:
        """The requests of a question, and who reads their replies."""
        question, again = ask.question, attempt > 0
        if isinstance(question, Written):
            schema = question.schema if abilities.schema else None
            messages = ask.prompt.messages(question, ask.words, ask.decided, 0, again)
            seed = hashed(question.name, ask.seed, attempt)
            return [Request(messages, question.most_tokens, seed=seed, schema=schema)], partial(_wrote, question)
        options = len(question.options)
        by_letters = abilities.top_logprobs >= min(options, 2) and not again
        shifts = [k * options // self.orders % options for k in range(min(self.orders, options))]
        if self.orders >= options:
            shifts = list(range(options))
        if not by_letters:
            shifts = [k % options for k in range(self.samples)]
        told = [ask.prompt.messages(question, ask.words, ask.decided, shift, again) for shift in shifts]
        if by_letters:
            top = min(abilities.top_logprobs, max(20, 3 * options))
            return [Request(one, 1, top_logprobs=top) for one in told], partial(_weighed, options, shifts)
        letters = list(LETTERS[:options])
        how: dict[str, Any] = {"max_tokens": FEW}
        if abilities.schema:
            how = {"max_tokens": MANY, "schema": {"type": "string", "enum": letters}}
        elif abilities.grammar is not None:
            how["grammar"] = "root ::= " + " | ".join(f'"{letter}"' for letter in letters)
        seeds = [hashed(question.name, k, attempt) for k in range(len(told))]
        made = [Request(one, seed=seed, **how) for one, seed in zip(told, seeds, strict=True)]
        return made, partial(_counted, options, shifts)


def hashed(*parts: Any) -> int:
    """A seed from 0 to 2**31 - 1; of other parts an unrelated one, since servers count up from a seed themselves."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") & MOST


def _weighed(options: int, shifts: Sequence[int], replies: Sequence[Reply]) -> Answer:
    """The distribution by log-probabilities of letters: each order renormalised over the options, then averaged."""
    found, masses = [], []
    for shift, reply in zip(shifts, replies, strict=True):
        if reply.error is not None or not reply.logprobs:
            return Answer(why="no log-probabilities" if reply.error is None else f"no answer, {reply.error}")
        weights = np.zeros(options)
        for token, logprob in reply.logprobs[0].items():
            match = _LETTER.fullmatch(token)
            place = LETTERS.index(match[1]) if match else options
            if place < options:
                weights[(shift + place) % options] += math.exp(logprob)
        masses.append(float(weights.sum()))
        if masses[-1] > 0:
            found.append(weights / masses[-1])
    if len(found) < len(shifts):
        return Answer(why="no option among the likeliest tokens")
    mean = np.mean(found, 0)
    apart = max((0.5 * float(np.abs(a - b).sum()) for a in found for b in found), default=0.0)
    return Answer(mean / mean.sum(), mass=min(float(np.mean(masses)), 1.0), order=apart)


def _counted(options: int, shifts: Sequence[int], replies: Sequence[Reply]) -> Answer:
    """The distribution of sampled letters; what is no letter is counted against the mass, never as an option."""
    places: Counter[int] = Counter()
    for shift, reply in zip(shifts, replies, strict=True):
        text = reply.text.strip()
        text = text[1:-1] if len(text) > 2 and text[0] == text[-1] == '"' else text
        match = _LETTER.fullmatch(text) if reply.error is None else None
        if match and (place := LETTERS.index(match[1])) < options:
            places[(shift + place) % options] += 1
    count = places.total()
    if not count:
        errors = [reply.error for reply in replies if reply.error is not None]
        return Answer(mass=0.0, why=f"no answer, {errors[0]}" if errors else "no option")
    probability = np.array([places[k] for k in range(options)]) / count
    return Answer(probability, mass=count / len(replies))


def _wrote(question: Written, replies: Sequence[Reply]) -> Answer:
    """A text, if it can be read."""
    reply = replies[0]
    if reply.error is not None:
        return Answer(why=f"no answer, {reply.error}")
    if reply.finish == "length":
        return Answer(why=f"cut at {question.most_tokens} tokens")
    try:
        question.read(reply.text)
    except Malformed as problem:
        return Answer(why=str(problem))
    return Answer(text=reply.text)
