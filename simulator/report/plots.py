"""Figures of histories, effects and ensembles: each function draws on Axes and returns them.

Colours are Okabe & Ito's, told apart with any kind of colour vision. No global state of matplotlib is touched (no
pyplot), and the same data give the same file, byte for byte.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..files import write_atomically
from ..whatif import Effect, Ensemble

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")

LINES = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)))  # as many as have no divisor in common with the colours

MOST_POINTS = 1000  # of a curve: more would only make the file large

Array = np.ndarray[Any, Any]


def axes(title: str, x: str, y: str, *, size: tuple[float, float] = (6.4, 4.0)) -> Axes:
    """Empty axes on a figure of their own, titled and labelled (name the units in brackets)."""
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    return label(figure.add_subplot(), title, x, y)


def panels(count: int, *, columns: int = 2, size: tuple[float, float] = (5.2, 3.6)) -> list[Axes]:
    """Empty axes side by side on one figure; size is one panel's, in inches."""
    rows = -(-count // columns)
    figure = Figure(figsize=(size[0] * min(columns, count), size[1] * rows), dpi=150, layout="constrained")
    return [figure.add_subplot(rows, min(columns, count), i + 1) for i in range(count)]


def label(ax: Axes, title: str, x: str, y: str) -> Axes:
    """Title and axis labels, in the house's style."""
    ax.set_title(title, loc="left", fontsize=10.5)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.locator_params(axis="x", integer=True)
    return ax


def curves(ax: Axes, series: Mapping[str, Any], x: Any = None, *, band: str = "sd", first: int = 0) -> Axes:
    """Mean curves with bands: ``series[name]`` is (seeds, K), or (K,) for a curve without one.

    x: where the points are, 1 to K by default; shorter curves take the first of them.
    band: "sd" for ± 1 standard deviation over seeds, "stderr" for ± 2 standard errors of the mean.
    first: the number of the first colour, so that a scenario keeps its own where panels leave others out.
    """
    if band not in ("sd", "stderr"):
        raise ValueError(f"band is {band!r}: expected 'sd' or 'stderr'")
    for i, (name, values) in enumerate(series.items(), first):
        values = np.atleast_2d(to_numpy(values))
        if values.ndim != 2 or (x is not None and len(x) < values.shape[1]):
            places = "K" if x is None else f"at most {len(x)}, as many as x has"
            raise ValueError(f"series '{name}' has shape {values.shape}: expected (seeds, K) or (K,), K {places}")
        at = np.arange(1, values.shape[1] + 1) if x is None else to_numpy(x)[: values.shape[1]]
        keep = np.unique(np.linspace(0, len(at) - 1, min(MOST_POINTS, len(at))).astype(int))
        at, values = at[keep], values[:, keep]
        mean, colour = values.mean(0), COLOURS[i % len(COLOURS)]
        ax.plot(at, mean, linestyle=LINES[i % len(LINES)], color=colour, label=name, linewidth=1.8)
        if len(values) > 1:
            spread = values.std(0, ddof=1) * (1 if band == "sd" else 2 / len(values) ** 0.5)
            ax.fill_between(at, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    ax.legend(frameon=False)
    return ax


def levels(ax: Axes, values: Mapping[str, float]) -> Axes:
    """Horizontal lines to compare curves with, named at their left end."""
    for i, (name, value) in enumerate(values.items()):
        ax.axhline(value, color="0.35", linewidth=1, linestyle=LINES[1 + i % 3])
        ax.annotate(
            name,
            (0, value),
            xycoords=("axes fraction", "data"),
            xytext=(4, 2),
            textcoords="offset points",
            ha="left",
            fontsize=8,
            color="0.35",
        )
    return ax


def scenarios(ax: Axes, outcome: Ensemble, x: Any = None, *, levels: tuple[float, float] = (0.05, 0.95)) -> Axes:
    """An ensemble's outcome curves, (seeds, K) each: medians, with the band between two quantiles over seeds."""
    for i, name in enumerate(outcome.values):
        low, middle, high = to_numpy(outcome.quantiles(name, (levels[0], 0.5, levels[1])))
        at, colour = np.arange(1, len(middle) + 1) if x is None else to_numpy(x), COLOURS[i % len(COLOURS)]
        ax.plot(at, middle, linestyle=LINES[i % len(LINES)], color=colour, label=name, linewidth=1.8)
        ax.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.legend(frameon=False)
    return ax


def effect(ax: Axes, effects: Mapping[str, Effect], x: Any = None, *, first: int = 0) -> Axes:
    """Paired effects over steps, (pairs, K) each, with ± 2 standard errors and the line of no effect.

    first: the number of the first colour, as in ``curves``.
    """
    for name, e in effects.items():
        if e.difference.dim() != 2:
            raise ValueError(
                f"effect '{name}' has shape {tuple(e.difference.shape)}: expected (pairs, K), of an outcome such as "
                "reward_by_step; draw single numbers with estimates"
            )
    ax.axhline(0, color="0.4", linewidth=0.9)
    return curves(ax, {name: e.difference for name, e in effects.items()}, x, band="stderr", first=first)


def bars(ax: Axes, groups: Sequence[str], rows: Mapping[str, tuple[Any, Any]], *, first: int = 0) -> Axes:
    """Numbers by group with errors, side by side: ``rows[name]`` is (values, half widths of intervals), (G,) each.

    first: the number of the first colour, as in ``curves``.
    """
    width = 0.8 / max(len(rows), 1)
    for i, (name, pair) in enumerate(rows.items()):
        values, half = (to_numpy(numbers) for numbers in pair)
        if values.shape != (len(groups),) or half.shape != values.shape:
            raise ValueError(
                f"'{name}' has values {values.shape} and errors {half.shape}: expected ({len(groups)},), one a group"
            )
        at = np.arange(len(groups)) + (i - (len(rows) - 1) / 2) * width
        errors = {"ecolor": "0.25", "elinewidth": 1, "capsize": 2}
        ax.bar(
            at, values, 0.9 * width, yerr=half, color=COLOURS[(first + i) % len(COLOURS)], label=name, error_kw=errors
        )
    ax.axhline(0, color="0.4", linewidth=0.9)
    ax.set_xticks(range(len(groups)), groups)
    ax.grid(visible=False, axis="x")
    ax.legend(frameon=False)
    return ax


def estimates(ax: Axes, rows: Mapping[str, tuple[float, float]], *, truth: float | None = None) -> Axes:
    """Numbers with errors, one line each: ``rows[name]`` is (value, half width of its interval)."""
    names = list(rows)
    for i, name in enumerate(names):
        value, half = rows[name]
        ax.errorbar(value, i, xerr=half, fmt="o", color=COLOURS[i % len(COLOURS)], capsize=4, markersize=6)
    if truth is not None:
        ax.axvline(truth, color="0.4", linewidth=1, linestyle="--", label=f"optimum {truth:.4g}")
        ax.legend(frameon=False)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    return ax


def save(ax: Axes | Sequence[Axes], path: str | Path) -> Path:
    """Write the figure that the axes are on as a PNG, atomically, making folders as needed; returns the path."""
    first = ax if isinstance(ax, Axes) else ax[0]
    figure, path = first.get_figure(root=True), Path(path)
    if path.suffix != ".png":
        raise ValueError(f"{path} ends in '{path.suffix}': expected .png")
    assert figure is not None
    write_atomically(path, lambda file: figure.savefig(file, format="png", metadata={"Software": None}))
    return path


def pixels(ax: Axes) -> Array:
    """The figure that the axes are on, (height, width, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = ax.get_figure(root=True)
    assert figure is not None
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def to_numpy(values: Any) -> Array:
    """A series as NumPy's floats, from whatever device."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)
