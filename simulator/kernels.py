"""The compiled CPU side of the two hot primitives: keyed draws, and what is read off tables with them.

Every kernel here has its plain torch twin beside the caller (``draws.py``; of the mixer, here), which computes the same
integers and the same IEEE operations in the same order, so that both give the same bits; a test holds them together.
Kernels are compiled on first use and cached on disk; ``in_parts`` runs them in threads where rows are many.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from numba.core.caching import IndexDataCacheFile
from torch import Tensor

# SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): the odd increment and the two multipliers of its output function.
INCREMENT = 0x9E3779B97F4A7C15
MULTIPLIER_1 = 0xBF58476D1CE4E5B9
MULTIPLIER_2 = 0x94D049BB133111EB

_INCREMENT, _MULTIPLIER_1, _MULTIPLIER_2 = (
    np.uint64(INCREMENT),
    np.uint64(MULTIPLIER_1),
    np.uint64(MULTIPLIER_2),
)
_INVERSE = np.uint64(pow(INCREMENT, -1, 1 << 64))  # an odd number has one: INCREMENT * INVERSE = 1 mod 2^64
_30, _27, _31, _33 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(33)
_HALF, _SCALE = np.float32(0.5), np.float32(2.0**-31)
ALMOST_ONE = 1 + 1e-6  # a probability computed in float32 may be above 1 by rounding
_BELOW_ONE = np.float32(1 - 2.0**-24)  # the largest float32 below 1

Array = np.ndarray[Any, Any]


def compiled(function: Callable[..., Any], **more: Any) -> Any:
    """``numba.njit`` with this package's settings: cached on disk, no fast-math, the GIL released; and more of its."""
    kernel = numba.njit(cache=True, nogil=True, error_model="numpy", **more)(function)
    if (numbas := getattr(kernel, "_cache", None)) is not None:  # None: NUMBA_DISABLE_JIT
        numbas._cache_file = _Cached(numbas.cache_path, numbas._impl.filename_base, _stamp())
    return kernel


class _Cached(IndexDataCacheFile):
    """A kernel's files in the cache, named by what all kernels were when it was compiled.

    numba looks at a kernel's own file alone, but there is code of other files in it, and types: with them another than
    it was compiled with, a kernel from the cache would not be found, or read memory that is not there.
    """

    def __init__(self, folder: str, name: str, stamp: str) -> None:
        super().__init__(folder, f"{name}-{stamp}", stamp)  # type: ignore[no-untyped-call]
        self._folder, self._others, self._own = Path(folder), f"{name.rsplit('-', 1)[0]}-*.nb[ic]", stamp

    def save(self, key: Any, data: Any) -> None:
        """Save a signature's code, in the place of what other versions left."""
        super().save(key, data)  # type: ignore[no-untyped-call]
        for file in self._folder.glob(self._others):
            if self._own not in file.name:
                file.unlink(missing_ok=True)


@cache
def _stamp() -> str:
    """A digest of every kernels file of the package."""
    here, digest = Path(__file__).parents[1], blake2b(digest_size=6)
    places = [f"{room}/{inside}*kernels.py" for room in ("simulator", "envs", "agents") for inside in ("", "*/")]
    for file in sorted(file for place in places for file in here.glob(place)):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


@numba.njit(inline="always")
def mix(z: np.uint64) -> np.uint64:
    """SplitMix64's output function: a bijection on 64 bits in which each input bit moves half the output bits."""
    z = (z ^ (z >> _30)) * _MULTIPLIER_1
    z = (z ^ (z >> _27)) * _MULTIPLIER_2
    return z ^ (z >> _31)


@numba.njit(inline="always")
def unit(z: np.uint64) -> np.float32:
    """The upper 31 bits as a float32 in the open interval (0, 1)."""
    # 31 bits rather than 24: P(u < p) stays true to p for probabilities far below 2**-24.
    return min((np.float32(np.int32(z >> _33)) + _HALF) * _SCALE, _BELOW_ONE)


def signed(z: int) -> int:
    """The same 64 bits as a Python int that fits torch.int64."""
    return z - (1 << 64) if z >= 1 << 63 else z


SIGNED_INCREMENT, _SIGNED_1, _SIGNED_2 = (signed(z) for z in (INCREMENT, MULTIPLIER_1, MULTIPLIER_2))


def mix_bits(z: Tensor) -> Tensor:
    """``mix`` on int64 tensors: multiplication wraps, and masks make the shifts logical."""
    z = (z ^ ((z >> 30) & (1 << 34) - 1)) * _SIGNED_1
    z = (z ^ ((z >> 27) & (1 << 37) - 1)) * _SIGNED_2
    return z ^ ((z >> 31) & (1 << 33) - 1)


def unit_of(bits: Tensor) -> Tensor:
    """``unit`` of 31-bit integers in a tensor: float32 in the open interval (0, 1)."""
    return (bits.to(torch.float32) + 0.5).mul(2.0**-31).clamp(max=1 - 2.0**-24)


def thresholds(probability: Tensor) -> Tensor:
    """Count the values, of the 2^31 that a draw can take, below each probability; int64, of the same shape.

    A draw is a 31-bit integer v turned into a float32 u(v), never decreasing in v. So ``u < p`` is
    ``v < thresholds(p)``: compiled code may compare integers and get the same outcomes.
    """
    low, high = (
        torch.zeros_like(probability, dtype=torch.int64),
        torch.full_like(probability, 1 << 31, dtype=torch.int64),
    )
    for _ in range(32):  # bisection; the answer stays in [low, high]
        middle = (low + high) // 2
        below = (unit_of(middle) < probability) & (low < high)
        low, high = torch.where(below, middle + 1, low), torch.where(below, high, middle)
    return low


@compiled
def uniform_rows(key: np.uint64, ids: Array, out: Array) -> None:
    """One draw a row: ids (n,) int64, out (n,) float32."""
    for i in range(ids.shape[0]):
        out[i] = unit(mix(key + np.uint64(ids[i]) * _INCREMENT))


@compiled
def uniform_span(key: np.uint64, ids: Array, out: Array) -> None:
    """Draws 0, 1, … of each row: ids (n,) int64, out (n, k) float32."""
    for i in range(out.shape[0]):
        row = mix(key + np.uint64(ids[i]) * _INCREMENT)
        for j in range(out.shape[1]):
            out[i, j] = unit(mix(row + np.uint64(j + 1) * _INCREMENT))


@compiled
def uniform_index(key: np.uint64, ids: Array, index: Array, out: Array) -> None:
    """The draws of each row that ``index`` names: ids (n,) int64, index (n, k) int64, out (n, k) float32."""
    for i in range(out.shape[0]):
        row = mix(key + np.uint64(ids[i]) * _INCREMENT)
        for j in range(out.shape[1]):
            out[i, j] = unit(mix(row + np.uint64(index[i, j] + 1) * _INCREMENT))


@compiled
def bernoulli(key: np.uint64, ids: Array, probability: Array, out: Array) -> bool:
    """out = draw < probability, all (n,); returns whether all of these are probabilities."""
    bad = 0
    for i in range(out.shape[0]):
        bad += not ((probability[i] >= 0) & (probability[i] <= ALMOST_ONE))  # NaN too
        out[i] = unit(mix(key + np.uint64(ids[i]) * _INCREMENT)) < probability[i]
    return bad == 0


@compiled
def bernoulli_among(key: np.uint64, ids: Array, probability: Array, among: Array, out: Array) -> bool:
    """``bernoulli`` where ``among`` (n,) holds, False elsewhere, without drawing or looking."""
    bad = 0
    for i in range(out.shape[0]):
        out[i] = False
        if among[i]:
            bad += not ((probability[i] >= 0) & (probability[i] <= ALMOST_ONE))
            out[i] = unit(mix(key + np.uint64(ids[i]) * _INCREMENT)) < probability[i]
    return bad == 0


@compiled
def event(key: np.uint64, ids: Array, hazard: Array, out: Array) -> bool:
    """out = draw < 1 - exp(-hazard), without drawing where the hazard is 0; returns whether all hazards are >= 0."""
    bad = 0
    for i in range(out.shape[0]):
        h = np.float64(hazard[i])
        bad += not h >= 0  # NaN too
        if h == 0:
            out[i] = False
            continue
        u = np.float64(unit(mix(key + np.uint64(ids[i]) * _INCREMENT)))
        out[i] = u < h and u < -np.expm1(-h)  # 1 - exp(-h) <= h: most are settled without it
    return bad == 0


@compiled
def invert_cdf(uniform: Array, cumulative: Array, which: Array, out: Array) -> int:
    """Count the entries of row ``which[i]`` of a cumulative table, its last left out, that are <= ``uniform[i]``.

    Returns the first i whose row there is not, -1 if there are all.
    """
    last = cumulative.shape[1] - 1
    for i in range(uniform.shape[0]):
        if which[i] < 0 or which[i] >= cumulative.shape[0]:
            return i
        row, u, count = cumulative[which[i]], uniform[i], 0
        for k in range(last):  # no early exit: a branch that cannot be predicted costs more than the rest of the row
            count += u >= row[k]
        out[i] = count
    return -1


@compiled
def shifted_ids(key: np.uint64, ids: Array, steps: Array, out: Array) -> None:
    """Ids with which rows at steps of their own have their draws under the key 0; all (n,) int64.

    key: of the seed, scope and site. Row i's draws are those of k_i + ids[i] INCREMENT, with k_i the key of its step;
    that is (ids[i] + k_i / INCREMENT) INCREMENT, and all of it is arithmetic modulo 2^64.
    """
    for i in range(out.shape[0]):
        out[i] = np.int64(np.uint64(ids[i]) + mix(key + np.uint64(steps[i]) * _INCREMENT) * _INVERSE)


@compiled
def derived_ids(ids: Array, number: Array, out: Array) -> None:
    """A hash of each id and number, all (n,) int64."""
    for i in range(out.shape[0]):
        out[i] = np.int64(mix(mix(np.uint64(ids[i]) * _INCREMENT) + np.uint64(number[i] + 1) * _INCREMENT))


WORTH_A_THREAD = 1 << 17  # people; a thread is woken in the time in which a kernel does some thousand
PART = 1 << 16  # people; enough parts that no thread waits long for the other's last


def threads_for(num_people: int) -> int:
    """How many threads are worth waking for people: at most as many as torch may use."""
    return max(1, min(torch.get_num_threads(), num_people // WORTH_A_THREAD))


def in_parts(work: Callable[[slice, int], Any], num_people: int, threads: int) -> None:
    """Do ``work(part, thread)`` for all people, thread 0 being this one; each takes the next part when it is free.

    work: calls compiled code, which does not hold the GIL. Its threads sleep between the calls: torch's own spin, which
    costs as much as working does.
    """
    if threads == 1:
        work(slice(0, num_people), 0)
        return
    pending = deque(slice(at, min(at + PART, num_people)) for at in range(0, num_people, PART))

    def take(thread: int) -> None:
        while True:
            try:
                part = pending.popleft()
            except IndexError:
                return
            work(part, thread)

    others = [_threads().submit(take, thread) for thread in range(1, threads)]
    take(0)
    for other in others:
        other.result()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="ethogram")


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not live on in a forked process
