"""Can a few written words, brought up to date as people go on choosing, stand for their whole history?

Run: python benchmarks/llm/preference_inference.py [--quick]        (half a minute a seed on one free core)

People care for 3 of 10 attributes and choose between two things, 12 times a window. A small writer is trained to
describe them in 3 words (AlignXplore, arXiv:2505.18071): a cold start on a teacher's descriptions that turned out
right, then GRPO on how well a frozen reader foresees 6 later choices. Then a description of the first window, brought
up to date by the second (streaming), is held against reading both windows again, and against exact Bayesian writers of
as many words. Accuracy is the share of 20 later choices foreseen, of people never met before. A claim's interval is
95 %, by Student's t over seeds; "holds" and "fails": the interval is on one side of the bar; else "open".

With --model and --base-url a language model writes and reads, through the same interface.
"""

import argparse
import copy
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ethogram.agents.learning import GRPO, train
from ethogram.agents.preferences import (
    Bayes,
    ColdStart,
    Inferrer,
    LLMInferrer,
    People,
    Practice,
    TokenWriter,
    contrary,
    direction,
    people_of,
    recovery,
    reward_of,
    streamed,
    words_of,
)
from ethogram.envs.choices import Choosing
from ethogram.simulator import Do, Draws
from ethogram.simulator.whatif import Effect

WINDOW, TARGETS, WINDOWS = 12, 20, 6
NAMES = ("comedy", "war", "romance", "music", "space", "animals", "history", "sport", "food", "crime")
READINGS = ("one window", "streaming", "both re-read", "last window")
Row = dict[str, float]


class Size(NamedTuple):
    """Of a run."""

    cold: int  # updates of the cold start
    updates: int  # of GRPO
    pool: int  # people of the cold start
    tested: int  # people


FULL, QUICK = Size(300, 60, 10_000, 1000), Size(10, 3, 600, 200)


def accuracy(inferrer: Inferrer, description: Any, people: People) -> float:
    """Share of people's targets that are foreseen."""
    return reward_of(inferrer, description, people.targets).mean().item()


def luck(people: People, seed: int) -> Draws:
    return Draws(seed, torch.arange(len(people.preference)), scope="test")


def readings(inferrer: Any, people: People, window: int, seed: int) -> Row:
    """Accuracy by what is read of two windows."""
    draws, read = luck(people, seed), people.read
    last = read.between(window, 2 * window)
    one, two = streamed(inferrer, read.between(0, 2 * window), window, draws)
    both = inferrer.describe(read.between(0, 2 * window), None, draws.at(1))
    found = (one, two, both, inferrer.describe(last, None, draws.at(1)))
    return {name: accuracy(inferrer, said, people) for name, said in zip(READINGS, found, strict=True)}


def checks(writer: TokenWriter, people: People, seed: int) -> Row:
    """What else is asked of a writer: does the reader use the words, are they true, what of wrong words before?"""
    draws, last = luck(people, seed), people.read.between(WINDOW, 2 * WINDOW)
    one, two = streamed(writer, people.read.between(0, 2 * WINDOW), WINDOW, draws)
    precision, recall = recovery(two, people.preference)
    wrong = writer.describe(last, contrary(one), draws.at(1))
    return {
        "another's words": accuracy(writer, two.roll(1, 0), people),
        "no words": accuracy(writer, torch.zeros_like(two), people),
        "the true words": accuracy(writer, words_of(people.preference, writer.length), people),
        "after the contrary": accuracy(writer, wrong, people),
        "precision": precision.nanmean().item(),
        "recall": recall.mean().item(),
    }


def changed_minds(writer: TokenWriter, world: Choosing, people: int, seed: int) -> Row:
    """People whose preferences turn around between the two windows: what becomes of the words that were right."""
    turn = Do("preference", torch.neg, start=WINDOW, stop=WINDOW + 1)
    changed = people_of(world, people, 2 * WINDOW, TARGETS, 2_000_000 + seed, [turn])
    one, two = (
        direction(words, world.num_attributes) for words in streamed(writer, changed.read, WINDOW, luck(changed, seed))
    )
    right = (one == -changed.preference) & (one != 0)
    share = {"turned": (two == -one), "dropped": (two == 0), "kept": (two == one)}
    found = readings(writer, changed, WINDOW, seed)
    return {
        f"changed minds, {name}": (part & right).sum().item() / right.sum().item() for name, part in share.items()
    } | {f"changed minds, {name}": found[name] for name in READINGS}


def long_streams(inferrer: Any, world: Choosing, people: int, seed: int) -> Row:
    """Accuracy after each of several windows, twice as many and more than a writer was trained on."""
    met = people_of(world, people, WINDOWS * WINDOW, TARGETS, 3_000_000 + seed)
    draws = luck(met, seed)
    said = streamed(inferrer, met.read, WINDOW, draws)
    found = {f"streaming, {k + 1} windows": accuracy(inferrer, words, met) for k, words in enumerate(said)}
    for k in range(WINDOWS):
        words = inferrer.describe(met.read.between(0, (k + 1) * WINDOW), None, draws.at(k))
        found[f"re-read, {k + 1} windows"] = accuracy(inferrer, words, met)
    return found


def elsewhere(writer: TokenWriter, world: Choosing, people: int, seed: int) -> Row:
    """Accuracy of streaming and re-reading where people, options or windows differ from those of the training."""
    t = world.temperature
    places = {
        "as trained": (world, WINDOW),
        "windows of 4": (world, 4),
        "windows of 24": (world, 24),
        "4 options": (Choosing(num_options=4, temperature=t), WINDOW),
        "5 preferences": (Choosing(num_preferences=5, temperature=t), WINDOW),
        "30 attributes": (Choosing(num_attributes=30, temperature=t), WINDOW),
        "other noise": (Choosing(temperature=0.0 if t else 1.0), WINDOW),
    }
    found = {}
    for name, (place, window) in places.items():
        met = people_of(place, people, 2 * window, TARGETS, 4_000_000 + seed)
        row = readings(writer, met, window, seed)
        found |= {f"{name}: {reading}": row[reading] for reading in READINGS}
    return found


def trained(writer: TokenWriter, world: Choosing, updates: int, seed: int, **settings: Any) -> TokenWriter:
    """A copy, after GRPO with advantages that are centred only, as released; settings: of the practice."""
    writer = copy.deepcopy(writer)
    learner = GRPO(writer, Practice(world, **settings), prompts=96, group=8, scale="none", kl=0.0, seed=seed)
    train(learner, updates, rate=1e-3, progress=False)
    return writer


def one_seed(seed: int, world: Choosing, size: Size) -> Row:
    """All that is measured with a seed."""
    torch.manual_seed(seed)
    people = people_of(world, size.tested, 2 * WINDOW, TARGETS, 1_000_000 + seed)
    pool = people_of(world, size.pool, 2 * WINDOW, 6, seed)
    writers = {"untrained": TokenWriter()}
    start, trusting = copy.deepcopy(writers["untrained"]), copy.deepcopy(writers["untrained"])
    learner = ColdStart(start, pool, WINDOW, batch=192, seed=seed)
    train(learner, size.cold, rate=3e-3, progress=False)
    train(ColdStart(trusting, pool, WINDOW, changed=0, batch=192, seed=seed), size.cold, rate=3e-3, progress=False)
    writers |= {"cold start": start, "GRPO": trained(start, world, size.updates, seed)}
    writers["GRPO, one target"] = trained(start, world, size.updates, seed, targets=1)
    writers["GRPO, nobody changed"] = trained(trusting, world, size.updates, seed, changed=0.0)
    row: Row = {"kept by the filter": len(learner.kept) / (3 * size.pool)}
    for name, writer in writers.items():
        for how, temperature in (("drawn", 1.0), ("likeliest", 0.0)):
            found = readings(writer.at(temperature), people, WINDOW, seed)
            row |= {f"{name}, {how}: {reading}": value for reading, value in found.items()}
    teacher = people_of(world, 2 * size.tested, WINDOW, 1, 5_000_000 + seed)
    for name, sampled in (("Bayes", False), ("Bayes, drawn", True)):
        bayes = Bayes(10, 3, world.temperature, sampled).calibrate(teacher, luck(teacher, seed))
        row |= {f"{name}: {reading}": value for reading, value in readings(bayes, people, WINDOW, seed).items()}
    grpo = writers["GRPO"]
    row |= checks(grpo, people, seed) | changed_minds(grpo, world, size.tested, seed)
    row["nobody changed, turned"] = changed_minds(writers["GRPO, nobody changed"], world, size.tested, seed)[
        "changed minds, turned"
    ]
    return row | long_streams(grpo, world, size.tested // 2, seed) | elsewhere(grpo, world, size.tested // 2, seed)


def told(claim: str, values: Tensor, bar: float, above: bool = True, within: bool = False) -> None:
    """A line: a quantity over seeds in points, its interval, and whether it is above, below or near a bar."""
    effect = Effect(torch.zeros_like(values), 100 * values, tuple(range(len(values))))
    low, high = effect.interval()
    good, bad = (low > bar, high < bar) if above else (high < bar, low > bar)
    if within:
        good, bad = abs(low) < bar and abs(high) < bar, low > bar or high < -bar
    said = "holds" if good else "fails" if bad else "open"
    aim = f"within {bar:g}" if within else f"{'over' if above else 'under'} {bar:g}"
    print(f"{claim:62}{effect.mean:+7.1f} [{low:+.1f}, {high:+.1f}]  {aim:12} {said}")


def report(rows: list[Row]) -> None:
    """Tables over seeds."""
    of = {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}
    mean = {name: 100 * values.mean().item() for name, values in of.items()}
    print(f"\n{f'accuracy in %, means of {len(rows)} seeds':34}" + "".join(f"{name:>14}" for name in READINGS))
    for name in dict.fromkeys(key.rpartition(": ")[0] for key in of if key.endswith(": streaming")):
        print(f"{name:34}" + "".join(f"{mean[f'{name}: {reading}']:14.1f}" for reading in READINGS))
    print("\nwindows so far                    " + "".join(f"{k + 1:8}" for k in range(WINDOWS)))
    for way in ("streaming", "re-read"):
        print(f"{way:34}" + "".join(f"{mean[f'{way}, {k + 1} windows']:8.1f}" for k in range(WINDOWS)))
    for name in (key for key in of if ": " not in key and "windows" not in key):
        print(f"{name:34}{mean[name]:8.1f}")
    grpo, cold = "GRPO, drawn: ", "cold start, drawn: "
    print(f"\n{'claim':62}points [95 % interval]  bar          verdict")
    told("untrained, from chance", of["untrained, drawn: one window"] - 0.5, 2, within=True)
    told("cold start, one window", of[cold + "one window"], 58)
    for reading in READINGS[:3]:
        told(f"GRPO less cold start, {reading}", of[grpo + reading] - of[cold + reading], 2)
    for reading in READINGS[:3]:
        less = of["cold start, likeliest: " + reading]
        told(f"... the likeliest words of both, {reading}", of["GRPO, likeliest: " + reading] - less, 2)
    told("streaming less re-reading", of[grpo + "streaming"] - of[grpo + "both re-read"], -2)
    told("... the exact writers", of["Bayes: streaming"] - of["Bayes: both re-read"], -2)
    told("streaming less the last window alone", of[grpo + "streaming"] - of[grpo + "last window"], 0)
    told("right words that are turned when minds change", of["changed minds, turned"], 60)
    told("another's words, from chance", of["another's words"] - 0.5, 2, within=True)
    streaming = [of[f"{way}, drawn: streaming"] for way in ("GRPO, nobody changed", "GRPO")]
    told("nobody changed in training less a quarter, streaming", streaming[0] - streaming[1], 0)
    told("right words turned if nobody changed in training", of["nobody changed, turned"], 60, above=False)
    minds = [of[f"changed minds, {reading}"] for reading in ("streaming", "both re-read")]
    told("streaming less re-reading when minds change", minds[0] - minds[1], 0)
    told("6 targets less one, one window", of[grpo + "one window"] - of["GRPO, one target, drawn: one window"], 0)


def by_language(inferrer: LLMInferrer, world: Choosing, people: int) -> None:
    """What a language model foresees, by what it read; nobody's answers are trained on."""
    met = people_of(world, people, 2 * WINDOW, 4, 1_000_000)
    for name, share in readings(inferrer, met, WINDOW, 0).items():
        print(f"{name:14}{100 * share:6.1f} %")
    print(f"of {people} people; {dict(inferrer.counts)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--temperature", type=float, default=0.0, help="of people's choices, in units of utility")
    parser.add_argument("--keep", type=Path, help="a JSON file of seeds: those in it are not run again")
    parser.add_argument("--model", help="ask this language model in place of training writers")
    parser.add_argument("--base-url", help="where it is, such as http://127.0.0.1:8080/v1")
    parser.add_argument("--people", type=int, default=20, help="whom it is asked about: 36 requests each")
    parser.add_argument("--quick", action="store_true", help="two seeds and few updates: a check that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    world, size = Choosing(temperature=given.temperature), QUICK if given.quick else FULL
    print(f"numbers read for the second window: {_numbers(1)} streaming, {_numbers(2)} re-reading")
    if given.model:
        from ethogram.agents.llm import Endpoint

        return by_language(LLMInferrer(Endpoint(given.model, given.base_url), NAMES, lenient=True), world, given.people)
    rows: list[Row] = json.loads(given.keep.read_text()) if given.keep and given.keep.exists() else []
    for seed in range(len(rows), 2 if given.quick else given.seeds):
        rows.append(one_seed(seed, world, size))
        if given.keep:
            given.keep.write_text(json.dumps(rows))
        shown = {name: round(100 * rows[-1][f"{name}, drawn: streaming"], 1) for name in ("cold start", "GRPO")}
        print(f"seed {seed}, streaming: {shown}", flush=True)
    report(rows)


def _numbers(windows: int) -> int:
    """Numbers that are read: two options of ten attributes and a choice, and three words of the description before."""
    return windows * WINDOW * (2 * 10 + 1) + (3 if windows == 1 else 0)


if __name__ == "__main__":
    main()
