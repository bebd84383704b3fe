"""Populations as Mesa models: a rollout one step at a time, people as agents that read their own row.

``PopulationModel`` steps everybody at once, with the bits of ``rollout``; Mesa collects, sweeps and shows. Importing
this module imports ``mesa``, which sets multiprocessing's start method to "spawn"; nothing else here imports it.
"""

import copy
import math
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, NoReturn

import torch
from mesa import Agent, DataCollector, Model  # type: ignore[import-untyped]
from mesa.agent import AgentSet  # type: ignore[import-untyped]
from torch import Tensor

from ..draws import Draws
from ..history import Column, History, SoFar, first_leaf, map_column
from ..recording import Record, Recorder
from ..rollout import checked_run
from ..run import Run
from ..sites import Do, Sites
from ..world import Policy, World

FIRST_STEPS = 16  # that there is room for at first; the room doubles when it is full


STAYS = "a person cannot be removed, people are the rows of the world: use model.agents.select(…)"


class Person(Agent):  # type: ignore[misc]
    """One row of a population as a Mesa agent: ``person.adopted`` is this person's entry of a column of the model.

    A view: it holds no data, and cannot be changed, stepped alone or removed. What it reads is as in
    ``PopulationModel.column``, in plain Python: a bool, an int, a float, text, a list, a dict. ``unique_id`` counts
    from 1, as Mesa does; ``row``, that of the population, from 0. ``pos`` is for Mesa's spaces.
    """

    row: int
    unique_id: int | None

    def __init__(self, model: "PopulationModel", row: int) -> None:
        # Agent.__init__ of Mesa 3.3 would count ids in a table of the class, which keeps every model alive for ever.
        self.__dict__.update(model=model, row=row, unique_id=None, pos=None)
        model.register_agent(self)  # from Mesa 3.4 on this gives the id
        if self.unique_id is None:
            self.unique_id = row + 1

    def __getattr__(self, name: str) -> Any:
        model = self.__dict__.get("model")
        if model is None or name.startswith("_"):
            raise AttributeError(name)
        try:
            values = model._plain(name)
        except LookupError as error:
            raise AttributeError(error.args[0]) from None
        return {key: v[self.row] for key, v in values.items()} if isinstance(values, dict) else values[self.row]

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "pos" and (name != "unique_id" or self.unique_id is not None):
            raise AttributeError(
                f"{name} of person {self.unique_id} cannot be set, a person is a view of the world: expected "
                f"interventions to change it, such as PopulationModel(interventions=[Do('{name}', …)])"
            )
        self.__dict__[name] = value

    def step(self) -> NoReturn:
        """Refused: everybody steps at once."""
        raise TypeError("a person does not step alone: model.step() steps everybody")

    def remove(self) -> NoReturn:
        """Refused: rows stay."""
        raise TypeError(STAYS)


class PopulationModel(Model):  # type: ignore[misc]
    """A population world as a ``mesa.Model``: ``model.step()`` is one step of everybody, as ``rollout`` takes it.

    ``model.agents`` are the people, ``model.datacollector`` collects at the start and after each step, ``running``
    turns False when everybody's episode has ended. ``model.state`` is the world's own state, ``model.history`` what
    has happened so far: to the bit what ``rollout`` returns for the same arguments and as many steps.
    """

    def __init__(
        self,
        world: World,
        policy: Policy,
        *,
        rows: int | Tensor,
        rng: int | None = None,
        interventions: Sequence[Do] = (),
        record: Sequence[str | Record] | str = (),
        model_reporters: Mapping[str, Any] | None = None,
        agent_reporters: Mapping[str, Any] | None = None,
        agenttype_reporters: Mapping[type[Agent], Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        """A model at its start.

        world, policy, rows, interventions, record: as in ``rollout``. Full columns of observations, actions and rewards
        are kept for policies that read the history; where that is too much, replace them by Records.
        rng, or seed: an int, as in ``rollout``, by either of Mesa's names; without one each model draws its own, which
        is ``model.seed``. Mesa's own generators (``model.random``, for shuffles) are seeded alike.
        model_reporters, agent_reporters, agenttype_reporters: what ``mesa.DataCollector`` takes, such as
        ``{"adopters": lambda model: model.mean("adopted")}`` and ``{"adopted": "adopted"}``. They are first asked
        here: a subclass sets what its reporters use before it calls this.
        kwargs: fields of the world to change, so that Mesa can sweep them or give them sliders; and ``seed``. (This
        name, because SolaraViz looks for it. The seed is among them because ``batch_run`` of Mesa 3.5 would write None
        over an argument of that name.)

        Raises TypeError for fields that the world does not have, ValueError for both seeds, LookupError or
        AttributeError in the first step for names of sites and agent reporters that are none of the world's, and
        whatever ``rollout`` raises.
        """
        seed = _one_seed(rng, kwargs.pop("seed", None))
        ids = checked_run(world, policy, rows, sys.maxsize, seed, interventions)
        super().__init__(rng=int(seed) % 2**64)
        self.seed = int(seed)
        self.running: bool
        known: list[str] = [field.name for field in fields(world) if field.init] if is_dataclass(world) else []
        if unknown := sorted(set(kwargs) - set(known)):
            raise TypeError(f"{type(world).__name__} has no field named {unknown}: expected some of {known}")
        self.world: World = replace(world, **kwargs) if kwargs else world  # type: ignore[type-var]
        self.policy = policy
        self._recorder = Recorder(record, FIRST_STEPS, ids)
        self._site = Sites(interventions, self._keep)
        self._asked = [do.site for do in interventions] + self._recorder.asked
        self._changes = " and ".join(do.site for do in interventions) or "factual"
        self._columns: dict[str, Column] = {}  # name -> the value it last had
        self._lists: dict[str, Any] = {}  # the same in plain Python, for people to read; made on demand
        self._people_made = False
        self._run = Run(self.world, Draws(self.seed, ids, scope="world"), self._site, policy)
        self._run.begin()
        by_type = {kind: _reading(reporters) for kind, reporters in (agenttype_reporters or {}).items()}
        of_model = model_reporters or {"seed": "seed"}  # without any, batch_run of Mesa 3.5 gives no rows
        self.datacollector = DataCollector(of_model, _reading(agent_reporters or {}), by_type)
        self.datacollector.collect(self)

    def step(self) -> None:
        """One step of everybody, after which the data collector collects."""
        if not self.running:
            raise RuntimeError("everybody's episode has ended: make a new model")
        run, recorder = self._run, self._recorder
        t = run.draws.step
        if t == recorder.horizon:
            recorder.extend()
        run.advance(run.act(SoFar.of_run(recorder, run, self._changes)))
        recorder.ends(t, run, last=False)
        self.running = not run.over
        if t == 0:
            self._site.check_names(self._asked)
        self.datacollector.collect(self)

    @property
    def state(self) -> Any:
        """The world's own state."""
        return self._run.state

    @property
    def agents(self) -> AgentSet:
        """The people; made when first asked for, since steps and means need none."""
        self._make_people()
        return super().agents

    @property
    def agents_by_type(self) -> dict[type[Agent], AgentSet]:
        """The people, of type Person all of them."""
        self._make_people()
        return super().agents_by_type

    @property
    def agent_types(self) -> list[type[Agent]]:
        """Person."""
        return [Person]

    def register_agent(self, agent: Agent) -> None:
        """As Mesa does, for the people; others are refused, for they are no rows of the world."""
        if not isinstance(agent, Person):
            raise TypeError(
                f"a {type(agent).__name__} cannot join, the agents are the rows of the world: keep it in a list "
                "of your own, or describe it in the world"
            )
        super().register_agent(agent)

    def deregister_agent(self, agent: Agent) -> NoReturn:
        """Refused: rows stay."""
        raise TypeError(STAYS)

    def _make_people(self) -> None:
        if not self._people_made:
            self._people_made = True
            for row in range(len(self._run.draws.ids)):
                Person(self, row)

    @property
    def history(self) -> History:
        """The history so far, as ``rollout`` returns it; after at least one step."""
        run, recorder = self._run, copy.copy(self._recorder)
        t = run.draws.step
        if t == 0:
            raise ValueError("nothing has happened yet: expected at least one model.step() before model.history")
        recorder.columns = {**recorder.columns, "truncated": torch.zeros_like(recorder.columns["terminated"])}
        recorder.columns["truncated"][t - 1] = True if run.alive is None else run.alive
        return recorder.history(run, self._changes)

    def column(self, name: str) -> Column:
        """(n, …) the last value of a quantity: a site, "observation", "action", "reward", an entry of the observation.

        An entry of a Dict observation comes before a site of the same name. Sites have values from the first step on;
        one that a step does not name keeps the value it had. Raises LookupError for a name that is none of them.
        """
        seen = self._columns["observation"]
        found = seen if isinstance(seen, dict) and name in seen else self._columns
        if name not in found:
            entries = sorted({*self._columns, *(seen if isinstance(seen, dict) else ())})
            early = "" if self._run.draws.step else "; sites of a step have values after the first"
            raise LookupError(f"no column named '{name}'; this model has {entries}{early}")
        return found[name]

    def mean(self, name: str) -> Any:
        """The mean of a column over people: a float, or a list where each has several values.

        NaN before the first step for what is no column yet, so that collectors can start there.
        """
        return self._reduced(name, "mean")

    def sum(self, name: str) -> Any:
        """The sum of a column over people; as ``mean``."""
        return self._reduced(name, "sum")

    def _reduced(self, name: str, how: str) -> Any:
        try:
            value = self.column(name)
        except LookupError:
            if self._run.draws.step:
                raise
            return math.nan
        return Record(name, reduce=how).reduced(value).tolist()

    def _keep(self, name: str, step: int, value: Any) -> None:
        self._columns[name] = value
        self._lists.clear()
        self._recorder(name, step, value)

    def _plain(self, name: str) -> Any:
        """A column as a list, or a dict of lists, of one entry a person."""
        if name not in self._lists:
            column, n = self.column(name), len(self._run.draws.ids)
            if len(first_leaf(column)) != n:
                raise LookupError(f"'{name}' has {len(first_leaf(column))} values for {n} people: use model.column")
            self._lists[name] = map_column(lambda leaf: leaf.tolist(), column)
        return self._lists[name]


def _reading(reporters: Mapping[str, Any]) -> dict[str, Any]:
    """Reporters of people in which names of columns are functions: Mesa's versions differ in what misses a value."""
    return {name: partial(_read, how) if isinstance(how, str) else how for name, how in reporters.items()}


def _read(name: str, person: Person) -> Any:
    """A person's value; None before the first step of what is no column yet."""
    if person.model.steps:
        return getattr(person, name)
    return getattr(person, name, None)


def _one_seed(rng: Any, seed: Any) -> Any:
    """The seed of a model: that given, by whichever of Mesa's names, or one of its own."""
    if rng is not None and seed is not None:
        raise ValueError(f"rng={rng!r} and seed={seed!r}: expected one or the other, which mean the same")
    given = seed if rng is None else rng
    return secrets.randbits(32) if given is None else given
