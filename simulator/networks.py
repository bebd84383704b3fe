"""Contact networks as compressed rows, and exact sums over contacts: the hot primitive of population worlds.

A message is rounded once to a multiple of ``resolution`` and summed in float64, in which sums of such multiples are
exact as long as they stay below 2^53 of them (an error otherwise). Exact sums are the same in any order: along rows
or against them, in one process or in shards, on any device, all at once or by adding what has changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from . import network_kernels as kernels
from .draws import Draws

if TYPE_CHECKING:
    import networkx

RESOLUTION = 2.0**-32  # half of what a draw can tell apart; sums stay exact up to 2^21
_NO_WEIGHT = np.zeros(0, np.float32)

Array = np.ndarray[Any, Any]


class Network(Protocol):
    """What a population world needs of its contacts; ``meetings`` has some that are not stored."""

    @property
    def num_people(self) -> int:
        """How many people there are."""
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


@dataclass(frozen=True, eq=False)
class Contacts:
    """Who reaches whom: contacts from a person (source) to another (target), in compressed rows.

    start: (n + 1,) int64; person i reaches ``target[start[i]:start[i + 1]]``, ascending. target: (E,) int32.
    weight: (E,) float32 >= 0, how strong each contact is; None: all 1. symmetric: each contact runs both ways with
    one weight (stored twice). Make one with ``from_edges``, ``from_networkx`` or a function of ``generators``.

    Raises ValueError for ids out of range, self-loops, repeated contacts, and weights that are negative or not finite.
    """

    start: Tensor
    target: Tensor
    weight: Tensor | None = None
    symmetric: bool = False

    def __post_init__(self) -> None:
        types = {"start": (self.start, torch.int64), "target": (self.target, torch.int32)}
        if self.weight is not None:
            types["weight"] = (self.weight, torch.float32)
        for name, (tensor, dtype) in types.items():
            if not isinstance(tensor, Tensor) or tensor.dtype != dtype or tensor.dim() != 1:
                what = f"{tensor.dtype} {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
                raise ValueError(f"{name} is {what}: expected {dtype} of one axis; Contacts.from_edges makes it")
        if not self.start.is_cpu:
            return  # what .to(device) made was checked where it came from
        ends = self.start[[0, -1]].tolist() if len(self.start) else []
        if ends != [0, len(self.target)] or (self.start.diff() < 0).any():
            raise ValueError(
                f"start goes from {ends[:1]} to {ends[1:]}: expected an ascending tensor (n + 1,) from 0 to the "
                f"{len(self.target)} contacts"
            )
        if self.weight is not None and len(self.weight) != len(self.target):
            raise ValueError(f"{len(self.weight)} weights for {len(self.target)} contacts: expected one each")
        arrays = self._arrays()
        contact, fault = kernels.row_fault(*arrays, self.num_people)
        if fault:
            raise ValueError(self._fault(contact, fault))
        if self.symmetric and kernels.asymmetry(*arrays):
            raise ValueError("symmetric=True, but some contact runs one way only: expected each twice, weights equal")

    def _fault(self, contact: int, fault: int) -> str:
        source = int(torch.searchsorted(self.start, contact, right=True)) - 1
        target, last = int(self.target[contact]), self.num_people - 1
        what = {
            1: f"expected people from 0 to {last}",
            2: "a self-loop: expected contacts between two people; drop it",
            3: f"weight {None if self.weight is None else self.weight[contact].item()}: expected 0 or more, and finite",
            4: "there twice: expected each contact once; Contacts.from_edges adds up the weights of repeats",
            5: "not in ascending order: Contacts.from_edges sorts",
        }
        return f"contact {contact} from person {source} to person {target}: {what[fault]}"

    @classmethod
    def from_edges(
        cls,
        source: Any,
        target: Any,
        num_people: int,
        *,
        weight: Any = None,
        directed: bool = False,
        repeats: str = "refuse",
    ) -> Self:
        """Contacts from lists of ends, (E,) ints each, in any order.

        directed False: each edge is given once, in either direction, and runs both ways. repeats: what to do with an
        edge that is there twice: "refuse" is an error; "add" adds up the weights (1 each without weights); "merge"
        keeps it once (unweighted edges only).
        """
        ends = [_end(name, ids, num_people) for name, ids in (("source", source), ("target", target))]
        if len(ends[0]) != len(ends[1]):
            raise ValueError(f"{len(ends[0])} sources and {len(ends[1])} targets: expected one of each for an edge")
        if (loops := ends[0] == ends[1]).any():
            edge = int(loops.argmax())
            raise ValueError(f"edge {edge} is a self-loop of person {ends[0][edge]}: expected two people; drop it")
        if repeats not in ("refuse", "add", "merge") or (repeats == "merge" and weight is not None):
            raise ValueError(f"repeats is {repeats!r}: expected 'refuse', 'add', or without weights 'merge'")
        weights = _NO_WEIGHT if weight is None else np.ascontiguousarray(torch.as_tensor(weight).numpy(), np.float32)
        if weight is not None and len(weights) != len(ends[0]):
            raise ValueError(f"{len(weights)} weights for {len(ends[0])} edges: expected one each")
        if not directed:
            low, high = np.minimum(*ends), np.maximum(*ends)
            ends, weights = (
                [np.concatenate([low, high]), np.concatenate([high, low])],
                np.concatenate([weights, weights]),
            )
        _, targets, sources, weights = _sorted_by(ends[1], ends[0], weights, num_people)
        start, _, others, weights = _sorted_by(sources, targets, weights, num_people)
        start, others, weights = _without_repeats(start, others, weights, repeats)
        return cls(
            torch.from_numpy(start),
            torch.from_numpy(others),
            torch.from_numpy(weights) if len(weights) or weight is not None else None,
            symmetric=not directed,
        )

    @classmethod
    def from_networkx(cls, graph: "networkx.Graph[Any]", weight: str | None = None) -> Self:
        """The contacts of a networkx graph; person i is the i-th node in the graph's own order, ``list(graph)``.

        weight: the edge attribute that is the weight; every edge must have it. A DiGraph gives directed contacts; a
        multigraph's parallel edges are added up. Node attributes: see ``node_columns``.
        """
        place = {node: i for i, node in enumerate(graph)}
        source, target, weights = [], [], []
        for u, v, data in graph.edges(data=True):
            source.append(place[u])
            target.append(place[v])
            if weight is not None:
                if weight not in data:
                    raise ValueError(f"edge {u!r} - {v!r} has no '{weight}': expected it on every edge")
                weights.append(float(data[weight]))
        return cls.from_edges(
            np.array(source, np.int64),
            np.array(target, np.int64),
            len(place),
            weight=None if weight is None else torch.tensor(weights, dtype=torch.float32),
            directed=graph.is_directed(),
            repeats="add" if graph.is_multigraph() else "refuse",
        )

    def to_networkx(self, **columns: Tensor) -> "networkx.Graph[int]":
        """A networkx graph with nodes 0 to n - 1 in order, weights as "weight"; columns: node attributes, (n,) each."""
        import networkx

        graph: networkx.Graph[int] = networkx.Graph() if self.symmetric else networkx.DiGraph()
        graph.add_nodes_from(range(self.num_people))
        for name, column in columns.items():
            networkx.set_node_attributes(graph, dict(enumerate(column.tolist())), name)
        source, target = self.source.tolist(), self.target.tolist()
        once = [e for e in range(len(target)) if not self.symmetric or source[e] < target[e]]
        if self.weight is None:
            graph.add_edges_from((source[e], target[e]) for e in once)
        else:
            weights = self.weight.tolist()
            graph.add_weighted_edges_from((source[e], target[e], weights[e]) for e in once)
        return graph

    @property
    def num_people(self) -> int:
        """How many people there are."""
        return len(self.start) - 1

    @property
    def num_contacts(self) -> int:
        """Directed contacts: each undirected one counts twice."""
        return len(self.target)

    @property
    def degree(self) -> Tensor:
        """(n,) int64 how many people each person reaches."""
        return self.start.diff()

    @property
    def source(self) -> Tensor:
        """(E,) int64 the person from whom each contact goes; made on demand."""
        return torch.repeat_interleave(torch.arange(self.num_people, device=self.start.device), self.degree)

    @cached_property
    def reverse(self) -> "Contacts":
        """The same contacts in the other direction: row i holds those who reach person i."""
        if self.symmetric:
            return self
        if not self.start.is_cpu:
            return self.to("cpu").reverse.to(self.start.device)
        start, target, weight = self._arrays()
        first = torch.zeros(self.num_people + 1, dtype=torch.int64)
        kernels.count(target, first.numpy())
        source = torch.empty_like(self.target)
        weights = np.empty_like(weight)
        kernels.place_rows(start, target, weight, first.clone().numpy().view(np.uint64), source.numpy(), weights)
        return Contacts(first, source, None if self.weight is None else torch.from_numpy(weights))

    @cached_property
    def strength(self) -> Tensor:
        """(n,) float64 what reaches each person when everybody sends 1: the weights of their contacts."""
        return sum_over_contacts(self, torch.ones(self.num_people, device=self.start.device))

    def at(self, draws: Draws) -> "Contacts":
        """Itself: stored contacts are the same every step."""
        return self

    @cached_property
    def most(self) -> float:
        """The largest sum that a message of 1 from everybody can have."""
        if self.weight is None:
            return float(self.reverse.degree.max()) if self.num_people else 0.0
        return float(self.reverse.degree.max()) * float(self.weight.max()) if self.num_contacts else 0.0

    def _arrays(self) -> tuple[Array, Array, Array]:
        """What the kernels take: unsigned views, on the CPU."""
        weight = _NO_WEIGHT if self.weight is None else self.weight.numpy()
        return self.start.numpy().view(np.uint64), self.target.numpy().view(np.uint32), weight

    def to(self, device: str | torch.device) -> "Contacts":
        """The same contacts on another device."""
        weight = None if self.weight is None else self.weight.to(device)
        return replace(self, start=self.start.to(device), target=self.target.to(device), weight=weight)

    def where(self, keep: Tensor) -> "Contacts":
        """Only the contacts that ``keep`` says, (E,) bool; a symmetric network needs it to hold both ways."""
        kept = keep.to(torch.int64).cumsum(0)
        start = torch.nn.functional.pad(kept, (1, 0))[self.start]
        weight = None if self.weight is None else self.weight[keep]
        return replace(self, start=start, target=self.target[keep], weight=weight)

    def among(self, who: Tensor) -> "Contacts":
        """Only the contacts between people of whom ``who`` holds, (n,) bool; all people keep their places."""
        return self.where(who[self.source] & who[self.target.long()])


def node_columns(graph: "networkx.Graph[Any]", *names: str) -> dict[str, Tensor]:
    """Node attributes of a networkx graph as columns, (n,) each; row i is the i-th node of ``list(graph)``.

    names: which; all that the first node has by default. Bools give bool, ints int64, other numbers float32. Raises
    ValueError for a node without the attribute, and for text: ``Population`` (``envs.archetypes.from_table``) has
    labels for that.
    """
    nodes = list(graph.nodes(data=True))
    columns = {}
    for name in names or list(nodes[0][1]):
        if missing := [node for node, data in nodes if name not in data]:
            raise ValueError(f"node {missing[0]!r} has no '{name}': expected it on every node")
        values = [data[name] for _, data in nodes]
        kinds = {type(value.item() if hasattr(value, "item") else value) for value in values}
        if kinds not in ({bool}, {int}) and not kinds <= {int, float}:
            raise ValueError(
                f"'{name}' holds {sorted(kind.__name__ for kind in kinds)}: expected bools or numbers; make people of "
                "text with from_table(pandas.DataFrame.from_dict(dict(graph.nodes(data=True)), orient='index'))"
            )
        dtype = {bool: torch.bool, int: torch.int64}.get(next(iter(kinds)) if len(kinds) == 1 else float, torch.float32)
        columns[name] = torch.tensor(values, dtype=dtype)
    return columns


def _end(name: str, ids: Any, num_people: int) -> Array:
    """One end of each edge as int32, or an error."""
    tensor = torch.as_tensor(ids)
    if tensor.dim() != 1 or tensor.dtype.is_floating_point or tensor.dtype == torch.bool:
        raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}: expected ints of shape (E,)")
    if not 0 < num_people <= 2**31 - 1:
        raise ValueError(f"num_people is {num_people}: expected 1 to 2^31 - 1")
    if len(tensor) and not (int(tensor.min()) >= 0 and int(tensor.max()) < num_people):
        edge = int(((tensor < 0) | (tensor >= num_people)).nonzero()[0])
        raise ValueError(f"{name} of edge {edge} is {int(tensor[edge])}: expected people from 0 to {num_people - 1}")
    return np.ascontiguousarray(tensor.cpu().numpy().astype(np.int32, copy=False))


def _sorted_by(by: Array, other: Array, weight: Array, num_people: int) -> tuple[Array, Array, Array, Array]:
    """Contacts sorted by one end, stably: where each row starts, and the three arrays in the new order."""
    start = np.zeros(num_people + 1, np.int64)
    kernels.count(by.view(np.uint32), start)
    others, weights = np.empty_like(other), np.empty_like(weight)
    kernels.place(by.view(np.uint32), other, weight, start.copy().view(np.uint64), others, weights)
    return start, np.repeat(np.arange(num_people, dtype=np.int32), np.diff(start)), others, weights


def _without_repeats(start: Array, other: Array, weight: Array, repeats: str) -> tuple[Array, Array, Array]:
    """Rows in which each contact stands once."""
    again = np.zeros(len(other), bool)
    again[1:] = other[1:] == other[:-1]
    again[start[:-1][start[:-1] < len(other)]] = False  # the first of a row repeats nobody
    if not again.any():
        return start, other, weight
    if repeats == "refuse":
        contact = int(again.argmax())
        source = int(np.searchsorted(start, contact, side="right")) - 1
        raise ValueError(
            f"the edge between {source} and {other[contact]} is there more than once: expected each edge once, in one "
            "direction unless directed=True; repeats='add' adds up weights, 'merge' keeps one"
        )
    first = np.flatnonzero(~again)
    if repeats == "add":
        weight = np.add.reduceat(weight if len(weight) else np.ones(len(other), np.float32), first)
    kept = np.concatenate([[0], np.cumsum(~again)])
    return kept[start], other[first], weight


def check_rows(contacts: Network, draws: Draws) -> None:
    """Raise ValueError where a population world is run with other rows than its contacts have people."""
    if len(draws.ids) != contacts.num_people:
        raise ValueError(
            f"{len(draws.ids)} rows for the contacts of {contacts.num_people} people: expected a row for each; pass "
            f"rows={contacts.num_people}"
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
    """What reaches each person along their contacts, (n,) float64: the sum over contacts j to i of the messages.

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
    if message is not None:
        if not isinstance(contacts, Contacts):
            raise TypeError(f"a message of one's own over {type(contacts).__name__}: expected stored Contacts")
        return _sum_of_messages(contacts, message, _columns(sent), _columns(received), resolution)
    if not isinstance(sent, Tensor) or sent.shape != (contacts.num_people,):
        what = tuple(sent.shape) if isinstance(sent, Tensor) else type(sent).__name__
        raise ValueError(f"sent is {what}: expected a tensor ({contacts.num_people},), one message a person")
    if not sent.requires_grad:
        return _total(contacts, _on_grid(contacts, sent, resolution), resolution)
    if isinstance(contacts, Contacts):
        return _Sum.apply(sent, contacts, resolution)  # type: ignore[no-untyped-call]
    return _reaching(contacts).reached(sent + (_on_grid(contacts, sent, resolution) - sent).detach(), resolution)


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
        message = _on_grid(contacts, sent, resolution)
        total = _total(contacts, message, resolution)
        return cls(message, total if (count := _count_dtype(contacts, message)) is None else total.to(count))

    def next(self, contacts: Network, sent: Tensor, resolution: float = RESOLUTION) -> "ContactSum":
        """What it is when people send ``sent``, over the same contacts (where they differ, begin anew with ``of``)."""
        message = _on_grid(contacts, sent, resolution)
        if not message.is_cpu or not isinstance(contacts, Contacts):
            return ContactSum.of(contacts, sent, resolution)
        sent_now, before, total = message.numpy(), self.sent.numpy(), self.total.numpy().copy()
        if _count_dtype(contacts, message) is None:
            kernels.push(*contacts._arrays(), sent_now, before, resolution, total)
        else:
            _push_counts(contacts, sent_now, before, total)
        return ContactSum(message, torch.from_numpy(total))


def _push_counts(contacts: Contacts, sent: Array, before: Array, total: Array) -> None:
    """``kernels.push_counts``, in threads where people are many: each adds up apart what its people send."""
    start, target, _ = contacts._arrays()
    parts = kernels.parts(len(sent))
    if len(parts) == 1:
        kernels.push_counts(start, target, sent, before, total)
        return
    apart = [total, *(np.zeros_like(total) for _ in parts[1:])]
    kernels.together(
        [
            partial(kernels.push_counts, start[part.start : part.stop + 1], target, sent[part], before[part], out)
            for part, out in zip(parts, apart, strict=True)
        ]
    )
    for out in apart[1:]:
        total += out


def _count_dtype(contacts: Network, message: Tensor) -> torch.dtype | None:
    """What counts of yes-or-no messages fit into; None for other messages, and where a contact may count for more."""
    if message.dtype != torch.uint8 or not isinstance(contacts, Contacts) or contacts.weight is not None:
        return None
    return torch.uint8 if contacts.most <= 255 else torch.int32


def _columns(columns: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (columns,) if isinstance(columns, Tensor) else tuple(columns)


def _on_grid(contacts: Network, sent: Tensor, resolution: float) -> Tensor:
    """Messages as multiples of the resolution, small enough for their sums to be exact."""
    if sent.dtype == torch.bool:
        return sent.contiguous().view(torch.uint8)  # the same bytes; compiled code adds them up without looking
    if not sent.dtype.is_floating_point:
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
            f"the largest message is {float(sent.abs().max()):g} and up to {meet:g} of them meet: expected "
            f"finite messages whose sums stay below {most:g}; send smaller units, or pass a coarser resolution"
        )
    return out


def _total(contacts: Network, sent: Tensor, resolution: float) -> Tensor:
    """The sum of messages that are on the grid already."""
    if not isinstance(contacts, Contacts):
        return _reaching(contacts).reached(sent, resolution)
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
