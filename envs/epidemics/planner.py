"""Levers, costs, small_city: the planner's world."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import mul
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ethogram.simulator import Do, Draws, Policy, Record, check_has, check_is
from ethogram.simulator.populations import ByRule, Planner, Rate

from ..people import city_layers, synthetic_city
from .disease import Disease
from .epidemic import Epidemic

LEVERS = ("close schools", "send workers home", "close the community", "pay a stimulus")

CLOSED_WORK, CLOSED_COMMUNITY = 0.4, 0.2  # how much of the contacts there a closure leaves

STIMULUS = 0.2  # weekly wages a person

# What the planner's reward counts, in weekly wages. Designed here: a society may value them otherwise, and a user may
# pass a Planner of their own.
INFECTION, DEATH, IDLE_WEEK = 5.0, 1000.0, 1.0

PUPIL_AT_HOME, WORKER_AT_HOME, RESIDENT_AT_HOME = 0.3, 0.3, 0.1  # a week, on average over all who are kept away

per_1000 = Rate(1000)  # how many of 1,000 people

ILL_AT_HOME = 0.7  # probability a day of isolating when ill
WARIEST, WARY = 0.4, 20.0  # the most that a healthy person's is; the announced cases per 1,000 at which it is half that


def careful(observation: Mapping[str, Tensor], draws: Draws) -> Tensor:
    """(n, 2) int8, [isolate, work], of people who isolate when ill or when cases are many, and who want to work.

    Designed here, so that a planner has people to plan for. ``ethogram.agents.citizens`` has others.
    """
    cases, ill = observation["cases"], observation["ill"]
    if cases.is_cpu:  # NumPy is quicker where people are few
        chance = torch.from_numpy(_cautious(cases.detach().numpy(), ill.numpy(), np.where))
    else:
        chance = _cautious(cases, ill, torch.where)
    action = torch.ones(len(cases), 2, dtype=torch.int8, device=cases.device)
    action[:, 0] = draws.bernoulli("isolates", chance)
    return action


def _cautious(cases: Any, ill: Any, where: Callable[..., Any]) -> Any:
    """(n,) float32 probability of isolating; of tensors or of arrays."""
    cases = cases.clip(min=0)
    return where(ill == 1, ILL_AT_HOME, WARIEST * cases / (cases + WARY))


def small_city(num_people: int = 1000, seed: int = 0) -> Epidemic:
    """A synthetic city with an epidemic that begins with 5 in 1,000 people and is brought in again now and then."""
    people = synthetic_city(num_people, seed=seed)
    disease = Disease(importation=1 / (60 * 1000))  # one a day among 60,000 people
    return Epidemic(city_layers(people, seed=seed), people["age"], people["area"], disease, initial=0.005)


def epidemic_planner_world(
    num_people: int = 1000, world: Epidemic | None = None, citizens: Policy | None = None
) -> Planner:
    """A planner who sets four levers for each week of an epidemic, among people who are ``careful`` by default.

    Action: (r, 4) int8 of 0 or 1, the LEVERS. Observation: (r, 5) float32, of the last week: confirmed cases, deaths,
    people isolating and jobless people, each per 1,000 people on an average day, and the number of weeks so far.
    Reward: minus what the week costs in weekly wages per person: 5 an infection, 1,000 a death, 1 a week without a job
    for each who wants one, and what closures cost those whom they keep away: 0.3 for each pupil and worker, 0.1 for
    each resident; a stimulus costs what it pays (0.2 a person).
    """
    world = small_city(num_people) if world is None else world
    check_is("world", world, Epidemic, "an Epidemic")
    citizens = ByRule(careful) if citizens is None else citizens
    check_has("citizens", citizens, "a policy of people, such as Heuristic(), or ByRule(function)", "act")
    return Planner(
        world,
        world.num_people,
        citizens,
        spaces.MultiDiscrete([2, 2, 2, 2], dtype=np.int8),
        partial(_pulled, levers(world)),
        [Record(name, reduce=per_1000) for name in ("confirmed", "died", "isolates", "jobless")],
        partial(_minus_cost, _share(world, "school"), _share(world, "workplace")),
        [Record("infected", reduce=per_1000)],
    )


def _minus_cost(pupils: float, workers: float, found: Mapping[str, Tensor], action: Tensor) -> float:
    school, work, community, stimulus = (float(lever) for lever in action.tolist())
    infected, died, jobless = found["infected"].sum().item(), found["died"].sum().item(), found["jobless"].mean().item()
    kept_away = school * pupils * PUPIL_AT_HOME + work * workers * WORKER_AT_HOME + community * RESIDENT_AT_HOME
    events = INFECTION * infected + DEATH * died
    return -(events / 1000 + IDLE_WEEK * jobless / 1000 + kept_away + stimulus * STIMULUS)


def _pulled(levers: Sequence[Sequence[Do]], action: Tensor) -> list[Do]:
    return [do for lever, on in zip(levers, action.tolist(), strict=True) if on for do in lever]


def levers(world: Epidemic) -> list[list[Do]]:
    """The interventions of each of the LEVERS, as far as the world has the layers."""
    closures = {"school": 0.0, "workplace": CLOSED_WORK, "community": CLOSED_COMMUNITY, "city": CLOSED_COMMUNITY}
    close = {
        name: Do(f"attends_{name}", partial(mul, left))  # of what each would keep
        for name, left in closures.items()
        if name in world.layers
    }
    groups = [["school"], ["workplace"], ["community", "city"]]
    return [*([close[name] for name in group if name in close] for group in groups), [Do("stimulus", STIMULUS)]]


def _share(world: Epidemic, layer: str) -> Any:
    """The share of all people who have contacts in a layer."""
    return (world.layers[layer].strength > 0).double().mean().item() if layer in world.layers else 0.0
