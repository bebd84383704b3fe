"""What if people in your own network had halved their contacts from day 10 on?

Run: python examples/your_own_city.py [edges.csv people.csv]        (seconds; without files, of two that it writes)"""

import argparse
from pathlib import Path

import pandas as pd

from ethogram import Do, Setup, agents, contrast
from ethogram.envs.epidemics import Epidemic
from ethogram.envs.people import from_table, join_layers
from ethogram.simulator.networks import Contacts, small_world
from ethogram.simulator.report import plots

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("files", type=Path, nargs="*", help="edges: from, to; people, in any order: who, age, area")
parser.add_argument("--quick", action="store_true", help="fewer pairs of runs")
parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder of the picture (default outputs)")
options = parser.parse_args()
edges, survey = options.files or [options.out / f"your_own_{name}.csv" for name in ("edges", "people")]
if not options.files:  # a town of 2,000, whose survey came back in another order than its edge list
    options.out.mkdir(parents=True, exist_ok=True)
    name, graph = pd.Series([f"person {i:04}" for i in range(2000)]), small_world(2000, 10, 0.1, seed=1).to_networkx()
    pd.DataFrame([(name[a], name[b]) for a, b in graph.edges], columns=["from", "to"]).to_csv(edges, index=False)
    table = pd.DataFrame({"who": name, "age": 20 + name.index % 60, "area": name.index // 500})
    table.sample(frac=1, random_state=1).to_csv(survey, index=False)
people, met = from_table(survey, id="who"), pd.read_csv(edges)
layers = join_layers(people, {"community": Contacts.from_edges(met["from"], met["to"])})  # by name, or not at all
town = Epidemic(layers, people["age"], people["area"], initial=20)
setup = Setup(town, agents.Routine(), rows=len(people), horizon=100, record=["infected"])
halved = [Do("attends_community", 0.5**0.5, start=10)]  # a contact counts by what both keep of it: half
seeds = range(4 if options.quick else 12)
by_day = contrast(setup, halved, outcome=lambda history: history["infected"].sum(0).cumsum(0), seeds=seeds)
print(people, layers["community"], sep="\n")
print(f"{by_day.factual.mean(0)[-1]:.0f} infections, {by_day.mean[-1]:+.0f} ± {by_day.stderr[-1]:.0f} with half")
ax = plots.axes("Half the contacts from day 10 on", "day", "change in infections so far")
plots.effect(ax, {f"{len(seeds)} pairs": by_day})
print(f"Picture: {plots.save(ax, options.out / 'your_own_city.png')}")
