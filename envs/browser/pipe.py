"""A headless Chromium over its DevTools pipe, with the standard library alone: many pages, one process tree.

Messages are JSON, each ended by a NUL, over file descriptors 3 and 4 of the browser. What is done on a page is a
generator that yields requests and is sent their answers; ``Browser.together`` drives those of many pages at once, so
that the pages work side by side. The protocol: https://chromedevtools.github.io/devtools-protocol.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
import weakref
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ethogram.simulator import check_is, check_number

NAMES = (
    *("chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome", "google-chrome-stable"),
)
FLAGS = (  # no network, no work in the background, no slowing down of what is not in front
    *("--headless", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync"),
    *("--disable-extensions", "--disable-client-side-phishing-detection", "--disable-domain-reliability", "--no-pings"),
    *("--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--mute-audio"),
    *("--disable-renderer-backgrounding", "--disable-hang-monitor", "--disable-breakpad", "--hide-scrollbars"),
    *("--force-color-profile=srgb", "--font-render-hinting=none", "--password-store=basic", "--use-mock-keychain"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=http://127.0.0.1:9", "--proxy-bypass-list=<-loopback>"),
    *("--force-webrtc-ip-handling-policy=disable_non_proxied_udp", "--disable-quic", "--disable-dev-shm-usage"),
    "--disable-smooth-scrolling",
    "--disable-features=MediaRouter,OptimizationHints,Translate,AutofillServerCommunication,PaintHolding",
)
WAITED = '"$@" & exec 3<&- 4>&-; wait; rm -rf "$0"'  # whoever started it may be gone by then


class BrowserError(RuntimeError):
    """The browser, or one of its pages, is gone or does not answer; says why."""


class Request(NamedTuple):
    """One command of the protocol; it is answered when its answer, and the event that it names, have come."""

    method: str
    params: dict[str, Any]
    event: str | None = None
    may_fail: bool = False  # its answer may be {"error": …}, which would else end the work


Asks = Generator[Sequence[Request], list[dict[str, Any]], Any]  # what is done on a page


def find_browser(path: str | Path | None = None) -> str:
    """The program: the one given, the one that the environment variable ETHOGRAM_BROWSER names, or a known name.

    Raises FileNotFoundError, which says what to install.
    """
    check_is("path", path, (str, Path, type(None)), "the path or name of a Chromium, or None")
    asked = str(path) if path is not None else os.environ.get("ETHOGRAM_BROWSER")
    found = shutil.which(asked) if asked else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = f"there is no program {asked!r}" if asked else f"none of {', '.join(NAMES)} is on the PATH"
        raise FileNotFoundError(
            f"no browser: {missing}. Install one (Debian and Ubuntu: `apt-get install chromium-headless-shell`, or "
            "chromium), or name it in ETHOGRAM_BROWSER or by the argument `browser`"
        )
    return found


class Browser:
    """A headless Chromium in a process group of its own, which ends with the pipe to it, however this process ends."""

    def __init__(self, path: str | Path | None = None, deadline: float = 30.0, flags: Sequence[str] = ()) -> None:
        """path: as ``find_browser`` takes it. deadline: seconds, for every wait. flags: more of the browser's own.

        Raises FileNotFoundError where there is no browser, BrowserError where it does not begin.
        """
        check_number("deadline", deadline)
        self.path, self.deadline = find_browser(path), deadline
        self._last_id = 0
        self._unread = b""
        self._unwritten = bytearray()
        self._waiting: dict[int, tuple[_Task, int]] = {}
        self._working: dict[str, _Task] = {}
        self.loading: set[str] = set()  # sessions whose page is going to another
        self._profile = tempfile.mkdtemp(prefix="ethogram-browser-")
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses its sandbox to root
        self._spawn([self.path, *FLAGS, *root, *flags, f"--user-data-dir={self._profile}", "about:blank"])
        try:
            self.version = str(self.ask("Browser.getVersion")["product"])
        except BrowserError as error:
            said = self._said()
            self.close()
            raise BrowserError(f"{self.path} did not begin ({error}){said}") from None

    def _spawn(self, command: list[str]) -> None:
        from_us, self._out = os.pipe()
        self._in, to_us = os.pipe()
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (from_us, to_us)]  # out of the way of 3 and 4
        log = os.path.join(self._profile, "log")
        try:
            self.process = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", WAITED, self._profile, *command],
                {**os.environ, "HOME": self._profile},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                    (os.POSIX_SPAWN_DUP2, theirs[0], 3),
                    (os.POSIX_SPAWN_DUP2, theirs[1], 4),
                ],
                setpgroup=0,
                setsigmask=[],
            )
        finally:
            for end in (from_us, to_us, *theirs):
                os.close(end)
        ends = self._in, self._out
        for end in ends:
            os.set_blocking(end, False)
        self._end = weakref.finalize(self, _ended, self.process, ends, self._profile, os.getpid())
        _OPEN.add(self)

    def _said(self) -> str:
        """The last that it wrote to its log, for an error message."""
        with suppress(OSError):
            lines = Path(self._profile, "log").read_text(errors="replace").strip().splitlines()
            return f"; it wrote: {lines[-1]:.300}" if lines else ""
        return ""

    @property
    def alive(self) -> bool:
        """Whether it is open here: not in a fork of the process that opened it."""
        return self._end.alive

    def ask(self, method: str, params: dict[str, Any] | None = None, session: str = "") -> dict[str, Any]:
        """One command to the browser itself, or to the page of a session; its answer. Raises BrowserError."""

        def one() -> Asks:
            answers = yield [Request(method, params or {})]
            return answers[0]

        result = self.together([(session, one())])[0]
        if isinstance(result, BrowserError):
            raise result
        return dict(result)

    def together(self, works: Sequence[tuple[str, Asks]]) -> list[Any]:
        """Drive generators, each on the page of its session, all at once; what each returned, or its BrowserError.

        All requests of all pages are written before an answer is read. A session may stand here once only.
        """
        tasks = [_Task(session, asks) for session, asks in works]
        if not self.alive:
            return [BrowserError("the browser is closed") for _ in tasks]
        self._working = {task.session: task for task in tasks}
        self._waiting = {}
        for task in tasks:
            self._go_on(task, None)
        end = time.monotonic() + self.deadline
        try:
            while any(not task.over for task in tasks):
                self._exchange(end - time.monotonic())
        except (OSError, EOFError, TimeoutError) as error:
            late = isinstance(error, TimeoutError)
            why = f"no answer within {self.deadline:g} s" if late else "the browser is gone"
            for task in tasks:
                if not task.over:
                    awaited = ", ".join(sorted({request.method for request in task.requests})) or "nothing"
                    task.fail(BrowserError(f"{why} (asked for {awaited})"))
            if not late:
                self.close()
        self._working, self._waiting = {}, {}
        return [task.result for task in tasks]

    def _go_on(self, task: "_Task", answers: list[dict[str, Any]] | None) -> None:
        """Let a generator take its answers, and write what it asks for next."""
        requests = task.send(answers)
        while requests is not None and not requests:
            requests = task.send([])
        for place, request in enumerate(requests or ()):
            self._last_id += 1
            self._waiting[self._last_id] = (task, place)
            self._write(self._last_id, request.method, request.params, task.session)

    def _write(self, number: int, method: str, params: dict[str, Any], session: str) -> None:
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._unwritten += json.dumps(message).encode() + b"\0"

    def _exchange(self, seconds: float) -> None:
        """Write what can be written, then take in what has come. TimeoutError, EOFError, OSError."""
        while self._unwritten:
            with suppress(BlockingIOError):
                del self._unwritten[: os.write(self._out, self._unwritten)]
                continue
            break
        wants = [self._out] if self._unwritten else []
        readable, writable, _ = select.select([self._in], wants, [], max(seconds, 0))
        if not readable and not writable:
            raise TimeoutError
        if readable:
            chunk = os.read(self._in, 1 << 16)  # what a pipe holds; more would be asked of the system each time
            if not chunk:
                raise EOFError
            *messages, self._unread = (self._unread + chunk).split(b"\0")
            for message in messages:
                self._take(json.loads(message.decode()))

    def _take(self, message: dict[str, Any]) -> None:
        """An answer or an event."""
        if "id" in message:
            task, place = self._waiting.pop(message["id"], (None, 0))
            if task is None or task.over:
                return
            if "error" in message and not task.requests[place].may_fail:
                method = task.requests[place].method
                task.fail(BrowserError(f"{method}: {message['error'].get('message', message['error'])}"))
            elif task.answered(place, message.get("result", message)):
                self._go_on(task, task.answers)
            return
        name, session = message["method"], message.get("sessionId", "")
        if name == "Page.javascriptDialogOpening":  # it would hold up the page until somebody answers
            self._last_id += 1
            self._write(self._last_id, "Page.handleJavaScriptDialog", {"accept": True}, session)
        elif name in ("Page.frameRequestedNavigation", "Page.frameStartedLoading"):
            self.loading.add(session)
        elif name in ("Page.frameStoppedLoading", "Page.downloadWillBegin"):
            self.loading.discard(session)
        task = self._working.get(session)
        if task is None or task.over:
            return
        if name in ("Inspector.targetCrashed", "Inspector.detached"):
            task.fail(BrowserError("the page crashed or was closed"))
        elif task.happened(name, message.get("params", {})):
            self._go_on(task, task.answers)

    def close(self) -> None:
        """End it, with all its processes, and remove its profile; a second time does nothing."""
        self._end()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Task:
    """A generator being driven, and what it waits for."""

    def __init__(self, session: str, asks: Asks) -> None:
        self.session, self.asks = session, asks
        self.requests: Sequence[Request] = ()
        self.answers: list[dict[str, Any]] = []
        self.awaited: list[str] = []  # events
        self.missing = 0  # answers and events
        self.over = False
        self.result: Any = None

    def send(self, answers: list[dict[str, Any]] | None) -> Sequence[Request] | None:
        """Its next requests; None when it is over."""
        try:
            self.requests = self.asks.send(answers)  # type: ignore[arg-type]  # None begins it
        except StopIteration as end:
            self.over, self.result = True, end.value
            return None
        except BrowserError as error:
            self.over, self.result = True, error
            return None
        self.answers = [{} for _ in self.requests]
        self.awaited = [request.event for request in self.requests if request.event]
        self.missing = len(self.requests) + len(self.awaited)
        return self.requests

    def answered(self, place: int, result: dict[str, Any]) -> bool:
        """Note an answer; whether all is there."""
        self.answers[place] = result
        self.missing -= 1
        return self.missing == 0

    def happened(self, name: str, params: dict[str, Any]) -> bool:
        """Note an event; whether all is there, which was not so before."""
        if name not in self.awaited:
            return False
        self.awaited.remove(name)
        self.missing -= 1
        return self.missing == 0

    def fail(self, error: BrowserError) -> None:
        self.over, self.result = True, error
        self.asks.close()


_OPEN: "weakref.WeakSet[Browser]" = weakref.WeakSet()


def _ended(process: int, ends: Sequence[int], profile: str, owner: int) -> None:
    """Close the pipe; end the process group and remove its profile, unless this is a fork of whoever began it."""
    for end in ends:
        os.close(end)
    if owner != os.getpid():
        return
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(process, 0)
    for _ in range(50):  # its last processes may still write
        shutil.rmtree(profile, ignore_errors=True)
        if not os.path.exists(profile):
            break
        time.sleep(0.02)


def _left_to_the_parent() -> None:
    """A forked process must not keep the parent's browsers open after the parent."""
    for browser in list(_OPEN):
        browser.close()


os.register_at_fork(after_in_child=_left_to_the_parent)
