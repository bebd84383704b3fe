"""A file is replaced whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

with suppress(ImportError):  # Windows
    import fcntl


def write_atomically(path: Path, write: Any) -> None:
    """Call ``write(file)`` on a temporary neighbour of ``path``, flush it to the disk, and put it in place.

    A reader sees the old file or the new one, whole; a failed write (a full disk, say) leaves the old one. Who writes
    to the same path at the same time waits. What a kill leaves, ``path`` with ".tmp" behind it, the next write takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path) as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
        if os.name == "nt":
            file.close()  # Windows moves no open file
        os.replace(file.name, path)


def check_writable(path: Path) -> None:
    """Raise OSError where ``write_atomically`` could not put a file, before there is something to lose.

    What a kill left is gone afterwards.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        with _temporary(path) as file:
            os.unlink(file.name)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written to ({error}): expected a file in a folder in which files can be made and removed"
        ) from error


@contextmanager
def _temporary(path: Path) -> Iterator[Any]:
    """The neighbour, open, empty and ours alone; removed afterwards where it still is what we opened."""
    name = path.with_name(f"{path.name}.tmp")
    while True:
        file = open(name, "wb", opener=_opened)  # noqa: SIM115
        with suppress(OSError, NameError):  # a file system, or a system, without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(name)):
                break
        file.close()  # who had it before us has put it in its place
    try:
        file.truncate(0)  # of what a kill left
        yield file
    except BaseException:
        name.unlink(missing_ok=True)
        raise
    finally:
        file.close()  # and the lock with it


def _opened(name: str, _flags: int) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT, 0o666)  # as it is: another may be writing to it
