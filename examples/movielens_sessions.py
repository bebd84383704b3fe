"""How does an agent learn to recommend, what is planning worth, and what would shorter lists have cost?

Run: python examples/movielens_sessions.py        (a minute and a half on two CPU cores; --help for options)

Two worlds. In MovieLens sessions, twenty lists of three movies, the user's state is a taste that moves with what they
watch, and everything is counted from the ratings (docs/movielens.md says how): there planning is worth one per cent. In
the trap, six lists of two, clickbait is clicked now and bores the user later: there it is worth half as much again.
CascadingVI (Du, Srikant & Chen, ICLR 2024) learns whom to show what and what that does to them, beside its
variance-unaware ablation and a bandit that knows no states, over the same sessions; the optimal, the myopic and the
state-free recommender are computed exactly. Then one thing is changed: from some step on, lists lose their last item.

The bonuses of the theory are far too careful for this many episodes (--bonus 1 shows it), so they are scaled down; the
table of the report says whether the agents' upper bounds held all the same. Ratings are MovieLens 100K where it can be
found (`make data`); otherwise a formula of three moods stands in for them.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
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
from ethogram.envs.sessions import CascadingMDP, CascadingSession, good_medium_bad, trap
from ethogram.simulator import Do, Effect, Setup, contrast, rollout
from ethogram.simulator.report import plots, report
from ethogram.simulator.whatif import mean_return, reward_by_step

AWARE, UNAWARE = "CascadingVI", "CascadingVI-Bonus (variance-unaware)"
STATELESS = "CascadeKL-UCB (no states)"
AT_END = "clicks a session, last 5 % of sessions"


def session_world(data: Path | None) -> tuple[str, CascadingMDP]:
    """What the ratings are, and the world made of them."""
    try:
        movielens = load_movielens(data)
    except FileNotFoundError as error:
        if data is not None:
            raise
        print(f"{error}\nGoing on with a stand-in, three moods and a formula.\n")
        return "stand-in", good_medium_bad(20)
    ratings = movielens.ratings
    print(
        f"MovieLens: {len(ratings):,} ratings of {ratings.num_users:,} users for {ratings.num_items:,} movies; "
        f"{100 * ratings.tie_share:.1f} % of\na user's consecutive ratings carry the same second, within which they "
        "are taken by movie id."
    )
    paper, users, movies = paper_mdp(ratings, num_users=20, num_items=10)
    best, myopic = optimal_values(paper)[0][0, 0], policy_value(paper, myopic_policy(paper))[0, 0]
    print(
        f"The paper's experiment on them (states are users {users.tolist()},\nitems are movies {movies.tolist()}): "
        f"optimal {best:.4f}, myopic {myopic:.4f} clicks in 3 lists.\n"
        "Planning gains nothing there, hence sessions whose taste moves with what is watched."
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

    return {AWARE: curves(True), UNAWARE: curves(False)}


def learn_without_states(mdp: CascadingMDP, num_episodes: int, seeds: int) -> Tensor:
    """(seeds, K) the exact value of what CascadeKL-UCB, which knows no states, shows in each session.

    It learns after every 200th part of them, and shows the same list until then.
    """
    world, many = CascadingSession(mdp), block(num_episodes)
    values = torch.empty(seeds, num_episodes, dtype=torch.float64)
    for seed in tqdm(range(seeds), unit="run", leave=False):
        agent = CascadeKLUCB(mdp.num_items, mdp.length)
        for ids in torch.arange(num_episodes).split(many):
            history = rollout(world, agent, rows=ids, horizon=mdp.horizon, seed=seed, record=["click"])
            agent.learn(history)
            everywhere = history.action[0, 0].expand(mdp.horizon, mdp.num_states, -1)
            values[seed, ids] = policy_value(mdp, everywhere)[0, mdp.initial]
    return values


def block(num_episodes: int) -> int:
    """Sessions in a 200th of them, over which curves are averaged."""
    return max(1, num_episodes // 200)


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


def recommenders(mdp: CascadingMDP) -> dict[str, float]:
    """Expected clicks a session, exactly, of those who know the world."""
    plans = {"optimal": optimal_values(mdp)[1], "myopic": myopic_policy(mdp), "state-free": state_free_policy(mdp)}
    return {name: policy_value(mdp, plan)[0, mdp.initial].item() for name, plan in plans.items()}


def learned(mdp: CascadingMDP, optimal: float, options: argparse.Namespace) -> tuple[dict[str, Tensor], list[Any]]:
    """Each agent's exact value in each session, (seeds, K); and a table of the end, which is printed."""
    curves = learn(mdp, options.episodes, options.seeds, options.bonus)
    values = {name: torch.stack([curve.value for curve in found]) for name, found in curves.items()}
    values[STATELESS] = learn_without_states(mdp, options.episodes, options.seeds)
    held = {name: all(bool(curve.optimistic.all()) for curve in found) for name, found in curves.items()}
    table = []
    for name, value in values.items():
        last = value[:, -(options.episodes // 20) :].mean(1)
        clicks = f"{last.mean():.3f} ± {last.std() / len(last) ** 0.5:.3f}"
        share = f"{100 * last.mean() / optimal:.1f} %"
        bounds = {True: "yes", False: "no", None: "has none"}[held.get(name)]
        table.append({"agent": name, AT_END: clicks, "of the optimum": share, "upper bounds held": bounds})
        print(f"  {name:<40} {clicks} clicks a session at the end, {share} of the optimum")
    return values, table


def draw_learning(ax: Axes, title: str, exact: dict[str, float], values: dict[str, Tensor]) -> None:
    """How far each agent is from the optimum, session by session, and those who know the world.

    On a logarithmic scale where these are close to the optimum.
    """
    num_episodes = len(next(iter(values.values()))[0])
    many = block(num_episodes)
    short = {
        name: 100 * (1 - value.unfold(1, many, many).mean(-1) / exact["optimal"]) for name, value in values.items()
    }
    plots.label(ax, title, "session", f"short of the optimum (%, mean of {many} sessions)")
    plots.curves(ax, short, many * torch.arange(1, num_episodes // many + 1))
    known = {name: 100 * (1 - exact[name] / exact["optimal"]) for name in ("myopic", "state-free")}
    plots.levels(ax, {f"{name}, knows the world": percent for name, percent in known.items()})
    ax.set_xscale("log")
    if max(known.values()) < 10:
        ax.set_yscale("log")
    else:
        ax.set_ylim(0, 1.25 * max(known.values()))


def draw_worth(ax: Axes, exact: dict[str, dict[str, float]]) -> None:
    """The clicks of those who know the world, in each world, as a share of the optimum."""
    plots.label(ax, "What planning and states are worth (exact)", "", "clicks a session (% of the optimum)")
    names = ("optimal", "myopic", "state-free")
    share = {name: torch.tensor([100 * e[name] / e["optimal"] for e in exact.values()]) for name in names}
    plots.bars(ax, list(exact), {name: (values, 0 * values) for name, values in share.items()})
    for bar in ax.containers:
        if isinstance(bar, BarContainer):
            ax.bar_label(bar, fmt="%.0f %%", fontsize=8, padding=2)
    ax.legend(frameon=False, ncols=3, loc="upper center")
    ax.set_ylim(0, 128)


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
    options = parser.parse_args()
    if options.quick:
        options.episodes, options.seeds, options.pairs, options.rows = 1000, 2, 5, 300
    source, mdp = session_world(options.data)
    worlds, exact, tables = {f"{source} sessions": mdp, "the trap": trap()}, {}, {}

    ax = plots.panels(4, size=(5.8, 4.0))
    print(f"\nLearning from {options.episodes:,} sessions, {options.seeds} seeds:")
    for panel, (name, world) in zip(ax, worlds.items(), strict=False):
        exact[name] = recommenders(world)
        size = f"{world.num_states} states, {world.num_items} items, {world.horizon} lists of {world.length} a session"
        known = ", ".join(f"{who} {clicks:.4f}" for who, clicks in exact[name].items())
        print(f"{name}: {size}.\n  Expected clicks a session, exactly: {known}")
        values, table = learned(world, exact[name]["optimal"], options)
        tables[f"{name[0].upper()}{name[1:]}"] = [f"{size}. Expected clicks, exactly: {known}.", table]
        draw_learning(panel, f"Learning: {name} ({options.seeds} seeds)", exact[name], values)
    ax[1].get_legend().remove()  # the curves are those on its left
    draw_worth(ax[2], exact)
    effects = what_ifs(mdp, max(1, mdp.horizon // 4), options.pairs, options.rows)
    plots.label(
        ax[3], f"What if? {source} sessions, {options.pairs} pairs", "list of the session", "change in clicks a list"
    )
    plots.effect(ax[3], {name: by_step for name, (by_step, _) in effects.items()})
    picture = plots.save(ax, options.out / "movielens_sessions.png")

    learning = [
        f"Each agent learns from {options.episodes:,} sessions, {options.seeds} times; bonuses are scaled by "
        f"{options.bonus:g}. Values are exact, not sampled. The bandit learns after every {block(options.episodes)}.",
        ax[0],
    ]
    what_if = [part for name, (_, total) in effects.items() for part in (f"Clicks a session, {name}:", total)]
    title = f"Recommendation sessions: {source} and a trap"
    sections: dict[str, list[Any]] = {"Learning": learning, **tables, f"What if? {source} sessions": what_if}
    page = report(sections, options.out / "movielens_sessions.html", title=title)
    print(f"\nPicture: {picture}\nReport:  {page}\n")
    for name, (_, total) in effects.items():
        print(f"Clicks a session, {name}: {total}")


if __name__ == "__main__":
    main()
