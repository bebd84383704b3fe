"""How often a policy is right: at recorded steps, whose histories are given or its own."""

import torch
from torch import Tensor

from ethogram.simulator import Draws, History, check_is, checked_int

from .answers import parsed
from .policy import GuiPolicy
from .prompts import Drop, Steps, steps_of
from .rewards import success
from .screens import of_strings


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
    prompts = steps.prompts if memory is None else steps.prompts.limited(checked_int("memory", memory, 0))
    draws = Draws(0, torch.arange(len(steps.row)))  # of which the likeliest answer needs none
    answer = policy.generate(prompts, draws, temperature=0, drop_at=drop_at, drop=drop)
    return success(parsed(answer), steps.truth).float()


@torch.no_grad()
def with_own_past(policy: GuiPolicy, history: History, *, patched: bool = False) -> Steps:
    """Every step of a recorded history, the past being what the policy does at the steps before.

    Screens stay the recorded ones, and so does what is right. patched: its actions that are wrong are replaced by the
    recorded ones, as in UI-S1's semi-online training.
    """
    check_is("policy", policy, GuiPolicy, "a GuiPolicy")
    check_is("history", history, History, "a History of screens")
    if of_strings(history.observation):
        raise ValueError("history is of strings: expected word ids; recorded sessions have Replay(history='own')")
    recorded = steps_of(history, policy.memory)
    rows, did = torch.arange(len(history)), {name: column.clone() for name, column in history.action.items()}

    def so_far(steps: int) -> History:
        seen = {name: column[:, : steps + 1] for name, column in history.observation.items()}
        done = {name: column[:, :steps] for name, column in did.items()}
        ended = history.length.clamp(max=steps)
        return History.of(observation=seen, action=done, reward=history.reward[:, :steps], length=ended)

    for step in range(history.num_steps):
        now = {name: column[:, step] for name, column in history.observation.items()}
        draws = Draws(0, rows)  # of which the likeliest answer needs none
        prompts = policy.prompts(now, so_far(step))
        read = parsed(policy.generate(prompts, draws, temperature=0, drop_at=policy.drop_at, drop=policy.drop))
        keep = torch.zeros(len(rows), dtype=torch.bool)
        if patched:
            here = recorded.step == step
            at = recorded.row[here]
            truth = {name: column[here] for name, column in recorded.truth.items()}
            keep[at] = ~success(type(read)(*(column[at] for column in read)), truth)
        for name, own in read.action().items():
            there = keep.view(-1, *(1,) * (own.dim() - 1))
            did[name][:, step] = torch.where(there, did[name][:, step], own.to(did[name].dtype))
    return steps_of(so_far(history.num_steps), policy.memory)._replace(truth=recorded.truth)
