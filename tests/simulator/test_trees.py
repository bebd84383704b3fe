"""What policies, interventions and records are handed is the world's: they cannot write to it unnoticed."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import by_hand
import gymnasium
import numpy as np
import pytest
import torch

from ethogram.agents.citizens import Heuristic
from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import SEIR, epidemic_planner_world, small_city
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Do, Record, check_policy, rollout
from ethogram.simulator.trees import leaves_of, map_tree
from ethogram.simulator.world import Transition

SESSION, SHOWN = CascadingSession(trap()), Fixed([0, 1])
EPIDEMIC = SEIR(by_hand.ring(), initial=0.3)


@dataclass(frozen=True)
class Writes:
    """Does to what it is handed what ``how`` does, from a step on, and acts as another."""

    policy: Any
    how: Any
    memory: int = 0
    first: int = 2  # step

    def act(self, observation, history, draws):
        if draws.step >= self.first:
            self.how(observation, history)
        return self.policy.act(observation, history, draws)


@dataclass(frozen=True)
class Renumbers:
    """Writes to the ids of the rows that it acts for, on which all chance hangs."""

    write: Any

    def act(self, observation, history, draws):
        self.write(draws.ids)
        return torch.zeros_like(observation, dtype=torch.int64)


@dataclass(frozen=True)
class Chat:
    """Sees text; its state is the number of the step."""

    observation_space = gymnasium.spaces.Text(10)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, draws, site):
        return draws.ids, np.array(["hi"] * len(draws.ids), dtype=object)

    def step(self, state, action, draws, site):
        words = np.array([f"word {draws.step}"] * len(state), dtype=object)
        return Transition(state + 1, words, torch.zeros(len(state)), torch.zeros(len(state), dtype=torch.bool))


def all_ill(observation, history):
    observation.fill_(2)


@pytest.mark.parametrize(
    ("world", "policy", "how"),
    [
        (SESSION, SHOWN, lambda o, h: o.clamp_(max=0)),
        (SESSION, SHOWN, lambda o, h: o.__setitem__(slice(None), 10**9)),
        (SESSION, SHOWN, lambda o, h: o.view(-1)[:1].add_(1)),
        (EPIDEMIC, Fixed(0), all_ill),
        (by_hand.city(), Heuristic(), lambda o, h: o["savings"].zero_()),
        (by_hand.city(), Heuristic(), lambda o, h: o["age"].__setitem__(slice(None), 5)),
    ],
)
def test_a_policy_that_writes_to_what_it_sees_is_named(world, policy, how):
    rows = getattr(world, "num_people", by_hand.N if world is EPIDEMIC else 3)
    before = rollout(world, policy, rows=rows, horizon=6, seed=3)
    with pytest.raises(RuntimeError, match="act of Writes wrote to the observation in place"):
        rollout(world, Writes(policy, how), rows=rows, horizon=6, seed=3)
    assert before.equals(rollout(world, policy, rows=rows, horizon=6, seed=3))  # the world itself is as it was


@pytest.mark.parametrize(
    "how",
    [
        lambda o, h: h.observation.zero_(),
        lambda o, h: h[:, :1].action.add_(1),
        lambda o, h: h.series["reward"].fill_(5),
        lambda o, h: h.thinned["click"].fill_(0),
    ],
)
def test_a_policy_that_writes_to_the_history_is_named(how):
    record = [Record("reward", reduce="mean"), Record("click", every=2)]
    with pytest.raises(RuntimeError, match="act of Writes wrote to the history in place"):
        rollout(SESSION, Writes(SHOWN, how), rows=3, horizon=4, record=record)


class Clicks:
    def act(self, observation, history, draws):
        return draws.uniform("clicks", 2) < observation["attraction"]


@pytest.mark.parametrize(
    ("memory", "how"),
    [
        (0, lambda o, h: o["state"].zero_()),
        (0, lambda o, h: o["attraction"].fill_(1)),
        (2, lambda o, h: o["state"].zero_()),
        (2, lambda o, h: h.action.logical_not_()),
        (2, lambda o, h: h.observation["state"].fill_(0)),
    ],
)
def test_a_user_inside_a_world_cannot_write_either(memory, how):
    with pytest.raises(RuntimeError, match=r"act of Writes wrote to the (observation|history) in place"):
        rollout(CascadingSession(trap(), Writes(Clicks(), how, memory)), SHOWN, rows=3, horizon=4)


def test_citizens_under_a_planner_cannot_write_to_the_city():
    citizens = Writes(Heuristic(), lambda o, h: o["employed"].fill_(1))
    world = epidemic_planner_world(world=small_city(100), citizens=citizens)
    with pytest.raises(RuntimeError, match="act of Writes wrote to the observation"):
        rollout(world, Fixed(torch.zeros(4, dtype=torch.int8)), rows=2, horizon=2)


@pytest.mark.parametrize("write", [torch.Tensor.zero_, lambda x: x.numpy().fill(0), lambda x: x.data.zero_()])
@pytest.mark.parametrize(
    ("world", "policy", "name"),
    [
        (SESSION, SHOWN, "observation"),
        (SESSION, SHOWN, "attraction"),
        (SESSION, SHOWN, "action"),
        (EPIDEMIC, Fixed(0), "observation"),
        (by_hand.city(), Heuristic(), "observation"),
    ],
)
def test_functions_of_interventions_and_records_write_to_copies_of_their_own(world, policy, name, write):
    """By whatever means, they change nothing but what they return."""

    def run(do=(), reduce=None):
        record = [] if reduce is None else [Record(name, reduce=reduce)]
        return rollout(world, policy, rows=by_hand.N, horizon=6, seed=3, interventions=do, record=record, scenario="")

    def writes(value):
        before = map_tree(torch.clone, value)
        map_tree(write, value)
        return before

    def count(value):
        return torch.tensor(len(leaves_of(value)))

    assert run([Do(name, writes)]).equals(run())
    assert run(reduce=lambda value: count(writes(value))).equals(run(reduce=count))


def test_what_a_function_writes_to_its_copy_and_returns_counts_for_its_rows_alone():
    who = torch.tensor([True, False, False])
    run = partial(rollout, SESSION, SHOWN, rows=3, horizon=4, record=["attraction"])
    halved = run(interventions=[Do("attraction", lambda p: p / 2, who=who)])
    assert run(interventions=[Do("attraction", lambda p: p.div_(2), who=who)]).equals(halved)


def test_text_is_read_only():
    for how in (lambda o, h: o.fill("no"), lambda o, h: h.observation.fill("no")):
        with pytest.raises(ValueError, match="read-only"):
            rollout(Chat(), Writes(Fixed(0), how), rows=2, horizon=4)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        (lambda o, h: o.numpy().fill(0), "observation"),  # which torch does not count
        (lambda o, h: o.data.fill_(0), "observation"),
        (lambda o, h: h.reward.numpy().fill(7), "history"),
        (lambda o, h: h.ids.numpy().fill(7), "ids"),
        (lambda o, h: o.clamp_(max=0), "observation"),
    ],
)
def test_check_policy_finds_who_writes_whether_by_torch_or_by_numpy(how, what):
    with pytest.raises(AssertionError, match=f"act changed the {what} in place at step 2"):
        check_policy(Writes(SHOWN, how), SESSION)


def test_check_policy_leaves_the_parameters_of_a_world_as_they_were():
    city = by_hand.city()
    age = city.age.clone()
    with pytest.raises(AssertionError, match="act changed the observation"):
        check_policy(Writes(Heuristic(), lambda o, h: o["age"].numpy().fill(5), first=0), city, rows=city.num_people)
    assert torch.equal(city.age, age)


@pytest.mark.parametrize("write", [lambda ids: ids.zero_(), lambda ids: ids[:2].add_(1)])
def test_a_policy_that_writes_to_the_ids_of_rows_is_named(write):
    with pytest.raises(RuntimeError, match="act of Renumbers wrote to the ids of the rows"):
        rollout(EPIDEMIC, Renumbers(write), rows=by_hand.N, horizon=3)


class Leaves(Chat):
    """One row after the other ends."""

    def step(self, state, action, draws, site):
        return super().step(state, action, draws, site)._replace(terminated=draws.ids <= draws.step)


def test_the_lengths_that_a_policy_sees_are_its_own():
    history = rollout(Leaves(), Writes(Fixed(0), lambda o, h: h.length.zero_()), rows=3, horizon=9)
    assert history.length.tolist() == [1, 2, 3]


def test_worlds_run_in_inference_mode_too():
    """Torch counts no writes to what is made there: a policy is handed copies."""
    plain = rollout(SESSION, SHOWN, rows=3, horizon=4)
    with torch.inference_mode():
        assert rollout(SESSION, SHOWN, rows=3, horizon=4).equals(plain)
        written = rollout(SESSION, Writes(SHOWN, lambda o, h: o.fill_(0)), rows=3, horizon=4)
    assert written.equals(plain)


def test_a_policy_may_keep_what_it_saw_and_is_handed_the_worlds_parameters_as_copies():
    city, seen = by_hand.city(), []
    rollout(city, Writes(Heuristic(), lambda o, h: seen.append(o)), rows=city.num_people, horizon=5)
    assert all(torch.equal(o["age"], city.age) and o["age"] is not city.age for o in seen)
    assert seen[0]["age"] is seen[-1]["age"]  # made once
    assert all(leaf._version == 0 for leaf in leaves_of(seen[-1]["age"]))
