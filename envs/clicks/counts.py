"""Clicks and impressions counted."""

import torch
from torch import Tensor

from ethogram.simulator import check_number, checked_int

from ..sessions import first_true
from . import kernels
from .log import ClickLog, check_log

TINY = 1e-300  # keeps 0 / 0 at 0 where an event has probability 0


def check_fit(
    log: ClickLog, num_states: int | None, num_items: int | None, prior: float, iterations: int = 1, least: int = 1
) -> tuple[int, int]:
    """S and N, the log's where they are not given; ValueError unless ``least`` rounds or more can fit such a model."""
    check_log(log)
    num_states = log.num_states if num_states is None else checked_int("num_states", num_states, 1)
    num_items = log.num_items if num_items is None else checked_int("num_items", num_items, 1)
    checked_int("iterations", iterations, least)
    check_number("prior", prior)
    item, state = int(log.slates.max()), int(log.state.max())
    if int(log.slates.min()) < -1 or int(log.state.min()) < 0:  # a log that was written to after it was checked
        raise ValueError("the log has an item below -1 or a state below 0: expected what ClickLog lets in")
    if item >= num_items or state >= num_states:
        raise ValueError(
            f"the log has item {item} and state {state} as its highest: expected items below num_items = {num_items} "
            f"and states below num_states = {num_states}"
        )
    return num_states, num_items


def ratio(hits: Tensor, tries: Tensor, prior: float) -> Tensor:
    """(hits + prior) / (tries + 2 prior), float64; 1/2 where nothing was tried and the prior is 0."""
    total = tries.double() + 2 * prior
    return torch.where(total > 0, (hits + prior) / total.clamp(min=TINY), 0.5)


def share(counts: Tensor, prior: float) -> Tensor:
    """``ratio`` of counts[0] to counts[1]."""
    return ratio(counts[0], counts[1], prior)


def count_items(log: ClickLog, stop: Tensor, num_states: int, num_items: int) -> tuple[Tensor, Tensor]:
    """(S, N) int64 clicks and impressions of each item in each state, at positions 0 to ``stop[i]`` of row i."""
    count = _count_items_compiled if log.slates.is_cpu else _count_items_torch
    return count(log, stop, num_states, num_items)


def _count_items_compiled(log: ClickLog, stop: Tensor, num_states: int, num_items: int) -> tuple[Tensor, Tensor]:
    clicked = torch.zeros(num_states, num_items, dtype=torch.int64)
    shown = torch.zeros_like(clicked)
    tensors = log.state, log.slates, log.clicks, stop, clicked, shown
    kernels.count(*(t.numpy() for t in tensors))
    return clicked, shown


def _count_items_torch(log: ClickLog, stop: Tensor, num_states: int, num_items: int) -> tuple[Tensor, Tensor]:
    counts = (log.slates >= 0) & (torch.arange(log.length, device=stop.device) <= stop[:, None])
    pair = (log.state[:, None] * num_items + log.slates)[counts]
    clicked, shown = (
        torch.bincount(pairs, minlength=num_states * num_items).view(num_states, num_items)
        for pairs in (pair[log.clicks[counts]], pair)
    )
    return clicked, shown


def count_clicks(log: ClickLog, num_states: int, num_items: int) -> tuple[Tensor, Tensor]:
    """(S, N) int64 clicks, and clicks above each row's lowest item, where it matters whether they satisfied."""
    lowest = (log.slates >= 0).sum(1) - 1
    clicked, above = (count_items(log, stop, num_states, num_items)[0] for stop in (lowest, lowest - 1))
    return clicked, above


def count_positions(log: ClickLog) -> tuple[Tensor, Tensor]:
    """(m,) int64 clicks and impressions at each position."""
    if log.clicks.is_cpu:
        clicked, shown = torch.zeros(2, log.length, dtype=torch.int64)
        kernels.count_positions(*(t.numpy() for t in (log.slates, log.clicks, clicked, shown)))
        return clicked, shown
    return log.clicks.sum(0), (log.slates >= 0).sum(0)


def last_click(log: ClickLog) -> Tensor:
    """(n,) position of each row's last click, m where there is none."""
    if log.clicks.is_cpu:
        last = torch.empty_like(log.state)
        kernels.last_true(log.clicks.numpy(), last.numpy())
        return last
    last = log.length - 1 - first_true(log.clicks.flip(1))
    return last.where(last >= 0, log.length)
