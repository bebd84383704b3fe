"""What does sharing luck buy in a population, where one infection changes many?

Run: python benchmarks/populations/population_pairing.py            (a minute on two CPU cores, longer on busy ones)
     python benchmarks/populations/population_pairing.py --quick    (seconds, fewer people and seeds)

An epidemic (``SEIR``) on a random network of mean degree 16, changed at step 30: a share of the people is vaccinated,
or transmission falls. The outcome is how many of the others are infected within 100 steps. Three ways to compare a run
with the change to one without:

keyed: the same seed; each draw depends on whom and what it is about, so that it is the same where nothing changed.
stream: the same seed for one generator, from which those who need a draw take the next one, as fast programs do.
independent: another seed.

For each: the standard deviation of the difference between two runs, and the share of infection days that moved: of
the others who are infected in either run, those who are not infected on the same day in both. The variance ratio is
that of independent runs over keyed ones: so many times fewer runs give the same confidence.

Keys are not the only way to stay in step here: a generator from which everybody takes a number for every question on
every day, needed or not, pairs as well when 1 % are vaccinated (standard deviation 10.9 to 13.0, the same 16 seeds).
It is thrown out of step by one person more.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import SEIR
from ethogram.simulator import Do, Draws, History, Processes, Record, Setup, Sites, Transition, ensemble, rollout
from ethogram.simulator.networks import Contacts, erdos_renyi
from ethogram.simulator.report.plots import COLOURS, label, panels, save
from ethogram.simulator.whatif import Effect

VACCINATED = (0.001, 0.01, 0.05, 0.2, 0.5)  # shares of the people
REDUCED = (0.01, 0.05, 0.1, 0.2, 0.4)  # of transmission
START, HORIZON = 30, 100
RECORD = [Record("action", every=HORIZON), Record("reward", every=HORIZON)]  # the stages say it all


@dataclass(frozen=True, eq=False)
class Stream(Draws):
    """Draws from one generator, in order of asking, for those only who need one."""

    generator: Any = None

    def uniform(self, site: str, index: int | Tensor | None = None) -> Tensor:
        """The next n numbers."""
        assert index is None
        return torch.rand(len(self.ids), generator=self.generator)

    def bernoulli(self, site: str, probability: Any, index: Any = None, among: Tensor | None = None) -> Tensor:
        """The next numbers for those ``among`` all."""
        who = torch.ones_like(self.ids, dtype=torch.bool) if among is None else among
        return who.index_put((who,), torch.rand(int(who.sum()), generator=self.generator) < probability)

    def event(self, site: str, hazard: Tensor) -> Tensor:
        """The next numbers for those who run a risk."""
        risk = hazard > 0
        return risk.index_put(
            (risk,), torch.rand(int(risk.sum()), generator=self.generator) < -torch.expm1(-hazard[risk])
        )


class _Streamed(NamedTuple):
    state: Any
    generator: torch.Generator


@dataclass(frozen=True, eq=False)
class OneStream:
    """A world whose chance is one generator, seeded with the run's seed."""

    world: SEIR

    @property
    def observation_space(self) -> Any:
        """The world's."""
        return self.world.observation_space

    @property
    def action_space(self) -> Any:
        """The world's."""
        return self.world.action_space

    def reset(self, draws: Draws, site: Sites) -> tuple[_Streamed, Any]:
        """The world's first state, and a new generator."""
        generator = torch.Generator().manual_seed(draws.seed)
        state, observation = self.world.reset(_stream(draws, generator), site)
        return _Streamed(state, generator), observation

    def step(self, state: _Streamed, action: Any, draws: Draws, site: Sites) -> Transition:
        """The world's step, with the generator's next numbers."""
        inner, *rest = self.world.step(state.state, action, _stream(draws, state.generator), site)
        return Transition(_Streamed(inner, state.generator), *rest)


def _stream(draws: Draws, generator: torch.Generator) -> Stream:
    return Stream(draws.seed, draws.ids, draws.step, draws.scope, generator=generator)


class Change(NamedTuple):
    """An intervention with its dose, and whom it treats."""

    kind: str
    dose: float
    do: Do
    treated: Tensor  # (n,) bool; their infections do not count

    def __str__(self) -> str:
        return f"{self.kind} {100 * self.dose:g} %"


def changes(n: int) -> list[Change]:
    """Vaccination of a share of the people, chosen at random, and lower transmission for all, from step 30."""
    place = (
        Draws(0, torch.arange(n), scope="who").uniform("place").argsort().argsort()
    )  # a larger share has the smaller
    nobody = torch.zeros(n, dtype=torch.bool)
    found = []
    for dose in VACCINATED:
        who = place < dose * n
        found.append(Change("vaccinate", dose, Do("hazard", 0.0, start=START, who=who), who))
    for dose in REDUCED:
        lower = Do("hazard", lambda h, dose=dose: h * (1 - dose), start=START)
        found.append(Change("transmission less by", dose, lower, nobody))
    return found


def infection_day(history: History) -> Tensor:
    """(n,) the step at which each person is infected: how many steps they were healthy; HORIZON + 1 for never."""
    return (history.observation == 0).sum(1)


class Comparison(NamedTuple):
    """Of runs with a change to runs without."""

    effect: Effect  # on the number of others infected
    moved: float  # share of infection days


def compared(factual: Tensor, changed: Tensor, change: Change, seeds: Sequence[int]) -> Comparison:
    """factual, changed: (seeds, n) days of infection."""
    a, b = factual[:, ~change.treated], changed[:, ~change.treated]
    never = HORIZON + 1
    either = (a < never) | (b < never)
    effect = Effect((a < never).sum(1).double(), (b < never).sum(1).double(), tuple(seeds))
    return Comparison(effect, float((a != b)[either].double().mean()))


def interval(effect: Effect, level: float = 0.9) -> tuple[float, float]:
    """Of the variance ratio: quantiles over 2,000 resamples of the pairs."""
    pick = torch.from_numpy(np.random.default_rng(0).integers(0, len(effect.seeds), (2000, len(effect.seeds))))
    a, b = effect.factual[pick], effect.counterfactual[pick]
    ratio = (a.var(1) + b.var(1)) / (b - a).var(1)
    low, high = ratio.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)).tolist()
    return low, high


def check_exactness(world: SEIR, horizon: int) -> None:
    """What keyed draws promise to the bit; prints a line each, or fails."""
    n = world.contacts.num_people
    run: dict[str, Any] = {"horizon": horizon, "seed": 1, "record": RECORD}
    plain = rollout(world, Fixed(0), rows=n, **run).observation
    nothing = [Do("hazard", lambda h: h * 1.0), Do("recovers", lambda r: r, start=START)]
    assert torch.equal(rollout(world, Fixed(0), rows=n, interventions=nothing, **run).observation, plain)
    print(f"a dose of zero: {plain.numel():,} stages, all the same")

    contacts = world.contacts
    assert isinstance(contacts, Contacts)
    gone = Draws(0, torch.arange(n), scope="who").uniform("gone") < 0.1
    home = rollout(world, Fixed(0), rows=n, interventions=[Do("action", 1, who=gone)], **run).observation
    kept = (~gone).nonzero()[:, 0]
    fewer = SEIR(only(contacts, kept), world.transmission, world.onset_rate, world.recovery_rate, world.initial)
    removed = rollout(fewer, Fixed(0), rows=kept, **run).observation
    assert torch.equal(removed, home[kept])
    print(f"{int(gone.sum()):,} people removed, or at home all the time: the {len(kept):,} others live the same lives")
    ever = (plain[kept, -1] > 0).sum() - (removed[:, -1] > 0).sum()
    print(f"  (and {int(ever):,} fewer of them are infected than if all were there)")


def only(contacts: Contacts, people: Tensor) -> Contacts:
    """The contacts of some people, (k,) int64, who are 0 to k - 1 then."""
    place = torch.full((contacts.num_people,), -1).index_put((people,), torch.arange(len(people)))
    source, target = place[contacts.source], place[contacts.target.long()]
    once = (source >= 0) & (source < target)
    return Contacts.from_edges(source[once], target[once], len(people))


def draw(found: dict[str, list[tuple[Change, dict[str, Comparison]]]], path: Path) -> Path:
    """Variance ratios and moved days over doses, a row of panels for each kind of change."""
    axes = panels(4)
    for row, (kind, results) in enumerate(found.items()):
        dose = [100 * change.dose for change, _ in results]
        for k, way in enumerate(("keyed", "stream")):
            effects = [by[way].effect for _, by in results]
            ratio = [float(e.variance_ratio) for e in effects]
            low, high = zip(*map(interval, effects), strict=True)
            axes[2 * row].plot(dose, ratio, "o-", color=COLOURS[k], label=way)
            axes[2 * row].fill_between(dose, low, high, color=COLOURS[k], alpha=0.2, linewidth=0)
        for k, way in enumerate(("keyed", "stream", "independent")):
            moved = [100 * by[way].moved for _, by in results]
            axes[2 * row + 1].plot(dose, moved, "o-", color=COLOURS[k], label=way)
        what = f"{kind} … %" if kind != "vaccinate" else "people vaccinated, %"
        label(axes[2 * row], "Variance of independent runs / of paired runs", what, "ratio")
        label(axes[2 * row + 1], "Infection days that moved", what, "% of the infected")
        axes[2 * row].set_yscale("log")
        axes[2 * row].axhline(1, color="0.4", linewidth=0.9)
        axes[2 * row + 1].set_ylim(0, 103)
        for ax in axes[2 * row : 2 * row + 2]:
            ax.set_xscale("log")
            ax.set_xticks(dose, [f"{d:g}" for d in dose], minor=False)
            ax.minorticks_off()
            ax.legend(frameon=False)
    return save(axes, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20_000, help="in each run (default 20,000)")
    parser.add_argument("--seeds", type=int, default=40, help="runs of each kind (default 40)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--quick", action="store_true", help="4,000 people, 8 seeds")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder of the figure (default outputs)")
    arguments = parser.parse_args()
    n, seeds = (4000, range(8)) if arguments.quick else (arguments.people, range(arguments.seeds))
    torch.set_num_threads(1)
    world = SEIR(erdos_renyi(n, 16.0, seed=1))
    check_exactness(world, HORIZON)
    setup = Setup(world, Fixed(0), rows=n, horizon=HORIZON, record=RECORD)
    scenarios = {"as it is": [], **{str(change): [change.do] for change in changes(n)}}
    half = seeds[: max(2, len(seeds) // 2)]  # a stream says the same with fewer
    days = {
        way: ensemble(
            replace(setup, world=instance),
            outcome=infection_day,
            seeds=some,
            scenarios=scenarios,
            progress=True,
            backend=Processes(arguments.workers),
        )
        for way, instance, some in (("keyed", world, seeds), ("stream", OneStream(world), half))
    }
    print(
        f"\n{n:,} people, {len(seeds)} seeds ({len(half)} with one stream); the effect on the others, sd of one run's"
    )
    print(
        f"{'change from step 30':<30} {'effect':>9} {'sd keyed':>9} {'stream':>7} {'indep.':>7} "
        f"{'ratio [90 %]':>21} {'stream':>7} {'moved: keyed':>13} {'stream':>7} {'indep.':>7}"
    )
    found: dict[str, list[tuple[Change, dict[str, Comparison]]]] = {}
    for change in changes(n):
        by = {
            way: compared(runs.values["as it is"], runs.values[str(change)], change, runs.seeds)
            for way, runs in days.items()
        }
        plain, changed = (days["keyed"].values[name] for name in ("as it is", str(change)))
        by["independent"] = compared(plain, changed.roll(1, 0), change, seeds)
        found.setdefault(change.kind, []).append((change, by))
        effect, stream = by["keyed"].effect, by["stream"].effect
        independent = float((effect.factual.var() + effect.counterfactual.var()).sqrt())
        low, high = interval(effect)
        print(
            f"{change!s:<30} {effect.mean:>+9.1f} {effect.difference.std():>9.1f} {stream.difference.std():>7.1f} "
            f"{independent:>7.1f} {effect.variance_ratio:>7.1f} [{low:>5.1f}, {high:>5.1f}] "
            f"{stream.variance_ratio:>7.1f} "
            + f"{by['keyed'].moved:>12.1%} {by['stream'].moved:>7.1%} {by['independent'].moved:>7.1%}"
        )
    print(f"\nFigure: {draw(found, arguments.out / 'population_pairing.png')}")


if __name__ == "__main__":
    main()
