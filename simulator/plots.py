"""Figures of histories, effects and ensembles: each function draws on Axes and returns them.

Colours are Okabe & Ito's, told apart with any kind of colour vision. No global state of matplotlib is touched (no
pyplot), and the same data give the same file, byte for byte.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from .files import write_atomically
from .networks import Contacts
from .whatif import Effect, Ensemble

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
LINES = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)))  # as many as have no divisor in common with the colours
MOST_POINTS = 1000  # of a curve: more would only make the file large
MOST_PEOPLE = 400  # of a picture of a network: more would be a ball of wool

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
        values = np.atleast_2d(_numpy(values))
        if values.ndim != 2 or (x is not None and len(x) < values.shape[1]):
            places = "K" if x is None else f"at most {len(x)}, as many as x has"
            raise ValueError(f"series '{name}' has shape {values.shape}: expected (seeds, K) or (K,), K {places}")
        at = np.arange(1, values.shape[1] + 1) if x is None else _numpy(x)[: values.shape[1]]
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
        low, middle, high = _numpy(outcome.quantiles(name, (levels[0], 0.5, levels[1])))
        at, colour = np.arange(1, len(middle) + 1) if x is None else _numpy(x), COLOURS[i % len(COLOURS)]
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
        values, half = (_numpy(numbers) for numbers in pair)
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


def tiles(
    ax: Axes, values: Any, unit: str, *, columns: int | None = None, most: float | None = None, digits: int = 0
) -> Axes:
    """Areas as squares, row by row from the top left, coloured by (areas,) values: for places without a map.

    unit: what the colours mean. columns: areas in a row; about as many as there are rows by default. most: colours go
    from -most to most, white at 0, which also makes two pictures comparable; by default so only for values of both
    signs, and from the lowest to the highest for others. digits: after the point. NaN stays empty.
    """
    values = _numpy(values)
    if values.ndim != 1 or not np.isfinite(values).any():
        raise ValueError(f"values have shape {values.shape}: expected (areas,), some of them finite")
    columns = columns or int(np.ceil(len(values) ** 0.5))
    grid = np.full(-(-len(values) // columns) * columns, np.nan)
    grid[: len(values)] = values
    if most is None and np.nanmin(values) < 0 < np.nanmax(values):
        most = np.nanmax(np.abs(values))
    scale = {"cmap": "viridis"} if most is None else {"cmap": "RdBu", "vmin": -most, "vmax": most}
    image = ax.imshow(grid.reshape(-1, columns), **scale)
    for place, value in enumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = image.to_rgba(value)
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            row, column = divmod(place, columns)
            text = f"{value:.{digits}f}"
            ax.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    _picture(ax)
    _colour_bar(ax, image, unit)
    return ax


def network(ax: Axes, contacts: Contacts, values: Any, unit: str, *, ringed: Any = None) -> Axes:
    """A picture of a few hundred people and their contacts, coloured by (n,) values; who has NaN is grey.

    Those who know each other lie close, by networkx's spring layout, the same whenever the contacts are. Circles
    grow with how many people one knows. unit: what the colours mean. ringed: (n,) bool, who gets a red ring.
    """
    import networkx

    values, n = _numpy(values), contacts.num_people
    if values.shape != (n,) or not 1 < n <= MOST_PEOPLE:
        raise ValueError(
            f"{n} people and values {values.shape}: expected a value each, of 2 to {MOST_PEOPLE} people; draw some of "
            "them, with contacts among these"
        )
    graph = contacts.to_networkx()
    places = networkx.spring_layout(graph, seed=0, iterations=200)
    at = np.array([places[person] for person in range(n)])
    edges = LineCollection([at[list(edge)] for edge in graph.edges], colors="0.85", linewidths=0.5, zorder=1)
    ax.add_collection(edges)
    area = 14 + 3 * _numpy(contacts.degree)
    ring = np.zeros(n, bool) if ringed is None else _numpy(ringed).astype(bool)
    edge, width = np.where(ring, COLOURS[1], "white"), np.where(ring, 1.8, 0.3)
    unknown = np.isnan(values)
    for who, face in ((unknown, "0.75"), (~unknown, values[~unknown])):
        x, y = at[who].T
        style: dict[str, Any] = {"edgecolors": edge[who], "linewidths": width[who], "zorder": 2}
        dots = ax.scatter(x, y, area[who], face, **style)
    _picture(ax)
    _colour_bar(ax, dots, unit)
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


def _picture(ax: Axes) -> None:
    """What is no diagram has no axes."""
    ax.set(aspect="equal", xticks=[], yticks=[], xlabel="", ylabel="")
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)


def _colour_bar(ax: Axes, coloured: Any, unit: str) -> None:
    ax.figure.colorbar(coloured, ax=ax, label=unit, shrink=0.85)


def _numpy(values: Any) -> Array:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)
