"""The two seats of a population: everybody's actions at once, and a planner who changes what the others live in.

Both make of a population a world whose rows are whole populations, so that rollouts, contrasts, and the Gymnasium
shells treat a city as they treat a session. Person i of the population with row id q has the id
``derived_ids(q, i)``: ``rollout(world, citizens, rows=derived_ids(q, people))`` replays one, person by person.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ..draws import Draws, derived_ids
from ..history import Column, History
from ..recording import Record
from ..sites import Do, Sites
from ..trees import leaves_of, rebuild
from ..world import Policy, Transition, World


@dataclass(frozen=True, eq=False)
class Citizens:
    """Everybody's seat: one action for each person, one reward for all.

    Rows are populations. Observation: (r, n, …), what each person sees. Action: (r, n, …), what each does. Reward: the
    mean over people. Terminates when everybody has. Sites: those of rollout only; the world's own are named in
    ``rollout(world, …)``, where rows are people.
    """

    world: World
    num_people: int
    interventions: Sequence[Do] = ()  # on the world's sites, in each population

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The world's, batched over people."""
        return batch_space(self.world.observation_space, self.num_people)

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """The world's, batched over people."""
        return batch_space(self.world.action_space, self.num_people)

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Column]:
        """The first state of each population."""
        inner = Sites(self.interventions)
        return _stacked([self.world.reset(d, inner) for d in _people(draws, self.num_people, draws.step)])

    def step(self, state: Any, action: Any, draws: Draws, site: Sites) -> Transition:
        """One step of each population."""
        inner = Sites(self.interventions)
        inner.step = draws.step
        new = [
            self.world.step(_row(state, r), _row(action, r), d, inner)
            for r, d in enumerate(_people(draws, self.num_people, draws.step))
        ]
        inner.check_names([do.site for do in self.interventions])
        state, observation = _stacked([(t.state, t.observation) for t in new])
        reward = torch.stack([t.reward.mean() for t in new])
        return Transition(state, observation, reward, torch.stack([t.terminated.all() for t in new]))


class _Planned(NamedTuple):
    """The state of ``Planner``: of the people, and what they see."""

    people: Any
    seen: Any


@dataclass(frozen=True, eq=False)
class Planner:
    """The planner's seat: an action sets levers for a period; citizens go on deciding for themselves.

    world, num_people: the population. citizens: the policy by which people act; it sees their observations, and no
    history. action_space: the planner's. levers: one action, a tensor of its space, to the interventions in force for
    the period. observe: Records of the world's sites, each reduced; what the planner sees is their means over the days
    of the last period, in this order, and at last the number of periods so far. unseen: more Records, for the reward
    only. reward: (name of a record -> its values by day, (period, …); the action) to a number, the planner's reward
    for the period.

    Rows are populations. Observation: (r, k) float32; before the first period zeros. Reward: (r,). Never terminates.
    Sites: those of rollout only.
    """

    world: World
    num_people: int
    citizens: Policy
    action_space: gymnasium.Space[Any]
    levers: Callable[[Tensor], Sequence[Do]]
    observe: Sequence[Record]
    reward: Callable[[Mapping[str, Tensor], Tensor], Any]
    unseen: Sequence[Record] = ()
    period: int = 7  # days
    interventions: Sequence[Do] = ()  # besides the levers, in each population

    def __post_init__(self) -> None:
        if self.period < 1:
            raise ValueError(f"period is {self.period}: expected at least 1 step")
        if kept := [r.site for r in (*self.observe, *self.unseen) if r.reduce is None]:
            raise ValueError(f"Records of {kept} keep all rows: expected reduce=, such as 'mean'")

    @cached_property
    def observation_space(self) -> gymnasium.spaces.Box:
        """The space of as many numbers as the records and the count of periods; found by living one day."""
        draws = Draws(0, torch.arange(self.num_people), scope="world")
        days, _ = self._live(self.world.reset(draws, Sites()), (), [draws])
        size = sum(days[r.site][0].numel() for r in self.observe) + 1
        return gymnasium.spaces.Box(-1e9, 1e9, (size,), np.float32)

    def reset(self, draws: Draws, site: Sites) -> tuple[_Planned, Tensor]:
        """The first state of each population; the planner has seen nothing yet."""
        inner = Sites(self.interventions)
        people, seen = _stacked([self.world.reset(d, inner) for d in _people(draws, self.num_people, draws.step)])
        nothing = torch.zeros((len(draws.ids), *self.observation_space.shape), device=draws.ids.device)
        return _Planned(people, seen), nothing

    def step(self, state: _Planned, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """One period of each population."""
        lives, observations, rewards = [], [], []
        for r, people in enumerate(_people(draws, self.num_people, draws.step * self.period)):
            days = [people.at(people.step + k) for k in range(self.period)]
            found, after = self._live(_row(tuple(state), r), [*self.interventions, *self.levers(action[r])], days)
            lives.append(after)
            means = [found[record.site].to(torch.float64).mean(0).flatten() for record in self.observe]
            observations.append(torch.cat([*means, means[0].new_tensor([draws.step + 1])]).float())
            rewards.append(torch.as_tensor(self.reward(found, action[r]), dtype=torch.float32))
        never = torch.zeros_like(draws.ids, dtype=torch.bool)
        return Transition(_Planned(*_stacked(lives)), torch.stack(observations), torch.stack(rewards), never)

    def _live(
        self, life: tuple[Any, Any], interventions: Sequence[Do], days: Sequence[Draws]
    ) -> tuple[dict[str, Tensor], tuple[Any, Any]]:
        """Some days of one population: (record's site -> its values by day, (state, observation) after them)."""
        records = {record.site: record for record in (*self.observe, *self.unseen)}
        found: dict[str, list[Tensor]] = {name: [] for name in records}

        def keep(name: str, step: int, value: Any) -> None:
            if name in records:
                found[name].append(records[name].reduced(value))

        site = Sites(interventions, keep, list(records))
        state, observation = life
        for draws in days:
            site.step = draws.step
            nothing = History({}, torch.zeros_like(draws.ids), draws.ids, draws.seed, steps=0)
            action = site("action", self.citizens.act(observation, nothing, draws.scoped("policy")))
            state, observation, reward, _ = self.world.step(state, action, draws, site)
            site("reward", reward)
        site.check_names([do.site for do in interventions] + list(records))
        return {name: torch.stack(values) for name, values in found.items()}, (state, observation)


def _people(draws: Draws, num_people: int, step: int) -> list[Draws]:
    """The draws of each population's people."""
    people = torch.arange(num_people, device=draws.ids.device)
    return [Draws(draws.seed, derived_ids(q.expand(num_people), people), step, draws.scope) for q in draws.ids]


def _row(tree: Any, row: int) -> Any:
    """One population's part of stacked trees."""
    return rebuild(tree, iter([leaf[row] for leaf in leaves_of(tree)]))


def _stacked(trees: list[Any]) -> Any:
    """Trees of one form as one, whose leaves have populations first."""
    leaves = [torch.stack(parts) for parts in zip(*map(leaves_of, trees), strict=True)]
    return rebuild(trees[0], iter(leaves))
