"""Many seeds, many scenarios: outcomes with their spread."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoint import Checkpoint
from ..history import History
from ..sites import Do
from .backends import Backend, run_all
from .setup import Setup

Outcome = Callable[[History], Any]  # a number, or a tensor such as a curve over steps
Instead = Sequence[Do] | Setup  # what is changed in a setup, or what is run in its place


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Outcomes of scenarios over seeds: ``values[scenario]`` is (seeds, …) float64."""

    values: Mapping[str, Tensor]
    seeds: tuple[int, ...]

    def mean(self, scenario: str) -> Tensor:
        """(…) the average over seeds."""
        return self.values[scenario].mean(0)

    def stderr(self, scenario: str) -> Tensor:
        """(…) the standard error of the mean; NaN for a single seed."""
        return standard_error(self.values[scenario])

    def quantiles(self, scenario: str, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> Tensor:
        """(levels, …) quantiles over seeds."""
        return self.values[scenario].quantile(torch.tensor(levels, dtype=torch.float64), dim=0)


def standard_error(values: Tensor) -> Tensor:
    """The standard error of the mean of (seeds, …) values, over the first axis; NaN where there is but one."""
    if len(values) == 1:
        return torch.full_like(values[0], torch.nan)
    return values.std(0) / len(values) ** 0.5


def checked_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """The seeds of an ensemble, or an error: the same one twice would count as independent runs."""
    if isinstance(seeds, int):
        raise TypeError(f"seeds={seeds}: expected several, such as range({seeds})")
    runs = tuple(seeds)
    if not runs:
        raise ValueError("seeds is empty: expected at least one, such as range(20)")
    if len(set(runs)) < len(runs):
        raise ValueError(f"seeds={list(runs)} has one more than once: expected different seeds, such as range(20)")
    return runs


def ensemble(
    setup: Setup,
    *,
    outcome: Outcome,
    seeds: Iterable[int],
    scenarios: Mapping[str, Instead] | None = None,
    progress: bool = False,
    backend: Backend | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> Ensemble:
    """Run every scenario with every seed and keep an outcome of each run.

    outcome: a function of the history, a number or a tensor such as a curve over steps.
    scenarios: name -> interventions, which come after the setup's own, or another Setup in its place, such as
        ``replace(setup, policy=…)``. By default one, "factual": the setup as it is. All share each seed's luck (common
        random numbers), so that ``values["b"] - values["a"]`` are paired differences.
    backend: None for here, one run after the other; ``Processes()`` of this machine, or ``Ray()``. The numbers are the
        same to the bit.
    checkpoint: a file to save the outcomes of finished runs to at least every ``checkpoint_every`` seconds,
        atomically, and on Ctrl-C. If it exists, only the other runs are run; it is removed at the end.
    """
    runs, scenarios = checked_seeds(seeds), {"factual": ()} if scenarios is None else scenarios
    setups = _setups(setup, scenarios)
    if not callable(outcome):
        raise TypeError(f"outcome is a {type(outcome).__name__}: expected a function of a History, such as mean_return")
    tasks = [(name, seed) for seed in runs for name in setups]

    def job(number: int) -> Tensor:
        name, seed = tasks[number]
        value = outcome(setups[name].run(seed, scenario=name))
        if value is None:
            raise TypeError("outcome returns None: expected a number or a tensor; is there a return missing?")
        return torch.as_tensor(value, dtype=torch.float64)

    found: dict[str, dict[int, Tensor]] = {name: {} for name in setups}
    saver = None
    if checkpoint is not None:
        what = {"setup": setup, "outcome": outcome, "seeds": runs, "scenarios": scenarios}
        saver = Checkpoint(checkpoint, what, checkpoint_every, patient=False, free=["outcome"])
        if (saved := saver.load(())) is not None:
            found = saved[2]
    left = [number for number, (name, seed) in enumerate(tasks) if seed not in found[name]]
    bar = tqdm(total=len(tasks), initial=len(tasks) - len(left), disable=not progress, unit="run")
    with bar, saver or nullcontext():
        try:
            for number, value in run_all(job, left, backend):
                name, seed = tasks[number]
                found[name][seed] = value
                bar.update()
                if saver is not None:
                    saver.save(len(tasks), (), found)
        except KeyboardInterrupt:
            if saver is not None:
                saver.stop(len(tasks), (), found)
            raise
    if saver is not None:
        saver.remove()
    return Ensemble({name: torch.stack([found[name][seed] for seed in runs]) for name in setups}, runs)


def _setups(setup: Setup, scenarios: Mapping[str, Instead]) -> dict[str, Setup]:
    """The setup of each scenario."""
    if not isinstance(setup, Setup):
        raise TypeError(f"setup is a {type(setup).__name__}: expected Setup(world, policy, rows=…, horizon=…)")
    if not isinstance(scenarios, Mapping) or not scenarios:
        raise TypeError(f"scenarios is {scenarios!r}: expected a dict of names, such as {{'as it is': (), …}}")
    for name, other in scenarios.items():
        if not isinstance(other, Sequence | Setup):
            raise TypeError(
                f"scenario '{name}' is a {type(other).__name__}: expected a list of Do, or another Setup, such as "
                "replace(setup, policy=…)"
            )
    return {name: other if isinstance(other, Setup) else setup.under(other) for name, other in scenarios.items()}
