"""How often a policy is right: at recorded steps, whose histories are given."""

import torch
from torch import Tensor

from ethogram.simulator import Draws, check_is

from .answers import parsed
from .policy import GuiPolicy
from .prompts import Drop, Steps
from .rewards import success


def successes(
    policy: GuiPolicy,
    steps: Steps,
    memory: int | None = None,
    *,
    drop_at: int | None = None,
    drop: Drop = "screens",
) -> Tensor:
    """(m,) float32, 1 where the policy's likeliest answer is right by ``rewards.success``.

    memory: steps that it may look back, all that ``steps`` have by default. drop_at, drop: what its layers forget.
    """
    check_is("policy", policy, GuiPolicy, "a GuiPolicy")
    check_is("steps", steps, Steps, "Steps, as steps_of(history, memory) makes them")
    prompts = steps.prompts if memory is None else steps.prompts.limited(memory)
    draws = Draws(0, torch.arange(len(steps.row)))  # of which the likeliest answer needs none
    answer = policy.generate(prompts, draws, temperature=0, drop_at=drop_at, drop=drop)
    return success(parsed(answer), steps.truth).float()
