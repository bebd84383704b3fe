"""Parameters of population worlds, checked at the door, and whom they begin with."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arguments import INTS, as_tensor, check_is, check_number
from ..draws import Draws
from ..networks import Contacts, Network, check_same_people


@dataclass(frozen=True)
class InEach:
    """So many people, in each of several populations side by side: what an int for ``initial`` becomes."""

    people: int
    populations: int = 1


Initial = float | Tensor | InEach  # a probability, one for each person, or a number of people


def checked_contacts(name: str, value: Any) -> Network:
    """A network, or a networkx graph as one (with "weight" where its edges have that); TypeError otherwise."""
    if all(hasattr(value, part) for part in ("num_people", "strength", "at")):
        network: Network = value
        return network
    if hasattr(value, "is_multigraph") and hasattr(value, "edges"):
        weighted = any("weight" in data for *_, data in value.edges(data=True))
        return Contacts.from_networkx(value, weight="weight" if weighted else None)
    raise TypeError(
        f"{name} is a {type(value).__name__}: expected contacts, such as Contacts.from_edges or a generator of "
        "ethogram.simulator.networks makes, or a networkx graph"
    )


def checked_layers(layers: Any, weights: Mapping[str, float]) -> dict[str, Network]:
    """Name -> contacts, of the same people; contacts alone are the layer "community". weights: of some of them."""
    if not isinstance(layers, Mapping):
        layers = {"community": checked_contacts("layers", layers)}
    checked = {name: checked_contacts(f"layers['{name}']", layer) for name, layer in layers.items()}
    if not checked:
        raise ValueError("layers is empty: expected at least one, such as {'community': contacts}")
    n = next(iter(checked.values())).num_people
    for name, layer in checked.items():
        if layer.num_people != n:
            raise ValueError(f"layers['{name}'] has {layer.num_people} people: expected {n}, as the others")
    check_same_people({f"layers['{name}']": layer for name, layer in checked.items()})
    check_is("layer_weight", weights, Mapping, "a dict of some layers to a factor each")
    if unknown := sorted(set(weights) - set(checked)):
        raise ValueError(f"layer_weight names {unknown}: expected layers, of which there are {sorted(checked)}")
    for name, weight in weights.items():
        check_number(f"layer_weight of '{name}'", weight)
    return checked


def checked_column(
    name: str, value: Any, num_people: int, top: int, layers: Mapping[str, Network] | None = None
) -> Tensor:
    """(n,) int64 of a tensor, an array or a list of whole numbers from 0 to ``top``, one for each person.

    A pandas column whose index is not just 0, 1, … must call the people as the layers do.
    """
    index: Any = getattr(value, "index", None)  # a list has a method of this name
    if layers and hasattr(index, "to_numpy") and not np.array_equal(index.to_numpy(), np.arange(len(index))):
        named: dict[str, Any] = {f"layers['{layer}']": network for layer, network in layers.items()}
        check_same_people({**named, name: SimpleNamespace(names=index.to_numpy())})
    column = as_tensor(name, value)
    whole = not (column.is_floating_point() or column.is_complex() or column.dtype == torch.bool)
    if not whole or tuple(column.shape) != (num_people,):
        what = f"{column.dtype} {tuple(column.shape)}"
        raise ValueError(f"{name} is {what}: expected whole numbers ({num_people},), int64, one for each person")
    if (wrong := (column < 0) | (column > top)).any():
        row = int(wrong.nonzero()[0])
        raise ValueError(f"{name} of person {row} is {int(column[row])}: expected 0 to {top}")
    return column.long()


def check_choices(action: Tensor, shape: tuple[int, ...], what: str) -> None:
    """Raise ValueError unless actions are of this shape, people first, and 0 or 1 each; what: what they say."""
    if action.shape != shape:
        raise ValueError(f"action has shape {tuple(action.shape)}: expected {tuple(shape)}, {what}")
    if action.is_cpu and not action.requires_grad:
        values = action.numpy()
        if values.strides[0] == 0:  # the same for all
            values = values[:1]
        if values.dtype.kind in "iub" and np.bitwise_or.reduce(values, axis=None) in (0, 1):  # the quickest
            return
    good = (action == 0) | (action == 1)
    if not good.all():
        row = int((~good).nonzero()[0, 0])
        raise ValueError(f"action of person {row} is {action[row].tolist()}: expected 0 or 1, {what}")


def checked_initial(value: Any, num_people: int) -> Initial:
    """Whom a population world begins with: an int is a number of people, anything else a probability, or (n,) each."""
    if isinstance(value, InEach):
        return value
    what = f"a probability, one for each of {num_people} people, or, as an int, how many of them"
    if isinstance(value, Tensor | np.ndarray) and not value.shape and not isinstance(value.item(), float):
        value = value.item()  # an int is one in an array, too
    if isinstance(value, INTS) and not isinstance(value, bool):
        if not 0 <= value <= num_people:
            raise ValueError(f"initial is {value}: expected {what}")
        return InEach(int(value))
    try:
        share = value if isinstance(value, Tensor) else torch.as_tensor(np.require(value, requirements="W"))
    except TypeError:
        raise TypeError(f"initial is {value!r}: expected {what}") from None
    good = tuple(share.shape) in ((), (num_people,)) and ((share >= 0) & (share <= 1)).all()
    if not good or (not share.dim() and share.dtype == torch.bool):
        raise ValueError(f"initial is {value}: expected {what}")
    return share if share.dim() or isinstance(value, Tensor) else float(value)


def first_people(initial: Initial, draws: Draws, contacts: Network) -> Tensor:
    """(n,) bool: with whom it begins, by the draws of the site "initial".

    A number of people is of those with the lowest draws: the share that has as many begins with the same.
    """
    if not isinstance(initial, InEach):
        return draws.bernoulli("initial", torch.as_tensor(initial))
    luck, shard = draws.uniform("initial"), getattr(contacts, "shard", None)
    everybody = luck if shard is None else shard.gathered(luck)
    first = _lowest(everybody.view(initial.populations, -1), initial.people).flatten()
    return first if shard is None else first[shard.people]


def _lowest(numbers: Tensor, k: int) -> Tensor:
    """The k lowest of each row, (r, n) bool; of equal ones those that come first."""
    if k == 0:
        return torch.zeros_like(numbers, dtype=torch.bool)
    last = numbers.kthvalue(k, dim=1, keepdim=True).values
    below, equal = numbers < last, numbers == last
    return below | (equal & (equal.cumsum(1) <= k - below.sum(1, keepdim=True)))
