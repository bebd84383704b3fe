"""Do the cascading bandits reproduce the regrets of Kveton et al. (ICML 2015), Table 1?

Run: python benchmarks/cascading/cascading_bandits.py  (three minutes of CPU, on one core; --runs 5 takes a quarter)

Nine instances BLB(L, K, p = 0.2, Delta): K of L items attract with probability p, the others with p - Delta. Regret
after 10^5 rounds, mean ± standard error over 20 runs. Beside ours: the paper's table, and a second simulation from
this project's specification, with CTS added (5 or 6 runs). UCB-V and TS-Cascade have no reference there.
"""

import argparse
import time

import torch

from ethogram.agents.bandits import (
    CTS,
    CascadeKLUCB,
    CascadeUCB1,
    CascadeUCBV,
    TSCascade,
    cascade_regret,
    play,
)
from ethogram.envs.sessions import two_level_bandit

# L, K, Delta: CascadeUCB1 in the paper and in the second simulation, KL-UCB in both, CTS in the second simulation
TABLE = {
    (16, 2, 0.15): ("1290.1 ± 11.3", "1282 ± 11", "357.9 ± 5.5", "370 ± 7", "160"),
    (16, 4, 0.15): ("986.8 ± 10.5", "985 ± 11", "275.1 ± 5.8", "264 ± 5", "108"),
    (16, 8, 0.15): ("574.8 ± 7.9", "553 ± 6", "149.1 ± 3.2", "163 ± 6", "50"),
    (32, 2, 0.15): ("2695.9 ± 19.8", "2693 ± 23", "761.2 ± 10.4", "757 ± 14", "320"),
    (32, 4, 0.15): ("2256.8 ± 12.8", "2245 ± 6", "633.2 ± 7.0", "619 ± 18", "249"),
    (32, 8, 0.15): ("1581.0 ± 20.3", "1532 ± 10", "435.4 ± 5.7", "433 ± 3", "150"),
    (16, 2, 0.075): ("2077.0 ± 32.9", "2068 ± 49", "766.0 ± 18.0", "771 ± 36", "273"),
    (16, 4, 0.075): ("1520.4 ± 23.4", "1488 ± 22", "538.5 ± 12.5", "570 ± 17", "216"),
    (16, 8, 0.075): ("725.4 ± 12.0", "713 ± 7", "321.0 ± 16.3", "268 ± 8", "98"),
}
KINDS = {CascadeUCB1: (0, 1), CascadeKLUCB: (2, 3), CTS: (4,), CascadeUCBV: (), TSCascade: ()}  # their references
FULL_LENGTH = 100_000  # rounds of the references


def regrets(kind: type, instance: tuple[int, int, float], runs: int, rounds: int) -> torch.Tensor:
    """(runs,) the regret of each run; run r has seed r."""
    num_items, length, gap = instance
    bandit = two_level_bandit(num_items, length, gap)
    shown = [play(kind(num_items, length), bandit, rounds, seed=r) for r in range(runs)]
    return torch.stack([cascade_regret(bandit.attraction[0], slates).sum() for slates in shown])


def cell(regret: torch.Tensor, references: list[str]) -> tuple[str, float]:
    """What to print, and how far the mean is from the nearest reference, as a share of it."""
    mean, error = regret.mean().item(), (regret.std() / len(regret) ** 0.5).item()
    away = min((abs(mean / float(r.split()[0]) - 1) for r in references), default=0.0)
    beside = f" ({'; '.join(references)})" if references else ""
    return f"{mean:.0f} ± {error:.0f}{beside}", away


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="runs per cell, at least 2 (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=FULL_LENGTH, help="rounds per run (default %(default)s)")
    options = parser.parse_args()
    if options.runs < 2 or options.rounds < 1:
        parser.error("expected --runs of at least 2, for a standard error, and --rounds of at least 1")
    torch.set_num_threads(1)
    start, furthest = time.process_time(), dict.fromkeys(KINDS, 0.0)
    print("Regret: ours ± s.e. (the paper's; second simulation's), for CTS (second simulation's)")
    print(f"{'L':>2} {'K':>2} {'Delta':>6}  " + "  ".join(f"{kind.__name__:<38}" for kind in KINDS).rstrip())
    for instance, row in TABLE.items():
        line = []
        for kind, columns in KINDS.items():
            references = [row[k] for k in columns] if options.rounds == FULL_LENGTH else []
            text, away = cell(regrets(kind, instance, options.runs, options.rounds), references)
            furthest[kind] = max(furthest[kind], away)
            line.append(f"{text:<38}")
        print("{:>2} {:>2} {:>6}  ".format(*instance) + "  ".join(line).rstrip(), flush=True)
    if options.rounds == FULL_LENGTH:
        away = ", ".join(f"{kind.__name__} {furthest[kind]:.1%}" for kind, columns in KINDS.items() if columns)
        print(f"Furthest from the nearer reference in any row: {away}")
    print(f"{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
