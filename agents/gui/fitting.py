"""fit_human_timing: Fitts's law and its residuals, where clicks land, and typing, from recorded people."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ethogram.simulator import check_is, checked_int, checked_seed

from .demonstrations import Pairs, check, mean_of_short, offsets_of, pairs_of, read, typing_of
from .timing import RESIDUALS, HumanTiming, Residual


class HeldOut(NamedTuple):
    """How well a fit foretells pairs of clicks that it has not seen.

    log_likelihood: by residual, on average a pair, of times in ms. error, error_of_mean: root mean square, ms, of the
    law, and of the average time alone. ratio: (P,) float64, time over the law as fitted to the others.
    """

    log_likelihood: Mapping[str, float]
    error: float
    error_of_mean: float
    ratio: Tensor


@dataclass(frozen=True, eq=False)
class TimingFit:
    """Timing fitted to recordings, and how well it does.

    correlation: of time and log2(D / W + 1). moving: the same of the pairs whose pointer moved at all, which says how
    much of it comes from clicking on one place again. held_out: by "task" and by "episode", what was held out in turn.
    outside: share of clicks that a recording has outside their target. Recorders call target what was hit, so that
    this is less than the share of misses; near: share of clicks within 6 pixels beside the smaller target of the next.
    runs: typed texts. offsets: (C, 2) sizes and offsets from the middle along an axis, pixels, of the clicks
    to which the spread is fitted.
    """

    timing: HumanTiming
    bits: Tensor  # (P,) float64
    ms: Tensor  # (P,) float64
    correlation: float
    moving: float
    held_out: Mapping[str, HeldOut]
    outside: float
    near: float
    runs: int
    offsets: Tensor  # (C, 2) float64

    def __str__(self) -> str:
        t = self.timing
        lines = [
            f"time = {t.base:.1f} ms + {t.per_bit:.1f} ms x log2(D / W + 1), r = {self.correlation:.3f}, "
            f"{len(self.ms):,} pairs of clicks (r = {self.moving:.3f} where the pointer moved)",
            f"residual: {t.residual} {t.shape:.3f}; first action {t.first:.0f} ms; clicks spread "
            f"sqrt({t.aim:.2f}^2 + ({t.share:.3f} W)^2) px; {100 * self.outside:.2f} % recorded outside, "
            f"{100 * self.near:.2f} % close beside the next target",
            f"typing: {t.before_keys:.0f} ms, then {t.per_key:.0f} ms a key, {100 * t.slip:.1f} % slips, "
            f"in {self.runs:,} runs",
        ]
        for by, held in self.held_out.items():
            likelihood = ", ".join(f"{name} {value:.3f}" for name, value in held.log_likelihood.items())
            lines.append(
                f"held out by {by}: log-likelihood {likelihood}; error {held.error:.0f} ms, "
                f"of the mean alone {held.error_of_mean:.0f} ms"
            )
        return "\n".join(lines)

    def plot(self, path: str | Path) -> Path:
        """Write times by difficulty beside the law, residuals beside their distribution, and where clicks land."""
        from ethogram.simulator import report

        plots = report.plots
        left, middle, right = plots.panels(3, columns=3, size=(4.6, 3.6))
        edges = torch.linspace(0, 5, 21)
        bins = torch.bucketize(self.bits, edges[1:-1].double())
        at = ((edges[1:] + edges[:-1]) / 2).double()
        filled = torch.bincount(bins, minlength=20) >= 20
        mean = torch.bincount(bins, self.ms, 20) / torch.bincount(bins, minlength=20)
        plots.label(left, "Click to click", "log2(D / W + 1), bits", "ms, average")
        series = {"people": mean[filled], "law": self.timing.mean(at)[filled]}
        plots.curves(left, {name: values.tolist() for name, values in series.items()}, at[filled].tolist())
        chance = (torch.arange(1, 100) / 100).double()
        ratio = self.held_out["task"].ratio
        quantiles = {name: _quantiles(name, ratio, chance).tolist() for name in RESIDUALS}
        plots.label(middle, "Time over the law, tasks held out", "share of clicks", "time / law")
        people = {"people": torch.quantile(ratio, chance).tolist()}
        plots.curves(middle, people | quantiles, chance.tolist())
        size, offset = self.offsets.T.contiguous()
        place = torch.bucketize(size, torch.arange(8.0, 36, 2.5).double())
        counts = torch.bincount(place, minlength=13)
        sizes = torch.bincount(place, size, 13) / counts
        spread = (torch.bincount(place, offset**2, 13) / counts).sqrt()
        plots.label(right, "Where clicks land", "size of the target, pixels", "spread, pixels")
        lines = {"people": spread[counts > 20], "fitted, misses counted": self.timing.spread(sizes)[counts > 20]}
        plots.curves(right, {name: v.tolist() for name, v in lines.items()}, sizes[counts > 20].tolist())
        return plots.save([left, middle, right], path)


def fit_human_timing(
    demonstrations: str | Path | Iterable[Mapping[str, Any]], *, folds: int = 5, seed: int = 0
) -> TimingFit:
    """Timing of the people in recordings, from the episodes that they solved.

    demonstrations: a JSON Lines file, .jsonl or .jsonl.gz, or its objects: ``{"task", "episode_id", "raw_reward",
        "steps": [{"t": ms, "action": {"type", "x", "y", "text", "key"}, "target": {"x", "y", "w", "h"}}]}``, pixels.
    folds, seed: tasks and episodes are held out in so many parts, by chance.

    Fitts's law is fitted by least squares to the clicks that follow a click within 5 s, D from click to click, W the
    target's smaller side. Of a lognormal and a gamma residual the one is taken that makes the tasks held out likelier.

    Raises ValueError that names the record that is wrong, or says what is lacking.
    """
    check_is("demonstrations", demonstrations, (str, Path, Iterable), "a path, or objects with task and steps")
    folds, seed = checked_int("folds", folds, 2), checked_seed(seed)
    records = read(demonstrations) if isinstance(demonstrations, str | Path) else list(demonstrations)
    for number, record in enumerate(records):
        check(number, record)
    solved = [record for record in records if record["raw_reward"] == 1]
    pairs = pairs_of(solved)
    if len(pairs.ms) < 2 * folds or len(set(pairs.task)) < 2:
        raise ValueError(
            f"demonstrations have {len(pairs.ms)} clicks after a click, of {len(set(pairs.task))} tasks: expected "
            f"{2 * folds} or more in solved episodes (raw_reward 1), of two tasks or more"
        )
    rng = np.random.default_rng(seed)
    held_out = {by: _held_out(pairs, getattr(pairs, by), folds, rng) for by in ("task", "episode")}
    likelihood = held_out["task"].log_likelihood
    residual: Residual = max(RESIDUALS, key=lambda name: likelihood[name])
    base, per_bit = _line(pairs.bits, pairs.ms)
    offsets, outside = offsets_of(solved)
    aim, share = _spread(offsets)
    before, per_key, slip, runs = typing_of(records)
    firsts = [r["steps"][0]["t"] for r in solved if r["steps"] and r["steps"][0]["action"]["type"] == "click"]
    timing = HumanTiming(
        base,
        per_bit,
        residual,
        _shape(residual, pairs.ms / (base + per_bit * pairs.bits)),
        mean_of_short(firsts),
        aim,
        share,
        before,
        per_key,
        slip,
    )
    moved = pairs.bits > 0
    return TimingFit(
        timing,
        pairs.bits,
        pairs.ms,
        _correlation(pairs.bits, pairs.ms),
        _correlation(pairs.bits[moved], pairs.ms[moved]),
        held_out,
        outside,
        pairs.missed / max(pairs.clicks, 1),
        runs,
        offsets,
    )


def _line(bits: Tensor, ms: Tensor) -> tuple[float, float]:
    """Least squares: base and per_bit, both positive."""
    centred = bits - bits.mean()
    if not (spread := (centred**2).sum()) > 0:
        raise ValueError("all clicks are equally far and wide: expected targets of several difficulties")
    per_bit = float((centred * ms).sum() / spread)
    return float(ms.mean()) - per_bit * float(bits.mean()), per_bit


def _correlation(x: Tensor, y: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])


def _shape(residual: Residual, ratio: Tensor) -> float:
    """The likeliest shape of a residual of mean 1."""
    log = ratio.log()
    if residual == "lognormal":  # log z is normal about -s^2/2: s^4/4 + s^2 = mean (log z)^2
        return math.sqrt(2 * (math.sqrt(1 + float((log**2).mean())) - 1))
    excess, low, high = float((ratio - 1 - log).mean()), -12.0, 12.0  # log k - digamma k = excess, which falls in k
    for _ in range(60):
        middle = (low + high) / 2
        k = torch.tensor(math.exp(middle), dtype=torch.float64)
        low, high = (middle, high) if float(k.log() - k.digamma()) > excess else (low, middle)
    return math.exp((low + high) / 2)


def _log_likelihood(residual: Residual, shape: float, mean: Tensor, ms: Tensor) -> Tensor:
    """(P,) log densities of times."""
    if residual == "lognormal":
        place = (ms / mean).log() / shape + shape / 2
        return -(place**2) / 2 - (shape * ms).log() - math.log(2 * math.pi) / 2
    rate = shape / mean
    return shape * rate.log() + (shape - 1) * ms.log() - rate * ms - math.lgamma(shape)


def _quantiles(residual: Residual, ratio: Tensor, chance: Tensor) -> Tensor:
    """Quantiles of the likeliest residual of a kind, by 100,000 draws."""
    from ethogram.simulator import Draws

    timing = HumanTiming(residual=residual, shape=_shape(residual, ratio))
    return torch.quantile(timing.luck(Draws(0, torch.arange(100_000)), "residual"), chance)


def _held_out(pairs: Pairs, groups: np.ndarray[Any, Any], folds: int, rng: np.random.Generator) -> HeldOut:
    names, place = np.unique(groups, return_inverse=True)
    fold = torch.from_numpy(rng.permutation(len(names)) % folds)[torch.from_numpy(place)]
    likelihood, errors = dict.fromkeys(RESIDUALS, 0.0), torch.zeros(2, dtype=torch.float64)
    ratio = torch.empty_like(pairs.ms)
    for part in range(min(folds, len(names))):
        seen, new = fold != part, fold == part
        base, per_bit = _line(pairs.bits[seen], pairs.ms[seen])
        mean, ms = base + per_bit * pairs.bits, pairs.ms
        for name in RESIDUALS:
            shape = _shape(name, ms[seen] / mean[seen])
            likelihood[name] += float(_log_likelihood(name, shape, mean[new], ms[new]).sum())
        ratio[new] = ms[new] / mean[new]
        errors += torch.stack([((ms[new] - said) ** 2).sum() for said in (mean[new], ms[seen].mean())])
    count = len(pairs.ms)
    error, error_of_mean = (errors / count).sqrt().tolist()
    return HeldOut({name: total / count for name, total in likelihood.items()}, error, error_of_mean, ratio)


def _spread(offsets: Tensor) -> tuple[float, float]:
    """The likeliest aim and share, of normal offsets of which those outside the target were not recorded."""
    size, offset = offsets.T
    log = torch.tensor([1.0, -1.5], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([log], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        spread = ((2 * log[0]).exp() + (2 * log[1]).exp() * size**2).sqrt()
        inside = torch.erf(size / spread / math.sqrt(8))
        value = (spread.log() + (offset / spread) ** 2 / 2 + inside.log()).mean()
        value.backward()
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    aim, share = log.detach().exp().tolist()
    return aim, share
