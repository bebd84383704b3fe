"""The two seats of a population: everybody's actions at once, and a planner who changes what the others live in.

Both make of a population a world whose rows are whole populations, so that rollouts, contrasts, and the Gymnasium
shells treat a city as they treat a session. Person i of the population with row id q has the id
``derived_ids(q, i)``: ``rollout(world, citizens, rows=derived_ids(q, people), …)`` replays one, person by person.

Populations go in batches where the world is ``Repeatable``, and one by one where it is not; the bits are the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ..arguments import check_callable, check_has, check_is, checked_int
from ..draws import Draws
from ..history import Column, History, first_leaf
from ..memory import Memory, blank, nothing_yet, steps_remembered
from ..recording import Record
from ..rollout import check_interventions, check_role
from ..run import Run
from ..sites import Do, Sites
from ..trees import ask
from ..world import Policy, Transition, World, people_of
from .blocks import Batch, Kept, Populations, in_blocks, in_order, joined, put_together, split, taken
from .side_by_side import is_repeatable


class _Seat:
    """The base of both seats: the populations that they are a seat of, and what they keep of them."""

    world: World
    num_people: int
    interventions: Sequence[Do]

    def _check_people(self) -> None:
        check_role("world", self.world)
        checked_int("num_people", self.num_people, 1)
        check_interventions("interventions", self.interventions)
        there = people_of(self.world)
        if there is not None and there != self.num_people:
            raise ValueError(f"num_people is {self.num_people}: expected {there}, as many as the world has")

    @cached_property
    def _populations(self) -> Populations:
        return Populations(self.world, self.num_people)

    def __getstate__(self) -> dict[str, Any]:  # what is kept is made again where it is needed
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def _begun(self, draws: Draws, interventions: Sequence[Do]) -> Any:
        """(state, observation) of the people at the start, populations first."""
        found = []
        for batch in self._populations.batches(draws):
            site = Sites(in_blocks([interventions] * batch.size))
            found.append((batch, self._born(*batch.world.reset(batch.draws, site))))
        return put_together(found)

    def _born(self, people: Any, seen: Column) -> Any:
        """The state and observation of a batch as what the seat keeps."""
        return people, seen


@dataclass(frozen=True, eq=False)
class Everybody(_Seat):
    """Everybody's seat: one action for each person, one reward for all.

    Rows are populations. Observation: (r, n, …), what each person sees. Action: (r, n, …), what each does. Reward: the
    mean over people. Terminates when everybody has. Sites: those of rollout only; the world's own are named in
    ``rollout(world, …)``, where rows are people.
    """

    world: World
    num_people: int
    interventions: Sequence[Do] = ()  # on the world's sites, in each population

    def __post_init__(self) -> None:
        self._check_people()

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
        state, observation = self._begun(draws, self.interventions)
        return state, observation

    def step(self, state: Any, action: Any, draws: Draws, site: Sites) -> Transition:
        """One step of each population."""
        lives, ends = [], []
        for batch in self._populations.batches(draws):
            inner = Sites(in_blocks([self.interventions] * batch.size))
            inner.step = batch.draws.step
            new = batch.world.step(taken(state, batch), taken(action, batch), batch.draws, inner)
            if self.interventions:
                inner.check_names([do.site for do in self.interventions])
            lives.append((batch, (new.state, new.observation)))
            one = batch.size == 1
            reward = new.reward.mean()[None] if one else torch.stack([r.mean() for r in split(new.reward, batch.size)])
            ends.append((batch, (reward, new.terminated.view(batch.size, -1).all(1))))
        state, observation = put_together(lives)
        reward, terminated = in_order(ends)
        return Transition(state, observation, reward, terminated)


@dataclass(frozen=True, eq=False)
class FlatChoices:
    """Everybody's seat for learners who know flat actions only: of each person's yes-or-no choices, side by side.

    Otherwise the seat that is given: action (r, n k) int8 of 0 or 1, person by person.
    """

    seat: Everybody

    def __post_init__(self) -> None:
        space = self.seat.world.action_space
        if not isinstance(space, gymnasium.spaces.MultiDiscrete) or (space.nvec != 2).any():
            raise ValueError(f"the people's action space is {space}: expected MultiDiscrete([2, …]), yes-or-no choices")

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The seat's."""
        return self.seat.observation_space

    @property
    def action_space(self) -> gymnasium.spaces.MultiBinary:
        """So many choices for each person."""
        return gymnasium.spaces.MultiBinary(self.seat.num_people * self._choices)

    @property
    def _choices(self) -> int:
        return len(self.seat.world.action_space.nvec)  # type: ignore[attr-defined]

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Column]:
        """The seat's."""
        return self.seat.reset(draws, site)

    def step(self, state: Any, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """The seat's step, with a row for each person."""
        return self.seat.step(state, action.reshape(len(action), -1, self._choices), draws, site)


class _Planned(NamedTuple):
    """The state of ``Planner``: of the people, and what they see."""

    people: Any
    seen: Any


class _Remembered(NamedTuple):
    """The same of people who remember."""

    people: Any
    seen: Any
    memory: Memory


@dataclass(frozen=True, eq=False)
class Planner(_Seat):
    """The planner's seat: an action sets levers for a period; citizens go on deciding for themselves.

    world, num_people: the population. citizens: the policy by which people act. It sees their observations, and if it
    is ``Remembering`` the history of its last ``memory`` days, else one without steps. action_space: the planner's.
    levers: one action, a tensor of its space, to the interventions in force for the period. observe: Records of the
    world's sites, each reduced; what the planner sees is their means over the days of the last period, in this order,
    and at last the number of periods so far. unseen: more Records, for the reward only. reward: (name of a record ->
    its values by day, (period, …); the action) to a number, the planner's reward for the period.

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
        self._check_people()
        check_has("citizens", self.citizens, "a policy of people", "act")
        check_is("action_space", self.action_space, gymnasium.Space, "a space of Gymnasium, of the planner's actions")
        for name, records in (("observe", self.observe), ("unseen", self.unseen)):
            if not isinstance(records, Sequence) or not all(isinstance(record, Record) for record in records):
                raise TypeError(f"{name} is {records!r:.60}: expected a list of Records")
        for name, function in (("levers", self.levers), ("reward", self.reward)):
            check_callable(name, function, "a function, such as the class says")
        checked_int("period", self.period, 1)
        if kept := [r.site for r in (*self.observe, *self.unseen) if r.reduce is None]:
            raise ValueError(f"observe or unseen: Records of {kept} keep all rows: expected reduce=, such as 'mean'")

    @cached_property
    def observation_space(self) -> gymnasium.spaces.Box:
        """The space of as many numbers as the records and the count of periods; found by living one day."""
        draws = Draws(0, torch.arange(self.num_people), scope="world")
        life = self._born(*self.world.reset(draws, Sites()))
        days, _ = self._live(Batch(None, 1, self.world, draws), life, [()], days=1)
        size = sum(days[r.site][0, 0].numel() for r in self.observe) + 1
        return gymnasium.spaces.Box(-1e9, 1e9, (size,), np.float32)

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Tensor]:
        """The first state of each population; the planner has seen nothing yet."""
        nothing = torch.zeros((len(draws.ids), *self.observation_space.shape), device=draws.ids.device)
        return self._begun(draws, self.interventions), nothing

    def step(self, state: Any, action: Tensor, draws: Draws, site: Sites) -> Transition:
        """One period of each population."""
        lives, ends = [], []
        for batch in self._populations.batches(draws, self.period):
            actions = action if batch.rows is None else action[batch.rows]
            each = actions.unbind()
            pulled = [[*self.interventions, *self.levers(one)] for one in each]
            found, after = self._live(batch, taken(state, batch), pulled, self.period)
            lives.append((batch, after))
            ends.append((batch, self._judged(found, each, batch.draws.step // self.period + 1)))
        never = torch.zeros_like(draws.ids, dtype=torch.bool)
        observation, reward = in_order(ends)
        return Transition(put_together(lives), observation, reward, never)

    def _judged(self, found: Mapping[str, Tensor], actions: Sequence[Tensor], periods: int) -> tuple[Tensor, Tensor]:
        """The planner's observations of some populations after a period, (b, k), and the rewards, (b,)."""
        observations, rewards = [], []
        for r, action in enumerate(actions):
            days = {name: values[r] for name, values in found.items()}
            means = [days[record.site].to(torch.float64).mean(0).flatten() for record in self.observe]
            observations.append(torch.cat([*means, means[0].new_tensor([periods])]).float())
            rewards.append(torch.as_tensor(self.reward(days, action), dtype=torch.float32))
        return torch.stack(observations), torch.stack(rewards)

    def _born(self, people: Any, seen: Column) -> Any:
        """The state of a batch at the start."""
        steps = steps_remembered(self.citizens)
        if not steps:
            return _Planned(people, seen)
        some = first_leaf(seen)
        action = blank(self.world.action_space, len(some), getattr(some, "device", None))
        return _Remembered(people, seen, Memory.empty(steps, seen, action))

    def _live(
        self, batch: Batch, life: Any, interventions: Sequence[Sequence[Do]], days: int
    ) -> tuple[dict[str, Tensor], Any]:
        """Some days of a batch: (record's site -> (b, days, …), its values; the state after them)."""
        kept = {record.site: Kept(record, batch.size) for record in (*self.observe, *self.unseen)}

        did: list[Any] = [None]  # the last action, after interventions

        def keep(name: str, step: int, value: Any) -> None:
            if name in kept:
                kept[name].add(value)
            if name == "action":
                did[0] = value

        memory = life.memory if isinstance(life, _Remembered) else None
        site = Sites(in_blocks(interventions), keep, [*kept, *(["action"] if memory else [])])
        run = Run(batch.world, batch.draws, site, self._citizens(batch.size))
        run.state, run.observation, site.step = life.people, life.seen, batch.draws.step
        for _ in range(days):
            present = memory.seeing(run.observation) if memory else None
            run.advance(run.act(present.history(run.draws) if present else nothing_yet(run.draws)))
            memory = present.after(did[0], run.reward) if present else None
            run.alive = None  # whoever has ended stays in their row, and does there what the world has them do
        site.check_names([do.site for dos in interventions for do in dos] + list(kept))
        after = life._replace(people=run.state, seen=run.observation, **({"memory": memory} if memory else {}))
        return {name: kept[name].values() for name in kept}, after

    def _citizens(self, populations: int) -> Any:
        """Who acts for all people of a batch."""
        if populations == 1 or not is_repeatable(self.citizens):
            return self.citizens if populations == 1 else _OneByOne(self.citizens, populations)
        return self._populations.times(self.citizens, populations)


@dataclass(frozen=True, eq=False)
class _OneByOne:
    """A policy that may look at all people of a population: each block is asked by itself."""

    policy: Policy
    blocks: int

    def act(self, observation: Any, history: History, draws: Draws) -> Any:
        """The actions of all blocks."""
        rows = torch.arange(len(draws.ids), device=draws.ids.device).chunk(self.blocks)
        parts = zip(split(observation, self.blocks), rows, strict=True)
        return joined([ask(self.policy, seen, history[some], draws.of(some)) for seen, some in parts])
