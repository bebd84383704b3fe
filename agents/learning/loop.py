"""The loop that trains: losses in, weights out, with progress, checkpoints and a curve. It knows no algorithm."""

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ethogram.simulator import Checkpoint, check_has, check_number, checked_int

QUIET = 30.0  # seconds between two lines of progress where nobody looks at a terminal

Measures = Mapping[str, float]  # by name, such as {"reward": 0.7}


@runtime_checkable
class Trainee(Protocol):
    """Something to be trained, an ``nn.Module`` that holds all that its losses depend on.

    Chance comes from draws that are functions of ``update``, so that a training which goes on equals one that never
    stopped.
    """

    def losses(self, update: int) -> Iterator[tuple[Tensor, Measures]]:
        """The losses of an update, one for each step of the optimiser, and what to show of them.

        The optimiser steps between two of them: each sees the weights that the last one left.
        """
        ...


@dataclass(frozen=True, eq=False)
class Training:
    """The course of a training: measures by name, each (updates,) float64, NaN where an update gave none."""

    measures: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.measures:
            raise LookupError(f"no measure named {name!r}: this training has {sorted(self.measures)}")
        return self.measures[name]

    def __repr__(self) -> str:
        if not self.measures:
            return "Training of 0 updates"
        last = ", ".join(f"{name} {values[-1]:.3g}" for name, values in self.measures.items())
        return f"Training of {len(next(iter(self.measures.values())))} updates: at last {last}"

    def plot(self, *names: str, smooth: float = 0.1) -> Any:
        """A matplotlib figure of measures, all by default, over updates.

        smooth: the share of the training over which a second line averages, backwards; 0 draws none.
        """
        from ethogram.simulator import report

        names = names or tuple(self.measures)
        if not names:
            raise ValueError("there is nothing to plot: this training had no update")
        axes = report.plots.panels(len(names), columns=min(len(names), 3))
        for ax, name in zip(axes, names, strict=True):
            values = self[name]
            shown = {"each update": values}
            if smooth:
                shown["mean of the last ones"] = averaged(values, max(int(smooth * len(values)), 1))
            report.plots.curves(report.plots.label(ax, name, "update", name), shown, first=1)
        return report.plots.figure_of(axes[0])


def averaged(values: Tensor, width: int) -> Tensor:
    """(n,) the mean of the last ``width`` values at each place, of as many as there are; NaN counts for nothing."""
    return torch.stack([values[max(k + 1 - width, 0) : k + 1].nanmean() for k in range(len(values))])


def train(
    trainee: Any,
    updates: int,
    *,
    rate: float = 3e-4,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> Training:
    """Train for so many updates, by AdamW (Loshchilov & Hutter, ICLR 2019) at a constant rate.

    trainee: an ``nn.Module`` that is a ``Trainee``; parameters that need no gradient stay as they are.
    clip_norm: the largest norm of a gradient, ``math.inf`` for any.
    progress: show a bar with the measures of the last update; where stderr is no terminal, a line every 30 s at most.
    checkpoint: a file to save to at least every ``checkpoint_every`` seconds, atomically, between two updates. If it
        exists, training goes on from there, to the same bits as if it had never stopped, if torch computes with as
        many threads; it is removed at the end. Ctrl-C saves first.

    Raises FloatingPointError where a loss or a gradient is not a finite number: the weights are then as they were
    before that step.
    """
    check_has("trainee", trainee, "an nn.Module to train", "losses", "parameters", "state_dict", "load_state_dict")
    updates = checked_int("updates", updates, 1)
    for name, value in {"rate": rate, "weight_decay": weight_decay}.items():
        check_number(name, value)
    if clip_norm != math.inf:
        check_number("clip_norm", clip_norm)
    parameters = [p for p in trainee.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("trainee has no parameter that needs a gradient: expected an nn.Module with weights to train")
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=weight_decay)
    curve: list[dict[str, float]] = []
    saver, first = None, 0
    if checkpoint is not None:
        settings = {"updates": updates, "rate": rate, "weight_decay": weight_decay, "clip_norm": clip_norm}
        threads = {"threads of torch": torch.get_num_threads()}
        saver = Checkpoint(checkpoint, {"trainee": trainee, **settings, **threads}, checkpoint_every)
        if (saved := saver.load(())) is not None:
            first, _, (curve, then) = saved
            optimiser.load_state_dict(then)
    pace = 0.1 if sys.stderr.isatty() else QUIET
    bar = tqdm(
        range(first, updates),
        initial=first,
        total=updates,
        disable=not progress,
        unit="update",
        mininterval=pace,
        maxinterval=QUIET,
    )
    with bar, saver or nullcontext():
        for update in bar:
            curve.append(_update(trainee, update, optimiser, parameters, clip_norm))
            bar.set_postfix({name: f"{value:.3g}" for name, value in curve[-1].items()}, refresh=False)
            if saver is not None:
                saver.save(update + 1, (), [curve, optimiser.state_dict()], last=update == updates - 1)
    if saver is not None:
        saver.remove()
    names = dict.fromkeys(name for row in curve for name in row)
    columns = {name: [row.get(name, math.nan) for row in curve] for name in names}
    return Training({name: torch.tensor(column, dtype=torch.float64) for name, column in columns.items()})


def _update(
    trainee: Any, update: int, optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter], clip_norm: float
) -> dict[str, float]:
    """The optimiser's steps of one update; the mean of each measure over them."""
    rows: list[dict[str, float]] = []
    for loss, measures in trainee.losses(update):
        if not loss.requires_grad:
            raise ValueError(
                "a loss of the trainee has no gradient: expected one of its parameters; is something, such "
                "as log_probs, under torch.no_grad?"
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, clip_norm)
        if not bool(torch.isfinite(loss) & torch.isfinite(norm)):
            raise FloatingPointError(
                f"update {update}: the loss is {loss.item()} and its gradient's norm {norm.item()}: expected finite "
                "numbers; a lower rate or clip_norm may help"
            )
        optimiser.step()
        rows.append({"loss": loss.item(), **{name: float(value) for name, value in measures.items()}})
    names = dict.fromkeys(name for row in rows for name in row)
    return {n: math.fsum(row[n] for row in rows if n in row) / sum(n in row for row in rows) for n in names}
