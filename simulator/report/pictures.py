"""Areas as tiles, networks, lists shown and clicked, screens."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from ..arguments import check_is, checked_int
from ..networks import Contacts
from .plots import COLOURS, to_numpy

MOST_PEOPLE = 400  # of a picture of a network: more would be a ball of wool


def tiles(
    ax: Axes, values: Any, unit: str, *, columns: int | None = None, most: float | None = None, digits: int = 0
) -> Axes:
    """Areas as squares, row by row from the top left, coloured by (areas,) values: for places without a map.

    unit: what the colours mean. columns: areas in a row; about as many as there are rows by default. most: colours go
    from -most to most, white at 0, which also makes two pictures comparable; by default so only for values of both
    signs, and from the lowest to the highest for others. digits: after the point. NaN stays empty.
    """
    values = to_numpy(values)
    if values.ndim != 1 or not np.isfinite(values).any():
        raise ValueError(f"values have shape {values.shape}: expected (areas,), some of them finite")
    columns = checked_int("columns", columns, 1) if columns is not None else int(np.ceil(len(values) ** 0.5))
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
            text = f"{round(float(value), digits) + 0.0:.{digits}f}"  # 0, not -0
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

    check_is("contacts", contacts, Contacts, "Contacts")
    values, n = to_numpy(values), contacts.num_people
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
    area = 14 + 3 * to_numpy(contacts.degree)
    ring = np.zeros(n, bool) if ringed is None else to_numpy(ringed).astype(bool)
    edge, width = np.where(ring, COLOURS[1], "white"), np.where(ring, 1.8, 0.3)
    unknown = np.isnan(values)
    for who, face in ((unknown, "0.75"), (~unknown, values[~unknown])):
        x, y = at[who].T
        style: dict[str, Any] = {"edgecolors": edge[who], "linewidths": width[who], "zorder": 2}
        dots = ax.scatter(x, y, area[who], face, **style)
    _picture(ax)
    _colour_bar(ax, dots, unit)
    return ax


def lists(ax: Axes, shown: Any, clicked: Any, labels: Sequence[str]) -> Axes:
    """Lists side by side, each from the top down, with the items clicked in colour.

    shown: (K, m) int, items, -1 where a position is empty. clicked: (K, m) bool. labels: K, below each list.
    """
    shown, clicked = np.asarray(shown), np.asarray(clicked)
    if shown.ndim != 2 or clicked.shape != shown.shape or len(labels) != len(shown):
        raise ValueError(
            f"shown is {shown.shape}, clicked {clicked.shape} and there are {len(labels)} labels: expected (K, m) "
            "twice, and K labels"
        )
    colour = np.where(clicked[..., None], to_rgb(COLOURS[4]), np.where((shown < 0)[..., None], 1.0, 0.92))
    ax.imshow(colour.swapaxes(0, 1), aspect="auto")
    for (place, position), item in np.ndenumerate(shown):
        if item >= 0:
            weight = "bold" if clicked[place, position] else "normal"
            ax.text(place, position, str(item), ha="center", va="center", fontsize=11, fontweight=weight)
    ax.set_xticks(range(len(shown)), labels, fontsize=8)
    ax.set_yticks(range(shown.shape[1]), [str(k + 1) for k in range(shown.shape[1])])
    ax.set_xticks(np.arange(1, len(shown)) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, shown.shape[1]) - 0.5, minor=True)
    ax.grid(visible=False)
    ax.grid(visible=True, which="minor", color="white", linewidth=3)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    return ax


_FACES = {"button": COLOURS[5], "input": "white", "icon": "#f3e6c0", "item": "0.95"}  # of elements, by kind


def screen(ax: Axes, boxes: Any, kinds: Sequence[str], texts: Sequence[str]) -> Axes:
    """A screen of a user interface, drawn from its elements.

    boxes: (E, 4) left, top, right, bottom, as fractions of the screen. kinds: such as "button", "input", "item", "icon"
    and "text", which are told apart; others look like text. texts: what stands in each.
    """
    boxes = to_numpy(boxes).reshape(-1, 4)
    if not len(boxes) == len(kinds) == len(texts):
        raise ValueError(f"{len(boxes)} boxes, {len(kinds)} kinds and {len(texts)} texts: expected as many of each")
    for (left, top, right, bottom), kind, text in zip(boxes, kinds, texts, strict=True):
        across, down = [left, right, right, left], [top, top, bottom, bottom]
        ax.fill(across, down, facecolor=_FACES.get(kind, "none"), edgecolor="none" if kind == "text" else "0.4")
        ax.text((left + right) / 2, (top + bottom) / 2, text, ha="center", va="center", fontsize=8, parse_math=False)
    ax.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], xlabel="", ylabel="")
    ax.spines[:].set_visible(True)
    ax.grid(visible=False)
    return ax


def _picture(ax: Axes) -> None:
    """A panel without axes, for what is no diagram."""
    ax.set(aspect="equal", xticks=[], yticks=[], xlabel="", ylabel="")
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)


def _colour_bar(ax: Axes, coloured: Any, unit: str) -> None:
    ax.figure.colorbar(coloured, ax=ax, label=unit, shrink=0.85)
