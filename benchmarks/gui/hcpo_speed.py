"""How much faster is HCPO's step with shared prompts and a cache than the plain form, and what does compression save?

Run: python benchmarks/gui/hcpo_speed.py [--quick]        (under a minute on one free core)

One step is 16 prompts with 8 answers each: drawing them, and scoring and learning from them in both branches. "plain"
draws one answer at a time, reads the whole prompt again for each symbol, and scores each answer with a prompt of its
own. Both give the same answers (a test holds that). One thread, CPU seconds, alternating rounds, medians.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import HCPO, LENGTH, GuiPolicy, Prompts, Shape, dropped_at, prefill_flops, steps_of
from ethogram.agents.gui_learning import symbols as s
from ethogram.envs.gui import TYPES, SymbolicGui
from ethogram.envs.gui_tasks import carry, recent_action
from ethogram.simulator import Draws, History, rollout

PROMPTS, GROUP, LAYERS, DROP_AT = 16, 8, 6, 1


def plain_answers(policy: GuiPolicy, prompts: Prompts, draws: Draws) -> Tensor:
    """(P * G, LENGTH) answers, one at a time, each symbol after reading everything before it again."""
    rows = []
    with torch.no_grad():
        for row in range(PROMPTS * GROUP):
            own = Draws(draws.seed, draws.ids[row : row + 1])
            alone, answer = (
                prompts.rows(slice(row // GROUP, row // GROUP + 1)),
                torch.zeros(1, LENGTH, dtype=torch.int64),
            )
            tokens = policy.table(alone.tokens[alone.present][None]).sum(2)
            for k in range(LENGTH):
                there = torch.cat([tokens, policy.table(answer[:, :k])], 1)
                ones = torch.ones(there.shape[:2], dtype=torch.bool)
                out, _ = policy.body(there, torch.arange(there.shape[1])[None], ones)
                answer[:, k] = own.categorical(f"symbol {k}", policy.logits(out[:, -1]).softmax(-1))
                if answer[0, k] == s.END:
                    break
            rows.append(answer)
    return torch.cat(rows)


def learnt(policy: GuiPolicy, trainee: HCPO, prompts: Prompts, answer: Tensor, apart: bool) -> None:
    """The scoring of an update and its gradient: a prompt read once for its group, or for each answer."""
    read = prompts.repeated(GROUP) if apart else prompts
    trainee.explored = lambda update: (read, answer, torch.ones(len(answer), 1), {})  # type: ignore[method-assign]
    for loss, _ in trainee.losses(0):
        policy.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]


def seconds(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median CPU seconds of each, in alternating rounds after one that warms up."""
    found: dict[str, list[float]] = {name: [] for name in work}
    for k in range(rounds + 1):
        for name, run in work.items():
            start = time.process_time()
            run()
            if k:
                found[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in found.items()}


class Back:
    """Goes back, and back again."""

    def act(self, observation: dict[str, Tensor], history: History, draws: Draws) -> dict[str, Tensor]:
        """An action a row, whose only token is its type."""
        none = torch.zeros(len(draws.ids), dtype=torch.int64)
        point = torch.zeros(len(none), 2)
        return {"type": none + TYPES.index("back"), "element": none, "point": point, "direction": none, "text": none}


def compressed(policy: GuiPolicy, memory: int, rounds: int) -> str:
    """A row of a table: what compressing so many steps of history, all on full screens, saves when prompts are read."""
    history = rollout(SymbolicGui(recent_action(presses=3, distractors=4)), Back(), rows=64, horizon=memory + 1, seed=0)
    steps = steps_of(history, memory)
    prompts = steps.prompts.rows(steps.step == memory).repeated(2)
    took = seconds(
        {"all": lambda: policy.read(prompts, None), "compressed": lambda: policy.read(prompts, DROP_AT)}, 3 * rounds
    )
    shape = Shape(LAYERS, policy.body.width, policy.body.width, 256, gated=False)
    long, short = (int(part.sum(1).max()) for part in (prompts.present, prompts.kept("screens")))
    less = prefill_flops(shape, dropped_at(DROP_AT, LAYERS, long, short)) / prefill_flops(shape, [long] * LAYERS)
    return f"{memory:5}{long:9}{short:8}{took['compressed'] / took['all']:8.2f}{less:8.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    given = parser.parse_args()
    rounds = 1 if given.quick else given.rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    app = carry(2)
    steps = steps_of(rollout(SymbolicGui(app), Scripted(), rows=64, horizon=app.horizon, seed=0), 2)
    late = (steps.step >= 2).nonzero()[:PROMPTS, 0]
    prompts, policy = steps.prompts.rows(late), GuiPolicy(2, layers=LAYERS)
    draws = Draws(0, torch.arange(PROMPTS * GROUP))
    answer = policy.generate(prompts, draws, group=GROUP)
    trainee = HCPO(policy, steps, 10, drop_at=DROP_AT)
    took = seconds(
        {
            "rollout": lambda: policy.generate(prompts, draws, group=GROUP),
            "plain rollout": lambda: plain_answers(policy, prompts, draws),
            "learning": lambda: learnt(policy, trainee, prompts, answer, apart=False),
            "plain learning": lambda: learnt(policy, trainee, prompts, answer, apart=True),
        },
        rounds,
    )
    for name, value in took.items():
        print(f"{name:16} {1000 * value:8.1f} ms")
    read = int(prompts.present.sum()) + int((answer > 0).sum())
    step, plain = took["rollout"] + took["learning"], took["plain rollout"] + took["plain learning"]
    drawn, learned = read / took["rollout"], 2 * read / took["learning"]
    print(f"rollout: {took['plain rollout'] / took['rollout']:.1f}x as fast as plain; aim 3")
    print(f"optimiser step with its rollout: {plain / step:.1f}x as fast as plain; aim 3")
    print(f"tokens a CPU second: {drawn:,.0f} read or drawn, {learned:,.0f} learnt from")
    print("\nreading prompts of several lengths of history, compressed from layer 1 of 6 on, as shares of reading all")
    print("steps   tokens    kept    time   FLOPs")
    for memory in (2, 4, 6, 8):
        print(compressed(policy, memory, rounds))


if __name__ == "__main__":
    main()
