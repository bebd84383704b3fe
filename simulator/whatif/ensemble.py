"""Many seeds, many scenarios: outcomes with their spread."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoint import Checkpoint, fingerprint
from ..history import History
from ..recording import Record
from ..rollout import rollout
from ..sites import Do
from ..world import Policy, World
from .backends import run_all

Outcome = Callable[[History], Any]  # a number, or a tensor such as a curve over steps


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
    """Of the mean of (seeds, …) values, over the first axis; NaN where there is but one."""
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
    world: World,
    policy: Policy,
    *,
    outcome: Outcome,
    seeds: Iterable[int],
    rows: int | Tensor,
    horizon: int,
    scenarios: Mapping[str, Sequence[Do]] | None = None,
    record: Sequence[str | Record] | str = (),
    progress: bool = False,
    backend: str = "here",
    workers: int | None = None,
    retries: int = 2,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
) -> Ensemble:
    """Run every scenario with every seed and keep an outcome of each run.

    scenarios: name -> interventions; only the factual world by default. All scenarios share each seed's luck, so
    that ``values["b"] - values["a"]`` are paired differences. outcome: a function of the history.
    backend: "here", "processes" of this machine, or "ray" (on the cluster of RAY_ADDRESS or of a ``ray.init`` before,
        else on this machine); the numbers are the same to the bit. workers: how many runs at a time; None: as many as
        there are processors. retries: how often a killed worker is replaced, see ``backends``.
    checkpoint: a file to save the outcomes of finished runs to at least every ``checkpoint_every`` seconds,
        atomically. If it exists, only the other runs are run; it is removed at the end.
    """
    runs, scenarios = checked_seeds(seeds), scenarios or {"factual": ()}
    names = list(scenarios)
    tasks = [(name, seed) for seed in runs for name in names]

    def one(number: int) -> Tensor:
        name, seed = tasks[number]
        history = rollout(
            world,
            policy,
            rows=rows,
            horizon=horizon,
            seed=seed,
            interventions=scenarios[name],
            record=record,
            scenario=name,
        )
        return torch.as_tensor(outcome(history), dtype=torch.float64)

    found: dict[str, dict[int, Tensor]] = {name: {} for name in names}
    saver = None
    if checkpoint is not None:
        these = (world, policy, outcome, runs, rows, horizon, scenarios, record)
        saver = Checkpoint(checkpoint, fingerprint(these), checkpoint_every)
        if (saved := saver.load(())) is not None:
            found = saved[2]
    left = [number for number, (name, seed) in enumerate(tasks) if seed not in found[name]]
    with tqdm(total=len(tasks), initial=len(tasks) - len(left), disable=not progress, unit="run") as bar:
        for number, value in run_all(one, left, backend, workers, retries):
            name, seed = tasks[number]
            found[name][seed] = value
            bar.update()
            if saver is not None:
                saver.save(int(bar.n), (), found)
    if saver is not None:
        saver.remove()
    return Ensemble({name: torch.stack([found[name][seed] for seed in runs]) for name in names}, runs)
