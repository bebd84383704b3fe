"""What if the schools had closed two weeks earlier?

Run: python examples/epidemic_what_if.py        (about a minute on two CPU cores; --help for options)

A synthetic city falls ill, and closes its schools on day 42. What would have happened had it closed them on day 28, or
only those of its northern half; had it vaccinated about half of those over 60 in the first two weeks; had it told all
over 60 to stay at home from day 28? Each what-if runs in the same cities with the same luck as what happened, so that
they differ only where the change acts, and in what follows.

People go by a rule (``Heuristic``): the more cases are announced, the more of them stay at home. Closing schools
earlier therefore also makes people less careful later. City, rule and numbers are designed, and fitted to no place: the
answers are about this model, docs/epidemics.md says which parts of it are whose.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ethogram.agents.citizens import Heuristic
from ethogram.envs.epidemics import AGE_BANDS, Disease, Epidemic
from ethogram.envs.people import Population, city_layers, synthetic_city
from ethogram.simulator import Do, Effect, Ensemble, History, Processes, Record, Setup, ensemble
from ethogram.simulator.report import pictures, plots, report

DAYS, CLOSED, EARLIER = 126, 42, 28
AREAS, COLUMNS = 20, 5  # a city of four rows of five areas
CLOSE = {"household": 2.0, "school": 2.0, "community": 0.5}  # how close contacts are, against those at work
SITES = ("infected", "died", "isolates", "jobless")
ALL, BY_DAY, BY_AREA, BY_AGE = (1, 2, 3), (2, 3), (1, 3), (1, 2)  # axes to sum over, of seeds, days, areas, ages
FACTUAL = f"schools closed on day {CLOSED}"
EARLY, VACCINES, SHIELDING, NORTH = WHAT_IFS = (
    "schools two weeks earlier",
    "half of those over 60 vaccinated",
    f"over 60 at home from day {EARLIER}",
    "schools two weeks earlier in the north only",
)


def city(num_people: int) -> tuple[Population, Epidemic]:
    """Who lives there, and the world they live in."""
    people = synthetic_city(num_people, num_areas=AREAS)
    disease = Disease(importation=1 / 60_000)  # one a day among 60,000 people
    layers = city_layers(people, daily=1)
    world = Epidemic(layers, people["age"], people["area"], disease, layer_weight=CLOSE, initial=0.0015)
    return people, world


def what_ifs(people: Population) -> dict[str, list[Do]]:
    """What happened, and what might have."""
    old = people.mask(age=range(60, 121))
    north = people.mask(area=range(AREAS // 2))
    closed = Do("attends_school", 0.0, start=CLOSED)
    stay = torch.tensor([1, 1], dtype=torch.int8)  # isolate, and want a job all the same
    return {
        FACTUAL: [closed],
        EARLY: [Do("attends_school", 0.0, start=EARLIER)],
        VACCINES: [closed, Do("vaccination", 0.05, stop=14, who=old)],  # 1 - 0.95^14 = 51 %
        SHIELDING: [closed, Do("action", stay, start=EARLIER, who=old)],
        NORTH: [Do("attends_school", 0.0, start=EARLIER, who=north), closed],
    }


def kept(history: History) -> Tensor:
    """(sites, T, areas, age bands) how many people, each day."""
    return torch.stack([history.series[site].unflatten(1, (AREAS, len(AGE_BANDS))) for site in SITES])


def simulate(people: Population, world: Epidemic, seeds: int, workers: int | None) -> Ensemble:
    """All what-ifs with all seeds, outcomes as ``kept`` has them."""
    cell = world.area * len(AGE_BANDS) + world.age_band  # (n,) area and age band in one number
    core = [Record(name, reduce="sum") for name in ("action", "reward")]  # whole they would fill the memory
    core.append(Record("observation", every=DAYS, reduce=lambda seen: seen["cases"].mean()))
    record = [*core, *(Record(site, reduce="sum", by=cell) for site in SITES)]
    setup = Setup(world, Heuristic(when_ill=0.6, half=60.0), rows=len(people), horizon=DAYS, record=record)
    return ensemble(
        setup,
        outcome=kept,
        seeds=range(seeds),
        scenarios=what_ifs(people),
        progress=True,
        backend=None if workers == 1 else Processes(workers),
    )


def change(found: Ensemble, name: str, site: str, over: tuple[int, ...]) -> Effect:
    """What a what-if changes in a site, summed over axes of (seeds, days, areas, age bands)."""
    both = (found.values[scenario][:, SITES.index(site)].sum(over) for scenario in (FACTUAL, name))
    return Effect(*both, found.seeds)


def told(effect: Effect) -> str:
    """Fewer or more, with the standard error, and whether that can be told from nothing."""
    mean, error = effect.mean.item(), effect.stderr.item()
    if error == 0 and mean == 0:
        return "the same in every pair"
    doubt = "" if abs(mean) > 2 * error else ", not to be told from none"
    return f"{abs(mean):,.1f} ± {error:.1f} {'fewer' if mean < 0 else 'more'}{doubt}"


def averted(found: Ensemble, what: str, groups: Iterable[Any], over: tuple[int, ...]) -> list[dict[str, Any]]:
    """A row for each group: what closing schools two weeks earlier averts there, ± standard errors."""
    rows: list[dict[str, Any]] = [{what: group} for group in groups]
    for site, events in (("infected", "infections averted"), ("died", "deaths averted")):
        effect = change(found, EARLY, site, over)
        for row, mean, error in zip(rows, effect.mean, effect.stderr, strict=True):
            row[events] = f"{round(-mean.item(), 1) + 0.0:.1f} ± {error:.1f}"  # no -0
    return rows


def curves(found: Ensemble) -> list[Any]:
    """The figure of what happens over time, and to whom; a scenario has one colour in all panels."""
    shown, day = (FACTUAL, EARLY, VACCINES, SHIELDING), torch.arange(1, DAYS + 1)

    def daily(site: str, names: tuple[str, ...] = shown) -> dict[str, Tensor]:
        return {name: found.values[name][:, SITES.index(site)].sum(BY_DAY) for name in names}  # (seeds, T) each

    panels = plots.panels(6, columns=3, size=(5.0, 3.7))
    infections, so_far, by_age, deaths, isolating, jobless = panels
    plots.label(infections, "Infections a day, mean of 7 (dotted: schools close)", "day", "people infected a day")
    week = {name: values.unfold(1, 7, 1).mean(-1) for name, values in daily("infected", (FACTUAL, EARLY)).items()}
    plots.curves(infections, week, day[6:])
    plots.label(so_far, "Change in infections so far", "day", "people infected, change")
    running = {}
    for name in shown[1:]:
        effect = change(found, name, "infected", BY_DAY)
        running[name] = Effect(effect.factual.cumsum(1), effect.counterfactual.cumsum(1), effect.seeds)
    plots.effect(so_far, running, day, first=1)
    for ax in (infections, so_far):
        for start in (EARLIER, CLOSED):
            ax.axvline(start, color="0.6", linestyle=":", linewidth=1)
    plots.label(by_age, "Deaths averted by age (lines: ± 2 standard errors)", "age (years)", "deaths averted")
    died = {name: change(found, name, "died", BY_AGE) for name in shown[1:]}
    plots.bars(by_age, AGE_BANDS, {name: (-e.mean, 2 * e.stderr) for name, e in died.items()}, first=1)
    plots.label(deaths, "Deaths so far", "day", "people who died")
    plots.curves(deaths, {name: values.cumsum(1) for name, values in daily("died").items()}, day)
    plots.label(isolating, "Who stays at home (cases are announced weekly)", "day", "people isolating")
    plots.curves(isolating, daily("isolates"), day)
    plots.label(jobless, "What it costs in jobs", "day", "people who want a job and have none")
    plots.curves(jobless, daily("jobless"), day)
    for ax in (infections, deaths, isolating, jobless):
        ax.set_ylim(bottom=0)
    for ax in (deaths, isolating, jobless):
        ax.set_ylim(top=1.6 * ax.get_ylim()[1])  # room for the legend
    return panels


def maps(found: Ensemble, people: Population) -> list[Any]:
    """The figure of where: areas side by side, a picture of the city and not a map of a place."""
    residents = people["area"].bincount(minlength=AREAS)
    panels = plots.panels(3, columns=3, size=(4.9, 3.3))
    share = 100 * found.mean(FACTUAL)[SITES.index("infected")].sum((0, 2)) / residents
    plots.label(panels[0], f"Infected in {DAYS} days, {FACTUAL}", "", "")
    pictures.tiles(panels[0], share, "% of the people of an area", columns=COLUMNS)
    fewer = [-1000 * change(found, name, "infected", BY_AREA).mean / residents for name in (EARLY, NORTH)]
    most = max(value.abs().max().item() for value in fewer)
    for ax, name, value in zip(panels[1:], ("everywhere", "above the line only"), fewer, strict=True):
        plots.label(ax, f"Schools two weeks earlier {name}", "", "")
        pictures.tiles(ax, value, "infections averted per 1,000 people", columns=COLUMNS, most=most)
    panels[2].axhline(AREAS / COLUMNS / 2 - 0.5, color="black", linewidth=1.5)
    return panels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--people", type=int, default=20_000, help="who live in the city, 4,000 or more (default 20,000)"
    )
    parser.add_argument("--seeds", type=int, default=8, help="pairs of runs for each what-if, 2 or more (default 8)")
    parser.add_argument("--workers", type=int, help="processes; 1: none besides this one (default: one a processor)")
    parser.add_argument("--quick", action="store_true", help="a small city and few pairs, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for pictures (default outputs)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.people, arguments.seeds, arguments.workers = 4000, 3, 1
    if arguments.people < 4000 or arguments.seeds < 2:
        parser.error("expected --people 4000 or more, so that all ages live in all areas, and --seeds 2 or more")

    torch.set_num_threads(1)  # runs go side by side; threads of one would wait for those of the others
    people, world = city(arguments.people)
    found = simulate(people, world, arguments.seeds, arguments.workers)
    infected, died = (found.values[FACTUAL][:, place].sum(ALL) for place in (0, 1))
    print(f"{arguments.people:,} people in {AREAS} areas, {DAYS} days, {arguments.seeds} pairs of runs a what-if.")
    print(f"What happened, {FACTUAL}: {infected.mean():,.0f} infected, {died.mean():.1f} dead (mean over seeds)")
    print("Variance ratio: how many times more variance independent seeds would have; rough, from so few pairs.")
    before = change(found, EARLY, "infected", BY_DAY).difference[:, :EARLIER]
    print(f"\nThe largest change in any run before day {EARLIER} is {before.abs().max():g}, for luck is shared. Then:")
    totals: list[dict[str, Any]] = []
    for name in WHAT_IFS:
        cases, deaths = (change(found, name, site, ALL) for site in ("infected", "died"))
        ratios = [f"{r:.1f}" if r.isfinite() else "unknown" for r in (cases.variance_ratio, deaths.variance_ratio)]
        totals.append({"what if": name, "infections": told(cases), "deaths": told(deaths)})
        totals[-1] |= {"variance ratio of infections": ratios[0], "of deaths": ratios[1]}
        print(f"  {name}: infections {told(cases)}; deaths {told(deaths)}")
        print(f"    variance ratio {ratios[0]} (infections), {ratios[1]} (deaths)")

    ages, areas = averted(found, "age", AGE_BANDS, BY_AGE), averted(found, "area", range(AREAS), BY_AREA)
    print(f"\nBy age, {EARLY}:")
    for row in ages:
        print("  " + ", ".join(f"{name} {value}" for name, value in row.items()))

    by_area = change(found, NORTH, "infected", BY_AREA)
    halves = [
        Effect(by_area.factual[:, half].sum(1), by_area.counterfactual[:, half].sum(1), found.seeds)
        for half in (slice(0, AREAS // 2), slice(AREAS // 2, AREAS))
    ]
    print(f"\n{NORTH}: infections {told(halves[0])} in the north, {told(halves[1])} in the south")

    over_time, where = curves(found), maps(found, people)
    first = plots.save(over_time, arguments.out / "epidemic_what_if.png")
    second = plots.save(where, arguments.out / "epidemic_what_if_areas.png")
    page = report(
        {
            "The city": [
                f"{arguments.people:,} synthetic people in {AREAS} areas, {DAYS} days, {arguments.seeds} pairs of runs "
                f"for each what-if. What happened: {FACTUAL}; {infected.mean():,.0f} people were infected and "
                f"{died.mean():.1f} died, on average over seeds.",
                "City, people's rule and numbers are designed, and fitted to no place.",
            ],
            "What would have changed": [
                "± is one standard error over pairs. The variance ratio says how many times more variance independent "
                "seeds would have had; from so few pairs it is rough.",
                totals,
                over_time[0],
                "Bands are ± 1 standard deviation over runs for curves, ± 2 standard errors for changes. Dotted: the "
                "days on which schools close.",
            ],
            f"By age, {EARLY}": [ages],
            f"By area, {EARLY}": [
                areas,
                where[0],
                "The line parts north from south. Areas are neighbours on the picture only: people meet at home, at "
                "school and in their own area, at work and by chance all over the city.",
            ],
        },
        arguments.out / "epidemic_what_if.html",
        title="What if the schools had closed two weeks earlier?",
    )
    print(f"\nPictures: {first}, {second}\nReport: {page}")
    print(f"\nDeaths, had the schools closed two weeks earlier: {told(change(found, EARLY, 'died', ALL))}")


if __name__ == "__main__":
    main()
