"""Many rows of a world as a ``gymnasium.vector.VectorEnv``."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate

from ..arguments import checked_int
from ..trees import to_device
from ..world import World
from .batch import Batch
from .convert import (
    Actions,
    Array,
    check_options,
    check_rows,
    checked_autoreset,
    checked_mode,
    checked_seed,
    checked_space,
    rows_of,
    stating_horizon,
    to_numpy,
)
from .env import WorldEnv, ids_of
from .view import View, picture


class WorldVectorEnv(VectorEnv[Any, Any, Array]):
    """Many rows of a world as a ``gymnasium.vector.VectorEnv``, stepped together.

    ``reset(seed=s)`` makes row i the single environment of seed s + i: the two agree to the bit. All three autoreset
    modes of Gymnasium are there, with its meaning: NEXT_STEP (the default; the step after the end ignores the
    action, gives the next episode's first observation and reward 0), SAME_STEP (the last observation is in
    ``info["final_obs"]``) and DISABLED (``reset(options={"reset_mask": mask})`` starts the rows in the mask).

    All rows are moved by one call of the world, wherever in their episodes they are: ``draws.step`` is an int while
    they are at one step, and (n,) int64 where some have ended before others. Rows that have ended are not stepped.
    """

    def __init__(
        self,
        world: World,
        num_envs: int,
        horizon: int,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        *,
        view: View | None = None,
        render_mode: str | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        """autoreset_mode: the enum, or its value ("NextStep", "SameStep", "Disabled").

        view, render_mode, device: as ``WorldEnv`` takes them; ``render()`` gives a picture of each row.
        """
        check_rows(world, checked_int("num_envs", num_envs, 1))
        self.device = torch.device(device or "cpu")
        self.world = world if device is None else to_device(world, device)
        self.num_envs, self.horizon = num_envs, checked_int("horizon", horizon, 1)
        self.view, self.render_mode = view or View(), checked_mode(render_mode)
        self.autoreset_mode = checked_autoreset(autoreset_mode)
        self.metadata = {**WorldEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = checked_space(world.observation_space, "observation")
        self.single_action_space = checked_space(world.action_space, "action")
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._actions = Actions(self.single_action_space, device)
        self._seeds = np.full(num_envs, -1)  # -1: none yet
        self._episodes = np.full(num_envs, -1)
        self._unseeded = True  # perhaps some are
        self._everyone = np.ones(num_envs, np.bool_)
        self._everyone.flags.writeable = False  # it is handed out
        self._batch: Batch | None = None
        self._notes: list[list[Any]] = [[] for _ in range(num_envs)]

    @property
    def spec(self) -> EnvSpec | None:
        """The spec by which ``gymnasium.make_vec`` made this, with the horizon as ``max_episode_steps``."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        """Set it."""
        self._spec = stating_horizon(spec, self.horizon)

    _spec: EnvSpec | None = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """The first observations, (num_envs, …).

        seed: s for seeds s, s + 1, …; a list for one each, None in it leaving a row's as it is; or None.
        options: {"reset_mask": (num_envs,) bool array} resets those rows only; the others' observations stay.
        """
        seeds = self._checked_seeds(seed)
        super().reset(seed=seeds[0] if isinstance(seed, int | np.integer) else None)
        mask = self._checked_mask(options)
        if seed is not None:
            new = mask & np.array([s is not None for s in seeds])
            self._seeds = np.where(new, np.array([s or 0 for s in seeds]), self._seeds)
            self._episodes[new] = -1
        if self._batch is None:
            self._batch = Batch(self.world, self.horizon, self._next_ids(mask), self.view)
        else:
            self._restart(self._batch, mask)
        if self.render_mode is not None:
            self._note(self._batch, mask, None, mask)
        return to_numpy(self._batch.observation), self._infos(self._batch, None if mask.all() else mask)

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """One step of every row: observations, rewards (num_envs,) float32, terminations, truncations, infos."""
        batch = self._batch
        if batch is None:
            raise ResetNeeded("the episodes have not begun: call reset() before step()")
        final, began = {}, batch.done
        if not batch.any_done:
            batch.move(self._actions(actions, (self.num_envs,)))
        elif self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetNeeded(
                f"{batch.done.sum()} rows have ended, first {batch.done.argmax()}: reset them before step(), with "
                "reset(options={'reset_mask': terminations | truncations})"
            )
        else:
            going = (~batch.done).nonzero()[0]
            action = self._actions(actions, (self.num_envs,), going)
            if len(going):
                batch.move_and_restart(action, going, partial(self._next_ids, batch.done))
            else:
                batch.restart(self._next_ids(batch.done))
        reward, terminated, truncated = batch.outcome
        if batch.any_done and self.autoreset_mode is AutoresetMode.SAME_STEP:
            final, began = self._final(batch), batch.done
            self._restart(batch, batch.done)
        if self.render_mode is not None:
            self._note(batch, began, actions)
        infos = self._infos(batch)
        return to_numpy(batch.observation), reward, terminated, truncated, final | infos if final else infos

    def render(self) -> tuple[Array, ...] | None:
        """A picture of each row's episode so far; None, with Gymnasium's warning, where no render_mode was given."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render mode shows nothing: expected render_mode='rgb_array'")
            return None
        if self._batch is None:
            raise ResetNeeded("the episodes have not begun: call reset() before render()")
        return tuple(picture(self.view, notes) for notes in self._notes)

    def close_extras(self, **how: Any) -> None:
        """End what the world holds open, such as a browser, if it holds anything."""
        if hasattr(self.world, "close"):
            self.world.close()

    def _note(self, batch: Batch, began: Array, actions: Any, rows: Array | None = None) -> None:
        """Keep what pictures need of this step of all rows, or of those in a mask; began: who is at their start."""
        seen = rows_of(self.single_observation_space, batch.observation, np.arange(self.num_envs))
        did = None if actions is None else list(iterate(self.action_space, actions))
        for i in range(self.num_envs) if rows is None else rows.nonzero()[0]:
            info = {name: values[i] for name, values in batch.info.items()}
            action = None if began[i] or did is None else did[i]
            note = self.view.note(seen[i], action, float(batch.outcome[0][i]), info)
            self._notes[i] = [note] if began[i] else [*self._notes[i], note]

    def _infos(self, batch: Batch, mask: Array | None = None) -> dict[str, Any]:
        """Infos of all rows, or of those in a mask, in the form of Gymnasium's SyncVectorEnv."""
        infos: dict[str, Any] = {}
        for name, values in batch.info.items():
            if mask is not None:
                values = np.where(mask.reshape(-1, *[1] * (values.ndim - 1)), values, np.zeros((), values.dtype))
            infos[name], infos[f"_{name}"] = values, self._everyone if mask is None else mask.copy()
        return infos

    def _restart(self, batch: Batch, mask: Array) -> None:
        """Put the next episodes of the rows in the mask in the place of the present ones."""
        batch.restart(self._next_ids(mask), None if mask.all() else mask.nonzero()[0])

    def _next_ids(self, mask: Array) -> torch.Tensor:
        """(k,) int64, the ids of the next episodes of the rows in the mask."""
        if self._unseeded:
            unseeded = mask & (self._seeds < 0)
            if unseeded.any():
                self._seeds = np.where(unseeded, self.np_random.integers(2**63, size=self.num_envs), self._seeds)
            self._unseeded = bool((self._seeds < 0).any())
        self._episodes += mask
        return ids_of(self._seeds[mask], self._episodes[mask]).to(self.device)

    def _final(self, batch: Batch) -> dict[str, Any]:
        """The last observations of the rows that have ended, in the form of Gymnasium's SyncVectorEnv."""
        final = np.full(self.num_envs, None, dtype=object)
        ended = batch.done.nonzero()[0]
        for i, row in zip(ended, rows_of(self.single_observation_space, batch.observation, ended), strict=True):
            final[i] = row
        told = self._infos(batch, batch.done)
        return {
            "final_obs": final,
            "_final_obs": batch.done.copy(),
            "final_info": told,
            "_final_info": batch.done.copy(),
        }

    def _checked_seeds(self, seed: Any) -> list[int | None]:
        """One for each row, None where it keeps its own."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, str) or not isinstance(seed, Sequence | np.ndarray):
            first = checked_seed(seed)
            return list(range(first, checked_seed(first + self.num_envs - 1) + 1))
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} rows: expected one each, or one int")
        return [None if one is None else checked_seed(one) for one in seed]

    def _checked_mask(self, options: dict[str, Any] | None) -> Array:
        """(num_envs,) bool, the rows to reset."""
        check_options(options, known=("reset_mask",))
        if not options:
            return np.ones(self.num_envs, np.bool_)
        mask = options["reset_mask"]
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            what = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
            raise ValueError(f"reset_mask is {what}: expected a bool array ({self.num_envs},)")
        if not mask.any():
            raise ValueError("reset_mask is False everywhere: expected at least one row to reset")
        if self._batch is None and not mask.all():
            raise ResetNeeded("reset_mask leaves out rows that have not begun: call reset() without a mask first")
        return mask.copy()
