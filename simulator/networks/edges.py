"""Edge lists sorted, checked and merged into rows; node attributes as columns."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..arguments import check_has
from . import kernels
from .columns import Names, as_names, called

if TYPE_CHECKING:
    import networkx

NO_WEIGHT = np.zeros(0, np.float32)

Array = np.ndarray[Any, Any]


def node_columns(graph: "networkx.Graph[Any]", *names: str) -> dict[str, Tensor]:
    """Node attributes of a networkx graph as columns, (n,) each; row i is the i-th node of ``list(graph)``.

    names: which; all that the first node has by default. Bools give bool, ints int64, other numbers float32. Raises
    ValueError for a node without the attribute, for numbers that are not finite, and for text: ``Population``
    (``envs.people.from_table``) has labels for that.
    """
    check_has("graph", graph, "a graph of networkx", "nodes")
    nodes = list(graph.nodes(data=True))
    columns = {}
    for name in names or (list(nodes[0][1]) if nodes else ()):
        if missing := [node for node, data in nodes if name not in data]:
            raise ValueError(f"node {missing[0]!r} has no '{name}': expected it on every node")
        values = [data[name] for _, data in nodes]
        kinds = {type(value.item() if hasattr(value, "item") else value) for value in values}
        if kinds not in ({bool}, {int}) and not kinds <= {int, float}:
            raise ValueError(
                f"'{name}' holds {sorted(kind.__name__ for kind in kinds)}: expected bools or numbers; make people of "
                "text with from_table(pandas.DataFrame.from_dict(dict(graph.nodes(data=True)), orient='index'))"
            )
        only = next(iter(kinds)) if len(kinds) == 1 else float
        dtype = {bool: torch.bool, int: torch.int64}.get(only, torch.float32)
        columns[name] = torch.tensor(values, dtype=dtype)
        if dtype == torch.float32 and (bad := ~columns[name].isfinite()).any():
            node = nodes[int(bad.nonzero()[0])]
            raise ValueError(f"'{name}' of node {node[0]!r} is {node[1][name]}: expected a finite number; fill it in")
    return columns


def checked_end(name: str, ids: Any, num_people: Any) -> Array:
    """One end of each edge as int32, or an error."""
    array = ids.cpu().numpy() if isinstance(ids, Tensor) else ids
    if not isinstance(array, np.ndarray) or array.dtype == object:
        array = as_names(array)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} is {array.dtype} {array.shape}: expected ints of shape (E,) from 0, the numbers of people; for "
            "ids of another kind leave num_people out, or pass names="
        )
    if isinstance(num_people, bool) or not isinstance(num_people, int | np.integer) or not 0 < num_people <= 2**31 - 1:
        raise ValueError(f"num_people is {num_people!r}: expected 1 to 2^31 - 1")
    if len(array) and not (array.min() >= 0 and array.max() < num_people):
        edge = int(((array < 0) | (array >= num_people)).argmax())
        raise ValueError(f"{name} of edge {edge} is {array[edge]}: expected people from 0 to {num_people - 1}")
    return np.ascontiguousarray(array, np.int32)


def sorted_by(by: Array, other: Array, weight: Array, num_people: int) -> tuple[Array, Array, Array, Array]:
    """Contacts sorted by one end, stably: where each row starts, and the three arrays in the new order."""
    start = np.zeros(num_people + 1, np.int64)
    kernels.count(by.view(np.uint32), start)
    others, weights = np.empty_like(other), np.empty_like(weight)
    kernels.place(by.view(np.uint32), other, weight, start.copy().view(np.uint64), others, weights)
    return start, np.repeat(np.arange(num_people, dtype=np.int32), np.diff(start)), others, weights


def without_repeats(
    start: Array, other: Array, weight: Array, repeats: str, names: Names | None
) -> tuple[Array, Array, Array]:
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
            f"the edge between {called(names, source)} and {called(names, other[contact])} is there more than once: "
            "expected each edge once, in one direction unless directed=True; repeats='add' adds up weights, 'merge' "
            "keeps one"
        )
    first = np.flatnonzero(~again)
    if repeats == "add":
        weight = np.add.reduceat(weight if len(weight) else np.ones(len(other), np.float32), first)
    kept = np.concatenate([[0], np.cumsum(~again)])
    return kept[start], other[first], weight
