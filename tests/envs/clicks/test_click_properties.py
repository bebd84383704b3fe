"""Click models on random instances with edges: certain and impossible events, ties, one item, one list, no clicks."""

from itertools import product

import pytest
import torch
from click_models import EM_FITS, MODELS, pattern_probabilities
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.envs.clicks import (
    CCM,
    DBN,
    DCM,
    PBM,
    RCM,
    SDBN,
    UBM,
    CascadeModel,
    ClickLog,
    DocumentCTR,
    RankCTR,
    counts,
)
from ethogram.simulator import Draws

KINDS = [type(model) for model in MODELS]
numbers = st.sampled_from([0.0, 0.0, 0.3, 0.5, 0.5, 0.9, 1.0, 1.0])


def tables(draw, *shape):
    size = int(torch.tensor(shape).prod())
    flat = draw(st.lists(numbers, min_size=size, max_size=size))
    return torch.tensor(flat, dtype=torch.float64).view(shape)


@st.composite
def models(draw):
    """(a model, its number of states, of items, of positions)."""
    kind = draw(st.sampled_from(KINDS))
    states, items = draw(st.integers(1, 2)), draw(st.integers(1, 4))
    m = draw(st.integers(1, min(items, 3)))
    attraction = () if kind in (RCM, RankCTR) else (tables(draw, states, items),)
    rest = {
        RCM: lambda: (draw(numbers),),
        RankCTR: lambda: (tables(draw, m),),
        DocumentCTR: tuple,
        PBM: lambda: (tables(draw, m),),
        UBM: lambda: (tables(draw, m, m + 1),),
        CascadeModel: tuple,
        DCM: lambda: (tables(draw, m),),
        SDBN: lambda: (tables(draw, states, items),),
        DBN: lambda: (tables(draw, states, items), draw(numbers)),
        CCM: lambda: (draw(numbers), draw(numbers), draw(numbers)),
    }[kind]()
    return kind(*attraction, *rest), states, items, m


@st.composite
def slates(draw, items, m):
    shown = draw(st.permutations(range(items)))[: draw(st.integers(1, m))]
    return [*shown, *[-1] * (m - len(shown))]


@settings(max_examples=250, deadline=None)
@given(data=st.data(), instance=models())
def test_probabilities_equal_enumeration_whatever_is_certain_or_impossible(data, instance):
    model, states, items, m = instance
    slate, state = data.draw(slates(items, m)), data.draw(st.integers(0, states - 1))
    shown = [item for item in slate if item >= 0]
    truth = pattern_probabilities(model, state, shown)
    patterns = torch.tensor([[*c, *[False] * (m - len(shown))] for c in truth])
    log = ClickLog(torch.full((len(truth),), state), torch.tensor([slate] * len(truth)), patterns)
    likelihood = torch.tensor(list(truth.values()), dtype=torch.float64)
    torch.testing.assert_close(model.log_likelihood(log).exp(), likelihood, rtol=0, atol=1e-12)
    marginal = (likelihood[:, None] * patterns).sum(0)
    torch.testing.assert_close(model.click_probability(log.state, log.slates)[0], marginal, rtol=0, atol=1e-12)
    n = 50
    seen = {"state": torch.full((n,), state), "slate": torch.tensor([slate] * n)}
    clicked = model.act(seen, None, Draws(data.draw(st.integers(0, 999)), torch.arange(n)))
    assert all(truth[tuple(row[: len(shown)])] > 0 for row in clicked.tolist())


@st.composite
def logs(draw):
    """(a log, its number of states, of items): no clicks, all clicks or any, lists of any length, one or more."""
    states, items = draw(st.integers(1, 2)), draw(st.integers(1, 4))
    m, n = draw(st.integers(1, min(items, 3))), draw(st.integers(1, 6))
    shown = torch.tensor([draw(slates(items, m)) for _ in range(n)])
    kind = draw(st.sampled_from(["none", "all", "some"]))
    some = torch.tensor(draw(st.lists(st.booleans(), min_size=n * m, max_size=n * m))).view(n, m)
    clicks = {"none": some & False, "all": some | True, "some": some}[kind] & (shown >= 0)
    state = torch.tensor(draw(st.lists(st.integers(0, states - 1), min_size=n, max_size=n)))
    return ClickLog(state, shown, clicks), states, items


@settings(max_examples=200, deadline=None)
@given(instance=logs(), kind=st.sampled_from(KINDS), prior=st.sampled_from([0.0, 0.5, 1.0]))
def test_any_log_is_fitted_by_probabilities_that_explain_it(instance, kind, prior):
    log, states, items = instance
    more = {"iterations": 30} if kind in EM_FITS else {}
    model = kind.fit(log, states, items, prior=prior, **more)
    for table in model.parameters.values():
        assert ((table >= 0) & (table <= 1)).all()
    likelihood = model.log_likelihood(log)
    assert not likelihood.isnan().any()
    if kind is not CascadeModel or not (log.clicks.sum(1) > 1).any():
        assert (likelihood > -torch.inf).all() or prior == 0
    if kind in EM_FITS:
        first = kind.fit(log, states, items, prior=0, iterations=1).log_likelihood(log).sum()
        assert kind.fit(log, states, items, prior=0, iterations=30).log_likelihood(log).sum() >= first - 1e-9
    if prior > 0:
        never = torch.ones(states, items, dtype=torch.bool)
        never[log.state[:, None].expand_as(log.slates)[log.slates >= 0], log.slates[log.slates >= 0]] = False
        if "attraction" in model.parameters:
            assert torch.allclose(model.parameters["attraction"][never], torch.tensor(0.5).double())


@settings(max_examples=200, deadline=None)
@given(instance=logs(), prior=st.sampled_from([0.0, 1.0]))
def test_closed_forms_equal_plain_loops(instance, prior):
    log, states, items = instance
    names = ("shown", "clicked", "seen", "hit", "looked", "taken", "last")
    cells = {name: torch.zeros(states, items).double() for name in names}
    clicks_at, lasts_at, total, hits = [0] * log.length, [0] * log.length, 0, 0
    for s, slate, clicks in zip(log.state.tolist(), log.slates.tolist(), log.clicks.tolist(), strict=True):
        first = clicks.index(True) if any(clicks) else len(clicks)
        last = max((r for r, c in enumerate(clicks) if c), default=len(clicks))
        for r, (item, click) in enumerate(zip(slate, clicks, strict=True)):
            if item < 0:
                continue
            total, hits = total + 1, hits + click
            clicks_at[r] += click
            lasts_at[r] += r == last
            cells["last"][s, item] += r == last
            for limit, tried, worked in ((99, "shown", "clicked"), (first, "seen", "hit"), (last, "looked", "taken")):
                cells[tried][s, item] += r <= limit
                cells[worked][s, item] += click and r <= limit

    def rate(worked, tried):
        return torch.where(tried + 2 * prior > 0, (worked + prior) / (tried + 2 * prior), 0.5)

    everywhere = rate(cells["clicked"], cells["shown"])
    assert torch.allclose(DocumentCTR.fit(log, states, items, prior=prior).attraction, everywhere)
    to_first_click = rate(cells["hit"], cells["seen"])
    assert torch.allclose(CascadeModel.fit(log, states, items, prior=prior).attraction, to_first_click)
    sdbn, dcm = SDBN.fit(log, states, items, prior=prior), DCM.fit(log, states, items, prior=prior)
    assert torch.allclose(sdbn.attraction, rate(cells["taken"], cells["looked"]))
    assert torch.allclose(dcm.attraction, sdbn.attraction)
    assert torch.allclose(sdbn.satisfaction, rate(cells["last"], cells["taken"]))
    going_on = rate(torch.tensor(clicks_at).double() - torch.tensor(lasts_at), torch.tensor(clicks_at).double())
    assert torch.allclose(dcm.continuation, going_on)
    assert RCM.fit(log, prior=prior).rate == pytest.approx((hits + prior) / (total + 2 * prior))
    stop = torch.full_like(log.state, log.length)
    both = (f(log, stop, states, items) for f in (counts._count_items_compiled, counts._count_items_torch))
    assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))


@settings(max_examples=100, deadline=None)
@given(instance=models())
def test_all_patterns_of_all_lists_have_probability_one(instance):
    model, states, items, m = instance
    for state, free in product(range(states), range(1, m + 1)):
        slate = [*range(items)][:free] + [-1] * (m - free)
        patterns = torch.tensor([[*c, *[False] * (m - free)] for c in product((False, True), repeat=free)])
        log = ClickLog(torch.full((2**free,), state), torch.tensor([slate] * 2**free), patterns)
        assert float(model.log_likelihood(log).exp().sum()) == pytest.approx(1, abs=1e-12)
