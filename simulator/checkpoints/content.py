"""Digests of what a run is made of, however deep."""

import dis
import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec, resolve_name
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

_PLAIN = {bool, int, float, str, type(None)}

_OF_EVERY_CLASS = {  # or made from what else there is
    *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__annotate__", "__annotate_func__"),
    *("__annotations_cache__", "__firstlineno__", "__static_attributes__", "__orig_bases__", "__parameters__"),
    *("__abstractmethods__", "_abc_impl", "__dataclass_fields__", "__dataclass_params__", "__match_args__"),
    "__slotnames__",
}
_OF_EVERY_MODULE = {*vars(ModuleType("")), "__annotations__", "__builtins__", "__cached__", "__file__", "__path__"}


def fingerprint(value: Any) -> str:
    """A digest of what a run is made of, however deep: parameters, weights, functions, classes; no memory addresses.

    A function counts by its code, what it closes over, its defaults and the globals that it reads; a class by its code;
    an object by its class and what it would be pickled as, its cached properties left out, or else by what its
    ``__fingerprint__()`` returns alone; where it cannot be pickled, by its attributes, of which an open file or a lock
    has none. What is installed (and Python itself) counts by name and version, this package by all of its source, and
    another module by its globals: all of them where code takes the module as a whole, by ``import`` in a function or
    under another name. Modules that functions import are imported for that; what a string names, as in
    ``globals()["rate"]``, is not found. Raises TypeError for a generator, whose place nobody can see.
    """
    return _Content().of((_source(), value)).hex()


class _Content:
    """Digests of values, each found once."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Any, bytes]] = {}  # by address, and the value, so that it keeps its address

    def of(self, value: Any) -> bytes:
        """16 bytes."""
        if id(value) in self.known:
            return self.known[id(value)][1]
        self.known[id(value)] = value, b"around again"
        kind: Any = type(value)
        parts = self.parts(value)
        if hasattr(kind, "__fingerprint__"):
            kind, parts = f"{kind.__module__}.{kind.__qualname__}", iter([value.__fingerprint__()])
        digest = hashlib.sha256(self.of(kind))
        for part in parts:
            digest.update(part if isinstance(part, bytes | memoryview) else self.of(part))
        self.known[id(value)] = value, digest.digest()[:16]
        return self.known[id(value)][1]

    def parts(self, value: Any) -> Iterator[Any]:
        """The parts of a value: bytes, and other values."""
        if isinstance(value, Tensor):
            yield from _bits_of(value)
        elif isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            yield f"{array.dtype}{array.shape}".encode()
            yield array.tolist() if array.dtype.hasobject else np.ascontiguousarray(array).reshape(-1).view("u1").data
        elif value is None or isinstance(value, int | float | complex | str | range | PurePath):
            yield repr(value).encode()
        elif isinstance(value, bytes | bytearray):
            yield bytes(value)
        elif isinstance(value, type | FunctionType | BuiltinFunctionType | ModuleType | CodeType | MethodType):
            yield from _code_of(value)
        elif isinstance(value, Mapping | set | frozenset | list | tuple):
            yield from self.items_of(value)
            if attributes := getattr(value, "__dict__", None):
                yield _lasting(value, attributes)
        elif isinstance(value, GeneratorType):
            raise TypeError(f"{value!r} is a generator: expected a function, or an object whose place can be seen")
        else:
            yield from _object_parts(value)

    def items_of(self, value: Any) -> Iterator[Any]:
        """The items of a collection."""
        if isinstance(value, Mapping):
            yield from (list(value), list(value.values()))
        elif isinstance(value, set | frozenset):
            yield from sorted(self.of(item) for item in value)
        elif {type(item) for item in value} <= _PLAIN:
            yield repr(list(value)).encode()  # at once, since there may be many
        else:
            yield from value


def _bits_of(tensor: Tensor) -> Iterator[Any]:
    yield f"{tensor.dtype}{tuple(tensor.shape)}".encode()
    if tensor.layout != torch.strided:
        tensor = tensor.to_sparse().coalesce()
        yield from (tensor.indices(), tensor.values())
        return
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().reshape(-1).contiguous()
    if flat.numel():  # an empty one may have stride 0, which cannot be viewed as bytes
        yield flat.view(torch.uint8).numpy().data


def _object_parts(value: Any) -> Iterator[Any]:
    """The parts of any other object."""
    wrapped = [getattr(value, name, None) for name in ("__wrapped__", "py_func", "__func__", "fget", "fset")]
    if isinstance(value, cached_property):
        wrapped = [value.func]
    if any(isinstance(inner, FunctionType | type) for inner in wrapped):
        yield from wrapped
        return
    if isinstance(value, torch.jit.ScriptModule):
        yield from (value.state_dict(), value.code)
        return
    try:
        reduced = value.__reduce_ex__(2)
    except Exception:
        yield _lasting(value, getattr(value, "__dict__", {}))
        return
    if isinstance(reduced, str):
        yield reduced
        return
    make, arguments, state, *items = (*reduced, None, None, None)[:5]
    yield from (make, arguments)
    yield from (list(some) for some in items if some is not None)
    for part in state if isinstance(state, tuple) else (state,):  # of __dict__ and __slots__
        yield _lasting(value, part) if isinstance(part, dict) else part


def _lasting(value: Any, attributes: dict[Any, Any]) -> list[Any]:
    """Attributes in an order that does not hang on when they were set, without what is derived from the others."""
    kind = type(value)
    lasting = {n: v for n, v in attributes.items() if not isinstance(getattr(kind, str(n), None), cached_property)}
    return sorted(lasting.items(), key=lambda item: str(item[0]))


def _code_of(value: Any) -> Iterator[Any]:
    """The parts of functions, classes and modules."""
    if isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)
        return
    if isinstance(value, CodeType):
        yield from (value.co_code, value.co_exceptiontable, value.co_names, value.co_consts)
        return
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    name = name if isinstance(name, str) else "builtins"
    yield f"{name}.{getattr(value, '__qualname__', '')}".encode()
    if isinstance(value, FunctionType):
        yield from (value.__defaults__, value.__kwdefaults__, value.__dict__)
        yield [_content_of(cell) for cell in value.__closure__ or ()]
    elif isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType | None):
        yield value.__self__
    if isinstance(value, BuiltinFunctionType) or _known_by_version(name):
        yield str(getattr(sys.modules.get(name.partition(".")[0]), "__version__", "")).encode()
    elif isinstance(value, ModuleType):
        yield sorted(item for item in vars(value).items() if item[0] not in _OF_EVERY_MODULE)
    elif isinstance(value, FunctionType):
        yield from (value.__code__, _read_by(value.__code__, value.__globals__))
    else:
        yield value.__bases__
        yield sorted(item for item in vars(value).items() if item[0] not in _OF_EVERY_CLASS)


def _content_of(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _read_by(code: CodeType, names: dict[str, Any]) -> list[tuple[str, Any]]:
    """The globals that code reads, attributes of modules among them, and what it imports; names: all globals."""
    found: dict[str, Any] = {}
    name, last, before = "", None, (None, None)
    for this in dis.get_instructions(code):
        if this.opname == "EXTENDED_ARG":
            continue
        if isinstance(last, ModuleType) and this.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            name, last = f"{name}.{this.argval}", _attribute(last, this.argval)
        else:
            if last is not None:
                found[name] = last  # a module only where it is not its attribute that is read
            reads = this.opname in ("LOAD_GLOBAL", "LOAD_NAME")
            name, last = (this.argval, names.get(this.argval)) if reads else ("", None)
            if this.opname == "IMPORT_NAME":
                found |= _imported(this.argval, *before, names.get("__package__"))
        before = before[1], this.argval
    inner = [_read_by(const, names) for const in code.co_consts if isinstance(const, CodeType)]
    return sorted({**found, **dict(item for some in inner for item in some)}.items())


def _imported(name: str, level: Any, chosen: Any, package: Any) -> dict[str, Any]:
    """Modules and names by ``import name``, or ``from name import chosen`` in a package, so many levels up."""
    try:
        name = resolve_name("." * level + name, package)
    except ImportError:
        return {}
    module = _users_module(name)
    if not isinstance(module, ModuleType) or not chosen:
        return {f"import {name}": module}
    parts = {part: getattr(module, part, None) for part in chosen}
    return {f"import {name}.{part}": _users_module(f"{name}.{part}") if v is None else v for part, v in parts.items()}


def _users_module(name: str) -> Any:
    """A module of the user's, which code that is to run imports, now; its text where that fails; None for others."""
    if (name in sys.modules or _source_of(name)) and not _known_by_version(name):
        with suppress(Exception):
            return import_module(name)
    return _source_of(name) or None


def _attribute(module: ModuleType, name: str) -> Any:
    return None if _known_by_version(module.__name__) else getattr(module, name, None)


@cache
def _known_by_version(module: str) -> bool:
    """Whether code is this package's, Python's, or installed."""
    top = module.partition(".")[0]
    file = Path(getattr(sys.modules.get(top), "__file__", None) or "")
    installed = _is_installed(file) and top != "__main__"
    return installed or top in (__name__.partition(".")[0], "builtins") or top in sys.stdlib_module_names


def _is_installed(file: Path) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(file.parts)


@cache
def _source_of(module: str) -> bytes:
    """The text of a user's module, as this process first saw it; found without importing the module."""
    with suppress(ImportError, ValueError, AttributeError, TypeError, OSError):  # made by hand, or a mere folder
        file = Path(find_spec(module).origin)  # type: ignore[union-attr,arg-type]
        if not _is_installed(file) and not _known_by_version(module):
            return file.read_bytes()
    return b""


@cache
def _source() -> bytes:
    """A digest of this package's source."""
    digest, here = hashlib.sha256(), Path(__file__).parents[2]
    for file in sorted(file for room in ("simulator", "envs", "agents") for file in (here / room).rglob("*.py")):
        digest.update(file.relative_to(here).as_posix().encode() + file.read_bytes())
    return digest.digest()
