"""The supervised start: answers as an expert would write them, made likelier."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ethogram.simulator import Draws, check_is, checked_int, checked_seed

from ..learning import Measures, masked_mean, rows_of
from .answers import written
from .policy import GuiPolicy
from .prompts import SCREEN, Steps, check_window


class Imitation(nn.Module):
    """Cross-entropy of what was done at recorded steps: a ``Trainee``.

    Each step of a batch is read with 0 to the policy's ``memory`` steps of its past, uniformly, if ``shorten``.
    thoughts: (m, up to THOUGHT) symbols for each step, none by default.
    """

    def __init__(
        self,
        policy: GuiPolicy,
        steps: Steps,
        *,
        thoughts: Tensor | None = None,
        shorten: bool = True,
        batch: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_is("policy", policy, GuiPolicy, "a GuiPolicy")
        check_is("steps", steps, Steps, "Steps, as steps_of(history, memory) makes them")
        check_window(steps, policy.memory)
        if policy.past != "screens" and bool((steps.prompts.part == SCREEN).any()):
            raise ValueError(f'policy has past={policy.past!r}, and steps the screens of the past: expected "screens"')
        self.policy, self.steps, self.shorten = policy, steps, shorten
        answers = written(steps.truth, thoughts)
        self.answers = answers[:, : int((answers > 0).sum(1).max())]  # what is behind every end costs time only
        self.batch, self.seed = checked_int("batch", batch, 1), checked_seed(seed)

    def losses(self, update: int) -> Iterator[tuple[Tensor, Measures]]:
        """One loss, of a batch of steps."""
        rows = rows_of(update, self.batch, len(self.steps.row), self.seed)
        prompts, answer = self.steps.prompts.rows(rows), self.answers[rows]
        if self.shorten:
            luck = Draws(self.seed, torch.arange(self.batch), step=update, scope="imitation").uniform("memory")
            prompts = prompts.limited((luck * (self.policy.memory + 1)).long())
        yield -masked_mean(self.policy.log_probs_of(prompts, answer), answer > 0), {}
