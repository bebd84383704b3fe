"""Exact solvers for a user who clicks the first attractive item: the best list, and the values of a known MDP.

Du, Srikant & Chen, "Cascading Reinforcement Learning", ICLR 2024 (arXiv 2401.08961): the oracle BestPerm. It is
written from accounts of the paper, not from its text: the recurrence and its cases are reported there, while the
rule for ties is our own choice.

Symbols, as paper = here:
    u(a) = attraction      probability that item a attracts when examined
    w(a) = value           value of a click on item a, in units of reward
    w(a_perp) = no_click   value when the list ends without a click
    m = length             longest list allowed
    f(A, u, w)             the value of showing list A: ``list_value``
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.envs.sessions.mdp import CascadingMDP
from ethogram.envs.sessions.slates import check_slates
from ethogram.simulator import as_tensor, check_is, check_number, checked_int

from . import batch_kernels, list_kernels

_Array = np.ndarray[Any, Any]


def list_value(slates: Tensor, attraction: Tensor, value: Tensor, no_click: Tensor | float) -> Tensor:
    """The expected value f(A, u, w) of showing each list.

    slates: (…, m) int64, items from the top down, -1 where there is none. attraction, value: (…, N), of the same
    leading axes or broadcasting to them. no_click: (…). Returns (…).
    """
    leading = slates.shape[:-1]
    shown, items = slates >= 0, slates.clamp(min=0)
    u = attraction.expand(*leading, -1).gather(-1, items)
    w = value.expand(*leading, -1).gather(-1, items)
    tail = torch.as_tensor(no_click, dtype=value.dtype, device=value.device).expand(leading)
    for i in reversed(range(slates.shape[-1])):
        tail = torch.where(shown[..., i], u[..., i] * w[..., i] + (1 - u[..., i]) * tail, tail)
    return tail


def best_permutation(
    attraction: Tensor,
    value: Tensor,
    no_click: Tensor | float,
    length: int,
    attraction_if_none_worth: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """BestPerm: the best ordered list of 1 to ``length`` items in each state, and its value.

    An optimal list holds items worth more than no click, in descending order of value (the paper's Lemma 1). A
    dynamic program over the items so ordered chooses which:

        F[i][k] = max(F[i+1][k], u(a_i) w(a_i) + (1 - u(a_i)) F[i+1][k-1])

    where F[i][k] is the best value of exactly k of the items from the i-th on. Time O(N (N + m)) a state.

    attraction: (B, N) float64 in [0, 1]. value: (B, N) float64, finite. no_click: (B,) float64. Or one state:
    (N,), (N,) and a number. On any device, with the same result.
    attraction_if_none_worth: as attraction, used in its place where no item is worth more than no click: there a
        list, which may not be empty, does harm, and an optimist must pass a lower bound. None: attraction itself.

    Returns slates (B, m) int64, -1 after the end of a list, and their values (B,) float64.
    Ties: of equal items the one of lower index comes first; of equally good lists the one taken is that which skips
    the item ranked first; where no item is worth a click, the first of the least harmful ones.
    Raises ValueError where shapes or dtypes differ from these or a number is out of range.
    """
    if not isinstance(attraction, Tensor) or not isinstance(value, Tensor):
        attraction, value = as_tensor("attraction", attraction), as_tensor("value", value)
    lower = attraction if attraction_if_none_worth is None else attraction_if_none_worth
    if value.is_cpu and value.dim() == 1:
        return _solve_one(attraction, value, no_click, lower, length)
    _check_states(attraction, value, no_click, length, lower)
    no_click = _no_click_like(value, no_click)
    if value.is_cpu:
        many = len(value) >= batch_kernels.LANES
        kernel = batch_kernels.best_lists_side_by_side if many else list_kernels.best_lists
        return _solve_compiled(kernel, attraction, value, no_click, lower, length)
    if value.dim() == 2:
        return _solve_torch(attraction, value, no_click, lower, length)
    slates, best = _solve_torch(attraction[None], value[None], no_click[None], lower[None], length)
    return slates[0], best[0]


def best_permutation_by_search(
    attraction: Tensor,
    value: Tensor,
    no_click: Tensor | float,
    length: int,
    attraction_if_none_worth: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The list of ``best_permutation``, found by valuing every list: O(N^m) a state, on the CPU.

    Lists whose values differ by less than 1e-12, relative to them where they exceed 1, are ties, which break as there.
    """
    lower = attraction if attraction_if_none_worth is None else attraction_if_none_worth
    _check_states(attraction, value, no_click, length, lower)
    states = (attraction.cpu(), value.cpu(), _no_click_like(value, no_click).cpu(), lower.cpu())
    slates, best = _solve_compiled(list_kernels.search_lists, *states, length)
    return slates.to(value.device), best.to(value.device)


def _check_states(attraction: Tensor, value: Tensor, no_click: Tensor | float, length: int, lower: Tensor) -> None:
    """ValueError where the arguments do not fit together; cheap, since one state takes a microsecond to solve."""
    shape = value.shape
    if value.dtype is not torch.float64 or len(shape) not in (1, 2):
        raise ValueError(f"value is {value.dtype} {tuple(shape)}: expected float64 (states, items) or (items,)")
    checked_int("length", length, 1, shape[-1])
    if not isinstance(no_click, Tensor):
        check_number("no_click", no_click, -math.inf)
    good = _alike(attraction, value, shape) and (lower is attraction or _alike(lower, value, shape))
    if good and (not isinstance(no_click, Tensor) or _alike(no_click, value, shape[:-1])):
        return
    given = {"attraction": attraction, "attraction_if_none_worth": lower, "no_click": no_click}
    raise ValueError(
        "; ".join(
            f"{name} is {x.dtype} {tuple(x.shape)} on {x.device}" for name, x in given.items() if isinstance(x, Tensor)
        )
        + f": expected float64 on {value.device}, as value is, of shapes {tuple(shape)}, {tuple(shape)} and "
        f"{tuple(shape[:-1])}"
    )


def _alike(tensor: Tensor, value: Tensor, shape: torch.Size) -> bool:
    return tensor.shape == shape and tensor.dtype is torch.float64 and tensor.device == value.device


def _no_click_like(value: Tensor, no_click: Tensor | float) -> Tensor:
    """``no_click`` as a tensor, one number a state."""
    if isinstance(no_click, Tensor):
        return no_click
    return torch.full(value.shape[:-1], no_click, dtype=torch.float64, device=value.device)


def _raise_bad_state(row: int, attraction: Any, value: Any, no_click: Any, lower: Any) -> None:
    """ValueError for a row of tables (B, N) in which a number is out of range."""
    given = {"attraction": attraction, "attraction_if_none_worth": lower, "value": value, "no_click": no_click}
    for name, table in given.items():
        found, what = torch.as_tensor(table)[row].detach(), "finite numbers"
        good = found.isfinite()
        if name.startswith("attraction"):
            good, what = (found >= 0) & (found <= 1), "probabilities, 0 to 1"
        if not good.all():
            raise ValueError(f"{name} of state {row} is {found.tolist()!s:.80}: expected {what}")


def _solve_one(
    attraction: Tensor, value: Tensor, no_click: Tensor | float, lower: Tensor, length: int
) -> tuple[Tensor, Tensor]:
    """One state on the CPU: what ``_solve_compiled`` gives, without the views that it takes of tables."""
    items, plain = value.numel(), type(no_click) is float and lower is attraction and attraction.is_cpu
    if not (
        plain
        and attraction.dtype is value.dtype is torch.float64
        and attraction.dim() == 1
        and attraction.numel() == items
        and type(length) is int
        and 1 <= length <= items
    ):
        _check_states(attraction, value, no_click, length, lower)  # the same, slower, of all that there may be
    if attraction.requires_grad or value.requires_grad or lower.requires_grad:
        raise RuntimeError("best_permutation of tensors that require grad: it has no gradient; pass x.detach()")
    u, w = attraction.contiguous(), value.contiguous()  # kept alive here while their addresses are in use
    low = u if lower is attraction else lower.contiguous()
    slate: _Array = np.empty(length, np.int64)
    best = list_kernels.best_list_at(u.data_ptr(), w.data_ptr(), float(no_click), low.data_ptr(), items, slate)
    if best != best:  # NaN
        _raise_bad_state(0, u[None], w[None], [float(no_click)], low[None])
    return torch.from_numpy(slate), torch.from_numpy(np.array(best))


def _solve_compiled(
    kernel: Callable[..., int], attraction: Tensor, value: Tensor, no_click: Tensor, lower: Tensor, length: int
) -> tuple[Tensor, Tensor]:
    """A batch or one state on the CPU, by a compiled kernel."""
    u, w, w0 = attraction.contiguous().numpy(), value.contiguous().numpy(), no_click.contiguous().numpy()
    low = u if lower is attraction else lower.contiguous().numpy()
    slates: _Array
    best: _Array
    if w.ndim == 2:
        slates, best = np.empty((len(w), length), np.int64), np.empty(len(w))
        bad = kernel(u, w, w0, low, slates, best)
    else:  # a batch of one, as views
        slates, best = np.empty(length, np.int64), np.empty(())
        u, w, w0, low = u[None], w[None], w0[None], low[None]
        bad = kernel(u, w, w0, low, slates[None], best[None])
    if bad >= 0:
        _raise_bad_state(bad, u, w, w0, low)
    return torch.from_numpy(slates), torch.from_numpy(best)


def _solve_torch(
    attraction: Tensor, value: Tensor, no_click: Tensor, lower: Tensor, length: int
) -> tuple[Tensor, Tensor]:
    """A batch on any device: ``kernels.best_list`` with the states in lockstep, to the same bits."""
    good = ((attraction >= 0) & (attraction <= 1) & value.isfinite()).all(1) & no_click.isfinite()
    if not good.all():
        _raise_bad_state(int((~good).nonzero()[0]), attraction, value, no_click, lower)
    w, order = value.sort(dim=1, descending=True, stable=True)
    u, no_click = attraction.gather(1, order), no_click[:, None]
    worth = (w > no_click).sum(1)  # (B,) the paper's J
    rank = torch.arange(w.shape[1], device=w.device)
    gain, miss, nothing = u * w, 1 - u, torch.full_like(w, -torch.inf)
    best = [torch.cat([no_click.expand_as(w), no_click], dim=1)]  # best[k][:, i]: F[i][k], (B, N + 1)
    first = []  # first[k - 1][:, i]: rank at which the list of F[i][k] begins
    for k in range(1, length + 1):
        fits = rank <= (worth - k)[:, None]
        take = torch.where(fits, gain + miss * best[-1][:, 1:], nothing)
        highest = take.flip(1).cummax(1).values.flip(1)
        highest = torch.cat([highest, nothing[:, :1]], dim=1)
        record = take > highest[:, 1:]  # on a tie, skip
        begins = torch.where(record, rank, len(rank)).flip(1).cummin(1).values.flip(1)
        first.append(begins)
        best.append(highest)
    listed = worth.clamp(max=length)
    slates = torch.full((len(w), length), -1, device=w.device)
    at = torch.zeros_like(worth)
    for k in range(length, 0, -1):
        used = listed >= k
        begins = first[k - 1].gather(1, at[:, None])[:, 0]
        item = order.gather(1, begins.clamp(max=len(rank) - 1)[:, None])[:, 0]
        column = (listed - k).clamp(min=0)[:, None]
        slates = torch.where(used[:, None], slates.scatter(1, column, item[:, None]), slates)
        at = torch.where(used, (begins + 1).clamp(max=len(rank) - 1), at)
    value_of_best = torch.stack(best).gather(0, listed.view(1, -1, 1).expand(1, -1, len(rank) + 1))[0, :, 0]
    single = lower * value + (1 - lower) * no_click
    least_harm, item = single.max(dim=1)
    item = (single == least_harm[:, None]).byte().argmax(1)  # the first of equal ones
    none = worth == 0
    slates[:, 0] = torch.where(none, item, slates[:, 0])
    return slates, torch.where(none, least_harm, value_of_best)


def optimal_values(mdp: CascadingMDP) -> tuple[Tensor, Tensor]:
    """V* and a policy that attains it, by backward induction with BestPerm.

    Returns values (H + 1, S) float64, the last row being 0, and slates (H, S, m) int64; ``simple.Table(slates)`` is
    the policy.
    """
    check_is("mdp", mdp, CascadingMDP, "a CascadingMDP")
    values: list[Tensor] = [torch.zeros_like(mdp.attraction[:, 0])]
    slates: list[Tensor] = []
    for _ in range(mdp.horizon):
        click, no_click = _action_values(mdp, values[0])
        slate, value = best_permutation(mdp.attraction, click, no_click, mdp.length)
        values.insert(0, value)
        slates.insert(0, slate)
    return torch.stack(values), torch.stack(slates)


def policy_value(mdp: CascadingMDP, slates: Tensor) -> Tensor:
    """V of the policy that shows slates[h, s] at step h in state s.

    slates: (H, S, m) int64. Returns (H + 1, S) float64, the last row being 0.
    """
    check_is("mdp", mdp, CascadingMDP, "a CascadingMDP")
    slates, expected = as_tensor("slates", slates), (mdp.horizon, mdp.num_states)
    if slates.dim() != 3 or tuple(slates.shape[:2]) != expected:
        raise ValueError(
            f"slates have shape {tuple(slates.shape)}: expected {(*expected, mdp.length)}; a policy that does not "
            f"depend on the step is slates.expand({mdp.horizon}, -1, -1)"
        )
    check_slates(slates.flatten(0, 1), mdp.horizon * mdp.num_states, mdp.num_items, mdp.length)
    values = [torch.zeros_like(mdp.attraction[:, 0])]
    for slate in slates.flip(0):
        values.insert(0, list_value(slate, mdp.attraction, *_action_values(mdp, values[0])))
    return torch.stack(values)


def _action_values(mdp: CascadingMDP, next_value: Tensor) -> tuple[Tensor, Tensor]:
    """w(s, a) = r(s, a) + p(. | s, a) V, as (S, N) for items and (S,) for no click."""
    future = mdp.transition @ next_value  # (S, N + 1)
    return mdp.reward + future[:, :-1], future[:, -1]


def myopic_policy(mdp: CascadingMDP) -> Tensor:
    """The m items that attract most in each state, most attractive first: (H, S, m).

    Where all rewards are equal this maximises the next reward, as a contextual cascading bandit learns to do.
    """
    check_is("mdp", mdp, CascadingMDP, "a CascadingMDP")
    slates = mdp.attraction.argsort(dim=1, descending=True, stable=True)[:, : mdp.length]
    return slates.expand(mdp.horizon, -1, -1)


def state_free_policy(mdp: CascadingMDP) -> Tensor:
    """One list for every state: the m items that attract most on average over states, (H, S, m).

    Averages are rounded to 1e-12, so that items that attract alike are ties, which index decides.
    """
    check_is("mdp", mdp, CascadingMDP, "a CascadingMDP")
    average = mdp.attraction.mean(0).round(decimals=12)
    slate = average.argsort(descending=True, stable=True)[: mdp.length]
    return slate.expand(mdp.horizon, mdp.num_states, -1)
