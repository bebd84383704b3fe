"""A language model in the city: groups are told and asked, aggregates are heard, and people talk."""

import json
import math
import re
from hashlib import sha256

import numpy as np
import pytest
import torch

from ethogram.agents.citizens import Answers, Archetypes, Heuristic
from ethogram.agents.llm import Abilities, LLMPolicy, NoAnswer, Prompts, Reply, Whole
from ethogram.agents.llm_citizens import Answering, LastPeriod, Profiles
from ethogram.envs.epidemics import epidemic_planner_world, small_city
from ethogram.simulator import Draws, rollout
from ethogram.simulator.networks import Contacts
from ethogram.simulator.populations import Talking


class Scripted:
    """In a model's place: says yes the likelier the older, with log-probabilities; some mass on no option."""

    abilities = Abilities()

    def __init__(self, silent=False):
        self.asked, self.silent = [], silent

    def answer(self, requests):
        return [self._reply(request.messages[-1][1]) for request in requests]

    def _reply(self, text):
        self.asked.append(text)
        if self.silent:
            return Reply("")
        (group,) = (json.loads(part) for part in re.findall(r"Data-\w+ (.*?) Data-\w+", text))
        yes = {"below 40": 0.2, "40 or more": 0.6}[group["age"]] if "stay at home" in text else 0.9
        letter = re.search(r"([AB])\) yes", text)[1]
        other = "B" if letter == "A" else "A"
        return Reply("", logprobs=({letter: math.log(yes * 0.8), other: math.log((1 - yes) * 0.8), "x": -2.0},))


def test_a_model_is_asked_once_for_each_group_and_its_distribution_decides():
    n, model = 1000, Scripted()
    city, answering = small_city(n), Answering(model)
    policy = Archetypes(Answers(answering), {"age": [40], "period": None}, period=7)
    history = rollout(city, policy, rows=n, horizon=14, seed=2)
    assert policy.answers.asked == 4
    assert len(model.asked) == 4 * 2 * 2, "two decisions, two orders of the options"
    assert "stay at home" in model.asked[0]
    assert '{"age": "below 40", "period": "0"}' in model.asked[0]
    old = city.age >= 40
    for who, p in ((old, 0.6), (~old, 0.2)):  # 4.5 sigma: fails once in 147,000 seeds
        share = history.action[who, 7, 0].double().mean()
        assert share == pytest.approx(p, abs=4.5 * math.sqrt(p * (1 - p) / who.sum()))
    assert answering.quality() == pytest.approx({"mass": 0.8, "order": 0.0, "repaired": 0.0})
    with pytest.raises(NoAnswer, match="4 of 4 questions have no answer"):
        Archetypes(Answers(Answering(Scripted(silent=True))), {"age": [40]}).act(
            {"age": city.age}, None, Draws(0, torch.arange(n))
        )
    assert "Data" not in repr(answering)


def test_profiles_are_seen_and_are_of_these_people():
    n, kinds = 60, torch.arange(60) % 3
    asked = []
    answers = Answers(lambda questions: asked.extend(questions) or [(q["kind"] / 2, 1.0) for q in questions])
    citizens = Profiles(Archetypes(answers, {"kind": None}), {"kind": kinds})
    history = rollout(small_city(n), citizens, rows=n, horizon=2)
    assert asked == [{"kind": 0}, {"kind": 1}, {"kind": 2}]
    assert not history.action[kinds == 0, :, 0].any()
    assert history.action[kinds == 2, :, 0].all()
    with pytest.raises(ValueError, match="'kind' is of 60 people: expected 61"):
        rollout(small_city(61), citizens, rows=61, horizon=1)
    with pytest.raises(ValueError, match="'age' is one that the world shows already"):
        rollout(small_city(n), Profiles(Heuristic(), {"age": kinds}), rows=n, horizon=1)
    with pytest.raises(ValueError, match="expected \\(n,\\)"):
        Profiles(Heuristic(), {"kind": torch.zeros(2, 2)})
    with pytest.raises(TypeError, match=r"columns\['kind'\] is a list of what are no numbers") as refused:
        Profiles(Heuristic(), {"kind": ["miner", "nurse"]})
    assert "nurse" not in str(refused.value), "nothing of the people is told"


@pytest.mark.parametrize("seat", ["citizens", "planner"])
def test_the_last_period_is_told_as_shares_of_all_people(seat):
    """The questions name the shares of the days before, as a plain mean over the record has them."""
    n, period, told = 80, 3, []

    def answer(questions):
        told.extend(questions)
        return [(0.3 + 0.1 * (q["period"] % 3), 0.8) for q in questions]

    edges = [0.0, *(k / 50 for k in range(1, 50))]
    inner = Archetypes(Answers(answer), {"period": None, "isolate last": edges, "work last": edges}, period)
    citizens = LastPeriod(inner, period)
    if seat == "citizens":
        action = rollout(small_city(n), citizens, rows=n, horizon=4 * period, seed=1).action
        expected = [(-1.0, -1.0)] + [tuple(action[:, k : k + period].double().mean((0, 1)).tolist()) for k in (0, 3, 6)]
        for question, shares in zip(told, expected, strict=True):
            for name, share in zip(("isolate last", "work last"), shares, strict=True):
                low, high = question[name]
                assert low is None or low <= share
                assert high is None or share < high
    else:
        world = epidemic_planner_world(n, citizens=citizens)
        rollout(world, Idle(), rows=1, horizon=2, seed=1)
        assert [q["period"] for q in told] == list(range(5)), "14 days are five periods of three"
        assert all(q["isolate last"][0] is not None for q in told[1:])


class Idle:
    """A planner who does nothing."""

    def act(self, observation, history, draws):
        return torch.zeros(len(draws.ids), 4, dtype=torch.int8)


class Talker:
    """A scripted model for people who talk: what it writes is a digest of what it was told."""

    abilities = Abilities()

    def answer(self, requests):
        return [Reply(self.writes(request.messages[-1][1])) for request in requests]

    @staticmethod
    def writes(text):
        mark = sha256(text.encode()).hexdigest()
        return json.dumps({"act": [int(mark[0], 16) % 2, 1], "message": f"m{mark[:6]}", "notes": f"n{mark[6:9]}"})


def test_people_who_talk_by_a_model_are_those_of_a_plain_loop_over_people():
    """n = 50, each asked by themselves with their own window of two steps and notes; equal to the bit."""
    n, steps = 50, 4
    rng = np.random.default_rng(0)
    source, target = rng.integers(0, n, (2, 300))
    keep = source != target
    friends = Contacts.from_edges(torch.tensor(source[keep]), torch.tensor(target[keep]), n, repeats="merge")
    world = Talking(small_city(n), friends, hears=2, length=30)
    shown = Prompts("You live in a city.", {"action": "What do you do, say and note?"}, memory=2)
    policy = LLMPolicy(Talker(), Whole(world.action_space), shown)
    history = rollout(world, policy, rows=n, horizon=steps, seed=3)
    told = history.observation
    for step in range(steps):
        past = history[:, :step]
        for i in range(n):
            row = {name: column[i : i + 1, step] for name, column in told.items()}
            one = policy.act(row, past[[i]], Draws(3, history.ids[i : i + 1], step, "policy"))
            assert one["message"][0] == history.action["message"][i, step]
            assert one["notes"][0] == history.action["notes"][i, step]
            assert torch.equal(one["act"][0], history.action["act"][i, step])
    assert (history.observation["notes"][:, 1:] == history.action["notes"]).all()
    heard = [json.loads(text) for text in history.observation["heard"][:, 2]]
    said = set(history.action["message"][:, 1])
    assert any(heard)
    assert all(set(each) <= said for each in heard)
    alone = Contacts.from_edges(torch.tensor([0]), torch.tensor([1]), n)
    quiet = rollout(Talking(world.world, alone, hears=2, length=30), policy, rows=n, horizon=steps, seed=3)
    same = quiet.action["message"] == history.action["message"]
    assert same[:, 0].all()
    assert same[:, 2].mean() < 0.2, "what is heard moves what is said"
