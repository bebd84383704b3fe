"""One process's part of a population and of its contacts."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ..draws import Draws
from ..history import first_leaf
from ..networks import RESOLUTION, Contacts, MeanField, RandomMeetings, kernels
from ..trees import with_parts


@dataclass(frozen=True)
class Shard:
    """The part of a population that one process has: people ``first`` until before ``last`` of ``num_people``."""

    rank: int
    size: int  # processes
    num_people: int

    @classmethod
    def mine(cls, num_people: int) -> "Shard":
        """This process's; equal parts, the last smaller."""
        if not dist.is_initialized():
            raise RuntimeError(
                "no process group: run the script by torchrun --nproc-per-node 2, and begin it with "
                'torch.distributed.init_process_group("gloo")'
            )
        if num_people < (size := dist.get_world_size()) ** 2:
            raise ValueError(f"{num_people} people for {size} processes: expected {size**2} or more")
        return cls(dist.get_rank(), size, num_people)

    @property
    def most(self) -> int:
        """People in a full part."""
        return -(-self.num_people // self.size)

    @property
    def people(self) -> slice:
        """The people who are here."""
        return slice(self.rank * self.most, min((self.rank + 1) * self.most, self.num_people))

    @property
    def num_here(self) -> int:
        """The number of people here."""
        return self.people.stop - self.people.start

    def of(self, value: Any) -> Any:
        """The part of something that is about the people here.

        Networks become their part; tensors with a person a row become those rows; dataclasses (worlds, policies,
        interventions), dicts, lists and tuples are taken apart. All else stays as it is.
        """
        if isinstance(value, Contacts):
            return ContactsHere.of(value, self)
        if isinstance(value, RandomMeetings | MeanField):
            return MeetingsHere(self, value)
        if isinstance(value, Tensor):
            return value[self.people] if value.dim() and len(value) == self.num_people else value
        return with_parts(value, self.of)

    def total(self, count: Tensor) -> Tensor:
        """The sum of all parts' counts."""
        total = count.clone()
        dist.all_reduce(total)
        return total

    def has_rows(self, value: Any) -> bool:
        """Whether a site's value is about the people here, with a person a row: not, say, a number of the city."""
        return bool(first_leaf(value).shape[:1] == (self.num_here,))

    def gathered(self, column: Any) -> Any:
        """(n, …): the rows of all people, from the rows (num_here, …) of each part; a tensor, or an array of text."""
        if not isinstance(column, Tensor):
            pieces = [column] * self.size
            dist.all_gather_object(pieces, column)
            return np.concatenate(pieces)
        plain = column.contiguous().unsqueeze(-1).view(torch.uint8)  # (num_here, …, bytes): any type can travel so
        padded = plain.new_zeros((self.most, *plain.shape[1:]))
        padded[: len(plain)] = plain
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat(parts)[: self.num_people].view(column.dtype).squeeze(-1)

    def gathered_sparse(self, column: Tensor) -> Tensor:
        """``gathered`` for a column (num_here,) in which most are 0: only the others travel."""
        rows = column.nonzero()[:, 0]
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
        room = int(torch.cat(counts).max())
        if 4 * room > self.most:
            return self.gathered(column)
        found = column.new_zeros(self.num_people)
        here = torch.zeros(room, dtype=torch.int32, device=rows.device)
        here[: len(rows)] = rows
        values = column.new_zeros(room)
        values[: len(rows)] = column[rows]
        where, what = ([torch.empty_like(x) for _ in range(self.size)] for x in (here, values))
        dist.all_gather(where, here)
        dist.all_gather(what, values)
        for part in range(self.size):
            some = slice(0, int(counts[part]))
            found[where[part][some].long() + part * self.most] = what[part][some]
        return found


class Rows(NamedTuple):
    """Compressed rows whose two ends count different people."""

    start: Tensor
    target: Tensor
    weight: Tensor | None

    def arrays(self) -> tuple[Any, Any, Any]:
        """The arrays that the kernels take: unsigned views."""
        weight = np.zeros(0, np.float32) if self.weight is None else self.weight.numpy()
        return self.start.numpy().view(np.uint64), self.target.numpy().view(np.uint32), weight


@dataclass(frozen=True, eq=False)
class ContactsHere:
    """The contacts that reach the people of a part, from wherever; as a ``Network``, of these people."""

    shard: Shard
    outward: Rows  # row j: whom person j of the whole population reaches here
    inward: Rows  # row i: those of the whole population who reach person i of this part
    strength: Tensor  # (num_here,) float64
    most: float  # of the whole network

    @classmethod
    def of(cls, contacts: Contacts, shard: Shard) -> "ContactsHere":
        """The part of a network."""
        people, reverse = shard.people, contacts.reverse
        start = reverse.start[people.start : people.stop + 1]
        some = slice(int(start[0]), int(start[-1]))
        inward = Rows(start - start[0], reverse.target[some].clone(), _cut(reverse.weight, some))
        kept = (contacts.target >= people.start) & (contacts.target < people.stop)
        outward = replace(contacts, symmetric=False).where(kept)
        return cls(
            shard,
            Rows(outward.start, outward.target - people.start, outward.weight),
            inward,
            contacts.strength[people].clone(),
            contacts.most,
        )

    @property
    def num_people(self) -> int:
        """The number of people here."""
        return self.shard.num_here

    def at(self, draws: Draws) -> "ContactsHere":
        """Itself."""
        return self

    def reached(self, sent: Tensor, resolution: float = RESOLUTION) -> Tensor:
        """(num_here,) float64: what reaches the people here, of what all people send; sent: (num_here,)."""
        everywhere = self.shard.gathered_sparse(sent)
        total = torch.zeros(self.num_people, dtype=torch.float64, device=sent.device)
        if not sent.is_cpu:
            start, target, weight = self.inward
            value = everywhere.to(torch.float64)[target.long()]
            if weight is not None:
                value = ((value * weight) / resolution).round() * resolution
            return total.index_add_(0, torch.repeat_interleave(start.diff()), value)
        if 3 * int(torch.count_nonzero(everywhere)) < len(everywhere):
            nothing = torch.zeros((), dtype=sent.dtype).expand(len(everywhere))
            kernels.push(*self.outward.arrays(), everywhere.numpy(), nothing.numpy(), resolution, total.numpy())
        else:
            kernels.pull(*self.inward.arrays(), everywhere.numpy(), resolution, total.numpy())
        return total


def _cut(weight: Tensor | None, some: slice) -> Tensor | None:
    return None if weight is None else weight[some].clone()


@dataclass(frozen=True, eq=False)
class MeetingsHere:
    """Meetings that are not stored, as they reach the people of a part; each process computes all of them."""

    shard: Shard
    meetings: Any  # of the whole population

    @property
    def num_people(self) -> int:
        """The number of people here."""
        return self.shard.num_here

    @property
    def most(self) -> float:
        """The largest sum that a message of 1 from the whole population can have."""
        return float(self.meetings.most)

    @property
    def strength(self) -> Tensor:
        """(num_here,) float64."""
        return self.meetings.strength[self.shard.people]

    def at(self, draws: Draws) -> "MeetingsHere":
        """Those of a step."""
        return MeetingsHere(self.shard, self.meetings.at(draws))

    def reached(self, sent: Tensor, resolution: float = RESOLUTION) -> Tensor:
        """(num_here,) float64: what reaches the people here, of what all people send; sent: (num_here,)."""
        return self.meetings.reached(self.shard.gathered_sparse(sent), resolution)[self.shard.people]
