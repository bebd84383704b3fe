"""The Gymnasium shells: a world as an Env, as a VectorEnv of many rows; a foreign Env as a world.

Chance stays keyed: an episode is a row id, hashed from the environment's seed and the number of the episode since
it was seeded (``episode_ids``). So a vector environment equals single ones, whatever their number and whenever
their episodes end, and an episode seen in Gymnasium can be played again, recorded and intervened on::

    rollout(world, policy, rows=episode_ids(seed, episode), horizon=horizon)  # seed=0, the default

Actions come in without a copy; what goes out is a copy, so that neither side can change what the other holds.
``info`` is empty but for what Gymnasium itself asks for.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from torch import Tensor

from .draws import Draws, derived_ids
from .history import Column, map_column
from .sites import Sites
from .trees import _concatenate, _select, _to_cpu, leaves_of, rebuild
from .world import Transition, World

_Array = np.ndarray[Any, Any]


def episode_ids(seed: int | Tensor, episode: int | Tensor = 0) -> Tensor:
    """The row ids of episodes, (n,) int64: what a shell seeded with ``seed`` plays at its ``episode``-th reset.

    seed: an int, or (n,) int64, in [0, 2^63). episode: an int, or (n,) int64, counted from 0.
    """
    seeds, episodes = torch.as_tensor(seed).reshape(-1), torch.as_tensor(episode).reshape(-1)
    return derived_ids(seeds, episodes)


class WorldEnv(gymnasium.Env[Any, Any]):
    """One row of a world as a ``gymnasium.Env``; after ``horizon`` steps it is truncated.

    ``reset()`` without a seed starts the next episode of the present seed, as Gymnasium's generators go on; an
    environment that never had a seed takes one from ``np_random``. A step after the end raises ResetNeeded.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's name)

    def __init__(self, world: World, horizon: int) -> None:
        """world: any world whose state and observations have rows as first axis. horizon: steps, at least 1."""
        self.world, self.horizon = world, _checked_horizon(horizon)
        self.observation_space = _checked_space(world.observation_space, "observation")
        self.action_space = _checked_space(world.action_space, "action")
        self._seed: int | None = None
        self._episode = -1
        self._cohort: _Cohort | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation of an episode; there are no options."""
        super().reset(seed=seed)
        _check_options(options, known=())
        if seed is not None:
            self._seed, self._episode = int(_checked_seeds([seed])[0]), -1
        elif self._seed is None:
            self._seed = int(self.np_random.integers(2**63))
        self._episode += 1
        ids = episode_ids(self._seed, self._episode)
        self._cohort = _Cohort.begin(self.world, self.horizon, torch.zeros(1, dtype=torch.int64), ids)
        return _first_row(self._cohort.observation), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        cohort = self._cohort
        if cohort is None or cohort.done.item():
            raise ResetNeeded(f"the episode has {'ended' if cohort else 'not begun'}: call reset() before step()")
        cohort.advance(_to_torch(self.action_space, action, ()))
        observation, reward = _first_row(cohort.observation), cohort.reward.item()
        return observation, reward, bool(cohort.terminated.item()), bool(cohort.truncated.item()), {}


class WorldVectorEnv(VectorEnv[Any, Any, _Array]):
    """Many rows of a world as a ``gymnasium.vector.VectorEnv``, stepped together.

    ``reset(seed=s)`` makes row i the single environment of seed s + i: the two agree to the bit. All three autoreset
    modes of Gymnasium are there, with its meaning: NEXT_STEP (the default; the step after the end ignores the
    action, gives the next episode's first observation and reward 0), SAME_STEP (the last observation is in
    ``info["final_obs"]``) and DISABLED (``reset(options={"reset_mask": mask})`` starts the rows in the mask).

    Rows at the same step of their episodes go together, so that worlds whose rows never terminate cost one call a
    step; where they do, there are as many calls as there are different steps, at most the horizon.
    """

    def __init__(
        self,
        world: World,
        num_envs: int,
        horizon: int,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        """autoreset_mode: the enum, or its value ("NextStep", "SameStep", "Disabled")."""
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}: expected at least 1")
        self.world, self.num_envs, self.horizon = world, num_envs, _checked_horizon(horizon)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = _checked_space(world.observation_space, "observation")
        self.single_action_space = _checked_space(world.action_space, "action")
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeds = torch.full((num_envs,), -1)  # -1: none yet
        self._episodes = torch.full((num_envs,), -1)
        self._cohorts: list[_Cohort] = []

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """The first observations, (num_envs, …).

        seed: s for seeds s, s + 1, …; a list for one each, None in it leaving a row's as it is; or None.
        options: {"reset_mask": (num_envs,) bool array} resets those rows only; the others' observations stay.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        mask = self._checked_mask(options)
        if seed is not None:
            seeds = range(seed, seed + self.num_envs) if isinstance(seed, int) else seed
            if len(seeds) != self.num_envs:
                raise ValueError(f"{len(seeds)} seeds for {self.num_envs} rows: expected one each, or one int")
            new = mask & torch.tensor([s is not None for s in seeds])
            self._seeds = torch.where(new, _checked_seeds([s or 0 for s in seeds]), self._seeds)
            self._episodes[new] = -1
        self._start(mask)
        return self._observation(), {}

    def step(self, actions: Any) -> tuple[Any, _Array, _Array, _Array, dict[str, Any]]:
        """One step of every row: observations, rewards (num_envs,) float32, terminations, truncations, infos."""
        if not self._cohorts:
            raise ResetNeeded("the episodes have not begun: call reset() before step()")
        action = _to_torch(self.single_action_space, actions, (self.num_envs,))
        done = self._join("done") if any(cohort.ended for cohort in self._cohorts) else None
        if done is not None and self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetNeeded(
                f"{int(done.sum())} rows have ended, first {int(done.nonzero()[0])}: reset them before step(), with "
                "reset(options={'reset_mask': terminations | truncations})"
            )
        if done is not None:
            self._drop(done)
        for cohort in self._cohorts:
            cohort.advance(action if len(cohort.rows) == self.num_envs else _select(action, cohort.rows))
        if done is not None:
            self._begin(done)
        reward, terminated, truncated = (_to_numpy(self._join(name)) for name in ("reward", "terminated", "truncated"))
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and any(cohort.ended for cohort in self._cohorts):
            infos = self._final(terminated | truncated)
            self._start(torch.from_numpy(terminated | truncated))
        return self._observation(), reward, terminated, truncated, infos

    def _start(self, mask: Tensor) -> None:
        """Put the next episode of the rows in the mask in the place of the present one."""
        self._drop(mask)
        self._begin(mask)

    def _drop(self, mask: Tensor) -> None:
        for cohort in self._cohorts:
            cohort.drop(mask[cohort.rows])
        self._cohorts = [cohort for cohort in self._cohorts if len(cohort.rows)]

    def _begin(self, mask: Tensor) -> None:
        unseeded = mask & (self._seeds < 0)
        if unseeded.any():
            entropy = self.np_random.integers(2**63, size=self.num_envs)
            self._seeds = torch.where(unseeded, torch.from_numpy(entropy), self._seeds)
        self._episodes += mask
        rows = mask.nonzero()[:, 0]
        ids = episode_ids(self._seeds[rows], self._episodes[rows])
        self._cohorts.append(_Cohort.begin(self.world, self.horizon, rows, ids))

    def _join(self, name: str) -> Any:
        """A column of all rows, in their order."""
        if len(self._cohorts) == 1:
            return getattr(self._cohorts[0], name)
        order = torch.cat([cohort.rows for cohort in self._cohorts]).argsort()
        columns = [getattr(cohort, name) for cohort in self._cohorts]
        return _select(map_column(lambda *leaves: _concatenate(leaves), *columns), order)

    def _observation(self) -> Any:
        return _to_numpy(self._join("observation"))

    def _final(self, done: _Array) -> dict[str, Any]:
        """The last observations of the rows that have ended, in the form of Gymnasium's SyncVectorEnv."""
        final = np.full(self.num_envs, None, dtype=object)
        for i, observation in enumerate(iterate(self.observation_space, self._observation())):
            if done[i]:
                final[i] = observation
        return {"final_obs": final, "_final_obs": done.copy(), "final_info": {}, "_final_info": done.copy()}

    def _checked_mask(self, options: dict[str, Any] | None) -> Tensor:
        """(num_envs,) bool, the rows to reset."""
        _check_options(options, known=("reset_mask",))
        if not options:
            return torch.ones(self.num_envs, dtype=torch.bool)
        mask = options["reset_mask"]
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            what = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
            raise ValueError(f"reset_mask is {what}: expected a bool array ({self.num_envs},)")
        if not mask.any():
            raise ValueError("reset_mask is False everywhere: expected at least one row to reset")
        if not self._cohorts and not mask.all():
            raise ResetNeeded("reset_mask leaves out rows that have not begun: call reset() without a mask first")
        return torch.from_numpy(mask.copy())


@dataclass(eq=False)
class _Cohort:
    """Rows whose episodes began together and are therefore at the same step: what one call of a world takes."""

    world: World
    horizon: int
    rows: Tensor  # (c,) int64, ascending, where they stand in the vector
    draws: Draws
    state: Any
    observation: Column
    reward: Tensor  # (c,) float32, of the last step
    terminated: Tensor  # (c,) bool
    site: Sites
    out_of_time: bool = False
    ended: bool = False  # whether any row has

    @classmethod
    def begin(cls, world: World, horizon: int, rows: Tensor, ids: Tensor) -> "_Cohort":
        draws, site = Draws(0, ids, scope="world"), Sites()
        with torch.no_grad():
            state, observation = world.reset(draws, site)
        nothing = torch.zeros(len(rows))
        return cls(world, horizon, rows, draws, state, observation, nothing, nothing.bool(), site)

    def advance(self, action: Any) -> None:
        """One step."""
        with torch.no_grad():
            new = self.world.step(self.state, action, self.draws, self.site)
        self.state, self.observation, self.reward, self.terminated = new
        self.state, self.observation = _own((self.state, self.observation), action)
        self.draws = self.draws.at(self.draws.step + 1)
        self.site.step = self.draws.step
        self.out_of_time = self.draws.step >= self.horizon
        self.ended = self.out_of_time or bool(self.terminated.numpy().any())

    @property
    def truncated(self) -> Tensor:
        """(c,) bool: out of time without having terminated."""
        return ~self.terminated if self.out_of_time else torch.zeros_like(self.terminated)

    @property
    def done(self) -> Tensor:
        """(c,) bool."""
        return self.terminated | self.truncated

    def drop(self, leaving: Tensor) -> None:
        """Take rows out; leaving: (c,) bool."""
        if not leaving.any():
            return
        keep = (~leaving).nonzero()[:, 0]
        self.rows, self.reward, self.terminated = self.rows[keep], self.reward[keep], self.terminated[keep]
        self.draws = Draws(self.draws.seed, self.draws.ids[keep], self.draws.step, self.draws.scope)
        self.state, self.observation = _select(self.state, keep), _select(self.observation, keep)
        self.ended = self.out_of_time or bool(self.terminated.numpy().any())


def _own(tree: Any, lent: Any) -> Any:
    """The tree, its arrays copied where they lie in the memory of an action, which is the caller's."""
    addresses = {leaf.untyped_storage().data_ptr() for leaf in leaves_of(lent) if isinstance(leaf, Tensor)}
    try:
        leaves = leaves_of(tree)
    except TypeError:  # a state that holds more than arrays, a browser say
        return tree
    if not any(isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() in addresses for leaf in leaves):
        return tree
    return rebuild(tree, (leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves))


def _to_numpy(column: Any) -> Any:
    """A column as Gymnasium batches its space; never memory that the world holds."""
    if isinstance(column, dict):
        return {key: _to_numpy(value) for key, value in column.items()}
    return column.detach().numpy().copy() if isinstance(column, Tensor) else tuple(column.tolist())


def _first_row(column: Any) -> Any:
    """Row 0 as an element of the single space."""
    if isinstance(column, dict):
        return {key: _first_row(value) for key, value in column.items()}
    return column[0].detach().numpy().copy()[()] if isinstance(column, Tensor) else column[0]


def _to_torch(space: spaces.Space[Any], value: Any, batch: tuple[int, ...]) -> Any:
    """An action of Gymnasium's, batched (n,) or single (), as a column; in the caller's memory if it can be."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, dict) or value.keys() != space.keys():
            raise ValueError(f"action is {value!r}: expected a dict with keys {sorted(space.keys())}")
        return {key: _to_torch(part, value[key], batch) for key, part in space.items()}
    if isinstance(space, spaces.Text):
        return np.array(value if batch else [value], dtype=object)
    array = np.asarray(value)
    shape = (*batch, *(space.shape or ()))
    if array.shape != shape or not np.can_cast(array.dtype, space.dtype or array.dtype, "same_kind"):
        raise ValueError(
            f"action is {array.dtype} {array.shape}: expected {space.dtype} {shape}"
            f"{', one a row' if batch else ''}, an element of {space}"
        )
    array = np.ascontiguousarray(array if batch else array[None], dtype=space.dtype)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _checked_space(space: spaces.Space[Any], role: str) -> spaces.Space[Any]:
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    for part in parts:
        if isinstance(part, spaces.Dict):
            _checked_space(part, role)
        elif isinstance(part, spaces.Tuple | spaces.Sequence | spaces.Graph | spaces.OneOf):
            raise ValueError(f"{role} space holds {part}: expected arrays, Text, or a Dict of them; name the parts")
    return space


def _checked_horizon(horizon: int) -> int:
    if not isinstance(horizon, int | np.integer) or horizon < 1:
        raise ValueError(f"horizon is {horizon!r}: expected an int, at least 1 step")
    return horizon


def _checked_seeds(seeds: Sequence[int]) -> Tensor:
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed is {seed}: expected an int between 0 and 2**63 - 1")
    return torch.tensor(seeds, dtype=torch.int64)


def _check_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> None:
    unknown = sorted(set(options or ()) - set(known))
    if unknown:
        raise ValueError(f"reset has options {unknown}: expected {list(known) if known else 'none'}")


@dataclass(frozen=True, eq=False)
class FromGym:
    """A foreign ``gymnasium.Env`` as a world: each row is a copy of it.

    env: an id that is registered (made without its time limit, for the horizon of the rollout is the limit), a
        function that makes an environment, or an environment, of which each row gets a deep copy.

    What it cannot do, being foreign: keyed draws do not reach inside. A row's copy is seeded from the run's seed and
    the row's id, so a run repeats to the bit and a batch equals its rows; but within an episode the copy draws
    from its own stream, and two runs share their luck only as far as they draw alike. It names no sites, so only
    "observation", "action" and "reward" can be recorded or intervened on. Its ``info`` is not kept. A state can be
    stepped once: a copy cannot go back.
    """

    env: str | Callable[[], gymnasium.Env[Any, Any]] | gymnasium.Env[Any, Any]

    def __post_init__(self) -> None:
        if isinstance(self.env, VectorEnv):
            raise ValueError(f"{self.env} is a vector environment: expected one row; pass what makes a single one")
        _checked_space(self.observation_space, "observation")
        _checked_space(self.action_space, "action")

    @cached_property
    def _spaces(self) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        env = self.env if isinstance(self.env, gymnasium.Env) else self._make()
        both = env.observation_space, env.action_space
        if env is not self.env:
            env.close()
        return both

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The environment's own."""
        return self._spaces[0]

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The environment's own."""
        return self._spaces[1]

    def _make(self) -> gymnasium.Env[Any, Any]:
        if isinstance(self.env, str):
            return gymnasium.make(self.env, max_episode_steps=-1)
        if not isinstance(self.env, gymnasium.Env):
            return self.env()
        try:
            return copy.deepcopy(self.env)
        except Exception as error:
            raise ValueError(
                f"{self.env} cannot be copied ({error}): pass its id, or a function that makes one, to FromGym"
            ) from error

    def reset(self, draws: Draws, site: Sites) -> tuple["_Copies", Column]:
        """A fresh copy a row, each with its own seed."""
        seeds = (episode_ids(draws.seed & (1 << 63) - 1, draws.ids) & (1 << 62) - 1).tolist()
        envs = [self._make() for _ in seeds]
        observations = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
        copies = _Copies(_Fleet(envs, observations, [False] * len(envs), [False] * len(envs)), 0)
        return copies, _stack(self.observation_space, observations, draws.ids.device)

    def step(self, state: "_Copies", action: Any, draws: Draws, site: Sites) -> Transition:
        """One step of each copy that has not terminated; the others stay as they are, with reward 0."""
        fleet = state.fleet
        if fleet.step != state.step:
            raise ValueError(
                f"this state is of step {state.step} and its environments are at step {fleet.step}: expected each "
                "state to be stepped once; a foreign environment cannot go back"
            )
        n = len(fleet.envs)
        reward = torch.zeros(n)
        for i, one in enumerate(iterate(batch_space(self.action_space, n), _to_numpy(map_column(_to_cpu, action)))):
            if fleet.terminated[i]:
                continue
            if fleet.truncated[i]:
                raise ValueError(
                    f"{fleet.envs[i]} truncated row {i} after {state.step} steps: expected the rollout's horizon to "
                    f"end it; make it with max_episode_steps=-1, or choose a horizon of at most {state.step}"
                )
            fleet.observations[i], given, fleet.terminated[i], fleet.truncated[i], _ = fleet.envs[i].step(one)
            reward[i] = float(given)
        fleet.step += 1
        device = draws.ids.device
        observation = _stack(self.observation_space, fleet.observations, device)
        terminated = torch.tensor(fleet.terminated, device=device)
        return Transition(_Copies(fleet, fleet.step), observation, reward.to(device), terminated)


@dataclass
class _Fleet:
    """The environments of a FromGym run, which move on in place."""

    envs: list[gymnasium.Env[Any, Any]]
    observations: list[Any]
    terminated: list[bool]
    truncated: list[bool]  # by a time limit of their own
    step: int = 0


@dataclass(frozen=True)
class _Copies:
    """The state of a FromGym run: its environments, and the step that they must be at for it to be the present."""

    fleet: _Fleet
    step: int


def _stack(space: spaces.Space[Any], observations: Sequence[Any], device: torch.device) -> Column:
    """Single observations as a column."""
    if isinstance(space, spaces.Dict):
        return {key: _stack(part, [o[key] for o in observations], device) for key, part in space.items()}
    if isinstance(space, spaces.Text):
        return np.array(observations, dtype=object)
    return cast(Column, torch.from_numpy(np.stack(observations).astype(space.dtype)).to(device))
