"""One self-contained HTML page of a run: words, tables and figures, nothing fetched from anywhere."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ..files import write_atomically
from ..history import History
from ..whatif import Effect, Ensemble
from . import plots

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem } img { max-width: 100%; height: auto }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd }
th { text-align: left } td { font-variant-numeric: tabular-nums } figure { margin: 1rem 0 }
"""

MOST_GROUPS = 12  # in one figure

Part = str | Axes | Effect | Ensemble | History | Sequence[Mapping[str, Any]]


def write_report(path: str | Path, title: str, sections: Mapping[str, Sequence[Part]]) -> Path:
    """Write ``sections`` (heading -> parts) as one HTML page, atomically; returns the path.

    A part is a paragraph (str), a figure (its Axes), a table (a list of rows, each a dict of column -> value), an
    Effect (± standard errors, of a number or as a curve), an Ensemble (mean ± standard error of each scenario, or
    curves with their 5 to 95 % bands), or a History (its size and rewards, and curves of what was reduced as it was
    recorded).
    """
    body = [f"<h1>{html.escape(title)}</h1>"]
    for heading, parts in sections.items():
        if isinstance(parts, str):
            raise TypeError(f"section '{heading}' is one text: expected a list of parts, such as [{parts[:20]!r}]")
        body += [f"<h2>{html.escape(heading)}</h2>", *(_part(part) for part in parts)]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )
    write_atomically(Path(path), lambda file: file.write(page.encode()))
    return Path(path)


def _part(part: Part) -> str:
    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    if isinstance(part, Axes):
        return _figure(part)
    if isinstance(part, Effect):
        return _effect(part)
    if isinstance(part, Ensemble):
        return _ensemble(part)
    if isinstance(part, History):
        return _table(_summary(part)) + _series(part)
    if isinstance(part, list | tuple) and all(isinstance(row, Mapping) for row in part):
        return _table(part)
    raise TypeError(
        f"a part is a {type(part).__name__}: expected a str, Axes, Effect, Ensemble, History, or a list of dicts"
    )


def _effect(effect: Effect) -> str:
    said = f"<p>Effect: <strong>{html.escape(str(effect))}</strong>"
    if effect.mean.dim() == 0:
        return f"{said}; with independent seeds its variance is {effect.variance_ratio:.1f} times that</p>"
    if effect.mean.dim() > 1:
        return f"{said}</p>"
    title = f"Effect (± 2 standard errors, {len(effect.seeds)} pairs)"
    return _figure(plots.effect(plots.axes(title, "place in the outcome", "change"), {"effect": effect}))


def _ensemble(outcome: Ensemble) -> str:
    if all(values.dim() == 1 for values in outcome.values.values()):
        rows = {name: (outcome.mean(name).item(), outcome.stderr(name).item()) for name in outcome.values}
        return _table([{"scenario": name, "mean": f"{mean:.4g} ± {error:.2g}"} for name, (mean, error) in rows.items()])
    title = f"Median and 5 to 95 % of {len(outcome.seeds)} seeds"
    return _figure(plots.scenarios(plots.axes(title, "place in the outcome", "outcome"), outcome))


def _series(history: History) -> str:
    """Curves of what was reduced as it was recorded: numbers, or some a step (of groups, say)."""
    shown = {
        name: column.detach().double().cpu()
        for name, column in history.series.items()
        if isinstance(column, Tensor)
        and len(column) > 1
        and column.dim() in (1, 2)
        and column[0].numel() <= MOST_GROUPS
    }
    left_out = ", ".join(sorted({*history.series, *history.thinned} - set(shown)))
    said = f"<p>Recorded, and too much for curves, or of one step only: {html.escape(left_out)}</p>" if left_out else ""
    if not shown:
        return said
    panels = plots.panels(len(shown))
    for ax, (name, column) in zip(panels, shown.items(), strict=True):
        every_step = len(column) in (history.num_steps, history.num_steps + 1)
        plots.label(ax, name, "step" if every_step else "record", name)
        groups = {name: column} if column.dim() == 1 else {f"group {k}": c for k, c in enumerate(column.T)}
        plots.curves(ax, groups, torch.arange(len(column)))
    return _figure(panels[0]) + said


def _figure(ax: Axes) -> str:
    figure, file = ax.get_figure(root=True), io.BytesIO()
    assert figure is not None
    figure.savefig(file, format="png", metadata={"Software": None})
    title = html.escape(", ".join(filter(None, (a.get_title(loc="left") for a in figure.axes))))
    picture = base64.b64encode(file.getvalue()).decode()
    return f'<figure><img alt="{title}" src="data:image/png;base64,{picture}"></figure>'


def _summary(history: History) -> list[dict[str, Any]]:
    row = {"rows": len(history), "steps": history.num_steps, "seed": history.seed, "scenario": history.scenario}
    if "reward" in history.columns:
        returns = history.reward.double().sum(1)
        row["mean return"] = f"{returns.mean():.4g} ± {returns.std() / len(history) ** 0.5:.2g}"
    return [row]


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "<p>(no rows)</p>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(row.get(name, '')))}</td>" for name in names) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
