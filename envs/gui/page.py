"""page_of: an app as an HTML page, for a browser and for people."""

import html
import json
import re
from pathlib import Path

import torch
from torch import Tensor

from ethogram.simulator import Draws, check_is, checked_int, checked_seed

from .apps import INPUT, KINDS, STACK, App
from .layouts import skins
from .motion import SKIN, VALUES, begin
from .words import NINE, VOCABULARY

_TEMPLATE = Path(__file__).with_name("page.html")
_PANEL = 300  # pixels beside the screen that it takes


def page_of(app: App, rows: int | Tensor = 1, seed: int = 0, size: tuple[int, int] = (360, 640)) -> str:
    """A page, in HTML, that plays episodes of an app by itself: no network, no server, no other file.

    Its elements stand where ``SymbolicGui`` has them and do what ``App`` says: real buttons are clicked, real inputs
    typed into, the wheel scrolls. ``window.ethogram`` has what the world of pages in a browser asks for: goal, done,
    reward, and functions back, home and finish; its ``reset(seed)`` begins episode ``seed`` modulo their number. In a
    window larger than the screen people have buttons for these beside it.

    rows: how many episodes, those of rows 0 to rows - 1 of ``rollout(SymbolicGui(app), …, rows, seed=seed)``; or their
        ids, (n,) int64, such as ``episode_ids(seed)`` for what ``gymnasium.make(…).reset(seed=seed)`` begins.
    size: (width, height) of the screen in pixels.

    Raises TypeError and ValueError for what is none of these, and for an app in which what is typed into is no INPUT.
    """
    check_is("app", app, App, "an App, as carry() makes one")
    wrong = ((app.elements[..., 7] >= 0) & (app.elements[..., 0] != INPUT)).nonzero().tolist()
    if wrong:
        raise ValueError(f"element {wrong[0][1]} of screen {wrong[0][0]} takes text: expected one of kind INPUT")
    check_is("size", size, tuple, "(width, height) in pixels")
    if len(size) != 2:
        raise ValueError(f"size is {size}: expected (width, height) in pixels")
    width, height = checked_int("width of size", size[0], 16, 4096), checked_int("height of size", size[1], 16, 4096)
    draws = Draws(checked_seed(seed), _ids(rows).to(app.variables.device), scope="world")
    episodes = [{"skin": row[SKIN], "values": row[VALUES:]} for row in begin(app, draws).tolist()]
    used = {row["skin"] for row in episodes}
    order, boxes = skins()
    data = {
        "app": {
            **{name: getattr(app, name).tolist() for name in ("elements", "scrolls", "dialogs", "goal", "wanted")},
            "answer": app.answer,
        },
        "words": VOCABULARY,
        "kinds": KINDS,
        "most": STACK,
        "nine": NINE,
        "skins": {skin: {"order": order[skin].tolist(), "boxes": boxes[skin].tolist()} for skin in sorted(used)},
        "episodes": episodes,
    }
    parts = {
        "title": html.escape(app.name),
        "width": str(width),
        "height": str(height),
        "wide": str(width + _PANEL),
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    return re.sub(r"{{(\w+)}}", lambda found: parts[found[1]], _TEMPLATE.read_text(encoding="utf-8"))


def _ids(rows: int | Tensor) -> Tensor:
    ids = rows if isinstance(rows, Tensor) else torch.arange(checked_int("rows", rows, 1))
    if ids.dtype != torch.int64 or ids.dim() != 1 or not len(ids):
        raise ValueError(
            f"rows is {ids.dtype} {tuple(ids.shape)}: expected how many, an int, or their ids, int64 (n,), one at least"
        )
    return ids
