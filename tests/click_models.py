"""One click model of each kind, and logs of its users, for the tests."""

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
