"""A file is replaced whole or not at all."""

import os
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Any) -> None:
    """Call ``write(file)`` on a temporary neighbour of ``path``, flush it to the disk, and put it in place.

    A reader sees the old file or the new one, whole; a failed write (a full disk, say) leaves the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
