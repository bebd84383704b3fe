"""TokenWriter: its probabilities are those of what it writes; attributes, directions and choices have no order."""

from itertools import permutations, product

import pytest
import torch

from ethogram.agents.preferences import TokenWriter, counted, people_of, prompt_of
from ethogram.envs.choices import Choosing
from ethogram.simulator import Draws


@pytest.fixture(scope="module")
def writer():
    torch.manual_seed(0)
    return TokenWriter(2, width=8, weights=3)


def sequences(attributes):
    """All that can be written with two words: nothing twice, nor for and against."""
    words = range(1, 2 * attributes + 1)
    pairs = [(a, b) for a, b in permutations(words, 2) if (a - 1) // 2 != (b - 1) // 2]
    return torch.tensor([(0, 0), *((a, 0) for a in words), *pairs])


def test_probabilities_of_all_that_can_be_written_add_up_to_one_and_are_those_of_what_is(writer):
    """20,000 descriptions; the 4.5-sigma band fails by chance once in 147,000 seeds for each of 13."""
    met = people_of(Choosing(2, 1), 1, 3, 1, seed=1)
    prompt = prompt_of(met.read, torch.tensor([[4, 0]]), 2)
    every = sequences(2)
    rows = torch.zeros(len(every), dtype=torch.int64)
    log = writer.log_probs({name: part[rows] for name, part in prompt.items()} | {"words": every})
    p = torch.where(counted(every), log, 0).sum(1).exp().detach()
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    many = torch.zeros(20_000, dtype=torch.int64)
    written = writer.write({name: part[many] for name, part in prompt.items()}, Draws(3, torch.arange(20_000)))
    share = (written[:, None] == every).all(2).double().mean(0)
    assert share.sum() == 1
    assert ((share - p).abs() <= 4.5 * (p * (1 - p) / 20_000).sqrt() + 1e-6).all()


def test_attributes_may_be_exchanged_and_turned_around(writer):
    met = people_of(Choosing(3, 2), 6, 5, 1, seed=2)
    previous = torch.tensor([[1, 4], [0, 0], [6, 0], [2, 3], [5, 2], [1, 0]])
    words = torch.tensor([[3, 1], [0, 0], [5, 0], [2, 6], [4, 0], [1, 3]])
    prompt = prompt_of(met.read, previous, 2)
    before = writer.log_probs(prompt | {"words": words})
    order, turned = torch.tensor([2, 0, 1]), torch.tensor([1.0, -1.0, 1.0])
    place = order.argsort()

    def said(w):
        attribute, against = (w - 1).clamp(min=0) // 2, (w - 1) % 2
        against = torch.where(turned[attribute] < 0, 1 - against, against)
        return torch.where(w > 0, 1 + 2 * place[attribute] + against, 0)

    other = {"contrast": (prompt["contrast"] * turned)[..., order], "previous": said(previous), "words": said(words)}
    torch.testing.assert_close(writer.log_probs(other), before, atol=1e-5, rtol=1e-4)


def test_choices_have_no_order_and_zeros_are_none(writer):
    met = people_of(Choosing(3, 2), 4, 5, 1, seed=3)
    prompt = prompt_of(met.read, None, 2)
    words = torch.tensor([[1, 3], [2, 0], [4, 5], [0, 0]])
    before = writer.log_probs(prompt | {"words": words})
    longer = torch.cat([torch.zeros(4, 3, 3), prompt["contrast"].flip(1)], 1)
    torch.testing.assert_close(
        writer.log_probs(prompt | {"contrast": longer, "words": words}), before, atol=1e-5, rtol=1e-4
    )


def test_at_temperature_zero_it_writes_the_likeliest_word_after_word(writer):
    met = people_of(Choosing(2, 1), 8, 3, 1, seed=4)
    draws = Draws(1, torch.arange(8))
    words = writer.at(0).describe(met.read, None, draws)
    assert torch.equal(words, writer.at(0).describe(met.read, None, draws.at(5)))
    assert writer.temperature == 1
    for i, first in product(range(8), range(5)):
        prompt = prompt_of(met.read.rows(torch.tensor([i])), None, 2)
        log = writer.log_probs(prompt | {"words": torch.tensor([[first, 0]])})[0, 0]
        best = writer.log_probs(prompt | {"words": words[i : i + 1]})[0, 0]
        assert best >= log - 1e-6


def test_words_are_counted_up_to_the_first_that_says_nothing():
    words = torch.tensor([[1, 4, 5], [1, 0, 0], [0, 0, 0], [3, 2, 0]])
    assert counted(words).sum(1).tolist() == [3, 2, 1, 3]


@pytest.mark.parametrize(
    ("settings", "said"), [({"length": 0}, "length"), ({"width": 0}, "width"), ({"temperature": -1}, "temp")]
)
def test_wrong_settings_are_named(settings, said):
    with pytest.raises(ValueError, match=f"{said}.*expected"):
        TokenWriter(**settings)
