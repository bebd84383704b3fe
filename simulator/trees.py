"""States, worlds and policies as trees of arrays: taken apart, rebuilt, cut by rows, moved to a device, lent.

A world may hand out the very memory that it keeps as its state, or its parameters. The function of a ``Do`` or a
``Record`` is given one column, and a copy of it costs no more than what the function computes. A policy is shown all
that there is, in every step, where copies would be felt. So it is lent it, to read and not to write to: torch counts
how often a tensor and its views have been written to, and a count that has moved names who wrote. NumPy's writing into
a tensor's memory is not counted; ``check_policy`` compares contents.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

_LEAF = (Tensor, np.ndarray, int, float, bool, str, type(None))


def leaves_of(tree: Any, found: list[Any] | None = None) -> list[Any]:
    """The arrays of a tree of dataclasses, dicts, lists and tuples, in a fixed order."""
    found = [] if found is None else found
    if isinstance(tree, _LEAF):
        found.append(tree)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            leaves_of(item, found)
    elif is_dataclass(tree):
        for field in fields(tree):
            leaves_of(getattr(tree, field.name), found)
    elif isinstance(tree, Mapping):
        for key in tree:
            leaves_of(tree[key], found)
    else:
        raise TypeError(
            f"the state holds a {type(tree).__name__}: expected tensors, in dataclasses, dicts, lists or tuples, "
            "which can be saved in a checkpoint and cut by rows"
        )
    return found


def rebuild(tree: Any, leaves: Any) -> Any:
    """A tree of the same form as ``tree`` with other leaves, an iterator."""
    if isinstance(tree, _LEAF):
        return next(leaves)
    if type(tree) is tuple:
        return tuple([rebuild(item, leaves) for item in tree])
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{f.name: rebuild(getattr(tree, f.name), leaves) for f in fields(tree)})
    if isinstance(tree, Mapping):
        return {key: rebuild(tree[key], leaves) for key in tree}
    items = [rebuild(item, leaves) for item in tree]
    return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """A tree of the same form, with the function of each leaf; faster than taking it apart and rebuilding it."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, tuple):
        items = [map_tree(function, item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if isinstance(tree, Mapping):
        return {key: map_tree(function, item) for key, item in tree.items()}
    return rebuild(tree, map(function, leaves_of(tree)))


Thing = TypeVar("Thing")


def to_device(value: Thing, device: str | torch.device) -> Thing:
    """The same with all its tensors on a device: a world, a network, a policy, a list of interventions.

    Dataclasses, dicts, lists and tuples are taken apart; what a function or another object holds stays where it is.
    """
    try:
        device = torch.device(device)
    except (TypeError, RuntimeError):
        raise ValueError(f"device is {device!r}: expected one of torch's, such as 'cpu' or 'cuda:0'") from None
    if isinstance(value, Tensor):
        return value.to(device)  # type: ignore[return-value]
    return with_parts(value, lambda part: to_device(part, device))


def with_parts(value: Any, change: Callable[[Any], Any]) -> Any:
    """``value`` with each of its parts changed; parts are the fields of a dataclass, items of a dict, list or tuple."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
        new = {name: change(part) for name, part in parts.items()}
        new = {name: part for name, part in new.items() if part is not parts[name]}
        return replace(value, **new) if new else value
    if isinstance(value, Mapping):
        return {key: change(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(change(item) for item in value)
    return value


def select_rows(tree: Any, rows: Tensor) -> Any:
    """The rows of a state, an action or an observation: of each array in it."""

    def cut(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf[rows]
        return leaf[rows.numpy()] if isinstance(leaf, np.ndarray) else leaf  # NumPy takes a tensor of one for an int

    return rebuild(tree, map(cut, leaves_of(tree)))


def concatenate(leaves: tuple[Any, ...]) -> Any:
    """Arrays of one kind, one after the other."""
    return torch.cat(leaves) if isinstance(leaves[0], Tensor) else np.concatenate(leaves)


def to_cpu(leaf: Any) -> Any:
    """An array in main memory."""
    return leaf.cpu() if isinstance(leaf, Tensor) else leaf


Lent = list[tuple[Tensor, int]]  # what was handed out, and how often it had been written to


def lend(column: Any, lent: Lent) -> Any:
    """A column as others may see it: tensors as they are, which ``lent`` notes, and text that is read-only."""
    if isinstance(column, Tensor):
        if column.is_inference():
            return column.clone()  # nothing is counted of these
        lent.append((column, column._version))
        return column
    if isinstance(column, dict):
        return {key: lend(part, lent) for key, part in column.items()}
    if isinstance(column, np.ndarray):
        column = column.view()
        column.flags.writeable = False
    return column


def is_unwritten(lent: Iterable[tuple[Tensor, int]]) -> bool:
    """Whether nobody has written to what was lent."""
    return all(tensor._version == before for tensor, before in lent)


def _written(policy: Any, what: str) -> RuntimeError:
    return RuntimeError(
        f"act of {type(policy).__name__} wrote to {what} in place, which others hold too: expected it to be read only; "
        "compute on a copy, such as x.clone(), or by what returns a new tensor, x.clamp(…) rather than x.clamp_(…)"
    )


def owned(column: Any) -> Any:
    """A copy of a column, for who may do with it what they like."""
    if isinstance(column, Tensor):
        return column.clone()
    if isinstance(column, dict):
        return {key: owned(part) for key, part in column.items()}
    return column.copy() if isinstance(column, np.ndarray) else column


def ask(policy: Any, observation: Any, history: Any, draws: Any, site: Any = None) -> Any:
    """The action of a policy, ``policy.act(observation, history, draws)``; it may write to nothing that it is handed.

    site: handed to a policy that names quantities of its own, see ``world.Naming``.

    For a world that seats a policy inside itself, such as a user. Of the history that is looked at which is ``lent``:
    that of a run notes what is read of it, that of a ``Memory`` has all. Raises RuntimeError where the policy has
    written to what it saw.
    """
    ids = draws.ids
    act = policy.act if site is None or not getattr(policy, "names_sites", False) else partial(policy.act, site=site)
    try:  # one tensor, as below, in a fifth of the time
        before, before_ids = observation._version, ids._version
    except (AttributeError, RuntimeError):
        lent: Lent = []
        lent_ids = [] if ids.is_inference() else [(ids, ids._version)]
        action = act(lend(observation, lent), history, draws)
        unwritten, same_rows = is_unwritten(lent), is_unwritten(lent_ids)
    else:
        action = act(observation, history, draws)
        unwritten, same_rows = observation._version == before, ids._version == before_ids
    if not unwritten:
        raise _written(policy, "the observation")
    if not same_rows:
        raise _written(policy, "the ids of the rows")
    if "lent" in history.__dict__ and not is_unwritten(history.__dict__["lent"]):
        raise _written(policy, "the history")
    return action


def lend_history(history: Any) -> Any:
    """The history, all of whose columns are lent."""
    lent: Lent = []
    history.__dict__["lent"] = lent
    history.__dict__["_by_time"] = lend(history._by_time, lent)
    return history


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays, or dicts of them, are the same to the bit."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same_bits(a[k], b[k]) for k in a)
    if isinstance(a, Tensor):
        if not isinstance(b, Tensor) or (a.dtype, a.shape) != (b.dtype, b.shape):
            return False
        whole = torch.contiguous_format  # a row of a longer history, or a column kept once, is strided
        left, right = (x.clone(memory_format=whole).flatten().view(torch.uint8) for x in (a, b))
        return torch.equal(left, right)
    if not isinstance(b, np.ndarray) or (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    return bool((a == b).all()) if a.dtype == object else a.tobytes() == b.tobytes()
