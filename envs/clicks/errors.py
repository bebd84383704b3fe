"""Standard errors of click models, from the curvature of the likelihood."""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ethogram.simulator import check_is, check_number

from .log import ClickLog, check_log, look_up
from .model import BY_ITEM, ClickModel

EDGE = 1e-6  # a probability as near to 0 or 1 as this has no curvature to read
APPROACH = 1e-3  # and nor has one as near as this that is on its way there, when EM stops
NEAR = 0.1  # standard errors that a fit may be away from the maximum


def standard_errors(
    model: ClickModel, log: ClickLog, *, prior: float = 1.0, fixed: Collection[str] = ()
) -> dict[str, Tensor]:
    """Standard errors of a model that was fitted to a log, by name, in the shapes of ``model.parameters``.

    The square root of the diagonal of the inverse of the observed information: the Hessian of -log P(clicks), and of
    -log of Beta(1 + prior, 1 + prior) of each parameter. So an error is that of maximum likelihood where prior is 0,
    and the posterior's standard deviation near its mode (Laplace) elsewhere.

    prior: that of the fit. fixed: names of parameters that are known and not fitted, such as DBN's "continuation".
    Attraction and examination of PBM and UBM are known up to a common factor alone: errors are those given the
    examination of the first position. What is given has the error 0.

    NaN: a parameter whose maximum is at 0 or 1, which others' errors take as known, or one that the log says nothing
    about. Rows of the log are taken to be independent. Raises ValueError where the log is not the one fitted to, or
    where the fit is no maximum: closed forms of DCM and SDBN, and EM that was stopped early. Takes S (k N)^2 numbers of
    memory, k being 2 with satisfaction and 1 without.
    """
    check_is("model", model, ClickModel, "a click model of this folder")
    check_number("prior", prior)
    check_log(log)
    check_is("fixed", fixed, Collection, "names of parameters")
    model._check(log.state, log.slates)
    model._check_names(log)
    tables = model.parameters
    if unknown := sorted(set(fixed) - set(tables)):
        raise LookupError(f"fixed has {unknown}: expected some of {sorted(tables)}")
    given = {name: torch.full_like(table, name in fixed, dtype=torch.bool) for name, table in tables.items()}
    if "examination" in given:
        given["examination"].view(-1)[0 if given["examination"].dim() == 1 else len(given["examination"])] = True
    information = _information(model, log)
    inside = _inside(model, information, prior)
    seen = _unpack(model, information.block.diagonal(dim1=1, dim2=2) != 0, information.corner.diagonal() != 0)
    free = {name: inside[name] & seen[name] & ~given[name] for name in tables}
    error = _solve(model, information, free, prior)
    return {name: error[name].masked_fill(~free[name], torch.nan).masked_fill(given[name], 0.0) for name in tables}


class _Information(NamedTuple):
    """Second derivatives of -log P(clicks): dense within each state, a border for what all states share.

    K = k N + 1 parameters of a state, the last standing for empty positions; G that all states share.
    """

    block: Tensor  # (S, K, K)
    border: Tensor  # (S, K, G)
    corner: Tensor  # (G, G)
    score: Tensor  # (S, K) first derivatives of log P(clicks)
    shared_score: Tensor  # (G,)


def _split(model: ClickModel) -> tuple[list[str], list[str]]:
    names = list(model.parameters)
    return [name for name in names if name in BY_ITEM], [name for name in names if name not in BY_ITEM]


def _information(model: ClickModel, log: ClickLog) -> _Information:
    """Each row of the log sees its own items alone, so that it can be a state of its own whose items are positions.

    The gradient of a sum over rows in what stands at one position is then that of every row at once, and k m + G passes
    give all second derivatives.
    """
    tables = {name: table.clamp(EDGE / 2, 1 - EDGE / 2) for name, table in model.parameters.items()}
    local, shared = _split(model)
    n, m, shown = len(log), log.length, log.slates >= 0
    states, items = tables[local[0]].shape if local else (log.num_states, 0)
    empty = torch.zeros(n, 0, dtype=torch.float64)
    rows = torch.cat([empty, *(look_up(tables[name], log.state, log.slates) for name in local)], 1).requires_grad_()
    common = torch.cat([empty[0], *(tables[name].flatten() for name in shared)]).requires_grad_()
    parts = zip(local, torch.split(rows, m, 1), strict=True) if local else ()
    sizes = [tables[name].numel() for name in shared]
    whole = {name: part.view_as(tables[name]) for name, part in zip(shared, torch.split(common, sizes), strict=True)}
    own = ClickLog(torch.arange(n), torch.arange(m).where(shown, -1), log.clicks)
    likelihood = replace(model, **dict(parts), **whole, state_ids=None, item_ids=None).log_likelihood(own)
    if not likelihood.isfinite().all():
        row = int((~likelihood.isfinite()).nonzero()[0])
        raise ValueError(
            f"clicks {log.clicks[row].tolist()} of row {row} have probability 0 in the {type(model).__name__}: "
            "expected the log that it was fitted to, and a model that can explain it: one of a single click cannot "
            "explain a second"
        )

    def derivatives(of: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
        if not of.requires_grad:  # it does not depend on anything
            return torch.zeros_like(rows), torch.zeros_like(common)
        found = torch.autograd.grad(of, (rows, common), retain_graph=True, create_graph=keep, materialize_grads=True)
        return found[0], found[1]

    by_row, by_common = derivatives(likelihood.sum(), keep=True)
    size, count = len(local) * items + 1, len(common)
    place = torch.cat([(log.slates + j * items).where(shown, size - 1) for j in range(len(local))] or [empty.long()], 1)
    state = log.state[:, None].expand_as(place)
    block, border = torch.zeros(states, size, size).double(), torch.zeros(states, size, count).double()
    corner, score = torch.zeros(count, count).double(), torch.zeros(states, size).double()
    score.index_put_((state, place), by_row.detach(), accumulate=True)
    for r in range(rows.shape[1]):
        second = -derivatives(by_row[:, r].sum(), keep=False)[0]
        block.index_put_((state, place[:, r : r + 1].expand_as(place), place), second, accumulate=True)
    for g in range(count):
        second, corner[g] = (-part for part in derivatives(by_common[g], keep=False))
        border.index_put_((state, place, torch.full_like(place, g)), second, accumulate=True)
    return _Information(block, border, corner, score, by_common.detach())


def _unpack(model: ClickModel, by_state: Tensor, shared: Tensor) -> dict[str, Tensor]:
    """(S, K) and (G,) numbers as parameters by name."""
    tables, (local, common) = model.parameters, _split(model)
    found = dict(zip(local, by_state[:, :-1].chunk(len(local), 1), strict=True)) if local else {}
    parts = torch.split(shared, [tables[name].numel() for name in common])
    return found | {name: part.view_as(tables[name]) for name, part in zip(common, parts, strict=True)}


def _inside(model: ClickModel, information: _Information, prior: float) -> dict[str, Tensor]:
    """Whether parameters are inside of 0 and 1, and not about to end there: Newton's step for each would lead out."""
    diagonals = information.block.diagonal(dim1=1, dim2=2), information.corner.diagonal()
    bends, pushes = _unpack(model, *diagonals), _unpack(model, information.score, information.shared_score)
    inside = {}
    for name, table in model.parameters.items():
        p = table.clamp(EDGE / 2, 1 - EDGE / 2)
        bend = bends[name] + prior * (1 / p**2 + 1 / (1 - p) ** 2)
        push = pushes[name] + prior * (1 / p - 1 / (1 - p))
        below = (p < EDGE) | (p < APPROACH) & (-push > bend * p)
        above = (1 - p < EDGE) | (1 - p < APPROACH) & (push > bend * (1 - p))
        inside[name] = ~(below | above)
    return inside


def _solve(model: ClickModel, information: _Information, free: dict[str, Tensor], prior: float) -> dict[str, Tensor]:
    """Roots of the diagonal of the inverse, by Schur's complement of what is shared; others than ``free`` are given."""
    block, border, corner, score, shared_score = (part.clone() for part in information)
    local, shared = _split(model)
    nothing = torch.zeros(len(block), 1, dtype=torch.float64)

    def packed(values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        by_state = torch.cat([*(values[name].double() for name in local), nothing[:, :1]], 1)
        return by_state, torch.cat([nothing[0, :0], *(values[name].double().flatten() for name in shared)])

    p = {name: table.clamp(EDGE / 2, 1 - EDGE / 2) for name, table in model.parameters.items()}
    bend = packed({name: prior * (1 / q**2 + 1 / (1 - q) ** 2) for name, q in p.items()})
    push = packed({name: prior * (1 / q - 1 / (1 - q)) for name, q in p.items()})
    one, other = packed(free)
    block = (block + torch.diag_embed(bend[0])) * one[:, :, None] * one[:, None] + torch.diag_embed(1 - one)
    corner = (corner + torch.diag(bend[1])) * other[:, None] * other + torch.diag(1 - other)
    border = border * one[..., None] * other
    score, shared_score = (score + push[0]) * one, (shared_score + push[1]) * other
    root, failed = torch.linalg.cholesky_ex(block)
    inverse = torch.cholesky_inverse(root)
    reach = inverse @ border  # (S, K, G)
    shared_root, shared_failed = torch.linalg.cholesky_ex(corner - (border.mT @ reach).sum(0))
    if failed.any() or shared_failed:
        raise ValueError(
            "the likelihood does not curve down in all directions here: the fit is no maximum, or the log leaves some "
            "parameters open; fit with more iterations and a lower tolerance, or with prior above 0"
        )
    shared_inverse = torch.cholesky_inverse(shared_root)
    step = shared_inverse @ (shared_score - (reach.mT @ score[..., None]).sum(0)[:, 0])
    steps = (inverse @ score[..., None])[..., 0] - reach @ step
    variance = inverse.diagonal(dim1=1, dim2=2) + (reach @ shared_inverse * reach).sum(-1)
    shared_variance = shared_inverse.diagonal()
    away = torch.cat([(steps / variance.sqrt()).flatten(), step / shared_variance.sqrt()]).abs().max()
    if not away < NEAR:
        raise ValueError(
            f"the fit is {float(away):.2g} standard errors away from the maximum: expected the log and the prior that "
            "the model was fitted with, and EM that has converged (iterations=10_000, tolerance=1e-9; without "
            "iterations, DCM and SDBN are fitted by a closed form, which is no maximum)"
        )
    return _unpack(model, variance.sqrt(), shared_variance.sqrt())
