"""Training of a writer: a teacher who knows what matters, filtered by outcome; then reinforcement by outcome.

Both are given three kinds of prompts in equal shares: one window of choices; two of them; the second one, with the
writer's own description of the first. So the same writer can be asked to read everything again, or to bring up to date.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ethogram.simulator import Draws, World, check_has, check_is, check_number, checked_int, checked_seed

from ..learning import Answers, Measures, masked_mean, rows_of
from .choices import People, people_of
from .descriptions import NOTHING, contrary, reward_of, words_of
from .writer import TokenWriter, counted

KINDS = ("one window", "both windows", "the second, and a description of the first")


def prompts_of(
    writer: TokenWriter, people: People, kind: Tensor, window: int, changed: float, draws: Draws
) -> dict[str, Tensor]:
    """Prompts about people with two windows of choices, a kind (n,) for each: {"contrast", "previous"}.

    changed: the share of previous descriptions that are turned around, as if people had changed their minds since.
    """
    contrast = people.read.between(0, 2 * window).contrast
    second = (torch.arange(2 * window) >= window)[None, :, None]
    first_only, last_only = ((kind == k)[:, None, None] for k in (0, 2))
    n = len(kind)
    previous = torch.full((n, writer.length), NOTHING)
    later = (kind == 2).nonzero()[:, 0]
    earlier = {"contrast": contrast[later, :window], "previous": previous[later]}
    words = writer.write(earlier, draws.of(later).scoped("earlier"))
    turned = draws.of(later).bernoulli("changed", changed)
    previous[later] = torch.where(turned[:, None], contrary(words), words)
    contrast = contrast.masked_fill((first_only & second) | (last_only & ~second), 0)  # zeros are read as no choice
    return {"contrast": contrast, "previous": previous}


def taught(contrast: Tensor, matters: Tensor, length: int, draws: Draws) -> Tensor:
    """(n, length) int64 words of a teacher who is told which attributes matter, (n, D) bool, but not how.

    It reads the directions off what was chosen less what was not, summed over (n, T, D) contrasts, and says the first
    ``length`` that come to its mind, in no order.
    """
    attributes = matters.shape[1]
    words = words_of(torch.where(matters, contrast.sum(1), 0), max(length, attributes))
    luck = draws.uniform("order", words.shape[1]) + (words == NOTHING).float()
    return words.gather(1, luck.argsort(1))[:, :length]


class ColdStart(nn.Module):
    """Cross-entropy of what a teacher wrote, where it turned out right: a ``Trainee``.

    people: with at least two windows of choices. The teacher describes each of them in each of ``KINDS``; kept is what
    foresees every target, as AlignXplore keeps what earns 1. changed: as in ``prompts_of``.
    """

    def __init__(
        self,
        writer: TokenWriter,
        people: People,
        window: int,
        *,
        changed: float = 0.25,
        batch: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_is("writer", writer, TokenWriter, "a TokenWriter")
        check_is("people", people, People, "People, as people_of(world, …) follows them")
        check_number("changed", changed, high=1)
        self.writer, self.people = writer, people
        self.window = checked_int("window", window, 1, people.read.chosen.shape[1] // 2)
        self.batch, self.seed, self.changed = checked_int("batch", batch, 1), checked_seed(seed), changed
        contrast, n = people.read.contrast, len(people.preference)
        draws = Draws(self.seed, torch.arange(n), scope="teacher")
        spans = ((0, window), (0, 2 * window), (window, 2 * window))
        self.words = torch.stack([
            taught(contrast[:, start:stop], people.preference != 0, writer.length, draws.at(kind))
            for kind, (start, stop) in enumerate(spans)
        ])  # (3, n, length)  # fmt: skip
        right = torch.stack([reward_of(writer, words, people.targets) for words in self.words])
        self.kept = (right == 1).nonzero()  # (k, 2) kind and person
        if not len(self.kept):
            raise ValueError(f"none of {n} people are foreseen in all of their targets: expected more people")

    def losses(self, update: int) -> Iterator[tuple[Tensor, Measures]]:
        """One loss."""
        kind, person = self.kept[rows_of(update, self.batch, len(self.kept), self.seed)].T
        draws = Draws(self.seed, person, update, "cold start")
        prompts = prompts_of(self.writer, self.people.rows(person), kind, self.window, self.changed, draws)
        words = self.words[kind, person]
        log_prob = self.writer.log_probs(prompts | {"words": words})
        yield -masked_mean(log_prob, counted(words)), {}


@dataclass(frozen=True, eq=False)
class Practice:
    """A ``Task`` of ``GRPO``: people never met before, to be described so that a reader foresees what they choose.

    world: as ``people_of`` takes it. window: choices; targets: later ones, over which a reward is averaged.
    The description handed to the second window is one of those that the writer may write of the first, as
    AlignXplore takes a random member of the group; a share ``changed`` is turned around.
    """

    world: World
    window: int = 12
    targets: int = 6
    changed: float = 0.25

    def __post_init__(self) -> None:
        check_has("world", self.world, "a World", "reset", "step")
        checked_int("window", self.window, 1)
        checked_int("targets", self.targets, 1)
        check_number("changed", self.changed, high=1)

    def answers(self, policy: Any, prompts: int, group: int, draws: Draws) -> Answers:
        """``group`` descriptions of each of so many people, who come in the three ``KINDS`` by turns."""
        people = people_of(self.world, draws.ids, 2 * self.window, self.targets, draws.seed)
        asked = prompts_of(policy, people, draws.ids % len(KINDS), self.window, self.changed, draws)
        rows = torch.arange(prompts).repeat_interleave(group)
        own = Draws(draws.seed, (draws.ids[:, None] * group + torch.arange(group)).flatten(), draws.step, "words")
        asked = {name: part[rows] for name, part in asked.items()}
        words = policy.write(asked, own)
        reward = reward_of(policy, words, people.targets.rows(rows)).view(prompts, group)
        return Answers(reward, counted(words), asked | {"words": words})
