"""Does nudging some people change what the others do? A town in Mesa: in a browser, or as a batch of runs.

Run: python examples/mesa_dashboard.py          (under a minute; --help for options)
Page: solara run examples/mesa_dashboard.py     (needs pip install "ethogram[viz]")

People adopt what their neighbours have adopted. A campaign nudges some of them, every day. The page shows who has
adopted, on a map, with sliders for the campaign and for how much neighbours count. The script asks what the campaign
does to people whom it never reaches: Mesa's batch_run sweeps the share that is nudged, over the same seeds, so that
two shares meet the same luck.
"""

import argparse
import functools
import sys
from pathlib import Path
from typing import Any

import networkx as nx
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from mesa import DataCollector, batch_run

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.simulator import Do, Draws, Effect
from ethogram.simulator.networks import Contacts
from ethogram.simulator.populations.mesa_model import PopulationModel
from ethogram.simulator.report import plots

NUDGE = 2.0  # log-odds a day
SHARES = (0.0, 0.1, 0.2, 0.4)
SHOW_VALUES = ".v-slider__thumb-label-container { display: block !important } .v-input__slider { margin-top: 1.5rem }"
NEVER, ADOPTED, NUDGED = "0.82", plots.COLOURS[0], plots.COLOURS[1]


@functools.cache
def neighbours(people: int) -> tuple[nx.Graph, Contacts]:
    """A town: people at random places of a square, in contact with those nearby, eight on average."""
    graph = nx.random_geometric_graph(people, radius=(8 / (torch.pi * people)) ** 0.5, seed=1)
    return graph, Contacts.from_networkx(graph)


class Town(PopulationModel):
    """Adoption in a town where a share of people is nudged every day."""

    def __init__(self, nudged: float = 0.2, peer_effect: float = 5.0, people: int = 400, **kwargs: Any) -> None:
        """nudged: a share in [0, 0.5]; the others, half of the town, never are. peer_effect: see Adoption; a seed."""
        self.graph, contacts = neighbours(people)
        turn = Draws(1, torch.arange(people)).uniform("turn")  # a larger share nudges the same people, and more
        self.nudged, self.others = turn < nudged, turn >= 0.5  # (n,) bool
        super().__init__(
            Adoption(contacts, intercept=-5.0, peer_effect=peer_effect),
            Fixed(0.0),
            rows=people,
            interventions=[Do("action", NUDGE, who=self.nudged)],
            model_reporters={
                "everybody": lambda town: town.adopted.float().mean().item(),
                "never nudged": lambda town: town.adopted[town.others].float().mean().item(),
            },
            **kwargs,
        )

    @property
    def adopted(self) -> torch.Tensor:
        """(n,) bool."""
        return self.column("observation")[:, 0] > 0


def draw_map(town: Town, ax: Axes) -> Axes:
    """Who has adopted, where; a ring around those who are nudged."""
    place = [town.graph.nodes[i]["pos"] for i in range(len(town.adopted))]
    ax.add_collection(LineCollection([(place[i], place[j]) for i, j in town.graph.edges], colors="0.9", linewidths=0.6))
    colours = [ADOPTED if adopted else NEVER for adopted in town.adopted.tolist()]
    ring = [NUDGED if nudged else "white" for nudged in town.nudged.tolist()]
    ax.scatter(*zip(*place, strict=True), s=34, c=colours, edgecolors=ring, linewidths=1.3, zorder=2)
    for name, colour, edge in (("adopted", ADOPTED, "white"), ("not", NEVER, "white"), ("nudged", "white", NUDGED)):
        ax.scatter([], [], s=34, c=colour, edgecolors=edge, linewidths=1.3, label=name)
    ax.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=9)
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    now, share, effect = town.adopted.float().mean(), town.nudged.float().mean(), town.world.peer_effect
    title = f"Day {town.steps}: {100 * now:.0f} % have adopted ({100 * share:.0f} % nudged, peer effect {effect:g})"
    ax.set_title(title, loc="left", fontsize=10.5)
    return ax


def draw_curves(town: Town, ax: Axes) -> Axes:
    """The shares that the town's data collector has found, by day."""
    frame = town.datacollector.get_model_vars_dataframe()
    plots.curves(ax, dict(frame.items()), frame.index)
    ax.set(xlim=(0, max(30, len(frame))), ylim=(0, 1))
    return plots.label(ax, "Share who have adopted", "day", "share")


def page():
    """The Solara page; raises ImportError where what it needs is not installed."""
    try:
        import solara
        from mesa.visualization import Slider, SolaraViz
    except ImportError as error:
        raise ImportError(f"{error}: the page needs Solara and Altair; pip install 'ethogram[viz]'") from error
    if not hasattr(solara.v, "TabsItems"):
        raise ImportError("Mesa's page needs Vuetify 2, so ipyvuetify below 2; pip install 'ethogram[viz]'")

    def town_map(town: Town) -> None:
        solara.FigureMatplotlib(draw_map(town, plots.panels(1, size=(5.2, 5.0))[0]).figure)

    def curves(town: Town) -> None:
        solara.FigureMatplotlib(draw_curves(town, plots.panels(1, size=(5.2, 4.2))[0]).figure)

    @solara.component
    def Page() -> None:
        town = solara.use_memo(lambda: Town(seed=0), [])  # one for each visitor
        solara.Title("Does a nudge spread?")
        solara.Style(SHOW_VALUES)
        SolaraViz(
            town,
            components=[town_map, curves],
            model_params={
                "nudged": Slider("Share nudged", 0.2, 0.0, 0.5, 0.05),
                "peer_effect": Slider("Peer effect (log-odds)", 5.0, 0.0, 8.0, 0.5),
                "seed": Slider("Seed", 0, 0, 20, 1),
            },
            name="Does a nudge spread? Set the sliders, press Reset, then ▶",
            play_interval=150,
        )

    return Page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=400, help="in the town (default 400)")
    parser.add_argument("--days", type=int, default=60, help="a run (default 60)")
    parser.add_argument("--seeds", type=int, default=20, help="runs of each share (default 20)")
    parser.add_argument("--processes", type=int, default=1, help="for the batch of runs (default 1)")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figure (default outputs)")
    arguments = parser.parse_args()
    people, days, seeds = (150, 30, 4) if arguments.quick else (arguments.people, arguments.days, arguments.seeds)

    town, diary = Town(people=people, seed=0), DataCollector(agent_reporters={"adopted": "adopted"})
    for _ in range(days):
        town.step()
        diary.collect(town)
    ever = diary.get_agent_vars_dataframe()["adopted"].groupby("AgentID").any().mean()
    print(
        f"{people} people, {int(town.nudged.sum())} nudged: {100 * ever:.0f} % had adopted at some time in {days} days"
    )

    runs = batch_run(
        Town,
        {"nudged": SHARES, "people": people, "seed": range(seeds)},
        max_steps=days,
        data_collection_period=1,
        number_processes=arguments.processes,
    )
    found = pd.DataFrame(runs).pivot(index=["nudged", "seed"], columns="Step", values="never nudged")
    by_day = {share: torch.tensor(found.loc[share].to_numpy()) for share in SHARES}  # (seeds, days + 1)

    town_ax, ax = plots.panels(2, size=(5.4, 4.8))
    draw_map(town, town_ax)
    plots.curves(ax, {f"{100 * share:.0f} % nudged": adopters for share, adopters in by_day.items()}, range(days + 1))
    plots.label(ax, f"Those never nudged, {seeds} runs", "day", "share who have adopted")
    path = plots.save(ax, arguments.out / "mesa_dashboard.png")

    print(f"Figure: {path}")
    effects = {s: Effect(by_day[0.0][:, -1], by_day[s][:, -1], tuple(range(seeds))) for s in SHARES[1:]}
    print(f"Share of the never nudged who have adopted on day {days}, against nobody nudged:")
    for share, effect in effects.items():
        print(f"  with {100 * share:.0f} % of people nudged {effect}")


if "solara.server.app" in sys.modules:  # `solara run` executes this file, as __main__ too
    Page = page()
elif __name__ == "__main__":
    main()
