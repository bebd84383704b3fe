"""Contacts that are not stored: fresh meetings each step, everybody with everybody, and a timetable of networks.

They stand where ``Contacts`` may stand in a world (``SEIR(RandomMeetings(n, 8))``), with the same exact sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arguments import as_tensor, check_has, check_is
from ..draws import Draws
from ..kernels import INCREMENT, mix_bits, signed
from . import kernels
from .columns import as_column, check_same_people
from .contacts import Contacts
from .sums import RESOLUTION, Network, check_sent


def _rounds(bits: int) -> int:
    """The number of rounds of the Feistel network that shuffles people; short halves need more of them to mix."""
    return 6 if bits >= 16 else 24


def _check_meetings(num_people: Any, degree: Any) -> None:
    whole = all(isinstance(k, int | np.integer) and not isinstance(k, bool) for k in (num_people, degree))
    if not whole or not (2 <= num_people < 2**31 and 0 <= degree <= 2**20):
        raise ValueError(
            f"num_people is {num_people!r} and degree {degree!r}: expected whole numbers, people from 2 to 2^31 - 1 "
            "and meetings a step from 0; for a mean that is not whole take MeanField or erdos_renyi"
        )


@dataclass(frozen=True)
class RandomMeetings:
    """Each step everybody meets ``degree`` people at random: that many perfect matchings, new every time.

    In each matching a person meets one other (with an odd number of people one meets nobody); who meets whom is a
    function of the seed, the step, ``site`` and their places in the population (not their ids: other people in it mean
    other meetings), computed for those who have something to send, and never stored. Two layers of meetings need
    different sites. Meeting the same person twice counts twice.
    """

    num_people: int
    degree: int
    site: str = "meetings"

    def __post_init__(self) -> None:
        _check_meetings(self.num_people, self.degree)
        check_is("site of RandomMeetings", self.site, str, "a name")

    @property
    def strength(self) -> Tensor:
        """(n,) float64 meetings a step; with an odd number of people their mean is a little lower."""
        return torch.full((self.num_people,), float(self.degree), dtype=torch.float64)

    def at(self, draws: Draws) -> "Met":
        """The meetings of a step."""
        return Met(self.num_people, self.degree, draws.key(self.site), draws.ids.device)


@dataclass(frozen=True)
class Met:
    """The meetings of one step; made by ``RandomMeetings.at``."""

    num_people: int
    degree: int
    key: int  # 64 bits
    device: torch.device

    def __post_init__(self) -> None:
        _check_meetings(self.num_people, self.degree)

    @property
    def most(self) -> float:
        """Everybody is met ``degree`` times."""
        return float(self.degree)

    @property
    def strength(self) -> Tensor:
        """(n,) float64 how many each person meets."""
        if self.num_people % 2 == 0:
            return torch.full((self.num_people,), float(self.degree), dtype=torch.float64, device=self.device)
        return self.reached(torch.ones(self.num_people, dtype=torch.float64, device=self.device))

    def at(self, draws: Draws) -> "Met":
        """Itself: these meetings have been."""
        return self

    def reached(self, sent: Tensor, resolution: float = RESOLUTION) -> Tensor:
        """(n,) float64: the sum of what those send whom each person meets; sent: (n,), on the grid."""
        check_sent(self, sent)
        if sent.is_cpu and sent.requires_grad:
            return _Reached.apply(sent, self)  # type: ignore[no-untyped-call]
        if sent.is_cpu:
            met = np.zeros(self.num_people)
            bits = (self.num_people - 1).bit_length()
            kernels.push_meetings(np.uint64(self.key), self.degree, bits, _rounds(bits), sent.numpy(), met)
            return torch.from_numpy(met)
        people = torch.arange(self.num_people, device=sent.device)
        total = torch.zeros(self.num_people, dtype=torch.float64, device=sent.device)
        for k in range(self.degree):
            other = self.partner(people, k)
            total = total + torch.where(other >= 0, sent[other.clamp(min=0)].to(torch.float64), 0)
        return total

    def partner(self, people: Tensor, k: int) -> Tensor:
        """(m,) int64: whom each of these people meets in the ``k``-th matching; -1: nobody."""
        people = as_column("people", people)
        if len(people) and not (int(people.min()) >= 0 and int(people.max()) < self.num_people):
            raise ValueError(f"people go from {people.min()} to {people.max()}: expected 0 to {self.num_people - 1}")
        place = self._shuffled(people, k, forth=True)
        other = place ^ 1
        nobody = other >= self.num_people
        return torch.where(nobody, -1, self._shuffled(other.where(~nobody, place), k, forth=False))

    def _shuffled(self, people: Tensor, k: int, *, forth: bool) -> Tensor:
        """Their places in a random order of all, or (``forth`` False) who stands there: ``kernels.shuffled``."""
        bits = (self.num_people - 1).bit_length()
        low, order = bits // 2, range(_rounds(bits))
        own = torch.tensor([signed((self.key + (k + 1) * INCREMENT) % 2**64)])
        keys = mix_bits(mix_bits(own) + torch.arange(len(order)) * signed(INCREMENT)).to(people.device)
        masks = ((1 << low) - 1, (1 << (bits - low)) - 1)
        out, inside = people.clone(), torch.zeros_like(people, dtype=torch.bool)
        while not inside.all():
            right, left = out & masks[0], out >> low
            for r in order if forth else reversed(order):
                source, mask = (right, masks[1]) if r % 2 == 0 else (left, masks[0])
                bent = (mix_bits(keys[r] + source * signed(INCREMENT)) >> 20) & mask
                left, right = (left ^ bent, right) if r % 2 == 0 else (left, right ^ bent)
            out = torch.where(inside, out, (left << low) | right)
            inside = out < self.num_people
        return out


class _Reached(torch.autograd.Function):
    """The sum over meetings; they run both ways, so that its gradient is such a sum too."""

    @staticmethod
    def forward(context: Any, sent: Tensor, met: Met) -> Tensor:
        """As ``Met.reached``."""
        context.met, context.dtype = met, sent.dtype
        return met.reached(sent.detach())

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """(n,): what each person's message is worth, summed over those whom they meet."""
        return context.met.reached(gradients[0].contiguous()).to(context.dtype), None


@dataclass(frozen=True, eq=False)
class MeanField:
    """Everybody meets everybody of each group a little: no network, but rates between groups.

    group: (n,) int64 codes from 0. rates: (G, G) float64 >= 0; rates[g, h] is how many contacts a person of group g
    has with people of group h in a step. What reaches a person of g is the sum over h of rates[g, h] times the mean
    of what group h sends (one's own part of it included).
    """

    group: Tensor
    rates: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", as_column("group", self.group))
        if not isinstance(self.rates, Tensor):
            object.__setattr__(self, "rates", as_tensor("rates", self.rates, dtype=torch.float64))
        if self.group.dtype != torch.int64 or self.group.dim() != 1 or not len(self.group) or int(self.group.min()) < 0:
            raise ValueError(f"group is {self.group.dtype} {tuple(self.group.shape)}: expected int64 (n,), from 0")
        groups = int(self.group.max()) + 1
        shape = tuple(self.rates.shape)
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < groups or self.rates.dtype != torch.float64:
            raise ValueError(f"rates is {self.rates.dtype} {shape}: expected float64 (G, G) for {groups} groups")
        if not ((self.rates >= 0) & self.rates.isfinite()).all():
            raise ValueError("rates has an entry below 0 or not finite: expected contacts a step, 0 or more")

    @classmethod
    def well_mixed(cls, num_people: int, contacts: float) -> "MeanField":
        """One group, in which everybody has so many contacts a step."""
        return cls(torch.zeros(int(num_people), dtype=torch.int64), torch.tensor([[contacts]], dtype=torch.float64))

    @property
    def num_people(self) -> int:
        """The number of people."""
        return len(self.group)

    @property
    def most(self) -> float:
        """Sums over a group are exact: everybody's messages may meet."""
        return float(self.num_people)

    @cached_property
    def strength(self) -> Tensor:
        """(n,) float64 contacts a step."""
        there = (self._size > 0).to(torch.float64)
        return (self.rates * there).sum(1)[self.group]

    @cached_property
    def _size(self) -> Tensor:
        return self.group.bincount(minlength=len(self.rates)).to(torch.float64)

    def at(self, draws: Draws) -> "MeanField":
        """Itself: it is the same every step."""
        return self

    def reached(self, sent: Tensor, resolution: float = RESOLUTION) -> Tensor:
        """(n,) float64: what reaches each person; sent: (n,), on the grid."""
        check_sent(self, sent)
        on_cpu = sent.is_cpu and not sent.requires_grad  # where NumPy gives the same sums, and wakes no threads
        if on_cpu:
            total = torch.from_numpy(np.bincount(self.group.numpy(), sent.numpy(), len(self.rates)))
        elif sent.requires_grad:
            zero = torch.zeros(len(self.rates), dtype=torch.float64, device=sent.device)
            total = zero.index_add(0, self.group, sent.to(torch.float64))
        else:  # the same sums, exact in any order, and twenty times faster
            total = self.group.bincount(sent.to(torch.float64), minlength=len(self.rates))
        mean, reached = total / self._size.clamp(min=1), torch.zeros_like(total)
        for h in range(len(self.rates)):  # one after the other, so that devices round alike
            reached = reached + self.rates[:, h] * mean[h]
        return torch.from_numpy(reached.numpy()[self.group.numpy()]) if on_cpu else reached[self.group]


@dataclass(frozen=True, eq=False)
class Timetable:
    """Networks that take turns, such as five school days and two without: ``networks[t % len(networks)]`` at step t."""

    networks: Sequence[Network]

    def __post_init__(self) -> None:
        check_is("networks", self.networks, Sequence, "a list of networks")
        for i, network in enumerate(self.networks):
            check_has(f"networks[{i}]", network, "Contacts, or another network", "num_people", "at")
        if not self.networks or len({network.num_people for network in self.networks}) > 1:
            raise ValueError(
                f"networks of {[network.num_people for network in self.networks]} people: expected at least one, and "
                "the same number in each"
            )
        check_same_people({f"network {i}": network for i, network in enumerate(self.networks)})

    @property
    def num_people(self) -> int:
        """The number of people."""
        return self.networks[0].num_people

    @cached_property
    def strength(self) -> Tensor:
        """(n,) float64 the average over a round."""
        return torch.stack([network.strength for network in self.networks]).mean(0)

    def at(self, draws: Draws) -> "Contacts | Network":
        """The network of a step; ValueError where people are at different steps."""
        if not draws.together:
            raise ValueError("a timetable for people at different steps: expected one step for all; step them apart")
        return self.networks[draws.step % len(self.networks)].at(draws)
