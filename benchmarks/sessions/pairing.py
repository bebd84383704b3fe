"""How much noise does sharing luck take out of an effect?

Run: python benchmarks/sessions/pairing.py        (under a minute)

For each world and change: the paired effect ± its standard error, and how many times more variance the same
difference has with independent seeds. A ratio below 1 means that pairing harms: that happens where a change is so
large that the two runs have little left in common.
"""

import argparse
from dataclasses import replace

import torch

from ethogram.agents.simple import Fixed, Table, UniformSlates
from ethogram.envs.datasets import movielens_world
from ethogram.envs.sessions import CascadingMDP, CascadingSession, good_medium_bad, movielens_formula, trap
from ethogram.simulator import Do, Setup, contrast
from ethogram.simulator.whatif import mean_return


def shorter(slates: torch.Tensor) -> torch.Tensor:
    """The lists without their last position."""
    return torch.cat([slates[:, :-1], torch.full_like(slates[:, :1], -1)], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="pairs an effect (default 100)")
    parser.add_argument("--rows", type=int, default=500, help="sessions a run (default 500)")
    parser.add_argument("--horizon", type=int, default=10, help="steps a session (default 10)")
    arguments = parser.parse_args()
    instances: dict[str, CascadingMDP] = {
        "TRAP": trap(),
        "GMB(8)": good_medium_bad(8),
        "MLF(20, 10, 0.3)": movielens_formula(20, 10, 0.3),
    }
    try:
        instances["MovieLens sessions"] = movielens_world().mdp
    except FileNotFoundError as error:
        print(f"Without MovieLens sessions: {error}")
    print(f"{'world':<18} {'change':<34} {'effect on the mean return':<32} {'variance ratio':>14}")
    for name, mdp in instances.items():
        policy = UniformSlates(mdp.num_items, mdp.length)
        setup = Setup(CascadingSession(mdp), policy, rows=arguments.rows, horizon=arguments.horizon)
        best = mdp.attraction.argsort(dim=1, descending=True, stable=True)[:, : mdp.length]
        poorer = CascadingSession(replace(mdp, reward=0.9 * mdp.reward))
        changes: dict[str, list[Do] | Setup] = {
            "no change at all": [Do("attraction", lambda p: p)],
            "attraction 1 % lower": [Do("attraction", lambda p: 0.99 * p)],
            "attraction 10 % lower": [Do("attraction", lambda p: 0.9 * p)],
            "attraction halved": [Do("attraction", lambda p: 0.5 * p)],
            "attraction 10 % lower, last 2 steps": [Do("attraction", lambda p: 0.9 * p, start=arguments.horizon - 2)],
            "lists one item shorter": [Do("action", shorter)],
            "rewards 10 % lower": replace(setup, world=poorer),
            "the same list for everybody": replace(setup, policy=Fixed(best[0])),
            "the most attractive items": replace(setup, policy=Table(best, stationary=True)),
        }
        for change, instead in changes.items():
            effect = contrast(setup, instead, outcome=mean_return, seeds=range(arguments.seeds))
            print(f"{name:<18} {change:<34} {effect!s:<32} {effect.variance_ratio:>14.2f}")


if __name__ == "__main__":
    main()
