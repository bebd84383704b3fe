"""One self-contained HTML page of a run: words, tables and figures, nothing fetched from anywhere."""

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from ..arguments import check_is
from ..checkpoints import write_atomically
from ..formats import html_table
from ..history import History
from ..whatif import Effect, Ensemble, counted, with_error
from . import plots

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h1, h2, p, table { max-width: 52rem; margin-left: auto; margin-right: auto }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd }
th { text-align: left } td { font-variant-numeric: tabular-nums }
figure { margin: 1rem 0; text-align: center; overflow-x: auto } img { max-width: max(100%, 48rem); height: auto }
"""

PIXELS = 96  # of a page, to an inch of a figure: its letters are then as large as the text's

Part = str | Axes | Effect | Ensemble | History | Sequence[Mapping[str, Any]]


def write_report(path: str | Path, title: str, sections: Mapping[str, Sequence[Part]]) -> Path:
    """Write ``sections`` (heading -> parts) as one HTML page, atomically; returns the path.

    A part is a paragraph (str), a figure (its Axes), a table (a list of rows, each a dict of column -> value), an
    Effect (± standard errors, of a number or as a curve), an Ensemble (mean ± standard error of each scenario, or
    curves with their 5 to 95 % bands), or a History (its size and rewards, and curves of what was reduced as it was
    recorded).
    """
    check_is("path", path, (str, PathLike), "a file's, such as 'report.html'")
    check_is("title", title, str, "text")
    check_is("sections", sections, Mapping, "a dict, heading -> list of parts")
    body = [f"<h1>{html.escape(title)}</h1>"]
    for heading, parts in sections.items():
        if isinstance(parts, str) or not isinstance(parts, Sequence):
            raise TypeError(f"sections[{heading!r}] is {parts!r:.20}: expected a list of parts, such as ['text']")
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
        return html_table(_summary(part)) + _series(part)
    if isinstance(part, list | tuple) and all(isinstance(row, Mapping) for row in part):
        return html_table(part)
    raise TypeError(
        f"a part of sections is a {type(part).__name__}: expected a str, Axes, Effect, Ensemble, History, or a list of "
        "dicts"
    )


def _effect(effect: Effect) -> str:
    said = f"<p>Effect: <strong>{html.escape(str(effect))}</strong>"
    if effect.mean.dim() == 0:
        return f"{said}{_luck(float(effect.variance_ratio))}</p>"
    if effect.mean.dim() > 1:
        return f"{said}</p>"
    title = f"Effect, {counted(effect.seeds, 'pair')}"
    return _figure(plots.effect(plots.axes(title, "place in the outcome", "change"), {"effect": effect}))


def _luck(ratio: float) -> str:
    """In words: how much pairing has helped an effect."""
    if math.isnan(ratio):
        return ""
    if math.isinf(ratio):
        return "; it is the same in every pair"
    return f"; with independent seeds its variance is {ratio:.1f} times that"


def _ensemble(outcome: Ensemble) -> str:
    if all(values.dim() == 1 for values in outcome.values.values()):
        return outcome._repr_html_()
    axes = plots.axes(f"Outcome over {counted(outcome.seeds, 'seed')}", "place in the outcome", "outcome")
    return _figure(plots.scenarios(axes, outcome))


def _series(history: History) -> str:
    """Curves of what was reduced as it was recorded: numbers, or some a step (of groups, say)."""
    kept = [*history.series, *history.thinned]
    shown = [name for name in kept if plots.curves_of(history, name)]
    left_out = ", ".join(sorted(set(kept) - set(shown)))
    said = f"<p>Recorded, and too much for curves: {html.escape(left_out)}</p>" if left_out else ""
    return _figure(plots.history_figure(history, *shown).axes[0]) + said if shown else said


def _figure(ax: Axes) -> str:
    figure, file = plots.figure_of(ax), io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    title = html.escape(", ".join(filter(None, (a.get_title(loc="left") for a in figure.axes))))
    picture, width = base64.b64encode(file.getvalue()).decode(), round(PIXELS * figure.get_figwidth())
    return f'<figure><img alt="{title}" width="{width}" src="data:image/png;base64,{picture}"></figure>'


def _summary(history: History) -> list[dict[str, Any]]:
    row = {"rows": len(history), "steps": history.num_steps, "seed": history.seed, "scenario": history.scenario}
    if "reward" in history.columns:
        row["mean return"] = with_error(history.reward.double().sum(1), "row")
    return [row]
