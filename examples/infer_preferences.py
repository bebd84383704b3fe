"""Can three written words, brought up to date as people go on choosing, stand for all that they chose before?

Run: python examples/infer_preferences.py        (a minute on a free core; --help for options)

Ten properties of films; everybody cares for three of them, for or against, and tells nobody: there are only choices
between two films. A small writer describes each person in three words, and a reader who sees nothing else foresees the
next choices. The writer first imitates a teacher whose descriptions turned out right, then learns from how well it is
read (AlignXplore, arXiv:2505.18071). After every twelve choices the words are brought up to date by those alone. Beside
that, all choices so far are read again for new words. After 36 choices all change their minds.
"""

import argparse
import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ethogram.agents.learning import GRPO, train
from ethogram.agents.preferences import (
    ColdStart,
    Practice,
    PreferenceAgent,
    TokenWriter,
    choices_of,
    in_words,
    people_of,
    reward_of,
    streamed,
    words_of,
)
from ethogram.envs.choices import Choosing
from ethogram.simulator import Do, Draws, History, rollout
from ethogram.simulator.report import plots
from ethogram.simulator.whatif import standard_error

NAMES = ("comedy", "war", "romance", "music", "space", "animals", "history", "sport", "food", "crime")
WINDOW, WINDOWS, CHANGE = 12, 6, 3


class Size(NamedTuple):
    """Of a run."""

    pool: int  # people of the cold start
    cold: int  # updates of it
    updates: int  # of GRPO
    tested: int  # people


FULL, QUICK = Size(10_000, 300, 60, 1000), Size(600, 10, 2, 100)


def percent(shares: Tensor) -> str:
    """A mean over people and its 95 % interval, in per cent."""
    return f"{100 * shares.mean():.1f} ± {196 * standard_error(shares):.1f}"


def foreseen(writer: TokenWriter, reread: bool, people: int, seed: int) -> History:
    """An agent foresees the choices of people who all change their minds after some windows."""
    turn = Do("preference", torch.neg, start=CHANGE * WINDOW, stop=CHANGE * WINDOW + 1)
    agent = PreferenceAgent(writer, WINDOW, reread)
    return rollout(
        Choosing(len(NAMES)), agent, rows=people, horizon=WINDOWS * WINDOW, seed=seed, interventions=[turn],
        record=("preference",),
    )  # fmt: skip


def by_window(history: History) -> Tensor:
    """(people, windows) share of choices foreseen."""
    return history.reward.view(len(history), WINDOWS, WINDOW).mean(2)


def tell(history: History, writer: TokenWriter, seed: int) -> None:
    """What was written of the first person, window by window."""
    made, draws = choices_of(history), Draws(seed, history.ids, scope="policy")
    print("\nOne person, who cares in truth as in brackets:")
    for k, words in enumerate(streamed(writer, made, WINDOW, draws)):
        true = words_of(history.sites["preference"][:1, k * WINDOW + WINDOW - 1], 3)
        print(f"  after {(k + 1) * WINDOW} choices: {in_words(words[:1], NAMES)[0]:44} ({in_words(true, NAMES)[0]})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few updates, in seconds: what it learns is little")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default outputs)")
    given = parser.parse_args()
    size, world = QUICK if given.quick else FULL, Choosing(len(NAMES))
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)

    writer = TokenWriter()
    stages = {"untrained": copy.deepcopy(writer)}
    pool = people_of(world, size.pool, 2 * WINDOW, 6, given.seed)
    train(ColdStart(writer, pool, WINDOW, batch=192, seed=given.seed), size.cold, rate=3e-3)
    stages["taught"] = copy.deepcopy(writer)
    practice = GRPO(writer, Practice(world, WINDOW), prompts=96, scale="none", kl=0.0, seed=given.seed)
    train(practice, size.updates, rate=1e-3)
    stages["and practised"] = writer

    met = people_of(world, size.tested, 2 * WINDOW, 20, 1_000_000 + given.seed)
    draws = Draws(given.seed, torch.arange(size.tested))
    shares = {}
    for name, stage in stages.items():
        said = {
            "one window": stage.describe(met.read.between(0, WINDOW), None, draws),
            "two, streaming": streamed(stage, met.read, WINDOW, draws)[1],
            "two, re-read": stage.describe(met.read, None, draws.at(1)),
        }
        shares[name] = {reading: reward_of(stage, words, met.targets) for reading, words in said.items()}
        print(f"{name:14}" + "; ".join(f"{reading} {percent(share)} %" for reading, share in shares[name].items()))
    seed = 2_000_000 + given.seed
    runs = {way: foreseen(writer, way == "re-reading", size.tested, seed) for way in ("streaming", "re-reading")}
    tell(runs["streaming"], writer, seed)

    given.out.mkdir(parents=True, exist_ok=True)
    left, right = plots.panels(2)
    rows = {
        name: ([s.mean().item() for s in part.values()], [1.96 * standard_error(s).item() for s in part.values()])
        for name, part in shares.items()
    }
    plots.bars(plots.label(left, "Choices foreseen, by what was read", "", "share"), list(shares["taught"]), rows)
    left.set_ylim(0, 1.15)
    left.legend(loc="upper left", ncols=3, frameon=False)
    curves = {way: by_window(history).mean(0) for way, history in runs.items()}
    title = f"All change their minds after {CHANGE * WINDOW} choices"
    plots.curves(plots.label(right, title, f"window of {WINDOW} choices", "share foreseen"), curves, first=1)
    right.axhline(0.5, color="0.6", linewidth=0.8)
    print(f"\nPicture: {plots.save(right, given.out / 'infer_preferences.png')}")
    before, after = (
        {way: by_window(history)[:, k] for way, history in runs.items()} for k in (CHANGE - 1, WINDOWS - 1)
    )
    print(
        f"After {CHANGE - 1} windows, words brought up to date foresee {percent(before['streaming'])} % of choices, "
        f"words from reading all again {percent(before['re-reading'])} %; two windows after all changed their minds, "
        f"{percent(after['streaming'])} % and {percent(after['re-reading'])} %."
    )


if __name__ == "__main__":
    main()
