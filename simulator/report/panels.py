"""A history without screens as one film of all its rows: a panel a step, with the shares of what they saw and did."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from ..history import History
from .film import Json, Names, numbers, numpy_columns, words

MOST_VALUES, MOST_BARS = 8, 6  # values of a bar, bars of a panel
TOP, WIDTH, BAR = 20, 220, 34  # pixels: above the bars, of a panel, of each bar


def panels(history: History, names: Names) -> Json:
    """One episode of all rows: stacked bars of columns of few values, and the means of the other numbers a row.

    The bars are of the columns whose shares change most from step to step. Rows that have ended do not count.
    """
    columns, valid = numpy_columns(history), history.valid.cpu().numpy()
    leaves = dict(_leaves({name: columns[name] for name in columns if name not in ("terminated", "truncated")}))
    shown = {name: leaf[:, : history.num_steps] for name, leaf in leaves.items() if leaf.ndim == 2}
    running = np.maximum(valid.sum(0), 1)
    levels = {name: found for name, leaf in shown.items() if (found := _levels(leaf, valid)) is not None}
    shares = {
        name: np.stack([((shown[name] == value) & valid).sum(0) / running for value in values])
        for name, values in levels.items()
    }
    different = {part.tobytes(): name for name, part in reversed(shares.items())}.values()  # an action and what it does
    bars = sorted(different, key=lambda name: -np.abs(np.diff(shares[name], axis=1)).sum())[:MOST_BARS]
    numeric = {name: leaf for name, leaf in shown.items() if leaf.dtype.kind in "iufb" and name not in bars}
    means = {name: np.where(valid, leaf, 0).sum(0, dtype=np.float64) / running for name, leaf in numeric.items()}
    steps, screens = [], []
    for t in range(history.num_steps if len(history) and shown else 0):
        parts = (_bar(names, name, levels[name], shares[name][:, t], k) for k, name in enumerate(bars))
        height = TOP + BAR * max(len(bars), 1)
        down = [[a, round(b / height, 4), c, round(d / height, 4), *rest] for a, b, c, d, *rest in chain(*parts)]
        screens.append({"elements": down, "ratio": round(WIDTH / height, 4), "name": "", "is": "panel"})
        sites = {f"mean of {name}": numbers(float(mean[t])) for name, mean in means.items()}
        said = f"{int(valid[:, t].sum()):,} rows"
        steps.append({"screen": t, "words": said, "reward": sites.pop("mean of reward", None), "sites": sites})
    everyone: Json = {"row": "all", "steps": steps, "end": ""}
    if "reward" in means:
        everyone["return"] = numbers(float((means["reward"] * running).sum() / max(len(history), 1)))
    return {"episodes": [everyone] if steps else [], "screens": screens, "pooled": True}


def _leaves(columns: Mapping[str, Any], taken: Mapping[str, Any] = {}, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every array by name; parts of dicts by theirs, with what they are part of where a name is taken already."""
    for name, column in columns.items():
        said = f"{before} {name}" if name in taken else name
        if isinstance(column, Mapping):
            yield from _leaves(column, columns, name)
        elif column.ndim == 3 and column.shape[2] <= MOST_BARS:
            yield from ((f"{said} {k}", column[:, :, k]) for k in range(column.shape[2]))
        else:
            yield said, column


def _levels(leaf: Any, valid: Any) -> Any:
    """The values of a column that has at most eight; None for one that has more, or only one."""
    if leaf.dtype.kind not in "iub":
        return None
    found = np.unique(leaf[valid])
    return found if 1 < len(found) <= MOST_VALUES else None


def _bar(names: Names, name: str, values: Any, shares: Any, place: int) -> Iterator[list[Any]]:
    """A name, and below it a bar that is parted by shares; left and right as fractions, top and bottom in pixels."""
    top = TOP / 2 + place * BAR
    yield [0.02, top, 0.98, top + 13, "caption", name]
    left = 0.02
    for k, (value, share) in enumerate(zip(values, shares.tolist(), strict=True)):
        if share > 0:
            right = left + 0.96 * share
            field = name.rpartition(" ")[2]
            said = words(names, field, value) if field in names else str(value)
            yield [round(left, 4), top + 14, round(right, 4), top + 30, f"share {k}", f"{said}: {100 * share:.3g} %"]
            left = right
