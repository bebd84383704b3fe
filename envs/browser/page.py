"""A page: loaded, begun, acted on by trusted input, and looked at; its clock moves only as it is told."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gui import GuiAction
from .keys import key_events, stroke, typed
from .pipe import Asks, Browser, BrowserError, Request
from .scripts import BEFORE
from .tasks import PageTask

_MOVES = 4  # of the mouse between the ends of a drag
_ELSEWHERE = ["http://*", "https://*", "ws://*", "wss://*", "ftp://*"]
_HOOKED = ("back", "home", "recent", "open", "done")


@dataclass(frozen=True)
class Seen:
    """A look at a page: one row of the observation, not yet padded."""

    goal: str
    done: bool
    reward: float  # so far
    time: float  # ms of the page's clock
    screen: str  # all elements, as the page tells them
    png: str = ""  # base64

    @classmethod
    def read(cls, told: str) -> "Seen":
        """Read the lines that ``look`` of ``BEFORE`` tells."""
        done, reward, time, goal, screen = told.split("\n", 4)
        return cls(json.loads(goal), done == "1", float(reward), float(time), screen)

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """Seven an element (k, 7): left, top, right, bottom in pixels, kind (a place in ``KINDS``), flags (bits, of
        ``FLAGS``), and the number of the element that it is in, or 0."""
        return np.fromstring(self.screen.partition("\n")[0], sep=",").reshape(-1, 7)

    @property
    def texts(self) -> list[str]:
        """The text of each element."""
        return self.screen.split("\n")[1 : 1 + len(self.numbers)]

    @property
    def values(self) -> list[str]:
        """The value of each element."""
        return self.screen.split("\n")[1 + len(self.numbers) :]

    @property
    def elements(self) -> list[list[Any]]:
        """A list an element: its seven numbers, its text and its value."""
        return [[*row, *said] for row, *said in zip(self.numbers.tolist(), self.texts, self.values, strict=True)]


class Page:
    """A page of a browser. ``begin`` and ``do`` are generators for ``Browser.together``."""

    def __init__(self, browser: Browser, task: PageTask, pixels: bool = False) -> None:
        """Open a tab and load the task in it. Raises BrowserError."""
        self.browser, self.task, self.pixels = browser, task, pixels
        self.context = browser.ask("Target.createBrowserContext")["browserContextId"]  # pages share no storage
        blank = {"url": "about:blank", "browserContextId": self.context}
        target = browser.ask("Target.createTarget", blank)["targetId"]
        attached = browser.ask("Target.attachToTarget", {"targetId": target, "flatten": True})
        self.session = str(attached["sessionId"])
        result = browser.together([(self.session, self._load())])[0]
        if isinstance(result, BrowserError):
            raise result

    def _load(self) -> Asks:
        width, height = self.task.window
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        yield [
            Request("Page.enable", {}),
            Request("Network.enable", {}),
            Request("Network.setBlockedURLs", {"urls": _ELSEWHERE}),
            Request("Emulation.setFocusEmulationEnabled", {"enabled": True}),
            Request("Emulation.setDeviceMetricsOverride", screen),
            Request("Page.addScriptToEvaluateOnNewDocument", {"source": BEFORE + self.task.hooks}),
        ]
        yield from self._go()
        yield from self.begin(0)  # the first episode after a load may still be laying itself out

    def _go(self) -> Asks:
        """Load the page."""
        answers = yield [Request("Page.navigate", {"url": self.task.url}, "Page.loadEventFired")]
        if answers[0].get("errorText"):
            raise BrowserError(f"{self.task.url} cannot be loaded: {answers[0]['errorText']}")

    def _evaluate(self, script: str, gesture: bool = False) -> Asks:
        """The value of a script, as JSON has it, or of its promise. BrowserError for what it throws.

        gesture: whether the page takes it for something a person does, of which the whole browser is told.
        """
        how = {"expression": script, "returnByValue": True, "awaitPromise": True, "userGesture": gesture}
        answers = yield [Request("Runtime.evaluate", how, may_fail=True)]
        if "error" in answers[0]:  # the page went on to another
            return None
        if "exceptionDetails" in answers[0]:
            details = answers[0]["exceptionDetails"]
            said = str(details.get("exception", {}).get("description", details.get("text", "")))
            if "__ethogram is not defined" in said:
                raise BrowserError(f"{self.task.name} went to where there is no page")
            raise BrowserError(f"a script of {self.task.name} failed: {said:.200}")
        return answers[0]["result"].get("value")

    def begin(self, seed: int) -> Asks:
        """Begin an episode; a Seen."""
        yield list(_clicks((0, 0), 0))
        script = f"__ethogram.begin({seed}, {json.dumps(self.task.url)})"
        if not (yield from self._evaluate(script)):
            yield from self._go()
            yield from self._evaluate(script)
        return (yield from self._look(""))

    def _look(self, first: str) -> Asks:
        """A Seen of the page; first: JavaScript to wait for."""
        width, height = self.task.width, self.task.height
        look = f"return __ethogram.look({width}, {height}, {json.dumps(self.task.hidden)})"
        seen = yield from self._evaluate(f"(async () => {{ {first} {look} }})()")
        while self.session in self.browser.loading or seen is None:
            if self.session in self.browser.loading:
                yield [Request("Runtime.evaluate", {"expression": "0"}, "Page.frameStoppedLoading", may_fail=True)]
            seen = yield from self._evaluate(f"(() => {{ {look} }})()")
        png = ""
        if self.pixels:
            clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            picture = {"format": "png", "clip": clip, "optimizeForSpeed": True}
            answers = yield [Request("Page.captureScreenshot", picture)]
            png = answers[0]["data"]
        return replace(Seen.read(seen), png=png)

    def do(self, action: GuiAction, at: Sequence[float] | None, pace: float) -> Asks:
        """One action, then ``pace`` ms and what else it takes on the page's clock: (what was not done and why, Seen).

        at: where, in pixels of the page; None where the action says no place. Drags and scrolls have their own points.
        """
        problem = yield from self._act(action, at)
        frames = "await __ethogram.frames();" if action.type == "scroll" else ""
        ms = pace + (action.ms if action.type == "wait" else 0)
        return problem, (yield from self._look(f"{frames} await __ethogram.advance({ms});"))

    def _act(self, action: GuiAction, at: Sequence[float] | None) -> Asks:
        kind = action.type
        if kind in _HOOKED:
            return (yield from self._hooked(action))
        if kind == "press":
            yield key_events(action.key)
        elif kind == "type":
            yield from self._type(action, at)
        elif kind == "drag":
            yield from self._drag(action)
        elif kind == "scroll":
            yield [self._wheel(action, at)]
        elif kind not in ("noop", "wait") and at is not None:
            if kind == "select":
                return (yield from self._select(at, action.text))
            if kind == "long_press":
                yield [_mouse("mouseMoved", at), _mouse("mousePressed", at, 1)]
                yield from self._evaluate(f"__ethogram.advance({action.ms})")
                yield [_mouse("mouseReleased", at, 1)]
            else:
                yield list(_clicks(at, {"hover": 0, "tap": 1, "double_tap": 2}[kind]))
        return ""

    def _hooked(self, action: GuiAction) -> Asks:
        """Call a function that the page defines for itself; back without one is the browser's."""
        name = "finish" if action.type == "done" else action.type
        given = {"done": [action.status, action.text], "open": [action.text]}.get(action.type, [])
        call = f"ethogram.{name}({', '.join(map(json.dumps, given))})"
        if (yield from self._evaluate(f"window.ethogram && ethogram.{name} ? ({call}, true) : false", gesture=True)):
            return ""
        if action.type == "back":
            answers = yield [Request("Page.getNavigationHistory", {})]
            place, entries = answers[0]["currentIndex"], answers[0]["entries"]
            if place > 0 and entries[place - 1]["url"].startswith("file:"):
                entry = {"entryId": entries[place - 1]["id"]}
                yield [Request("Page.navigateToHistoryEntry", entry, "Page.frameStoppedLoading")]
                return ""
            return "there is no page to go back to"
        return "" if action.type == "done" else f"the page has no {name}"

    def _type(self, action: GuiAction, at: Sequence[float] | None) -> Asks:
        if at is not None:
            yield list(_clicks(at, 1))
        if action.clear:
            yield [*key_events("Control+a"), *key_events("Delete")]
        if action.text:
            yield list(typed(action.text))
        if action.submit:
            yield key_events("Enter")

    def _drag(self, action: GuiAction) -> Asks:
        start, end = (self._pixels(point) for point in (action.point, action.point2))
        yield [_mouse("mouseMoved", start), _mouse("mousePressed", start, 1)]
        if action.ms:
            yield from self._evaluate(f"__ethogram.advance({action.ms})")
        path = [[a + (b - a) * step / _MOVES for a, b in zip(start, end, strict=True)] for step in range(1, _MOVES + 1)]
        yield [*(_mouse("mouseMoved", point, held=True) for point in [*path, end]), _mouse("mouseReleased", end, 1)]

    def _wheel(self, action: GuiAction, at: Sequence[float] | None) -> Request:
        """The wheel: as far as the finger went, half a screen where no path is known."""
        width, height = self.task.width, self.task.height
        across = action.direction in ("left", "right")
        pixels = action.amount * (width if across else height) or (width if across else height) / 2
        sign = -1 if action.direction in ("up", "left") else 1 if action.direction != "none" else 0
        x, y = at or (width / 2, height / 2)
        delta = {"deltaX": sign * pixels if across else 0, "deltaY": 0 if across else sign * pixels}
        return Request("Input.dispatchMouseEvent", {"type": "mouseWheel", "x": x, "y": y, **delta})

    def _select(self, at: Sequence[float], text: str) -> Asks:
        """Choose in a native select, as a person does: open it, arrows, Enter."""
        x, y = at
        found = yield from self._evaluate(f"__ethogram.optionsAt({x}, {y})")
        if found is None:
            return "there is no select"
        options: list[Mapping[str, Any]] = found["options"]
        places = [i for i, option in enumerate(options) if option["text"] == text and option["enabled"]]
        places = places or [i for i, option in enumerate(options) if option["value"] == text and option["enabled"]]
        if not places:
            return f"the select has no option {text!r:.60} of {[option['text'] for option in options]!r:.200}"
        wanted, chosen = places[0], found["chosen"]
        if found["list"]:
            yield list(_clicks((yield from self._evaluate(f"__ethogram.optionBox({x}, {y}, {wanted})")), 1))
        elif wanted != chosen:
            low, high = sorted((wanted, chosen))
            between = sum(option["enabled"] for option in options[low + 1 : high]) + 1
            yield list(_clicks(at, 1))
            yield [event for _ in range(between) for event in stroke("ArrowDown" if wanted > chosen else "ArrowUp")]
            yield key_events("Enter")
        return ""

    def _pixels(self, point: Sequence[float] | None) -> list[float]:
        x, y = point or (0, 0)
        return [x * self.task.width, y * self.task.height]

    def close(self) -> None:
        """Close the tab, if it still can be."""
        with suppress(BrowserError):
            self.browser.ask("Target.disposeBrowserContext", {"browserContextId": self.context})


def _mouse(kind: str, at: Sequence[float], count: int = 0, held: bool = False) -> Request:
    button = {"button": "left", "clickCount": count} if count else {"button": "left"} if held else {}
    buttons = {"buttons": 1} if kind == "mousePressed" or held else {}
    return Request("Input.dispatchMouseEvent", {"type": kind, "x": at[0], "y": at[1], **button, **buttons})


def _settled(at: Sequence[float]) -> Request:
    """A release of no button, of which a page sees nothing: a move alone waits for a frame."""
    return Request("Input.dispatchMouseEvent", {"type": "mouseReleased", "x": at[0], "y": at[1], "button": "none"})


def _clicks(at: Sequence[float], count: int) -> Iterator[Request]:
    """Move there and click; the client counts: the second of a double click says so."""
    yield _mouse("mouseMoved", at)
    if not count:
        yield _settled(at)
    for number in range(1, count + 1):
        yield _mouse("mousePressed", at, number)
        yield _mouse("mouseReleased", at, number)
