"""Many seeds, many scenarios: outcomes with their spread."""

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor
from tqdm import tqdm

from ..arguments import check_callable, check_is, checked_int
from ..checkpoints import Checkpoint
from ..formats import by_seed, html_table
from ..history import History
from ..rollout import check_interventions
from ..sites import Do
from .backends import Backend, run_all
from .setup import Setup

if TYPE_CHECKING:
    import pandas

Asks = TypeVar("Asks", bound=Callable[..., Any])
Outcome = Callable[[History], Any]  # a number, or a tensor such as a curve over steps
Instead = Sequence[Do] | Setup  # what is changed in a setup, or what is run in its place


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Outcomes of scenarios over seeds: ``values[scenario]`` is (seeds, …) float64.

    Each method raises LookupError for a scenario that there is not.
    """

    values: Mapping[str, Tensor]
    seeds: tuple[int, ...]

    def mean(self, scenario: str) -> Tensor:
        """(…) the average over seeds."""
        return self._of(scenario).mean(0)

    def stderr(self, scenario: str) -> Tensor:
        """(…) the standard error of the mean; NaN for a single seed."""
        return standard_error(self._of(scenario))

    def quantiles(self, scenario: str, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> Tensor:
        """(levels, …) quantiles over seeds."""
        return self._of(scenario).quantile(torch.tensor(levels, dtype=torch.float64), dim=0)

    def to_pandas(self) -> "pandas.DataFrame":
        """A row for each seed, and place of outcomes that have several, a column for each scenario."""
        return by_seed(self.values, self.seeds)

    def said(self, scenario: str) -> str:
        """The mean with its standard error, or the outcome's shape where it is more than a number."""
        values = self._of(scenario)
        return with_error(values, "seed") if values.dim() == 1 else f"{tuple(values.shape[1:])} each"

    def __repr__(self) -> str:
        found = ", ".join(f"{name} {self.said(name)}" for name in self.values)
        return f"Ensemble({counted(self.seeds, 'seed')}: {found})"

    def _repr_html_(self) -> str:
        rows = [{"scenario": name, f"mean of {counted(self.seeds, 'seed')}": self.said(name)} for name in self.values]
        return html_table(rows)

    def _of(self, scenario: str) -> Tensor:
        if scenario not in self.values:
            raise LookupError(f"no scenario named {scenario!r}; this ensemble has {list(self.values)}")
        return self.values[scenario]


def counted(things: Sequence[Any], name: str) -> str:
    """How many, in words: "1 seed", "20 seeds"."""
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def with_error(values: Tensor, unit: str, sign: str = "") -> str:
    """The mean of (units,) numbers with its standard error; unit: what each is of, in words. sign: "+" shows it."""
    mean = float(values.mean()) + 0.0  # no -0
    if len(values) == 1:
        return f"{mean:{sign}.4g} (no interval from one {unit})"
    return f"{mean:{sign}.4g} ± {float(standard_error(values)):.2g}"


def standard_error(values: Tensor) -> Tensor:
    """The standard error of the mean of (seeds, …) values, over the first axis; NaN where there is but one."""
    if len(values) == 1:
        return torch.full_like(values[0], torch.nan)
    return values.std(0) / len(values) ** 0.5


def student_t(level: float, degrees: int) -> float:
    """How many standard errors to each side a confidence interval reaches: Student's t, the two-sided quantile.

    Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4 (the distribution as a finite sum of
    cosines), solved by bisection; checked against SciPy.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a number between 0 and 1, such as 0.95")

    def within(angle: float) -> float:
        """P(|T| < sqrt(degrees) tan(angle))."""
        first = 2 + degrees % 2
        factors = [(k - 1) / k * math.cos(angle) ** 2 for k in range(first, degrees - 1, 2)]
        series = math.fsum(itertools.accumulate(factors, operator.mul, initial=1.0))
        if degrees % 2 == 0:
            return math.sin(angle) * series
        return 2 / math.pi * (angle + (math.sin(angle) * math.cos(angle) * series if degrees > 1 else 0.0))

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < level else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def checked_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """The seeds of an ensemble, or an error: the same one twice would count as independent runs."""
    if not isinstance(seeds, Iterable):
        raise TypeError(f"seeds is {seeds!r:.60}: expected several, such as range({seeds!r:.60})")
    runs = tuple(checked_int(f"seeds[{i}]", seed) for i, seed in enumerate(seeds))
    if not runs:
        raise ValueError("seeds is empty: expected at least one, such as range(20)")
    if len(set(runs)) < len(runs):
        raise ValueError(f"seeds={list(runs)} has one more than once: expected different seeds, such as range(20)")
    return runs


def of_a_setup(function: Asks) -> Asks:
    """Say what a Setup is where another thing stands in its place, before Python complains of what comes with it."""

    @wraps(function)
    def checked(setup: Any, *args: Any, **options: Any) -> Any:
        check_is("setup", setup, Setup, "Setup(world, policy, rows=…, horizon=…)")
        return function(setup, *args, **options)

    return cast(Asks, checked)


@of_a_setup
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
    check_callable("outcome", outcome, "a function of a History, such as mean_return")
    tasks = [(name, seed) for seed in runs for name in setups]

    def job(number: int) -> Tensor:
        name, seed = tasks[number]
        value = outcome(setups[name].run(seed, scenario=name))
        try:
            return torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, RuntimeError, ValueError):
            what, hint = f"a {type(value).__name__}", "give one of its parts, or stack them"
            if value is None:
                what, hint = "None", "is there a return missing?"
            raise TypeError(f"outcome returns {what}: expected a number or a tensor; {hint}") from None

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
    return Ensemble({name: _stacked(name, [found[name][seed] for seed in runs]) for name in setups}, runs)


def _stacked(name: str, values: Sequence[Tensor]) -> Tensor:
    if len(shapes := {tuple(value.shape) for value in values}) > 1:
        raise ValueError(f"outcome of '{name}' has the shapes {sorted(shapes)}: expected one shape, whatever the seed")
    return torch.stack(list(values))


def check_instead(name: str, value: Any) -> None:
    """Raise TypeError unless a value is what a setup can be changed by."""
    if not isinstance(value, Setup):
        check_interventions(name, value, ", or another Setup, such as replace(setup, policy=…)")


def _setups(setup: Setup, scenarios: Mapping[str, Instead]) -> dict[str, Setup]:
    """The setup of each scenario."""
    if not isinstance(scenarios, Mapping) or not scenarios:
        raise TypeError(f"scenarios is {scenarios!r}: expected a dict of names, such as {{'as it is': (), …}}")
    for name, other in scenarios.items():
        check_instead(f"scenarios[{name!r}]", other)
    return {name: other if isinstance(other, Setup) else setup.under(other) for name, other in scenarios.items()}
