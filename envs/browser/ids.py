"""The makers of the ids ``ethogram/MiniWoB-v0`` and ``ethogram/GuiPage-v0``."""

from pathlib import Path

from .tasks import html_page
from .tasks import miniwob as miniwob_task
from .view import BrowserView
from .world import BrowserGui

Made = tuple[BrowserGui, int, BrowserView]  # world, steps, view


def miniwob(
    task: str = "click-test-2",
    pages: str | Path | None = None,
    time_limit: float | None = None,
    pixels: bool = False,
    pace: float = 200.0,
    elements: int = 160,
    browser: str | Path | None = None,
    deadline: float = 30.0,
    horizon: int = 100,
) -> Made:
    """``tasks.miniwob``, in ``BrowserGui``; horizon: steps."""
    world = BrowserGui(miniwob_task(task, pages, time_limit), pixels, pace, elements, browser, deadline)
    return world, horizon, BrowserView()


def gui_page(
    path: str | Path,
    width: int = 360,
    height: int = 540,
    pixels: bool = False,
    pace: float = 200.0,
    elements: int = 160,
    browser: str | Path | None = None,
    deadline: float = 30.0,
    horizon: int = 100,
) -> Made:
    """``tasks.html_page``, in ``BrowserGui``; horizon: steps."""
    world = BrowserGui(html_page(path, width, height), pixels, pace, elements, browser, deadline)
    return world, horizon, BrowserView()
