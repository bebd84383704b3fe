"""Requests as an endpoint's abilities allow them, and how these are found out: by asking."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .requests import Abilities, Request

NEUTRAL = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0}  # no change of the distribution, sent or not
GREEDY = {"temperature": 0, "top_k": 1, "top_p": 1e-6, "min_p": 1}  # the likeliest token alone, where it is obeyed

Send = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | int]]  # a body to what came back, or a status from 400 on


def body_of(request: Request, model: str, abilities: Abilities) -> dict[str, Any]:
    """The body to post to ``/chat/completions``; raises ValueError for what the endpoint cannot do."""

    def cannot(what: str, do: str) -> ValueError:
        return ValueError(f"{what}, which {model!r} cannot do as its abilities say: expected {do}")

    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": role, "content": text} for role, text in request.messages],
        abilities.token_field: request.max_tokens,
    }
    for name, neutral in NEUTRAL.items():
        value = getattr(request, name)
        if name in abilities.sampling:
            body[name] = value
        elif value != neutral:
            raise cannot(f"{name} is {value}", f"{name}={neutral}, or another endpoint")
    if request.seed is not None and abilities.seed:
        body["seed"] = request.seed
    if request.top_logprobs is not None:
        if request.top_logprobs > abilities.top_logprobs:
            raise cannot(f"top_logprobs is {request.top_logprobs}", f"{abilities.top_logprobs or None} at most")
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.schema is not None:
        if not abilities.schema:
            raise cannot("schema is given", "a grammar, letters, or text that is parsed")
        body["response_format"] = _format(request.schema)
    if request.grammar is not None:
        if abilities.grammar is None:
            raise cannot("grammar is given", "a schema, letters, or text that is parsed")
        body[abilities.grammar] = _grammar(abilities.grammar, request.grammar)
    return body


def _format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def _grammar(field: str, grammar: str) -> Any:
    return {"grammar": grammar} if field == "structured_outputs" else grammar


def identity_of(listed: Mapping[str, Any], model: str) -> str:
    """Which model stands behind a name, as far as ``/models`` says; "" if it does not."""
    entry = _entry(listed, model)
    meta = {name: value for name, value in (entry.get("meta") or {}).items() if name != "n_ctx"}
    known = {"meta": meta, "root": entry.get("root"), "digest": entry.get("digest")}
    return json.dumps(known, sort_keys=True) if any(known.values()) else ""


def digest(text: str) -> str:
    """16 hexadecimal digits; "-" for none."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else "-"


def _entry(listed: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    entries = listed.get("data") or []
    named = [entry for entry in entries if model in (entry.get("id"), *(entry.get("aliases") or []))]
    return (named or (entries if len(entries) == 1 else [{}]))[0]


QUOKKA = {
    "type": "object",
    "properties": {"word": {"type": "string", "enum": ["quokka"]}},
    "required": ["word"],
    "additionalProperties": False,
}


async def probe(send: Send, model: str, listed: Mapping[str, Any]) -> Abilities:
    """Ask some eighteen short questions, one after the other, and see what is obeyed.

    listed: the answer of ``/models``; {} if there is none. Raises ValueError if the plainest request is refused.
    """
    asked = _Probe(send, model)
    await asked.token_field()
    entry = _entry(listed, model)
    if listed.get("data") and model not in (entry.get("id"), *(entry.get("aliases") or [])):
        asked.dropped.append("model")
    sampling, seed = await asked.drawing()
    top, reported = await asked.logprobs()
    two = await asked("Say a word.", n=2)
    n = asked.obeyed("n", two, isinstance(two, dict) and len(two["choices"]) == 2)
    formed = await asked("How are you?", 32, response_format=_format(QUOKKA))
    schema = asked.obeyed("response_format", formed, "".join(_text(formed).split()) == '{"word":"quokka"}')
    grammar = None
    for name in ("grammar", "structured_outputs"):
        written = _grammar(name, 'root ::= "quokka"')
        if grammar is None and _text(await asked("How are you?", **{name: written})) == "quokka":
            grammar = name
    return Abilities(
        schema=schema,
        grammar=grammar,
        top_logprobs=top,
        reported=reported,
        n=n,
        seed=seed,
        token_field=asked.field,
        context=(entry.get("meta") or {}).get("n_ctx") or entry.get("max_model_len") or entry.get("context_length"),
        sampling=sampling,
        dropped=tuple(asked.dropped),
        fingerprint=digest(identity_of(listed, model)) + digest(asked.server),
    )


class _Probe:
    """Short questions to an endpoint, and what it was seen to ignore."""

    def __init__(self, send: Send, model: str) -> None:
        self.send, self.model = send, model
        self.field = "max_tokens"
        self.dropped: list[str] = []
        self.server = ""  # by its own word

    async def __call__(self, prompt: str, tokens: int = 8, **more: Any) -> dict[str, Any] | int:
        messages = [{"role": "user", "content": prompt}]
        found = await self.send({"model": self.model, "messages": messages, self.field: tokens, **more})
        if isinstance(found, dict):
            self.server = found.get("system_fingerprint") or ""
        return found

    def obeyed(self, name: str, found: dict[str, Any] | int, obeyed: bool) -> bool:
        """Whether a parameter was obeyed; one that was neither obeyed nor refused was dropped."""
        if isinstance(found, dict) and not obeyed:
            self.dropped.append(name)
        return obeyed

    async def token_field(self) -> None:
        """Find the field that limits answers."""
        taken = []
        for self.field in ("max_tokens", "max_completion_tokens"):
            found = await self("Count to a hundred.", 4)
            if isinstance(found, dict):
                taken.append(self.field)
                if (found.get("usage") or {}).get("completion_tokens", 0) <= 4:
                    return
        if not taken:
            raise ValueError(
                f"the endpoint refuses a plain question to {self.model!r} (status {found}): is that its name?"
            )
        self.field = taken[0]
        self.dropped.append(self.field)

    async def drawing(self) -> tuple[tuple[str, ...], bool]:
        """Find the settings of drawing that are taken, and whether a seed repeats an answer."""
        prompt = "Invent a word of twelve letters."
        first = await self(prompt, seed=1)
        if isinstance(first, int):  # no seeds
            texts, seed = [_text(await self(prompt)) for _ in range(2)], False
        else:
            texts = [_text(first), _text(await self(prompt, seed=2))]
            seed = self.obeyed("seed", first, _text(await self(prompt, seed=1)) == texts[0])
        varied = texts[0] != texts[1]  # else nothing can be told from answers that are alike
        taken = []
        for name, value in GREEDY.items():
            settings: list[dict[str, Any]] = [{name: value} | ({"seed": number} if seed else {}) for number in (1, 2)]
            found = [await self(prompt, **each) for each in settings]
            if isinstance(found[0], dict) and self.obeyed(
                name, found[0], not varied or _text(found[0]) == _text(found[1])
            ):
                taken.append(name)
        return tuple(taken), seed

    async def logprobs(self) -> tuple[int, str]:
        """Find how many log-probabilities are reported at a position, and whether a temperature changes them."""
        prompt = "Answer with one letter, A or B."
        for most in (100, 20, 5):
            found = await self(prompt, 1, logprobs=True, top_logprobs=most)
            if isinstance(found, int):
                continue
            first = _first_logprobs(found)
            if not self.obeyed("logprobs", found, len(first) > 1):
                return 0, "raw"
            cold = _first_logprobs(await self(prompt, 1, logprobs=True, top_logprobs=most, temperature=0.2))
            wider = len(cold) > 1 and cold[0] - cold[1] > 2 * (first[0] - first[1])  # by 5, if it is of what is drawn
            return min(most, len(first)), "drawn" if wider else "raw"
        return 0, "raw"


def _text(found: dict[str, Any] | int) -> str:
    """The answer, "" if there is none."""
    return "" if isinstance(found, int) else (found["choices"][0].get("message") or {}).get("content") or ""


def _first_logprobs(found: dict[str, Any] | int) -> list[float]:
    """Log-probabilities at the first position of an answer, descending."""
    if isinstance(found, int):
        return []
    positions = (found["choices"][0].get("logprobs") or {}).get("content") or [{}]
    return sorted((each["logprob"] for each in positions[0].get("top_logprobs") or []), reverse=True)
