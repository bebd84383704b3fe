"""A new version over a warm cache: kernels are compiled anew where any kernels file has changed, and else found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ethogram.simulator.kernels as kernels

TYPES = """
from typing import NamedTuple
import numba

class {pair}(NamedTuple):
    {fields}

@numba.njit(inline="always")
def helper(x):
    return x * {factor}
"""
USER = """
from package.simulator.kernels import compiled
from .types_kernels import helper

@compiled
def scaled(x):
    return helper(x)

@compiled
def first(pair):
    return pair[0] + 0
"""
RUN = """
import sys
from package.agents import types_kernels, user_kernels
pair = getattr(types_kernels, sys.argv[1])
print(user_kernels.scaled(2), user_kernels.first(pair(*range(7, 7 + len(pair._fields)))))
print(sum(sum(kernel.stats.cache_hits.values()) for kernel in (user_kernels.scaled, user_kernels.first)))
"""


@pytest.fixture
def run(tmp_path):
    """Run a version of a small package, of which one kernels file changes from call to call."""
    package = tmp_path / "package"
    for room in ("simulator", "agents"):
        (package / room).mkdir(parents=True)
    shutil.copy(kernels.__file__, package / "simulator")
    (package / "agents" / "user_kernels.py").write_text(USER)

    def run(pair="Pair", fields="a: int", factor=3):
        (package / "agents" / "types_kernels.py").write_text(TYPES.format(pair=pair, fields=fields, factor=factor))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CACHE")}
        environment |= {"PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", RUN, pair], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [int(word) for word in done.stdout.split()]

    return run


def test_a_change_in_another_kernels_file_compiles_anew(run, tmp_path):
    assert run() == [6, 7, 0]
    changed = {"factor": 5, "pair": "Renamed", "fields": "a: int\n    b: int"}  # of a type of which numba's index spoke
    assert run(**changed) == [10, 7, 0]
    assert run(**changed) == [10, 7, 2]
    files = [file.name for file in (tmp_path / "package" / "agents" / "__pycache__").glob("*.nb[ic]")]
    assert len(files) == 2 * 2  # what earlier versions left is gone


def test_every_cached_kernel_of_the_package_is_compiled_by_the_one_decorator():
    root = Path(kernels.__file__).parents[1]
    rooms = [root / room for room in ("simulator", "envs", "agents")]
    cached = [f.name for room in rooms for f in room.rglob("*.py") if "cache=True" in f.read_text(encoding="utf-8")]
    assert cached == ["kernels.py"]
