"""What a policy sees of its past, changed: mechanisms for ``Do("history", …)``.

The record of the run stays as it is; only what the policy reads is another. What it sees at present is not touched.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arguments import check_callable, checked_int
from ..draws import Draws
from ..history import Column, History, map_column
from ..trees import owned

Change = Callable[[History], History]


def drop_past(keep: int) -> Change:
    """``Do("history", drop_past(2))``: the policy sees no more than the last ``keep`` steps before the present."""
    keep = checked_int("keep", keep, 0)

    def dropped(history: History) -> History:
        return _of_steps(history, torch.arange(history.num_steps)[max(history.num_steps - keep, 0) :])

    return dropped


def shuffle_past(history: History) -> History:
    """``Do("history", shuffle_past)``: the steps before the present in any order, drawn anew for each row and step.

    What was seen at a step and what was done at it stay together.
    """
    if not history.num_steps:
        return history
    draws = Draws(history.seed, history.ids, history.num_steps, scope="history")
    return _of_steps(history, draws.uniform("order", history.num_steps).argsort(1))


def corrupt_past(change: Callable[[Any], Any]) -> Change:
    """``Do("history", corrupt_past(f))``: what was seen before the present, (n, t, …), is what f makes of a copy of it.

    Raises TypeError where f is no function.
    """
    check_callable("change", change, "a function of the observations before the present one")

    def corrupted(history: History) -> History:
        if not history.num_steps:
            return history
        past = map_column(lambda leaf: leaf[:, :-1], history.observation)
        return _of_steps(history, torch.arange(history.num_steps), change(owned(past)))

    return corrupted


def _of_steps(history: History, steps: Tensor, past: Column | None = None) -> History:
    """A history of some steps only, (k,) or (n, k), in their order, and the present; past: what was seen at them."""
    rows = torch.arange(len(history))[:, None]

    def at(leaf: Any) -> Any:
        return leaf[rows, steps] if isinstance(leaf, Tensor) else leaf[rows.numpy(), steps.numpy()]

    def with_present(before: Any, whole: Any) -> Any:
        joined = torch.cat if isinstance(whole, Tensor) else np.concatenate
        return joined([before, whole[:, history.num_steps :]], 1)  # type: ignore[operator]

    if not history.num_steps:
        return history
    columns = {name: map_column(at, column) for name, column in history.columns.items() if name != "observation"}
    seen = history.observation
    core = {name: columns.pop(name) for name in ("action", "reward", "terminated", "truncated")}
    left = history.num_steps - steps.shape[-1]
    return History.of(
        observation=map_column(with_present, map_column(at, seen) if past is None else past, seen),
        **core,
        sites=columns,
        length=(history.length - left).clamp(min=0),
        ids=history.ids,
        seed=history.seed,
        scenario=history.scenario,
    )
