"""One self-contained HTML page of a run: words, tables and figures, nothing fetched from anywhere."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from .checkpoint import write_atomically
from .contrast import Effect
from .history import History

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem } img { max-width: 100%; height: auto }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd }
th { text-align: left } td { font-variant-numeric: tabular-nums } figure { margin: 1rem 0 }
"""

Part = str | Axes | Effect | History | Sequence[Mapping[str, Any]]


def write_report(path: str | Path, title: str, sections: Mapping[str, Sequence[Part]]) -> Path:
    """Write ``sections`` (heading -> parts) as one HTML page, atomically; returns the path.

    A part is a paragraph (str), a figure (its Axes), a table (a list of rows, each a dict of column -> value), an
    Effect, or a History (its size and rewards).
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
    if isinstance(part, History):
        return _table(_summary(part))
    if isinstance(part, list | tuple) and all(isinstance(row, Mapping) for row in part):
        return _table(part)
    raise TypeError(f"a part is a {type(part).__name__}: expected a str, Axes, Effect, History, or a list of dicts")


def _effect(effect: Effect) -> str:
    noise = (
        "" if effect.mean.dim() else f"; with independent seeds its variance is {effect.variance_ratio:.1f} times that"
    )
    return f"<p>Effect: <strong>{html.escape(str(effect))}</strong>{noise}</p>"


def _figure(ax: Axes) -> str:
    figure, file = ax.get_figure(root=True), io.BytesIO()
    assert figure is not None
    figure.savefig(file, format="png", metadata={"Software": None})
    title = html.escape(", ".join(filter(None, (a.get_title(loc="left") for a in figure.axes))))
    picture = base64.b64encode(file.getvalue()).decode()
    return f'<figure><img alt="{title}" src="data:image/png;base64,{picture}"></figure>'


def _summary(history: History) -> list[dict[str, Any]]:
    returns = history.reward.double().sum(1)
    return [
        {
            "rows": len(history),
            "steps": history.num_steps,
            "seed": history.seed,
            "scenario": history.scenario,
            "mean return": f"{returns.mean():.4g} ± {returns.std() / len(history) ** 0.5:.2g}",
        }
    ]


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "<p>(no rows)</p>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(row.get(name, '')))}</td>" for name in names) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
