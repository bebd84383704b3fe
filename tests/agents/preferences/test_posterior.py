"""Exact posteriors: against loops, frequencies and closed forms."""

import math
from itertools import product

import pytest
import torch

from ethogram.agents.preferences import (
    Bayes,
    Choices,
    TokenWriter,
    agreement,
    direction,
    likelihood,
    people_of,
    reward_of,
    sparse_directions,
    streamed,
)
from ethogram.envs.choices import Choosing
from ethogram.simulator import Draws


def draws_of(n, seed=9):
    return Draws(seed, torch.arange(n))


@pytest.mark.parametrize(("attributes", "count"), [(1, 1), (4, 2), (5, 5), (10, 3)])
def test_sparse_directions_are_all_there_are(attributes, count):
    found = sparse_directions(attributes, count)
    assert len(found) == len(found.unique(dim=0)) == math.comb(attributes, count) * 2**count
    if attributes < 10:
        every = [row for row in product((-1.0, 0.0, 1.0), repeat=attributes) if sum(map(abs, row)) == count]
        assert sorted(found.tolist()) == sorted(map(list, every))


def test_likelihoods_are_those_of_a_plain_loop():
    read = people_of(Choosing(3, 2, 3, temperature=0.8), 5, 4, 1, seed=1).read
    directions = sparse_directions(3, 2)
    found = likelihood(read, directions, 0.8)
    for i, h in product(range(5), range(len(directions))):
        log = 0.0
        for things, k in zip(read.options[i].tolist(), read.chosen[i].tolist(), strict=True):
            score = [sum(s * x for s, x in zip(directions[h].tolist(), thing, strict=True)) / 0.8 for thing in things]
            log += score[k] - math.log(sum(map(math.exp, score)))
        assert found[i, h].item() == pytest.approx(log, abs=1e-4)
    sure = people_of(Choosing(3, 2), 5, 4, 1, seed=1)
    true = (directions[None] == sure.preference[:, None]).all(2)
    assert (likelihood(sure.read, directions)[true] == 0).all()


def test_agreement_is_one_less_the_angle():
    """100,000 pairs of options; the 4.5-sigma band fails by chance once in 147,000 seeds a pair of directions."""
    directions = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, -1, 1], [-1, 0, 0], [0, 0, 0]])
    found = agreement(directions, directions)
    difference = torch.randn(100_000, 3, generator=torch.Generator().manual_seed(0))
    likes = difference @ directions[:4].T > 0
    for i, j in product(range(4), range(4)):
        share, p = (likes[:, i] == likes[:, j]).double().mean().item(), found[i, j].item()
        assert abs(share - p) <= 4.5 * (p * (1 - p) / 100_000) ** 0.5 + 1e-6
    assert (found[4] == 0.5).all()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_posterior_knows_how_sure_it_may_be(temperature):
    """The mean probability of what is true equals the mean of the sum of squares, if and only if it is calibrated."""
    met = people_of(Choosing(4, 2, temperature=temperature), 4000, 5, 1, seed=2)
    bayes = Bayes(4, 2, temperature)
    posterior = bayes.posterior(met.read).double()
    true = (bayes.directions[None] == met.preference[:, None]).all(2)
    gap = posterior[true] - posterior.square().sum(1)
    assert abs(gap.mean()) < 4.5 * gap.std() / 4000**0.5 + 1e-3  # the rest: at temperature 0 nobody is impossible


def test_earlier_descriptions_are_relied_on_as_far_as_they_are_right():
    """What follows from a description alone is how often each direction was true among people described so."""
    world, bayes = Choosing(3, 1, temperature=1.0), Bayes(3, 1, 1.0)
    bayes.calibrate(people_of(world, 20_000, 3, 1, seed=3), draws_of(20_000))
    met = people_of(world, 20_000, 3, 1, seed=4)
    words = bayes.describe(met.read, None, draws_of(20_000))
    nothing = Choices(met.read.options[:, :0], met.read.chosen[:, :0])
    posterior = bayes.posterior(nothing, words).double()
    with_words = direction(words, 3) @ bayes.directions.T  # (n, H): 1 right, -1 wrong, 0 of another attribute
    true = (bayes.directions[None] == met.preference[:, None]).all(2)
    for agrees in (1, 0, -1):
        cases = with_words == agrees
        share = true[cases].double().mean()
        assert abs(share - posterior[cases].mean()) < 4.5 * (share * (1 - share) / 20_000) ** 0.5 + 0.01


def test_a_description_that_it_cannot_rely_on_is_refused():
    met = people_of(Choosing(3, 1), 4, 3, 1)
    with pytest.raises(ValueError, match=r"previous is given.*expected calibrate"):
        Bayes(3, 1).describe(met.read, torch.ones(4, 1, dtype=torch.int64), draws_of(4))


def test_choices_among_other_things_are_refused():
    with pytest.raises(ValueError, match="choices have 3 attributes: expected 4"):
        likelihood(people_of(Choosing(3, 1), 4, 3, 1).read, sparse_directions(4, 1))


def test_nobody_who_writes_as_many_words_does_better():
    """Bayes against its own draws, and streaming against reading everything, which is the upper bound of both."""
    world, n = Choosing(6, 2, temperature=0.7), 3000
    met = people_of(world, n, 12, 20, seed=5)
    best, drawn = (
        Bayes(6, 2, 0.7, sampled).calibrate(people_of(world, n, 6, 1, seed=6), draws_of(n)) for sampled in (0, 1)
    )
    found = {}
    for name, writer in (("best", best), ("drawn", drawn)):
        one, two = streamed(writer, met.read, 6, draws_of(n))
        everything = writer.describe(met.read, None, draws_of(n))
        found[name] = [reward_of(TokenWriter(), words, met.targets).mean().item() for words in (one, two, everything)]
    assert all(a > b for a, b in zip(found["best"], found["drawn"], strict=True))
    assert found["best"] == sorted(found["best"])
