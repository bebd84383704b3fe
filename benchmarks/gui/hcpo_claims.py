"""Which of HiconAgent's claims on histories hold for a small policy trained the same way?

Run: python benchmarks/gui/hcpo_claims.py [--quick]        (about a minute and a half a seed on one free core)

For each seed, a transformer copies an expert in three tasks that need different pasts, until it is right at some of the
steps. Each variant of training goes on from there, for as many updates. Success is at steps of unseen episodes, over
all tasks. A claim is a difference of two ways within a seed; its interval is 95 %, by Student's t over seeds. "holds"
and "reversed": the interval is on one side of 0; else "open". Absolute numbers are not comparable with the paper's.
"""

import argparse
import copy
from typing import Any

import torch

from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import (
    HCPO,
    QWEN_3B,
    GuiPolicy,
    Imitation,
    Steps,
    dropped_at,
    parsed,
    prefill_flops,
    steps_of,
    successes,
)
from ethogram.agents.gui_learning.rewards import reward
from ethogram.agents.learning import train
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import carry, reactive, recent_action
from ethogram.simulator import Draws, rollout
from ethogram.simulator.whatif import Effect

MEMORY, LAYERS, DROP_AT = 2, 2, 1
TASKS = {"reactive": reactive(3), "in turn": recent_action(1), "carry": carry(1)}
VARIANTS: dict[str, dict[str, Any]] = {
    "HCPO": {},
    "fixed length": {"lengths": "full"},
    "uniform lengths": {"lengths": "uniform"},
    "uniform, own inputs": {"lengths": "uniform", "rescore": True},
    "no alignment": {"lengths": "full", "alignment": 0},
    "compressed only": {"lengths": "full", "branches": "compressed"},
    "plain GRPO": {"lengths": "full", "branches": "full"},
    "attached teacher": {"lengths": "full", "detach": False},
    "actions only": {"lengths": "full", "branches": "compressed", "drop_at": 0},
}
Row = dict[str, float]
CLAIMS = (  # what is claimed; better, worse
    ("lengths that grow beat a fixed one", "HCPO, compressed", "fixed length, compressed"),
    ("lengths that grow beat uniform ones", "HCPO, compressed", "uniform lengths, compressed"),
    ("... that are scored with their own inputs", "HCPO, compressed", "uniform, own inputs, compressed"),
    ("two branches beat a compressed one", "no alignment, compressed", "compressed only, compressed"),
    ("alignment helps", "fixed length, compressed", "no alignment, compressed"),
    ("all together beat compressed GRPO", "HCPO, compressed", "compressed only, compressed"),
    ("dropping actions hurts more than screens", "plain GRPO, compressed", "plain GRPO, actions dropped"),
    ("screens help: 2AO beats 2A", "plain GRPO, whole", "actions only, at layer 0"),
    ("2A is worse than compressing untrained", "plain GRPO, compressed", "actions only, at layer 0"),
    ("compressing untrained hurts", "plain GRPO, whole", "plain GRPO, compressed"),
    ("HCPO recovers it", "HCPO, compressed", "plain GRPO, compressed"),
    ("HCPO, compressed, is no worse than 2AO", "HCPO, compressed", "plain GRPO, whole"),
    ("an attached teacher gets worse", "fixed length, whole", "attached teacher, whole"),
    ("training helps at all", "HCPO, compressed", "warm start, compressed"),
)


def steps(episodes: int, seed: int) -> dict[str, Steps]:
    """The expert's steps in each task."""
    return {
        name: steps_of(rollout(SymbolicGui(app), Scripted(), rows=episodes, horizon=app.horizon, seed=seed), MEMORY)
        for name, app in TASKS.items()
    }


def measured(name: str, policy: GuiPolicy, tests: Steps) -> Row:
    """Success with the whole history, a compressed one, without actions or anything past from the same layer on."""
    ways: dict[str, dict[str, Any]] = {
        "whole": {},
        "compressed": {"drop_at": DROP_AT},
        "actions dropped": {"drop_at": DROP_AT, "drop": "actions"},
        "both dropped": {"drop_at": DROP_AT, "drop": "both"},
        "at layer 0": {"drop_at": 0},
    }
    return {f"{name}, {way}": successes(policy, tests, **how).mean().item() for way, how in ways.items()}


def preferred(policy: GuiPolicy, tests: dict[str, Steps]) -> Row:
    """Mean reward of eight answers by task and steps looked back; how often fewer steps did better than all."""
    found = {}
    for name, part in tests.items():
        means = []
        for length in range(MEMORY + 1):
            draws = Draws(0, torch.arange(8 * len(part.row)))
            answer = policy.generate(part.prompts.limited(length), draws, group=8)
            truth = {key: column.repeat_interleave(8, 0) for key, column in part.truth.items()}
            means.append(reward(parsed(answer), truth, "code").view(-1, 8).mean(1))
            found[f"reward {name}, {length} steps"] = means[-1].mean().item()
        found[f"shorter better {name}"] = (torch.stack(means[:-1]).amax(0) > means[-1] + 0.05).float().mean().item()
    return found


def one_seed(seed: int, warm: int, updates: int, episodes: int, tested: int) -> Row:
    """All that is measured with a seed."""
    torch.manual_seed(seed)
    shown = Steps.mixed(steps(episodes, seed).values())
    tests = steps(tested, 10**6 + seed)
    everything = Steps.mixed(tests.values())
    start = GuiPolicy(MEMORY, width=48, layers=LAYERS, hidden=192)
    train(Imitation(start, shown, batch=64, shorten=False, seed=seed), warm, rate=4e-3, progress=False)
    row = measured("warm start", start, everything) | preferred(start, tests)
    for name, settings in VARIANTS.items():
        policy = copy.deepcopy(start)
        learner = HCPO(policy, shown, updates, prompts=8, seed=seed, **{"drop_at": DROP_AT, **settings})
        train(learner, updates, rate=1e-3, progress=False)
        row |= measured(name, policy, everything)
    return row


def verdict(more: torch.Tensor, less: torch.Tensor) -> str:
    """The difference of shares, (seeds,) each, in points, its interval, and what follows."""
    effect = Effect(100 * less, 100 * more, tuple(range(len(more))))
    low, high = effect.interval()
    said = "holds" if low > 0 else "reversed" if high < 0 else "open"
    return f"{effect.mean:+6.1f} [{low:+.1f}, {high:+.1f}]  {said}"


def report(rows: list[Row]) -> None:
    """Tables over seeds."""
    of = {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}
    print(f"\nsuccess at steps, in %, means of {len(rows)} seeds{'':8}whole  compressed  no actions  nothing past")
    for name in ("warm start", *VARIANTS):
        ways = ("whole", "compressed", "actions dropped", "both dropped")
        print(f"{name:46}" + "".join(f"{100 * of[f'{name}, {way}'].mean():12.1f}" for way in ways))
    print("\nreward of the warm start (1.5 at best) by steps looked back; steps at which fewer do better, in %")
    for name in TASKS:
        rewards = "".join(f"{of[f'reward {name}, {length} steps'].mean():8.3f}" for length in range(MEMORY + 1))
        print(f"{name:20}{rewards}{100 * of[f'shorter better {name}'].mean():10.0f}")
    print(f"\n{'claim (points of success)':46}measured [95 % interval]  verdict")
    for claim, better, worse in CLAIMS:
        print(f"{claim:46}{verdict(of[better], of[worse])}")


def report_flops() -> None:
    """The paper's own sizes, by formula."""
    long, short = 1664, 674
    whole = prefill_flops(QWEN_3B, [long] * 36, 3)
    less = prefill_flops(QWEN_3B, dropped_at(6, 36, long, short), 3)
    print(
        f"\nQwen2.5-VL-3B by formula: {2 * whole / 1e12:.1f} T whole, {2 * less / 1e12:.1f} T compressed: "
        f"{100 * (1 - less / whole):.1f} % fewer, {whole / less:.2f}x. The paper's 2.47x is against a 7B model."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=700, help="updates of the warm start")
    parser.add_argument("--updates", type=int, default=25, help="updates of each variant")
    parser.add_argument("--quick", action="store_true", help="two seeds and few updates: a check that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds, sizes = range(given.seeds), (given.warm, given.updates, 2000, 60)
    if given.quick:
        seeds, sizes = range(2), (20, 2, 100, 10)
    rows = []
    for seed in seeds:
        rows.append(one_seed(seed, *sizes))
        ways = {name: round(100 * rows[-1][f"{name}, compressed"], 1) for name in ("warm start", "HCPO", "plain GRPO")}
        print(f"seed {seed}: {ways}", flush=True)
    report(rows)
    report_flops()


if __name__ == "__main__":
    main()
