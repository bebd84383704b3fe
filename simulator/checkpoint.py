"""Saving a run so that a kill at any moment loses nothing: atomic files, resumed to the same bits.

A checkpoint holds tensors only (no pickled objects are executed when it is read). Chance needs no saving: draws are
functions of seed and step.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .files import write_atomically
from .trees import leaves_of, rebuild


def fingerprint(value: Any) -> str:
    """A digest of what a run is made of: types, parameters, functions and tensors, not memory addresses.

    An object that is no dataclass counts by its attributes, and objects among those by their types alone.
    """
    digest = hashlib.blake2b(digest_size=16)

    def add(value: Any, inside: bool = False) -> None:
        digest.update(f"<{type(value).__module__}.{type(value).__qualname__}>".encode())
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.generic):
            value = np.asarray(value)
        if isinstance(value, type):
            digest.update(f"{value.__module__}.{value.__qualname__}".encode())
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(repr(value.tolist()).encode() if value.dtype == object else value.tobytes())
        elif is_dataclass(value):
            add([(field.name, getattr(value, field.name, None)) for field in fields(value)], inside)
        elif isinstance(value, Mapping):
            add(list(value.items()), inside)
        elif isinstance(value, set | frozenset):
            add(sorted(value, key=repr), inside)
        elif isinstance(value, list | tuple):
            for item in value:
                add(item, inside)
        elif isinstance(value, str | int | float | bool | None | Path):
            digest.update(repr(value).encode())
        elif isinstance(value, FunctionType):
            add(value.__code__)
            add([cell.cell_contents for cell in value.__closure__ or ()] + [value.__defaults__], inside)
        elif isinstance(value, partial):
            add([value.func, value.args, value.keywords], inside)
        elif isinstance(value, CodeType):
            digest.update(value.co_code)
            add([value.co_names, *value.co_consts])
        elif not inside:
            add(sorted(getattr(value, "__dict__", {}).items()), inside=True)

    add(value)
    return digest.hexdigest()


def _packed(tree: Any) -> Any:
    """Lists, dicts and tuples with their NumPy arrays as (dtype, shape, content), which loads safely."""
    if isinstance(tree, np.ndarray):
        if tree.dtype == object and not all(isinstance(item, str | int | float | None) for item in tree.flat):
            raise TypeError(
                f"an array of {type(tree.flat[0]).__name__} cannot be saved in a checkpoint: expected numbers or text; "
                "run without checkpoint="
            )
        content = tree.ravel().tolist() if tree.dtype.kind in "OUS" else torch.tensor(tree.ravel())
        return tree.dtype.str, tree.shape, content
    if isinstance(tree, Mapping):
        return {key: _packed(value) for key, value in tree.items()}
    return [_packed(item) for item in tree] if isinstance(tree, list | tuple) else tree


def _unpacked(tree: Any) -> Any:
    """The inverse of ``_packed``."""
    if isinstance(tree, tuple):
        dtype, shape, content = tree
        content = content.numpy() if isinstance(content, Tensor) else np.array(content, dtype=dtype)
        return content.reshape(shape)
    if isinstance(tree, Mapping):
        return {key: _unpacked(value) for key, value in tree.items()}
    return [_unpacked(item) for item in tree] if isinstance(tree, list) else tree


class Checkpoint:
    """One file that follows one run."""

    def __init__(self, path: str | Path, run: str, every: float) -> None:
        """run: the run's fingerprint. every: seconds between two saves, 0 to save each step."""
        self.path, self.run, self.every = Path(path), run, every
        self.saved_at = time.monotonic()

    def load(self, template: Any) -> tuple[int, Any, Any] | None:
        """(steps done, state in the form of ``template``, records), or None where there is no file yet."""
        if not self.path.exists():
            return None
        try:
            saved = torch.load(self.path, weights_only=True)
            run, step = saved["run"], saved["step"]
            leaves, records = _unpacked(saved["leaves"]), _unpacked(saved["records"])
        except Exception as error:
            raise ValueError(f"{self.path} is not a checkpoint that can be read ({error}); remove it") from error
        if run != self.run:
            raise ValueError(
                f"{self.path} is the checkpoint of another run: expected the same world, policy, rows, horizon, "
                "seed, interventions and record; remove the file or name another"
            )
        return step, rebuild(template, iter(leaves)), records

    def save(self, step: int, state: Any, records: Any) -> None:
        """Save if it is due."""
        if self.due():
            leaves = _packed(leaves_of(state))
            try:
                self.write({"run": self.run, "step": step, "leaves": leaves, "records": _packed(records)})
            except (OSError, RuntimeError) as error:  # torch says RuntimeError where the disk is full
                kept = f"the one before it, {self.path}, is whole" if self.path.exists() else "there was none before it"
                raise OSError(
                    f"the checkpoint of step {step} could not be written ({error}); {kept}. Make room, and run again: "
                    "it goes on from there"
                ) from error
            self.saved_at = time.monotonic()

    def due(self) -> bool:
        """Whether ``every`` seconds have passed since the last time."""
        return time.monotonic() - self.saved_at >= self.every

    def write(self, content: Any) -> None:
        """Put a new file in the place of the old one."""
        write_atomically(self.path, lambda file: torch.save(content, file))

    def remove(self) -> None:
        """The run is complete."""
        self.path.unlink(missing_ok=True)
