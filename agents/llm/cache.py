"""Answers kept: a cache on disk for many processes, cassettes that repeat a run offline, and how they are used."""

import gzip
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from ethogram.simulator import check_is

from .requests import Abilities, Reply, Request

MODES = ("off", "read-write", "record", "replay", "refresh")
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (key BLOB PRIMARY KEY, request TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS abilities (endpoint TEXT PRIMARY KEY, found TEXT NOT NULL) WITHOUT ROWID;
"""
_AT_ONCE = 256  # keys in one look-up
_NEAREST_OF = 10_000  # kept requests that a miss is compared with
_compact = json.JSONEncoder(separators=(",", ":")).encode


class Miss(LookupError):
    """A replay has no answer to a request: the message says which, and how it differs from the nearest one kept."""


def _written(reply: Reply) -> str:
    return _compact([reply.text, reply.finish, reply.logprobs, reply.tokens_in, reply.tokens_out])


def _read(text: str) -> Reply:
    answer, finish, logprobs, tokens_in, tokens_out = json.loads(text)
    return Reply(answer, finish, tuple(logprobs), tokens_in, tokens_out, cached=True)


class Cache:
    """Answers in an SQLite file, by the keys of their requests; several processes may share one.

    Each answer is on disk when ``put`` returns: a process that is killed loses none, a machine that loses power at
    most the last ones. The file holds prompts and answers, and is readable by its owner alone; no key of an account
    is in it. Write-ahead logging needs a local disk, not a network drive.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._process = 0  # none yet
        self._open()

    def _open(self) -> sqlite3.Connection:
        """The connection of this process: one that was opened before a fork must not be used after it."""
        if self._process != os.getpid():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # the log beside it gets the same rights
            self._file: sqlite3.Connection = sqlite3.connect(
                self.path, timeout=60, isolation_level=None, check_same_thread=False
            )
            try:
                self._file.execute("PRAGMA journal_mode = WAL")
            except sqlite3.DatabaseError as error:
                raise ValueError(f"cache is {str(self.path)!r}, which SQLite cannot open ({error})") from None
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.executescript(_TABLES)
            self._process = os.getpid()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def get(self, keys: Iterable[str]) -> dict[str, Reply]:
        """Key -> answer, of those that are known."""
        found, rest = {}, iter(keys)
        with self._lock:
            while some := [bytes.fromhex(key) for key in islice(rest, _AT_ONCE)]:
                places = ",".join("?" * len(some))
                for key, reply in self._open().execute(f"SELECT key, reply FROM answers WHERE key IN ({places})", some):
                    found[key.hex()] = _read(reply)
        return found

    def put(self, key: str, request: Request, reply: Reply) -> None:
        """Keep an answer, in the place of an earlier one to the same request."""
        binary = bytes.fromhex(key)
        with self._lock:
            file = self._open()
            file.execute("BEGIN IMMEDIATE")
            with file:  # commits
                file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (binary, _written(reply)))
                file.execute("INSERT OR REPLACE INTO requests VALUES (?, ?)", (binary, _compact(request.as_json())))

    def __len__(self) -> int:
        with self._lock:
            return int(self._open().execute("SELECT count(*) FROM answers").fetchone()[0])

    def requests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(key, ``Request.as_json``) of what was answered last."""
        with self._lock:
            last = f"SELECT key, request FROM requests ORDER BY rowid DESC LIMIT {_NEAREST_OF}"
            rows = self._open().execute(last).fetchall()
        return ((key.hex(), json.loads(request)) for key, request in rows)

    def endpoints(self) -> list[str]:
        """Whose abilities are kept, as place and model."""
        with self._lock:
            return [endpoint for (endpoint,) in self._open().execute("SELECT endpoint FROM abilities")]

    def abilities(self, endpoint: str) -> Abilities | None:
        """The abilities that were found out about an endpoint, if they were."""
        with self._lock:
            row = self._open().execute("SELECT found FROM abilities WHERE endpoint = ?", (endpoint,)).fetchone()
        return None if row is None else _abilities(json.loads(row[0]))

    def keep_abilities(self, endpoint: str, abilities: Abilities) -> None:
        """Keep what was found out."""
        row = endpoint, _compact(asdict(abilities))
        with self._lock:
            self._open().execute("INSERT OR REPLACE INTO abilities VALUES (?, ?)", row)


def _abilities(found: Mapping[str, Any]) -> Abilities:
    return Abilities(**{**found, "sampling": tuple(found["sampling"]), "dropped": tuple(found["dropped"])})


class Cassette:
    """The requests of one run and their answers, as a file of JSON lines, packed if its name ends in ``.gz``.

    It holds prompts and answers in full, no address and no key of an account. Recording begins it anew; each batch is
    on disk when it is answered. One process records at a time.
    """

    def __init__(self, path: str | Path, record: bool) -> None:
        self.path, self.record = Path(path), record
        self._known: dict[str, Reply] = {}
        self._requests: dict[str, dict[str, Any]] = {}
        self._abilities: dict[str, Abilities] = {}
        self._new: list[str] = []
        if record:
            self._begin_anew()
            return
        data = self.path.read_bytes()
        try:
            text = (gzip.decompress(data) if self.path.suffix == ".gz" else data).decode()
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} is no cassette ({error}): expected JSON lines, gzipped if it ends in .gz"
            ) from None
        for number, line in enumerate(text.split("\n")[:-1], 1):  # splitlines would also split at U+2028
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ValueError(f"line {number} of {path} is no line of a cassette: record it again") from None

    def _begin_anew(self) -> None:
        """An empty file, in the place of an earlier cassette, and of nothing else: a cache was paid for."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        begins = b"\x1f\x8b" if self.path.suffix == ".gz" else b"{"
        if self.path.exists():
            with self.path.open("rb") as file:
                if (first := file.read(len(begins))) and first != begins:
                    raise ValueError(
                        f"cassette is {str(self.path)!r}, a file that is none, which recording would overwrite: "
                        "expected a new path, or that of an earlier cassette"
                    )
        self.path.write_bytes(b"")

    def _take(self, found: dict[str, Any]) -> None:
        if "endpoint" in found:
            self._abilities[found["endpoint"]] = _abilities(found["abilities"])
        else:
            reply = found["reply"]
            self._known[found["key"]] = Reply(**{**reply, "logprobs": tuple(reply["logprobs"]), "cached": True})
            self._requests[found["key"]] = Request.from_json(found["request"]).as_json()

    def get(self, keys: Iterable[str]) -> dict[str, Reply]:
        """Key -> answer, of those that are on it."""
        return {key: self._known[key] for key in keys if key in self._known}

    def put(self, key: str, request: Request, reply: Reply) -> None:
        """Record an answer, to be written by ``flush``."""
        if key not in self._known:
            shown = {name: value for name, value in asdict(reply).items() if name not in ("cached", "error")}
            line = {"key": key, "request": request.as_json(), "reply": shown}
            self._new.append(json.dumps(line, ensure_ascii=False))
            self._take(line)

    def flush(self) -> None:
        """Write what was recorded since the last time."""
        if self._new:
            data = "".join(f"{line}\n" for line in self._new).encode()
            with self.path.open("ab") as file:
                file.write(gzip.compress(data, mtime=0) if self.path.suffix == ".gz" else data)
            self._new.clear()

    def requests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(key, ``Request.as_json``) of all that is on it."""
        return iter(self._requests.items())

    def endpoints(self) -> list[str]:
        """Whose abilities are on it, as place and model."""
        return list(self._abilities)

    def abilities(self, endpoint: str) -> Abilities | None:
        """The abilities that were found out about an endpoint, if they are on it."""
        return self._abilities.get(endpoint)

    def keep_abilities(self, endpoint: str, abilities: Abilities) -> None:
        """Record what was found out."""
        if endpoint not in self._abilities:
            self._abilities[endpoint] = abilities
            self._new.append(json.dumps({"endpoint": endpoint, "abilities": asdict(abilities)}))


class Store:
    """The cache and the cassette of an endpoint, used by one of five modes.

    "read-write": answers come from the cache, new ones are kept in it. "refresh": each request is asked anew, once, and
    its answer replaces the old one. "record": as "read-write", and all that is answered goes on a new cassette.
    "replay": answers come from the cassette, or else the cache; nothing is asked. "off": neither is touched.
    """

    def __init__(self, mode: str, cache: str | Path | Cache | None, cassette: str | Path | None) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r:.60}: expected one of {MODES}")
        check_is("cache", cache, (str, Path, Cache, type(None)), "the path of an SQLite file, a Cache, or None")
        check_is("cassette", cassette, (str, Path, type(None)), "the path of a .jsonl or .jsonl.gz file, or None")
        for name, path in (("cache", cache), ("cassette", cassette)):
            if isinstance(path, str | Path) and Path(path).is_dir():
                raise IsADirectoryError(f"{name} is {str(path)!r}, a folder: expected the path of a file")
        needs = {"record": cassette, "replay": cassette or cache, "refresh": cache}
        if mode in needs and needs[mode] is None:
            wanted = {"record": "a cassette", "replay": "a cassette or a cache", "refresh": "a cache"}[mode]
            raise ValueError(f"mode is {mode!r}, without {wanted}: expected {wanted}, by its path")
        if cassette is not None and mode not in ("record", "replay", "off"):
            raise ValueError(f"a cassette is given, and mode is {mode!r}: expected 'record' or 'replay'")
        self.mode = mode
        self.cassette = Cassette(cassette, mode == "record") if cassette is not None and mode != "off" else None
        cache = None if mode == "off" or (mode == "replay" and self.cassette) else cache
        if mode == "replay" and cache is not None and not isinstance(cache, Cache) and not Path(cache).exists():
            raise FileNotFoundError(f"cache is {str(cache)!r}, which is no file: nothing to replay")
        self.cache = Cache(cache) if isinstance(cache, str | Path) else cache
        self._fresh: set[str] = set()  # of "refresh": asked anew already

    @property
    def _kept(self) -> list[Cassette | Cache]:
        return [kept for kept in (self.cassette, self.cache) if kept is not None]

    def known(self, requests: Mapping[str, Request]) -> dict[str, Reply]:
        """Key -> answer for requests by their keys; raises Miss for one that a replay does not know."""
        found: dict[str, Reply] = {}
        for kept in self._kept:
            found |= kept.get(
                key for key in requests if key not in found and (self.mode != "refresh" or key in self._fresh)
            )
        if self.mode == "replay":
            for key, request in requests.items():
                if key not in found:
                    raise Miss(self._miss(key, request))
        if self.mode == "record" and self.cassette:
            for key, reply in found.items():
                self.cassette.put(key, requests[key], reply)
            self.cassette.flush()
        return found

    def keep(self, key: str, request: Request, reply: Reply) -> None:
        """Keep an answer."""
        for kept in self._kept:
            kept.put(key, request, reply)
        self._fresh.add(key)

    def flush(self) -> None:
        """Write what has to be written after a batch."""
        if self.cassette is not None and self.mode == "record":
            self.cassette.flush()

    def endpoints(self) -> list[str]:
        """Whose abilities are kept, as place and model."""
        return [endpoint for kept in self._kept for endpoint in kept.endpoints()]

    def abilities(self, endpoint: str) -> Abilities | None:
        """The abilities of an endpoint, if they are kept."""
        return next((found for kept in self._kept if (found := kept.abilities(endpoint))), None)

    def keep_abilities(self, endpoint: str, abilities: Abilities) -> None:
        """Keep what was found out."""
        for kept in self._kept:
            kept.keep_abilities(endpoint, abilities)

    def _miss(self, key: str, request: Request) -> str:
        """In words, without the texts of prompts: they may be personal."""
        wanted = request.as_json()
        kept = [(other, found) for each in self._kept for other, found in each.requests()]
        if not kept:
            return f"the replay has no answer to the request {key[:16]}…, and none to any other"
        nearest, found = min(kept, key=lambda pair: _distance(wanted, pair[1]))
        differs = ", ".join(_differences(wanted, found)) or "nothing but the model, where it stands, or its fingerprint"
        return (
            f"the replay has no answer to the request {key[:16]}…: the nearest one kept, {nearest[:16]}…, differs in "
            f"{differs}; expected a run that asks what was recorded: record it again (mode='record')"
        )


def _distance(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[int, int]:
    """Fields that differ, then characters after the first that does."""
    fields = sum(wanted[name] != found[name] for name in wanted)
    texts = ["\0".join(text for _, text in each["messages"]) for each in (wanted, found)]
    return fields, max(map(len, texts)) - _alike(*texts)


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        other = found[name]
        if value == other:
            continue
        if name in ("schema", "grammar"):
            yield name
        elif name != "messages":
            yield f"{name} ({value}, kept: {other})"
        elif len(value) != len(other):
            yield f"the number of messages ({len(value)}, kept: {len(other)})"
        else:
            for number, ((role, text), (role_kept, text_kept)) in enumerate(zip(value, other, strict=True)):
                if role != role_kept:
                    yield f"the role of messages[{number}] ({role}, kept: {role_kept})"
                if text != text_kept:
                    yield f"messages[{number}] from character {_alike(text, text_kept)} on"


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
