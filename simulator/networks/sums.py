"""Network (the contract), sum_over_contacts, ContactSum: exact sums in any order."""

from collections.abc import Callable, Sequence
from math import frexp
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ..draws import Draws
from ..kernels import Array, in_parts, threads_for
from . import kernels
from .contacts import Contacts

RESOLUTION = 2.0**-32  # half of what a draw can tell apart; sums stay exact up to 2^21


class Network(Protocol):
    """The contract of a population world's contacts; ``meetings.py`` has some that are not stored."""

    @property
    def num_people(self) -> int:
        """The number of people."""
        ...

    @property
    def strength(self) -> Tensor:
        """(n,) float64 what reaches each person when everybody sends 1, in an average step."""
        ...

    def at(self, draws: Draws) -> "Network":
        """The contacts of a step, for ``sum_over_contacts``."""
        ...


class Reaching(Network, Protocol):
    """A network that sums by itself."""

    @property
    def most(self) -> float:
        """The largest sum that a message of 1 from everybody can have on the way."""
        ...

    def reached(self, sent: Tensor, resolution: float = RESOLUTION) -> Tensor:
        """(n,) float64, differentiable: the sums of messages (n,) that are multiples of the resolution."""
        ...


def check_rows(contacts: Network, draws: Draws) -> None:
    """Raise ValueError where a population world is run with other rows than its contacts have people."""
    if len(draws.ids) != contacts.num_people:
        raise ValueError(
            f"{len(draws.ids)} rows for the contacts of {contacts.num_people} people: expected a row for each; pass "
            f"rows={contacts.num_people}, or in Gymnasium take the seat Everybody(world, {contacts.num_people})"
        )


def over_shards(network: Network, count: Tensor) -> Tensor:
    """A count of people, of all processes where the network's people are but a part of them (see ``shards``).

    Counts must be exact in any order: whole numbers, or multiples of a power of two.
    """
    shard = getattr(network, "shard", None)
    return count if shard is None else shard.total(count)


def sum_over_contacts(
    contacts: Network,
    sent: Tensor | Sequence[Tensor],
    message: Callable[..., Any] | None = None,
    received: Tensor | Sequence[Tensor] = (),
    *,
    resolution: float = RESOLUTION,
) -> Tensor:
    """The sum of what reaches each person along their contacts, (n,) float64: over contacts j to i, of the messages.

    contacts: ``Contacts``, or what another network's ``at(draws)`` says.
    sent: (n,), what each person sends to all their contacts: bool, an int, or a float. The message is
    ``sent[j] * weight[ji]``. Persons who send 0 cost next to nothing.

    message: a function of scalars, ``message(sent_j, received_i)``, with the weight as last argument where contacts
    have weights; several sent or received columns are several arguments. It must consist of operators and functions
    that work on floats as on tensors (``+ * / ** < min-free arithmetic``; no branches): on the CPU it is compiled and
    called once a contact, elsewhere it is called once with all of them.

    resolution: a power of two; each message is rounded to a multiple of it, and the sum is exact. Raises ValueError
    for messages that are not finite, or so large that a sum could reach 2^53 resolutions (a
    message of one's own: or is 2^51 of them itself). Differentiable in ``sent``.
    """
    check_resolution(resolution)
    if message is not None:
        if not isinstance(contacts, Contacts):
            raise TypeError(f"a message of one's own over {type(contacts).__name__}: expected stored Contacts")
        return _sum_of_messages(contacts, message, _columns(sent), _columns(received), resolution)
    sent = check_sent(contacts, sent)
    if not sent.requires_grad:
        return _total(contacts, _on_grid(contacts, sent, resolution), resolution)
    if isinstance(contacts, Contacts):
        return _Sum.apply(sent, contacts, resolution)  # type: ignore[no-untyped-call]
    return _reached(contacts, sent + (_on_grid(contacts, sent, resolution) - sent).detach(), resolution)


def check_resolution(resolution: float) -> None:
    """ValueError unless it is a power of two, of which alone multiples add up exactly."""
    if resolution != RESOLUTION and (
        not isinstance(resolution, float | int)
        or not 2.0**-200 <= resolution <= 2.0**200
        or frexp(resolution)[0] != 0.5
    ):
        raise ValueError(f"resolution is {resolution!r}: expected a power of two, such as 2.0**-32, up to 2.0**200")


def check_sent(contacts: Network, sent: Any) -> Tensor:
    """The messages (n,), or ValueError unless there is one for each person."""
    try:
        people = contacts.num_people
    except AttributeError:
        raise TypeError(f"contacts is a {type(contacts).__name__}: expected Contacts, or network.at(draws)") from None
    if not isinstance(sent, Tensor) or sent.shape != (people,):
        what = tuple(sent.shape) if isinstance(sent, Tensor) else type(sent).__name__
        raise ValueError(f"sent is {what}: expected a tensor ({people},), one message a person")
    return sent


def _reached(network: Network, sent: Tensor, resolution: float) -> Tensor:
    """The sums of a network that sums by itself, which others index by person unlooked at."""
    total = _reaching(network).reached(sent, resolution)
    if not isinstance(total, Tensor) or total.shape != (network.num_people,) or total.dtype != torch.float64:
        what = f"{total.dtype} {tuple(total.shape)}" if isinstance(total, Tensor) else type(total).__name__
        raise ValueError(
            f"reached() of {type(network).__name__} is {what}: expected float64 ({network.num_people},), a sum a person"
        )
    return total


def _reaching(network: Network) -> Reaching:
    if not hasattr(network, "reached"):
        raise TypeError(f"a sum over {type(network).__name__}: expected the contacts of a step, network.at(draws)")
    return network  # type: ignore[return-value]


class ContactSum(NamedTuple):
    """A sum over contacts that is kept up to date: where few people change what they send, only they cost.

    Start with ``ContactSum.of`` and go on with ``next``; the values are those of ``sum_over_contacts``, to the bit.
    What is yes or no, over contacts without weights, is counted in as few bytes as will do: read it as ``.double()``.
    """

    sent: Tensor  # (n,) on the grid
    total: Tensor  # (n,) float64; uint8 or int32 for counts

    @classmethod
    def of(cls, contacts: Network, sent: Tensor, resolution: float = RESOLUTION) -> "ContactSum":
        """The first one."""
        check_resolution(resolution)
        check_sent(contacts, sent)
        message = _on_grid(contacts, sent, resolution)
        total = _total(contacts, message, resolution)
        return cls(message, total if (count := _count_dtype(contacts, message)) is None else total.to(count))

    def next(self, contacts: Network, sent: Tensor, resolution: float = RESOLUTION) -> "ContactSum":
        """The sum when people send ``sent``, over the same contacts (where they differ, begin anew with ``of``)."""
        check_resolution(resolution)
        if not isinstance(sent, Tensor) or not self.sent.shape == self.total.shape == sent.shape == (
            contacts.num_people,
        ):
            check_sent(contacts, sent)
            raise ValueError(
                f"a sum of {len(self.sent)} people goes on with {len(sent)}: begin anew with ContactSum.of"
            )
        message = _on_grid(contacts, sent, resolution)
        count = _count_dtype(contacts, message)
        alike = message.dtype == self.sent.dtype and (count or torch.float64) == self.total.dtype
        if not message.is_cpu or not isinstance(contacts, Contacts) or not alike:
            return ContactSum.of(contacts, sent, resolution)
        sent_now, before, total = message.numpy(), self.sent.numpy(), self.total.numpy()
        if count is None:
            total = total.copy()
            kernels.push(*contacts._arrays(), sent_now, before, resolution, total)
        else:
            total = _pushed_counts(contacts, sent_now, before, total)
        return ContactSum(message, torch.from_numpy(total))


def _pushed_counts(contacts: Contacts, sent: Array, before: Array, total: Array) -> Array:
    """The counts ``total`` after ``kernels.push_counts``; each thread adds up apart what its people send."""
    start, target, _ = contacts._arrays()
    if (threads := threads_for(len(sent))) == 1:
        counts = total.copy()
        kernels.push_counts(start, target, sent, before, counts)
        return counts
    apart: list[Array | None] = [None] * threads

    def push(part: slice, thread: int) -> None:
        out = apart[thread]
        if out is None:
            out = apart[thread] = np.zeros_like(total) if thread else total.copy()
        kernels.push_counts(start[part.start : part.stop + 1], target, sent[part], before[part], out)

    in_parts(push, len(sent), threads)
    counts = total.copy() if apart[0] is None else apart[0]
    for out in apart[1:]:
        if out is not None:
            counts += out
    return counts


def _count_dtype(contacts: Network, message: Tensor) -> torch.dtype | None:
    """The type for counts of yes-or-no messages; None for other messages, and where a contact may count for more."""
    if message.dtype != torch.uint8 or not isinstance(contacts, Contacts) or contacts.weight is not None:
        return None
    return torch.uint8 if contacts.most <= 255 else torch.int32


def _columns(columns: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (columns,) if isinstance(columns, Tensor) else tuple(columns)


def _on_grid(contacts: Network, sent: Tensor, resolution: float) -> Tensor:
    """Messages as multiples of the resolution, small enough for their sums to be exact."""
    if sent.dtype == torch.bool:
        return sent.contiguous().view(torch.uint8)  # the same bytes; compiled code adds them up without looking
    if sent.dtype not in (torch.float32, torch.float64):
        if sent.is_complex():
            raise ValueError(f"sent is {sent.dtype}: expected bools, ints or floats")
        sent = sent.to(torch.float64)
    meet = contacts.most if isinstance(contacts, Contacts) else _reaching(contacts).most
    most, sent = 2.0**53 * resolution, sent.detach()
    limit = most / max(meet, 1e-300)
    if sent.is_cpu:
        out = torch.empty_like(sent)
        good = kernels.rounded(sent.numpy(), resolution, limit, out.numpy())
    else:
        out = ((sent.to(torch.float64) / resolution).round() * resolution).to(sent.dtype)
        good = bool((out.abs() <= limit).all())
    if not good:
        raise ValueError(
            f"the largest message sent is {float(sent.abs().max()):g} and up to {meet:g} of them meet: expected "
            f"finite messages whose sums stay below {most:g}; send smaller units, or pass a coarser resolution"
        )
    return out


def _total(contacts: Network, sent: Tensor, resolution: float) -> Tensor:
    """The sum of messages that are on the grid already."""
    if not isinstance(contacts, Contacts):
        return _reached(contacts, sent, resolution)
    if not sent.is_cpu:
        value = sent.to(torch.float64)[contacts.source]
        if contacts.weight is not None:
            value = ((value * contacts.weight) / resolution).round() * resolution
        total = torch.zeros(contacts.num_people, dtype=torch.float64, device=sent.device)
        return total.index_add_(0, contacts.target, value)
    message, out = sent.numpy(), np.zeros(contacts.num_people)
    if 3 * np.count_nonzero(message) < len(out):  # writing to scattered places costs three times what reading does
        nothing = torch.zeros((), dtype=sent.dtype).expand(len(sent))
        kernels.push(*contacts._arrays(), message, nothing.numpy(), resolution, out)
    else:
        kernels.pull(*contacts.reverse._arrays(), message, resolution, out)
    return torch.from_numpy(out)


class _Sum(torch.autograd.Function):
    """The exact sum; its gradient runs along the same contacts the other way."""

    @staticmethod
    def forward(context: Any, sent: Tensor, contacts: Contacts, resolution: float) -> Tensor:
        """As ``sum_over_contacts``."""
        context.contacts, context.dtype = contacts, sent.dtype
        return _total(contacts, _on_grid(contacts, sent, resolution), resolution)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """(n,): what each person's message is worth, summed over those it reaches; in plain floats."""
        contacts = context.contacts
        worth = gradients[0][contacts.target.long()]
        if contacts.weight is not None:
            worth = worth * contacts.weight
        total = torch.zeros_like(gradients[0]).index_add_(0, contacts.source, worth)
        return total.to(context.dtype), None, None


def _sum_of_messages(
    contacts: Contacts,
    message: Callable[..., Any],
    sent: tuple[Tensor, ...],
    received: tuple[Tensor, ...],
    resolution: float,
) -> Tensor:
    """``sum_over_contacts`` with a message of one's own."""
    n = contacts.num_people
    for name, columns in (("sent", sent), ("received", received)):
        if wrong := [tuple(c.shape) for c in columns if c.shape != (n,)]:
            raise ValueError(f"{name} has a column of shape {wrong[0]}: expected ({n},), one value a person")
    if contacts.start.is_cpu and not any(c.requires_grad for c in sent + received):
        reverse, total = contacts.reverse, torch.empty(n, dtype=torch.float64)
        kernel = kernels.pull_of(message, len(sent), len(received), contacts.weight is not None)
        arrays = [tuple(c.contiguous().numpy() for c in ends) for ends in (sent, received)]
        good = kernel(*reverse._arrays(), *arrays, resolution, total.numpy())
    else:
        source, target = contacts.source, contacts.target.long()
        ends = [c[source] for c in sent] + [c[target] for c in received]
        value = message(*ends, *([] if contacts.weight is None else [contacts.weight])).to(torch.float64)
        rounded = (value.detach() / resolution).round() * resolution
        on_grid = value + (rounded - value).detach()  # the gradient passes the rounding by
        total = torch.zeros(n, dtype=torch.float64, device=value.device).index_add(0, target, on_grid)
        absolute = torch.zeros_like(total).index_add(0, target, rounded.abs())
        good = bool((absolute < 2.0**53 * resolution).all()) and bool((rounded.abs() < 2.0**51 * resolution).all())
    if not good:
        raise ValueError(
            f"messages are not finite, or one is {2.0**51 * resolution:g} or more, or those of one person sum to "
            f"{2.0**53 * resolution:g} or more: send smaller units, or pass a coarser resolution"
        )
    return total
