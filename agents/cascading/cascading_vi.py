"""CascadingVI."""

import math
from dataclasses import dataclass, field
from typing import Self

from torch import Tensor

from ethogram.simulator import Draws, History, as_tensor, check_number, checked_int

from . import plan_kernels as kernels
from .optimism import Optimist, act_on_plan, check_settings


@dataclass(eq=False)
class CascadingVI:
    """CascadingVI: optimistic value iteration with bonuses for states and items, never for lists.

    Regret is O(H sqrt(H S N K)) up to logarithms, with probability 1 - delta (the paper's Theorem 1).

    reward: (S, N) float64 in [0, 1], what a click gives; known, as in the paper. length, horizon: m and H of the
        world. num_episodes: K, which the bonuses depend on.
    variance_aware: False widens the bonus on attraction to min(2 sqrt(L / n), 1): CascadingVI-Bonus. The paper does
        not give that bonus in the accounts at hand; this one is ours.
    oracle: "bestperm", or "exhaustive" for a search of every list: CascadingVI-Oracle, the same lists more slowly.
    strict_paper: upper bounds on attraction everywhere. Otherwise the lower bounds are used where no item seems worth
        more than no click, without which a plan is not optimistic there (derived here).
    tightened: no value exceeds the number of steps that are left, and the last step has no bonus on its transition
        (derived here).
    bonus_scale: multiplies both bonuses; 1 is the theory. A tenth learns TRAP an order of magnitude faster.

    Learns from the sites "click", and from the observation, the state of the user. The device of the observation
    does not matter; counts and plans are on the CPU. L = log(14 K H S N / delta), the constants as remembered.
    """

    reward: Tensor
    length: int
    horizon: int
    num_episodes: int
    delta: float = 0.005
    variance_aware: bool = True
    oracle: str = "bestperm"
    strict_paper: bool = False
    tightened: bool = True
    bonus_scale: float = 1.0
    model: Optimist = field(init=False, repr=False)  # what it has learnt

    def __post_init__(self) -> None:
        self.reward = as_tensor("reward", self.reward)
        check_settings(self.reward, self.length, self.horizon, self.delta)
        if self.oracle not in ("bestperm", "exhaustive"):
            raise ValueError(f"oracle is {self.oracle!r}: expected 'bestperm' or 'exhaustive'")
        checked_int("num_episodes", self.num_episodes, 1)
        check_number("bonus_scale", self.bonus_scale)
        log = math.log(14 * self.num_episodes * self.horizon * self.reward.numel() / self.delta)
        rule = kernels.Rule(
            log_attraction=log,
            log_transition=log,
            log_divergence=0.0,
            anytime=False,
            bonus_scale=float(self.bonus_scale),
            variance_aware=self.variance_aware,
            exhaustive=self.oracle == "exhaustive",
            strict_paper=self.strict_paper,
            tightened=self.tightened,
            epsilon=0.0,
        )
        self.model = Optimist.start(self.reward, self.length, self.horizon, rule)

    def act(self, observation: Tensor, history: History, draws: Draws) -> Tensor:
        """The optimistic list of each row's state at this step, (n, m) int64, padded with -1."""
        return act_on_plan(self.model.working.slates, observation, draws.step)

    def learn(self, history: History) -> Self:
        """Count one or many episodes, and plan again."""
        self.model.learn(history)
        return self
