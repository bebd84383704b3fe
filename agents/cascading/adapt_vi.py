"""AdaptVI."""

import math
from dataclasses import dataclass, field
from itertools import permutations
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import Draws, History, checked_int

from . import atom_kernels as kernels
from .optimism import act_on_plan, check_settings, steps_of


@dataclass(eq=False)
class AdaptVI:
    """AdaptVI: value iteration in the manner of EULER (Zanette & Brunskill, 2019) with each list as one action.

    The paper's baseline: it learns from the reward and the next state of a list, not from which item was clicked.
    The bonuses have the form and constants of CascadingVI's, with L = log(14 K H S |lists| / delta), and the
    empirical variance of the rewards (the accounts at hand do not say more).

    num_states, num_items: S and N. The rest as for CascadingVI. Refuses more than ``MOST_PAIRS`` pairs of a state and
    a list: counts of where each leads take S times as much room.
    """

    num_states: int
    num_items: int
    length: int
    horizon: int
    num_episodes: int
    delta: float = 0.005
    tightened: bool = True
    lists: Tensor = field(init=False, repr=False)  # (L, m), every list, padded with -1
    counts: kernels.ListCounts = field(init=False, repr=False)
    plan: kernels.ListPlan = field(init=False, repr=False)
    log: float = field(init=False, repr=False)  # L

    MOST_PAIRS = 1_000_000

    def __post_init__(self) -> None:
        for name in ("num_states", "num_items", "num_episodes"):
            checked_int(name, getattr(self, name), 1)
        S, N, H, m = self.num_states, self.num_items, self.horizon, self.length
        check_settings(torch.zeros(S, N, dtype=torch.float64), m, H, self.delta)
        num_lists = sum(math.perm(N, k) for k in range(1, m + 1))
        if num_lists * S > self.MOST_PAIRS:
            raise ValueError(
                f"{num_lists:,} lists in {S} states are {num_lists * S:,} pairs: expected at most "
                f"{self.MOST_PAIRS:,}; use CascadingVI, which learns about items instead"
            )
        every = [a + (-1,) * (m - k) for k in range(1, m + 1) for a in permutations(range(N), k)]
        self.lists = torch.tensor(every)
        self.log = math.log(14 * self.num_episodes * H * S * num_lists / self.delta)
        self._index = {a: i for i, a in enumerate(every)}
        self.counts = kernels.ListCounts(
            shown=np.zeros((S, num_lists)),
            reward=np.zeros((S, num_lists)),
            squares=np.zeros((S, num_lists)),
            moves=np.zeros((S, S, num_lists)),
            visited=np.ones(S, np.bool_),
        )
        self.plan = kernels.ListPlan(
            np.zeros((H + 1, S)), np.zeros((H + 1, S)), np.zeros((H, S), np.int64), np.full((H, S, m), -1)
        )
        self._replan()

    def _replan(self) -> None:
        arrays = self.lists.numpy(), self.plan
        kernels.replan_lists(self.counts, self.log, self.tightened, *arrays, 0, self.num_states)

    def _place(self, slate: list[int]) -> int:
        try:
            return self._index[tuple(slate)]
        except KeyError:
            what = "expected distinct items, then -1 for empty positions"
            raise ValueError(f"action is {slate} in a step: {what}") from None

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The optimistic list of each row's state at this step, (n, m) int64, padded with -1."""
        return act_on_plan(self.plan.slates, observation, draws.step)

    def learn(self, history: History) -> Self:
        """Count one or many episodes, and plan again."""
        states, slates, lengths = steps_of(history, self.plan.slates.shape, self.num_items)
        valid = history.valid.cpu().numpy()
        chosen = np.zeros(slates.shape[:2], np.int64)
        chosen[valid] = [self._place(a) for a in slates[valid].tolist()]
        rewards = history.reward.cpu().double().contiguous().numpy()
        if rewards.shape != chosen.shape:
            raise ValueError(f"reward has shape {rewards.shape}: expected {chosen.shape}, rows and steps")
        kernels.count_list_episodes(states, chosen, rewards, lengths, self.counts)
        self._replan()
        return self
