"""History-aware reasoning: learning from one's own errors with hints, and from whether a thought used the past.

Wang et al., "History-Aware Reasoning for GUI Agents", arXiv:2511.09127. The paper's reward code is not released: the
form of the hybrid reward and gamma come from detailed third-party notes; thresholds and shapes are derived here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ethogram.envs.gui.actions import TYPES
from ethogram.simulator import Draws

from .. import gui_learning
from ..gui_learning import (
    AT_A_POINT,
    LENGTH,
    SCROLL,
    WITH_WORDS,
    Episodes,
    GuiPolicy,
    Prompts,
    Read,
    acted_on,
    asked,
    parsed,
    success,
    words,
)
from ..learning import Answers
from .guidance import Guide, Judge, error_of, guidelines, mentions

symbols = gui_learning.symbols
TAP = TYPES.index("tap")
GAMMA = 0.2  # the weight of the memory reward
CORRECT = 0.14  # of the screen: a place within this is right
REACH = CORRECT * 2**0.5  # where the finer part of the reward of a right place has fallen to 0
STATEMENT = 4  # symbols before the thought of an answer that reflects: statement, error, "wrong was", a word

Worth = Callable[[Read, dict[str, Tensor]], Tensor]  # actions and what is right, to (m,)


def action_reward(read: Read, truth: dict[str, Tensor]) -> Tensor:
    """(m,) rewards of actions: 0 for a wrong type or word, 1 for a right action without a place.

    A right place is worth 1 + max(0, 1 - d / REACH), a wrong one exp(-d / REACH) / 2, d being the distance as a share
    of the screen: right beats wrong, and nearer beats farther.
    """
    at = (read.at.clamp(min=0) + 0.5) / symbols.BINS
    cell = (truth["point"] * symbols.BINS).long().clamp(0, symbols.BINS - 1)
    d = (at - (cell + 0.5) / symbols.BINS).square().sum(-1).sqrt()
    placed = torch.where(d <= CORRECT, 1 + (1 - d / REACH).clamp(min=0), (-d / REACH).exp() / 2)
    placed = torch.where((read.at >= 0).all(-1), placed, 0)
    pointed, worded = (torch.isin(truth["type"], torch.tensor(types)) for types in (AT_A_POINT, WITH_WORDS))
    worth = torch.where(pointed, placed, 1.0)
    wrong = (read.type != truth["type"]) | (worded & (read.said != truth["text"]))
    wrong |= (truth["type"] == SCROLL) & (read.direction != truth["direction"])
    return torch.where(wrong, 0, worth)


def hybrid_reward(
    read: Read, truth: dict[str, Tensor], remembered: Tensor, gamma: float = GAMMA, worth: Worth = action_reward
) -> Tensor:
    """(m,) form * (action + gamma * memory): 2.2 at best for a tap, 1.2 for an action without a place."""
    return read.formed.float() * (worth(read, truth) + gamma * remembered.float())


class Exercise(NamedTuple):
    """Prompts to answer, and what is right: rows of one task."""

    prompts: Prompts
    truth: dict[str, Tensor]
    sentences: Tensor  # (m, PAST, 4), zeros where memory is not judged
    reflects: bool = False
    forced: bool = False  # an answer whose thought names no step, true or not, is malformed


@dataclass(frozen=True, eq=False)
class Practice:
    """A ``Task`` of ``GRPO``: exercises of one layout, each asked for as often as the others (the paper mixes 1 : 1).

    gamma: the weight of the memory reward. judge: says whether a thought contains what was done before.
    worth: of actions; ``success`` gives 1 or 0, however near a place is.
    """

    exercises: tuple[Exercise, ...]
    gamma: float = GAMMA
    judge: Judge = mentions
    worth: Worth = action_reward
    temperature: float = 1.0

    def answers(self, policy: Any, prompts: int, group: int, draws: Draws) -> Answers:
        """``group`` answers to each of so many prompts."""
        kind = torch.arange(prompts) % len(self.exercises)
        luck = draws.uniform("prompt")
        parts = []
        for k, exercise in enumerate(self.exercises):
            rows = (luck[kind == k] * len(exercise.sentences)).long()
            truth = {name: column[rows] for name, column in exercise.truth.items()}
            parts.append((exercise.prompts.rows(rows), truth, exercise.sentences[rows]))
        tokens, present = (torch.cat([part[0][k] for part in parts]) for k in range(2))
        asking = self.exercises[0].prompts._replace(tokens=tokens, present=present)
        truth = {name: torch.cat([part[1][name] for part in parts]).repeat_interleave(group, 0) for name in parts[0][1]}
        sentences = torch.cat([part[2] for part in parts]).repeat_interleave(group, 0)
        reflects = self.exercises[0].reflects
        own = Draws(draws.seed, (draws.ids[:, None] * group + torch.arange(group)).flatten(), draws.step, "answers")
        length = LENGTH + STATEMENT * reflects
        how: dict[str, Any] = {"drop_at": policy.drop_at, "drop": policy.drop}  # as it scores them
        answer = policy.generate(asking, own, group=group, temperature=self.temperature, length=length, **how)
        has_past = (sentences[..., 0] > 0).any(1)
        remembered = self.judge(answer, sentences) & has_past
        read = parsed(answer, statement=reflects)
        if self.exercises[0].forced:
            read = read._replace(formed=read.formed & (mentions(answer, sentences, strict=False) | ~has_past))
        reward = hybrid_reward(read, truth, remembered, self.gamma, self.worth)
        return Answers(reward.view(prompts, group), answer > 0, (asking, answer))


def errors(policy: GuiPolicy, episodes: Episodes, draws: Draws, temperature: float = 0.7) -> tuple[Tensor, Tensor]:
    """Where a policy errs: (k,) rows of the episodes' steps, and its wrong answers, (k, LENGTH). draws: of m rows."""
    prompts = asked(symbols.ANSWER, episodes.seen, episodes.sentences)
    answer = policy.generate(prompts, draws, temperature=temperature, drop_at=policy.drop_at, drop=policy.drop)
    wrong = ~success(parsed(answer), episodes.truth)
    return wrong.nonzero()[:, 0], answer[wrong]


def reflection(wrong: Episodes, answer: Tensor, hints: bool | Guide = True) -> Exercise:
    """Round 1: the step again, with one's wrong answer and guidelines; the error is to be stated first.

    hints: whether there are scripted guidelines, or a ``Guide`` to ask for them.
    """
    guide = guidelines if hints is True else hints
    told = guide(parsed(answer), wrong) if guide else torch.zeros(len(answer), 0, dtype=torch.int64)
    prompts = asked(symbols.REFLECT, wrong.seen, wrong.sentences, more=torch.cat([answer, told], 1))
    return Exercise(prompts, wrong.truth, wrong.sentences, reflects=True)


def inference(episodes: Episodes, judged: bool = True, forced: bool = False) -> Exercise:
    """Round 2: steps as they come when the policy is at work. forced: it is told to look back, and has to."""
    told = torch.full((len(episodes.row), 1), symbols.CHECK_HISTORY) if forced else None
    prompts = asked(symbols.ANSWER, episodes.seen, episodes.sentences, more=told)
    past = episodes.sentences if judged else torch.zeros_like(episodes.sentences)
    return Exercise(prompts, episodes.truth, past, forced=forced)


def grounding(episodes: Episodes) -> Exercise:
    """Locate what a description says: the words of an element in place of the goal, and no past. Of taps only."""
    named = acted_on(episodes.seen, episodes.truth["point"])[:, 0] > 0
    taps = episodes.rows(((episodes.truth["type"] == TAP) & named).nonzero()[:, 0])
    description = torch.zeros_like(taps.seen["goal"])
    description[:, :2].view(len(description), 2, -1)[..., 0] = acted_on(taps.seen, taps.truth["point"])
    nothing = torch.zeros_like(taps.sentences)
    return Exercise(asked(symbols.LOCATE, taps.seen, nothing, goal=description), taps.truth, nothing)


def stated(read: Read, wrong: Episodes) -> Tensor:
    """(m, STATEMENT) symbols that a teacher would begin a reflection with: the error, and the element it took."""
    chosen = words(acted_on(wrong.seen, (read.at.clamp(min=0) + 0.5) / symbols.BINS))[:, 0]
    kind = error_of(read, wrong)
    first = torch.full_like(kind, symbols.STATEMENT)
    return torch.stack([first, kind, torch.where(chosen > 0, symbols.WRONG_WAS, 0), chosen], 1)
