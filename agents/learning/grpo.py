"""Group-relative policy optimisation: several answers to each prompt, better ones made likelier. It knows no GUI."""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ethogram.simulator import Draws, check_has, check_number, checked_int, checked_seed, map_column

from .groups import MEANS, SCALES, Mean, Scale, advantages, informative, k3, masked_mean, surrogate
from .loop import Measures


class Answers(NamedTuple):
    """Deeds of a policy: G answers to each of P prompts, rows in the order of prompts."""

    reward: Tensor  # (P, G) float
    mask: Tensor  # (P * G, T) bool, which tokens (or steps) there are
    record: Any  # whatever log_probs reads: indexed by rows if it is a tensor or a dict or tuple of them


class Task(Protocol):
    """Where prompts come from, and what answers are worth."""

    def answers(self, policy: Any, prompts: int, group: int, draws: Draws) -> Answers:
        """``group`` answers of the policy to each of so many prompts; all chance comes from ``draws``.

        draws: of ``prompts`` rows, whose ids say which prompts these are: no id comes twice in a training.
        """
        ...


class Answering(Protocol):
    """A policy that can say how likely its answers are: an ``nn.Module``."""

    def log_probs(self, record: Any) -> Tensor:
        """(P * G, T) log-probability of each token of the answers, with a gradient."""
        ...


class GRPO(nn.Module):
    """Group-relative policy optimisation of a policy in a task: a ``Trainee``.

    policy: an ``nn.Module`` with ``log_probs``. prompts, group: P and G, of an update.
    epochs: how many steps of the optimiser an update's answers serve. 1 is on-policy: all ratios are 1.
    clip, clip_high: the ratio counts within [1 - clip, 1 + clip_high]; clip_high is ``clip`` by default.
    kl: the weight of the divergence from the policy as it is now, before training; 0 keeps no copy.
    scale: what an advantage is divided by. mean: over what the loss is averaged (``groups``).
    resample: how often to ask again for prompts in place of those whose answers are all worth the same (DAPO's
        dynamic sampling), 0 for never. If there are still not enough, the update learns from those there are.
    seed: of the prompts and of the answers.

    Measures: reward, informative (the share of groups with differing rewards, of the first asking), divergence.
    """

    def __init__(
        self,
        policy: nn.Module,
        task: Task,
        *,
        prompts: int = 16,
        group: int = 8,
        epochs: int = 1,
        clip: float = 0.2,
        clip_high: float | None = None,
        kl: float = 0.01,
        scale: Scale = "group",
        mean: Mean = "token",
        resample: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_has("policy", policy, "an nn.Module with log_probs(record)", "log_probs", "parameters")
        check_has("task", task, "a Task with answers(policy, prompts, group, draws)", "answers")
        if scale not in SCALES or mean not in MEANS:
            raise ValueError(f"scale is {scale!r} and mean {mean!r}: expected one of {SCALES} and one of {MEANS}")
        for name, value in {"clip": clip, "kl": kl, "clip_high": clip if clip_high is None else clip_high}.items():
            check_number(name, value)
        self.policy, self.task = policy, task
        self.prompts, self.group = checked_int("prompts", prompts, 1), checked_int("group", group, 2)
        self.epochs, self.resample = checked_int("epochs", epochs, 1), checked_int("resample", resample, 0)
        self.clip, self.clip_high, self.kl = clip, clip if clip_high is None else clip_high, kl
        self.scale: Scale = scale
        self.mean: Mean = mean
        self.seed = checked_seed(seed)
        self.reference = copy.deepcopy(policy).requires_grad_(False) if kl else None

    def losses(self, update: int) -> Iterator[tuple[Tensor, Measures]]:
        """One loss an epoch, on the same answers."""
        parts, measures = self.sampled(update)
        mask = _stacked([part.mask for part in parts])
        advantage = torch.cat([advantages(part.reward, self.scale).view(-1, 1) for part in parts])
        with torch.no_grad():
            old = _log_probs(self.policy, parts)
            reference = old if self.reference is None else _log_probs(self.reference, parts)
        for _ in range(self.epochs):
            now = _log_probs(self.policy, parts)
            loss = -masked_mean(surrogate(now, old, advantage, self.clip, self.clip_high), mask, self.mean)
            if self.reference is not None:
                divergence = masked_mean(k3(now, reference), mask, self.mean)
                loss, measures = loss + self.kl * divergence, measures | {"divergence": divergence.item()}
            yield loss, measures

    @torch.no_grad()
    def sampled(self, update: int) -> tuple[list[Answers], dict[str, float]]:
        """The answers of an update, as they were asked for, and what to show of them."""
        first = self._asked(update, 0, self.prompts)
        good = informative(first.reward)
        measures = {"reward": first.reward.mean().item(), "informative": good.float().mean().item()}
        if not self.resample:
            return [first], measures
        parts, missing = [], self.prompts
        for attempt in range(self.resample + 1):
            answers = self._asked(update, attempt, missing) if attempt else first
            good = informative(answers.reward)
            if bool(good.any()):
                parts.append(_chosen(answers, good))
                missing -= int(good.sum())
            if not missing:
                break
        return parts or [first], measures

    def _asked(self, update: int, attempt: int, prompts: int) -> Answers:
        ids = torch.arange(prompts) + (update * (self.resample + 1) + attempt) * self.prompts
        answers = self.task.answers(self.policy, prompts, self.group, Draws(self.seed, ids, scope="training"))
        reward = answers.reward
        if reward.shape != (prompts, self.group) or not reward.is_floating_point():
            given = f"{reward.dtype} {tuple(reward.shape)}"
            raise ValueError(f"the task's reward is {given}: expected floats {(prompts, self.group)}")
        if not bool(reward.isfinite().all()):  # a group with a NaN would look like one that has nothing to say
            row = int((~reward.isfinite()).any(1).nonzero()[0])
            raise ValueError(f"the task's rewards of prompt {row} are {reward[row].tolist()}: expected finite numbers")
        return answers


def _chosen(answers: Answers, prompts: Tensor) -> Answers:
    """The answers to some prompts, (P,) bool."""
    if bool(prompts.all()):
        return answers
    rows = prompts.repeat_interleave(answers.reward.shape[1])
    return Answers(answers.reward[prompts], answers.mask[rows], map_column(lambda part: part[rows], answers.record))


def _log_probs(policy: Any, parts: list[Answers]) -> Tensor:
    return _stacked([policy.log_probs(part.record) for part in parts])


def _stacked(parts: list[Tensor]) -> Tensor:
    """(n, T) tensors below each other, the shorter ones with zeros behind."""
    width = max(part.shape[1] for part in parts)
    return torch.cat([pad(part, (0, width - part.shape[1])) for part in parts])
