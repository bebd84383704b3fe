"""Which of HAR's claims on history-aware reasoning hold for a small policy trained the same way?

Run: python benchmarks/gui/har_claims.py [--quick] [--keep FILE]        (two and a half minutes a seed on one free core)

For each seed, a transformer that reads its past as sentences is warmed up in five tasks by a teacher who looks back in
one thought of seven, and acts as goal and screen alone suggest where it does not. So the start knows how to use the
past, and seldom does. Each way of learning goes on from there with as many updates and answers. Of the tasks with
memory, those steps of unseen episodes count whose screen and goal do not tell what is right, from the second step on.
Beside it, the same from a teacher who is always right, as the paper filters its own.

A claim is a difference of two ways within a seed; its interval is 95 %, by Student's t over seeds. "holds" and
"reversed": the interval is on one side of 0; else "open". Absolute numbers are not comparable with the paper's.
"""

import argparse
import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from claims import Claim, Row, rows_of, show_claims, show_means

from ethogram.agents import gui_learning
from ethogram.agents.gui import Scripted
from ethogram.agents.gui_learning import Episodes, GuiPolicy, episodes_of, parsed, success
from ethogram.agents.har import (
    WarmUp,
    alike,
    collected,
    grounding,
    har,
    inference,
    mentions,
    moved_by_history,
    needs_memory,
    succeeds,
)
from ethogram.agents.learning import train
from ethogram.envs.gui import App, SymbolicGui, words
from ethogram.envs.gui_tasks import checklist, reactive, recent_action, search, termination
from ethogram.simulator import Draws, rollout

symbols = gui_learning.symbols
ALONE = "reactive"  # the task that needs no memory
TASKS: dict[str, tuple[App, ...]] = {
    ALONE: (reactive(3),),
    "in turn": (recent_action(1, presses=3, distractors=1),),
    "each app": (checklist(1, apps=2),),
    "so often": (termination(1, sends=2, distractors=0), termination(1, sends=3, distractors=0)),
    "folders": (search(1, folders=2),),
}
LONG: dict[str, tuple[App, ...]] = {  # 7 or 8 steps for 4 or 5
    "in turn": (recent_action(2, presses=3, distractors=1),),
    "each app": (checklist(2, apps=2),),
    "so often": (termination(3, sends=3, distractors=0),),
}
WAYS: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {  # updates of each round, as shares of half; settings
    "HAR": ((1, 1), {}),
    "GRPO": ((0, 2), {"gamma": 0.0, "located": False}),
    "no memory reward": ((1, 1), {"gamma": 0.0}),
    "GRPO*": ((0, 2), {"gamma": 0.0, "located": False, "forced": True}),
    "no reflection": ((0, 2), {}),
    "no grounding": ((1, 1), {"located": False}),
    "no round 2": ((2, 0), {}),
    "places 0 or 1": ((1, 1), {"worth": success}),
    "no hints": ((1, 1), {"hints": False}),
    "gamma 1": ((1, 1), {"gamma": 1.0}),
    "any mention": ((1, 1), {"judge": functools.partial(mentions, strict=False)}),
    "gamma 0.1": ((1, 1), {"gamma": 0.1}),
    "gamma 0.5": ((1, 1), {"gamma": 0.5}),
}
START = "warm-up"
FILTERED = "right teacher"  # whose actions are always right; these ways go on from it
FILTERED_WAYS = ("GRPO", "HAR")
TUNED, SHARES = (START, "GRPO", "HAR"), (1, 5, 20)  # which are trained on, and on how many per cent of the episodes
CLAIMS = (
    Claim("GRPO beats the warm-up with memory", "memory", "GRPO", START),
    Claim("HAR beats GRPO with memory", "memory", "HAR", "GRPO"),
    *(Claim(f"... {name}", name, "HAR", "GRPO") for name in TASKS if name != ALONE),
    Claim("HAR equals GRPO without", ALONE, "HAR", "GRPO", equal=True),
    Claim("thoughts look back more", "aware", "HAR", START),
    Claim("... than after GRPO", "aware", "HAR", "GRPO"),
    Claim("... GRPO leaves them as they were", "aware", "GRPO", START, equal=True),
    Claim("pasts that ask for other actions get them", "told apart", "HAR", START),
    Claim("... more than after GRPO", "told apart", "HAR", "GRPO"),
    Claim("... so do those of other episodes", "moved", "HAR", "GRPO"),
    Claim("a thought that looks back is right more often", "worth of it", START, "nothing"),
    Claim("... also after GRPO", "worth of it", "GRPO", "nothing"),
    Claim("... also after HAR", "worth of it", "HAR", "nothing"),
    Claim("forcing raises mentions, true or not", "mentions", "GRPO*", "GRPO"),
    Claim("... HAR's are truer", "true of them", "HAR", "GRPO*"),
    Claim("... HAR beats forcing", "memory", "HAR", "GRPO*"),
    Claim("... forcing does not beat GRPO", "memory", "GRPO", "GRPO*"),
    Claim("reflection helps", "memory", "HAR", "no reflection"),
    Claim("hints help", "memory", "HAR", "no hints"),
    Claim("the memory reward helps", "memory", "HAR", "no memory reward"),
    Claim("... and makes thoughts look back", "aware", "HAR", "no memory reward"),
    Claim("round 2 helps", "memory", "HAR", "no round 2"),
    Claim("mixed tasks keep grounding", "located", "HAR", "no grounding"),
    Claim("... and cost nothing with memory", "memory", "HAR", "no grounding", equal=True),
    Claim("a large gamma buys mentions", "aware", "gamma 1", "HAR"),
    Claim("... at the cost of success", "memory", "HAR", "gamma 1"),
    Claim("a judge of any mention is fooled", "true of them", "HAR", "any mention"),
    Claim("graded places: nearer clicks", "distance", "places 0 or 1", "HAR"),
    Claim("... within 0.04 more often", "near", "HAR", "places 0 or 1"),
    Claim("HAR beats GRPO in longer episodes", "longer", "HAR", "GRPO"),
    Claim("... and loses less there", "lost if longer", "GRPO", "HAR"),
    Claim("HAR beats GRPO with new words", "new words", "HAR", "GRPO"),
    Claim("... and loses less there", "lost to new words", "GRPO", "HAR"),
    *(Claim(f"HAR is a better start: {n} % of data", f"after {n} %", "HAR", "GRPO") for n in SHARES),
    *(Claim(f"... than the warm-up: {n} %", f"after {n} %", "HAR", START) for n in SHARES),
    Claim("from a right teacher: GRPO beats it", "memory", f"{FILTERED}, GRPO", FILTERED),
    Claim("... HAR beats GRPO", "memory", f"{FILTERED}, HAR", f"{FILTERED}, GRPO"),
    Claim("... HAR's thoughts look back more", "aware", f"{FILTERED}, HAR", f"{FILTERED}, GRPO"),
    Claim("... such thoughts are right more often", "worth of it", FILTERED, "nothing"),
)


class Size(NamedTuple):
    """Of a run."""

    warm: int = 900  # updates of the warm-up
    updates: int = 50  # of each of two rounds
    tuned: int = 10  # updates of post-training
    episodes: int = 400  # of the expert, in each task
    tested: int = 40


def steps(apps: tuple[App, ...], episodes: int, seed: int) -> Episodes:
    """The expert's steps, but for those of episodes that cannot be done: no answer can say so."""
    parts = []
    for app in apps:
        part = episodes_of(rollout(SymbolicGui(app), Scripted(), rows=episodes, horizon=app.horizon, seed=seed))
        impossible = part.row[part.truth["text"] == words.INFEASIBLE]
        parts.append(part.rows((~torch.isin(part.row, impossible)).nonzero()[:, 0]))
    return Episodes.mixed(parts)


def in_need(episodes: Episodes) -> Episodes:
    """The steps that need memory."""
    return episodes.rows(needs_memory(episodes).nonzero()[:, 0])


def told_apart(policy: GuiPolicy, episodes: Episodes, forced: bool) -> torch.Tensor:
    """(k,) float32, 1 where the past of another step, of the same goal and screen, makes another action of it.

    Of pairs of steps at which different actions are right.
    """
    screens = alike(episodes)
    order = screens.argsort(stable=True)
    did = parsed(policy.generate(inference(episodes, forced=forced).prompts, Draws(0, screens), temperature=0)).action()
    one, other = order[1:], order[:-1]

    def differ(action: dict[str, torch.Tensor]) -> torch.Tensor:
        parts = (action[name].reshape(len(order), -1) for name in ("type", "point"))
        return torch.stack([(part[one] != part[other]).any(1) for part in parts]).any(0)

    return differ(did)[(screens[one] == screens[other]) & differ(episodes.truth)].float()


def renamed(episodes: Episodes) -> Episodes:
    """The same steps, with labels that were never seen."""
    shift = len(words.VOCABULARY) - words.FIRST_LABEL

    def new(ids: torch.Tensor, first: int) -> torch.Tensor:
        return torch.where((ids >= first) & (ids < first + len(words.LABELS)), ids + shift, ids)

    told = {name: new(episodes.seen[name], words.FIRST_LABEL) for name in ("text", "goal")}
    return episodes._replace(
        seen=episodes.seen | told, sentences=new(episodes.sentences, symbols.FIRST_WORD + words.FIRST_LABEL)
    )


def thinking(policy: GuiPolicy, episodes: Episodes, forced: bool, answers: int = 4) -> Row:
    """Of several answers to each step: how many say something true of the past, how many anything, what that is worth.

    That is how much more often they are right than answers to the same step which do not.
    """
    draws = Draws(0, torch.arange(answers * len(episodes.row)))
    answer = policy.generate(inference(episodes, forced=forced).prompts, draws, group=answers)
    truth = {name: column.repeat_interleave(answers, 0) for name, column in episodes.truth.items()}
    said = episodes.sentences.repeat_interleave(answers, 0)
    right = success(parsed(answer), truth).float().view(-1, answers)
    aware = mentions(answer, said).float()
    some = mentions(answer, said, strict=False).float().mean().item()
    with_it = aware.view(-1, answers)
    without = 1 - with_it
    both = with_it.any(1) & without.any(1)
    of_step = (right * with_it).sum(1) / with_it.sum(1) - (right * without).sum(1) / without.sum(1)
    share = aware.mean().item()
    return {
        "aware": share,
        "mentions": some,
        "true of them": share / some if some else 0.0,
        "worth of it": of_step[both].mean().item() if bool(both.any()) else 0.0,
    }


def pointing(policy: GuiPolicy, episodes: Episodes) -> Row:
    """How far elements that are described are missed, as a share of the screen, and how often by little."""
    asking = grounding(episodes)
    answer = policy.generate(asking.prompts, Draws(0, torch.arange(len(asking.sentences))), temperature=0)
    at = (parsed(answer).at.clamp(min=0) + 0.5) / symbols.BINS
    missed = (at - asking.truth["point"]).square().sum(1).sqrt()
    shares = {"distance": missed, "located": (missed <= 0.14).float(), "near": (missed <= 0.04).float()}
    return {name: share.mean().item() for name, share in shares.items()}


class Tests(NamedTuple):
    """Steps of unseen episodes."""

    tasks: dict[str, Episodes]  # where they need memory, but for ALONE
    everything: Episodes
    longer: Episodes
    renamed: Episodes

    @classmethod
    def drawn(cls, episodes: int, seed: int) -> "Tests":
        """Of so many episodes in each task."""
        whole = {name: steps(apps, episodes, seed) for name, apps in TASKS.items()}
        tasks = {name: part if name == ALONE else in_need(part) for name, part in whole.items()}
        longer = Episodes.mixed(in_need(steps(apps, episodes, seed)) for apps in LONG.values())
        return cls(tasks, Episodes.mixed(whole.values()), longer, renamed(tasks["in turn"]))


def measured(way: str, policy: GuiPolicy, tests: Tests, forced: bool = False) -> Row:
    """Shares of steps, by name."""
    right = {name: succeeds(policy, part, forced) for name, part in tests.tasks.items()}
    needs = [part for name, part in tests.tasks.items() if name != ALONE]
    row = {name: share.mean().item() for name, share in right.items()}
    row["memory"] = torch.cat([share for name, share in right.items() if name != ALONE]).mean().item()
    row["told apart"] = torch.cat([told_apart(policy, part, forced) for part in needs]).mean().item()
    row["moved"] = torch.cat([moved_by_history(policy, part, forced) for part in needs]).mean().item()
    row |= thinking(policy, Episodes.mixed(needs), forced) | pointing(policy, tests.everything)
    row["longer"] = succeeds(policy, tests.longer, forced).mean().item()
    row["new words"] = succeeds(policy, tests.renamed, forced).mean().item()
    row |= {"lost if longer": row["memory"] - row["longer"], "lost to new words": row["in turn"] - row["new words"]}
    return {f"{way}, {name}": share for name, share in row.items()}


def one_seed(seed: int, size: Size, chosen: tuple[str, ...]) -> Iterator[Row]:
    """All that is measured with a seed, for the chosen ways one by one."""
    yield {"nothing, worth of it": 0.0}
    shown = Episodes.mixed(steps(apps, size.episodes, seed) for apps in TASKS.values())
    tests = Tests.drawn(size.tested, 10**6 + seed)
    begins = [(START, 1.0, [way for way in WAYS if way in chosen]), (FILTERED, 0.0, FILTERED_WAYS)]
    for name, blind, ways in begins if FILTERED in chosen else begins[:1]:
        torch.manual_seed(seed)
        start = GuiPolicy(4, past="sentences", width=48, layers=1, hidden=192)
        train(WarmUp(start, shown, blind=blind, seed=seed), size.warm, rate=4e-3, progress=False)
        errors = len(collected(start, shown, seed)[1]) / len(shown.row)
        yield measured(name, start, tests) | {f"{name}, errors": errors}
        trained = {START: start}
        for way in ways:
            (first, second), settings = WAYS[way]
            policy = trained[way] = copy.deepcopy(start)
            rounds = (first * size.updates, second * size.updates)
            har(policy, shown, rounds, rate=3e-4, prompts=8, seed=seed, progress=False, **settings)
            yield measured(way if name == START else f"{name}, {way}", policy, tests, settings.get("forced", False))
        for way in [way for way in TUNED if way in trained and name == START]:
            yield tuned(way, trained[way], shown, tests, size, seed)


def tuned(way: str, policy: GuiPolicy, shown: Episodes, tests: Tests, size: Size, seed: int) -> Row:
    """Success with memory after supervised training on right actions in some of the episodes."""
    row = {}
    for share in SHARES:
        some = shown.rows((shown.row < share / 100 * size.episodes).nonzero()[:, 0])
        after = copy.deepcopy(policy)
        train(WarmUp(after, some, seed=seed), size.tuned, rate=1e-3, progress=False)
        right = [succeeds(after, part) for name, part in tests.tasks.items() if name != ALONE]
        row[f"{way}, after {share} %"] = torch.cat(right).mean().item()
    return row


def report(rows: list[Row]) -> None:
    """Tables over seeds."""
    ways = (START, *WAYS, FILTERED, *(f"{FILTERED}, {way}" for way in FILTERED_WAYS))
    show_means(rows, ways, ("memory", *TASKS, "longer", "new words"))
    show_means(rows, ways, ("aware", "mentions", "worth of it", "told apart", "moved", "located", "near", "distance"))
    show_means(rows, TUNED, tuple(f"after {share} %" for share in SHARES))
    show_means(rows, (START, FILTERED), ("errors",))
    show_claims(rows, CLAIMS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--updates", type=int, default=Size().updates, help="of each of the two rounds")
    parser.add_argument(
        "--ways", nargs="+", choices=[*WAYS, FILTERED], default=[*WAYS, FILTERED], help="all by default"
    )
    parser.add_argument("--keep", type=Path, help="a file to add to, and to go on from with the same settings")
    parser.add_argument("--quick", action="store_true", help="two seeds and few updates: a check that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds, size, ways = range(given.first, given.first + given.seeds), Size(updates=given.updates), tuple(given.ways)
    if given.quick:
        seeds, size = range(2), Size(20, 2, 2, 60, 10)
    rows = rows_of(
        seeds, functools.partial(one_seed, size=size, chosen=ways), [f"{way}, memory" for way in ways], given.keep
    )
    report(rows)


if __name__ == "__main__":
    main()
