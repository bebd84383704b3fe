"""Files of recordings: found by path, opened packed or not, and read so that an error names the record."""

import gzip
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ethogram.simulator import check_is

from ..gui_codecs import ParseError

Record = Mapping[str, Any]
GZIP = b"\x1f\x8b"  # how a packed file begins, whatever its name


def found(path: str | Path | None, name: str) -> Path:
    """The path given; None: ``name`` in the folder that ETHOGRAM_DATA names, or in ./data, or in ``gui/`` there."""
    if path is not None:
        return checked_path(path)
    folders = [Path(folder) for folder in (os.environ.get("ETHOGRAM_DATA"), "data") if folder]
    places = [folder / inner / name for folder in folders for inner in ("", "gui")]
    if there := next((place for place in places if place.exists()), None):
        return there
    raise FileNotFoundError(
        f"no {name} in {', '.join(str(place.parent) for place in places)}: set ETHOGRAM_DATA to a folder with it, "
        "or pass its path"
    )


def checked_path(path: str | Path) -> Path:
    """A path, given as such or as text; TypeError for what is none."""
    check_is("path", path, (str, Path), "a file or a folder")
    return Path(path)


def files(path: Path, *patterns: str) -> list[Path]:
    """The file itself; of a folder, those that fit one of the patterns, in it and in its folders, by name."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist: expected a file or a folder")
    if some := sorted({file for pattern in patterns for file in path.rglob(pattern) if file.is_file()}):
        return some
    raise FileNotFoundError(f"the folder {path} has no {' or '.join(patterns)}: expected one such file at least")


def opened(path: Path) -> IO[bytes]:
    """The file, unpacked where it is gzip's."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def is_json(path: Path) -> bool:
    """Whether it is JSON, by its name, or else by how it begins, unpacked."""
    if path.name.removesuffix(".gz").endswith((".json", ".jsonl")):
        return True
    with whole(path), opened(path) as file:
        return file.read(4).lstrip()[:1] in (b"[", b"{")


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """An error that says so where a file is cut short or damaged."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"{path} is no whole file: {error}; copy it again") from None


@contextmanager
def located(where: str) -> Iterator[None]:
    """Name the record in an error about what stands in it."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{where} lacks {error}") from None
    except (AttributeError, IndexError, ParseError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def json_lines(path: Path) -> Iterator[tuple[str, Record]]:
    """Where it stands, and the object of each line; ValueError for a file without a line."""
    some = False
    with whole(path), opened(path) as file:
        for number, line in enumerate(file, 1):
            text = line.decode("utf-8")
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number} of {path} is no JSON: {error}") from None
            if not isinstance(record, dict):
                raise ValueError(f"line {number} of {path} is {record!r:.60}: expected an object")
            some = True
            yield f"line {number} of {path}", record
    if not some:
        raise ValueError(f"{path} is empty: expected JSON Lines")


def json_objects(path: Path) -> Iterator[tuple[str, Record]]:
    """Where it stands, and each object of a JSON file, which holds one or a list of them."""
    with whole(path), opened(path) as file:
        text = file.read().decode("utf-8")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    records = content if isinstance(content, list) else [content]
    for number, record in enumerate(records):
        where = f"record {number} of {path}" if isinstance(content, list) else str(path)
        if not isinstance(record, dict):
            raise ValueError(f"{where} is {record!r:.60}: expected an object")
        yield where, record


def entry(record: Record, key: str, kind: type | tuple[type, ...], where: str = "the record") -> Any:
    """The value under a key; ValueError where nothing does, or something of another kind."""
    if key not in record:
        raise ValueError(f"{where} has no {key!r}: has {list(record)}")
    value = record[key]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{key!r} of {where} is {value!r:.60}: expected {' or '.join(k.__name__ for k in kinds)}")
    return value


def objects(record: Record, key: str, where: str = "the record") -> list[Record]:
    """The list of objects under a key."""
    value = entry(record, key, list, where)
    for number, part in enumerate(value):
        if not isinstance(part, dict):
            raise ValueError(f"number {number} of {key!r} of {where} is {part!r:.60}: expected an object")
    return value


def numbers(value: Any, count: int, what: str) -> tuple[float, ...]:
    """So many numbers; ValueError that says what they should be."""
    good = isinstance(value, list | tuple) and len(value) == count
    if not good or not all(type(part) in (int, float) and math.isfinite(part) for part in value):
        raise ValueError(f"{what} is {value!r:.60}: expected {count} finite numbers")
    return tuple(value)
