"""Views: ``info`` and the picture of an episode, which the shells add to a world's observations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..run import Run
from ..sites import Sites
from . import kernels
from .convert import Array

Infos = dict[str, Array]


class View:
    """The view of any world: it hands on what the world tells, and draws its rewards.

    A view keeps nothing between calls, so that many shells may share one.
    """

    def info(self, run: Run) -> Infos:
        """The content of Gymnasium's ``info`` after a reset or a step, (n, …) arrays, always under the same names."""
        told = run.site.told or {}
        return {name: value.cpu().numpy() if isinstance(value, Tensor) else value for name, value in told.items()}

    def note(self, observation: Any, action: Any, reward: float, info: Mapping[str, Any]) -> Any:
        """The part that ``picture`` needs of a step of one row, or of a reset (action None), for shells that draw."""
        return reward

    def picture(self, notes: Sequence[Any]) -> Any:
        """Axes with the episode so far; notes: of the reset, then of each step."""
        from .. import report

        ax, so_far = report.plots.axes("An episode", "step", "reward so far"), np.cumsum([0.0, *notes[1:]])
        return report.plots.curves(ax, {"reward": so_far}, range(len(so_far)))


@dataclass(frozen=True)
class Counts(View):
    """A view of populations: how many people are in each state, as infos and as curves.

    count: the shell's state, of n populations, to (n,) counts by name. num_people: of one population. unit: of time.
    """

    count: Callable[[Any], Infos]
    num_people: int
    unit: str

    def info(self, run: Run) -> Infos:
        """The counts."""
        return self.count(run.state)

    def note(self, observation: Any, action: Any, reward: float, info: Mapping[str, Any]) -> Any:
        """The counts."""
        return dict(info)

    def picture(self, notes: Sequence[Any]) -> Any:
        """A curve a count, from the start on."""
        from .. import report

        ax = report.plots.axes(f"{self.num_people:,} people", self.unit, "people")
        series = {name: np.array([note[name] for note in notes]) for name in notes[0]}
        return report.plots.curves(ax, series, range(len(notes)))


def count_values(values: Tensor, names: Sequence[str]) -> Infos:
    """How many of each row of (n, m) integers are 0, 1, …, by name: (n,) int64 each."""
    counts = np.zeros((len(names), len(values)), np.int64)
    kernels.count_values(values.cpu().numpy(), counts)
    return dict(zip(names, counts, strict=True))


def listening() -> Sites:
    """Sites of which nobody records or changes any, but hears what the world tells."""
    site = Sites()
    site.told = {}
    return site


def picture(view: View, notes: Sequence[Any]) -> Array:
    """A view's picture, (height, width, 3) uint8."""
    from .. import report

    return report.plots.pixels(view.picture(notes))
