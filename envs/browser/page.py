"""A page: loaded, begun, acted on by trusted input, and looked at; its clock moves only as it is told."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..gui import GuiAction
from .keys import key_events, stroke, typed
from .pipe import Asks, Browser, BrowserError, Request
from .scripts import BEFORE
from .tasks import PageTask

_BORN = 1_577_836_800  # the page's first second, 2020-01-01: the same in every run
_MOST_WAITS = 50  # for a page to be ready, of 100 ms of its clock each
_MOVES = 4  # of the mouse between the ends of a drag
_ELSEWHERE = ["http://*", "https://*", "ws://*", "wss://*", "ftp://*"]
_HOOKED = ("back", "home", "recent", "open", "done")


class Seen(NamedTuple):
    """A look at a page: one row of the observation, not yet padded.

    elements: of each, left, top, right, bottom in pixels, kind (a place in ``KINDS``), flags (bits, of ``FLAGS``), the
    number of the element that it is in, or 0, its text and its value.
    """

    goal: str
    done: bool
    reward: float  # so far
    time: float  # ms of the page's clock
    elements: list[list[Any]]
    fields: dict[str, str] | None
    png: str = ""  # base64


class Page:
    """A page of a browser. Its methods are generators for ``Browser.together``, but for ``open`` and ``close``."""

    def __init__(self, browser: Browser, task: PageTask, pixels: bool = False) -> None:
        """Open a tab and load the task in it. Raises BrowserError."""
        self.browser, self.task, self.pixels = browser, task, pixels
        self.target = browser.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = browser.ask("Target.attachToTarget", {"targetId": self.target, "flatten": True})
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
        yield from self._go(initialVirtualTime=_BORN)
        yield from self._begin_once(0)  # the first episode after a load may still be laying itself out

    def _go(self, **more: float) -> Asks:
        """Load the page; its clock stands while files are read."""
        answers = yield [
            Request("Page.navigate", {"url": self.task.url}, "Page.loadEventFired"),
            self._advance(100, "pauseIfNetworkFetchesPending", **more),
        ]
        if answers[0].get("errorText"):
            raise BrowserError(f"{self.task.url} cannot be loaded: {answers[0]['errorText']}")

    def _advance(self, ms: float, policy: str = "advance", **more: float) -> Request:
        """Move the page's clock on; 0 would let it run free."""
        params = {"policy": policy, "budget": max(ms, 1), **more}
        return Request("Emulation.setVirtualTimePolicy", params, "Emulation.virtualTimeBudgetExpired")

    def _evaluate(self, script: str) -> Asks:
        """The value of a script, as JSON has it. BrowserError for what it throws."""
        answers = yield [
            Request("Runtime.evaluate", {"expression": script, "returnByValue": True, "userGesture": True})
        ]
        if "exceptionDetails" in answers[0]:
            details = answers[0]["exceptionDetails"]
            said = details.get("exception", {}).get("description", details.get("text", ""))
            raise BrowserError(f"a script of {self.task.name} failed: {said:.200}")
        return answers[0]["result"].get("value")

    def begin(self, seed: int) -> Asks:
        """Begin an episode: what is seen then."""
        yield from self._begin_once(seed)
        return (yield from self.look())

    def _begin_once(self, seed: int) -> Asks:
        script = f"window.ethogram && ethogram.reset ? (ethogram.reset({seed}), true) : false"
        if not (yield from self._evaluate(script)):
            yield from self._go()
        yield list(_clicks((0, 0), 0))
        yield [self._advance(1)]
        for _ in range(_MOST_WAITS):
            if (yield from self._evaluate("!window.ethogram || ethogram.ready !== false")):
                return
            yield [self._advance(100)]
        raise BrowserError(f"{self.task.name} is not ready after {_MOST_WAITS * 100} ms of its clock")

    def look(self) -> Asks:
        """What is seen now, a Seen."""
        width, height = self.task.width, self.task.height
        script = f"__ethogram.look({width}, {height}, {json.dumps(self.task.hidden)})"
        requests = [Request("Runtime.evaluate", {"expression": script, "returnByValue": True})]
        if self.pixels:
            clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            requests.append(
                Request("Page.captureScreenshot", {"format": "png", "clip": clip, "optimizeForSpeed": True})
            )
        answers = yield requests
        if "exceptionDetails" in answers[0]:
            said = answers[0]["exceptionDetails"].get("exception", {}).get("description", "")
            raise BrowserError(f"{self.task.name} cannot be looked at: {said:.200}")
        png = answers[1]["data"] if self.pixels else ""
        return Seen(*json.loads(answers[0]["result"]["value"]), png=png)

    def do(self, action: GuiAction, at: Sequence[float] | None, pace: float) -> Asks:
        """One action, then ``pace`` ms and what else it takes on the page's clock: (what was not done and why, Seen).

        at: where, in pixels of the page; None where the action says no place. A drag and a scroll have their own points.
        """
        problem = yield from self._act(action, at)
        yield [self._advance(pace + (action.ms if action.type == "wait" else 0))]
        while self.session in self.browser.loading:
            yield [self._advance(100, "pauseIfNetworkFetchesPending")]
        return problem, (yield from self.look())

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
            yield from self._evaluate(self._wheel(action, at))
        elif kind not in ("noop", "wait") and at is not None:
            if kind == "select":
                return (yield from self._select(at, action.text))
            if kind == "long_press":
                yield [_mouse("mouseMoved", at), _mouse("mousePressed", at, 1)]
                yield [self._advance(action.ms)]
                yield [_mouse("mouseReleased", at, 1)]
            else:
                yield list(_clicks(at, {"hover": 0, "tap": 1, "double_tap": 2}[kind]))
        return ""

    def _hooked(self, action: GuiAction) -> Asks:
        """What a page defines for itself; back without that is the browser's."""
        name = "finish" if action.type == "done" else action.type
        given = {"done": [action.status, action.text], "open": [action.text]}.get(action.type, [])
        call = f"ethogram.{name}({', '.join(map(json.dumps, given))})"
        if (yield from self._evaluate(f"window.ethogram && ethogram.{name} ? ({call}, true) : false")):
            return ""
        if action.type == "back":
            answers = yield [Request("Page.getNavigationHistory", {})]
            place, entries = answers[0]["currentIndex"], answers[0]["entries"]
            if place > 0 and entries[place - 1]["url"].startswith("file:"):
                entry = {"entryId": entries[place - 1]["id"]}
                yield [
                    Request("Page.navigateToHistoryEntry", entry, "Page.frameNavigated"),
                    self._advance(100, "pauseIfNetworkFetchesPending"),
                ]
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
            yield [self._advance(action.ms)]
        path = [[a + (b - a) * step / _MOVES for a, b in zip(start, end, strict=True)] for step in range(1, _MOVES + 1)]
        yield [*(_mouse("mouseMoved", point, held=True) for point in [*path, end]), _mouse("mouseReleased", end, 1)]

    def _wheel(self, action: GuiAction, at: Sequence[float] | None) -> str:
        """The wheel: as far as the finger went, half a screen where no path is known."""
        width, height = self.task.width, self.task.height
        across = action.direction in ("left", "right")
        pixels = action.amount * (width if across else height) or (width if across else height) / 2
        sign = -1 if action.direction in ("up", "left") else 1 if action.direction != "none" else 0
        x, y = at or (width / 2, height / 2)
        across_by, down_by = (sign * pixels, 0) if across else (0, sign * pixels)
        return f"__ethogram.wheel({x}, {y}, {across_by}, {down_by})"

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
        if self.browser.alive:
            self.browser.together([("", _closing(self.target))])


def _closing(target: str) -> Asks:
    yield [Request("Target.closeTarget", {"targetId": target})]


def _mouse(kind: str, at: Sequence[float], count: int = 0, held: bool = False) -> Request:
    button = {"button": "left", "clickCount": count} if count else {"button": "left"} if held else {}
    buttons = {"buttons": 1} if kind == "mousePressed" or held else {}
    return Request("Input.dispatchMouseEvent", {"type": kind, "x": at[0], "y": at[1], **button, **buttons})


def _settled(at: Sequence[float]) -> Request:
    """A release of no button, of which a page sees nothing: a move otherwise waits for a frame, perhaps for ever."""
    return Request("Input.dispatchMouseEvent", {"type": "mouseReleased", "x": at[0], "y": at[1], "button": "none"})


def _clicks(at: Sequence[float], count: int) -> Iterator[Request]:
    """Move there and click; the client counts: the second of a double click says so."""
    yield _mouse("mouseMoved", at)
    if not count:
        yield _settled(at)
    for number in range(1, count + 1):
        yield _mouse("mousePressed", at, number)
        yield _mouse("mouseReleased", at, number)
