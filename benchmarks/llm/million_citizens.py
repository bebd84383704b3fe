"""What would a million citizens have answered over 30 periods, known from at most 2,000 questions?

Run: python benchmarks/llm/million_citizens.py        (some minutes on one core; --quick: 20,000 people)
     --picture FILE draws the figure of calls, error and time by number of archetypes

A committee learns from 900 answers about the people of a pilot city of 20,000, run by a rule. Then it decides for a
million; in each of 30 days, 6 groups in doubt and 30 drawn at random are asked. The answers are a scripted model's
(``crowd.py``), so that the truth can be computed: each group of alike people is asked about itself, in each period.
Replicates repeat who is drawn, along the same run: coverage is of that luck, for one committee after another.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ethogram.agents.citizens import Answers, Heuristic, grouped
from ethogram.agents.llm_citizens import Audits, Committee, Distilled, Profiles, distil, levels_of, perceptron
from ethogram.envs.epidemics import small_city
from ethogram.simulator import Draws, Record, rollout
from ethogram.simulator.whatif import student_t

sys.path.insert(0, str(Path(__file__).parent))
from crowd import BY, profiles, scripted

LEARNED, DOUBTFUL, AUDITED, PERIODS, LEVEL = 900, 6, 30, 30, 0.9
ARCHETYPES = (1, 3, 10, 30, 100, 300, 1000, 3000)


class Watched:
    """The same citizens; keeps who stood in which group, day by day."""

    def __init__(self, citizens, by):
        self.citizens, self.by, self.groups = citizens, by, []

    def act(self, observation, history, draws):
        """(n, 2) int8."""
        groups = grouped(observation, self.by, draws.step)
        kept = replace(groups, code=groups.code[:0])  # without the million codes
        kept.__dict__.update(codes=groups.codes, people=groups.people)
        self.groups.append(kept)
        return self.citizens.act(observation, history, draws)


def city_of(n, seed):
    return replace(small_city(n, seed), initial=0.02)


def pilot(n, seed):
    """What a smaller city's people see, every third day until the last, under a rule."""
    history = rollout(city_of(n, seed), Heuristic(half=2.0), rows=n, horizon=PERIODS, seed=seed)
    days = range(PERIODS - 1, -1, -3)
    return [{k: c[:, day] for k, c in history.observation.items()} | profiles(n, seed) for day in reversed(days)]


@dataclass(frozen=True, eq=False)
class Said(Committee):
    """A committee whose predictions for one day are made already."""

    found: tuple[np.ndarray, np.ndarray] = ()

    def predict(self, levels):
        """The day's."""
        mean, spread = self.found
        return mean.copy(), spread


def coverage(policy, groups, truth, replicates, first_seed):
    """For each power: how many intervals hold the truth, and their mean width; of isolating."""
    days = [
        replace(policy, committee=Said(policy.committee.members, policy.committee.predict(levels_of(g))))
        for g in groups
    ]
    hits, widths, ids = {1.0: 0, None: 0}, {1.0: [], None: []}, torch.arange(2)
    for seed in range(first_seed, first_seed + replicates):
        audits = Audits()
        for number, (day, here) in enumerate(zip(days, groups, strict=True)):
            replace(day, audits=audits).answered(here, Draws(seed, ids, number, "policy"))
        for power in hits:
            low, high = audits.estimate("isolate", power=power).interval(LEVEL)
            hits[power] += low <= truth <= high
            widths[power].append(high - low)
    return hits, {power: float(np.mean(width)) for power, width in widths.items()}


def archetypes(groups, truth_by_day, answers_of):
    """(K, questions, error, CPU seconds) of answering K archetypes a day instead."""
    rows = []
    for budget in ARCHETYPES:
        answers, means, began = Answers(answers_of), [], time.process_time()
        for here in groups:
            asked = here.asked(budget)
            chance = np.array(answers.to(asked.questions))[asked.slot]
            means.append(here.people @ chance[:, 0] / here.people.sum())
        error = float(np.sqrt(np.mean((np.array(means) - truth_by_day) ** 2)))
        rows.append((budget, answers.asked, error, time.process_time() - began))
    return rows


def draw(rows, distilled, path):
    """The figure: error, calls and time by number of archetypes, and the distilled citizens as a line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    budgets, calls, errors, seconds = zip(*rows, strict=True)
    fig, panels = plt.subplots(1, 3, figsize=(9, 2.8), constrained_layout=True)
    names = ("error of P(isolate), by day", "questions in 30 periods", "CPU s of asking and averaging")
    for ax, name, values, line in zip(panels, names, (errors, calls, seconds), distilled, strict=True):
        ax.loglog(budgets, values, "o-", label="archetypes")
        ax.axhline(line, color="C1", ls="--", label="distilled, audited")
        ax.set(xlabel="archetypes a period", title=name)
        ax.title.set_fontsize(9)
    panels[0].legend(fontsize=8)
    fig.savefig(path, dpi=80)


def run_once(policy, n):
    """The city, decided by the policy: groups day by day, CPU seconds, and how many were infected."""
    watched, began = Watched(policy, BY), time.process_time()
    kept = [Record("infected", reduce="sum")]
    history = rollout(city_of(n, 0), Profiles(watched, profiles(n)), rows=n, horizon=PERIODS, seed=0, record=kept)
    return watched.groups, time.process_time() - began, int(history.series["infected"].sum())


def main() -> None:
    """Run, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--committees", type=int, default=4, help="each learns anew, and has its replicates")
    parser.add_argument("--replicates", type=int, default=250, help="of each committee")
    parser.add_argument("--picture")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.people, options.committees, options.replicates = 20_000, 1, 40
    torch.set_num_threads(1)
    hits, widths, ran, groups, truth, alone = {1.0: 0, None: 0}, {1.0: [], None: []}, 0, [], 0.0, 0.0
    for k in range(options.committees):
        answers, began = Answers(scripted), time.process_time()
        fit = partial(perceptron, hidden=(32, 16), epochs=200)
        committee = distil(answers, BY, pilot(20_000, 100 + k), LEARNED, fit=fit, rounds=2, seed=k)
        learned = time.process_time() - began
        policy = Distilled(answers, BY, committee, DOUBTFUL, AUDITED)
        if not groups:
            groups, seconds, infected = run_once(policy, options.people)
            print(f"{options.people:,} citizens, {PERIODS} periods; infected {infected:,}")
            print(f"questions {answers.asked}, {LEARNED} of them to learn from")
            print(f"CPU s: {learned:.1f} to learn, {seconds:.1f} to run")
            truth, alone = compare(policy, groups, learned, options.picture)
        new_hits, new_widths = coverage(policy, groups, truth, options.replicates, 1000 * (k + 1))
        ran += options.replicates
        for power in hits:
            hits[power] += new_hits[power]
            widths[power].append(new_widths[power])
            name, width = "tuned" if power is None else "power 1", float(np.mean(widths[power]))
            print(
                f"committees 0 to {k}, {name}: 90 % intervals hold the truth in {hits[power] / ran:.1%} of {ran} "
                f"replicates; width {width:.5f}, of the asked people alone {alone:.5f}, {alone / width:.1f} times",
                flush=True,
            )


def compare(policy, groups, learned, picture):
    """Print the estimate beside the truth, and archetypes beside both: the truth, and the asked people's own width."""
    every = [np.array(scripted(g.questions(g.codes)))[:, 0] for g in groups]
    parts = [(f, g.people / g.people.sum()) for f, g in zip(every, groups, strict=True)]
    each = np.array([share @ f for f, share in parts])
    variance = np.array([share @ (f - m) ** 2 for (f, share), m in zip(parts, each, strict=True)])
    calls, truth = policy.answers.asked, float(each.mean())
    # as many people as were asked in all, drawn at random, equally many a day, and nothing else
    alone = 2 * student_t(LEVEL, calls - PERIODS) * float(np.sqrt(variance.mean() / calls))
    found, sizes = policy.audits.estimate("isolate", power=None), [len(g.codes) for g in groups]
    low, high = found.interval(LEVEL)
    print(
        f"{min(sizes):,} to {max(sizes):,} groups a day; {len(set().union(*map(texts, groups))):,} questions to ask all"
    )
    print(f"P(isolate): {found.value:.5f}, 90 % {low:.5f} to {high:.5f}; truth {truth:.5f}")
    print(f"by the bound, 9 of 10 people's answers are within {policy.audits.bound('isolate'):.3f} of their prediction")
    days = [estimate.value for estimate in policy.audits.by_step("isolate", power=None)]
    error = float(np.sqrt(np.mean((np.array(days) - each) ** 2)))
    rows = archetypes(groups, each, scripted)
    for budget, asked, wrong, seconds in rows:
        print(f"  {budget:5} archetypes: {asked:6} questions, error {wrong:.5f} a day, {seconds:.2f} CPU s")
    print(f"  distilled:        {calls:6} questions, error {error:.5f} a day, {learned:.2f} CPU s", flush=True)
    if picture:
        draw(rows, (error, calls, learned), picture)
    return truth, alone


def texts(groups):
    """The questions about each group, as text."""
    return {str(question) for question in groups.questions(groups.codes)}


if __name__ == "__main__":
    main()
