"""Many rows of a world as a ``gymnasium.vector.VectorEnv``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from torch import Tensor

from ..history import map_column
from ..trees import concatenate, select_rows
from ..world import World
from .cohort import Cohort
from .convert import check_options, checked_horizon, checked_seeds, checked_space, to_numpy, to_torch
from .env import episode_ids

_Array = np.ndarray[Any, Any]


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
        self.world, self.num_envs, self.horizon = world, num_envs, checked_horizon(horizon)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = checked_space(world.observation_space, "observation")
        self.single_action_space = checked_space(world.action_space, "action")
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeds = torch.full((num_envs,), -1)  # -1: none yet
        self._episodes = torch.full((num_envs,), -1)
        self._cohorts: list[Cohort] = []

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
            self._seeds = torch.where(new, checked_seeds([s or 0 for s in seeds]), self._seeds)
            self._episodes[new] = -1
        self._start(mask)
        return self._observation(), {}

    def step(self, actions: Any) -> tuple[Any, _Array, _Array, _Array, dict[str, Any]]:
        """One step of every row: observations, rewards (num_envs,) float32, terminations, truncations, infos."""
        if not self._cohorts:
            raise ResetNeeded("the episodes have not begun: call reset() before step()")
        action = to_torch(self.single_action_space, actions, (self.num_envs,))
        done = self._join("done") if any(cohort.ended for cohort in self._cohorts) else None
        if done is not None and self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetNeeded(
                f"{int(done.sum())} rows have ended, first {int(done.nonzero()[0])}: reset them before step(), with "
                "reset(options={'reset_mask': terminations | truncations})"
            )
        if done is not None:
            self._drop(done)
        for cohort in self._cohorts:
            cohort.advance(action if len(cohort.rows) == self.num_envs else select_rows(action, cohort.rows))
        if done is not None:
            self._begin(done)
        reward, terminated, truncated = (to_numpy(self._join(name)) for name in ("reward", "terminated", "truncated"))
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
        self._cohorts.append(Cohort.begin(self.world, self.horizon, rows, ids))

    def _join(self, name: str) -> Any:
        """A column of all rows, in their order."""
        if len(self._cohorts) == 1:
            return getattr(self._cohorts[0], name)
        order = torch.cat([cohort.rows for cohort in self._cohorts]).argsort()
        columns = [getattr(cohort, name) for cohort in self._cohorts]
        return select_rows(map_column(lambda *leaves: concatenate(leaves), *columns), order)

    def _observation(self) -> Any:
        return to_numpy(self._join("observation"))

    def _final(self, done: _Array) -> dict[str, Any]:
        """The last observations of the rows that have ended, in the form of Gymnasium's SyncVectorEnv."""
        final = np.full(self.num_envs, None, dtype=object)
        for i, observation in enumerate(iterate(self.observation_space, self._observation())):
            if done[i]:
                final[i] = observation
        return {"final_obs": final, "_final_obs": done.copy(), "final_info": {}, "_final_info": done.copy()}

    def _checked_mask(self, options: dict[str, Any] | None) -> Tensor:
        """(num_envs,) bool, the rows to reset."""
        check_options(options, known=("reset_mask",))
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
