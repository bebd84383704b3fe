"""Figures of histories, effects and ensembles: each function draws on Axes and returns them.

Colours are Okabe & Ito's, told apart with any kind of colour vision. No global state of matplotlib is touched (no
pyplot), and the same data give the same file, byte for byte. Titles and names are shown as they are, a $ too.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..arguments import as_tensor, check_is
from ..checkpoints import write_atomically
from ..history import History
from ..whatif import Effect, Ensemble, mean_over_rows

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")

LINES = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)))  # as many as have no divisor in common with the colours

MOST_GROUPS = 12  # in one panel

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
    ax.set_title(title, loc="left", fontsize=10.5, parse_math=False)
    ax.set_xlabel(x, parse_math=False)
    ax.set_ylabel(y, parse_math=False)
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
    check_is("ax", ax, Axes, "Axes, such as plots.axes makes")
    if band not in ("sd", "stderr"):
        raise ValueError(f"band is {band!r}: expected 'sd' or 'stderr'")
    if not isinstance(series, Mapping):
        raise TypeError(
            f"series is a {type(series).__name__}: expected a dict, name -> (seeds, K) or (K,); history.plot() draws a "
            "history"
        )
    x, banded = None if x is None else np.atleast_1d(to_numpy(x, "x")), False
    for i, (name, values) in enumerate(series.items(), first):
        values = np.atleast_2d(to_numpy(values, f"series '{name}'"))
        if values.ndim != 2 or (x is not None and len(x) < values.shape[1]):
            places = "K" if x is None else f"at most {len(x)}, as many as x has"
            raise ValueError(f"series '{name}' has shape {values.shape}: expected (seeds, K) or (K,), K {places}")
        at = np.arange(1, values.shape[1] + 1) if x is None else x[: values.shape[1]]
        mean, spread = values.mean(0), None
        if len(values) > 1:
            spread, banded = values.std(0, ddof=1) * (1 if band == "sd" else 2 / len(values) ** 0.5), True
        _curve(ax, i, name, at, mean, *(() if spread is None else (mean - spread, mean + spread)))
    means = "band: ± 1 standard deviation" if band == "sd" else "band: ± 2 standard errors"
    return _with_legend(ax, means if banded else "")


def _curve(ax: Axes, i: int, name: str, at: Array, middle: Array, low: Array | None = None, high: Any = None) -> None:
    """A curve and its band, in the i-th style; a point and an interval where there is one place only."""
    keep = np.unique(np.linspace(0, len(at) - 1, min(MOST_POINTS, len(at))).astype(int))
    at, middle, colour = at[keep], middle[keep], COLOURS[i % len(COLOURS)]
    marker = "o" if len(at) == 1 else None
    ax.plot(at, middle, linestyle=LINES[i % len(LINES)], color=colour, label=_shown(name), linewidth=1.8, marker=marker)
    if low is None:
        return
    if marker:
        ax.vlines(at, low[keep], high[keep], color=colour, alpha=0.4, linewidth=4)
    else:
        ax.fill_between(at, low[keep], high[keep], color=colour, alpha=0.2, linewidth=0)


def _shown(name: str) -> str:
    """A name for a legend, from which matplotlib leaves out those that begin with an underscore."""
    return f"\u200b{name}" if name.startswith("_") else name


def _with_legend(ax: Axes, title: str = "") -> Axes:
    """A legend of all that is named, headed by what bands mean."""
    legend = ax.legend(frameon=False, title=title or None, title_fontsize=8, alignment="left")
    for text in legend.get_texts():
        text.set_parse_math(False)
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
            parse_math=False,
        )
    return ax


def scenarios(ax: Axes, outcome: Ensemble, x: Any = None, *, levels: tuple[float, float] = (0.05, 0.95)) -> Axes:
    """An ensemble's outcome curves, (seeds, K) each: medians, with the band between two quantiles over seeds."""
    for i, name in enumerate(outcome.values):
        low, middle, high = to_numpy(outcome.quantiles(name, (levels[0], 0.5, levels[1])))
        _curve(ax, i, name, np.arange(1, len(middle) + 1) if x is None else to_numpy(x), middle, low, high)
    return _with_legend(
        ax, f"median; band: {100 * levels[0]:.0f} % to {100 * levels[1]:.0f} % of {len(outcome.seeds)} seeds"
    )


def history_figure(history: History, *names: str) -> Figure:
    """Curves of what a history recorded, over its steps, a panel for each name.

    names: of columns with a number a row, shown as their mean over the rows still running, of sums and means that a
    Record kept, by groups too (MOST_GROUPS at most), and of what was thinned. By default all such, and the reward.
    Raises LookupError for a name that is not recorded, ValueError for one that is no curve.
    """
    recorded = dict.fromkeys([*history.columns.keys() & {"reward"}, *history.sites, *history.series, *history.thinned])
    drawn = {name: curves_of(history, name) for name in names or recorded}
    if wrong := [name for name in names if not drawn[name]]:
        raise ValueError(
            f"{wrong} cannot be drawn as curves: expected a number a row and step, or up to {MOST_GROUPS} a step; "
            "choose part of it, and draw that with plots.curves"
        )
    drawn = {name: parts for name, parts in drawn.items() if parts}
    axes = panels(max(len(drawn), 1))
    for ax, (name, parts) in zip(axes, drawn.items(), strict=False):
        length = len(next(iter(parts.values())))
        every_step = length in (history.num_steps, history.num_steps + 1)
        label(ax, name, "step" if every_step else "record", next(iter(parts)) if len(parts) == 1 else name)
        legend = curves(ax, parts, np.arange(length)).get_legend()
        if legend is not None and len(parts) == 1:
            legend.remove()
    return figure_of(axes[0])


def curves_of(history: History, name: str) -> dict[str, Array]:
    """Curves (T',) of a recorded name, the mean over rows or one of each group; none where it is no such thing."""
    column = history[name]
    if isinstance(column, dict) or not hasattr(column, "detach"):
        return {}
    values = column.detach().double().cpu()
    if name in history.series:
        groups = values[:, None] if values.dim() == 1 else values
        if groups.dim() != 2 or groups.shape[1] > MOST_GROUPS:
            return {}
        return {name if groups.shape[1] == 1 else f"group {k}": to_numpy(c) for k, c in enumerate(groups.T)}
    if values.dim() == 2 and values.shape == history.valid.shape:
        return {f"mean of {name}": to_numpy(mean_over_rows(values, history.valid.cpu()))}
    some_ended = bool((history.length < history.num_steps).any())  # whose rows go on with padding
    return {} if values.dim() != 2 or some_ended else {f"mean of {name}": to_numpy(values.mean(0))}


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
        colour = COLOURS[(first + i) % len(COLOURS)]
        ax.bar(at, values, 0.9 * width, yerr=half, color=colour, label=_shown(name), error_kw=errors)
    ax.axhline(0, color="0.4", linewidth=0.9)
    ax.set_xticks(range(len(groups)), groups, parse_math=False)
    ax.grid(visible=False, axis="x")
    return _with_legend(ax)


def estimates(ax: Axes, rows: Mapping[str, tuple[float, float]], *, truth: float | None = None) -> Axes:
    """Numbers with errors, one line each: ``rows[name]`` is (value, half width of its interval)."""
    names = list(rows)
    for i, name in enumerate(names):
        value, half = rows[name]
        ax.errorbar(value, i, xerr=half, fmt="o", color=COLOURS[i % len(COLOURS)], capsize=4, markersize=6)
    if truth is not None:
        ax.axvline(truth, color="0.4", linewidth=1, linestyle="--", label=f"optimum {truth:.4g}")
        ax.legend(frameon=False)
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.invert_yaxis()
    return ax


def save(ax: Axes | Sequence[Axes] | Figure, path: str | Path) -> Path:
    """Write a figure, or the one that axes are on, as a PNG, atomically, making folders as needed; returns the path."""
    check_is("path", path, (str, PathLike), "a file's, such as 'curves.png'")
    figure = ax if isinstance(ax, Figure) else figure_of(ax if isinstance(ax, Axes) else ax[0])
    path = Path(path)
    if path.suffix != ".png":
        raise ValueError(f"path {path} ends in '{path.suffix}': expected .png")
    write_atomically(path, lambda file: figure.savefig(file, format="png", metadata={"Software": None}))
    return path


def figure_of(ax: Axes) -> Figure:
    """The figure that axes are on."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def pixels(ax: Axes) -> Array:
    """The figure that the axes are on, (height, width, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure_of(ax))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def to_numpy(values: Any, name: str = "values") -> Array:
    """A series as NumPy's floats, from whatever device; TypeError, by name, for what is none."""
    return as_tensor(name, values, dtype=torch.float64).detach().cpu().double().numpy()
