"""Exact posteriors of sparse preferences: Bayes' rule over all that a person may prefer, given choices.

For people who weigh ``num_preferences`` of D attributes with -1 or 1, among independent standard normal options. Such
a calculation needs to know how people choose, which learners are not told: it says how good any of them can get.
"""

from itertools import combinations, product
from typing import Self

import torch
from torch import Tensor

from ethogram.simulator import Draws, check_number, checked_int

from .choices import Choices, People
from .descriptions import choose_by, direction, words_of

ROWS = 128  # at a time, which bounds the memory
SLIP = -10.0  # log-probability of what people at temperature 0 never do: who changed his mind is not impossible


def sparse_directions(num_attributes: int, num_preferences: int) -> Tensor:
    """(H, D) float32: every vector with so many entries of -1 or 1, and zeros."""
    places = list(combinations(range(num_attributes), num_preferences))
    signs = list(product((1.0, -1.0), repeat=num_preferences))
    found = torch.zeros(len(places), len(signs), num_attributes)
    index = torch.tensor(places)[:, None].expand(-1, len(signs), -1)
    return found.scatter_(2, index, torch.tensor(signs).expand(len(places), -1, -1)).flatten(0, 1)


def likelihood(choices: Choices, directions: Tensor, temperature: float = 0.0) -> Tensor:
    """(n, H) log-probability of what people chose, given each of the directions (H, D)."""
    if choices.options.shape[-1] != directions.shape[-1]:
        what = f"choices have {choices.options.shape[-1]} attributes"
        raise ValueError(f"{what}: expected {directions.shape[-1]}, as the directions have")
    parts = []
    for start in range(0, len(choices.chosen), ROWS):
        some = choices.rows(torch.arange(start, min(start + ROWS, len(choices.chosen))))
        utility = some.options @ directions.T  # (rows, T, m, H)
        index = some.chosen[..., None, None].expand(*some.chosen.shape, 1, len(directions))
        if temperature:
            log = (utility / temperature).log_softmax(2).gather(2, index)[:, :, 0]
        else:
            log = torch.where(utility.gather(2, index)[:, :, 0] >= utility.amax(2), 0.0, SLIP)
        parts.append(log.sum(1))
    return torch.cat(parts)


def agreement(first: Tensor, second: Tensor) -> Tensor:
    """(A, B) how often two directions, (A, D) and (B, D), prefer the same of two options: 1 - angle / pi.

    1/2 where one of them is 0.
    """
    norms = first.norm(dim=1)[:, None] * second.norm(dim=1)
    cosine = (first.double() @ second.T.double()) / norms.clamp(min=1e-9)
    return torch.where(norms > 0, 1 - cosine.clamp(-1, 1).acos() / torch.pi, 0.5).float()


class Bayes:
    """An ``Inferrer`` who knows how people choose: the best description of so many words.

    It maximises how often its reader will be right about two options, on average over the posterior. sampled=True: it
    writes a draw from the posterior instead, as a perfect imitator of people's true preferences would.

    ``previous`` is read as something that Bayes itself wrote about earlier choices; ``calibrate`` finds out how often
    that is right.
    """

    def __init__(
        self, num_attributes: int, num_preferences: int, temperature: float = 0.0, sampled: bool = False
    ) -> None:
        checked_int("num_preferences", num_preferences, 1, checked_int("num_attributes", num_attributes, 1))
        check_number("temperature", temperature)
        self.temperature, self.sampled = temperature, sampled
        self.directions = sparse_directions(num_attributes, num_preferences)  # (H, D)
        self.worth = agreement(self.directions, self.directions)
        self.reliance: Tensor | None = None  # log P(a description | a direction), by the words right and wrong in it

    def posterior(self, choices: Choices, previous: Tensor | None = None) -> Tensor:
        """(n, H) probabilities of ``directions``."""
        log = likelihood(choices, self.directions, self.temperature)
        if previous is not None:
            if self.reliance is None:
                raise ValueError("previous is given, but not how far it is right: expected calibrate(people) before")
            log = log + self.reliance[self._verdicts(previous, self.directions)]
        return log.softmax(1)

    def describe(self, choices: Choices, previous: Tensor | None, draws: Draws) -> Tensor:
        """(n, num_preferences) int64 words."""
        posterior = self.posterior(choices, previous)
        found = draws.categorical("direction", posterior) if self.sampled else (posterior @ self.worth).argmax(1)
        said = self.directions[found]
        return words_of(said, int((said[:1] != 0).sum()))

    def choose(self, description: Tensor, options: Tensor) -> Tensor:
        """(n, …, m) probabilities."""
        return choose_by(description, options)

    def calibrate(self, people: People, draws: Draws) -> Self:
        """Find out how often what is written about such people is right; returns ``self``.

        By symmetry a description is as likely as every other with as many words right and wrong of a person. A case
        that did not occur counts as half a time.
        """
        words = self.describe(people.read, None, draws)
        size = (words.shape[1] + 1) ** 2
        found = self._verdicts(words, people.preference, paired=True).bincount(minlength=size)
        possible = self._verdicts(words[:1], self.directions)[0].bincount(minlength=size)
        self.reliance = ((found + 0.5) / possible).log()
        return self

    def _verdicts(self, words: Tensor, directions: Tensor, paired: bool = False) -> Tensor:
        """(n, H), or (n,) if paired: right words of a description, times its length + 1, plus wrong ones."""
        said = direction(words, directions.shape[1])
        net, both = said @ directions.T, said.abs() @ directions.abs().T
        if paired:
            net, both = (said * directions).sum(1), (said * directions).abs().sum(1)
        return ((both + net) / 2 * (words.shape[1] + 1) + (both - net) / 2).long()
