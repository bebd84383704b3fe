"""Request, Reply, Abilities, Model: what is asked of a language model, what comes back, and who answers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self

from ethogram.simulator import check_is, check_number, checked_int

ROLES = ("system", "user", "assistant")
MOST = 2**31 - 1  # of seeds and tokens: some servers keep them in 32 bits, and take 2**32 - 1 for "any seed"

_canonical = json.JSONEncoder(
    separators=(",", ":"), allow_nan=False
).encode  # unsorted: answers follow a schema's order


@dataclass(frozen=True)
class Request:
    """One question to a language model, with everything that its answer hangs on; JSON-able by ``asdict``.

    messages: (role, text) pairs, roles "system", "user", "assistant". A last one of the assistant's is the beginning of
    the answer: the reply goes on from there, without repeating it.
    max_tokens: most tokens of the answer, 1 or more.
    temperature, top_k, top_p, min_p: how tokens are drawn. Always sent, for servers have defaults of their own (.8, 40,
    .95, .05 for llama.cpp); these draw from the very distribution that log-probabilities report.
    seed: 0 to 2**31 - 1, or None for one of the server's choice. Repeats are other seeds, hashed, not counted up.
    top_logprobs: how many tokens are reported at each position, with their log-probabilities; None for none.
    schema: a JSON schema that the answer obeys; grammar: one in GBNF; at most one of the two.
    """

    messages: tuple[tuple[str, str], ...] = field(repr=False)  # so that no log or error shows them by accident
    max_tokens: int = 64
    temperature: float = 1.0
    seed: int | None = 0
    top_logprobs: int | None = None
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        check_is("messages", self.messages, (tuple, list), "a tuple of (role, text) pairs")
        if not self.messages:
            raise ValueError("messages is empty: expected one (role, text) pair or more")
        for number, pair in enumerate(self.messages):
            if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                raise TypeError(f"messages[{number}] is a {type(pair).__name__}: expected (role, text), two strings")
            if pair[0] not in ROLES:
                raise ValueError(f"messages[{number}] has the role {pair[0]!r:.20}: expected one of {ROLES}")
            try:
                pair[1].encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"messages[{number}] has half a character at {error.start} (a lone surrogate): expected text that "
                    "can be sent; text.encode('utf-8', 'replace').decode() makes it so"
                ) from None
        object.__setattr__(self, "messages", tuple((role, text) for role, text in self.messages))
        checked_int("max_tokens", self.max_tokens, 1, MOST)
        check_number("temperature", self.temperature)
        checked_int("top_k", self.top_k, 0, MOST)
        check_number("top_p", self.top_p, 0, 1)
        check_number("min_p", self.min_p, 0, 1)
        if self.seed is not None:
            checked_int("seed", self.seed, 0, MOST)
        if self.top_logprobs is not None:
            checked_int("top_logprobs", self.top_logprobs, 1)
        if self.schema is not None:
            check_is("schema", self.schema, dict, "a JSON schema as a dict, or None")
            try:
                _canonical(self.schema)
            except (TypeError, ValueError) as error:
                raise ValueError(f"schema is not JSON ({error}): expected strings, numbers, lists and dicts") from None
        if self.grammar is not None:
            check_is("grammar", self.grammar, str, "a grammar in GBNF, or None")
        if self.schema is not None and self.grammar is not None:
            raise ValueError("schema and grammar are both given: expected one of them at most")

    def key(self, model: str, place: str, fingerprint: str = "") -> str:
        """64 hexadecimal digits, sha256 of canonical JSON: the same if and only if the answer may be used again.

        place: where the model stands, by class rather than address (``place_of``); fingerprint: which model and server
        it is (``Abilities.fingerprint``). The key of an account, the time allowed and retries are not part of it.
        """
        return hashlib.sha256(_canonical([model, place, fingerprint, self.as_json()]).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """A dict that JSON can carry, and ``from_json`` takes back."""
        return {name: getattr(self, name) for name in _NAMES} | {"messages": [list(pair) for pair in self.messages]}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """The request behind ``as_json``."""
        return cls(**{**found, "messages": tuple((role, text) for role, text in found["messages"])})


_NAMES = [item.name for item in fields(Request)]


@dataclass(frozen=True)
class Reply:
    """An answer, or why there is none.

    text: the answer; "" if there is none. finish: "stop", "length" (cut at ``max_tokens``), or the server's word.
    logprobs: one dict token -> log-probability for each position of the answer; () if not asked for.
    tokens_in, tokens_out: as the server counts them. cached: whether it was known already, and cost nothing.
    error: why there is no answer, without the prompt's text or the server's; None for an answer.
    """

    text: str
    finish: str = "stop"
    logprobs: tuple[dict[str, float], ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    cached: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Abilities:
    """Abilities of an endpoint, as found out by asking it; the defaults are those of a model that can everything.

    schema: whether answers obey ``Request.schema``. grammar: the field that takes a grammar, "grammar" (llama.cpp) or
    "structured_outputs" (vLLM); None for none.
    top_logprobs: most tokens reported at a position; 0 for no log-probabilities. reported: what they are of: "raw", the
    model's own, before temperature, truncation and grammar, or "drawn", what tokens are drawn from.
    n: whether several choices come from one call. seed: whether a seed repeats an answer.
    token_field: "max_tokens" or "max_completion_tokens". context: most tokens of prompt and answer; None: not said.
    sampling: which settings of drawing can be sent. dropped: what is taken and then ignored, in silence.
    fingerprint: which model and server this is, as far as they say; "" if they do not.
    """

    schema: bool = True
    grammar: str | None = "grammar"
    top_logprobs: int = 20
    reported: str = "raw"
    n: bool = True
    seed: bool = True
    token_field: str = "max_tokens"
    context: int | None = None
    sampling: tuple[str, ...] = ("temperature", "top_k", "top_p", "min_p")
    dropped: tuple[str, ...] = ()
    fingerprint: str = ""


class Model(Protocol):
    """Whoever answers requests: an ``Endpoint``, or a scripted model of one's own."""

    @property
    def abilities(self) -> Abilities:
        """Everything that can be asked of it."""
        ...

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """The replies, one for each request, in their order; what failed is a reply with its ``error``."""
        ...
