"""Saving a run so that a kill at any moment loses nothing: atomic files, resumed to the same bits.

A checkpoint holds tensors, numbers and text only (no pickled objects are executed when it is read), behind a digest of
them. Chance needs no saving: draws are functions of seed and step.
"""

import hashlib
import math
import signal
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..arguments import check_number
from ..trees import leaves_of, rebuild
from .content import fingerprint
from .files import check_writable, write_atomically

MAGIC = b"ethogram checkpoint 1\n"


def _packed(tree: Any) -> Any:
    """Lists, tuples and dicts with their NumPy arrays as (dtype, shape, content): a form that loads safely."""
    if isinstance(tree, np.ndarray | np.generic):
        array = np.asarray(tree)
        if array.dtype == object and not all(isinstance(item, str | int | float | None) for item in array.flat):
            raise TypeError(
                f"an array of {type(array.flat[0]).__name__} cannot be saved in a checkpoint: expected numbers or "
                "text; run without checkpoint="
            )
        content = array.ravel().tolist() if array.dtype.kind in "OUS" else torch.tensor(array.ravel())
        return "array" if tree is array else "scalar", array.dtype.str, array.shape, content
    if isinstance(tree, Mapping):
        return {key: _packed(value) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return "tuple", [_packed(item) for item in tree]
    if isinstance(tree, list):
        return [_packed(item) for item in tree]
    if not isinstance(tree, Tensor | bool | int | float | complex | str | bytes | None):
        raise TypeError(
            f"a {type(tree).__name__} cannot be saved in a checkpoint: expected tensors, arrays, numbers and text, in "
            "dicts, lists and tuples; run without checkpoint="
        )
    return tree


def _unpacked(tree: Any) -> Any:
    """The inverse of ``_packed``."""
    if isinstance(tree, tuple):
        kind, *rest = tree
        if kind == "tuple":
            return tuple(_unpacked(item) for item in rest[0])
        dtype, shape, content = rest
        content = content.numpy() if isinstance(content, Tensor) else np.array(content, dtype=dtype)
        return content.reshape(shape) if kind == "array" else content.reshape(shape)[()]
    if isinstance(tree, Mapping):
        return {key: _unpacked(value) for key, value in tree.items()}
    return [_unpacked(item) for item in tree] if isinstance(tree, list) else tree


class Checkpoint:
    """One file that follows one run.

    As a context it holds Ctrl-C back until the present step is done and saved: the same call then goes on from there.
    A second Ctrl-C does not wait.
    """

    def __init__(
        self, path: str | Path, run: Mapping[str, Any], every: float, patient: bool = True, free: Sequence[str] = ()
    ) -> None:
        """run: what the run is made of, by name, such as {"policy": …}; its fingerprints must be those in the file.

        A part that changes while it runs has memory of its own, which ``state_dict`` and ``load_state_dict`` save.
        every: seconds between two saves, 0 to save each step. patient: False where Ctrl-C need not wait for a step.
        free: parts that may change, because nothing in the file hangs on it.
        """
        if every != math.inf:  # never but on Ctrl-C
            check_number("checkpoint_every", every)
        self.path, self.run, self.every, self.patient, self.free = Path(path), run, every, patient, free
        self.prints = {name: fingerprint(part) for name, part in run.items()}
        self.saved_at = time.monotonic()
        self.interrupted = self._writing = self._looked = False
        self._handler: Any = None

    def load(self, template: Any) -> tuple[int, Any, Any] | None:
        """(steps done, state in the form of ``template``, records), or None where there is no file yet.

        Raises OSError where no file could be written, and ValueError for a file that is damaged or of another run.
        """
        check_writable(self.path)
        saved = self.read(self.path)
        return None if saved is None else self.restored(saved, template)

    def read(self, path: Path) -> dict[str, Any] | None:
        """The content of a file, if it is this run's."""
        if not path.exists():
            return None
        saved = _content_at(path)
        prints = saved["run"]
        if other := [name for name in {**prints, **self.prints} if prints.get(name) != self.prints.get(name)]:
            raise ValueError(
                f"{path} is the checkpoint of another run: expected the same {' and '.join(other)}, to the last "
                "parameter, line of code and version of what is installed; remove the file or name another"
            )
        return saved

    def restored(self, saved: dict[str, Any], template: Any) -> tuple[int, Any, Any]:
        """The result of ``load``; parts that remember something are then as they were."""
        leaves = saved["leaves"]
        if [_is_array(leaf) for leaf in leaves] != [_is_array(leaf) for leaf in leaves_of(template)]:
            raise ValueError(f"{self.path} holds a state of another form than this run's; remove it")
        for name, (state, then) in saved["memory"].items():
            self.run[name].load_state_dict(state)
            if fingerprint(self.run[name]) != then:
                raise ValueError(
                    f"state_dict() of the {name}, a {type(self.run[name]).__name__}, does not hold all that it "
                    f"remembers, so {self.path} cannot be gone on from: expected load_state_dict to restore every "
                    "attribute that acting changes"
                )
        return saved["step"], rebuild(template, iter(leaves)), saved["records"]

    def save(self, step: int, state: Any, records: Any, last: bool = False) -> None:
        """Save if it is due; last: only if somebody wants to stop, whom KeyboardInterrupt tells when all is saved."""
        if not self._looked:  # early, while there is little to lose
            self._memory()
            self._looked = True
        if not self.due() or (last and not self.interrupted):
            return
        content = {"run": self.prints, "step": step, "leaves": leaves_of(state), "records": records}
        content["memory"] = self._memory()
        self._writing = True
        try:
            self.write(_packed(content))
        except (OSError, RuntimeError) as error:  # torch says RuntimeError where the disk is full
            kept = f"the one before it, {self.path}, is whole" if self.path.exists() else "there was none before it"
            raise OSError(
                f"the checkpoint of step {step} could not be written ({error}); {kept}. Make room, and run again: "
                "it goes on from there"
            ) from error
        finally:
            self._writing = False
        self.saved_at = time.monotonic()
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt(f"{self.path} holds what is done: make the same call to go on from there") from None

    def stop(self, step: int, state: Any, records: Any) -> None:
        """Save, after a KeyboardInterrupt that did not wait, and raise it again."""
        self.interrupted = True
        self.save(step, state, records)

    def _memory(self) -> dict[str, tuple[Any, str]]:
        """The memory of parts of the run that have changed since it began, and their fingerprints with it."""
        now = {name: fingerprint(part) for name, part in self.run.items() if name not in self.free}
        changed = [name for name in now if now[name] != self.prints[name]]
        for name in changed:
            if not hasattr(self.run[name], "state_dict") or not hasattr(self.run[name], "load_state_dict"):
                what = type(self.run[name]).__name__
                raise TypeError(
                    f"the {name}, a {what}, has changed while it ran, so it remembers something that no checkpoint "
                    "holds: expected state_dict() and load_state_dict(state), of tensors, numbers and text, or "
                    "__fingerprint__() where what changes makes no difference; or run without checkpoint="
                )
        return {name: (self.run[name].state_dict(), now[name]) for name in changed}

    def due(self) -> bool:
        """Whether ``every`` seconds have passed since the last time, or somebody wants to stop."""
        return self.interrupted or time.monotonic() - self.saved_at >= self.every

    def write(self, content: Any) -> None:
        """Put a new file in the place of the old one."""
        write_atomically(self.path, partial(_write, content))

    def remove(self) -> None:
        """The run is complete."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            warnings.warn(f"the run is complete, but {self.path} is still there ({error}): remove it", stacklevel=3)

    def __enter__(self) -> Self:
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self._handler = None
        if self.interrupted and kind is None:
            raise KeyboardInterrupt

    def _interrupt(self, *_: Any) -> None:
        again, self.interrupted = self.interrupted, True
        if not self._writing and (again or not self.patient):
            raise KeyboardInterrupt


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, Tensor | np.ndarray)


class _Hashed:
    """A file whose content is digested on its way."""

    def __init__(self, file: Any) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, content: Any) -> Any:
        self.digest.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        self.file.flush()


def _write(content: Any, file: Any) -> None:
    hashed = _Hashed(file)
    file.write(MAGIC + bytes(32))
    torch.save(content, hashed)  # type: ignore[arg-type]
    file.seek(len(MAGIC))
    file.write(hashed.digest.digest())


def _content_at(path: Path) -> dict[str, Any]:
    """The content that ``_write`` wrote, to the bit."""
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"{path} is not a checkpoint that can be read: no file of this version; remove it")
        digest, start = file.read(32), file.tell()
        if hashlib.file_digest(file, "sha256").digest() != digest:
            raise ValueError(f"{path} is not a checkpoint that can be read: it was cut off or changed; remove it")
        file.seek(start)
        try:
            saved: dict[str, Any] = _unpacked(torch.load(file, weights_only=True))
            return {name: saved[name] for name in ("run", "step", "leaves", "records", "memory")}
        except Exception:
            raise ValueError(
                f"{path} is not a checkpoint that can be read: it holds more than tensors, numbers and text; remove it"
            ) from None
