"""One self-contained HTML page of what happened: words, tables, figures and films; nothing fetched from anywhere."""

import base64
import html
import io
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from matplotlib.axes import Axes

from ..arguments import check_is, checked_int
from ..checkpoints import write_atomically
from ..formats import html_table
from ..history import History
from ..whatif import Effect, Ensemble, counted, with_error
from . import plots, totals
from .film import Json, film, to_array
from .graph import screen_graph
from .panels import panels

PIXELS = 96  # of a page, to an inch of a figure: its letters are then as large as the text's
LONGEST = 100  # letters of a policy's repr that are shown; its class's name otherwise

Part = str | Axes | Effect | Ensemble | History | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _Told:
    """The run as its page is told of it, besides the histories."""

    world: Any
    policy: Any
    about: Mapping[str, Any]
    by: Mapping[str, Any]
    success: Any
    episodes: int


def report(
    what: History | Mapping[str, Sequence[Part]],
    path: str | Path = "report.html",
    *,
    title: str = "",
    world: Any = None,
    policy: Any = None,
    about: Mapping[str, Any] | None = None,
    by: Mapping[str, Any] | None = None,
    success: Any = None,
    episodes: int = 100,
) -> Path:
    """Write one HTML page of what happened, atomically; returns the path. The same input gives the same bytes.

    what: a History, or sections, a dict of heading -> parts. A part is a paragraph (str), a figure (its Axes), a table
        (a list of rows, each a dict of column -> value), an Effect (± standard errors, of a number or as a curve), an
        Ensemble (mean ± standard error of each scenario, or curves with their 5 to 95 % bands), or a History. A History
        becomes its numbers, curves of what was reduced as it was recorded, and a film of its episodes, step by step;
        ``docs/reports.md`` says which fields of it are drawn how.
    world: where it happened, which may say more of it: ``names``, a dict, field -> words, what ids mean; ``graph()``, a
        networkx graph of the numbers of its screens; ``shortest(history)``, for each row the screens on a shortest way
        to do the task, or None; ``reference(history)``, the right actions, a dict of (n, T, …) columns as actions are,
        and "box" (n, T, 4), where all is right. It is asked for nothing else.
    policy: who acted. Of one with a ``memory`` the page marks which steps it saw.
    about: more of the run for its header, name -> value, such as {"wall time": "2.1 s"}.
    by: groups for a table of success and return each, name -> (rows,) values, such as {"memory distance": distances}.
    success: (rows,) values, above 0 for the episodes that succeeded; by default the site "success" at their last steps,
        or on screens, whether the return is above 0.
    episodes: how many rows are filmed, the first ones; numbers and tables count all.

    Raises TypeError and ValueError for arguments that are no such thing.
    """
    check_is("path", path, (str, PathLike), "a file's, such as 'report.html'")
    check_is("title", title, str, "text")
    check_is("what", what, (History, Mapping), "a History, or a dict, heading -> list of parts")
    for name, given in (("about", about), ("by", by)):
        check_is(name, {} if given is None else given, Mapping, "a dict, name -> value")
    names = getattr(world, "names", {})
    check_is("world.names", names, Mapping, "a dict, field -> words")
    told = _Told(world, policy, about or {}, by or {}, success, checked_int("episodes", episodes, 1))
    title = title or (_name(what, told) if isinstance(what, History) else "Report")
    body = _history(what, told) if isinstance(what, History) else _sections(what, told)
    page = _page(title, body)
    write_atomically(Path(path), lambda file: file.write(page.encode()))
    return Path(path)


def _sections(sections: Mapping[str, Sequence[Part]], told: _Told) -> str:
    """Headings with their parts, below what is told of the run."""
    body = [_facts(told.about)] if told.about else []
    for heading, parts in sections.items():
        if isinstance(parts, str) or not isinstance(parts, Sequence):
            raise TypeError(f"what[{heading!r}] is {parts!r:.20}: expected a list of parts, such as ['text']")
        body += [f"<h2>{html.escape(heading)}</h2>", *(_part(part, replace(told, about={})) for part in parts)]
    return "".join(body)


def _page(title: str, body: str) -> str:
    """The whole document; a policy of its own forbids it to fetch anything. The viewer is left out without a film."""
    here = Path(__file__).parent
    style, *scripts = ((here / name).read_text("utf-8") for name in ("page.css", "draw.js", "film.js"))
    run = f"<dialog></dialog><script>{''.join(scripts)}</script>" if 'class="film"' in body else ""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><h1>{html.escape(title)}</h1>{body}{run}</body></html>\n"
    )


def _part(part: Part, told: _Told) -> str:
    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    if isinstance(part, Axes):
        return _figure(part)
    if isinstance(part, Effect):
        return _effect(part)
    if isinstance(part, Ensemble):
        return _ensemble(part)
    if isinstance(part, History):
        return _history(part, told)
    if isinstance(part, list | tuple) and all(isinstance(row, Mapping) for row in part):
        return _table(part)
    raise TypeError(
        f"a part of what is a {type(part).__name__}: expected a str, Axes, Effect, Ensemble, History, or a list of "
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
    many = ' class="many"' if len(figure.axes) > 1 else ""
    return f'<figure><img{many} alt="{title}" width="{width}" src="data:image/png;base64,{picture}"></figure>'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    return f'<div class="wide">{html_table(rows)}</div>'


def _facts(facts: Mapping[str, Any]) -> str:
    """Names and values, side by side."""
    parts = (
        f"<div><dt>{html.escape(str(name))}</dt><dd>{html.escape(str(value))}</dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{"".join(parts)}</dl>'


def _name(history: History, told: _Told) -> str:
    return str(told.about.get("world", type(told.world).__name__ if told.world is not None else history.scenario))


def _history(history: History, told: _Told) -> str:
    """A history: its numbers, sums over episodes, curves, and its film."""
    names = getattr(told.world, "names", {})
    if hasattr(told.world, "reference") and "reference" not in history.columns:
        history = history.with_site("reference", told.world.reference(history))
    success = totals.successes(history, told.success)
    groups = totals.groups(history, names, told.by, success)
    body = [_facts(_numbers(history, told, success))]
    tables = [f"<div><h3>By {html.escape(name)}</h3>{html_table(rows)}</div>" for name, rows in groups.items()]
    if verdicts := totals.verdicts(history):
        tables.append(f"<div><h3>Verdicts</h3>{html_table(verdicts)}</div>")
    if confusion := totals.confusion(history, names):
        tables.append(f"<div><h3>Types of action</h3>{confusion}</div>")
    body.append(f'<div class="tables">{"".join(tables)}</div>' if tables else "")
    body.append(_series(history))
    shown = _film(history, told, success)
    if not shown["episodes"]:
        return "".join([*body, "<p>No step was recorded.</p>"])
    if len(history) > told.episodes and "pooled" not in shown:
        body.append(f"<p>Filmed: the first {told.episodes:,} of {len(history):,} episodes.</p>")
    data = json.dumps(shown, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    film = f'<script type="application/json">{data}</script><noscript>The film needs JavaScript.</noscript>'
    return "".join([*body, f'<section class="film">{film}</section>'])


def _film(history: History, told: _Told, success: Any) -> Json:
    """The film of the first rows, with their success and groups, and the graph of their screens."""
    names, first = getattr(told.world, "names", {}), slice(told.episodes)
    shown = film(history[first], names, told.policy)
    if not shown:
        return {**panels(history, names), "words": {}}
    for i, episode in enumerate(shown["episodes"]):
        if success is not None:
            episode["success"] = bool(success[i])
        if told.by:
            episode["by"] = {name: str(to_array(values)[i]) for name, values in told.by.items()}
    sites = {name: list(names[name]) for name in history.sites if name in names}
    return {**shown, "graph": screen_graph(shown, history[first], told.world), "words": sites}


def _numbers(history: History, told: _Told, success: Any) -> dict[str, Any]:
    """The header of a history."""
    facts: dict[str, Any] = {}
    if told.world is not None:
        facts["world"] = type(told.world).__name__
    if told.policy is not None:
        shown = repr(told.policy)
        facts["policy"] = shown if len(shown) <= LONGEST and " at 0x" not in shown else type(told.policy).__name__
    facts |= {"scenario": history.scenario, "seed": history.seed, "rows": f"{len(history):,}"}
    facts["steps"] = f"{int(history.length.sum()):,} in all, {history.num_steps:,} at most"
    if success is not None and len(history):
        facts["success"] = totals.share(int(success.sum()), len(success))
    if "reward" in history.columns and len(history):
        facts["mean return"] = with_error(history.reward.double().sum(1), "row")
    versions = {
        "ethogram": sys.modules["ethogram"].__version__,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
    }
    versions |= {"NumPy": np.__version__, "Gymnasium": gymnasium.__version__}
    return {**facts, **told.about, "versions": ", ".join(f"{name} {version}" for name, version in versions.items())}
