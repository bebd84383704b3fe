"""Sums over the episodes of a history: success and return by group, which action was taken for which, verdicts."""

import html
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arguments import as_tensor, check_is, what_is
from ..history import History
from ..whatif import with_error
from .film import Names, is_screen, is_verdict, numpy_columns, to_array, words

MOST_GROUPS = 12  # of a table: more distinct numbers are put together by their quantiles
_Z = 1.959964  # of a 95 % interval

Array = np.ndarray[Any, Any]


def successes(history: History, given: Any = None) -> Array | None:
    """(n,) bool: what is given; what the site "success" last said; or on screens, whether the return is above 0."""
    if given is not None:
        given = as_tensor("success", given)
        if given.shape != (len(history),):
            raise ValueError(f"success is {what_is(given)}: expected ({len(history)},) values, one for each row")
        return (given > 0).cpu().numpy()
    last = (history.length - 1).clamp(min=0)
    if "success" in history.sites:
        success = torch.as_tensor(history.column("success")).gather(1, last[:, None])[:, 0]
        return ((success > 0) & (history.length > 0)).cpu().numpy()
    if {"observation", "reward"} <= history.columns.keys() and is_screen(history.observation):
        return (_returns(history) > 0).cpu().numpy()
    return None


def wilson(hits: int, count: int) -> tuple[float, float]:
    """A 95 % interval of a share (E. B. Wilson, JASA 1927), which stays within 0 to 1 and is none of no width."""
    middle = (hits + _Z**2 / 2) / (count + _Z**2)
    half = _Z * (hits * (count - hits) / count + _Z**2 / 4) ** 0.5 / (count + _Z**2)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, count: int) -> str:
    """A share in per cent with its interval, in words."""
    if not count:
        return "none"
    low, high = wilson(hits, count)
    return f"{100 * hits / count:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def groups(
    history: History, names: Names, by: Mapping[str, Any], success: Array | None
) -> dict[str, list[dict[str, Any]]]:
    """Tables of episodes by what ``by`` says of each, (n,) values a name; of screens also by goal and by length."""
    check_is("by", by, Mapping, "a dict, name -> (rows,) values")
    found = {}
    for name, given in by.items():
        values = to_array(given)
        if values.shape != (len(history),):
            raise ValueError(f"by[{name!r}] is {what_is(given)}: expected ({len(history)},) values, one for each row")
        found[name] = values
    if success is not None and "observation" in history.columns and len(history) > 1:
        observation = history.observation
        if isinstance(observation, dict) and "goal" in observation:
            goals = np.array([words(names, "goal", goal) for goal in to_array(observation["goal"][:, 0])], dtype=object)
            if 1 < len(set(goals)) <= min(MOST_GROUPS, len(goals) // 2):
                found.setdefault("goal", goals)
        found.setdefault("steps taken", history.length.cpu().numpy())
    tables, returns = {}, _returns(history) if found else torch.empty(0)
    for name, values in found.items():
        rows = []
        for said, members in _parted(values):
            row: dict[str, Any] = {name: said, "episodes": int(members.sum())}
            if success is not None:
                row["success"] = share(int(success[members].sum()), int(members.sum()))
            rows.append({**row, "mean return": with_error(returns[torch.as_tensor(members)], "episode")})
        tables[name] = rows
    return {name: rows for name, rows in tables.items() if len(rows) > 1}


def _returns(history: History) -> Tensor:
    return (history.reward.double() * history.valid).sum(1).cpu()


def _parted(values: Array) -> list[tuple[str, Array]]:
    """Groups of equal values, in order; of many different numbers, groups of about as many rows each."""
    different = np.unique(values) if values.dtype != object else np.array(sorted(set(values), key=str), dtype=object)
    if len(different) <= MOST_GROUPS or values.dtype.kind not in "iuf":
        return [(str(value), values == value) for value in different]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, 7), method="nearest"))
    inside = [values <= edges[1], *((values > a) & (values <= b) for a, b in pairwise(edges[1:]))]
    spans = [(values[members].min(), values[members].max(), members) for members in inside]
    return [(f"{low:g}" if low == high else f"{low:g} to {high:g}", members) for low, high, members in spans]


def verdicts(history: History) -> list[dict[str, Any]]:
    """How often each metric that was recorded says that a step is right, as ``film.is_verdict`` knows them.

    Errors are of the ratio of sums over episodes, since the steps of an episode depend on each other.
    """
    rows, valid = [], history.valid.cpu().numpy()
    for name, column in numpy_columns(history).items():
        if not is_verdict(name, column):
            continue
        counted = valid & (column >= 0)  # NaN and numbers below 0 are of steps that do not count
        hits, counts = np.where(counted, column, 0).sum(1, dtype=np.float64), counted.sum(1)
        n, count = len(counts), int(counts.sum())
        right = hits.sum() / max(count, 1)
        error = (((hits - right * counts) ** 2).sum() * n / max(n - 1, 1)) ** 0.5 / max(count, 1)
        said = (
            f"{100 * right:.1f} % ± {100 * error:.1f}"
            if count and n > 1
            else f"{100 * right:.1f} %"
            if count
            else "none"
        )
        rows.append({"metric": name, "right": said, "steps counted": count, "left out": int(valid.sum()) - count})
    return rows


def confusion(history: History, names: Names) -> str:
    """A table of types of action: what was taken, for each type that the reference has; "" without a reference."""
    columns = history.columns
    both: Any = [columns.get(name) for name in ("reference", "action")]
    if not all(isinstance(column, dict) and "type" in column for column in both):
        return ""
    right, taken = (to_array(column["type"])[history.valid.cpu().numpy()] for column in both)
    kinds = [kind for kind in np.unique([right, taken]).tolist() if kind >= 0]
    said = [html.escape(words(names, "type", kind)) for kind in kinds]
    counts = [[int(((right == a) & (taken == b)).sum()) for b in kinds] for a in kinds]
    head = "".join(f'<th scope="col">{name}</th>' for name in said)
    body = "".join(_counted(name, row, k) for k, (name, row) in enumerate(zip(said, counts, strict=True)))
    return (
        '<div class="wide"><table class="confusion"><caption>Rows: the reference; columns: what was done</caption>'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _counted(name: str, row: Sequence[int], diagonal: int) -> str:
    total = max(sum(row), 1)
    cells = "".join(
        f'<td class="{"same" if k == diagonal else "other"}" style="--share:{count / total:.3f}">{count or ""}</td>'
        for k, count in enumerate(row)
    )
    return f'<tr><th scope="row">{name}</th>{cells}</tr>'
