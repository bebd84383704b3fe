"""Does nudging 2 % of people change what the others do?

Run: python examples/a_nudge_spreads.py        (under a minute; --help for options)

People adopt what their contacts have adopted, and give it up again. For ten days a campaign talks 2 % of them into it:
each of these adopts with probability 1/2 a day, at least. Outcome: the share of adopters among those whom no campaign
addresses. It is compared whom the campaign talks to, 2 % at random or the 2 % with the most contacts, on a small
world, where all have about equally many, and on a scale-free network, where a few have very many.

All runs of a seed share their luck: a person whom the nudge does not reach, through whatever chain of contacts, lives
the same life to the bit. That is what makes the effect of a few visible through the noise of all. Designed, and fitted
to no campaign.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.simulator import Do, Effect, Ensemble, History, Setup, ensemble, rollout
from ethogram.simulator.draws import Draws
from ethogram.simulator.networks import Contacts, scale_free, small_world
from ethogram.simulator.report import pictures, plots
from ethogram.simulator.whatif import standard_error

DAYS, START, STOP = 60, 10, 20  # the campaign acts from day 11 to day 20
LATER = 30  # ten days after it
SHARE = 0.02
NOBODY, RANDOM, BEST = "nobody is nudged", "2 % at random", "the 2 % best connected"
SMALL_WORLD, SCALE_FREE = "small world", "scale-free"


def adoption(contacts: Contacts) -> Adoption:
    """A behaviour that stays rare by itself, and that a few can carry for a while."""
    return Adoption(contacts, intercept=-5.0, peer_effect=5.0, churn=0.1)


def nudged(contacts: Contacts) -> dict[str, Tensor]:
    """Whom each campaign addresses, (n,) bool."""
    n = contacts.num_people
    luck = Draws(0, torch.arange(n), scope="campaign").uniform("whom")
    orders = {RANDOM: luck.argsort(), BEST: (contacts.degree + luck).argsort(descending=True)}  # luck breaks ties
    never = torch.zeros(n, dtype=torch.bool)
    return {name: never.index_fill(0, order[: round(SHARE * n)], True) for name, order in orders.items()}


def campaign(who: Tensor) -> list[Do]:
    """Ten days of persuasion."""
    return [Do("propensity", lambda p: p.clamp(min=0.5), start=START, stop=STOP, who=who)]


def simulate(contacts: Contacts, seeds: int) -> Ensemble:
    """The lives, (seeds, others, T) under each campaign, of those whom none of the campaigns addresses."""
    whom = nudged(contacts)
    others = ~(whom[RANDOM] | whom[BEST])

    def lives(history: History) -> Tensor:
        adopted: Tensor = history.column("adopted")  # (n, T) after each day
        return adopted[others]

    setup = Setup(adoption(contacts), Fixed(0.0), rows=contacts.num_people, horizon=DAYS, record=["adopted"])
    scenarios = {NOBODY: [], **{name: campaign(who) for name, who in whom.items()}}
    return ensemble(setup, outcome=lives, seeds=range(seeds), scenarios=scenarios, progress=True)


def spill_over(found: Ensemble, name: str, instead_of: str = NOBODY) -> Effect:
    """What a campaign does to those whom it does not address: (pairs, T) percentage points of them."""
    factual, counterfactual = (100 * found.values[scenario].mean(1) for scenario in (instead_of, name))
    return Effect(factual, counterfactual, found.seeds)


def told(effect: Effect, day: int) -> str:
    """The effect on a day, and whether it can be told from none."""
    mean, error = effect.mean[day - 1].item(), effect.stderr[day - 1].item()
    doubt = "" if abs(mean) > 2 * error else " (not to be told from none)"
    return f"{mean:+.2f} ± {error:.2f} on day {day}{doubt}"


def first_day(contacts: Contacts, interventions: list[Do]) -> Tensor:
    """(n,) the day on which each person first adopted, NaN for never."""
    world, n = adoption(contacts), contacts.num_people
    history = rollout(world, Fixed(0.0), rows=n, horizon=LATER, seed=1, interventions=interventions)
    adopted = history.observation[..., 0] > 0  # (n, T + 1), from the start on
    return torch.where(adopted.any(1), adopted.int().argmax(1).double(), torch.nan)


def figure(found: dict[str, Ensemble], pairs: int) -> list[Any]:
    """Some people's lives, and what all of them come to."""
    panels = plots.panels(4, size=(6.2, 4.6))
    few = scale_free(300, 2, seed=1)
    who = nudged(few)[BEST]
    for ax, title, changes, ring in (
        (panels[0], "300 people, nobody is nudged", [], None),
        (panels[1], f"The same people and luck, {who.sum()} of them nudged (ringed)", campaign(who), who),
    ):
        plots.label(ax, title, "", "")
        pictures.network(
            ax, few, first_day(few, changes), f"day of first adoption (grey: not by day {LATER})", ringed=ring
        )

    scale, effects = panels[2:]
    plots.label(scale, f"Those not nudged, {SCALE_FREE} (shaded: campaign)", "day", "have adopted (%)")
    plots.curves(scale, {name: 100 * found[SCALE_FREE].values[name].mean(1) for name in (NOBODY, RANDOM, BEST)})
    scale.set_ylim(bottom=0)
    title = f"Spill-over on those not nudged ({pairs} pairs)"
    plots.label(effects, title, "day", "change in adopters (percentage points)")
    by_name = {
        f"{name}, {network}": spill_over(found[network], name)
        for network in (SCALE_FREE, SMALL_WORLD)
        for name in (RANDOM, BEST)
    }
    plots.effect(effects, by_name, first=1)
    effects.set_ylim(top=1.45 * effects.get_ylim()[1])  # room for the legend
    for ax in (scale, effects):
        ax.axvspan(START + 0.5, STOP + 0.5, color="0.92", zorder=0)
    return panels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=3000, help="how many, 100 or more (default 3000)")
    parser.add_argument("--seeds", type=int, default=24, help="pairs of runs, 3 or more (default 24)")
    parser.add_argument("--quick", action="store_true", help="fewer people and pairs, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figure (default outputs)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.people, arguments.seeds = 1000, 6
    n, seeds = arguments.people, arguments.seeds
    if n < 100 or seeds < 3:
        parser.error(f"--people {n} --seeds {seeds}: expected 100 or more and 3 or more")

    torch.set_num_threads(1)  # so few people are not worth a second one
    networks = {SMALL_WORLD: small_world(n, 6, 0.1, seed=1), SCALE_FREE: scale_free(n, 3, seed=1)}
    found = {name: simulate(contacts, seeds) for name, contacts in networks.items()}
    print(f"{n:,} people, {seeds} pairs of runs; the campaign acts on days {START + 1} to {STOP}.")
    print("Change in the share of adopters among those not nudged, in percentage points ± standard error:")
    for network, runs in found.items():
        without = runs.values[NOBODY]
        print(f"\n{network}: {100 * without[..., LATER - 1].mean():.1f} % have adopted on day {LATER} without nudges")
        for name in (RANDOM, BEST):
            effect, same = spill_over(runs, name), (runs.values[name] == without).all(2).double().mean()
            apart = standard_error(effect.counterfactual - effect.factual.roll(1, 0))  # of another seed
            paired, ratio = effect.stderr[LATER - 1], effect.variance_ratio[LATER - 1]
            print(f"  {name}: {told(effect, LATER)}, {told(effect, DAYS)}")
            print(f"    {100 * same:.1f} % of the others' lives are the same to the bit")
            print(
                f"    the variance of independent seeds is {ratio:.1f} times that of pairs on day {LATER}; tried, they",
                end="",
            )
            print(f" give ± {apart[LATER - 1]:.2f} in place of ± {paired:.2f}")
        print(f"  {BEST} and not {RANDOM}: {told(spill_over(runs, BEST, RANDOM), LATER)}")

    path = plots.save(figure(found, seeds), arguments.out / "a_nudge_spreads.png")
    print(f"\nFigure: {path}")
    for network, runs in found.items():
        print(f"What nudging 2 % at random adds to the others, {network}: {told(spill_over(runs, RANDOM), LATER)}")


if __name__ == "__main__":
    main()
