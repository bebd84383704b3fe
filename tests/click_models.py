"""One click model of each kind, and logs of its users, for the tests."""

from itertools import product

import numpy as np
import pytest
import torch

from ethogram.envs.clicks import CCM, DBN, DCM, PBM, RCM, SDBN, UBM, CascadeModel, ClickLog, DocumentCTR, RankCTR
from ethogram.simulator import Draws

S, N, M = 2, 5, 3  # states, items, positions


def table(*shape, seed=0, low=0.1, high=0.9):
    return torch.as_tensor(np.random.default_rng(seed).uniform(low, high, shape))


A, SAT = table(S, N, seed=1), table(S, N, seed=2)
GAMMA, BY_LAST = torch.tensor([0.95, 0.7, 0.4]).double(), table(M, M + 1, seed=3)
MODELS = [
    RCM(0.3),
    RankCTR(GAMMA),
    DocumentCTR(A),
    PBM(A, GAMMA),
    UBM(A, BY_LAST),
    CascadeModel(A),
    DCM(A, torch.tensor([0.7, 0.4, 0.2]).double()),
    SDBN(A, SAT),
    DBN(A, SAT, 0.8),
    CCM(A, 0.9, 0.7, 0.3),
]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
EM_FITS = [PBM, UBM, DCM, SDBN, DBN, CCM]
every_em = pytest.mark.parametrize("kind", EM_FITS, ids=lambda kind: kind.__name__)


def model_of(kind):
    return next(model for model in MODELS if type(model) is kind)


def simulate(model, n, seed=0, lengths=False):
    """A log of n users in both states who are shown uniform slates."""
    draws = Draws(seed, torch.arange(n))
    state, slates = draws.ids % S, draws.uniform("slate", N).argsort(1)[:, :M]
    if lengths:
        slates = slates.where(torch.arange(M) <= (draws.uniform("length") * M).long()[:, None], -1)
    clicks = model.act({"state": state, "slate": slates}, None, draws)
    return ClickLog(state, slates, clicks)


def examination(model, r, clicks, satisfied, goes_on_before):
    """P(E_r = 1) given all that happened above: the models' definitions, one branch each."""
    last = max((j for j in range(r) if clicks[j]), default=-1)
    match model:
        case RCM() | DocumentCTR():
            return 1.0
        case RankCTR():
            return float(model.rate[r])
        case PBM():
            return float(model.examination[r])
        case UBM():
            return float(model.examination[r, last])
    if r == 0:
        return 1.0
    if not goes_on_before:
        return 0.0
    clicked, pleased = clicks[r - 1], satisfied[r - 1]
    match model:
        case CascadeModel():
            return 0.0 if clicked else 1.0
        case DCM():
            return float(model.continuation[r - 1]) if clicked else 1.0
        case SDBN():
            return 0.0 if clicked and pleased else 1.0
        case DBN():
            return 0.0 if clicked and pleased else model.continuation
        case CCM():
            after_click = model.after_satisfied if pleased else model.after_click
            return after_click if clicked else model.after_skip


def pattern_probabilities(model, state, items):
    """{clicks: probability} by summing over every (attracted, satisfied, examined) path; 8^m of them."""
    total = dict.fromkeys(product((False, True), repeat=len(items)), 0.0)
    for path in product(product((False, True), repeat=3), repeat=len(items)):
        probability, clicks, satisfied, before = 1.0, [], [], True
        for r, (attracted, pleased, examined) in enumerate(path):
            a = model.rate if isinstance(model, RCM) else 1.0
            a = float(model.attraction[state, items[r]]) if hasattr(model, "attraction") else a
            s = a if isinstance(model, CCM) else 0.0
            s = float(model.satisfaction[state, items[r]]) if hasattr(model, "satisfaction") else s
            e = examination(model, r, clicks, satisfied, before)
            for event, chance in ((attracted, a), (pleased, s), (examined, e)):
                probability *= chance if event else 1 - chance
            clicks.append(attracted and examined)
            satisfied.append(pleased)
            before = examined
        total[tuple(clicks)] += probability
    return total
