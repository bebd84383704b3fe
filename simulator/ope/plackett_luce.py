"""Plackett-Luce slates: how likely a policy that draws items in proportion to exp(score) was to show what it showed.

The first item is drawn from softmax(scores), each later one from the softmax over the items that are left (Luce 1959;
Plackett 1975). Adding Gumbel noise to the scores and taking the top m draws exactly such a slate. Slate estimators
weigh by one of three probabilities of what was shown, each of which is here exact:

    prefix_propensity     (…, m) the items from the top down to each position, in this order; the last is the slate
    position_propensity   (…, m) this item at this position, whatever is shown elsewhere
    choice_distribution   (…, m, N) every item at each position, given the items shown above it

scores: (…, N) float, slate: (…, m) int64, distinct items in [0, N); leading axes broadcast. Results are float64.
Uniform slates are scores of 0 throughout.
"""

import numpy as np
import torch
from torch import Tensor

from ..arguments import as_tensor

MAX_SPAN = 700.0  # exp(-700) is still a normal float64: no item's weight vanishes


def prefix_propensity(scores: Tensor, slate: Tensor) -> Tensor:
    """(…, m) float64: the probability of the items shown from the top down to each position, in this order.

    ``[..., -1]`` is the probability of the slate.
    """
    weight, slate, shape = _weights(scores, slate)
    propensity = torch.empty(slate.shape, dtype=torch.float64, device=slate.device)
    for position, item in enumerate(slate.T):
        chosen = weight.gather(1, item[:, None])
        propensity[:, position] = (chosen / weight.sum(1, keepdim=True))[:, 0]
        weight.scatter_(1, item[:, None], 0.0)  # shown once
    return propensity.cumprod(1).view(shape)


def choice_distribution(scores: Tensor, slate: Tensor) -> Tensor:
    """(…, m, N) float64: at each position, the probability of every item given the items of the slate above it."""
    weight, slate, shape = _weights(scores, slate)
    distribution = weight[:, None, :].repeat(1, slate.shape[1], 1)
    for position, item in enumerate(slate.T):
        distribution[:, position + 1 :].scatter_(
            2, item[:, None, None].expand(-1, slate.shape[1] - position - 1, 1), 0.0
        )
    return (distribution / distribution.sum(2, keepdim=True)).view(*shape, -1)


def position_propensity(scores: Tensor, slate: Tensor) -> Tensor:
    """(…, m) float64: the probability that the policy shows this item at this position, whatever is shown elsewhere.

    Up to three positions of up to 64 items by summing over what may stand above, O(N^2) a slate; beyond that by an
    integral, O(m^2 N) times a few hundred nodes, to about 1e-13. Enumerating slates would cost O(N^(m - 1)).
    """
    weight, slate, shape = _weights(scores, slate)
    num_items, length = weight.shape[1], slate.shape[1]
    by_sums = length <= 3 and num_items <= 64
    method = _position_by_sums if by_sums else _position_by_integral
    row = num_items * num_items if by_sums else num_items * 256  # numbers that one slate keeps in memory
    chunk = max(1, (1 << 23) // row)
    begins = range(0, len(slate), chunk)
    parts = [method(weight[i : i + chunk], slate[i : i + chunk]) for i in begins]
    return torch.cat(parts).view(shape)


def _position_by_sums(weight: Tensor, slate: Tensor) -> Tensor:
    """Position 3: the sum over b, c above of w_b / W, w_c / (W - w_b), w_a / (W - w_b - w_c); the others likewise.

    What is left is summed over the items that are left, never subtracted, so that a dominant item costs no digits.
    """
    num_items, total = weight.shape[1], weight.sum(1, keepdim=True)
    out = weight.gather(1, slate) / total
    if slate.shape[1] == 1:
        return out
    others = 1 - torch.eye(num_items, dtype=weight.dtype, device=weight.device)  # (N, N)
    first = weight / (total * (weight @ others))  # (n, N) w_b / (W (W - w_b))
    out[:, 1] *= total[:, 0] * _without(first, slate[:, 1:2]).sum(1)
    if slate.shape[1] == 3:
        pair = others[:, :, None] * others[:, None, :]  # (N, N, N) 1 where item j is neither b nor c
        left = (weight @ pair.flatten(1)).view(-1, num_items, num_items)  # (n, b, c) W - w_b - w_c
        left.diagonal(dim1=1, dim2=2).fill_(torch.inf)  # nothing stands at two positions
        second = _without(weight, slate[:, 2:])[:, :, None]
        above = torch.bmm(left.reciprocal_(), second)[:, :, 0]  # (n, b) sum over c of w_c / (W - w_b - w_c)
        out[:, 2] *= total[:, 0] * (_without(first, slate[:, 2:]) * above).sum(1)
    return out


def _without(table: Tensor, item: Tensor) -> Tensor:
    return table.scatter(1, item, 0.0)


def _position_by_integral(weight: Tensor, slate: Tensor) -> Tensor:
    """Items as exponential clocks: item a, of rate w_a, stands at position l if l - 1 others ring before it.

    P(a at l) is the integral over t of w_a exp(-w_a t) P(l - 1 of the others rang before t), by the trapezoid rule in
    log t, which converges geometrically on this integrand; the count of others is a Poisson-binomial.
    """
    total = weight.sum(1, keepdim=True)
    out = weight.gather(1, slate) / total
    length = slate.shape[1]
    least = weight.sort(1).values[:, : weight.shape[1] - length + 1].sum(1, keepdim=True)  # rate of what is left
    begin, end = (1e-9 / total).log(), (45 / least).log()  # outside: below 1e-16 of the integral
    step = 0.2
    nodes = int(((end - begin).max() / step).ceil()) + 1
    time = (begin + step * torch.arange(nodes, dtype=weight.dtype, device=weight.device)).exp()  # (n, Q)
    for position in range(1, length):
        item = slate[:, position : position + 1]
        counts = [torch.ones_like(time)] + [torch.zeros_like(time)] * position  # P(k others rang), k = 0, 1, …
        for rate in _without(weight, item).T:  # rate 0 never rings: the item itself
            silent = (-rate[:, None] * time).exp()
            rung = -torch.expm1(-rate[:, None] * time)
            for k in range(position, 0, -1):
                counts[k] = counts[k] * silent + counts[k - 1] * rung
            counts[0] = counts[0] * silent
        own = weight.gather(1, item)
        out[:, position] = (own * (-own * time).exp() * counts[position] * time).sum(1) * step
    return out


def _weights(scores: Tensor, slate: Tensor) -> tuple[Tensor, Tensor, torch.Size]:
    """(n, N) exp(scores) up to a factor, (n, m) slates, and the shape that the result is to have."""
    scores = as_tensor("scores", scores, dtype=torch.float64).double()
    slate = as_tensor("slate", slate, scores.device).to(scores.device)
    if slate.dtype != torch.int64 or slate.dim() < 1 or scores.dim() < 1:
        raise ValueError(
            f"slate is {slate.dtype} {tuple(slate.shape)} and scores {tuple(scores.shape)}: expected int64 (…, m) "
            "and float (…, N)"
        )
    num_items, length = scores.shape[-1], slate.shape[-1]
    try:
        leading = np.broadcast_shapes(scores.shape[:-1], slate.shape[:-1])
    except ValueError:
        raise ValueError(
            f"scores {tuple(scores.shape)} and slates {tuple(slate.shape)} do not go together: expected the same "
            "leading axes, one row of scores a slate (policy.scores[observation])"
        ) from None
    low, high = torch.aminmax(scores, dim=-1) if scores.numel() else (scores, scores)
    wide = ~(high - low < MAX_SPAN)  # NaN and infinity are too wide
    if wide.any():
        where = wide.nonzero()[0].tolist()
        raise ValueError(
            f"scores{where} run from {low[tuple(where)]:.6g} to {high[tuple(where)]:.6g}: expected finite scores that "
            f"span less than {MAX_SPAN:g}; a steeper softmax is deterministic in float64, so raise its temperature"
        )
    rows = slate.expand(*leading, length).reshape(-1, length)
    _check_distinct(rows, num_items)
    weight = (scores - high[..., None]).exp().expand(*leading, num_items)
    return weight.reshape(-1, num_items).clone(), rows, torch.Size((*leading, length))


def _check_distinct(slates: Tensor, num_items: int) -> None:
    """Raise ValueError unless every row of (n, m) slates is full and of distinct items."""
    if not 1 <= slates.shape[1] <= num_items:
        raise ValueError(f"slates have {slates.shape[1]} positions: expected 1 to {num_items}, the number of items")
    bad = ((slates < 0) | (slates >= num_items)).any(1)
    for j in range(1, slates.shape[1]):
        bad |= (slates[:, :j] == slates[:, j : j + 1]).any(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise ValueError(
            f"slate of row {row} is {slates[row].tolist()}: expected distinct items between 0 and {num_items - 1}; a "
            "Plackett-Luce policy leaves no position empty"
        )
