"""Tasks in a browser: MiniWoB++'s pages, read from its wheel, and any HTML file."""

import os
import runpy
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from ethogram.simulator import check_is, check_number, checked_int

from .scripts import MINIWOB, MINIWOB_HIDES

WHEEL = "miniwob-1.1.0-py3-none-any.whl"
_HTML, _FIELDS = "miniwob/html/", "miniwob/fields.py"


@dataclass(frozen=True)
class PageTask:
    """A page to act on. ``miniwob`` and ``html_page`` make one.

    url: a ``file:`` URL. width, height: pixels of the screen that is seen; window: of the page, which may be wider.
    hooks: JavaScript that runs before the page's own and defines ``window.ethogram``, for a page that does not.
    hidden: a CSS selector of what is no part of the screen.
    """

    name: str
    url: str
    width: int
    height: int
    window: tuple[int, int]
    hooks: str = ""
    hidden: str = ""


def miniwob(task: str, pages: str | Path | None = None, time_limit: float | None = None) -> PageTask:
    """A task of MiniWoB++ (Liu et al., ICLR 2018), such as "click-test-2"; ``miniwob_tasks()`` lists them.

    pages: the wheel ``miniwob-1.1.0-py3-none-any.whl``, or a folder ``html`` of the package; None for the installed
        package's, or else the wheel in the folder that the environment variable ETHOGRAM_DATA names, or in ./data.
    time_limit: milliseconds of the page's clock after which it ends the episode, with reward -1; None for the task's
        own, mostly 10,000.

    Raises FileNotFoundError, which says what to run, where there are no pages; ValueError for an unknown task.
    """
    check_is("task", task, str, "the name of a task, such as 'click-test-2'")
    folder = _folder(pages)
    page = folder / "miniwob" / f"{task}.html"
    known = _names(folder)
    if task not in known:
        close = ", ".join(get_close_matches(task, known, 3, cutoff=0))
        raise ValueError(f"task is {task!r}: expected one of {len(known)} of MiniWoB++, such as {close}")
    hooks = MINIWOB
    if time_limit is not None:
        check_number("time_limit", time_limit, 1, 2**31 - 1)
        hooks += f"addEventListener('DOMContentLoaded', () => {{ core.EPISODE_MAX_TIME = {time_limit}; }});"
    return PageTask(f"miniwob/{task}", page.as_uri(), 160, 210, (500, 320), hooks, MINIWOB_HIDES)


def miniwob_tasks(pages: str | Path | None = None) -> tuple[str, ...]:
    """Names of MiniWoB++'s tasks, alphabetical; pages: as ``miniwob`` takes them."""
    return _names(_folder(pages))


def miniwob_fields(task: str, goal: str, pages: str | Path | None = None) -> dict[str, str]:
    """The values that a goal of a task names, such as {"username": "alan", "password": "8G"}, as MiniWoB++ reads them.

    pages: as ``miniwob`` takes them. Raises ValueError for a goal that is none of this task, or a task without fields.
    """
    check_is("goal", goal, str, "the goal of an episode, a text")
    file = _folder(pages).parent / "fields.py"
    known = runpy.run_path(str(file))["FIELD_EXTRACTORS"]
    if task not in known:
        raise ValueError(f"task is {task!r}: expected one of {len(known)} of which MiniWoB++ knows fields")
    try:
        return dict(known[task](goal))
    except (ValueError, KeyError) as error:
        raise ValueError(f"goal is {goal!r:.100}: expected one of {task} ({error!s:.80})") from None


def html_page(path: str | Path, width: int = 360, height: int = 540) -> PageTask:
    """Any HTML file on this machine; width, height: of the window, in pixels.

    The page may define ``window.ethogram``, with any of: ``reset(seed)``, which begins an episode (without it the page
    is loaded again); ``goal``, text; ``done``, whether the episode is over; ``reward``, the sum of rewards so far;
    ``ready``, false while the page prepares; and functions ``back``, ``home``, ``recent``, ``open(text)`` and
    ``finish(status, text)`` for the actions of these names (``finish`` for done).
    """
    check_is("path", path, (str, Path), "the path of an HTML file")
    file = Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"path is {str(path)!r}: there is no such file; expected an HTML page on this machine")
    size = checked_int("width", width, 16, 4096), checked_int("height", height, 16, 4096)
    return PageTask(file.stem, file.as_uri(), *size, size)


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(page.stem for page in (folder / "miniwob").glob("*.html")))


def _folder(pages: str | Path | None) -> Path:
    """The folder "html" of MiniWoB++, unpacked if need be."""
    check_is("pages", pages, (str, Path, type(None)), "a wheel of miniwob, its folder html, or None")
    for place in _places() if pages is None else [Path(pages)]:
        if place.is_file() and zipfile.is_zipfile(place):
            return _unpacked(place.resolve())
        for folder in (place, place / "html", place / "miniwob" / "html"):
            if (folder / "miniwob").is_dir() and (folder / "core").is_dir():
                return folder.resolve()
    where = "the package miniwob is not installed, and there is no wheel of it" if pages is None else f"not at {pages}"
    raise FileNotFoundError(
        f"MiniWoB++'s pages are not here ({where}): run `make data` in a checkout, or `pip download --no-deps -d data "
        "miniwob==1.1.0` and set ETHOGRAM_DATA to that folder, or pass the wheel as `pages`"
    )


def _places() -> Iterable[Path]:
    spec = find_spec("miniwob")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent
    for folder in (os.environ.get("ETHOGRAM_DATA"), "data"):
        if folder:
            yield Path(folder) / WHEEL


@cache
def _unpacked(wheel: Path) -> Path:
    """The pages of a wheel, in a folder of the user's cache that stays: a browser reads files, not archives."""
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ethogram")
    folder = cached / f"miniwob-{sha256(wheel.read_bytes()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder / _HTML
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith((f"{_HTML}miniwob/", f"{_HTML}co", _FIELDS))]
        if not names:
            raise ValueError(f"{wheel} holds no {_HTML}: expected the wheel of miniwob, 1.0 or later")
        try:
            cached.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=cached) as fresh:
                whole = Path(fresh, "whole")
                archive.extractall(whole, names)
                try:
                    whole.rename(folder)
                except OSError:
                    if not folder.is_dir():  # no other process was sooner
                        raise
        except OSError as error:
            raise OSError(
                f"MiniWoB++'s pages cannot be unpacked into {cached} ({error}): set XDG_CACHE_HOME to a folder that "
                "can be written, or unpack the wheel and pass its folder miniwob/html as `pages`"
            ) from None
    return folder / _HTML
