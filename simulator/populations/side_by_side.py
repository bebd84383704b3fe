"""Populations side by side: the same people and contacts so many times over, as one population in blocks.

Person i of block r is row ``r n + i``. Blocks do not meet, so that a day of all of them in one call gives each the bits
that it has alone.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..draws import Draws
from ..networks import RESOLUTION, Contacts, MeanField, Network, RandomMeetings, Timetable, sum_over_contacts
from ..trees import with_parts
from .settings import InEach


@runtime_checkable
class Repeatable(Protocol):
    """A world, or a policy of people, that knows how to be that of several populations at once."""

    def repeated(self, times: int) -> Any:
        """The same of so many populations side by side, which gives each block the bits that it has alone.

        A world whose people come together in nothing but its networks gives ``repeated(self, times, num_people)``; a
        policy that looks at each row by itself, and has no parameters by person, gives itself.
        """
        ...


def is_repeatable(thing: Any) -> bool:
    """Whether the class itself says so: a subclass, which may do more than its parent, has to say it anew."""
    return "repeated" in vars(type(thing))


def repeated(value: Any, times: int, num_people: int) -> Any:
    """Something about people, such as a world, as it is for so many populations side by side.

    Networks become networks in blocks, tensors with a person a row get their rows so many times; dataclasses, dicts,
    lists and tuples are taken apart. All else stays as it is.
    """
    if isinstance(value, Contacts):
        return _repeated_contacts(value, times)
    if isinstance(value, Timetable):
        return Timetable([repeated(network, times, num_people) for network in value.networks])
    if isinstance(value, RandomMeetings | MeanField) or _is_network(value):
        return Blocks(value, times)
    if isinstance(value, InEach):
        return InEach(value.people, value.populations * times)
    if isinstance(value, Tensor):
        return value.repeat(times, *[1] * (value.dim() - 1)) if value.dim() and len(value) == num_people else value
    return with_parts(value, lambda part: repeated(part, times, num_people))


def _is_network(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("num_people", "strength", "at")) and not hasattr(value, "step")


def _repeated_contacts(contacts: Contacts, times: int) -> Contacts:
    """Block by block, each among its own people."""
    block = torch.arange(times, device=contacts.start.device)[:, None]
    start = (contacts.start[:-1] + block * contacts.num_contacts).flatten()
    return replace(
        contacts,
        start=pad(start, (0, 1), value=times * contacts.num_contacts),
        target=(contacts.target + (block * contacts.num_people).to(torch.int32)).flatten(),
        weight=None if contacts.weight is None else contacts.weight.repeat(times),
    )


@dataclass(frozen=True, eq=False)
class Blocks:
    """A network that is not stored, so many times over: block by block it is what it is alone, in each step."""

    network: Network
    times: int

    @property
    def num_people(self) -> int:
        """How many people there are in all blocks."""
        return self.times * self.network.num_people

    @property
    def strength(self) -> Tensor:
        """(n,) float64, of all blocks."""
        return self.network.strength.repeat(self.times)

    def at(self, draws: Draws) -> "BlocksNow":
        """The contacts of a step."""
        if isinstance(self.network, RandomMeetings | MeanField):  # who meets whom hangs on places, not on ids
            return BlocksNow((self.network.at(draws),) * self.times)
        rows = torch.arange(self.num_people, device=draws.ids.device).chunk(self.times)
        return BlocksNow(tuple(self.network.at(draws.of(some)) for some in rows))


@dataclass(frozen=True, eq=False)
class BlocksNow:
    """The contacts of a step in each block; made by ``Blocks.at``."""

    networks: tuple[Any, ...]

    @property
    def num_people(self) -> int:
        """How many people there are in all blocks."""
        return sum(network.num_people for network in self.networks)

    @property
    def strength(self) -> Tensor:
        """(n,) float64, of all blocks."""
        return torch.cat([network.strength for network in self.networks])

    @property
    def most(self) -> float:
        """The largest sum in any block."""
        return max(float(network.most) for network in self.networks)

    def at(self, draws: Draws) -> Self:
        """Itself."""
        return self

    def reached(self, sent: Tensor, resolution: float = RESOLUTION) -> Tensor:
        """(n,) float64: the sums of each block; sent: (n,), on the grid."""
        parts = sent.chunk(len(self.networks))
        return torch.cat(
            [_reached(network, part, resolution) for network, part in zip(self.networks, parts, strict=True)]
        )


def _reached(network: Any, sent: Tensor, resolution: float) -> Any:
    if hasattr(network, "reached"):
        return network.reached(sent, resolution)
    return sum_over_contacts(network, sent, resolution=resolution)
