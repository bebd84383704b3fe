"""Spaces that Gymnasium lacks: slates, the ordered lists of distinct items that a recommender shows."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import permutations
from math import perm
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from torch import Tensor

from ethogram.simulator import checked_int

from . import kernels

MOST_NUMBERED = 10_000  # slates in one Discrete: a learner must try each


class Slates(Space[Any]):
    """Ordered lists of 1 to ``length`` distinct items out of ``num_items``.

    An element is an int64 array of shape (length,): items between 0 and num_items - 1, then -1 for each position
    left empty. With ``rows`` it is the batch of so many, (rows, length), as Gymnasium's vector tools make it.
    """

    judged_by_world = True  # sessions refuse what is no slate, so that shells need not look twice

    def __init__(
        self,
        num_items: int,
        length: int,
        rows: int | None = None,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.num_items = checked_int("num_items", num_items, 1)
        self.length, self.rows = checked_int("length", length, 1, self.num_items), rows
        super().__init__((length,) if rows is None else (rows, length), np.int64, seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Slates have no flat Box form; ``flat`` is the form for MultiDiscrete policies."""
        return False

    def sample(self, mask: None = None, probability: None = None) -> np.ndarray[Any, Any]:
        """A uniform length, then a uniform list of that length."""
        if mask is not None or probability is not None:
            raise ValueError("Slates.sample takes no mask and no probability: expected None for both")
        rows = 1 if self.rows is None else self.rows
        order = self.np_random.random((rows, self.num_items)).argsort(axis=1)[:, : self.length].astype(np.int64)
        lengths = self.np_random.integers(1, self.length + 1, (rows, 1))
        slates = np.where(np.arange(self.length) < lengths, order, -1)
        return slates[0] if self.rows is None else slates

    def contains(self, x: Any) -> bool:
        """Whether x is a slate, or a batch of ``rows`` slates."""
        x = np.asarray(x)
        if x.shape != self.shape or not np.issubdtype(x.dtype, np.integer):
            return False
        return find_bad_slate(torch.as_tensor(x.reshape(-1, self.length), dtype=torch.int64), self.num_items) < 0

    def to_jsonable(self, sample_n: Any) -> list[Any]:
        """Slates as nested lists."""
        return [np.asarray(sample).tolist() for sample in sample_n]

    def from_jsonable(self, sample_n: list[Any]) -> list[np.ndarray[Any, Any]]:
        """Slates from nested lists."""
        return [np.asarray(sample, dtype=np.int64) for sample in sample_n]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slates) and (self.num_items, self.length, self.rows) == (
            other.num_items,
            other.length,
            other.rows,
        )

    def __repr__(self) -> str:
        rows = "" if self.rows is None else f", rows={self.rows}"
        return f"Slates({self.num_items}, {self.length}{rows})"

    def __str__(self) -> str:
        """With the way out: an algorithm that does not know the space prints it in its error."""
        return f"{self!r} (make the environment with flat=True for MultiDiscrete actions, discrete=True for Discrete)"

    def every(self) -> np.ndarray[Any, Any]:
        """All K slates, (K, length) int64, the shorter first and then in order; ValueError where K > MOST_NUMBERED."""
        count = sum(perm(self.num_items, k) for k in range(1, self.length + 1))
        if count > MOST_NUMBERED:
            raise ValueError(
                f"{self!r} has {count:,} lists: expected at most {MOST_NUMBERED:,} to number; use fewer items or "
                "shorter lists, or the MultiDiscrete encoding (flat=True)"
            )
        empty = (-1,) * self.length
        lists = [
            (*some, *empty[k:]) for k in range(1, self.length + 1) for some in permutations(range(self.num_items), k)
        ]
        return np.array(lists, np.int64)

    @property
    def flat(self) -> spaces.MultiDiscrete:
        """The flat encoding of slates for policies that know MultiDiscrete only; ``unflatten`` decodes it.

        Digit 0 picks one of the N items; digit k ≥ 1 picks one of the N - k that are left, in index order, or, as
        its last value, ends the list. Every code is a valid slate, so that no policy can repeat an item.
        """
        return spaces.MultiDiscrete(self._digits)

    @property
    def _digits(self) -> np.ndarray[Any, Any]:
        """(length,) how many values each digit of ``flat`` has."""
        return self.num_items + (np.arange(self.length) > 0) - np.arange(self.length)

    def unflatten(self, codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(…, length) codes of ``flat`` to (…, length) slates; ValueError where a digit is out of its range."""
        codes = np.asarray(codes)
        if codes.shape[-1:] != (self.length,) or ((codes < 0) | (codes >= self._digits)).any():
            what = f"of shape {codes.shape}" if codes.shape[-1:] != (self.length,) else f"up to {codes.max()}"
            raise ValueError(f"codes are {what}: expected (…, {self.length}) digits of {self.flat}, as it samples them")
        slates = np.full(codes.shape, -1, dtype=np.int64)
        open_ = np.ones(codes.shape[:-1], dtype=bool)
        for k in range(self.length):
            pick = codes[..., k].astype(np.int64)
            open_ &= (pick < self.num_items - k) | (k == 0)
            for taken in np.moveaxis(np.sort(slates[..., :k], axis=-1), -1, 0):  # skip what is already listed
                pick = pick + ((taken >= 0) & (pick >= taken))
            slates[..., k] = np.where(open_, pick, -1)
        return slates

    def flatten(self, slates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(…, length) slates to their codes; the inverse of ``unflatten`` (a closed list ends in the last values)."""
        slates = np.asarray(slates)
        codes = np.empty(slates.shape, dtype=np.int64)
        for k in range(self.length):
            before = (slates[..., :k] < slates[..., k : k + 1]) & (slates[..., :k] >= 0)
            codes[..., k] = np.where(slates[..., k] < 0, self.num_items - k, slates[..., k] - before.sum(axis=-1))
        return codes


def find_bad_slate(slates: Tensor, num_items: int) -> int:
    """The first row of (n, L) int64 slates that is not one, or -1 where all are."""
    if slates.is_cpu:
        return int(kernels.bad_slate(slates.numpy(), num_items))
    shown = slates >= 0
    bad = (slates >= num_items).any(1) | (slates < -1).any(1) | ~shown[:, 0] | (shown[:, 1:] & ~shown[:, :-1]).any(1)
    for j in range(1, slates.shape[1]):
        bad |= ((slates[:, :j] == slates[:, j : j + 1]) & shown[:, j : j + 1]).any(1)
    return int(bad.nonzero()[0]) if bad.any() else -1


def check_slates(slates: Tensor, rows: int, num_items: int, length: int) -> None:
    """Raise ValueError, naming the first row at fault, unless slates are (rows, length) int64 valid slates."""
    if not isinstance(slates, Tensor) or slates.dtype != torch.int64 or tuple(slates.shape) != (rows, length):
        what = f"{slates.dtype} {tuple(slates.shape)}" if isinstance(slates, Tensor) else type(slates).__name__
        raise ValueError(
            f"slates are {what}: expected an int64 tensor ({rows}, {length}), a slate a row; pad shorter lists with -1"
        )
    row = find_bad_slate(slates, num_items)
    if row >= 0:
        raise ValueError(
            f"slate of row {row} is {slates[row].tolist()}: expected slates of 1 to {length} distinct items "
            f"between 0 and {num_items - 1}, then -1 for empty positions; rank once with `scores.argsort()` rather "
            "than sampling each position on its own"
        )


@batch_space.register(Slates)
def _batch(space: Slates, n: int = 1) -> Slates:
    if space.rows is not None:
        raise ValueError(f"{space!r} is a batch already")
    return Slates(space.num_items, space.length, n, deepcopy(space.np_random))  # as Gymnasium's own spaces do


@create_empty_array.register(Slates)
def _empty(space: Slates, n: int = 1, fn: Any = np.zeros) -> np.ndarray[Any, Any]:
    return np.asarray(fn((n, *(space.shape or ())), dtype=np.int64))


@concatenate.register(Slates)
def _concatenate(space: Slates, items: Any, out: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.stack(items, axis=0, out=out)


@iterate.register(Slates)
def _iterate(space: Slates, items: Any) -> Iterator[Any]:
    return iter(items)
