"""The check of rows at steps of their own, as a vector environment has them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checkpoints import fingerprint
from ..draws import Draws
from ..sites import Sites
from ..trees import leaves_of, rebuild, select_rows
from .difference import described
from .watched import Watched, nothing_yet


def check_rows_at_steps(run: Watched, name: str) -> None:
    """Raise unless one call moves rows that are at different steps as it moves each of them among its like."""
    states, actions, found, length = _played(run)
    steps = torch.minimum(torch.arange(len(run.ids)) % run.horizon, length - 1)
    at = steps.tolist()
    for t in range(1, len(states)):
        _check_form(states[0], states[t], t)
    state, action = (_woven([parts[t] for t in at]) for parts in (states, actions))
    site = Sites()
    site.step = steps  # type: ignore[assignment]
    try:
        new = run.world.step(state, action, Draws(run.seed, run.ids, scope="world").at(steps), site)
    except Exception as error:
        raise AssertionError(
            f"{name} cannot step rows that are at steps {at}: {error!r}; draws.step is an int where all are at one "
            "step, and (n,) int64 where they are not: do with both"
        ) from error
    for i, t in enumerate(at):
        row = torch.tensor([i])
        for part, here, there in zip(new._fields, new, found[t], strict=True):
            assert fingerprint(select_rows(here, row)) == fingerprint(select_rows(there, row)), (
                f"{part} of a row at step {t} is {_shown(here, row)} among rows at steps {at} and {_shown(there, row)} "
                f"among rows at its own: read draws.step row by row, (n,) int64 where rows are at different steps"
            )


def _played(run: Watched) -> tuple[list[Any], list[Any], list[Any], Tensor]:
    """The states, the actions and the Transitions of each step; and (n,) int64, the steps of each row."""
    going, history = run.begun(Sites()), nothing_yet(run)
    states: list[Any] = []
    actions: list[Any] = []
    found: list[Any] = []
    while len(states) < run.horizon and not going.over:
        states.append(going.state)
        actions.append(going.act(history))
        found.append(run.world.step(going.state, actions[-1], going.draws, going.site))
        going.advance(actions[-1])
    return states, actions, found, going.length


def _check_form(first: Any, later: Any, step: int) -> None:
    """Raise unless a state is made as the first one: rows that begin now stand among such as began before."""
    parts, others = leaves_of(first), leaves_of(later)
    forms = [[type(state).__name__, *map(_form, leaves)] for state, leaves in ((first, parts), (later, others))]
    assert forms[0] == forms[1], (
        f"the state is {forms[0]} after reset and {forms[1]} at step {step}: expected the same parts, of the same "
        "types and shapes; keep what changes in tensors, a row for each id"
    )


def _form(leaf: Any) -> str:
    return f"{leaf.dtype} {tuple(leaf.shape)}" if isinstance(leaf, Tensor | np.ndarray) else repr(leaf)


def _woven(trees: Sequence[Any]) -> Any:
    """A tree of which row i is row i of the i-th tree."""

    def weave(leaves: Sequence[Any]) -> Any:
        if isinstance(leaves[0], Tensor):
            return torch.stack([leaf[i] for i, leaf in enumerate(leaves)])
        if not isinstance(leaves[0], np.ndarray):
            return leaves[0]
        woven = leaves[0].copy()
        for i, leaf in enumerate(leaves):
            woven[i] = leaf[i]
        return woven

    return rebuild(trees[0], map(weave, zip(*map(leaves_of, trees), strict=True)))


def _shown(part: Any, row: Tensor) -> str:
    """A row of a part, in words."""
    one = select_rows(part, row)
    return described(one) if isinstance(one, Tensor | np.ndarray | dict) else repr(one)
