"""Client: attempts at requests by the openai package, how long they wait, what they cost, what came back."""

import asyncio
import logging
import math
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .budget import Budget, OverBudget, Reserved
from .requests import Reply, Request

T = TypeVar("T")
PATIENCE = 120.0  # seconds: whoever asks for a longer wait is not asked again
_jitter = random.Random()  # of waiting times: no part of any simulation


class EndpointDown(ConnectionError):
    """An endpoint refuses everything, or answered none of the last requests; ``replies`` are those of the batch so far.

    The same batch, asked later, goes on from there where there is a cache.
    """

    replies: Sequence[Reply | None] = ()


class Refused(Exception):
    """A request that is given up: why, in words without the prompt, and the status, 0 for none."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Unusable(ValueError):
    """An answer that is none, in one or two words; another attempt may bring a better one."""


def reply_of(found: Any, request: Request) -> Reply:
    """The reply in a body of ``chat.completions``; raises Unusable for a broken, empty or overlong one."""
    try:
        choice = found["choices"][0]
        text, finish = choice["message"].get("content"), choice["finish_reason"]
        refusal = choice["message"].get("refusal")
        tokens_in, tokens_out = usage_of(found)
        logprobs = tuple(_position(each) for each in (choice.get("logprobs") or {}).get("content") or ())
    except (KeyError, IndexError, TypeError, AttributeError, OverflowError):
        raise Unusable("malformed") from None
    if not isinstance(text, str | None) or not isinstance(finish, str):
        raise Unusable("malformed")
    if finish == "content_filter" or refusal:
        return Reply("", finish, (), tokens_in or 0, tokens_out or 0, error="filtered")
    text = text or ""
    if len(text) > 4096 + 256 * request.max_tokens:  # no vocabulary has tokens of more characters
        raise Unusable("overlong")
    role, begun = request.messages[-1]
    if role == "assistant":  # some servers repeat what they were to go on from
        text = text.removeprefix(begun)
    if request.top_logprobs is not None and not logprobs:
        raise Unusable("without log-probabilities" if text else "empty")
    if not text and not logprobs:
        raise Unusable("empty")
    return Reply(text, finish, logprobs, tokens_in or 0, tokens_out or 0)


def usage_of(found: Any) -> tuple[int | None, int | None]:
    """(tokens in, tokens out) as a body counts them, None for what it does not."""
    usage = found.get("usage") if isinstance(found, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (count if type(count) is int and count >= 0 else None for count in counts)
    return tokens_in, tokens_out


def _position(found: Mapping[str, Any]) -> dict[str, float]:
    """Token -> log-probability. Tokens that are written alike (pieces of a character) count together."""
    position: dict[str, float] = {}
    for each in found.get("top_logprobs") or [found]:
        token, logprob = each["token"], float(each["logprob"])
        if token in position:
            logprob = math.log(math.exp(position[token]) + math.exp(logprob) or 5e-324)
        position[token] = logprob
    return position


def will_help(status: int, headers: Mapping[str, str]) -> bool:
    """Whether another attempt may go better after a status from 400 on, by the server's word or by custom."""
    said = headers.get("x-should-retry")
    return said == "true" or (said != "false" and (status in (408, 409, 429) or status >= 500))


def wait_before(attempt: int, headers: Mapping[str, str]) -> float | None:
    """Seconds before another attempt, after ``attempt`` that failed; None for no other attempt.

    As the server asks by ``Retry-After``, in seconds, milliseconds or as a date, for up to two minutes and not at all
    beyond them. Otherwise, and where it asks for no time or less, half a second doubled with each attempt, 8 seconds at
    most, less up to a quarter by chance.
    """
    asked = _asked_for(headers)
    if asked is not None and asked > PATIENCE:
        return None
    if asked is not None and asked > 0:
        return asked
    return min(8.0, 0.5 * 2.0 ** min(attempt - 1, 10)) * (1 - 0.25 * _jitter.random())


def _asked_for(headers: Mapping[str, str]) -> float | None:
    try:
        if "retry-after-ms" in headers:
            return float(headers["retry-after-ms"]) / 1000
        value = headers.get("retry-after")
        if value is None:
            return None
        try:
            return float(value)
        except ValueError:
            return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError):
        return None


class Client:
    """Connections to a server, in an event loop of their own thread: callers may have one too, as notebooks do.

    where: what errors call it. Of ``Endpoint``, which says the rest; ``stop``: an error that ends the batch under way.
    """

    def __init__(
        self,
        where: str,
        base_url: str | None,
        api_key: str | None,
        *,
        budget: Budget,
        timeout: float,
        deadline: float,
        retries: int,
        per_minute: float | None,
        quote: bool,
    ) -> None:
        self.where, self.base_url = where, base_url
        self.budget, self.timeout, self.deadline = budget, timeout, deadline
        self.retries, self.per_minute, self.quote = retries, per_minute, quote
        self.process = os.getpid()  # a fork has no thread of it
        self.counts: Counter[str] = Counter()  # of attempts, and of why they failed
        self.stop: Exception | None = None
        self._next = 0.0  # when the next attempt may start
        self._settled = asyncio.Event()  # a call under way has cost what it did
        self._openai = self._connected(api_key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ethogram-llm", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine; interrupted, it is cancelled."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Close the connections and end the thread."""
        self.run(self._openai.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def get(self, path: str) -> dict[str, Any]:
        """A table, as JSON; raises Refused."""
        return await self._within_deadline("GET", path, None, None, _table)

    async def post(self, body: dict[str, Any], use: Callable[[Any], T] | None = None) -> T:
        """``use(table)`` of a chat completion, where it may raise Unusable; or the table. Raises Refused."""
        characters = sum(len(message["content"].encode()) + 32 for message in body["messages"])  # 32: what surrounds it
        tokens = next(body[name] for name in ("max_tokens", "max_completion_tokens") if name in body)
        return await self._within_deadline("POST", "/chat/completions", body, (characters, tokens), use or _completion)

    async def _within_deadline(
        self, method: str, path: str, body: Any, size: tuple[int, int] | None, use: Callable[[Any], T]
    ) -> T:
        await self._turn()  # not of its time: under a low limit a minute it is long
        try:
            async with asyncio.timeout(self.deadline):
                return await self._attempts(method, path, body, size, use)
        except TimeoutError:
            raise Refused("deadline") from None

    async def _attempts(
        self, method: str, path: str, body: Any, size: tuple[int, int] | None, use: Callable[[Any], T]
    ) -> T:
        import openai

        failed = limited = 0  # attempts; those that came too early are repeated until the deadline
        while True:
            reserved = None if size is None else await self._reserved(*size)
            tokens: tuple[int | None, int | None] = None, None
            headers: Mapping[str, str] = {}
            status, again, hopeless = 0, True, False
            try:
                self.counts["attempts"] += 1
                async with asyncio.timeout(self.timeout):  # of an attempt as a whole; theirs is for each read
                    found = await self._send(method, path, body)
                tokens = usage_of(found)
                return use(found)
            except Unusable as error:
                why = str(error)
            except TimeoutError:
                why = "timeout"
            except openai.APIStatusError as error:
                tokens, status, headers = (0, 0), error.status_code, error.response.headers
                why = f"status {status}" + (f": {error.message}" if self.quote else "")
                again = will_help(status, headers)
                hopeless = status in (401, 402, 404) or error.code == "insufficient_quota"
            except openai.APIConnectionError:
                why = "connection"
            except (openai.OpenAIError, ValueError, RecursionError):
                why = "malformed"  # such as JSON that breaks off
            finally:
                if reserved is not None:
                    self.budget.settle(reserved, *tokens)
                    self._settled.set()
            self.counts[why.partition(":")[0]] += 1
            if hopeless and size is not None:
                raise EndpointDown(f"{self.where} refuses everything ({why}): are key, quota, address and model right?")
            if status == 429:
                limited += 1
            else:
                failed += 1
            wait = wait_before(failed + limited, headers)
            if not again or wait is None or failed > self.retries:
                raise Refused(why, status)
            if status == 429:  # all others wait too
                self._next = max(self._next, self._loop.time() + wait)
            else:
                await asyncio.sleep(wait)
            await self._turn()

    async def _reserved(self, characters: int, tokens: int) -> Reserved:
        """Room in the budget, waited for while calls under way may turn out cheaper than was set aside for them."""
        while True:
            try:
                return self.budget.reserve(characters, tokens)
            except OverBudget:
                if self.budget.idle:
                    raise
            self._settled.clear()
            with suppress(TimeoutError):  # another endpoint's calls, in another thread, settle unheard
                async with asyncio.timeout(0.1):
                    await self._settled.wait()

    async def _turn(self) -> None:
        """Wait until another attempt may start."""
        now = self._loop.time()
        start = max(now, self._next)
        if self.per_minute is not None:
            self._next = start + 60 / self.per_minute
        if start > now:
            await asyncio.sleep(start - now)
        if self.stop is not None:
            raise self.stop

    async def _send(self, method: str, path: str, body: Any) -> Any:
        """What came back, as JSON: the package's types would take half of the time of a call."""
        if method == "GET":
            return await self._openai.get(path, cast_to=object)
        return await self._openai.post(path, body=body, cast_to=object)

    def _connected(self, api_key: str | None) -> Any:
        import openai

        local = place_of(self.base_url) == "loopback"
        if not (api_key or local or os.environ.get("OPENAI_API_KEY")):
            raise ValueError(f"{self.where} needs a key: expected api_key, or OPENAI_API_KEY in the environment")
        logger = logging.getLogger("openai")
        if logger.level == logging.NOTSET and "OPENAI_LOG" not in os.environ:
            logger.setLevel(logging.INFO)  # below that it logs prompts
        return openai.AsyncOpenAI(
            api_key=api_key or ("none" if local else None),
            base_url=self.base_url,
            max_retries=0,  # attempts are counted, and paid, here
            timeout=self.timeout,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False) if local else None,  # no proxy
        )


def place_of(base_url: str | None) -> str:
    """Where a model stands, as keys of answers know it: "loopback", whatever the port, or host, port and path."""
    parts = urlsplit(base_url or "https://api.openai.com/v1")
    if parts.hostname in ("localhost", "::1") or (parts.hostname or "").startswith("127."):
        return "loopback"
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.hostname}{port}{parts.path.rstrip('/')}"


def _table(found: Any) -> Any:
    if not isinstance(found, dict):
        raise Unusable("malformed")
    return found


def _completion(found: Any) -> Any:
    if not isinstance(found, dict) or not found.get("choices"):
        raise Unusable("malformed")
    return found
