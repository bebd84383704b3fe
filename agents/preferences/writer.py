"""TokenWriter: a small net that writes what people prefer, word by word, from choices and what was written before.

It is the same for every attribute and for both directions, so that it can be asked about other attributes than those it
was trained on, more of them among others.
"""

import copy
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ethogram.simulator import Draws, check_number, checked_int

from .choices import Choices
from .descriptions import NOTHING, choose_by, direction


class TokenWriter(nn.Module):
    """An ``Inferrer`` that can be trained: it writes at most ``length`` words and reads them as ``choose_by`` does.

    Each choice is weighed by what the words so far, and the previous description, make of it; what the weighted
    choices add up to for an attribute, and against it, decides how likely its words are. No word comes twice, nor its
    contrary; after ``NOTHING`` comes nothing more. temperature: of the words drawn, 0 for always the likeliest.
    """

    def __init__(self, length: int = 3, width: int = 32, weights: int = 8, temperature: float = 1.0) -> None:
        super().__init__()
        self.length = checked_int("length", length, 1)
        width, weights = checked_int("width", width, 1), checked_int("weights", weights, 1)
        check_number("temperature", temperature)
        self.temperature = temperature
        self.weigh = nn.Sequential(nn.Linear(5 + length, width), nn.GELU(), nn.Linear(width, weights))
        self.judge = nn.Sequential(nn.Linear(2 * weights + 4 + length, width), nn.GELU())
        self.word, self.end = nn.Linear(width, 1), nn.Linear(width, 1)

    def at(self, temperature: float) -> Self:
        """The same net, drawing its words at another temperature."""
        check_number("temperature", temperature)
        other = copy.copy(self)
        other.temperature = temperature
        return other

    def describe(self, choices: Choices, previous: Tensor | None, draws: Draws) -> Tensor:
        """(n, length) int64 words."""
        return self.write(prompt_of(choices, previous, self.length), draws)

    def choose(self, description: Tensor, options: Tensor) -> Tensor:
        """(n, …, m) probabilities."""
        return choose_by(description, options)

    @torch.no_grad()
    def write(self, prompt: Mapping[str, Tensor], draws: Draws) -> Tensor:
        """(n, length) int64 words in answer to prompts, as ``prompt_of`` makes them."""
        words = torch.zeros(len(prompt["contrast"]), self.length, dtype=torch.int64)
        for place in range(self.length):
            log = self._next(prompt["contrast"], prompt["previous"], words, torch.full((len(words),), place))
            if self.temperature:
                chance = (log / self.temperature).softmax(1)
                words[:, place] = draws.categorical(f"word {place}", chance)
            else:
                words[:, place] = log.argmax(1)
        return words

    def log_probs(self, record: Mapping[str, Any]) -> Tensor:
        """(n, length) log-probability of each of the words of a record, {"contrast", "previous", "words"}."""
        words = record["words"]
        n, length = words.shape
        place = torch.arange(length)
        before = torch.where(place < place[:, None], words[:, None], NOTHING).flatten(0, 1)  # (n * length, length)
        contrast, previous = (record[name].repeat_interleave(length, 0) for name in ("contrast", "previous"))
        log = self._next(contrast, previous, before, place.repeat(n))
        return log.view(n, length, -1).gather(2, words[..., None])[..., 0]

    def _next(self, contrast: Tensor, previous: Tensor, words: Tensor, place: Tensor) -> Tensor:
        """(n, words) log-probabilities of the next word, after words (n, length) of which ``place`` (n,) count."""
        seen, attributes = contrast.shape[1:]
        said, was = direction(words, attributes), direction(previous, attributes)  # (n, D)
        count = contrast.any(2).sum(1).clamp(min=1)[:, None, None]  # (n, 1, 1); the others are padding
        told = torch.cat([one_hot(place, self.length), (previous != NOTHING).any(1)[:, None]], 1).float()
        told = torch.cat([told, count[:, 0].log()], 1)
        views = [(contrast * part[:, None]).sum(2) for part in (said, was)] + [contrast.norm(dim=2)]
        about = torch.cat([torch.stack(views, 2), told[:, None].expand(-1, seen, -1)], 2)
        weight = self.weigh(about).transpose(1, 2)  # (n, weights, T)
        toward = (weight @ contrast / count.sqrt()).transpose(1, 2)  # (n, D, weights), against if negative
        size = (weight @ contrast.abs() / count).transpose(1, 2)
        told = told[:, None].expand(-1, attributes, -1)
        sides = [
            torch.cat([sign * toward, size, sign * was[..., None], sign * said[..., None], told], 2) for sign in (1, -1)
        ]
        hidden = self.judge(torch.stack(sides, 2))  # (n, D, 2, width)
        logit = self.word(hidden)[..., 0].masked_fill((said != 0)[..., None], -torch.inf)
        end = self.end(hidden.mean((1, 2)))
        over = (place > 0) & (words.gather(1, (place - 1).clamp(min=0)[:, None])[:, 0] == NOTHING)
        logit = logit.flatten(1).masked_fill(over[:, None], -torch.inf)
        return torch.cat([end, logit], 1).log_softmax(1)


def prompt_of(choices: Choices, previous: Tensor | None, length: int) -> dict[str, Tensor]:
    """{"contrast": (n, T, D), "previous": (n, length)}: what a writer is given, as tensors."""
    contrast = choices.contrast
    if previous is None:
        previous = torch.full((len(contrast), length), NOTHING)
    return {"contrast": contrast, "previous": previous}


def counted(words: Tensor) -> Tensor:
    """(n, length) bool, the words that were drawn: up to the first ``NOTHING``, and that one."""
    return (words == NOTHING).cumsum(1) - (words == NOTHING).long() == 0
