"""Pages lent to episodes: as many as rows are stepped together, in one browser that opens when it is needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..gui import GuiAction
from .page import Page, Seen
from .pipe import Asks, Browser, BrowserError
from .tasks import PageTask

Done = tuple[GuiAction, tuple[float, float] | None]  # an action, and where in pixels


class Life:
    """An episode on a page: how it began, and what was done in it so far. The page may have gone to another."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.done: list[Done] = []
        self.page: Page | None = None


class Pool:
    """Pages of one task. An episode keeps its page until another needs it: the one unused for longest gives it up.

    One that has lost its page gets another when it is stepped again, and does there all that it did.
    """

    def __init__(self, task: PageTask, browser: str | Path | None, pixels: bool, pace: float, deadline: float) -> None:
        self.task, self.path, self.pixels, self.pace, self.deadline = task, browser, pixels, pace, deadline
        self.browser: Browser | None = None
        self.pages: list[Page] = []
        self.tenants: dict[Page, Life] = {}  # the one unused for longest first

    def begin(self, lives: Sequence[Life]) -> list[Seen | BrowserError]:
        """Begin these episodes, side by side: what is seen, or why not."""
        return self._together(lives, [None] * len(lives))

    def step(self, lives: Sequence[Life], actions: Sequence[Done]) -> list[tuple[str, Seen] | BrowserError]:
        """One action in each of these episodes, side by side: what was not done and why, and what is seen."""
        return self._together(lives, actions)

    def _together(self, lives: Sequence[Life], actions: Sequence[Done | None]) -> list[Any]:
        if not lives:
            return []
        try:
            self._lend(lives)
        except BrowserError as error:
            self.close()
            return [error for _ in lives]
        works = [self._work(life, fresh, action) for (life, fresh), action in zip(self._lent, actions, strict=True)]
        pages = [life.page for life in lives]
        assert self.browser is not None
        results = self.browser.together([(page.session, work) for page, work in zip(pages, works, strict=True) if page])
        for life, action, page, result in zip(lives, actions, pages, results, strict=True):
            if isinstance(result, BrowserError):
                self._drop(page)
            elif action is not None:
                life.done.append(action)
        return results

    def _work(self, life: Life, fresh: bool, action: Done | None) -> Asks:
        """Work on an episode's page: an action, after all that led to it if the page is fresh; or a beginning."""
        page = life.page
        assert page is not None
        if fresh or action is None:
            seen = yield from page.begin(life.seed)
            for gui_action, at in life.done:
                yield from page.do(gui_action, at, self.pace)
            if action is None:
                return seen
        return (yield from page.do(*action, self.pace))

    def _lend(self, lives: Sequence[Life]) -> None:
        """See that each of these episodes has a page; note which of them got one just now."""
        self._lent: list[tuple[Life, bool]] = []
        if self.browser is not None and not self.browser.alive:
            self.close()
        for life in lives:
            if life.page is not None:
                self.tenants[life.page] = self.tenants.pop(life.page)  # used last
        free = [page for page in self.pages if page not in self.tenants]
        for life in lives:
            fresh = life.page is None
            if fresh:
                self._settle(life, lives, free)
            self._lent.append((life, fresh))

    def _settle(self, life: Life, lives: Sequence[Life], free: list[Page]) -> None:
        if free:
            page = free.pop()
        elif len(self.pages) < len(lives):
            if self.browser is None:
                self.browser = Browser(self.path, self.deadline)
            page = Page(self.browser, self.task, self.pixels)
            self.pages.append(page)
        else:
            page = next(page for page, tenant in self.tenants.items() if tenant not in lives)
            self.tenants.pop(page).page = None
        life.page = page
        self.tenants[page] = life

    def leave(self, life: Life) -> None:
        """An episode is over: its page is free."""
        if life.page is not None:
            self.tenants.pop(life.page, None)
            life.page = None

    def _drop(self, page: Page | None) -> None:
        """A page that crashed or hangs is none to go on with."""
        if page in self.pages:
            self.pages.remove(page)
            tenant = self.tenants.pop(page, None)
            if tenant is not None:
                tenant.page = None
            page.close()

    def close(self) -> None:
        """End the browser; it opens again when it is needed."""
        for life in self.tenants.values():
            life.page = None
        self.pages, self.tenants = [], {}
        browser, self.browser = self.browser, None
        if browser is not None:
            browser.close()
