"""A world, a policy or interventions on another device.

``rollout`` runs where its rows are: ``rollout(to_device(world, "cuda"), policy, rows=torch.arange(n, device="cuda"))``.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Thing = TypeVar("Thing")


def to_device(value: Thing, device: str | torch.device) -> Thing:
    """The same with all its tensors on a device: a world, a network, a policy, a list of interventions.

    Dataclasses, dicts, lists and tuples are taken apart; what a function or another object holds stays where it is.
    """
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
