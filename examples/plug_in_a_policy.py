"""Can twenty lines of my own beat the policies that come with the package?

Run: python examples/plug_in_a_policy.py        (under half a minute; --help for options)

A policy is anything with ``act(observation, history, draws)``. The one below knows no probability of the world: from
the history of the session so far it credits items with clicks and with the mood that they led to. It plugs in beside
the baselines, in the same call, and meets the same users with the same luck.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ethogram.agents.cascading import myopic_policy, optimal_values
from ethogram.agents.simple import Table, UniformSlates
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Draws, Effect, History, Setup, check_policy, ensemble
from ethogram.simulator.report import plots
from ethogram.simulator.whatif import reward_by_step


@dataclass(frozen=True)
class LooksAhead:
    """Shows the items that were clicked and led to moods in which this user clicks; hopes for those never shown."""

    num_items: int
    length: int
    patience: float = 5.0  # how much a good mood next is worth beside a click now
    hope: float = 3.0

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """(n, length) int64. The history so far: observation (n, t + 1), action (n, t, length), reward (n, t)."""
        worth = draws.uniform("ties", self.num_items) / 1000  # (n, N)
        if history.num_steps:
            mood, then = history.observation[:, :-1], history.observation[:, 1:]  # (n, t)
            clicks = average(mood, history.reward, int(history.observation.max()) + 1, hope=1.0)  # (n, S)
            credit = history.reward + self.patience * clicks.gather(1, then)  # (n, t)
            credit = credit.repeat_interleave(self.length, dim=1)  # to each item shown
            worth = worth + average(history.action.flatten(1), credit, self.num_items, self.hope)
        return worth.argsort(dim=1, descending=True)[:, : self.length]


def average(group: Tensor, value: Tensor, num_groups: int, hope: float) -> Tensor:
    """(n, G) the mean of each row's values in each group, together with one hoped for before any is seen."""
    one = torch.ones(len(group), num_groups)
    return (hope * one).scatter_add(1, group, value) / one.scatter_add(1, group, torch.ones_like(value))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="runs of each policy (default 20)")
    parser.add_argument("--rows", type=int, default=500, help="sessions a run (default 500)")
    parser.add_argument("--horizon", type=int, default=40, help="steps a session (default 40)")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figure (default outputs)")
    arguments = parser.parse_args()
    seeds, rows = (4, 100) if arguments.quick else (arguments.seeds, arguments.rows)

    torch.set_num_threads(1)  # the tensors are small
    mdp = replace(trap(), horizon=arguments.horizon)
    world, mine = CascadingSession(mdp), LooksAhead(mdp.num_items, mdp.length)
    check_policy(mine, world)  # the contract, in one line
    policies = {
        "optimal (knows the users)": Table(optimal_values(mdp)[1]),
        "looks ahead (mine)": mine,
        "myopic (knows the users)": Table(myopic_policy(mdp)),
        "uniform": UniformSlates(mdp.num_items, mdp.length),
    }
    setup = Setup(world, mine, rows=rows, horizon=mdp.horizon)
    scenarios = {name: replace(setup, policy=policy) for name, policy in policies.items()}  # all on the same luck
    found = ensemble(setup, outcome=reward_by_step, seeds=range(seeds), scenarios=scenarios, progress=True)
    by_step = found.values  # (seeds, T) each
    total = {name: clicks.sum(1) for name, clicks in by_step.items()}  # (seeds,) a session

    ax = plots.axes(f"Policies in the trap, {seeds} runs of {rows} sessions", "step of the session", "clicks a list")
    plots.curves(ax, by_step)
    path = plots.save(ax, arguments.out / "plug_in_a_policy.png")

    print(f"Figure: {path}")
    for name, clicks in total.items():
        print(f"{name:<28} {clicks.mean():7.3f} ± {clicks.std() / seeds**0.5:.3f} clicks a session")
    gain = Effect(total["myopic (knows the users)"], total["looks ahead (mine)"], tuple(range(seeds)))
    print(f"Clicks a session, mine instead of the myopic policy: {gain}")


if __name__ == "__main__":
    main()
