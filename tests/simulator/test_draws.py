"""Chance is a function: its statistics, and that nothing but its arguments matters."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ethogram.simulator import kernels
from ethogram.simulator.draws import Draws, derived_ids, invert_cdf
from ethogram.simulator.kernels import SIGNED_INCREMENT, mix_bits, thresholds, unit_of

N = 1 << 20
IDS = torch.arange(N)
FALSE_ALARM = 1e-4  # of each statistical test here, were the draws ideal; they are functions, so it never flickers


def chi_square(counts):
    counts = np.asarray(counts, dtype=float)
    return stats.chisquare(counts.ravel()).pvalue


CALLS = {
    "a row each": lambda d: d.uniform("x"),
    "draws of a row": lambda d: Draws(d.seed, IDS[: N // 8], d.step).uniform("x", 8).flatten(),
    "one row": lambda d: Draws(d.seed, IDS[:1], d.step).uniform("x", N).flatten(),
    "named items": lambda d: Draws(d.seed, IDS[: N // 4], d.step).uniform("x", torch.arange(N).view(-1, 4)).flatten(),
    "hashed ids": lambda d: Draws(d.seed, IDS * 6364136223846793005 + 1442695040888963407, d.step).uniform("x"),
    "spaced ids": lambda d: Draws(d.seed, IDS << 20, d.step).uniform("x"),
}


@pytest.mark.parametrize("call", CALLS)
def test_draws_are_uniform(call):
    """Chi-square over 1,024 bins of 2**20 draws and Kolmogorov-Smirnov; each false alarm 1e-4."""
    u = CALLS[call](Draws(seed=1, ids=IDS, step=3)).numpy()
    assert chi_square(np.bincount((u * 1024).astype(int), minlength=1024)) > FALSE_ALARM
    assert stats.kstest(u, "uniform").pvalue > FALSE_ALARM
    assert u.min() > 0
    assert u.max() < 1


NEIGHBOURS = {
    "ids": lambda d: (d.uniform("x")[:-1], d.uniform("x")[1:]),
    "steps": lambda d: (d.uniform("x"), d.at(d.step + 1).uniform("x")),
    "sites": lambda d: (d.uniform("x"), d.uniform("y")),
    "scopes": lambda d: (d.uniform("x"), d.scoped("policy").uniform("x")),
    "seeds": lambda d: (d.uniform("x"), Draws(d.seed + 1, IDS, d.step).uniform("x")),
    "items of a row": lambda d: tuple(d.uniform("x", 2).T),
    "a row and its first item": lambda d: (d.uniform("x"), d.uniform("x", 1)[:, 0]),
    "item j of row i, item i of row j": lambda d: (
        Draws(d.seed, IDS[:1024], d.step).uniform("x", 1024).triu(1)[*torch.triu_indices(1024, 1024, 1)],
        Draws(d.seed, IDS[:1024], d.step).uniform("x", 1024).T.triu(1)[*torch.triu_indices(1024, 1024, 1)],
    ),
}


@pytest.mark.parametrize("neighbours", NEIGHBOURS)
@pytest.mark.parametrize("seed", [0, 12345])
def test_neighbouring_draws_are_independent(neighbours, seed):
    """Chi-square over a 32 x 32 grid of pairs, and the correlation; each false alarm 1e-4."""
    a, b = (u.numpy().astype(float) for u in NEIGHBOURS[neighbours](Draws(seed, IDS, 7)))
    grid = np.bincount((a * 32).astype(int) * 32 + (b * 32).astype(int), minlength=1024)
    assert chi_square(grid) > FALSE_ALARM
    z = np.corrcoef(a, b)[0, 1] * np.sqrt(len(a))
    assert abs(z) < stats.norm.isf(FALSE_ALARM / 2)


def test_ids_at_any_distance_are_uncorrelated():
    """Autocorrelations of 2**20 draws at 5,000 distances and 8 seeds: normal, by their largest and their variance.

    Each false alarm 1e-4 (the largest by Bonferroni).
    """
    scores = []
    for seed in range(8):
        u = Draws(seed, IDS, 7).uniform("x").numpy().astype(float) - 0.5
        power = np.abs(np.fft.rfft(u, 2 * N)) ** 2
        scores.append(np.fft.irfft(power)[1:5001] * 12 / np.sqrt(N))
    scores = np.concatenate(scores)
    assert np.abs(scores).max() < stats.norm.isf(FALSE_ALARM / 2 / len(scores))
    tail = stats.chi2(len(scores))
    assert tail.ppf(FALSE_ALARM / 2) < (scores**2).sum() < tail.isf(FALSE_ALARM / 2)


def test_sums_over_rows_have_the_variance_of_independent_draws():
    """Means of 1,024 rows at 1,024 steps; chi-square of their variance, false alarm 1e-4."""
    ids = torch.arange(1024)
    means = np.array([Draws(0, ids, step).uniform("x").mean().item() for step in range(1024)])
    statistic = ((means - 0.5) ** 2).sum() / (1 / 12 / 1024)
    tail = stats.chi2(1024)
    assert tail.ppf(FALSE_ALARM / 2) < statistic < tail.isf(FALSE_ALARM / 2)


def test_small_probabilities_are_met():
    """P(u < 2**-18) over 2**24 draws: 64 expected; exact Poisson band, false alarm 1e-4."""
    u = Draws(5, torch.arange(1 << 24)).uniform("rare")
    hits = int((u < 2.0**-18).sum())
    assert stats.poisson(64).ppf(FALSE_ALARM / 2) <= hits <= stats.poisson(64).isf(FALSE_ALARM / 2)
    assert u.unique().numel() > (1 << 23)  # finer than the 24 bits of an ordinary float32 generator


@given(seed=st.integers(-(2**70), 2**70), step=st.integers(0, 10**6), order=st.permutations(range(40)))
@settings(max_examples=50, deadline=None)
def test_same_bits_on_any_split_and_order(seed, step, order):
    ids = torch.tensor([7, -3, 2**62, 0, *range(100, 136)])
    whole = Draws(seed, ids, step)
    one, many = whole.uniform("x"), whole.uniform("x", 3)
    for part in (order[:13], order[13:14], order[14:]):
        some = Draws(seed, ids[part], step)
        assert torch.equal(some.uniform("x"), one[part])
        assert torch.equal(some.uniform("x", 3), many[part])


@given(seed=st.integers(0, 2**64), ids=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_compiled_and_torch_paths_give_the_same_bits(seed, ids):
    draws = Draws(seed, torch.tensor(ids), 11)
    for index in (None, 5, torch.arange(len(ids) * 6).view(-1, 2, 3) - 1):
        compiled = draws.uniform("x", index)
        assert torch.equal(compiled, draws._uniform_torch("x", index))


def test_paths_agree_on_a_million_draws():
    draws = Draws(3, IDS)
    assert torch.equal(draws.uniform("x"), draws._uniform_torch("x", None))


def test_a_draw_about_an_item_does_not_depend_on_where_it_is_asked_for():
    draws = Draws(0, torch.arange(4))
    slates = torch.tensor([[5, 2, 9], [9, 5, 2], [2, 9, 5], [5, 9, -1]])
    by_item = draws.uniform("x", 10)
    assert torch.equal(draws.uniform("x", slates)[:3], by_item.gather(1, slates.clamp(min=0))[:3])


def test_categorical_has_its_probabilities():
    """2**20 draws of 5 categories, one of them impossible; chi-square, false alarm 1e-4."""
    p = torch.tensor([0.5, 0.0, 0.2, 0.05, 0.25], dtype=torch.float64)
    k = Draws(2, IDS).categorical("k", p[None], which=torch.zeros_like(IDS))
    counts = k.bincount(minlength=5).numpy()
    assert counts[1] == 0
    keep = p.numpy() > 0
    assert stats.chisquare(counts[keep], p.numpy()[keep] * N).pvalue > FALSE_ALARM


def test_inverted_cdf_matches_the_plain_loop():
    u, p = (
        torch.rand(200, generator=torch.Generator().manual_seed(0)),
        torch.tensor([[0.1, 0.0, 0.6, 0.3], [1, 0, 0, 0]]),
    )
    which = torch.arange(200) % 2
    cumulative = p.double().cumsum(1)
    expected = [next((k for k in range(4) if u[i] < cumulative[which[i], k]), 3) for i in range(200)]
    assert invert_cdf(u, cumulative, which).tolist() == expected
    assert ((u[:, None] >= cumulative[which, :-1]).sum(1)).tolist() == expected  # the other devices' form


def test_gumbel_max_is_a_categorical_draw():
    """2**20 argmaxes; chi-square, false alarm 1e-4."""
    p = torch.tensor([0.6, 0.3, 0.1])
    k = (p.log() + Draws(4, IDS).gumbel("k", 3)).argmax(1)
    assert (
        stats.chisquare(k.bincount(minlength=3).numpy(), p.double().numpy() / p.double().sum().item() * N).pvalue
        > FALSE_ALARM
    )


def test_bernoulli_is_monotone_in_its_probability():
    draws = Draws(0, IDS[:10_000])
    weak, strong = draws.bernoulli("x", torch.tensor(0.3)), draws.bernoulli("x", torch.tensor(0.4))
    assert not (weak & ~strong).any()
    assert (strong & ~weak).any()


@pytest.mark.parametrize("ids", [torch.arange(3.0), torch.arange(4).view(2, 2), torch.arange(3, dtype=torch.int32)])
def test_ids_of_another_type_or_shape_are_refused(ids):
    with pytest.raises(ValueError, match="expected int64 of shape"):
        Draws(0, ids)


def test_an_index_of_other_rows_is_refused():
    with pytest.raises(ValueError, match="first axis is the 3 rows"):
        Draws(0, torch.arange(3)).uniform("x", torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="one for each id"):
        Draws(0, torch.arange(3)).categorical("x", torch.ones(1, 2) / 2)


def test_integer_thresholds_decide_as_the_floats_do():
    """At every probability where rounding could matter, on both sides of the threshold."""
    generator = torch.Generator().manual_seed(0)
    p = torch.cat([torch.rand(2000, generator=generator, dtype=torch.float64), torch.logspace(-12, 0, 500).double()])
    p = torch.cat(
        [p, p.float().double(), torch.tensor([0.0, 1.0, 0.5, 2.0**-31, 2.0**-32, 1 - 2.0**-24, 1 - 2.0**-25])]
    )
    limit = thresholds(p)
    below, at = unit_of((limit - 1).clamp(min=0)), unit_of(limit.clamp(max=(1 << 31) - 1))
    assert ((below < p) | (limit == 0)).all()
    assert ((at >= p) | (limit == 1 << 31)).all()
    assert limit[p == 0].eq(0).all()
    assert limit[p == 1].eq(1 << 31).all()


def test_derived_ids_are_the_same_on_both_paths_and_do_not_collide():
    ids, number = torch.arange(-500, 500).repeat(20), torch.arange(20).repeat_interleave(1000)
    derived = derived_ids(ids, number)
    assert torch.equal(derived, mix_bits(mix_bits(ids * SIGNED_INCREMENT) + (number + 1) * SIGNED_INCREMENT))
    assert len(derived.unique()) == len(derived)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_among_some_are_those_of_all(dtype):
    draws = Draws(9, IDS[:5000])
    p = torch.linspace(0, 1, 5000, dtype=dtype)
    among = IDS[:5000] % 3 == 0
    assert torch.equal(draws.bernoulli("x", p, among=among), draws.bernoulli("x", p) & among)
    assert torch.equal(draws.bernoulli("x", 0.3, among=among), draws.bernoulli("x", torch.tensor(0.3)) & among)
    with pytest.raises(ValueError, match="among of site 'x'"):
        draws.bernoulli("x", p, among=among[:10])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_events_come_at_their_rate(dtype):
    """The draw against 1 - exp(-hazard) row by row, and 2**20 draws at one hazard; false alarm 1e-4."""
    draws = Draws(10, IDS[:5000])
    hazard = torch.cat([torch.zeros(1000), torch.logspace(-9, 2, 4000)]).to(dtype)
    happens = draws.event("x", hazard)
    assert torch.equal(happens, draws.uniform("x").double() < -torch.expm1(-hazard.double()))
    assert not happens[:1000].any()
    hits = int(Draws(11, IDS).event("y", torch.full((N,), 0.5)).sum())
    assert stats.binomtest(hits, N, 1 - np.exp(-0.5)).pvalue > FALSE_ALARM


@pytest.mark.parametrize("bad", [-0.1, float("nan")])
def test_a_hazard_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="in row 1: expected 0 or more"):
        Draws(0, torch.arange(3)).event("x", torch.tensor([0.0, bad, 1.0]))


METHODS = {
    "a row each": lambda d, n: d.uniform("x"),
    "draws of a row": lambda d, n: d.uniform("x", 3),
    "named items": lambda d, n: d.uniform("x", (d.ids[:, None, None] + torch.arange(6).view(2, 3)) % 7 - 1),
    "no items": lambda d, n: d.uniform("x", torch.zeros(n, 0, dtype=torch.int64)),
    "bernoulli": lambda d, n: d.bernoulli("x", torch.linspace(0, 1, 5)[d.ids % 5][:, None], index=4),
    "bernoulli among": lambda d, n: d.bernoulli("x", 0.5, among=d.ids % 3 > 0),
    "event": lambda d, n: d.event("x", (d.ids % 4).double() / 3),
    "gumbel": lambda d, n: d.gumbel("x", 2),
    "categorical": lambda d, n: d.categorical("x", torch.tensor([[0.2, 0.3, 0.5]]).expand(n, -1)),
    "categorical of a table": lambda d, n: d.categorical("x", torch.tensor([[0.2, 0.8], [0.6, 0.4]]), d.ids % 2),
    "inverse cdf": lambda d, n: d.inverse_cdf("x", torch.tensor([[0.2, 0.5, 1.0]]), torch.zeros_like(d.ids)),
    "other scope": lambda d, n: d.scoped("policy").uniform("x"),
    "some rows": lambda d, n: d.of(torch.arange(n)).uniform("x"),
    "another step": lambda d, n: d.at(d.step + 3).uniform("x"),
}


@pytest.mark.parametrize("method", METHODS)
@given(
    seed=st.integers(-(2**70), 2**70),
    rows=st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.one_of(st.integers(0, 3), st.integers(0, 2**40))), min_size=1
    ),
)
@settings(max_examples=40, deadline=None)
def test_rows_at_steps_of_their_own_draw_as_they_do_at_one_step(method, seed, rows):
    ids, steps = torch.tensor(rows).T.contiguous()
    together = METHODS[method](Draws(seed, ids, steps, "world"), len(ids))
    for i, (_, step) in enumerate(rows):
        alone = METHODS[method](Draws(seed, ids[i : i + 1], step, "world"), 1)
        assert torch.equal(together[i : i + 1], alone)
    some = torch.arange(len(ids)).flip(0)[::2]
    part = Draws(seed, ids, steps, "world").of(some)
    assert torch.equal(part.step, steps[some])
    assert torch.equal(part.uniform("y"), Draws(seed, ids, steps, "world").uniform("y")[some])


def test_steps_of_rows_give_the_same_bits_compiled_in_torch_and_one_step_at_a_time():
    ids, steps = IDS[:5000] * 7919 - 10**7, IDS[:5000] ** 2 % 17
    draws = Draws(3, ids, steps)
    for index in (None, 4, (IDS[:5000] % 11 - 1)[:, None].expand(-1, 3)):
        compiled = draws.uniform("x", index)
        assert torch.equal(compiled, draws._uniform_torch("x", index))
        for step in range(17):
            at = steps == step
            named = index[at] if isinstance(index, torch.Tensor) else index
            assert torch.equal(compiled[at], Draws(3, ids[at], step).uniform("x", named))
    key, shifted = draws.keyed("x")
    out = np.empty(len(ids), np.float32)
    kernels.uniform_rows(key, shifted, out)
    assert torch.equal(draws.uniform("x"), torch.from_numpy(out))


def test_steps_of_another_type_or_shape_are_refused_and_have_no_key_in_common():
    draws = Draws(0, torch.arange(3))
    assert draws.together
    for bad in (torch.zeros(2, dtype=torch.int64), torch.zeros(3), torch.zeros((), dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"expected an int, or int64 of shape \(3,\)"):
            draws.at(bad)
        with pytest.raises(ValueError, match="step is torch"):
            Draws(0, torch.arange(3), bad)
    apart = draws.at(torch.tensor([0, 1, 1]))
    assert not apart.together
    assert apart.at(2).together
    with pytest.raises(ValueError, match="site 'x' has no one key"):
        apart.key("x")


@pytest.mark.parametrize("bad", [float("nan"), -7.0, 9.0, float("inf")])
@pytest.mark.parametrize("index", [None, 2])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_no_probability_is_refused(bad, index, kind):
    draws = Draws(0, torch.arange(3))
    p = torch.full((3,) if index is None else (3, index), 0.5, dtype=kind)
    draws.bernoulli("x", p, index)
    p[1] = bad
    with pytest.raises(ValueError, match=r"probability of site 'x' is .* at \[1.*expected 0 to 1"):
        draws.bernoulli("x", p, index)
    if index is None:
        with pytest.raises(ValueError, match="expected 0 to 1"):
            draws.bernoulli("x", bad)
        with pytest.raises(ValueError, match="expected 0 to 1"):
            draws.bernoulli("x", p, among=torch.tensor([False, True, False]))
        draws.bernoulli("x", p, among=torch.tensor([True, False, True]))  # nobody asks for the other's
    with pytest.raises(ValueError, match="expected 0 to 1"):
        draws.categorical("x", torch.stack([p[..., 0] if index else p, 1 - (p[..., 0] if index else p)], 1))


def test_categories_of_which_the_probabilities_do_not_sum_to_1_are_refused():
    with pytest.raises(ValueError, match=r"sums to 0\.9 in row 1: expected 1"):
        Draws(0, torch.arange(2)).categorical("x", torch.tensor([[0.5, 0.5], [0.5, 0.4]]))


def test_a_row_that_is_not_in_the_table_is_refused():
    table, draws = torch.full((2, 4), 0.25).cumsum(1), Draws(0, torch.arange(3))
    for which in ([0, 1, 2], [0, -1, 1]):
        with pytest.raises(ValueError, match=r"which of row . is .*: expected 0 to 1, rows"):
            draws.inverse_cdf("x", table, torch.tensor(which))
    with pytest.raises(ValueError, match="which is"):
        draws.inverse_cdf("x", table, torch.tensor([0, 1]))
