"""Which policy next: can a planner that is trained on simulated epidemics beat every fixed policy in new ones?

Run: python examples/which_policy_next.py        (a minute or two; --help for options)
Needs: pip install "ethogram[sb3]"

A city of 4,000 people has an epidemic, and a planner who sets four levers for each week of half a year: close schools,
send workers home, close the community, pay a stimulus. The reward is minus the cost in weekly wages per person, of
infections, deaths, idleness and the levers themselves. PPO learns when to pull them. It is compared, in cities with new
luck that all policies share, with the best of the 16 settings that one could leave the levers at, and with a rule of
thumb: close the community after a week with many confirmed cases. The prices are designed
(``ethogram.envs.epidemics.planner``), so the answer is about this city and these prices; and what happens after the
half year costs a planner nothing.
"""

import argparse
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import LEVERS, epidemic_planner_world, per_1000
from ethogram.simulator import (
    Draws,
    Effect,
    History,
    Policy,
    Processes,
    Record,
    Setup,
    WorldVectorEnv,
    ensemble,
    rollout,
)
from ethogram.simulator.populations import Planner
from ethogram.simulator.report import plots
from ethogram.simulator.whatif import mean_return

if TYPE_CHECKING:
    from ethogram.agents.sb3 import SB3Policy

PEOPLE = 4000  # a planner's week costs less than twice that of 1,000; its luck evens out more
WEEKS = 26
TRAINING = 2288  # weeks of training: 11 updates of 8 half years each
COMPARING = 10_000  # the seed of the comparison; training and choosing have others
CLOSE_ABOVE = 0.1  # confirmed cases per 1,000 people and day


@dataclass(frozen=True)
class CloseAbove:
    """Closes the community for a week after one with more confirmed cases per 1,000 people and day than ``cases``."""

    cases: float

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """(r, 4) int8."""
        close = observation[:, 0] > self.cases
        return torch.nn.functional.pad(close[:, None], (2, 1)).to(torch.int8)


class Scaled(torch.nn.Module):
    """What the planner sees, each number made of order 1, and cases on a logarithmic scale."""

    features_dim = 5

    def __init__(self, space: object) -> None:
        super().__init__()

    def forward(self, seen: Tensor) -> Tensor:
        """(r, 5) to (r, 5)."""
        cases, deaths, isolating, jobless, week = seen.unbind(1)
        features = (10 * cases).log1p() - 1, 20 * deaths, isolating / 50, jobless / 50 - 1, week / (WEEKS / 2) - 1
        return torch.stack(features, 1)


def train(world: Planner, weeks: int, seed: int = 0) -> "SB3Policy":
    """PPO after so many weeks in a world; its policy is linear in the features, so that few weeks are enough."""
    from stable_baselines3 import PPO

    from ethogram.agents.sb3 import SB3Policy, SB3VecEnv

    model = PPO(
        "MlpPolicy",
        SB3VecEnv(WorldVectorEnv(world, 8, WEEKS, "SameStep")),
        n_steps=WEEKS,
        batch_size=104,
        gamma=0.99,
        gae_lambda=0.97,
        learning_rate=lambda left: 0.03 * left,  # to 0 at the end
        clip_range=0.3,
        policy_kwargs={"features_extractor_class": Scaled, "net_arch": {"pi": [], "vf": [32]}},
        seed=seed,
        device="cpu",
    )
    with torch.no_grad():  # begin with each lever pulled in about one week of four, for none is free
        model.policy.action_net.bias.add_(torch.tensor([0.5, -0.5] * len(LEVERS)))
    return SB3Policy(model.learn(weeks))


def fixed_levers(world: Planner, cities: int) -> dict[tuple[int, ...], Tensor]:
    """Each of the 16 settings, the best first: what it earns in each of a few cities."""
    settings = list(itertools.product((0, 1), repeat=len(LEVERS)))
    setup = Setup(world, Fixed(settings[0]), rows=1, horizon=WEEKS)
    found = ensemble(
        setup,
        outcome=mean_return,
        seeds=range(1, 1 + cities),
        scenarios={str(setting): replace(setup, policy=Fixed(setting)) for setting in settings},
        backend=Processes(),
        progress=True,
    )
    earned = {setting: found.values[str(setting)] for setting in settings}
    return dict(sorted(earned.items(), key=lambda item: -item[1].mean()))


@dataclass(frozen=True, eq=False)
class Blind:
    """A policy that does not see the infections, which only the figure shows."""

    policy: Policy

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """(r, 4)."""
        return self.policy.act(observation[:, [0, 1, 2, 3, 5]], history, draws)


def compare(world: Planner, policies: Mapping[str, Policy], cities: int) -> dict[str, History]:
    """Each policy in the same cities, with the same luck; observation 4 is infections per 1,000 people and day."""
    watched = replace(world, observe=[*world.observe, Record("infected", reduce=per_1000)], unseen=())
    return {
        name: rollout(watched, Blind(policy), rows=cities, horizon=WEEKS, seed=COMPARING)
        for name, policy in policies.items()
    }


def returns(history: History) -> Tensor:
    """(cities,) float64 sum of rewards."""
    return history.reward.double().sum(1)


def better(history: History, than: History) -> Effect:
    """What the one earns more than the other, city by city."""
    return Effect(returns(than), returns(history), tuple(history.ids.tolist()))


def draw(runs: Mapping[str, History], best: str) -> list[plots.Axes]:
    """What each policy earns, and more than the best fixed one; what the planner does; infections."""
    cities, gains = len(runs[best]), {name: better(history, runs[best]) for name, history in runs.items()}
    ax = plots.panels(4, size=(6.4, 4.0))
    plots.label(
        ax[0], f"Half a year, {cities} new cities (± 2 standard errors)", "return (weekly wages per person)", ""
    )
    earned = {name: returns(history) for name, history in runs.items()}
    plots.estimates(ax[0], {name: (float(r.mean()), 2 * float(r.std() / cities**0.5)) for name, r in earned.items()})
    plots.label(ax[1], "Gain on the best fixed policy (± 2 standard errors)", "gain (weekly wages per person)", "")
    plots.estimates(ax[1], {name: (float(e.mean), 2 * float(e.stderr)) for name, e in gains.items()})
    ax[1].axvline(0, color="0.4", linewidth=0.9)
    for panel in ax[:2]:
        panel.locator_params(axis="x", integer=False)

    weeks = torch.arange(1, WEEKS + 1)
    trained = runs["trained planner"]
    plots.label(ax[2], "What the trained planner does", "week", "share of cities in which it pulls the lever")
    pulled = {name: trained.action[..., k].double().mean(0) for k, name in enumerate(LEVERS)}
    plots.curves(ax[2], pulled, weeks)
    cases = trained.observation[:, :-1, 0].double().mean(0)  # what it sees when it decides
    seen = f"cases seen (1 = {cases.max():.2f} a day per 1,000)"
    ax[2].fill_between(weeks, cases / cases.max(), color="0.85", zorder=0, label=seen)
    ax[2].set(ylim=(0, 1.6), yticks=[0, 0.25, 0.5, 0.75, 1])  # room for the legend
    ax[2].legend(frameon=False, fontsize=8, loc="upper right")
    plots.label(ax[3], "Infections", "week", "infections a week per 1,000 people")
    infections = {name: 7 * history.observation[:, 1:, 4] for name, history in runs.items()}
    plots.curves(ax[3], infections, weeks, band="stderr").set_ylim(bottom=0)
    return ax


def in_words(setting: tuple[int, ...]) -> str:
    """Which levers a fixed setting pulls."""
    pulled = [name for name, on in zip(LEVERS, setting, strict=True) if on]
    return f"always {' and '.join(pulled)}" if pulled else "no lever"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--weeks",
        type=int,
        default=TRAINING,
        help=f"to train for (default {TRAINING:,})",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the training (default 0)")
    parser.add_argument("--cities", type=int, default=12, help="new cities to compare in (default 12)")
    parser.add_argument("--quick", action="store_true", help="hardly any training, few cities: only shows that it runs")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figure (default outputs)")
    arguments = parser.parse_args()
    weeks, choosing, cities = (208, 1, 3) if arguments.quick else (arguments.weeks, 3, arguments.cities)
    if cities < 2:
        parser.error(f"--cities {cities}: expected 2 or more, for a standard error")
    torch.set_num_threads(1)  # tensors are small

    world = epidemic_planner_world(PEOPLE)
    finalists = list(itertools.islice(fixed_levers(world, choosing), 2))
    began = time.perf_counter()
    planner = train(world, weeks, arguments.seed)
    print(f"PPO trained for {planner.model.num_timesteps:,} weeks, in {time.perf_counter() - began:.0f} s")
    fixed = {in_words(setting): Fixed(torch.tensor(setting)) for setting in finalists}
    rule = f"rule: close it above {CLOSE_ABOVE} cases"
    runs = compare(world, {**fixed, rule: CloseAbove(CLOSE_ABOVE), "trained planner": planner}, cities)
    best = max(fixed, key=lambda name: float(returns(runs[name]).mean()))  # with hindsight, which favours it

    path = plots.save(draw(runs, best), arguments.out / "which_policy_next.png")
    print(f"Figure: {path}")
    print(f"Return of half a year (weekly wages per person), in {cities} new cities of {PEOPLE:,} people:")
    for name, history in runs.items():
        earned = returns(history)
        print(f"  {name:30} {earned.mean():.2f} ± {earned.std() / cities**0.5:.2f}")
    trained = runs["trained planner"]
    late = {name: 7 * float(history.observation[:, -4:, 4].mean()) for name, history in runs.items()}
    print("Infections a week per 1,000 people in the last four weeks, whose aftermath no return counts:")
    print("  " + ", ".join(f"{name} {number:.1f}" for name, number in late.items()))
    print(f"With the same luck, the rule gains on the best fixed policy:  {better(runs[rule], runs[best])}")
    print(f"The trained planner gains on the rule:                        {better(trained, runs[rule])}")
    print(f"The trained planner gains on the best fixed policy, {best}: {better(trained, runs[best])}")
    if arguments.quick:
        print("This planner has hardly trained, and the cities are few: run without --quick for an answer.")


if __name__ == "__main__":
    main()
