"""Contacts: who reaches whom, in compressed rows; from and to networkx."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from ..draws import Draws
from . import kernels
from .edges import NO_WEIGHT, Array, checked_end, sorted_by, without_repeats

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, eq=False)
class Contacts:
    """A network of who reaches whom: contacts from a person (source) to another (target), in compressed rows.

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
        ends = [checked_end(name, ids, num_people) for name, ids in (("source", source), ("target", target))]
        if len(ends[0]) != len(ends[1]):
            raise ValueError(f"{len(ends[0])} sources and {len(ends[1])} targets: expected one of each for an edge")
        if (loops := ends[0] == ends[1]).any():
            edge = int(loops.argmax())
            raise ValueError(f"edge {edge} is a self-loop of person {ends[0][edge]}: expected two people; drop it")
        if repeats not in ("refuse", "add", "merge") or (repeats == "merge" and weight is not None):
            raise ValueError(f"repeats is {repeats!r}: expected 'refuse', 'add', or without weights 'merge'")
        weights = NO_WEIGHT if weight is None else np.ascontiguousarray(torch.as_tensor(weight).numpy(), np.float32)
        if weight is not None and len(weights) != len(ends[0]):
            raise ValueError(f"{len(weights)} weights for {len(ends[0])} edges: expected one each")
        if not directed:
            low, high = np.minimum(*ends), np.maximum(*ends)
            ends, weights = (
                [np.concatenate([low, high]), np.concatenate([high, low])],
                np.concatenate([weights, weights]),
            )
        _, targets, sources, weights = sorted_by(ends[1], ends[0], weights, num_people)
        start, _, others, weights = sorted_by(sources, targets, weights, num_people)
        start, others, weights = without_repeats(start, others, weights, repeats)
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
        """The number of people."""
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

        from .sums import sum_over_contacts

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
        """The arrays that the kernels take: unsigned views, on the CPU."""
        weight = NO_WEIGHT if self.weight is None else self.weight.numpy()
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
