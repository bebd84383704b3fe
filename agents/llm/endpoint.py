"""Endpoint: any OpenAI-compatible server as a ``Model``, with a cache, limits and a budget."""

import asyncio
import os
import threading
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tqdm import tqdm

from ethogram.simulator import check_is, check_number, checked_int

from .abilities import body_of, digest, identity_of, probe
from .budget import Budget, OverBudget
from .cache import Cache, Store
from .client import Client, EndpointDown, Refused, place_of, reply_of
from .requests import Abilities, Reply, Request


class Endpoint:
    """A model behind an OpenAI-compatible server: chat completions, asked side by side.

    model: its name there. base_url: where, such as "http://127.0.0.1:8080/v1"; None for ``OPENAI_BASE_URL`` or OpenAI.
    api_key: None for ``OPENAI_API_KEY``, and for none on loopback. It is kept out of files, errors and pickles.
    cache, cassette, mode: the files of known answers and how they are used, see ``Store``.
    budget: see ``Budget``. concurrency: most requests at a time. per_minute: most attempts a minute.
    timeout: seconds for an attempt as a whole, deadline: for all attempts at a request with the waits between them.
    retries: how often an attempt that failed is repeated; a 429 until the deadline. ``Retry-After`` up to two minutes
    is waited for, by all after a 429.
    give_up: how many requests in a row may fail before ``EndpointDown`` is raised.
    abilities: of the endpoint, where they are known; else they are probed once, and kept in the cache.
    quote: whether errors quote what the server said, which may repeat the prompt.
    progress: whether a bar with the cost is shown.

    counts: "asked", "cached", "attempts" and one for each reason why an attempt failed. Threads take turns, by batches.
    It is pickled without its key and connections.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        cache: str | Path | Cache | None = None,
        cassette: str | Path | None = None,
        mode: str = "read-write",
        budget: Budget | None = None,
        concurrency: int = 16,
        per_minute: float | None = None,
        timeout: float = 60.0,
        deadline: float = 300.0,
        retries: int = 5,
        give_up: int = 5,
        abilities: Abilities | None = None,
        quote: bool = False,
        progress: bool = False,
    ) -> None:
        check_is("model", model, str, "the name of a model, such as 'gpt-4.1-mini'")
        check_is("base_url", base_url, (str, type(None)), "an address such as 'http://127.0.0.1:8080/v1', or None")
        check_is("api_key", api_key, (str, type(None)), "the key of an account, or None")
        check_is("budget", budget, (Budget, type(None)), "a Budget, or None")
        check_is("abilities", abilities, (Abilities, type(None)), "Abilities, or None")
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        if base_url is not None and not _is_address(base_url):
            raise ValueError("base_url is no address: expected one such as 'http://127.0.0.1:8080/v1'")
        for name, value in (("timeout", timeout), ("deadline", deadline), ("per_minute", per_minute)):
            if value is not None or name != "per_minute":
                check_number(name, value, 1e-3)
        self.model, self.base_url, self.place = model, base_url, place_of(base_url)
        self.budget = budget if budget is not None else Budget()
        self.concurrency, self.per_minute = checked_int("concurrency", concurrency, 1, 1000), per_minute
        self.timeout, self.deadline = timeout, deadline
        self.retries, self.give_up = checked_int("retries", retries, 0), checked_int("give_up", give_up, 1)
        self.quote, self.progress = quote, progress
        self.store = Store(mode, cache, cassette)
        self.counts: Counter[str] = Counter()
        self._api_key, self._abilities = api_key, abilities
        self._turns = threading.RLock()
        self._start()

    def _start(self) -> None:
        self._connected: Client | None = None
        self._failed = 0  # requests in a row
        self._bar: Any = None

    def __repr__(self) -> str:
        return f"Endpoint({self.model!r}, at {self.place})"

    def __fingerprint__(self) -> tuple[str, str]:
        """Which model it is, and where; how it is asked makes no other run."""
        return self.model, self.place

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | dict.fromkeys(("_api_key", "_connected", "_bar", "_turns"))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _turns=threading.RLock())
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and the bar; a later ``answer`` opens them again."""
        if self._bar is not None:
            self._bar.close()
        if self._connected is not None:
            self._connected.close()
        self._start()

    @property
    def _client(self) -> Client:
        if self._connected is None or self._connected.process != os.getpid():
            self._connected = Client(
                repr(self),
                self.base_url,
                self._api_key,
                budget=self.budget,
                timeout=self.timeout,
                deadline=self.deadline,
                retries=self.retries,
                per_minute=self.per_minute,
                quote=self.quote,
            )
            self._connected.counts = self.counts
        return self._connected

    @property
    def abilities(self) -> Abilities:
        """The endpoint's abilities: as given, as kept, or probed now; warns of what it was seen to drop in silence."""
        with self._turns:
            return self._known_abilities()

    def _known_abilities(self) -> Abilities:
        if self._abilities is None:
            kept = self.store.abilities(f"{self.place} {self.model}")
            if self.store.mode != "replay":
                kept = self._client.run(self._probe(kept))
                self.store.keep_abilities(f"{self.place} {self.model}", kept)
                self.store.flush()
            if kept is None:
                raise LookupError(
                    f"nothing is kept about {self!r}: expected the model and base_url that were recorded, though a "
                    f"replay sends nothing there; what is kept is of {self.store.endpoints() or 'no endpoint'}"
                )
            self._abilities = kept
            if kept.dropped:
                names = ", ".join(kept.dropped)
                warnings.warn(f"{self!r} takes {names} and ignores it in silence: see its abilities", stacklevel=3)
        return self._abilities

    async def _probe(self, kept: Abilities | None) -> Abilities:
        """What is kept, if the same model answers: another one may stand behind the same name, as on loopback."""
        if kept is not None and kept.fingerprint.startswith(digest("")):
            return kept  # it does not say which it is
        try:
            listed = await self._client.get("/models")
        except Refused as error:
            if not error.status:
                raise EndpointDown(f"{self!r} does not answer ({error}): is it running?") from None
            listed = {}  # it has no list
        if kept is not None and kept.fingerprint.startswith(digest(identity_of(listed, self.model))):
            return kept

        async def send(body: dict[str, Any]) -> dict[str, Any] | int:
            try:
                found: dict[str, Any] = await self._client.post(body)
                return found
            except Refused as error:
                if error.status not in (400, 422, 500, 501):
                    raise EndpointDown(f"{self!r} could not be probed ({error}): nothing is kept of it") from None
                return error.status

        return await probe(send, self.model, listed)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """The replies, one for each request, in their order; equal requests are asked once.

        A request that failed, after all its attempts, has a reply with an ``error``, which is kept nowhere. Raises
        OverBudget and EndpointDown, which carry the replies so far; Miss in a replay; ValueError, before anything is
        sent, for a request that the endpoint cannot do.
        """
        check_is("requests", requests, Sequence, "a list of Requests")
        if not requests:
            return []
        for request in requests:
            check_is("requests", request, Request, "a list of Requests")
        with self._turns:
            return self._answered(requests)

    def _answered(self, requests: Sequence[Request]) -> list[Reply]:
        """Those of one batch."""
        try:
            fingerprint = self.abilities.fingerprint
        except (OverBudget, EndpointDown) as error:
            error.replies = [None] * len(requests)
            raise
        keys = [request.key(self.model, self.place, fingerprint) for request in requests]
        wanted = dict(zip(keys, requests, strict=True))
        found = self.store.known(wanted)
        self.counts["cached"] += len(found)
        new = {key: request for key, request in wanted.items() if key not in found}
        if not new:
            return [found[key] for key in keys]
        bodies = {key: body_of(request, self.model, self.abilities) for key, request in new.items()}
        try:
            self._client.run(self._ask(new, bodies, found))
        except (OverBudget, EndpointDown) as error:
            error.replies = [found.get(key) for key in keys]
            raise
        finally:
            self.store.flush()
        first = {key: number for number, key in reversed(list(enumerate(keys)))}
        return [
            replace(found[key], cached=True) if key in new and first[key] != number else found[key]
            for number, key in enumerate(keys)
        ]

    async def _ask(self, new: Mapping[str, Request], bodies: Mapping[str, Any], found: dict[str, Reply]) -> None:
        """Ask all of these, so many at a time, and put the replies into ``found`` and the store as they come."""
        pending = iter(new.items())
        self._client.stop = None
        if self.progress and self._bar is None:
            self._bar = tqdm(total=0, unit="answer", desc=self.model)
        if self._bar is not None:
            self._bar.total += len(new)

        async def work() -> None:
            for key, request in pending:
                try:
                    reply = await self._one(request, bodies[key])
                except (OverBudget, EndpointDown) as error:
                    self._client.stop = error  # the others finish what is under way
                    return
                if reply.error is None:
                    self.store.keep(key, request, reply)
                    self.counts["asked"] += 1
                found[key] = reply
                if self._bar is not None:
                    self._bar.set_postfix_str(f"cost {self.budget.cost:.4g}", refresh=False)
                    self._bar.update()

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(self.concurrency, len(new))):
                    tasks.create_task(work())
        except BaseExceptionGroup as group:  # such as a disk that is full
            raise group.exceptions[0] from None
        if self._client.stop is not None:
            raise self._client.stop

    async def _one(self, request: Request, body: dict[str, Any]) -> Reply:
        """One request, all its attempts."""
        try:
            reply = await self._client.post(body, lambda found: reply_of(found, request))
            self._failed = 0
            return reply
        except Refused as error:
            why, about_it = str(error), error.status in (400, 413, 422)
        if not about_it:
            self._failed += 1
        if self._failed >= self.give_up:
            self._failed = 0
            raise EndpointDown(f"{self!r} answered none of the last {self.give_up} requests ({why}): try again later")
        return Reply("", "", error=why)


def _is_address(base_url: str) -> bool:
    """Whether somebody can be asked there: a scheme of the web, a host, and a port that is one, if any."""
    try:
        parts = urlsplit(base_url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port
        return False
