"""Fit: estimate, weighted sample, intervals, and what speaks against them; what all searches share."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..arguments import check_callable, check_number, checked_int
from ..draws import Draws
from .modes import modes_of

Bounds = Mapping[str, tuple[float, float]]

Simulate = Callable[[dict[str, Any], int], Tensor]

IMPLAUSIBLE = 0.05  # the plausibility below which a fit says that its model does not draw the record


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """Parameters that agree with a record.

    names: d of them. estimate: (d,) float64. sample: (k, d) float64 plausible parameters; weight: (k,), sums to 1.
    trace: how it went, name -> (steps,); see the function that made the fit. simulations: how many it took.

    predictive: (m, K) series simulated with draws from the sample. plausibility: the share of them that differ from
    the others at least as much as the record does (a posterior predictive check); where a search has dropped its
    regression, of what that predicted; NaN where there was none. nearest:
    the parameters of the one simulation that came nearest to the record, by luck too. doubts: what speaks against the
    fit, in words; each has been a warning as well.
    """

    names: tuple[str, ...]
    estimate: Tensor
    sample: Tensor
    weight: Tensor
    trace: Mapping[str, Tensor]
    simulations: int
    predictive: Tensor | None = None
    plausibility: float = math.nan
    nearest: Mapping[str, float] | None = None
    doubts: tuple[str, ...] = ()

    @property
    def effective(self) -> float:
        """The number of equal weights that would tell as much as the sample's (Kish)."""
        return (self.weight.sum() ** 2 / self.weight.square().sum()).item()

    def __getitem__(self, name: str) -> float:
        """The estimate of one parameter."""
        return self.estimate[self._place(name)].item()

    def quantile(self, name: str, level: float) -> float:
        """The value below which a parameter lies with the probability ``level``."""
        check_number("level", level, 0, 1)
        return weighted_quantile(self.sample[:, self._place(name)], self.weight, level)

    def interval(self, name: str, level: float = 0.9) -> tuple[float, float]:
        """The central interval that holds a parameter with the probability ``level``."""
        check_number("level", level, 0, 1)
        return self.quantile(name, (1 - level) / 2), self.quantile(name, (1 + level) / 2)

    def modes(self) -> list[tuple[float, dict[str, float]]]:
        """The separate answers in the sample, heaviest first: the share of each and its medians; usually one."""
        found = []
        for rows in modes_of(self.sample, self.weight):
            columns = self.sample[rows].T
            medians = [weighted_quantile(column, self.weight[rows], 0.5) for column in columns]
            found.append((self.weight[rows].sum().item(), dict(zip(self.names, medians, strict=True))))
        return found

    def draw(self, count: int, seed: int = 0) -> list[dict[str, float]]:
        """Plausible parameters to simulate with: ``count`` draws from the sample, by weight."""
        rows = Draws(seed, torch.arange(checked_int("count", count, 0))).uniform("draw").to(torch.float64)
        picked = torch.searchsorted(self.weight.cumsum(0), rows).clamp(max=len(self.weight) - 1)
        return [dict(zip(self.names, row, strict=True)) for row in self.sample[picked].tolist()]

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise LookupError(f"no parameter named '{name}'; this fit has {list(self.names)}: expected the name of one")
        return self.names.index(name)

    def __repr__(self) -> str:
        intervals = [f"{name} {self[name]:.4g} [{low:.4g}, {high:.4g}]" for name, low, high in self._intervals()]
        doubts = f"; {len(self.doubts)} doubts, see print(fit)" if self.doubts else ""
        return f"Fit({', '.join(intervals)}; 90 %; {self.effective:.0f} of {len(self.sample)} count{doubts})"

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = [
            f"{name:<{width}}  {self[name]:.4g}  (90 % interval {low:.4g} to {high:.4g})"
            for name, low, high in self._intervals()
        ]
        if len(answers := self.modes()) > 1:
            lines.append(f"{len(answers)} separate answers:")
            for share, medians in answers:
                lines.append(
                    f"  {100 * share:.0f} %: " + ", ".join(f"{name} {value:.4g}" for name, value in medians.items())
                )
        return "\n".join([*lines, *(f"Doubt: {doubt}" for doubt in self.doubts)])

    def _intervals(self) -> list[tuple[str, float, float]]:
        return [(name, *self.interval(name)) for name in self.names]


def concluded(fit: Fit) -> Fit:
    """The fit; its doubts as warnings."""
    for doubt in fit.doubts:
        warnings.warn(f"the fit of {', '.join(fit.names)}: {doubt}", stacklevel=3)
    return fit


def plausibility(observed: Tensor, series: Tensor, least: Tensor) -> float:
    """The share of series, (m, K), that are as far from the others as the observed one, (K,), is from them.

    Far is the sum of squares in standard deviations of each entry, of at least ``least``, (K,).
    """
    m = len(series)
    others = (series.sum(0) - series) / (m - 1)
    spread = ((series.square().sum(0) - series.square()) / (m - 1) - others.square()).clamp(min=0).sqrt()
    own = ((series - others) / torch.maximum(spread, least)).square().sum(1)
    far = ((observed - series.mean(0)) / torch.maximum(series.std(0), least)).square().sum()
    return (1 + int((own >= far).sum())) / (m + 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, however many threads torch has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def checked(simulate: Simulate, bounds: Bounds, observed: Any) -> tuple[tuple[str, ...], Tensor, Tensor]:
    """The parameters' names, the (d, 2) bounds, and the observed series in float64; or an error."""
    check_callable("simulate", simulate, "a function of (parameters, seed)")
    if not isinstance(bounds, Mapping) or not all(isinstance(name, str) for name in bounds):
        raise TypeError(f"bounds are {bounds!r}: expected name -> (low, high), such as {{'r0': (1.0, 5.0)}}")
    if not bounds:
        raise ValueError("bounds is empty: expected at least one parameter, such as {'r0': (1.0, 5.0)}")
    box = []
    for name, pair in bounds.items():
        try:
            low, high = (float(end) for end in pair)
        except (TypeError, ValueError):
            raise TypeError(f"bounds of '{name}' are {pair!r}: expected two numbers, (low, high)") from None
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"bounds of '{name}' are {low} and {high}: expected finite numbers, the lower one first")
        box.append((low, high))
    try:
        observed = torch.as_tensor(observed, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"observed is {observed!r}: expected numbers (K,), one series") from None
    if observed.dim() != 1 or not len(observed) or not bool(observed.isfinite().all()):
        raise ValueError(f"observed is {tuple(observed.shape)}: expected finite numbers (K,), one series")
    return tuple(bounds), torch.tensor(box, dtype=torch.float64), observed.detach()


def series_of(simulate: Simulate, observed: Tensor) -> Simulate:
    """``simulate`` with its result checked, in float64."""

    def series(parameters: dict[str, Any], seed: int) -> Tensor:
        found = simulate(dict(parameters), seed)
        try:
            found = torch.as_tensor(found).to(torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(
                f"simulate gives a {type(found).__name__}: expected numbers {tuple(observed.shape)}, as the observed "
                "series has; is there a return missing?"
            ) from None
        if found.shape != observed.shape or not bool(found.isfinite().all()):
            values = {name: torch.as_tensor(value).item() for name, value in parameters.items()}
            raise ValueError(
                f"simulate gives {tuple(found.shape)} at {values}, seed {seed}: expected finite numbers "
                f"{tuple(observed.shape)}, as the observed series has"
            )
        return found

    return series


def inside_box(at: Tensor, box: Tensor) -> Tensor:
    """(…, d) logits to parameters between their bounds."""
    return box[:, 0] + (box[:, 1] - box[:, 0]) * at.sigmoid()


def logit(where: Tensor, box: Tensor) -> Tensor:
    """The inverse of ``inside_box``."""
    return ((where - box[:, 0]) / (box[:, 1] - box[:, 0])).logit()


def standard_normal(site: str, seed: int, rows: int, columns: int, step: int = 0) -> Tensor:
    """(rows, columns) standard normal draws, float64."""
    uniform = Draws(seed, torch.arange(rows), step, "calibrate").uniform(site, columns)
    return torch.special.ndtri(uniform.to(torch.float64))


def square_root(covariance: Tensor) -> Tensor:
    """Lower triangular, (…, d, d), its product with its transpose the covariance; of nearly singular ones too."""
    floor = 1e-9 * covariance.diagonal(dim1=-2, dim2=-1).mean(-1).clamp(min=1e-12)[..., None, None]
    return torch.linalg.cholesky(covariance + floor * torch.eye(covariance.shape[-1], dtype=covariance.dtype))


def weighted_quantile(values: Tensor, weight: Tensor, level: float) -> float:
    """The value below which a share ``level`` of a weighted sample lies; values and weight (k,)."""
    order = values.argsort()
    place = torch.searchsorted(weight[order].cumsum(0), level * float(weight.sum()))
    return values[order[min(int(place), len(order) - 1)]].item()


def as_columns(names: tuple[str, ...], rows: list[list[float]]) -> dict[str, Tensor]:
    """Rows of numbers as one float64 tensor a name."""
    return dict(zip(names, torch.tensor(rows, dtype=torch.float64).T, strict=True))
