"""Results as small tables: HTML for notebooks and reports, and outcomes by seed for pandas."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..history import History, first_leaf

if TYPE_CHECKING:
    import pandas


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows, each a dict of column -> value, as an HTML table; a value that a row lacks stays empty."""
    if not rows:
        return "<p>(no rows)</p>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(row.get(name, '')))}</td>" for name in names) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def history_table(history: History) -> str:
    """An HTML table of what a history holds: each array's name, type and shape."""
    kept = {"column": history.columns, "series": history.series, "thinned": history.thinned}
    rows = []
    for kind, columns in kept.items():
        for name, column in columns.items():
            leaf = first_leaf(column)
            what = f"dict of {len(column)}" if isinstance(column, dict) else str(leaf.dtype).removeprefix("torch.")
            rows.append({"name": name, "kept as": kind, "type": what, "shape": tuple(leaf.shape)})
    return f"<p>{html.escape(repr(history))}</p>{html_table(rows)}"


def by_seed(values: Mapping[str, Tensor], seeds: Sequence[int]) -> "pandas.DataFrame":
    """Outcomes (seeds, …) as a table: a column for each name, a row for each seed, and place of several."""
    import pandas

    shapes = {tuple(column.shape) for column in values.values()}
    if len(shapes) > 1:
        raise ValueError(f"outcomes have the shapes {sorted(shapes)}: expected one shape, to stand side by side")
    (shape,) = shapes
    columns = {name: column.detach().cpu().flatten().numpy() for name, column in values.items()}
    places = ["place"] if len(shape) == 2 else [f"place {k}" for k in range(len(shape) - 1)]
    if not places:
        return pandas.DataFrame(columns, pandas.Index(seeds, name="seed"))
    index = pandas.MultiIndex.from_product([seeds, *map(range, shape[1:])], names=["seed", *places])
    return pandas.DataFrame(columns, index)
