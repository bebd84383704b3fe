"""Which of HiconAgent's claims on histories hold for a small policy trained the same way?

Run: python benchmarks/gui/hcpo_claims.py [--quick]        (about six minutes a seed on one free core)

For each seed, a transformer copies an expert in three tasks that need different pasts, until it can carry a value; then
it copies people who do their last action again in 3 of 10 steps, looking back no, one or two steps. Each variant of
training goes on from there, for as many updates. Success is at steps of unseen episodes, over all tasks: in layouts
that were seen, in new ones, and on busier screens. A claim is a difference of two ways within a seed; its interval
is 95 %, by Student's t over seeds. "holds" and "reversed": the interval is on one side of 0; else "open". Absolute
numbers are not comparable with the paper's.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from claims import Row, column, rows_of, verdict
from torch import Tensor

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
from ethogram.envs.gui import App, SymbolicGui
from ethogram.envs.gui_tasks import carry, reactive, recent_action
from ethogram.simulator import Draws, rollout

MEMORY, LAYERS, DROP_AT = 2, 2, 1
TASKS: dict[str, Callable[[int], App]] = {  # of so many other things on the screen
    "reactive": lambda others: reactive(2 + others),
    "in turn": lambda others: recent_action(1, distractors=others),
    "carry": lambda others: carry(1, distractors=1 + others),
}
EPISODES = {"reactive": 1, "in turn": 1, "carry": 3}  # shares
SKINS = 0.75  # of all layouts are trained on
AGAIN = 0.3  # of the steps of those who are copied last
VARIANTS: dict[str, dict[str, Any]] = {
    "HCPO": {},
    "with the bonus": {"bonus": True},
    "fixed length": {"lengths": "full"},
    "uniform lengths": {"lengths": "uniform"},
    "uniform, own inputs": {"lengths": "uniform", "rescore": True},
    "no alignment": {"lengths": "full", "alignment": 0},
    "compressed only": {"lengths": "full", "branches": "compressed"},
    "plain GRPO": {"lengths": "full", "branches": "full"},
    "attached teacher": {"lengths": "full", "detach": False},
    "actions only": {"lengths": "full", "branches": "compressed", "drop_at": 0},
}
CLAIMS = (  # what is claimed; better, worse
    ("lengths that grow beat a fixed one", "HCPO, compressed", "fixed length, compressed"),
    ("lengths that grow beat uniform ones", "HCPO, compressed", "uniform lengths, compressed"),
    ("... that are scored with their own inputs", "HCPO, compressed", "uniform, own inputs, compressed"),
    ("uniform lengths do better with own inputs", "uniform, own inputs, compressed", "uniform lengths, compressed"),
    ("two branches beat a compressed one", "no alignment, compressed", "compressed only, compressed"),
    ("alignment helps", "fixed length, compressed", "no alignment, compressed"),
    ("all together beat compressed GRPO", "HCPO, compressed", "compressed only, compressed"),
    ("dropping actions hurts more than screens", "plain GRPO, compressed", "plain GRPO, actions dropped"),
    ("screens help: 2AO beats 2A", "plain GRPO, whole", "actions only, at layer 0"),
    ("2A is worse than compressing untrained", "plain GRPO, compressed", "actions only, at layer 0"),
    ("compressing untrained hurts", "plain GRPO, whole", "plain GRPO, compressed"),
    ("HCPO recovers it", "HCPO, compressed", "plain GRPO, compressed"),
    ("... without lengths that grow", "fixed length, compressed", "plain GRPO, compressed"),
    ("HCPO, compressed, is no worse than 2AO", "HCPO, compressed", "plain GRPO, whole"),
    ("an attached teacher gets worse", "fixed length, whole", "attached teacher, whole"),
    ("the bonus for shorter histories helps", "with the bonus, compressed", "HCPO, compressed"),
    ("training helps at all: HCPO", "HCPO, compressed", "warm start, compressed"),
    ("training helps at all: two branches", "fixed length, compressed", "warm start, compressed"),
    ("training helps at all: GRPO", "plain GRPO, whole", "warm start, whole"),
)


def steps(episodes: int, seed: int, new: bool = False, others: int = 0) -> dict[str, Steps]:
    """The expert's steps in each task. new: in the layouts that are kept for tests; others: so many more elements."""
    found = {}
    for name, task in TASKS.items():
        app, rows = task(others), episodes * EPISODES[name]
        history = rollout(SymbolicGui(app), Scripted(), rows=rows, horizon=app.horizon, seed=seed)
        skin = Draws(seed, torch.arange(rows), scope="world").uniform("skin")
        part = steps_of(history, MEMORY)
        found[name] = chosen(part, (skin[part.row] >= SKINS) == new)
    return found


def chosen(part: Steps, which: Tensor) -> Steps:
    """Some of the steps, (m,) bool."""
    truth = {name: column[which] for name, column in part.truth.items()}
    return Steps(part.prompts.rows(which), truth, part.row[which], part.step[which])


def again(part: Steps, seed: int) -> Steps:
    """The steps of somebody who often does the last action again."""
    luck = Draws(seed, torch.arange(len(part.step)), scope="again").uniform("again")
    source = torch.arange(len(part.step)) - ((part.step > 0) & (luck < AGAIN)).long()
    return part._replace(truth={name: column[source] for name, column in part.truth.items()})


def measured(name: str, policy: GuiPolicy, tests: dict[str, Steps]) -> Row:
    """Success with the whole history, a compressed one, without actions or anything past from the same layer on."""
    ways: dict[str, dict[str, Any]] = {
        "whole": {},
        "compressed": {"drop_at": DROP_AT},
        "actions dropped": {"drop_at": DROP_AT, "drop": "actions"},
        "both dropped": {"drop_at": DROP_AT, "drop": "both"},
        "at layer 0": {"drop_at": 0},
    }
    found = {}
    for way, how in ways.items():
        right = {test: successes(policy, part, **how) for test, part in tests.items()}
        found[f"{name}, {way}"] = torch.cat(list(right.values())).mean().item()
        if way == "compressed":
            found |= {f"{name}, {test}": share.mean().item() for test, share in right.items()}
    return found


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
        gain = torch.stack(means[:-1]).amax(0) - means[-1]
        found[f"shorter better {name}"] = (gain > 0.05).float().mean().item()
    return found


def warmed(seed: int, shown: dict[str, Steps], tests: dict[str, Steps], updates: int, layers: int) -> GuiPolicy:
    """A policy that carries a value in three of four cases, or was shown enough; then distracted by what is past."""
    torch.manual_seed(seed)
    policy, everything = GuiPolicy(MEMORY, width=48, layers=layers, hidden=192), Steps.mixed(shown.values())
    typed = chosen(tests["carry"], tests["carry"].truth["text"] > 0)
    for k in range(12):
        start = Imitation(policy, everything, batch=64, shorten=False, seed=100 * seed + k)
        train(start, updates, rate=3e-3, progress=False)
        if successes(policy, typed).mean() > 0.75:
            break
    last = Imitation(policy, again(everything, seed), batch=64, seed=seed)
    train(last, updates, rate=2e-3, progress=False)
    return policy


def one_seed(seed: int, warm: int, updates: int, prompts: int, episodes: int, tested: int) -> Iterator[Row]:
    """All that is measured with a seed, part by part."""
    shown = steps(episodes, seed)
    same = steps(tested, 10**6 + seed)
    others = {
        "new layouts": steps(3 * tested, 2 * 10**6 + seed, new=True),
        "busier": steps(tested, 3 * 10**6 + seed, others=2),
    }
    tests = {test: Steps.mixed(part.values()) for test, part in {"seen layouts": same, **others}.items()}
    start = warmed(seed, shown, same, warm, LAYERS)
    yield measured("warm start", start, tests) | preferred(start, same)
    everything = Steps.mixed(shown.values())
    for name, settings in VARIANTS.items():
        policy = copy.deepcopy(start)
        learner = HCPO(policy, everything, updates, prompts=prompts, seed=seed, **{"drop_at": DROP_AT, **settings})
        train(learner, updates, rate=3e-4, progress=False)
        yield measured(name, policy, tests)


def report(rows: list[Row]) -> None:
    """Tables over seeds."""
    of = {name: column(rows, name) for name in rows[0]}
    ways = ("whole", "compressed", "actions dropped", "both dropped", "seen layouts", "new layouts", "busier")
    print(f"\nsuccess at steps, in %, means of {len(rows)} seeds; by test with compressed histories")
    print(f"{'':24}" + "".join(f"{way:>17}" for way in ways))
    for name in ("warm start", *VARIANTS):
        print(f"{name:24}" + "".join(f"{100 * of[f'{name}, {way}'].mean():17.1f}" for way in ways))
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
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--updates", type=int, default=400, help="updates of each variant")
    parser.add_argument("--keep", type=Path, help="a file of JSON lines: what it has is read, the rest added")
    parser.add_argument("--quick", action="store_true", help="two seeds and few updates: a check that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds, sizes = range(given.first, given.first + given.seeds), (150, given.updates, 16, 1000, 60)
    if given.quick:
        seeds, sizes = range(2), (2, 2, 4, 60, 10)
    every = [better for _, better, _ in CLAIMS]
    rows = rows_of(seeds, lambda seed: one_seed(seed, *sizes), every, given.keep)
    report(rows)
    report_flops()


if __name__ == "__main__":
    main()
