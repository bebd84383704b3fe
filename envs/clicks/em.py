"""Fitting click models from logs: counts, and EM with exact E-steps. One log gives the same bits again on a CPU.

Sums over a log are compiled for CPU tensors, with a torch twin for other devices. The E-step of the browsing models
is derived here (see ``expect``) and held against enumeration by the tests.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from ethogram.simulator import check_number

from . import kernels
from .counts import TINY, count_clicks, ratio, share
from .log import ClickLog, look_up

_EM = tuple[int, float, bool]  # iterations, tolerance, progress


def iterate(
    one_round: Callable[..., tuple[Tensor, ...]],
    parameters: tuple[Tensor, ...],
    iterations: int,
    tolerance: float,
    progress: bool,
) -> tuple[Tensor, ...]:
    """EM: rounds until no parameter moves by more than ``tolerance``, or ``iterations`` of them.

    progress: show a bar with the largest move. A tolerance below 0 never stops early.
    """
    check_number("tolerance", tolerance, -math.inf)
    bar = tqdm(range(iterations), disable=not progress, unit="round")
    for _ in bar:
        before, parameters = parameters, one_round(*parameters)
        change = max(float((new - old).abs().max()) for new, old in zip(parameters, before, strict=True))
        bar.set_postfix(change=f"{change:.2g}", refresh=False)
        if change <= tolerance:
            break
    bar.close()
    return parameters


def fit_product(
    log: ClickLog, context: Tensor, num_contexts: int, shape: tuple[int, int], prior: float, em: _EM
) -> tuple[Tensor, Tensor]:
    """EM for P(C = 1) = α[state, item] γ[context], the form of PBM and UBM: α of ``shape``, γ (num_contexts,).

    A click was examined and attracted. A skip attracted with probability (1 - γ) α / (1 - γ α) and was examined with
    (1 - α) γ / (1 - γ α). Rows enter through their counts alone, so that a round costs as much as there are different
    (pair, context) skipped, however long the log.
    """
    num_pairs = shape[0] * shape[1]
    index = log.state[:, None] * shape[1] + log.slates  # (n, m)
    clicked, skipped = log.clicks, (log.slates >= 0) & ~log.clicks
    cells, count = torch.unique(index[skipped] * num_contexts + context[skipped], return_counts=True)
    pair, where, count = cells // num_contexts, cells % num_contexts, count.double()
    clicks_of_pair = torch.bincount(index[clicked], minlength=num_pairs).double()
    clicks_at = torch.bincount(context[clicked], minlength=num_contexts).double()
    shown_pair = clicks_of_pair + torch.bincount(pair, count, num_pairs)
    shown_at = clicks_at + torch.bincount(where, count, num_contexts)

    expect_skips = _expect_skips_compiled if pair.is_cpu else _expect_skips_torch

    def one_round(attraction: Tensor, examination: Tensor) -> tuple[Tensor, Tensor]:
        attracted, examined = expect_skips(pair, where, count, attraction, examination)
        attraction = ratio(clicks_of_pair + attracted, shown_pair, prior)
        return attraction, ratio(clicks_at + examined, shown_at, prior)

    start = torch.full_like(shown_pair, 0.5), torch.full_like(shown_at, 0.5)
    attraction, examination = iterate(one_round, start, *em)
    return attraction.view(shape), examination


def _expect_skips_compiled(
    pair: Tensor, where: Tensor, count: Tensor, attraction: Tensor, examination: Tensor
) -> tuple[Tensor, Tensor]:
    """The number of skips that attracted, by pair, and that were examined, by context."""
    attracted, examined = torch.zeros_like(attraction), torch.zeros_like(examination)
    tensors = pair, where, count, attraction, examination, attracted, examined
    kernels.expect_skips(*(t.numpy() for t in tensors))
    return attracted, examined


def _expect_skips_torch(
    pair: Tensor, where: Tensor, count: Tensor, attraction: Tensor, examination: Tensor
) -> tuple[Tensor, Tensor]:
    a, g = attraction[pair], examination[where]
    each = count / (1 - a * g).clamp(min=TINY)
    attracted = torch.bincount(pair, each * (1 - g) * a, len(attraction))
    return attracted, torch.bincount(where, each * (1 - a) * g, len(examination))


def fit_dbn(
    log: ClickLog, num_states: int, num_items: int, continuation: float | None, prior: float, em: _EM
) -> tuple[Tensor, Tensor, Tensor]:
    """EM for DBN; a given continuation is kept. Attraction, satisfaction (S, N) and continuation ()."""
    clicked, clicked_above = count_clicks(log, num_states, num_items)

    def one_round(attraction: Tensor, satisfaction: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        after_click = gamma.expand(log.length).contiguous()
        counts = expect(log, attraction, satisfaction, float(gamma), after_click, 0.0)
        if continuation is None:
            gamma = share(counts.after_skip + counts.after_click.sum(1), prior)
        return (
            ratio(clicked, counts.examined, prior),
            ratio(counts.satisfied, clicked_above, prior),
            gamma,
        )

    half = torch.full(clicked.shape, 0.5, dtype=torch.float64, device=clicked.device)
    gamma = half.new_tensor(0.5 if continuation is None else continuation)
    attraction, satisfaction, gamma = iterate(one_round, (half, half, gamma), *em)
    return attraction, satisfaction, gamma


class Expected(NamedTuple):
    """Expected counts of a browsing model given all clicks: what its M-steps need.

    Of going on, the counts are (times gone on, times at that point), where something is shown below.
    """

    examined: Tensor  # (S, N)
    satisfied: Tensor  # (S, N) clicks that satisfied, where something is shown below
    after_skip: Tensor  # (2,)
    after_click: Tensor  # (2, m) after clicks that did not satisfy, by position
    after_satisfied: Tensor  # (2,) after those that did


def expect(
    log: ClickLog,
    attraction: Tensor,
    satisfaction: Tensor,
    after_skip: float,
    after_click: Tensor,
    after_satisfied: float,
) -> Expected:
    """The E-step of the browsing models. Derived here, not from a paper.

    A click satisfies with probability ``satisfaction`` (S, N); the user goes on with probability ``after_skip``,
    ``after_click`` (m,) if not satisfied, ``after_satisfied``. DCM has no satisfaction, DBN never goes on satisfied.

    Down to the last click every position was examined. Below it nothing is clicked, so with the forward probability
    e_r = P(E_r = 1 | C_1, …, C_{r-1}) and x_r = P(a click at r or below | E_r = 1), Bayes' rule gives
    P(E_r = 1 | C_1, …, C_m) = e_r (1 - x_r) / (1 - e_r x_r). Since E_{r+1} = 1 implies E_r = 1, these marginals
    count the times of going on, too, and whether a click satisfied depends on that alone.
    """
    e_step = _expect_compiled if log.slates.is_cpu else _expect_torch
    return e_step(log, attraction, satisfaction, after_skip, after_click, after_satisfied)


def _expect_compiled(
    log: ClickLog,
    attraction: Tensor,
    satisfaction: Tensor,
    after_skip: float,
    after_click: Tensor,
    after_satisfied: float,
) -> Expected:
    by_position = (torch.zeros(shape, dtype=torch.float64) for shape in [(2,), (2, log.length), (2,)])
    counts = Expected(torch.zeros_like(attraction), torch.zeros_like(attraction), *by_position)
    tensors = log.state, log.slates, log.clicks, attraction, satisfaction, after_click
    arrays, sums = ([t.numpy() for t in group] for group in (tensors, counts))
    kernels.expect(*arrays, after_skip, after_satisfied, *sums)
    return counts


def _expect_torch(
    log: ClickLog,
    attraction: Tensor,
    satisfaction: Tensor,
    after_skip: float,
    after_click: Tensor,
    after_satisfied: float,
) -> Expected:
    shown = log.slates >= 0
    a, s = look_up(attraction, log.state, log.slates), look_up(satisfaction, log.state, log.slates)
    goes_on = s * after_satisfied + (1 - s) * after_click
    x = [torch.zeros_like(a[:, 0])]
    for r in reversed(range(log.length)):
        x.append(a[:, r] + (1 - a[:, r]) * after_skip * x[-1])
    x_r = torch.stack(x[:0:-1], dim=1)
    e_r = filtered_examination(log.clicks, a, after_skip, goes_on)
    above = log.clicks.flip(1).byte().cummax(1).values.flip(1) > 0  # at or above the last click
    examined = torch.where(above, 1.0, e_r * (1 - x_r) / (1 - e_r * x_r).clamp(min=TINY)) * shown
    below, followed = pad(examined[:, 1:], (0, 1)), pad(shown[:, 1:], (0, 1))
    click, skip = (log.clicks & followed).double(), (~log.clicks & followed).double()
    pleased = click * below * s * after_satisfied / goes_on.clamp(min=TINY)  # satisfied and went on
    left = click * (1 - below) * s * (1 - after_satisfied) / (1 - goes_on).clamp(min=TINY)
    satisfied = pleased + left

    def by_pair(values: Tensor) -> Tensor:
        pair = log.state[:, None] * attraction.shape[1] + log.slates
        return torch.bincount(pair[shown], values[shown], attraction.numel()).view_as(attraction)

    return Expected(
        by_pair(examined),
        by_pair(satisfied),
        torch.stack([(skip * below).sum(), (skip * examined).sum()]),
        torch.stack([(click * below - pleased).sum(0), (click - satisfied).sum(0)]),
        torch.stack([pleased.sum(), satisfied.sum()]),
    )


def filtered_examination(clicks: Tensor, attraction: Tensor, after_skip: float, after_click: Tensor) -> Tensor:
    """P(E_r = 1 | C_1, …, C_{r-1}), (n, m): the forward pass of a browsing model.

    after_skip, after_click: P(E_{r+1} = 1 | E_r = 1), the latter broadcastable to (n, m).
    """
    after_click = after_click.expand_as(attraction)
    examined = [torch.ones_like(attraction[:, 0])]
    for r in range(clicks.shape[1] - 1):
        e, a = examined[r], attraction[:, r]
        passed_over = e * (1 - a) / (1 - e * a).clamp(min=TINY)  # P(E_r = 1 | C_r = 0, …)
        examined.append(torch.where(clicks[:, r], after_click[:, r], passed_over * after_skip))
    return torch.stack(examined, dim=1)
