"""What if a recommender showed lists of two items instead of three?

Run: python examples/what_if_the_list_were_shorter.py        (under a minute; --help for options)

The recommender plans optimally for lists of three. The what-if hides the third position of every list from some step
on: the same recommender, the same users, the same luck, so that two runs differ only where the missing item would
have been clicked, and in what follows from that. Uses MovieLens 100K where it can be found (`make data`), and a
formula in its place otherwise.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ethogram.agents.cascading import optimal_values
from ethogram.agents.simple import Table
from ethogram.envs.datasets import movielens_world
from ethogram.envs.sessions import CascadingMDP, CascadingSession, movielens_formula
from ethogram.simulator import Do, Setup, contrast
from ethogram.simulator.report import plots
from ethogram.simulator.whatif import mean_return, reward_by_step


def without_last(slates: Tensor) -> Tensor:
    """Lists with their last position empty."""
    return torch.cat([slates[:, :-1], torch.full_like(slates[:, :1], -1)], 1)


def session(data: Path | None) -> tuple[CascadingMDP, str]:
    """MovieLens sessions of 20 steps, or the stand-in's."""
    try:
        return movielens_world(data, length=3, horizon=20).mdp, "MovieLens 100K"
    except FileNotFoundError as error:
        if data is not None:
            raise
        print(f"{error}\nGoing on with ratings by a formula.\n")
        return movielens_formula(20, 20, 0.3), "ratings by a formula"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="ratings of your own: u.data, ratings.csv, a folder or a zip")
    parser.add_argument("--seeds", type=int, default=20, help="pairs of runs (default 20)")
    parser.add_argument("--rows", type=int, default=2000, help="sessions a run (default 2000)")
    parser.add_argument("--start", type=int, default=5, help="lists get shorter after so many steps (default 5)")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figure (default outputs)")
    arguments = parser.parse_args()
    seeds, rows = (5, 300) if arguments.quick else (arguments.seeds, arguments.rows)

    mdp, name = session(arguments.data)
    if not 1 <= arguments.start < mdp.horizon:
        parser.error(f"--start {arguments.start}: expected 1 to {mdp.horizon - 1}, for sessions of {mdp.horizon} steps")
    world, policy = CascadingSession(mdp), Table(optimal_values(mdp)[1])
    shorter = [Do("action", without_last, start=arguments.start)]
    setup = Setup(world, policy, rows=rows, horizon=mdp.horizon)
    by_step = contrast(setup, shorter, outcome=reward_by_step, seeds=range(seeds), progress=True)
    total = contrast(setup, shorter, outcome=mean_return, seeds=range(seeds))

    ax = plots.axes(
        f"Lists of 2 instead of 3 after step {arguments.start}: {name}",
        "step of the session",
        "change in clicks a list",
    )
    ax.axvline(arguments.start + 0.5, color="0.6", linestyle=":", linewidth=1)
    plots.effect(ax, {f"2 instead of 3, {seeds} pairs": by_step})
    path = plots.save(ax, arguments.out / "what_if_the_list_were_shorter.png")

    before = by_step.difference[:, : arguments.start]
    print(f"{name}: {mdp.num_states} states, {mdp.num_items} items, {mdp.horizon} steps, {rows} sessions a run")
    print(f"In the first {arguments.start} steps, the largest change in any run: {before.abs().max():g}")
    print(f"Variance of the effect, independent seeds against paired: {total.variance_ratio:.1f} to 1")
    print(f"Figure: {path}")
    print(f"Clicks a session, lists of 2 instead of 3: {total}")


if __name__ == "__main__":
    main()
