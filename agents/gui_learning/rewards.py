"""Rewards of HiconAgent by rule: form, type and value of an answer (arXiv:2512.01763 and its released code)."""

from typing import Literal

import torch
from torch import Tensor

from . import symbols
from .answers import Read
from .prompts import AT_A_POINT, SCROLL, WITH_WORDS, bins

Mode = Literal["paper", "code"]
NEAR = 140  # of 1000: a click within this is right when success is counted
GOOD = 1.43  # of 1.5, from where a shorter history earns the bonus: form and type right, and a click within NEAR
BONUS = 1.2


def distance(at: Tensor, truth: Tensor) -> Tensor:
    """(m,) Euclidean distances of cells of the grid, (m, 2) int64, on a canvas of 1000 by 1000."""
    return ((at - truth) * (1000 / symbols.BINS)).square().sum(-1).sqrt()


def parts(read: Read, truth: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Form, type and value of answers, each (m,) float32.

    The value of a click is 1 - d / 1000, without a threshold, 0 without coordinates; of a scroll or a word 1 if it is
    the right one; of an action without an argument 1. It is 0 where the type is wrong. Words here are ids: equality
    stands for the paper's containment or similarity of texts. A word that is typed somewhere is worth the mean of
    both; the paper's typing has no place.
    """
    right = read.type == truth["type"]
    d = distance(read.at, bins(truth["point"]))
    click = torch.where((read.at >= 0).all(-1), 1 - d / 1000, 0)
    word = (read.said == truth["text"]).float()
    pointed, worded = (torch.isin(truth["type"], torch.tensor(types)) for types in (AT_A_POINT, WITH_WORDS))
    value = torch.where(pointed, click, 1.0)
    value = torch.where(worded, torch.where(pointed, (click + word) / 2, word), value)
    value = torch.where(truth["type"] == SCROLL, (read.direction == truth["direction"]).float(), value)
    return read.formed.float(), right.float(), torch.where(right, value, 0)


def reward(read: Read, truth: dict[str, Tensor], mode: Mode = "paper") -> Tensor:
    """(m,) rewards: the sum of the three parts, 3 at best ("paper"); or half of it, 1.5 ("code")."""
    total = torch.stack(parts(read, truth)).sum(0)
    return total if mode == "paper" else total / 2


def success(read: Read, truth: dict[str, Tensor]) -> Tensor:
    """(m,) bool: type right and argument right, a click within NEAR of 1000; the paper's step success."""
    right = read.type == truth["type"]
    near = (read.at >= 0).all(-1) & (distance(read.at, bins(truth["point"])) <= NEAR)
    pointed, worded = (torch.isin(truth["type"], torch.tensor(types)) for types in (AT_A_POINT, WITH_WORDS))
    right &= near | ~pointed
    right &= (read.said == truth["text"]) | ~worded
    return right & ((read.direction == truth["direction"]) | (truth["type"] != SCROLL))


def with_bonus(rewards: Tensor, memory: Tensor, mode: Mode = "code") -> Tensor:
    """(P, G) rewards of the released code, in which a good answer from a shorter history earns BONUS times as much.

    memory: (P, G) steps that each answer looked back. mode: of the rewards, by which GOOD counts twice in "paper".
    Shorter is: than the longest of its group. (The code compares with the longest so far, in the order of the answers:
    an accident of that order, which is left out here.)
    """
    shorter = memory < memory.amax(1, keepdim=True)
    good = rewards >= (2 * GOOD if mode == "paper" else GOOD)
    return torch.where(shorter & good, BONUS * rewards, rewards)
