"""Real pages in a real browser: MiniWoB++'s tasks, and any HTML file, as worlds."""

from .demos import Demo, Played, load_demos, replay_demos
from .page import Page, Seen
from .pipe import Browser, BrowserError, Request, find_browser
from .scripts import FLAGS, KINDS
from .tasks import PageTask, html_page, miniwob, miniwob_fields, miniwob_tasks
from .view import BrowserView
from .world import BrowserGui, texts

__all__ = [
    "FLAGS",
    "KINDS",
    "Browser",
    "BrowserError",
    "BrowserGui",
    "BrowserView",
    "Demo",
    "Page",
    "PageTask",
    "Played",
    "Request",
    "Seen",
    "find_browser",
    "html_page",
    "load_demos",
    "miniwob",
    "miniwob_fields",
    "miniwob_tasks",
    "replay_demos",
    "texts",
]
