"""Scripted teacher, guidelines and judge of HAR: thoughts to start from, hints after errors, and who used the past."""

from collections.abc import Callable

import torch
from torch import Tensor

from ethogram.envs.gui.actions import TYPES
from ethogram.simulator import Draws

from .. import gui_learning
from ..gui_learning import AT_A_POINT, NEAR, WITH_WORDS, Episodes, Read, acted_on, bins, distance, words

symbols = gui_learning.symbols
DONE = TYPES.index("done")
HINTS = 3  # guidelines at most; scripted ones are of two symbols each

Judge = Callable[[Tensor, Tensor], Tensor]  # (m, R) answers and (m, PAST, 4) sentences to (m,) bool
Guide = Callable[[Read, Episodes], Tensor]  # wrong answers, and the steps they were given at, to (m, k) symbols


def thoughts(episodes: Episodes, aware: float, draws: Draws) -> Tensor:
    """(m, 4) symbols that a teacher thinks at each step: (next, what it will act on), as if there were no past.

    In a share ``aware`` of the steps with a past that has words, first its last sentence with one: (step i, the word).
    draws: of m rows.
    """
    target = words(acted_on(episodes.seen, episodes.truth["point"]))[:, 0]
    pointed = torch.isin(episodes.truth["type"], torch.tensor(AT_A_POINT)) & (target > 0)
    said = episodes.sentences
    spoken = torch.where(said[..., 1] > 0, said[..., 1], said[..., 3])  # (m, PAST)
    last = ((spoken > 0) * torch.arange(1, spoken.shape[1] + 1)).amax(1) - 1
    word = spoken.gather(1, last.clamp(min=0)[:, None])[:, 0]
    recalls = (last >= 0) & (draws.uniform("aware") < aware)
    none = torch.zeros_like(target)
    return torch.stack([
        torch.where(recalls, symbols.FIRST_STEP + last, none),
        torch.where(recalls, word, none),
        torch.where(pointed, symbols.NEXT, none),
        torch.where(pointed, target, none),
    ], 1)  # fmt: skip


def thought_of(answer: Tensor) -> Tensor:
    """(m, R) what stands between "think" and "action" in answers, 0 elsewhere."""
    thinks, acts = ((answer == symbol).cumsum(1) for symbol in (symbols.THINK, symbols.ACTION))
    return torch.where((thinks == 1) & (answer != symbols.THINK) & (acts == 0), answer, 0)


def mentions(answer: Tensor, sentences: Tensor, strict: bool = True) -> Tensor:
    """(m,) bool, the judge's verdict: whether a thought contains what was done before.

    That is (step i, word) with the word in sentence i. strict=False: any (step i), true or not.
    """
    thought = thought_of(answer)
    number = thought - symbols.FIRST_STEP
    names = (number >= 0) & (number < sentences.shape[1])
    if not strict:
        return names.any(1)
    following = torch.nn.functional.pad(thought[:, 1:], (0, 1))
    at = number.clamp(0, sentences.shape[1] - 1)
    said = sentences.gather(1, at[..., None].expand(*at.shape, 4))  # (m, R, 4)
    true = (said[..., 1:] == following[..., None]).any(-1) & (following > 0)
    return (names & true).any(1)


def error_of(read: Read, episodes: Episodes) -> Tensor:
    """(m,) the symbol of what is wrong with an answer, 0 where nothing is."""
    truth = episodes.truth
    chosen = words(acted_on(episodes.seen, (read.at.clamp(min=0) + 0.5) / symbols.BINS))[:, 0]
    done_before = ((episodes.sentences[..., 1] == chosen[:, None]) & (chosen[:, None] > 0)).any(1)
    same = read.type == truth["type"]
    pointed = torch.isin(truth["type"], torch.tensor(AT_A_POINT))
    far = pointed & ((read.at < 0).any(1) | (distance(read.at, bins(truth["point"])) > NEAR))
    other = (read.said != truth["text"]) & torch.isin(truth["type"], torch.tensor(WITH_WORDS))
    other |= (read.direction != truth["direction"]) & (truth["type"] == TYPES.index("scroll"))
    kind = torch.where(same & other, symbols.IGNORED, 0)
    kind = torch.where(same & far, symbols.WRONG_ELEMENT, kind)
    kind = torch.where(same & far & done_before, symbols.REPEATED, kind)
    kind = torch.where(~same, symbols.WRONG_TYPE, kind)
    return torch.where(~same & (read.type == DONE), symbols.EARLY_STOP, kind)


def guidelines(read: Read, episodes: Episodes) -> Tensor:
    """(m, 2 * HINTS) symbols: at most HINTS hints on what was wrong, which never name what is right.

    A rule for each kind of error; "avoid" names the element that was acted on, unless the right one has its word.
    """
    kind = error_of(read, episodes)
    chosen = words(acted_on(episodes.seen, (read.at.clamp(min=0) + 0.5) / symbols.BINS))[:, 0]
    right = words(acted_on(episodes.seen, episodes.truth["point"]))[:, 0]
    avoid = torch.isin(kind, torch.tensor([symbols.WRONG_ELEMENT, symbols.REPEATED]))
    avoid = avoid & (chosen > 0) & (chosen != right) & (chosen != words(episodes.truth["text"]))
    first = {
        symbols.IGNORED: symbols.CHECK_HISTORY,
        symbols.WRONG_ELEMENT: symbols.LOOK,
        symbols.REPEATED: symbols.CHECK_HISTORY,
        symbols.WRONG_TYPE: symbols.CHECK_HISTORY,
        symbols.EARLY_STOP: symbols.SUBGOAL_OPEN,
    }
    hints = torch.zeros(len(kind), 2 * HINTS, dtype=torch.int64)
    for error, hint in first.items():
        hints[kind == error, 0] = hint
    counts = torch.isin(kind, torch.tensor([symbols.REPEATED, symbols.WRONG_TYPE, symbols.EARLY_STOP]))
    hints[counts, 2] = symbols.COUNT_DONE
    hints[avoid, 4], hints[avoid, 5] = symbols.AVOID, chosen[avoid]
    return hints
