"""No public door into compiled code crashes or hangs, whatever arrays it is given."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz_doors.py")


@pytest.mark.parametrize("tries", [6, pytest.param(80, marks=pytest.mark.slow)])
def test_no_door_crashes_or_hangs(tries):
    """In a process of its own, which a crash takes with it: its last line says at which door."""
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(FUZZ), "0", str(tries)], capture_output=True, text=True, timeout=1200
    )
    last = run.stdout.strip().splitlines()[-1:]
    assert (run.returncode, last) == (0, ["done"]), f"at {last}: {run.stderr[-2000:]}"
