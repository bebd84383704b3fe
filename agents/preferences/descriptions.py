"""Descriptions of preferences: a few words, written, read back, and chosen by; the contract of who writes them.

A description of the token form is (n, K) int64. Word 0 says nothing; 1 + 2 j is "for attribute j", 2 + 2 j "against".
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import embedding

from ethogram.simulator import Draws, checked_int

from .choices import Choices

NOTHING = 0
Description = Any  # of n people, such as words (n, K) int64, or a list of n texts: only who wrote it looks into it


@runtime_checkable
class Inferrer(Protocol):
    """Who writes what people prefer, and foresees from that alone what they will choose."""

    def describe(self, choices: Choices, previous: Description | None, draws: Draws) -> Description:
        """A description of each person: what ``previous`` said, brought up to date by choices that it does not know.

        previous: None where nobody has written anything yet. draws: of n rows; all chance comes from them.
        """
        ...

    def choose(self, description: Description, options: Tensor) -> Tensor:
        """(n, …, m) probabilities of options (n, …, m, D), by the description alone."""
        ...


def num_words(num_attributes: int) -> int:
    """The size of the vocabulary: nothing, and two words for each attribute."""
    return 1 + 2 * checked_int("num_attributes", num_attributes, 1)


def direction(words: Tensor, num_attributes: int) -> Tensor:
    """(n, D) float32 of -1, 0 and 1: what words (n, K) say. What is said for and against cancels out."""
    each = torch.eye(num_attributes)
    table = torch.cat([torch.zeros(1, num_attributes), torch.stack([each, -each], 1).reshape(-1, num_attributes)])
    try:
        return embedding(words, table).sum(1).clamp(-1, 1)
    except (IndexError, RuntimeError, TypeError) as error:
        expected = f"a tensor int64 (n, K), from 0 to {2 * num_attributes}"
        raise ValueError(f"words are none for {num_attributes} attributes ({error}): expected {expected}") from None


def words_of(preference: Tensor, length: int) -> Tensor:
    """(n, length) int64: the words for directions (n, D), in the order of attributes; the first ones if they are more.

    Of true preferences, it is the description that an oracle would write.
    """
    n, attributes = preference.shape
    word = torch.where(preference > 0, 1, 2) + 2 * torch.arange(attributes)
    spoken = torch.where(preference != 0, word, num_words(attributes)).sort(1).values[:, :length]
    spoken = torch.where(spoken < num_words(attributes), spoken, NOTHING)
    return torch.cat([spoken, spoken.new_zeros(n, max(length - attributes, 0))], 1)


def contrary(words: Tensor) -> Tensor:
    """(n, K) int64: for in place of against, and the other way round."""
    return torch.where(words == NOTHING, NOTHING, words + 2 * (words % 2) - 1)


def in_words(words: Tensor, names: Sequence[str]) -> list[str]:
    """Words (n, K) in words, with the attributes' names: "for jazz, against noise"."""
    said = []
    for row in words.tolist():
        parts = [f"{('for', 'against')[(word - 1) % 2]} {names[(word - 1) // 2]}" for word in row if word != NOTHING]
        said.append(", ".join(parts) or "nothing known")
    return said


def choose_by(words: Tensor, options: Tensor, temperature: float = 0.0) -> Tensor:
    """(n, …, m) probabilities that a reader of words (n, K) gives to options (n, …, m, D): the frozen judge.

    It is a softmax of what the words add up to, at a temperature; at 0 the best option, or any of the best ones.
    """
    said = direction(words, options.shape[-1])
    if len(said) != len(options):
        raise ValueError(f"words are of {len(said)} people and options of {len(options)}: expected the same people")
    score = (options * said.view(len(said), *[1] * (options.dim() - 2), -1)).sum(-1)
    if temperature:
        return (score / temperature).softmax(-1)
    best = (score == score.amax(-1, keepdim=True)).float()
    return best / best.sum(-1, keepdim=True)


def reward_of(inferrer: Inferrer, description: Description, targets: Choices) -> Tensor:
    """(n,) in [0, 1]: R_jud of AlignXplore, the mean over a person's targets of the probability of what was chosen."""
    probability = inferrer.choose(description, targets.options)
    return probability.gather(2, targets.chosen[..., None])[..., 0].mean(1)


def raises_likelihood(
    inferrer: Inferrer, description: Description, nothing: Description, targets: Choices, margin: float = 0.03
) -> Tensor:
    """(n,) in [0, 1]: R_gen of AlignXplore, the share of a person's targets that a description makes likelier.

    That is, the odds of what was chosen are more than 1 + margin times those by ``nothing``, an empty description.
    """
    found = []
    for text in (description, nothing):
        p = inferrer.choose(text, targets.options).gather(2, targets.chosen[..., None])[..., 0].double()
        found.append(p / (1 - p))
    return (found[0] > (1 + margin) * found[1]).double().mean(1).float()


def recovery(words: Tensor, preference: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) precision and (n,) recall of words (n, K) against true preferences (n, D), directions included.

    Precision is NaN for who was said nothing about.
    """
    said = direction(words, preference.shape[1])
    right = ((said == preference) & (said != 0)).sum(1)
    return right / (said != 0).sum(1), right / (preference != 0).sum(1)
