"""History context-aware policy optimisation: histories of several lengths to explore, compressed ones to learn from.

Zhou et al., "HiconAgent: History Context-aware Policy Optimization for GUI Agents", arXiv:2512.01763. Equations were
read in third-party notes of the paper, and constants in its released code; where the two differ, ``mode`` chooses.
"""

import copy
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from ethogram.simulator import Draws, check_has, check_is, check_number, checked_int, checked_seed

from ..learning import Measures, advantages, informative, k3, masked_mean
from .prompts import Prompts, Steps, check_window
from .rewards import Mode, with_bonus

Lengths = Literal["biased", "uniform", "full"]
Branches = Literal["both", "compressed", "full"]
KAPPA = 2.0  # of the bias towards long histories, at its strongest
RAMP = 3  # that is reached after a third of the training


def bias(update: int, updates: int) -> float:
    """lambda(u) of Dynamic Context Sampling: from 0, all lengths equally likely, to KAPPA; updates count from 0."""
    return KAPPA * min(1.0, RAMP * update / max(updates - 1, 1))


def length_probabilities(available: Tensor, strength: float, memory: int) -> Tensor:
    """(m, memory + 1) chances to look back n = 0 … available steps, proportional to exp(strength * n).

    available: (m,) int64, how many steps of history a prompt has.
    """
    n = torch.arange(memory + 1)
    return torch.where(n <= available[:, None], strength * n, -torch.inf).softmax(1)


class Backend(Protocol):
    """A policy that ``HCPO`` trains, an ``nn.Module``: symbols and a small transformer, or text and a large one.

    It reads prompts of its own kind, of which a trainer asks ``rows``, ``repeated``, ``limited`` and ``available``, and
    which know the spans of past screens. Answers are (m * group, R) int64, side by side for a prompt, 0 behind their
    end. With ``drop_at``, past screens are dropped at the input of that layer; None drops nothing.
    """

    memory: int

    @property
    def layers(self) -> int:
        """Layers, at the input of any of which tokens can be dropped."""
        ...

    def generate(
        self, prompts: Any, draws: Draws, *, group: int = 1, temperature: float = 1.0, drop_at: int | None = None
    ) -> Tensor:
        """(m * group, R) answers; all chance comes from ``draws``, of m * group rows."""
        ...

    def log_probs_of(self, prompts: Any, answer: Tensor, *, drop_at: int | None = None) -> Tensor:
        """(m * group, R) log-probability of each token of answers, 0 behind their end, with a gradient."""
        ...

    def graded(
        self, prompts: Any, answer: Tensor, truth: dict[str, Tensor], mode: Mode = "paper"
    ) -> tuple[Tensor, Tensor]:
        """Rewards of answers, (m * group,) float32, and which are right, (m * group,) bool. truth: a row an answer."""
        ...

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """As of any ``nn.Module``."""
        ...


class HCPO(nn.Module):
    """HCPO of a policy on recorded steps, whose histories are given (teacher forcing): a ``Trainee``.

    *Dynamic Context Sampling*: each answer of a group is drawn with a history of its own length, and all are scored
    with the whole one. *Anchor-guided History Compression*: the update has two branches of the same weights, one in
    which past screens are dropped at layer ``drop_at`` and one in which nothing is; the first learns from the second.

        loss = PG(compressed) + PG(full) + kl * (k3(compressed, reference) + k3(full, reference))
             + alignment * k3(compressed, full without gradient)

    updates: how long the training will be, on which the sampling's schedule depends.
    mode: "paper", or "code", in which rewards are halved, a good answer from a shorter history earns a bonus, and
        histories are shortened in the first ninth of the training only. ``bonus`` and ``until`` override it.
    lengths: "biased", the method's; "uniform", from 0 to all; "full", always all.
    rescore: score each answer with the history that it was drawn with, in place of the whole one.
    branches: "both", or one of them. detach: whether the full branch is a teacher that does not learn from being one.
    positive: align only where the advantage is positive.

    Measures: reward, success, informative, memory (mean steps looked back), alignment.
    """

    def __init__(
        self,
        policy: Backend,
        steps: Steps,
        updates: int,
        *,
        prompts: int = 16,
        group: int = 8,
        temperature: float = 1.0,
        lengths: Lengths = "biased",
        rescore: bool = False,
        branches: Branches = "both",
        drop_at: int = 1,
        kl: float = 0.01,
        alignment: float = 0.1,
        detach: bool = True,
        positive: bool = False,
        mode: Mode = "paper",
        bonus: bool | None = None,
        until: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        needed = ("memory", "layers", "generate", "log_probs_of", "graded", "parameters")
        check_has("policy", policy, "a Backend, such as a GuiPolicy", *needed)
        check_is("steps", steps, Steps, "Steps, as steps_of(history, memory) makes them")
        for name, value, among in (
            ("mode", mode, ("paper", "code")),
            ("lengths", lengths, ("biased", "uniform", "full")),
            ("branches", branches, ("both", "compressed", "full")),
        ):
            if value not in among:
                raise ValueError(f"{name} is {value!r}: expected one of {among}")
        if until is not None:
            check_number("until", until, 0, 1)
        for name, number in {"kl": kl, "alignment": alignment, "temperature": temperature}.items():
            check_number(name, number)
        check_window(steps, policy.memory)
        self.policy, self.steps = policy, steps
        self.updates = checked_int("updates", updates, 1)
        self.prompts, self.group = checked_int("prompts", prompts, 1), checked_int("group", group, 2)
        self.drop_at = checked_int("drop_at", drop_at, 0, policy.layers)
        self.temperature, self.kl, self.alignment = temperature, kl, alignment
        self.lengths, self.rescore, self.branches = lengths, rescore, branches
        self.detach, self.positive, self.mode = detach, positive, mode
        self.bonus = mode == "code" if bonus is None else bonus
        self.until = (1 / 9 if mode == "code" else 1.0) if until is None else until
        self.seed = checked_seed(seed)
        self.reference = copy.deepcopy(policy)
        self.reference.requires_grad_(False)

    def losses(self, update: int) -> Iterator[tuple[Tensor, Measures]]:
        """One loss, of one batch of answers."""
        prompts, answer, advantage, measures = self.explored(update)
        mask = answer > 0
        with torch.no_grad():
            reference = self.reference.log_probs_of(prompts, answer)
        loss, scored = torch.zeros(()), {}
        for branch, drop_at in (("compressed", self.drop_at), ("full", None)):
            if self.branches in ("both", branch):
                now = scored[branch] = self.policy.log_probs_of(prompts, answer, drop_at=drop_at)
                gain = (now - now.detach()).exp() * advantage  # the ratio is 1: one step of the optimiser an update
                loss = loss - masked_mean(gain, mask) + self.kl * masked_mean(k3(now, reference), mask)
        if self.branches == "both":
            teacher = scored["full"].detach() if self.detach else scored["full"]
            learns = mask & (advantage > 0) if self.positive else mask
            apart = masked_mean(k3(scored["compressed"], teacher), learns)
            loss, measures = loss + self.alignment * apart, measures | {"alignment": apart.item()}
        yield loss, measures

    @torch.no_grad()
    def explored(self, update: int) -> tuple[Prompts, Tensor, Tensor, dict[str, float]]:
        """Prompts to score with, answers (P * G, R), their advantages (P * G, 1), and what to show of them."""
        rows = torch.arange(self.prompts)
        luck = Draws(self.seed, rows, step=update, scope="hcpo")
        chosen = (luck.uniform("prompt") * len(self.steps.row)).long()
        whole = self.steps.prompts.rows(chosen)
        draws = Draws(self.seed, torch.arange(self.prompts * self.group), step=update, scope="hcpo")
        memory = self.looked_back(whole.available.repeat_interleave(self.group), update, draws)
        short = whole.repeated(self.group).limited(memory)
        answer = self.policy.generate(short, draws, temperature=self.temperature)
        truth = {name: value[chosen].repeat_interleave(self.group, 0) for name, value in self.steps.truth.items()}
        rewards, right = self.policy.graded(whole, answer, truth, self.mode)
        rewards = rewards.view(self.prompts, self.group)
        if self.bonus:
            rewards = with_bonus(rewards, memory.view_as(rewards), self.mode)
        measures = {
            "reward": rewards.mean().item(),
            "success": right.float().mean().item(),
            "informative": informative(rewards).float().mean().item(),
            "memory": memory.float().mean().item(),
        }
        return short if self.rescore else whole, answer, advantages(rewards).view(-1, 1), measures

    def looked_back(self, there: Tensor, update: int, draws: Draws) -> Tensor:
        """(P * G,) int64 steps that each answer looks back, of those that there are."""
        if self.lengths == "full" or update >= self.until * self.updates:
            return there
        strength = bias(update, self.updates) if self.lengths == "biased" else 0.0
        return draws.categorical("memory", length_probabilities(there, strength, self.policy.memory))
