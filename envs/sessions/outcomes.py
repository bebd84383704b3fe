"""Click rates, item shares: History to numbers."""

import torch
from torch import Tensor

from ethogram.simulator import History, check_is, checked_int
from ethogram.simulator.whatif import mean_over_rows


def click_rate(history: History) -> Tensor:
    """The share of lists shown that were clicked, a scalar. Needs the site "click"."""
    return _clicked(history)[history.valid].to(torch.float64).mean()


def click_rate_by_step(history: History) -> Tensor:
    """(T,) the share of lists clicked at each step. Needs the site "click"."""
    return mean_over_rows(_clicked(history).to(torch.float64), history.valid)


def click_rate_by_position(history: History) -> Tensor:
    """(m,) of the lists that had an item at a position, the share clicked there. Needs the site "click"."""
    check_is("history", history, History, "a History, such as rollout gives")
    click, slates = history.column("click")[..., None], history.action
    at = click == torch.arange(slates.shape[-1], device=slates.device)
    shown = (slates >= 0) & history.valid[..., None]
    return (at & shown).sum((0, 1)).to(torch.float64) / shown.sum((0, 1))


def item_share(history: History, num_items: int) -> Tensor:
    """(num_items,) of all positions shown, the share that showed each item."""
    check_is("history", history, History, "a History, such as rollout gives")
    num_items = checked_int("num_items", num_items, 1)
    shown = history.action[history.valid]
    counts = shown[shown >= 0].bincount(minlength=num_items).to(torch.float64)
    return counts / counts.sum()


def _clicked(history: History) -> Tensor:
    check_is("history", history, History, "a History, such as rollout gives")
    return history.column("click") < history.action.shape[-1]
