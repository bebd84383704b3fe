"""Slates: what is one, the flat encoding, and Gymnasium's vector tools."""

from itertools import permutations, product

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from hypothesis import given
from hypothesis import strategies as st

from ethogram.envs.sessions import Slates, check_slates, find_bad_slate

sizes = st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


def every_slate(num_items: int, length: int) -> set[tuple[int, ...]]:
    """By definition: each ordered list of 1 to ``length`` distinct items, padded with -1."""
    lists = [a for k in range(1, length + 1) for a in permutations(range(num_items), k)]
    return {(*a, *[-1] * (length - len(a))) for a in lists}


@pytest.mark.parametrize(("num_items", "length"), [(1, 1), (3, 1), (3, 3), (4, 2), (5, 3)])
def test_a_slate_is_an_ordered_list_of_distinct_items_and_nothing_else(num_items, length):
    space, slates = Slates(num_items, length), every_slate(num_items, length)
    for candidate in product(range(-2, num_items + 1), repeat=length):
        expected = candidate in slates
        assert (np.array(candidate) in space) == expected
        assert (find_bad_slate(torch.tensor([candidate]), num_items) < 0) == expected


@pytest.mark.parametrize(("num_items", "length"), [(1, 1), (3, 1), (3, 3), (4, 2), (5, 3)])
def test_the_flat_encoding_reaches_every_slate_and_only_slates(num_items, length):
    space = Slates(num_items, length)
    codes = np.array(list(product(*(range(k) for k in space.flat.nvec))))
    assert {tuple(slate) for slate in space.unflatten(codes).tolist()} == every_slate(num_items, length)


@given(size=sizes, seed=st.integers(0, 2**32))
def test_flatten_inverts_unflatten(size, seed):
    space = Slates(*size, seed=seed)
    slates = np.stack([space.sample() for _ in range(20)])
    codes = space.flatten(slates)
    assert all(code in space.flat for code in codes)
    assert (space.unflatten(codes) == slates).all()
    nested = codes.reshape(4, 5, -1)
    assert (space.unflatten(nested) == slates.reshape(4, 5, -1)).all()


def test_samples_are_uniform_over_lengths_and_lists():
    """12,000 samples of 9 slates of 3 items; chi-squared with 8 degrees of freedom exceeds 40 once in 300,000."""
    space = Slates(3, 2, seed=1)
    slates, counts = np.unique([space.sample() for _ in range(12_000)], axis=0, return_counts=True)
    expected = np.where(slates[:, 1] < 0, 12_000 / 6, 12_000 / 12)  # a length, then one of 3 or of 6 lists
    assert len(slates) == 9
    assert ((counts - expected) ** 2 / expected).sum() < 40


def test_the_same_seed_samples_the_same_slates():
    one, two = Slates(9, 4, seed=3), Slates(9, 4, seed=3)
    assert all((one.sample() == two.sample()).all() for _ in range(20))
    assert (batch_space(one, 5).sample() == batch_space(two, 5).sample()).all()


def test_batching_leaves_the_space_as_it_was():
    space, untouched = Slates(9, 4, seed=3), Slates(9, 4, seed=3)
    batch_space(space, 5).sample()
    assert (space.sample() == untouched.sample()).all()


def test_gymnasium_batches_concatenates_and_iterates_slates():
    space = Slates(9, 4, seed=3)
    batch = batch_space(space, 5)
    assert batch == Slates(9, 4, rows=5)
    assert batch.sample() in batch
    slates = [space.sample() for _ in range(5)]
    stacked = concatenate(space, slates, create_empty_array(space, 5))
    assert stacked in batch
    assert all((a == b).all() for a, b in zip(iterate(batch, stacked), slates, strict=True))
    assert all((a == b).all() for a, b in zip(space.from_jsonable(space.to_jsonable(slates)), slates, strict=True))
    assert not space.is_np_flattenable
    with pytest.raises(ValueError, match="batch already"):
        batch_space(batch, 2)


def test_spaces_are_equal_when_their_elements_are():
    assert Slates(9, 4) == Slates(9, 4, seed=1)
    assert Slates(9, 4) != Slates(9, 3)
    assert Slates(9, 4) != Slates(9, 4, rows=2)
    assert Slates(9, 4) != gymnasium.spaces.Discrete(9)


def test_what_is_no_slate_of_the_space_is_refused_with_a_reason():
    check_slates(torch.tensor([[0, 1], [2, -1]]), 2, 3, 2)
    with pytest.raises(ValueError, match=r"slate of row 1 is \[1, 1\]: expected slates of 1 to 2 distinct items"):
        check_slates(torch.tensor([[0, 1], [1, 1]]), 2, 3, 2)
    for bad in ([[-1, 0]], [[-1, -1]], [[3, 0]], [[0, -2]]):
        with pytest.raises(ValueError, match="slate of row 0"):
            check_slates(torch.tensor(bad), 1, 3, 2)
    for shape in (
        torch.tensor([0, 1]),
        torch.tensor([[0]]),
        torch.tensor([[0.0, 1.0]]),
        np.array([[0, 1]]),
        torch.tensor([[0, 1]] * 2),
    ):
        with pytest.raises(ValueError, match="expected an int64 tensor"):
            check_slates(shape, 1, 3, 2)
    assert np.array([0.0, 1.0]) not in Slates(3, 2)
    assert np.array([[0, 1]]) not in Slates(3, 2)
    with pytest.raises(ValueError, match="length is 4: expected an int from 1 to 3"):
        Slates(3, 4)


@pytest.mark.parametrize("codes", [[3, 0], [-1, 0], [0, 3], [0]])
def test_codes_out_of_range_are_refused(codes):
    with pytest.raises(ValueError, match=r"expected \(…, 2\) digits"):
        Slates(3, 2).unflatten(np.array(codes))
