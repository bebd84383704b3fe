"""How does an agent learn to recommend on MovieLens sessions, and what would shorter lists have cost?

Run: python examples/movielens_sessions.py        (a minute and a half on two CPU cores; --help for options)

A session is twenty lists of three movies. The user's state is a taste that moves with what they watch, and everything
is counted from the ratings (docs/movielens.md says how). CascadingVI (Du, Srikant & Chen, ICLR 2024) learns whom to
show what and what that does to them, beside its variance-unaware ablation and a bandit that knows no states; the
optimal, the myopic and the state-free recommender are computed exactly. Then one thing is changed: from some step
on, lists lose their last item.

The bonuses of the theory are far too careful for this many episodes (--bonus 1 shows it), so they are scaled down; the
table of the report says whether the agents' upper bounds held all the same. Ratings are MovieLens 100K where it can be
found (`make data`), and a formula and a small world with a trap stand in otherwise.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ethogram.agents.bandits import CascadeKLUCB
from ethogram.agents.cascading import (
    CascadingVI,
    LearningCurve,
    learn_in,
    myopic_policy,
    optimal_values,
    policy_value,
    state_free_policy,
)
from ethogram.agents.simple import Table
from ethogram.envs.datasets import load_movielens, paper_mdp, session_mdp
from ethogram.envs.sessions import CascadingMDP, CascadingSession, trap
from ethogram.simulator import Do, Effect, Setup, contrast, episodes
from ethogram.simulator.report import plots, write_report
from ethogram.simulator.whatif import cumulative_regret, mean_return, reward_by_step


def session_world(data: Path | None) -> tuple[str, CascadingMDP]:
    """What the ratings are, and the world made of them."""
    try:
        movielens = load_movielens(data)
    except FileNotFoundError as error:
        if data is not None:
            raise
        print(f"{error}\nGoing on with a stand-in, a small world with a trap.\n")
        return "stand-in", trap()
    ratings = movielens.ratings
    print(
        f"MovieLens: {len(ratings):,} ratings of {ratings.num_users:,} users for {ratings.num_items:,} movies; "
        f"{ratings.tie_share:.1%} of a user's\nconsecutive ratings carry the same second, within which they are taken "
        "by movie id."
    )
    paper, users, movies = paper_mdp(ratings, num_users=20, num_items=10)
    best, myopic = optimal_values(paper)[0][0, 0], policy_value(paper, myopic_policy(paper))[0, 0]
    print(
        f"The paper's experiment on them (states are users {users.tolist()},\nitems are movies {movies.tolist()}): "
        f"optimal {best:.4f}, myopic {myopic:.4f} clicks in 3 lists.\nPlanning gains nothing there, hence:"
    )
    return "MovieLens", session_mdp(movielens, num_states=12, num_items=20, length=3, horizon=20).mdp


def learn(mdp: CascadingMDP, num_episodes: int, seeds: int, bonus_scale: float) -> dict[str, list[LearningCurve]]:
    """Learning curves of CascadingVI and its ablation, one for each seed."""

    def curves(variance_aware: bool) -> list[LearningCurve]:
        found = []
        for seed in tqdm(range(seeds), unit="run", leave=False):
            agent = CascadingVI(
                mdp.reward,
                mdp.length,
                mdp.horizon,
                num_episodes,
                variance_aware=variance_aware,
                bonus_scale=bonus_scale,
            )
            found.append(learn_in(mdp, agent, num_episodes, seed=seed))
        return found

    return {"CascadingVI": curves(True), "CascadingVI-Bonus (variance-unaware)": curves(False)}


def learn_without_states(mdp: CascadingMDP, num_episodes: int, seeds: int) -> Tensor:
    """(seeds, K) the exact value of what CascadeKL-UCB, which knows no states, shows in each episode."""
    values = torch.empty(seeds, num_episodes, dtype=torch.float64)
    for seed in range(seeds):
        agent = CascadeKLUCB(mdp.num_items, mdp.length)
        shown = torch.empty(num_episodes, mdp.length, dtype=torch.int64)
        for k, history in enumerate(
            episodes(CascadingSession(mdp), agent, num_episodes, horizon=mdp.horizon, seed=seed, progress=True)
        ):
            shown[k] = history.action[0, 0]
        lists, which = shown.unique(dim=0, return_inverse=True)
        value = [policy_value(mdp, slate.expand(mdp.horizon, mdp.num_states, -1))[0, mdp.initial] for slate in lists]
        values[seed] = torch.stack(value)[which]
    return values


def without_last(slates: Tensor) -> Tensor:
    """Lists with their last position empty."""
    return torch.cat([slates[:, :-1], torch.full_like(slates[:, :1], -1)], 1)


def what_ifs(mdp: CascadingMDP, start: int, seeds: int, rows: int) -> dict[str, tuple[Effect, Effect]]:
    """For each change: its effect on the clicks at each step, and on those of a whole session."""
    setup = Setup(CascadingSession(mdp), Table(optimal_values(mdp)[1]), rows=rows, horizon=mdp.horizon)
    changes: dict[str, list[Do] | Setup] = {
        f"lists of {mdp.length - 1} from step {start + 1}": [Do("action", without_last, start=start)],
        "myopic, not planned": replace(setup, policy=Table(myopic_policy(mdp))),
    }
    return {
        name: (
            contrast(setup, instead, outcome=reward_by_step, seeds=range(seeds)),
            contrast(setup, instead, outcome=mean_return, seeds=range(seeds)),
        )
        for name, instead in changes.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="ratings of your own: u.data, ratings.csv, a folder or a zip")
    parser.add_argument("--episodes", type=int, default=15_000, help="K, sessions to learn from (default 15,000)")
    parser.add_argument("--bonus", type=float, default=0.01, help="scale of CascadingVI's bonuses (default 0.01)")
    parser.add_argument("--seeds", type=int, default=5, help="learning runs an agent (default 5)")
    parser.add_argument("--pairs", type=int, default=20, help="paired seeds of the what-if (default 20)")
    parser.add_argument("--rows", type=int, default=2000, help="sessions a run of the what-if (default 2000)")
    parser.add_argument("--quick", action="store_true", help="a small version, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for pictures (default outputs)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.episodes, arguments.seeds, arguments.pairs, arguments.rows = 1000, 2, 5, 300
    source, mdp = session_world(arguments.data)

    plans = {"optimal": optimal_values(mdp)[1], "myopic": myopic_policy(mdp), "state-free": state_free_policy(mdp)}
    exact = {name: policy_value(mdp, plan)[0, mdp.initial].item() for name, plan in plans.items()}
    print(f"\n{mdp.num_states} states, {mdp.num_items} items, {mdp.horizon} lists of {mdp.length} a session.")
    print("Expected clicks a session, exactly: " + ", ".join(f"{k} {v:.4f}" for k, v in exact.items()))

    print(f"\nLearning from {arguments.episodes:,} sessions, {arguments.seeds} seeds:")
    curves = learn(mdp, arguments.episodes, arguments.seeds, arguments.bonus)
    values = {name: torch.stack([curve.value for curve in found]) for name, found in curves.items()}
    bandit = f"CascadeKL-UCB (no states), first {arguments.episodes // 50:,}"
    values[bandit] = learn_without_states(mdp, arguments.episodes // 50, min(2, arguments.seeds))
    held = {name: all(bool(curve.optimistic.all()) for curve in found) for name, found in curves.items()}
    table: list[dict[str, Any]] = []
    for name, value in values.items():
        last = value[:, -(len(value[0]) // 20) :].mean(1)
        table.append(
            {
                "agent": name,
                "clicks a session, last 5 % of sessions": f"{last.mean():.3f} ± {last.std() / len(last) ** 0.5:.3f}",
                "upper bounds held": held.get(name, "has none"),
            }
        )
        print(f"  {name:<40} {list(table[-1].values())[1]} clicks a session at the end")

    start = mdp.horizon // 4
    effects = what_ifs(mdp, start, arguments.pairs, arguments.rows)
    smooth = max(1, arguments.episodes // 200)
    learning, regret, what_if = plots.panels(3, columns=3, size=(4.9, 3.9))
    title = f"Learning on {source} sessions"
    plots.label(learning, title, "session", f"clicks a session short of optimal (mean of {smooth})")
    short = {name: exact["optimal"] - value.unfold(1, smooth, smooth).mean(-1) for name, value in values.items()}
    plots.curves(learning, short, smooth * torch.arange(1, arguments.episodes // smooth + 1))
    plots.levels(learning, {name: exact["optimal"] - exact[name] for name in ("myopic", "state-free")})
    learning.set_xscale("log")
    learning.set_yscale("log")
    plots.label(regret, "What learning cost", "session", "cumulative regret (clicks)")
    plots.curves(regret, {name: cumulative_regret(exact["optimal"], value) for name, value in values.items()})
    plots.label(what_if, "What if?", "list of the session", "change in clicks a list")
    plots.effect(what_if, {f"{name}, {arguments.pairs} pairs": by_step for name, (by_step, _) in effects.items()})
    picture = plots.save(learning, arguments.out / "movielens_sessions.png")

    report = write_report(
        arguments.out / "movielens_sessions.html",
        f"Recommendation sessions: {source}",
        {
            "The recommenders that know the world": [
                f"{mdp.num_states} states, {mdp.num_items} items, {mdp.horizon} lists of up to {mdp.length} a session.",
                [{"recommender": name, "expected clicks a session": f"{v:.4f}"} for name, v in exact.items()],
            ],
            "The agents that learn it": [
                f"{arguments.episodes:,} sessions, {arguments.seeds} seeds, bonuses scaled by {arguments.bonus:g}. "
                "Values are exact, not sampled; bands are ± 1 standard deviation over seeds.",
                table,
                learning,
            ],
            "What if": [
                *(part for name, (_, total) in effects.items() for part in (f"Clicks a session, {name}:", total)),
                "Each pair of runs shares its luck. Bands in the picture are ± 2 standard errors over pairs.",
            ],
        },
    )
    print(f"\nPicture: {picture}\nReport:  {report}\n")
    for name, (_, total) in effects.items():
        print(f"Clicks a session, {name}: {total}, variance ratio {total.variance_ratio:.1f}")


if __name__ == "__main__":
    main()
