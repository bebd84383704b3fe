"""How much of what single people would decide is lost when a rule or archetypes decide for them, and at which cost?

Run: python benchmarks/llm/scale_and_agency.py        (a minute on one core; --quick: few people and seeds)
     --picture FILE draws the figure

The trade between scale and agency of Chopra et al., "On the limits of agency in agent-based models" (2024): the same
city, with the same luck, decided week by week by a rule, by archetypes of one scripted model, and by that model for
each person. The truth is the last. What is compared: the weekly infections (the wave) and the share of the jobless
among those who want a job, as root mean squared differences from the truth's; the cost is how many questions there are.
The rule costs nothing: once as it is, and once with its numbers as close as a search over a grid brings it to answers.
"""

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ethogram.agents.citizens import Answers, Archetypes, Heuristic
from ethogram.agents.llm_citizens import Profiles
from ethogram.envs.epidemics import Disease, small_city
from ethogram.simulator import Record, rollout

sys.path.insert(0, str(Path(__file__).parent))
from crowd import profiles, scripted

FINE = {  # all that tells people apart to the model
    "ill": None,
    "cases": [0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 16.0],
    "age": list(range(4, 92, 4)),
    "trust": None,
    "employed": None,
    "quarantined": None,
    "household": None,
    "change": [-3.0, -1.0, 0.0, 1.0, 3.0],
    "savings": [-2.0, -1.5, -1.0, -0.5, 0.0],
}
BUDGETS = (1, 3, 10, 30, 100, 300, 1000)
WEEK = 7


def series(world, policy, n, weeks, seed):
    """(weeks,) infections per 1,000 and (weeks,) jobless share."""
    kept = [Record("infected", reduce="sum"), Record("jobless", reduce="sum"), Record("employed", reduce="sum")]
    history = rollout(world, policy, rows=n, horizon=weeks * WEEK, seed=seed, record=kept)
    found = {name: column.view(weeks, WEEK).sum(1).numpy() for name, column in history.series.items()}
    wants = found["jobless"] + found["employed"]
    return found["infected"] * 1000 / n, found["jobless"] / np.maximum(wants, 1)


def closest_rule(world, n, own, weeks):
    """The rule whose probabilities are nearest to the answers, on the first days of weeks of a run by the rule."""
    history = rollout(world, Heuristic(period=WEEK), rows=n, horizon=weeks * WEEK, seed=99)
    days = range(0, weeks * WEEK, WEEK)
    seen = [{name: column[:, day] for name, column in history.observation.items()} for day in days]
    model = Archetypes(Answers(scripted), FINE)
    truth = [model.probabilities(one | own) for one in seen]
    work = float(torch.cat([one[:, 1] for one in truth]).mean())
    grid = itertools.product((0.6, 0.75, 0.9, 1.0), (0.4, 0.6, 0.8, 1.0), (0.5, 1, 2, 4, 8, 16), (0.0, 0.5))
    rules = [Heuristic(ill, most, half, trend, work, WEEK) for ill, most, half, trend in grid]

    def off(rule):
        return sum(float((rule.probabilities(s) - t)[:, 0].square().mean()) for s, t in zip(seen, truth, strict=True))

    return min(rules, key=off)


def draw(rows, path):
    """Error against questions: two panels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, panels = plt.subplots(1, 2, figsize=(8, 3.2), constrained_layout=True)
    names = ("error of weekly infections, per 1,000", "error of the jobless share")
    for k, (ax, title) in enumerate(zip(panels, names, strict=True)):
        kinds = {"rule": [r for r in rows if "rule" in r[0]], "archetypes": [r for r in rows if "archetypes" in r[0]]}
        ax.errorbar(*zip(*[(r[1], r[2 + k][0], r[2 + k][1]) for r in kinds["archetypes"]], strict=True), fmt="o-")
        for (name, _, *errors), style in zip(kinds["rule"], ("--", ":"), strict=True):
            ax.axhline(errors[k][0], color="C1", ls=style, label=f"{name}, no questions")
        ax.axvline(rows[-1][1], color="C2", label="each person asked: no error")
        ax.set(xscale="log", xlabel="questions in a run", title=title)
        ax.title.set_fontsize(10)
        ax.set_ylim(bottom=0)
    panels[0].legend(fontsize=8)
    fig.savefig(path, dpi=80)


def main() -> None:
    """Run, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=6000)
    parser.add_argument("--weeks", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--picture")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.people, options.weeks, options.seeds = 2000, 8, 2
    torch.set_num_threads(1)
    n, weeks = options.people, options.weeks
    world = replace(small_city(n), disease=Disease(reproduction=3.5, importation=1e-5), initial=0.005)
    own = profiles(n)
    truths = [
        series(world, Profiles(Archetypes(Answers(scripted), FINE, WEEK), own), n, weeks, s)
        for s in range(options.seeds)
    ]
    noise = np.std([wave for wave, _ in truths], 0).mean(), np.std([jobless for _, jobless in truths], 0).mean()
    print(
        f"{n:,} people, {weeks} weeks, {options.seeds} seeds; the truth itself differs between seeds by {noise[0]:.2f} "
        f"infections per 1,000 and week, {noise[1]:.4f} of the jobless share"
    )
    rules = {"the rule": Heuristic(period=WEEK), "the rule, fitted": closest_rule(world, n, own, weeks)}
    policies = {name: (lambda rule=rule: rule) for name, rule in rules.items()}
    for budget in BUDGETS:
        policies[f"{budget} archetypes"] = lambda budget=budget: Archetypes(Answers(scripted), FINE, WEEK, budget)
    rows = []
    for name, make in policies.items():
        errors, asked = [], []
        for seed, truth in enumerate(truths):
            policy = make()
            found = series(world, Profiles(policy, own), n, weeks, seed)
            errors.append([float(np.sqrt(np.mean((a - b) ** 2))) for a, b in zip(found, truth, strict=True)])
            asked.append(policy.answers.asked if isinstance(policy, Archetypes) else 0)
        mean, error = np.mean(errors, 0), np.std(errors, 0, ddof=1) / len(errors) ** 0.5
        rows.append((name, float(np.mean(asked)), *zip(mean, error, strict=True)))
    rows.append(("each person", float(n * weeks), (0.0, 0.0), (0.0, 0.0)))
    for name, asked, *errors in rows:
        wave, jobless = (f"{mean:.4f} ± {error:.4f}" for mean, error in errors)
        print(f"{name:18} {asked:9,.0f} questions  wave {wave}  jobless {jobless}")
    if options.picture:
        draw(rows, options.picture)


if __name__ == "__main__":
    main()
