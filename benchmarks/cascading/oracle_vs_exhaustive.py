"""What does BestPerm buy? CascadingVI against the same agent that searches every list.

Run: python benchmarks/cascading/oracle_vs_exhaustive.py        (about a minute on one CPU core)

Both see the same luck and break ties alike, so that their trajectories are the same and only the time differs. The
ratio should grow like the number of lists over N m. The paper reports the effect, and no seconds.
"""

import argparse
import math
import statistics
import time

import numpy as np
import torch

from ethogram.agents.cascading import CascadingVI, learn_in
from ethogram.envs.sessions import movielens_formula


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000, help="episodes a run (default 1000)")
    parser.add_argument("--repeats", type=int, default=3, help="paired repeats (default 3)")
    parser.add_argument("--states", type=int, default=20, help="S (default 20)")
    parser.add_argument("--scale", type=float, default=0.3, help="attraction of a five-star item (default 0.3)")
    given = parser.parse_args()
    learn_in(movielens_formula(2, 3, 0.3), CascadingVI(torch.ones(2, 3).double(), 3, 3, 10), 10)  # compile
    print(f"MLF(S={given.states}, N, c={given.scale}), H = m = 3, {given.episodes:,} episodes; CPU seconds, medians")
    print("   N   lists   BestPerm   exhaustive   ratio   lists / (N m)   same trajectories")
    for n in (10, 15, 20, 25):
        mdp = movielens_formula(given.states, n, given.scale)
        seconds: dict[str, list[float]] = {"bestperm": [], "exhaustive": []}
        same = True
        for seed in range(given.repeats):
            ends = []
            for oracle, times in seconds.items():
                agent = CascadingVI(mdp.reward, mdp.length, mdp.horizon, given.episodes, oracle=oracle)
                start = time.process_time()
                curve = learn_in(mdp, agent, given.episodes, seed=seed)
                times.append(time.process_time() - start)
                ends.append([curve.value.numpy(), *agent.model.counts, agent.model.plan.slates])
            same &= all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))
        fast, slow = (statistics.median(times) for times in seconds.values())
        ratio = statistics.median(b / a for a, b in zip(*seconds.values(), strict=True))
        lists = sum(math.perm(n, k) for k in (1, 2, 3))
        print(
            f"{n:4} {lists:7,} {fast:10.3f} {slow:12.2f} {ratio:7.1f} {lists / (3 * n):15.0f}   "
            f"{'yes' if same else 'NO'}",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
