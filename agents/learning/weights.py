"""Weights in a file: NumPy's archive, which holds arrays and text and nothing that is executed when it is read."""

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ethogram.simulator import check_is, write_atomically

ABOUT = "__about__"


def save_weights(module: nn.Module, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a module's weights to a .npz file, atomically.

    about: what is needed to build the module again, such as its sizes, as JSON can say it; ``read_about`` reads it.
    """
    check_is("module", module, nn.Module, "an nn.Module")
    arrays = {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}
    arrays[ABOUT] = np.array(json.dumps(dict(about or {})))

    write_atomically(Path(path), lambda file: np.savez(file, **arrays))


def read_about(path: str | Path) -> dict[str, Any]:
    """The ``about`` of ``save_weights``."""
    with _opened(path) as archive:
        found: dict[str, Any] = json.loads(str(archive[ABOUT]))
        return found


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Put the weights of a file into a module of the same names and shapes; ValueError for others."""
    check_is("module", module, nn.Module, "an nn.Module")
    with _opened(path) as archive:
        saved = {name: torch.from_numpy(archive[name]) for name in archive.files if name != ABOUT}
    own = module.state_dict()
    if odd := sorted(set(saved) ^ set(own)):
        raise ValueError(f"{path} is of another module: {odd[0]!r} is in only one of the two")
    for name, value in own.items():
        if saved[name].shape != value.shape or saved[name].dtype != value.dtype:
            was, now = (f"{x.dtype} {tuple(x.shape)}" for x in (saved[name], value))
            raise ValueError(f"{path} has {name!r} as {was}: expected {now}, as the module has it")
    module.load_state_dict(saved)


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    try:
        archive = np.load(path, allow_pickle=False)
        archive[ABOUT]
        with archive:
            yield archive
    except (ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} holds no weights ({error}): expected what save_weights wrote, in full") from error
