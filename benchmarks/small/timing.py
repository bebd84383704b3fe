"""How ``small_runs.py`` takes time and counts bytes, and where it finds the names of a build."""

import importlib
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]
# An editable install of another checkout would fill in the modules that the one on PYTHONPATH does not have.
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]


def find(name: str, *modules: str) -> Any:
    """A public name from the first of some modules that has it: builds differ in where they keep it."""
    for module in modules:
        try:
            return getattr(importlib.import_module(f"ethogram.{module}"), name)
        except (ModuleNotFoundError, AttributeError):
            continue
    raise LookupError(f"no {name} in {modules}: add the one of this build")


@dataclass
class Timed:
    """A job whose CPU time counts: of one call of ``run``, divided by the units of work in it."""

    run: Callable[[], Any]
    units: float = 1
    before: Callable[[], Any] | None = None  # outside the clock
    calls: int = 0  # in one measurement

    def __post_init__(self) -> None:
        self.seconds()  # compiles, fills caches

    def seconds(self) -> float:
        """CPU seconds of one call."""
        if self.before is not None:
            self.before()
        start = time.process_time()
        self.run()
        return time.process_time() - start

    def __call__(self, budget: float) -> float:
        """CPU seconds a unit, the mean over as many calls as the budget in seconds allows, at least one."""
        if not self.calls:
            self.calls = max(1, min(20_000, math.ceil(budget / max(self.seconds(), 1e-6))))
        if self.before is not None:
            return sum(self.seconds() for _ in range(self.calls)) / self.calls / self.units
        start, run = time.process_time(), self.run
        for _ in range(self.calls):
            run()
        return (time.process_time() - start) / self.calls / self.units


Told = Callable[[], dict[str, float]]  # measures by itself
Jobs = dict[str, Timed | Told]


def cycling(step: Callable[[Any], Any], actions: Any) -> Callable[[], Any]:
    """A call of it steps with the next of the actions, and begins again after the last."""
    count = 0

    def run() -> Any:
        nonlocal count
        count += 1
        return step(actions[count % len(actions)])

    return run


def held(part: Any, seen: dict[int, int]) -> float:
    """Bytes of all arrays in a tree of objects, what they share counted once."""
    if isinstance(part, torch.Tensor):
        seen[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
    elif isinstance(part, np.ndarray):
        seen[part.__array_interface__["data"][0]] = part.nbytes
    else:
        inside = part.values() if isinstance(part, dict) else getattr(part, "__dict__", {}).values()
        for inner in part if isinstance(part, list | tuple) else inside:
            held(inner, seen)
    return sum(seen.values())


def fresh(code: str, kernels: str | None = None) -> tuple[float, float, str]:
    """Wall and CPU seconds of a fresh interpreter that runs some code, and what it prints."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": kernels} if kernels else {})
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout
