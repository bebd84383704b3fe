"""What do keyed draws cost, beside torch's own generator?

Run: python benchmarks/draws_speed.py        (under a minute)

CPU seconds on one thread; ratios are medians of paired repeats. Every size is measured twice: with the output's
memory allocated afresh (as both are used), and written into memory that is there already (the arithmetic alone).
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from ethogram.simulator import kernels
from ethogram.simulator.draws import Draws


def paired(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Median CPU milliseconds of each, and the median ratio of neighbours in time."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        ours()
        middle = time.process_time()
        theirs()
        times.append((middle - start, time.process_time() - middle))
    times = times[1:]  # the first pays for compilation and first touches
    a, b = zip(*times, strict=True)
    return 1e3 * statistics.median(a), 1e3 * statistics.median(b), statistics.median(x / y for x, y in times)


def cases(size: int) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Name -> (ours, torch's) for calls of so many draws."""
    one, many = Draws(0, torch.arange(size)), Draws(0, torch.arange(size // 4))
    items = torch.arange(4).expand(len(many.ids), 4).contiguous()
    out, ids = torch.empty(size), one.ids.numpy()
    return {
        "one a row": (lambda: one.uniform("x"), lambda: torch.rand(size)),
        "4 a row, keyed by item": (lambda: many.uniform("x", items), lambda: torch.rand(size)),
        "one a row, into given memory": (
            lambda: kernels.uniform_rows(np.uint64(7), ids, out.numpy()),
            lambda: torch.rand(size, out=out),
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**6, 10**7], help="draws a call")
    parser.add_argument("--repeats", type=int, default=15, help="paired repeats (default 15)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'draws':>10} {'':<34} {'keyed ms':>9} {'torch.rand ms':>14} {'ratio':>6}")
    for size in arguments.sizes:
        for name, (ours, theirs) in cases(size).items():
            a, b, ratio = paired(ours, theirs, arguments.repeats)
            print(f"{size:>10} {name:<34} {a:>9.2f} {b:>14.2f} {ratio:>6.2f}")


if __name__ == "__main__":
    main()
