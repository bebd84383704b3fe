"""The contracts: what a world and a policy must offer. Nothing inherits from these; they are protocols."""

from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import gymnasium
from torch import Tensor

from .draws import Draws
from .history import Column, History
from .sites import Sites


class Transition(NamedTuple):
    """The result of one step, for n rows."""

    state: Any  # the world's own: a tensor, or a (frozen dataclass, tuple or dict) of tensors, first axis rows
    observation: Column  # (n, …) as the observation space batches it
    reward: Tensor  # (n,) float32
    terminated: Tensor  # (n,) bool: the task has ended (time running out is the rollout's business)
    truncated: Tensor | None = None  # (n,) bool: cut short by the world itself, as foreign ones may be; None: nobody


@runtime_checkable
class World(Protocol):
    """A batched world without hidden state, usually a frozen dataclass of parameters.

    The first axis is always rows (sessions, devices, people). All chance comes from ``draws``; every quantity that
    one may record or intervene on passes through ``site(name, value)``.
    """

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """The space of one row's observation."""
        ...

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """The space of one row's action."""
        ...

    def reset(self, draws: Draws, site: Sites) -> tuple[Any, Column]:
        """The first state and observation of ``len(draws.ids)`` rows."""
        ...

    def step(self, state: Any, action: Any, draws: Draws, site: Sites) -> Transition:
        """One step of every row.

        ``draws.step`` is the step of the episode, an int; (n,) int64 where rows are at different steps, as they are in
        a vector environment in which some have ended before others. A world that reads it must do with both.
        """
        ...


def people_of(world: Any) -> int | None:
    """How many people a population world is of, each a row; None for others, the seats of populations among them."""
    of_people = getattr(world, "contacts", world if hasattr(world, "repeated") else None)
    return getattr(of_people, "num_people", None)


@runtime_checkable
class Policy(Protocol):
    """Anything that acts. Memoryless policies ignore ``history``; stochastic ones take their chance from ``draws``.

    ``draws.step`` is the step of the episode, which non-stationary policies read.
    """

    def act(self, observation: Any, history: History, draws: Draws) -> Any:
        """One action a row, as the world's action space batches them."""
        ...


@runtime_checkable
class Remembering(Policy, Protocol):
    """A policy that reads its history, at most the last ``memory`` steps of each row.

    A rollout hands a policy all that there is. A world that seats policies inside itself, such as the user of a session
    or the citizens under a planner, keeps so many steps of theirs in its state, and none for who does not ask.
    """

    memory: int


@runtime_checkable
class Naming(Policy, Protocol):
    """A policy that names quantities of its own, such as how sure it is, which are recorded as a world's are.

    A run, and a world that seats it, hand it their ``site`` besides: ``act(observation, history, draws, site)``. It
    names them by the scope of its draws, as f"{draws.scope}_mass", so that a policy and a user keep apart.
    """

    names_sites: bool


@runtime_checkable
class Learner(Policy, Protocol):
    """A policy that learns from what happened."""

    def learn(self, history: History) -> Self:
        """Learn from these episodes; return ``self``."""
        ...
