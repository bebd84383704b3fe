"""How long does importing ethogram take once torch is there, and how long until the first draw?

Run: python benchmarks/import_time.py        (two minutes on two CPU cores)

CPU seconds in fresh processes that have imported torch before their clock starts, medians with the range. Kernels are
compiled by the first process that calls them, and lie on disk for the later ones.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from statistics import median

TIMED = """
import time
import torch
start = time.process_time()
{statement}
print(time.process_time() - start)
"""
DRAW = "import ethogram.simulator as s; s.Draws(0, torch.arange(3)).uniform('site')"
STATEMENTS = {
    "import numba": "import numba",
    "import ethogram.simulator": "import ethogram.simulator",
    "import ethogram.agents": "import ethogram.agents",
    "… .simulator and a draw, compiling it": DRAW,
    "… .simulator and a draw, compiled before": DRAW,
}


def seconds(statement: str, kernels: str) -> float:
    """CPU seconds that a statement takes in a fresh process whose compiled kernels lie in a folder."""
    command = [sys.executable, "-c", TIMED.format(statement=statement)]
    environment = os.environ | {"NUMBA_CACHE_DIR": kernels}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="processes per number (default 5)")
    repeats = parser.parse_args().repeats
    taken: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(repeats):  # every statement in turn, so that a slow minute is shared by all
        with tempfile.TemporaryDirectory() as kernels:  # empty at first; the last statement finds what others left
            for name, statement in STATEMENTS.items():
                taken[name].append(seconds(statement, kernels))
    print(f"{'CPU seconds, torch imported':42}{'median':>8}{'least':>8}{'most':>8}")
    for name, values in taken.items():
        print(f"{name:42}{median(values):8.2f}{min(values):8.2f}{max(values):8.2f}")


if __name__ == "__main__":
    main()
