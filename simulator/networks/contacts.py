"""Contacts: who reaches whom, in compressed rows; from and to networkx."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from ..arguments import check_has
from ..draws import Draws
from . import kernels
from .columns import Names, all_names, as_column, as_names, called, checked_names, html_table, rows_of, some
from .edges import NO_WEIGHT, Array, checked_end, sorted_by, without_repeats

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, eq=False)
class Contacts:
    """A network of who reaches whom: contacts from a person (source) to another (target), in compressed rows.

    start: (n + 1,) int64; person i reaches ``target[start[i]:start[i + 1]]``, ascending. target: (E,) int32.
    weight: (E,) float32 >= 0, how strong each contact is; None: all 1. symmetric: each contact runs both ways with
    one weight (stored twice). names: (n,) what people are called, an array of text or numbers; None: 0 to n - 1. Make
    one with ``from_edges``, ``from_networkx`` or a function of ``generators``.

    Raises ValueError for ids out of range, self-loops, repeated contacts, and weights that are negative or not finite.
    """

    start: Tensor
    target: Tensor
    weight: Tensor | None = None
    symmetric: bool = False
    names: Names | None = None

    def __post_init__(self) -> None:
        types = {"start": (self.start, torch.int64), "target": (self.target, torch.int32)}
        if self.weight is not None:
            types["weight"] = (self.weight, torch.float32)
        for name, (tensor, dtype) in types.items():
            if not isinstance(tensor, Tensor) or tensor.dtype != dtype or tensor.dim() != 1:
                what = f"{tensor.dtype} {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
                raise ValueError(f"{name} is {what}: expected {dtype} of one axis; Contacts.from_edges makes it")
        if self.names is not None:
            check_has("names", self.names, "an array, one for each person", "__len__")
        if self.names is not None and len(self.names) != len(self.start) - 1:
            raise ValueError(f"{len(self.names)} names for {len(self.start) - 1} people: expected one for each")
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
        object.__setattr__(self, "_as_checked", self._versions())
        arrays = self._arrays()
        contact, fault = kernels.row_fault(*arrays, self.num_people)
        if fault:
            raise ValueError(self._fault(contact, fault))
        if self.symmetric and kernels.asymmetry(*arrays):
            raise ValueError("symmetric=True, but some contact runs one way only: expected each twice, weights equal")

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a copy's fields; its tensors count their changes anew."""
        self.__dict__.update(state)
        if "_as_checked" in state:
            self.__dict__["_as_checked"] = self._versions()

    def _versions(self) -> tuple[int, ...]:
        """How often each tensor was written to."""
        try:
            return self.start._version, self.target._version, 0 if self.weight is None else self.weight._version
        except RuntimeError:  # in torch.inference_mode they do not count
            return ()

    def _fault(self, contact: int, fault: int) -> str:
        source = int(torch.searchsorted(self.start, contact, right=True)) - 1
        target, last = int(self.target[contact]), self.num_people - 1
        names = None if fault == 1 else self.names
        what = {
            1: f"target: expected people from 0 to {last}",
            2: "a self-loop: expected contacts between two people; drop it",
            3: f"weight {None if self.weight is None else self.weight[contact].item()}: expected 0 or more, and finite",
            4: "there twice: expected each contact once; Contacts.from_edges adds up the weights of repeats",
            5: "target not in ascending order: expected it sorted, as Contacts.from_edges does",
        }
        return f"contact {contact} from person {called(names, source)} to {called(names, target)}: {what[fault]}"

    @classmethod
    def from_edges(
        cls,
        source: Any,
        target: Any,
        num_people: int | None = None,
        *,
        names: Any = None,
        weight: Any = None,
        directed: bool = False,
        repeats: str = "refuse",
    ) -> Self:
        """Contacts from lists of ends, (E,) each, in any order: tensors, arrays, pandas columns or lists.

        Ends are people's numbers from 0, below num_people; or their ids, text or numbers. names: whose ids these are,
        in the order of the rows (``people.names``), some without contacts perhaps; None and no num_people: just those
        who come up, in ascending order. weight: one for each edge.

        directed False: each edge is given once, in either direction, and runs both ways. repeats: what to do with an
        edge that is there twice: "refuse" is an error; "add" adds up the weights (1 each without weights); "merge"
        keeps it once (unweighted edges only).
        """
        ids = {"source": source, "target": target}
        if names is None and num_people is None:
            names = all_names(as_names(source), as_names(target))
        if names is not None:
            num_people = len(names) if num_people is None else num_people
            names = checked_names(names, num_people)
            ids = {end: rows_of(names, num_people, some, end) for end, some in ids.items()}
        return cls._of_rows(ids, num_people, names, weight, directed, repeats)

    @classmethod
    def _of_rows(
        cls, ids: dict[str, Any], num_people: Any, names: Names | None, weight: Any, directed: bool, repeats: str
    ) -> Self:
        """``from_edges`` of the rows of people: ids: "source" and "target"."""
        ends = [checked_end(end, some, num_people) for end, some in ids.items()]
        if len(ends[0]) != len(ends[1]):
            raise ValueError(f"{len(ends[0])} sources and {len(ends[1])} targets: expected one of each for an edge")
        if (loops := ends[0] == ends[1]).any():
            edge = int(loops.argmax())
            person = called(names, ends[0][edge])
            raise ValueError(f"edge {edge} is a self-loop of person {person}: expected two people; drop it")
        if repeats not in ("refuse", "add", "merge") or (repeats == "merge" and weight is not None):
            raise ValueError(f"repeats is {repeats!r}: expected 'refuse', 'add', or without weights 'merge'")
        weights = NO_WEIGHT if weight is None else as_column("weight", weight).to("cpu", torch.float32).numpy()
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
        start, others, weights = without_repeats(start, others, weights, repeats, names)
        return cls(
            torch.from_numpy(start),
            torch.from_numpy(others),
            torch.from_numpy(weights) if len(weights) or weight is not None else None,
            symmetric=not directed,
            names=names,
        )

    @classmethod
    def from_networkx(cls, graph: "networkx.Graph[Any]", weight: str | None = None, *, names: Any = None) -> Self:
        """The contacts of a networkx graph; person i is the i-th node in the graph's own order, ``list(graph)``.

        names: the nodes in another order, some without contacts perhaps (``people.names``). Nodes other than 0 to
        n - 1 are the names of the people. weight: the edge attribute that is the weight; every edge must have it. A
        DiGraph gives directed contacts; a multigraph's parallel edges are added up. Node attributes: ``node_columns``.
        """
        check_has("graph", graph, "a graph of networkx", "edges", "is_multigraph")
        names = checked_names(list(graph) if names is None else names, len(graph if names is None else names))
        place = {node: i for i, node in enumerate(range(len(graph)) if names is None else names.tolist())}
        if strangers := [node for node in graph if node not in place]:
            raise LookupError(f"{len(strangers)} nodes are not among the names, such as {strangers[0]!r}: expected all")
        source, target = [], []
        weights: Any = []
        for u, v, data in graph.edges(data=True):
            source.append(place[u])
            target.append(place[v])
            if weight is not None:
                if weight not in data:
                    raise ValueError(f"edge {u!r} - {v!r} has no '{weight}': expected it on every edge")
                weights.append(float(data[weight]))
        ends = {"source": np.array(source, np.int64), "target": np.array(target, np.int64)}
        repeats = "add" if graph.is_multigraph() else "refuse"
        weights = None if weight is None else torch.tensor(weights, dtype=torch.float32)
        return cls._of_rows(ends, len(place), names, weights, graph.is_directed(), repeats)

    def to_networkx(self, **columns: Tensor) -> "networkx.Graph[Any]":
        """A networkx graph whose nodes are the names, weights as "weight"; columns: node attributes, (n,) each."""
        import networkx

        graph: networkx.Graph[Any] = networkx.Graph() if self.symmetric else networkx.DiGraph()
        nodes = list(range(self.num_people)) if self.names is None else self.names.tolist()
        graph.add_nodes_from(nodes)
        for name, column in columns.items():
            values = as_column(name, column).tolist()
            networkx.set_node_attributes(graph, dict(zip(nodes, values, strict=True)), name)
        source, target = self.source.tolist(), self.target.tolist()
        once = [e for e in range(len(target)) if not self.symmetric or source[e] < target[e]]
        weights = None if self.weight is None else self.weight.tolist()
        ends = ((nodes[source[e]], nodes[target[e]], {} if weights is None else {"weight": weights[e]}) for e in once)
        graph.add_edges_from(ends)
        return graph

    def along(self, names: Any) -> "Contacts":
        """The same contacts among people in another order: row i is ``names[i]``, some without contacts perhaps.

        LookupError for somebody in the network who is not among them.
        """
        check_has("names", names, "what people are called, an array, one for each", "__len__")
        names = as_names(names)
        known = checked_names(names, len(names))
        own = np.arange(self.num_people) if self.names is None else self.names
        rows = rows_of(names, len(names), own, "the network")
        ends = {"source": rows[self.source.numpy()], "target": rows[self.target.numpy()]}
        moved = Contacts._of_rows(ends, len(names), known, self.weight, True, "refuse")
        return replace(moved, symmetric=self.symmetric)

    def __repr__(self) -> str:
        kind = ("" if self.symmetric else ", one way") + ("" if self.weight is None else ", weighted")
        names = "" if self.names is None else f", names {some(self.names)}"
        return f"Contacts({self.num_people:,} people, {self.num_contacts:,} contacts{kind}{names})"

    def _repr_html_(self) -> str:
        degree = self.degree
        rows = [[called(self.names, i), str(int(degree[i]))] for i in range(min(5, self.num_people))]
        return f"<p>{self!r}</p>{html_table(rows, ['person', 'contacts'])}"

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
        kept = None if self.weight is None else torch.from_numpy(weights)
        return Contacts(first, source, kept, names=self.names)

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
        """The arrays that the kernels take unlooked at: unsigned views, on the CPU. ValueError if they have changed."""
        if self.__dict__["_as_checked"] != self._versions():
            raise ValueError(
                "start, target or weight was written to after these Contacts were made: make others instead"
            )
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
