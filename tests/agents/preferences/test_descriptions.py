"""Words that say what people prefer: written, read, turned around, judged; against plain loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.agents.preferences import (
    Choices,
    TokenWriter,
    choices_of,
    choose_by,
    contrary,
    direction,
    in_words,
    people_of,
    raises_likelihood,
    recovery,
    reward_of,
    words_of,
)
from ethogram.agents.simple import Fixed
from ethogram.envs.choices import Choosing
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import rollout

signs = st.lists(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=4, max_size=4), min_size=1, max_size=4)
READER = TokenWriter()


@given(signs)
@settings(deadline=None)
def test_words_say_the_directions_they_are_made_of_and_the_contrary_turns_them_around(rows):
    preference = torch.tensor(rows)
    words = words_of(preference, 4)
    assert torch.equal(direction(words, 4), preference)
    assert torch.equal(direction(contrary(words), 4), -preference)
    assert torch.equal(words_of(preference, 6)[:, :4], words)
    assert torch.equal(direction(words_of(preference, 2), 4).abs().sum(1), preference.abs().sum(1).clamp(max=2))


def test_words_are_readable():
    assert in_words(torch.tensor([[1, 4], [0, 0]]), ["jazz", "noise"]) == ["for jazz, against noise", "nothing known"]


@given(signs, st.integers(2, 4), st.sampled_from([0.0, 0.5]), st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_the_reader_takes_the_best_option_by_the_words_wherever_it_stands(rows, count, temperature, seed):
    preference = torch.tensor(rows)
    options = torch.randn(len(rows), 3, count, 4, generator=torch.Generator().manual_seed(seed))
    p = choose_by(words_of(preference, 4), options, temperature)
    torch.testing.assert_close(p.sum(-1), torch.ones(len(rows), 3))
    for i, row in enumerate(rows):
        for r in range(3):
            score = [sum(s * x for s, x in zip(row, thing, strict=True)) for thing in options[i, r].tolist()]
            if not any(row):
                assert p[i, r].tolist() == pytest.approx([1 / count] * count)
            elif not temperature:
                assert p[i, r].argmax() == max(range(count), key=score.__getitem__)
                assert p[i, r].max() == 1
    turned = choose_by(words_of(preference, 4), options.flip(2), temperature)
    torch.testing.assert_close(turned.flip(2), p)


def test_rewards_are_shares_of_targets_foreseen_and_made_likelier():
    """Of two options R_gen equals R_jud, but for ties, which R_jud counts half."""
    met = people_of(Choosing(4, 2), 30, 1, 6, seed=3)
    words = words_of(met.preference, 4)
    assert reward_of(READER, words, met.targets).tolist() == [1.0] * 30
    wrong = contrary(words)
    assert reward_of(READER, wrong, met.targets).tolist() == [0.0] * 30
    nothing = torch.zeros_like(words)
    assert reward_of(READER, nothing, met.targets).tolist() == [0.5] * 30
    for said in (words, wrong, words.roll(1, 0)):
        made = raises_likelihood(READER, said, nothing, met.targets)
        torch.testing.assert_close(made, reward_of(READER, said, met.targets))
    assert raises_likelihood(READER, nothing, nothing, met.targets).tolist() == [0.0] * 30


def test_recovery_counts_words_that_are_right_with_their_direction():
    precision, recall = recovery(torch.tensor([[1, 4, 5], [0, 0, 0]]), torch.tensor([[1.0, 1.0, 0.0, -1.0]] * 2))
    assert precision[0] == pytest.approx(1 / 3)
    assert recall.tolist() == pytest.approx([1 / 3, 0.0])
    assert precision[1].isnan()


def test_choices_are_read_from_a_history_as_they_were_made():
    history = rollout(Choosing(5, 2, 3), Fixed(0), rows=4, horizon=6, seed=1, record=("choice",))
    made = choices_of(history)
    assert torch.equal(made.chosen, history.sites["choice"])
    assert torch.equal(made.options, history.observation["options"][:, :6])
    for i in range(4):
        for t in range(6):
            things, k = made.options[i, t], int(made.chosen[i, t])
            others = torch.stack([things[j] for j in range(3) if j != k]).mean(0)
            torch.testing.assert_close(made.contrast[i, t], things[k] - others)
    part = made.between(2, 5).rows(torch.tensor([3, 1]))
    assert torch.equal(part.chosen, made.chosen[[3, 1], 2:5])


def test_a_history_of_something_else_is_refused():
    history = rollout(CascadingSession(trap()), Fixed([0, 1]), rows=2, horizon=2)
    with pytest.raises(ValueError, match=r"observation of the history.*expected a dict with 'options' and 'chose'"):
        choices_of(history)


@pytest.mark.parametrize("words", [[[9]], torch.tensor([[9]]), torch.tensor([[-1]]), torch.tensor([[1.5]])])
def test_words_that_there_are_not_are_refused(words):
    with pytest.raises(ValueError, match=r"words are none for 4 attributes .*expected a tensor int64"):
        direction(words, 4)


def test_words_and_options_of_other_people_are_refused():
    with pytest.raises(ValueError, match="words are of 1 people and options of 3: expected the same people"):
        choose_by(torch.tensor([[1]]), torch.zeros(3, 2, 4))


def test_choices_can_be_made_by_hand():
    made = Choices(torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]]), torch.tensor([[1]]))
    assert made.contrast.tolist() == [[[-1.0, 1.0]]]
