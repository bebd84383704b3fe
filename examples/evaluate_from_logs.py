"""What would a new ranking earn, judged only from what another ranking logged?

Run: python examples/evaluate_from_logs.py        (a minute on two CPU cores; --quick for less, --help for options)

A shop shows lists of 3 of 10 items with a softmax policy that explores, and logs what it showed, how likely that was,
and what was clicked. How many clicks a list would bring under a sharper policy is estimated from the log alone, by
estimators that assume more or less about how users look at a list, and held against what happens when the new policy
is let loose in the same simulated world. Figure: outputs/evaluate_from_logs.png.
"""

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ethogram.agents.simple import PlackettLuce
from ethogram.envs.clicks import PBM
from ethogram.envs.datasets import load_open_bandit
from ethogram.envs.sessions import CascadingMDP, CascadingSession, trap
from ethogram.simulator import Draws, History, ope, rollout
from ethogram.simulator.ope import position_propensity, prefix_propensity
from ethogram.simulator.report import plots

STATES, ITEMS, LENGTH, STEPS = 4, 10, 3, 20
SIZES = (100, 300, 1000, 3000, 10_000)  # rounds in a log


@dataclass(frozen=True)
class Distracted:
    """Users whom each other item of the list, above or below, makes less likely to click."""

    distraction: Tensor  # (N, N) share of the row item's attraction that the column item takes

    def act(self, seen: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, m) bool."""
        keep = 1 - self.distraction[seen["slate"][:, :, None], seen["slate"][:, None, :]]
        others = ~torch.eye(LENGTH, dtype=torch.bool)
        clicked = seen["attraction"] * keep.where(others, 1.0).prod(2)
        return draws.bernoulli("clicks", clicked, index=seen["slate"])


def estimators(log: ope.Rounds, old: PlackettLuce, new: PlackettLuce) -> dict[str, Callable[[slice], ope.Estimate]]:
    """Each estimator as a function of which rounds to use."""
    was, would = old.scores_in(log.observation), new.scores_in(log.observation)
    prefix = prefix_propensity(was, log.action), prefix_propensity(would, log.action)
    position = position_propensity(was, log.action), position_propensity(would, log.action)
    slate = prefix[0][:, -1], prefix[1][:, -1]
    reward, unit = log.reward, log.unit

    def on(function: Callable[..., ope.Estimate], weights: tuple[Tensor, Tensor], **options: Any) -> Any:
        return lambda rows: function(reward[rows], *(w[rows] for w in weights), unit=unit[rows], **options)

    return {
        "SIPS: anything goes": on(ope.sips, slate),
        "RIPS: top to bottom": on(ope.rips, prefix),
        "RIPS, self-normalised": on(ope.rips, prefix, self_normalised=True),
        "IIPS: item and position": on(ope.iips, position),
    }


def compare_users(logs: int, most: int, out: Path) -> tuple[ope.Estimate, float]:
    """Estimates against the truth for three kinds of users; the figure; the estimate that the answer quotes.

    logs: how many of the largest size; of smaller ones as many as fit into the same rounds, but at most ``most``.
    """
    generator = torch.Generator().manual_seed(0)
    attraction = 0.05 + 0.4 * torch.rand(STATES, ITEMS, generator=generator, dtype=torch.float64)
    distraction = 0.6 * torch.rand(ITEMS, ITEMS, generator=generator, dtype=torch.float64)
    anywhere = torch.full((STATES, ITEMS + 1, STATES), 1 / STATES, dtype=torch.float64)  # a new user each time
    mdp = CascadingMDP(attraction, anywhere, torch.ones_like(attraction), LENGTH, STEPS)
    examination = torch.tensor([1.0, 0.7, 0.5], dtype=torch.float64)
    worlds = {
        "cascade: the first item that attracts": CascadingSession(mdp),
        "independent: item and position": CascadingSession(mdp, user=PBM(attraction, examination)),
        "standard: items distract from each other": CascadingSession(mdp, user=Distracted(distraction)),
    }
    old = PlackettLuce(torch.rand(ITEMS, generator=generator, dtype=torch.float64), LENGTH)
    new = PlackettLuce(8 * attraction, LENGTH)

    panels = plots.panels(len(worlds), columns=3, size=(4.4, 4.0))
    answer = None
    for ax, (kind, world) in zip(panels, worlds.items(), strict=True):
        sites = ["click"] if world.user is None else ["clicks"]
        rows = logs * SIZES[-1] // STEPS
        log = ope.rounds(rollout(world, old, rows=rows, horizon=STEPS, seed=1, record=sites))
        tried = ope.rounds(rollout(world, new, rows=rows, horizon=STEPS, seed=2, record=sites)).reward.sum(1)
        truth, error = float(tried.mean()), float(tried.std()) / math.sqrt(len(tried))
        print(f"\nUsers are {kind}. Clicks a list: old {log.reward.sum(1).mean():.4f}, new {truth:.4f} ± {error:.4f}")
        print(f"    {'from one log of 10,000 lists':62}{f'over {logs} logs: bias':>21}{'rmse':>9}{'covers':>9}")
        plots.label(ax, f"Users: {kind}", "lists in the log", "clicks a list under the new policy")
        for i, (name, estimate) in enumerate(estimators(log, old, new).items()):
            counts = [min(most, logs * SIZES[-1] // n) for n in SIZES]
            found = [[estimate(slice(r * n, r * n + n)) for r in range(c)] for n, c in zip(SIZES, counts, strict=True)]
            values = [torch.tensor([e.value for e in same_size]) for same_size in found]
            low, high = zip(*(v.quantile(torch.tensor([0.1, 0.9])).tolist() for v in values), strict=True)
            ax.plot(
                SIZES,
                [float(v.mean()) for v in values],
                linestyle=plots.LINES[i],
                color=plots.COLOURS[i],
                label=name,
                linewidth=1.8,
            )
            ax.fill_between(SIZES, low, high, color=plots.COLOURS[i], alpha=0.07, linewidth=0)
            for edge in (low, high):
                ax.plot(SIZES, edge, linestyle=plots.LINES[i], color=plots.COLOURS[i], linewidth=0.8)
            off = values[-1] - truth
            covers = sum(a <= truth <= b for a, b in (e.interval() for e in found[-1])) / logs
            print(
                f"    {name:25}{found[-1][0]!s:50}{float(off.mean()):+8.4f}"
                f"{float(off.square().mean().sqrt()):9.4f}{covers:9.2f}"
            )
            if world.user is None and name == "RIPS, self-normalised":
                answer = found[-1][0], truth
        ax.axhline(truth, color="black", linewidth=1, linestyle="--", label="truth")
        ax.set_xscale("log")
        ax.set_ylim(0.5 * truth, 1.5 * truth)
    said = "mean over logs; thin: 10 % to 90 % of them"
    panels[0].legend(frameon=False, fontsize=7.5, loc="lower right", title=said, title_fontsize=7.5)
    path = plots.save(panels, out / "evaluate_from_logs.png")
    print(f"\nFigure: {path}")
    assert answer is not None
    return answer


def compare_horizons(rows: int) -> None:
    """Clickbait: clicked more now, and bores the user. Rounds one by one cannot see that, sessions can."""
    world, horizon = CascadingSession(trap()), 4
    old = PlackettLuce(torch.zeros(6, dtype=torch.float64), 2)
    bait = PlackettLuce(torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64), 2)
    history = rollout(world, old, rows=rows, horizon=horizon, seed=1, record=["click"])
    tried = rollout(world, bait, rows=rows, horizon=horizon, seed=2).reward.sum(1).double()
    log, state = ope.rounds(history), history.observation[:, :-1]
    was = prefix_propensity(old.scores_in(state), history.action)
    would = prefix_propensity(bait.scores_in(state), history.action)
    by_round = ope.rips(log.reward, was.flatten(0, 1), would.flatten(0, 1), self_normalised=True, unit=log.unit)
    by_session = ope.rips(
        log.reward.view(rows, -1), ope.session_prefix(was), ope.session_prefix(would), self_normalised=True
    )
    print(f"\nWould clickbait pay? Clicks in a session of {horizon} lists, from {rows:,} logged sessions")
    print(f"    as it was               {history.reward.sum(1).mean():.4f}")
    blind = f"{horizon * by_round.value:.4f} ± {horizon * by_round.stderr:.4f}"
    print(f"    clickbait, by rounds    {blind}, which does not see that users get bored")
    print(f"    clickbait, by sessions  {by_session}")
    print(f"    clickbait, tried        {tried.mean():.4f} ± {tried.std() / math.sqrt(rows):.4f}")


def read_open_bandit(folder: Path | None) -> None:
    """Real logs: what uniform recommendations earn, from the log of Bernoulli Thompson sampling; and what they did."""
    try:
        random, thompson = (ope.rounds(load_open_bandit(folder, policy, "men")) for policy in ("random", "bts"))
    except FileNotFoundError as error:
        if folder is not None:
            raise
        print(f"\nReal logs: {error}")
        return
    assert thompson.propensity is not None
    uniform = torch.full_like(thompson.propensity, 1 / 34)  # the campaign's items
    estimate = ope.ips(thompson.reward, thompson.propensity, uniform, self_normalised=True)
    tried = ope.ips(random.reward, uniform, uniform)
    print(
        "\nReal logs (Open Bandit, men's campaign, 10,000 impressions of each policy): clicks an impression, if uniform"
    )
    print(f"    from the log of Thompson sampling   {estimate}, worth {estimate.effective_rounds:.0f} impressions")
    print(f"    when it was shown                   {tried}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="Open Bandit logs (default: the folder ETHOGRAM_DATA names, or data)")
    parser.add_argument("--quick", action="store_true", help="fewer logs, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figure (default outputs)")
    options = parser.parse_args()
    logs, most = (5, 50) if options.quick else (25, 200)
    estimate, truth = compare_users(logs, most, options.out)
    compare_horizons(rows=20_000 if options.quick else 200_000)
    read_open_bandit(options.data)
    print(f"\nClicks a list under the new ranking, from 10,000 logged lists: {estimate}; tried out: {truth:.4f}")


if __name__ == "__main__":
    main()
