"""Chance as a pure function: a draw depends on what it is about, and on nothing else.

``Draws(seed, ids, step).uniform("clicks")`` gives row ``ids[i]`` a number that depends on the seed, the site
``"clicks"``, the step and ``ids[i]``. There is no stream and no state. From this follow paired worlds that share
their luck, a batch that equals its rows run one by one in any order, and checkpoints without a generator in them.

The generator is SplitMix64's output function (Steele, Lea & Flood, OOPSLA 2014) over a key hashed from (seed,
scope, site, step) plus an odd multiple of the id. It is not cryptographic.

Rows need not be at one step: ``step`` may be a tensor. The odd multiple has an inverse modulo 2^64, so a row's own key
is one key for all with the id moved by the rest, and the kernels need not know.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from . import kernels
from .arguments import as_tensor, checked_int, checked_seed
from .kernels import SIGNED_INCREMENT, mix_bits, signed, unit_of

_MASK = (1 << 64) - 1


@lru_cache(maxsize=4096)
def _key_of_site(seed: int, scope: str, site: str) -> int:
    if not isinstance(scope, str) or not isinstance(site, str):
        raise TypeError(f"scope and site of a draw are {scope!r} and {site!r}: expected two names, str")
    words = f"{seed}\0{scope}\0{site}".encode()
    return int.from_bytes(blake2b(words, digest_size=8).digest(), "little")


def _key(seed: int, scope: str, site: str, step: int) -> int:
    """64 bits for one call: all that its rows have in common."""
    z = (_key_of_site(seed, scope, site) + step * kernels.INCREMENT) & _MASK
    z = ((z ^ (z >> 30)) * kernels.MULTIPLIER_1) & _MASK
    z = ((z ^ (z >> 27)) * kernels.MULTIPLIER_2) & _MASK
    return z ^ (z >> 31)


@lru_cache(maxsize=1 << 14)  # short episodes ask for the same few, over and over
def _word(seed: int, scope: str, site: str, step: int) -> np.uint64:
    """``_key`` as kernels take it."""
    return np.uint64(_key(seed, scope, site, step))


_NO_KEY = np.uint64(0)
_FLOATS = (torch.float32, torch.float64)
_ROUNDING = 1e-4  # of a sum of probabilities in float32


@dataclass(frozen=True, eq=False)
class Draws:
    """The chance that one step's mechanisms may use.

    seed: any int. ids: (n,) int64, who each row is; on the device that the draws shall be on. step: the
    step that the draws are for, an int; or (n,) int64, a step for each row, where rows began at different times.
    scope: keeps apart the draws of the world, its user and the policy, so that two of them may use one site name;
    ``rollout`` sets it.
    """

    seed: int
    ids: Tensor
    step: Any = 0  # an int, or (n,) int64
    scope: str = ""

    def __post_init__(self) -> None:
        if type(self.seed) is not int:
            object.__setattr__(self, "seed", checked_seed(self.seed))
        if not isinstance(self.ids, Tensor) or self.ids.dtype != torch.int64 or self.ids.dim() != 1:
            raise ValueError(f"ids are {_kind(self.ids)}: expected int64 of shape (n,); use torch.arange(n) for n rows")
        if type(self.step) is not int:
            object.__setattr__(self, "step", self._checked_step(self.step))

    def _checked_step(self, step: Any) -> Any:
        if not isinstance(step, Tensor):
            return checked_int("step", step)
        if step.dtype != torch.int64 or step.shape != self.ids.shape:
            raise ValueError(f"step is {_kind(step)}: expected an int, or int64 of shape ({len(self.ids)},)")
        return step

    @property
    def together(self) -> bool:
        """Whether all rows are at one step, an int: ``key`` is for those."""
        return not isinstance(self.step, Tensor)

    def at(self, step: Any) -> Self:
        """The same rows' draws at another step."""
        return self._but(step=step if type(step) is int else self._checked_step(step))

    def scoped(self, scope: str) -> Self:
        """The same rows' draws for another party, such as the policy."""
        return self._but(scope=scope)

    def of(self, rows: Tensor) -> Self:
        """The draws of some rows, (k,) int64 positions: those that the rows have among all."""
        step = self.step[rows] if isinstance(self.step, Tensor) else self.step
        return self._but(ids=self.ids[rows], step=step)

    def _but(self, **changes: Any) -> Self:
        # dataclasses.replace would check the ids again: ten times slower, and this is done twice a step
        other = object.__new__(type(self))
        fields = other.__dict__
        fields.update(self.__dict__, **changes)
        if "ids" in changes:
            fields.pop("_ids", None)
        if "_steps" in fields and "step" in changes:
            del fields["_steps"]
        return other

    @cached_property
    def _ids(self) -> np.ndarray[Any, Any]:
        return self.ids.numpy()  # the same memory

    @cached_property
    def _steps(self) -> np.ndarray[Any, Any]:
        return np.asarray(self.step.numpy())

    def key(self, site: str) -> int:
        """64 bits that all rows' draws of one site have in common, for compiled code that mixes ids into them."""
        if isinstance(self.step, Tensor):
            raise ValueError(
                f"site '{site}' has no one key where rows are at steps of their own ({len(self.ids)} rows): expected "
                "an int step; ask for keyed(site), or compute another way unless draws.together"
            )
        return _key(self.seed, self.scope, site, self.step)

    def keyed(self, site: str) -> tuple[np.uint64, np.ndarray[Any, Any]]:
        """For compiled code: a key, and (n,) int64 ids to mix into it, which serve rows at any steps. CPU only."""
        if not isinstance(self.step, Tensor):
            return _word(self.seed, self.scope, site, self.step), self._ids
        shifted = np.empty_like(self._ids)
        key = np.uint64(_key_of_site(self.seed, self.scope, site))
        kernels.shifted_ids(key, self._ids, self._steps, shifted)
        return _NO_KEY, shifted

    def _mixed(self, site: str) -> Tensor:
        """(n,) int64, the bits of each row, as the kernels compute them."""
        if isinstance(self.step, Tensor):
            start = mix_bits(self.step * SIGNED_INCREMENT + signed(_key_of_site(self.seed, self.scope, site)))
            return mix_bits(self.ids * SIGNED_INCREMENT + start)
        return mix_bits(self.ids * SIGNED_INCREMENT + signed(_key(self.seed, self.scope, site, self.step)))

    def uniform(self, site: str, index: int | Tensor | None = None) -> Tensor:
        """Draws in the open interval (0, 1), float32.

        index None: one draw a row, (n,). An int k: draws 0 to k - 1 of each row, (n, k). An int64 tensor (n, …):
        the draws of each row that it names, in its shape; name what a draw is about (the item shown, say) and the
        same row meets the same luck with it wherever and whenever in the step it is asked for. Index -1 is allowed
        (padding); the lowest is -1.
        """
        if index is not None:
            self._check_index(site, index)
        return self._uniform_compiled(site, index) if self.ids.is_cpu else self._uniform_torch(site, index)

    def _check_index(self, site: str, index: int | Tensor) -> None:
        if isinstance(index, Tensor):
            if index.dtype != torch.int64 or index.dim() < 1 or index.shape[0] != len(self.ids):
                raise ValueError(
                    f"index of site '{site}' is {index.dtype} of shape {tuple(index.shape)}: "
                    f"expected int64 whose first axis is the {len(self.ids)} rows"
                )
        elif not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise ValueError(f"index of site '{site}' is {index!r}: expected None, an int from 0, or an int64 tensor")

    def _uniform_compiled(self, site: str, index: int | Tensor | None) -> Tensor:
        # what kernels write into is NumPy's: half the time of torch.empty for few rows, and huge pages for many
        key, ids = self.keyed(site)
        if index is None:
            out = np.empty(len(ids), np.float32)
            kernels.uniform_rows(key, ids, out)
        elif isinstance(index, int):
            out = np.empty((len(ids), index), np.float32)
            kernels.uniform_span(key, ids, out)
        else:
            out = np.empty(index.shape, np.float32)
            shape = (len(ids), index[0].numel() if len(ids) else 0)
            kernels.uniform_index(key, ids, index.detach().reshape(shape).numpy(), out.reshape(shape))
        return torch.from_numpy(out)

    def _uniform_torch(self, site: str, index: int | Tensor | None) -> Tensor:
        z = self._mixed(site)
        if index is not None:
            if isinstance(index, int):
                index = torch.arange(index, device=z.device).expand(len(z), -1)
            z = mix_bits(z.view(-1, *[1] * (index.dim() - 1)) + (index + 1) * SIGNED_INCREMENT)
        return unit_of((z >> 33) & (1 << 31) - 1)

    def bernoulli(
        self,
        site: str,
        probability: Tensor | float,
        index: int | Tensor | None = None,
        among: Tensor | None = None,
    ) -> Tensor:
        """True with the given probability: ``uniform(site, index) < probability``, bool.

        probability: (n, …) in [0, 1], broadcast against the draws. A higher probability can only turn False into
        True through the same draw. among: (n,) bool, for whom to draw where there is no index; False for the others,
        who cost next to nothing.
        """
        p = as_tensor(f"probability of site '{site}'", probability, self.ids.device)
        if among is not None:
            good = isinstance(among, Tensor) and among.dtype == torch.bool and among.shape == self.ids.shape
            if index is not None or not good:
                what = f"{_kind(among)}{'' if index is None else ', beside an index'}"
                raise ValueError(f"among of site '{site}' is {what}: expected bool ({len(self.ids)},), and no index")
        plain = type(self) is Draws and index is None and self.ids.is_cpu and p.dtype in _FLOATS
        if not plain or (p.dim() and p.shape != self.ids.shape):
            _check_probability(site, p if among is None else torch.where(among, p, 0))
            u = self.uniform(site, index)
            try:
                happens = u < p
            except RuntimeError:
                expected = f"one number, or what broadcasts to the draws, {tuple(u.shape)}"
                raise ValueError(f"probability of site '{site}' is {_kind(p)}: expected {expected}") from None
            return happens if among is None else happens & among
        out = np.empty(len(self.ids), np.bool_)
        values = (p if p.dim() else p.to(torch.float32)).detach().expand(self.ids.shape).numpy()
        if among is None:
            good = kernels.bernoulli(*self.keyed(site), values, out)
        else:
            good = kernels.bernoulli_among(*self.keyed(site), values, among.numpy(), out)
        if not good:
            _check_probability(site, p if among is None else torch.where(among, p, 0))
        return torch.from_numpy(out)

    def event(self, site: str, hazard: Tensor) -> Tensor:
        """Whether something happens within the step that happens at a rate: True with probability 1 - exp(-hazard).

        hazard: (n,) >= 0, the rate times the length of the step; where it is 0 nothing is drawn. Raises ValueError
        for a hazard that is negative or NaN.
        """
        hazard = as_tensor(f"hazard of site '{site}'", hazard, self.ids.device)
        if hazard.shape != self.ids.shape:
            raise ValueError(f"hazard of site '{site}' has shape {tuple(hazard.shape)}: expected ({len(self.ids)},)")
        if type(self) is not Draws or not self.ids.is_cpu:
            good = bool((hazard >= 0).all())
            out = self.uniform(site) < -torch.expm1(-hazard.to(torch.float64))
        else:
            happens = np.empty(len(hazard), np.bool_)
            rate = hazard.detach() if hazard.dtype in _FLOATS else hazard.to(torch.float64)
            good = kernels.event(*self.keyed(site), rate.contiguous().numpy(), happens)
            out = torch.from_numpy(happens)
        if not good:
            row = int((~(hazard >= 0)).nonzero()[0])
            raise ValueError(f"hazard of site '{site}' is {hazard[row].item()} in row {row}: expected 0 or more")
        return out

    def gumbel(self, site: str, index: int | Tensor | None = None) -> Tensor:
        """Standard Gumbel draws, float32: add them to log-probabilities; the argmax is one draw, the top k a slate."""
        return self.uniform(site, index).log().neg().log().neg()

    def categorical(self, site: str, probability: Tensor, which: Tensor | None = None) -> Tensor:
        """One category a row, (n,) int64, by inverting the cumulative distribution at one uniform draw.

        probability: (n, K), each row summing to 1; or a table (R, K) of which row i uses row ``which[i]``. One
        draw a row keeps it cheap, and given the outcome the draw is uniform on an interval, which makes abduction
        exact. Where the categories have no order and stability under a change matters more than time, use
        ``(probability.log() + draws.gumbel(site, K)).argmax(1)``, the Gumbel-max form.
        """
        probability = as_tensor(f"probability of site '{site}'", probability, self.ids.device)
        if probability.dim() != 2 or not probability.shape[1]:
            raise ValueError(f"probability of site '{site}' has shape {tuple(probability.shape)}: expected (rows, K)")
        _check_probability(site, probability)
        if which is None:
            if len(probability) != len(self.ids):
                raise ValueError(
                    f"probability of site '{site}' has {len(probability)} rows: expected {len(self.ids)}, one for "
                    "each id, or a table with which="
                )
            which = torch.arange(len(probability), device=probability.device)
        else:
            which = as_tensor(f"which of site '{site}'", which, self.ids.device)
        cumulative = probability.cumsum(1)
        if not bool((whole := (cumulative[:, -1] - 1).abs() <= _ROUNDING).all()):
            row = int((~whole).nonzero()[0])
            what = f"sums to {cumulative[row, -1].item():.6g} in row {row}"
            raise ValueError(f"probability of site '{site}' {what}: expected 1; divide each row by its sum")
        return self.inverse_cdf(site, cumulative, which)

    def inverse_cdf(self, site: str, cumulative: Tensor, which: Tensor) -> Tensor:
        """``categorical`` for a table whose running sums stand already: cumulative (R, K), which (n,) int64."""
        return invert_cdf(self.uniform(site), cumulative, which)


def _check_probability(site: str, p: Tensor) -> None:
    """ValueError for what is no probability, NaN too."""
    good = (p >= 0) & (p <= kernels.ALMOST_ONE)
    if not bool(good.all()):
        where = (~good).nonzero()[0].tolist()
        raise ValueError(f"probability of site '{site}' is {p[tuple(where)].item():g} at {where}: expected 0 to 1")


def _kind(value: Any) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def derived_ids(ids: Tensor, number: Tensor) -> Tensor:
    """Ids for what springs from others, (n,) int64: the ``number``-th of each id, a hash of the two.

    Such are the episodes of a seed, or people born to a person. number: (n,) int64, from 0.
    """
    if ids.dtype != torch.int64 or number.dtype != torch.int64:
        raise ValueError(f"ids are {_kind(ids)} and number {_kind(number)}: expected int64")
    if not ids.is_cpu:
        return mix_bits(mix_bits(ids * SIGNED_INCREMENT) + (number + 1) * SIGNED_INCREMENT)
    if ids.shape != number.shape:
        ids, number = torch.broadcast_tensors(ids, number)  # type: ignore[no-untyped-call]
    if ids.dim() != 1:
        raise ValueError(f"ids are {_kind(ids)}: expected shape (n,)")
    out = np.empty(ids.shape, np.int64)
    kernels.derived_ids(ids.numpy(), number.numpy(), out)
    return torch.from_numpy(out)


def invert_cdf(uniform: Tensor, cumulative: Tensor, which: Tensor) -> Tensor:
    """(n,) int64: the first k with ``uniform[i] < cumulative[which[i], k]``, the last k where there is none.

    uniform: (n,) float32. cumulative: (R, K), each row the running sum of probabilities. which: (n,) int64.
    """
    n = len(uniform)
    if which.dtype != torch.int64 or which.shape != uniform.shape or cumulative.dim() != 2 or not cumulative.shape[1]:
        what = f"which is {_kind(which)}, cumulative {_kind(cumulative)}"
        raise ValueError(f"{what}: expected int64 of shape ({n},), and a table (rows, categories)")
    if uniform.is_cpu:
        out = np.empty(n, np.int64)
        row = kernels.invert_cdf(uniform.numpy(), cumulative.detach().numpy(), which.numpy(), out)
        if row >= 0:
            raise ValueError(
                f"which of row {row} is {int(which[row])}: expected 0 to {len(cumulative) - 1}, rows there are"
            )
        return torch.from_numpy(out)
    return (uniform[:, None] >= cumulative[which, :-1]).sum(dim=1)
