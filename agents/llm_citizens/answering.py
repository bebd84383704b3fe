"""Answering: a language model answers for groups of people."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ethogram.simulator import Draws, check_has, check_is, nothing_yet

from ..citizens import DECISIONS
from ..llm import Answer, Ask, Asker, Model, NoAnswer, Predicate, Prompts

GOAL = "You answer for a typical person of the group that is described."
WORDING = {
    "isolate": "Does this person stay at home today, away from all but the household?",
    "work": "Does this person want to have a job at present?",
}


@dataclass(frozen=True, eq=False, repr=False)
class Answering:
    """A language model as the function that ``Answers`` asks: each question as two predicates, isolate and work.

    model: an ``Endpoint``, or what else answers requests; its budget and cache are its own. prompts: the goal, and the
    wording of the two questions. A group is told as data, its bins in words: {"age": "60 to below 80", "area": "3"}.
    orders, samples: as of ``LLMPolicy``.

    The answer is the model's distribution, so once is enough. Raises NoAnswer where there is none that can be read,
    after a repair; ``Answers`` then keeps nothing of the batch, and the endpoint's cache what was answered.
    """

    model: Model
    prompts: Prompts = field(default_factory=lambda: Prompts(GOAL, WORDING))
    orders: int = 2
    samples: int = 6
    heard: list[Answer] = field(default_factory=list, init=False)  # all answers so far, for ``quality``

    def __post_init__(self) -> None:
        check_has("model", self.model, "an Endpoint, or what has abilities and answer(requests)", "abilities", "answer")
        check_is("prompts", self.prompts, Prompts, "Prompts(goal=…)")
        Asker(self.model, self.orders, self.samples)

    def __call__(self, questions: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
        """(p_isolate, p_work) for each question."""
        asks = []
        for question in questions:
            told = {name: np.array([in_words(value)], dtype=object) for name, value in question.items()}
            one = Draws(0, torch.zeros(1, dtype=torch.int64))  # the fence's mark is the same in every run
            (prompt,) = self.prompts.rows(told, nothing_yet(one), one).prompts
            for name in DECISIONS:
                asked = Predicate(name)
                asks.append(Ask(prompt, asked, self.prompts.words(asked)))
        found = Asker(self.model, self.orders, self.samples)(asks)
        self.heard.extend(found)
        if missing := sum(answer.probability is None for answer in found):
            raise NoAnswer(f"{missing} of {len(found)} questions have no answer that can be read, after a repair")
        yes = [float(answer.probability[0]) for answer in found]
        return list(zip(yes[::2], yes[1::2], strict=True))

    def quality(self) -> dict[str, float]:
        """Means over all answers so far: the mass on the options, the weight of their order, how many were repaired."""
        mass, order = ([getattr(answer, name) for answer in self.heard] for name in ("mass", "order"))
        repaired = [answer.repaired for answer in self.heard]
        named = {"mass": mass, "order": order, "repaired": repaired}
        return {name: float(np.mean(values)) if values else float("nan") for name, values in named.items()}


def in_words(value: Any) -> str:
    """A level of a column: a bin [from, below] as "60 to below 80", "5 or more", "below 20"; else the number."""
    if not isinstance(value, list | tuple):
        return str(value)
    low, high = value
    if low is None or high is None:
        return f"below {high:g}" if low is None else f"{low:g} or more"
    return f"{low:g} to below {high:g}"
