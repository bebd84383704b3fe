"""What is history worth on people's recorded sessions, to who looks things up and to who learns?

Run: ETHOGRAM_DATA=folder python benchmarks/gui/real_histories.py [--quick]     (about fifteen minutes on one free core)

Sessions are split by app, site or task: a group is held out by the hash of its name. Policies are shown what people did
in the last 0, 2 or 4 steps, and act at every step of the groups held out. Intervals are 95 %, by a bootstrap that draws
whole groups; differences are paired by step. The files of AndroidControl and Mind2Web have no screens: there policies
know the goal and the past, and what the step is to do where they are "told". MiniWoB++'s demonstrations have screens.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ethogram.agents.gui_baselines import AfterLast, CopyReference, MostFrequent, Nearest, RepeatLast
from ethogram.agents.gui_learning import HCPO, GuiPolicy, Imitation, parsed, steps_of
from ethogram.agents.gui_learning.answers import in_full
from ethogram.agents.gui_learning.screens import texts_in
from ethogram.agents.learning import train
from ethogram.envs.gui import TYPES
from ethogram.envs.gui_logs import Recording, Replay, apps_of, load_android_control, load_mind2web, load_miniwob
from ethogram.envs.gui_logs.files import found
from ethogram.envs.gui_metrics.measures import measures
from ethogram.simulator import Draws, History, rollout

PAST, VOTES, MEMORIES = 4, 15, (0, 2)
DEMOS = "miniwob_demos_dom_sample.jsonl.gz"  # with the page before each action
PHONE, WEB = ("match/strict", "match/hicon"), ("mind2web/step", "mind2web/element", "mind2web/op_f1", "match/strict")
SOURCES = ("goal", "instruction", "label")
SHOWN = ("tap", "scroll", "type", "open", "back", "wait", "press")
PAIRS = (  # what is asked; with, without
    ("looking up with 2 steps of history", "nearest, 2", "nearest, 0"),
    ("... with 4 instead of 2", "nearest, 4", "nearest, 2"),
    ("learning with 2 steps of history", "learned, 2", "learned, 0"),
    ("... and then shown none", "learned, 2", "learned, 2, shown 0"),
    ("group-relative learning after imitation", "HCPO, 2", "learned, 2"),
    ("learning instead of looking up", "learned, 2", "nearest, 2"),
    ("looking up instead of what follows the last", "nearest, 2", "after the last"),
    ("looking up instead of the last again", "nearest, 2", "the last again"),
)
Array = np.ndarray[Any, Any]


class Task(NamedTuple):
    """Sessions to learn from, sessions held out and the group of each, and by what to judge; the first is ours."""

    name: str
    train: Recording
    test: Recording
    groups: Array  # (E,) int64
    told: bool
    metrics: tuple[str, ...]

    def replay(self, recording: Recording) -> Replay:
        """The world in which sessions are acted on."""
        return Replay(recording, past=PAST, instructions=self.told)


def tasks(most: int) -> Iterator[Task]:
    """The data sets that are there; it says which are not."""

    def demos() -> Recording:
        recording = load_miniwob(found(None, DEMOS))
        return recording.select([i for i, episode in enumerate(recording.episodes) if episode.solved])

    sources: tuple[tuple[str, Callable[[], Recording], Callable[[Recording], Any], bool, tuple[str, ...]], ...] = (
        ("AndroidControl", load_android_control, apps_of, False, PHONE),
        ("AndroidControl, told", load_android_control, apps_of, True, PHONE),
        ("Mind2Web", load_mind2web, lambda recording: [episode.app for episode in recording.episodes], False, WEB),
        ("MiniWoB++", demos, lambda recording: [episode.group for episode in recording.episodes], False, PHONE),
    )
    for name, load, named, told, metrics in sources:
        try:
            recording = load()
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}")
            continue
        names = named(recording)
        shown, test = recording.split(names)
        of = dict(zip((episode.id for episode in recording.episodes), names, strict=True))
        test = test.some(most)
        groups = np.unique([of[episode.id] for episode in test.episodes], return_inverse=True)[1]
        yield Task(name, shown.some(most), test, groups, told, metrics)


def judged(task: Task, policy: Any) -> dict[str, tuple[Array, Array]]:
    """Sums over the steps of groups, (G,), and how many of these count, (G,), by what is counted."""
    replay = task.replay(task.test)
    history = rollout(replay, policy, rows=len(task.test), horizon=replay.horizon, record="all")
    done, truth = history.action["type"], replay.reference(history)["type"]
    known = torch.from_numpy(task.test.arrays.known[_steps(task.test, history)])
    columns = {name: history.sites[name] for name in task.metrics}
    columns["type"] = torch.where(known, (done == truth).float(), torch.nan)
    first = columns[task.metrics[0]]
    columns["right, if of the right type"] = torch.where(done == truth, first, torch.nan)
    columns |= {f"of {kind}": torch.where(truth == TYPES.index(kind), first, torch.nan) for kind in SHOWN}
    found: dict[str, tuple[Array, Array]] = {}
    size = int(task.groups.max()) + 1
    row = torch.from_numpy(task.groups)[:, None].expand(known.shape)
    for name, column in columns.items():
        counts = history.valid & ~column.isnan()
        top = np.bincount(row[counts].numpy(), column[counts].numpy(), size)
        found[name] = top, np.bincount(row[counts].numpy(), minlength=size).astype(float)
    return found


def _steps(recording: Recording, history: Any) -> Array:
    """(n, T) places of a replay's steps among all."""
    arrays, seen = recording.arrays, history.observation
    steps: Array = arrays.first[seen["episode"][:, :-1].numpy()] + seen["step"][:, :-1].numpy()
    return steps


def looking_up(task: Task) -> Iterator[tuple[str, Any]]:
    """Policies that learn nothing."""
    labels = task.test.arrays.strings
    yield "most frequent", MostFrequent(task.train)
    yield "the last again", RepeatLast()
    yield "after the last", AfterLast(task.train)
    for past in (0, 2, 4):
        yield f"nearest, {past}", Nearest(task.train, past, VOTES, labels)


class AtOnce:
    """Actions at all steps of a replay, found at once: with recorded pasts nobody has to wait for what comes."""

    def __init__(self, task: Task, acted: list[dict[str, Any]]) -> None:
        of_text = {name: np.concatenate([part[name] for part in acted]) for name in ("text",)}
        self.done = {name: torch.cat([part[name] for part in acted]) for name in acted[0] if name != "text"} | of_text
        self.first = torch.from_numpy(task.test.arrays.first)

    def act(self, observation: Any, history: Any, draws: Draws) -> dict[str, Any]:
        """An action a row."""
        at = self.first[observation["episode"]] + observation["step"]
        return {name: part[at.numpy() if isinstance(part, np.ndarray) else at] for name, part in self.done.items()}


def looked_up(task: Task, policy: Any) -> AtOnce:
    """All steps of a policy that learns nothing and reads the observation only."""
    history = copied(task.replay(task.test))
    row, step = history.valid.nonzero().T
    seen = _at(history.observation, (row.numpy(), step.numpy()))
    acted = []
    for first in range(0, len(row), 512):
        some = slice(first, first + 512)
        acted.append(policy.act(_at(seen, some), history, Draws(0, row[some], step=0)))
    return AtOnce(task, acted)


def written(task: Task, policy: GuiPolicy, memory: int) -> AtOnce:
    """The likeliest answers of a policy that is shown so many steps of the past."""
    history, labels = copied(task.replay(task.test)), task.test.arrays.strings
    steps, seen = steps_of(history, memory, labels), history.observation
    acted = []
    for first in range(0, len(steps.row), 512):
        prompts = steps.prompts.rows(slice(first, first + 512))
        answer = policy.generate(prompts, Draws(0, torch.arange(len(prompts.tokens))), temperature=0)

        def texts(k: int, first: int = first) -> Iterator[str]:
            at = steps.row[first + k], steps.step[first + k]
            here = {name: seen[name][at][None] if name == "label" else [seen[name][at]] for name in SOURCES}
            past = {"text": {age: [text[at]] for age, text in seen["past"]["text"].items()}}
            return texts_in({**here, "past": past}, history, 0, 0, labels)

        acted.append(in_full(parsed(answer), texts))
    return AtOnce(task, acted)


def _at(tree: Any, index: Any) -> Any:
    """Rows of the columns of a dict, and of dicts in it."""
    return {name: _at(part, index) for name, part in tree.items()} if isinstance(tree, dict) else tree[index]


def copied(replay: Replay) -> History:
    """Everything as it was recorded."""
    return rollout(replay, CopyReference(replay.recording), rows=len(replay.recording), horizon=replay.horizon)


def learning(task: Task, seed: int, updates: int, more: int, known: set[str]) -> Iterator[tuple[str, Any]]:
    """Policies that learn, but for what is known and is not trained on."""
    shown = copied(task.replay(task.train))
    for memory in MEMORIES:
        if memory < MEMORIES[-1] and f"learned, {memory}" in known:
            continue
        torch.manual_seed(seed)
        policy = GuiPolicy(memory, width=48, layers=2, hidden=192, texts=True, copies=True)
        steps = steps_of(shown, memory, task.train.arrays.strings)
        imitation = Imitation(policy, steps, batch=64, shorten=False, seed=seed)
        train(imitation, updates, rate=2e-3, weight_decay=0.1, progress=False)
        yield f"learned, {memory}", written(task, policy, memory)
    yield f"learned, {memory}, shown 0", written(task, policy, 0)
    train(HCPO(policy, steps, more, prompts=8, branches="full", seed=seed), more, rate=3e-4, progress=False)
    yield f"HCPO, {memory}", written(task, policy, memory)


Sums = dict[str, dict[int, dict[str, Any]]]  # of a task, by way and seed


def report(task: Task, sums: Sums) -> None:
    """Tables of a task."""
    names = [*task.metrics, "type", "right, if of the right type"]
    print(f"\n{task.name}: {task.train}\nheld out, {int(task.groups.max()) + 1} groups: {task.test}")
    print(f"{'steps right, in % [95 %]':26}" + "".join(f"{name:>28}" for name in names))
    for way in sums:
        print(f"{way:26}" + "".join(f"{_told(sums, way, None, name):>28}" for name in names))
    print(f"{'of a type':26}" + "".join(f"{kind:>10}" for kind in SHOWN))
    for way in sums:
        values = [_measured(sums, way, None, f"of {kind}").value for kind in SHOWN]
        print(f"{way:26}" + "".join(f"{'–' if np.isnan(v) else f'{100 * v:.1f}':>10}" for v in values))
    print(f"{'what is gained, in points [95 %]':46}" + "".join(f"{name:>28}" for name in names[:-1]))
    for asked, better, worse in PAIRS:
        if better in sums and worse in sums:
            print(f"{asked:46}" + "".join(f"{_told(sums, better, worse, name):>28}" for name in names[:-1]))


def _measured(sums: Sums, way: str, other: str | None, name: str) -> Any:
    """A share; or, with another way, the difference, paired by step and by seed."""
    seeds = sorted(sums[way])
    rows = [[sums[some][seed if seed in sums[some] else 0][name] for seed in seeds] for some in (way, other) if some]
    if other and len(sums[other]) > len(seeds):
        seeds = sorted(sums[other])
        rows = [[sums[way][0][name]] * len(seeds), [sums[other][seed][name] for seed in seeds]]
    top, bottom = (np.array([row[k] for row in rows[0]])[..., None] for k in (0, 1))
    if other:
        top = top - np.array([row[0] for row in rows[1]])[..., None]
    return measures(top, bottom)[0]


def _told(sums: Sums, way: str, other: str | None, name: str) -> str:
    found = _measured(sums, way, other, name)
    sign = "+" if other else ""
    spread = "" if np.isnan(found.spread) else f" ±{100 * found.spread:.1f}"
    return f"{100 * found.value:{sign}.1f} [{100 * found.low:{sign}.1f}, {100 * found.high:{sign}.1f}]{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="of those that learn")
    parser.add_argument("--updates", type=int, default=300, help="of imitation")
    parser.add_argument("--more", type=int, default=15, help="updates of HCPO")
    parser.add_argument("--only", nargs="*", help="data sets, by name")
    parser.add_argument("--keep", type=Path, help="a file of JSON Lines to add to, and to go on from")
    parser.add_argument("--quick", action="store_true", help="few sessions and updates: a check that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    most = 10**6
    if given.quick:
        most, given.seeds, given.updates, given.more = 40, 1, 3, 1
    kept = [json.loads(line) for line in given.keep.open()] if given.keep and given.keep.exists() else []
    for task in tasks(most):
        if given.only and task.name not in given.only:
            continue
        sums: Sums = {}
        for record in kept:
            if record["task"] == task.name:
                sums.setdefault(record["way"], {})[record["seed"]] = record["sums"]

        def judge(way: str, policy: Any, seed: int, task: Task = task, sums: Sums = sums) -> None:
            found = {name: [top.tolist(), bottom.tolist()] for name, (top, bottom) in judged(task, policy).items()}
            sums.setdefault(way, {})[seed] = found
            top, bottom = (sum(part) for part in found[task.metrics[0]])
            print(f"{task.name}, seed {seed}, {way}: {100 * top / bottom:.1f}", flush=True)
            if given.keep:
                with given.keep.open("a") as file:
                    file.write(json.dumps({"task": task.name, "way": way, "seed": seed, "sums": found}) + "\n")

        for way, policy in looking_up(task):
            if way not in sums:
                judge(way, looked_up(task, policy), 0)
        for seed in range(given.seeds):
            known = {way for way in sums if seed in sums[way]}
            if f"HCPO, {MEMORIES[-1]}" not in known:
                for way, policy in learning(task, seed, given.updates, given.more, known):
                    judge(way, policy, seed)
        report(task, sums)


if __name__ == "__main__":
    main()
