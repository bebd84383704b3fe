"""Functions from a history to a number, or to one number a step: what effects and ensembles are about.

Every function takes a History and returns a float64 tensor; padding after a row's end does not count.
"""

import torch
from torch import Tensor

from ..arguments import check_is, check_number, checked_int
from ..history import History


def mean_return(history: History, discount: float = 1.0) -> Tensor:
    """The average over rows of the (discounted) sum of rewards, a scalar."""
    _check(history)
    check_number("discount", discount)
    weights = discount ** torch.arange(history.num_steps, dtype=torch.float64, device=history.ids.device)
    return (history.reward.to(torch.float64) * weights).sum(1).mean()


def reward_by_step(history: History) -> Tensor:
    """(T,) the average reward of the rows still running at each step; NaN where none is."""
    _check(history)
    return mean_over_rows(history.reward.to(torch.float64), history.valid)


def session_length(history: History) -> Tensor:
    """The average number of steps until a row ended, a scalar."""
    _check(history)
    return history.length.to(torch.float64).mean()


def state_share(history: History, num_states: int) -> Tensor:
    """(T + 1, num_states) the share of rows in each (integer) state before each step and after the last."""
    _check(history)
    states = checked_int("num_states", num_states, 1)
    if int(history.observation.max()) >= states:
        raise ValueError(f"num_states is {states}: expected more than the highest state, {history.observation.max()}")
    return torch.nn.functional.one_hot(history.observation, states).to(torch.float64).mean(0)


def total(history: History, site: str) -> Tensor:
    """The number of times that something happened in all, such as "infected": a scalar, or (G,) one for each group.

    Needs the site whole (n, T), or kept by ``Record(site, reduce="sum")``, with ``by`` for groups. Raises ValueError
    where a Record has thinned it: what was not kept cannot be counted.
    """
    _check(history)
    if site in history.thinned:
        raise ValueError(f"'{site}' was kept at some steps only: expected every one; record it with every=1")
    if site not in history.series:
        return history.column(site).where(history.valid, 0).sum((0, 1)).to(torch.float64)
    kept = history.series[site]
    if len(kept) != history.num_steps:
        raise ValueError(
            f"'{site}' was kept at {len(kept)} of {history.num_steps} steps: expected every one; record it with every=1"
        )
    return kept.to(torch.float64).sum(0)


def cumulative_regret(optimal: float, values: Tensor) -> Tensor:
    """(…, K) the running sum of what each episode's policy falls short of the optimum: values (…, K)."""
    return (optimal - values.to(torch.float64)).cumsum(-1)


def mean_over_rows(values: Tensor, valid: Tensor) -> Tensor:
    """The mean over rows of what is no padding, step by step."""
    return values.where(valid, 0).sum(0) / valid.sum(0)


def _check(history: History) -> None:
    check_is("history", history, History, "a History, as rollout or setup.run gives")
