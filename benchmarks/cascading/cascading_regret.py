"""How much do agents lose while they learn a cascading MDP?

Run: python benchmarks/cascading/cascading_regret.py        (about two minutes on one CPU core; --help for less)

Cumulative regret of CascadingVI, of its variance-unaware form and of AdaptVI, which takes lists as atoms, beside
reference numbers from an independent simulation of the same definitions (mean of 2 or 3 seeds, spread up to 2 %).
The paper (Du et al., ICLR 2024) gives no table, so that these are no numbers of theirs.
"""

import argparse
import time
from collections.abc import Callable

import torch

from ethogram.agents.cascading import AdaptVI, CascadingVI, learn_in
from ethogram.envs.sessions import CascadingMDP, good_medium_bad, movielens_formula, trap

INSTANCES = {
    "GMB(4)": good_medium_bad(4),
    "GMB(8)": good_medium_bad(8),
    "TRAP": trap(),
    "MLF c=1 N=10": movielens_formula(20, 10, 1.0),
    "MLF c=1 N=25": movielens_formula(20, 25, 1.0),
    "MLF c=.3 N=10": movielens_formula(20, 10, 0.3),
    "MLF c=.3 N=25": movielens_formula(20, 25, 0.3),
}
REFERENCE = {  # regret at K = 100,000
    ("GMB(4)", "CascadingVI"): 3_708,
    ("GMB(4)", "variance-unaware"): 5_092,
    ("GMB(4)", "AdaptVI"): 28_635,
    ("GMB(8)", "CascadingVI"): 7_831,
    ("GMB(8)", "variance-unaware"): 10_822,
    ("GMB(8)", "AdaptVI"): 50_222,
    ("TRAP", "CascadingVI"): 15_188,
    ("TRAP", "variance-unaware"): 22_332,
    ("TRAP", "AdaptVI"): 109_062,
    ("MLF c=1 N=10", "CascadingVI"): 9_196,
    ("MLF c=1 N=10", "variance-unaware"): 10_463,
    ("MLF c=1 N=25", "CascadingVI"): 1_646,
    ("MLF c=1 N=25", "variance-unaware"): 1_521,
    ("MLF c=.3 N=10", "CascadingVI"): 19_195,
    ("MLF c=.3 N=10", "variance-unaware"): 21_442,
    ("MLF c=.3 N=25", "CascadingVI"): 33_083,
    ("MLF c=.3 N=25", "variance-unaware"): 34_835,
}
Agent = CascadingVI | AdaptVI
AGENTS: dict[str, Callable[[CascadingMDP, int], Agent]] = {
    "CascadingVI": lambda mdp, k: CascadingVI(mdp.reward, mdp.length, mdp.horizon, k),
    "variance-unaware": lambda mdp, k: CascadingVI(mdp.reward, mdp.length, mdp.horizon, k, variance_aware=False),
    "AdaptVI": lambda mdp, k: AdaptVI(mdp.num_states, mdp.num_items, mdp.length, mdp.horizon, k),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100_000, help="K (default 100000, as the references)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--instances", nargs="*", choices=INSTANCES, default=list(INSTANCES), metavar="NAME")
    given = parser.parse_args()
    print(f"{given.episodes:,} episodes, {given.seeds} seeds; regret is the exact sum of V* - V^pi")
    print(f"{'instance':14} {'agent':17} {'regret':>8} {'± s.d.':>7} {'reference':>10}  ratio optimistic  CPU s a run")
    for name in given.instances:
        mdp = INSTANCES[name]
        for kind, make in AGENTS.items():
            if (name, kind) not in REFERENCE:
                continue
            regrets, optimistic, seconds = [], True, []
            for seed in range(given.seeds):
                agent = make(mdp, given.episodes)
                start = time.process_time()
                curve = learn_in(mdp, agent, given.episodes, seed=seed)
                seconds.append(time.process_time() - start)
                regrets.append(curve.regret[-1])
                optimistic &= bool(curve.optimistic.all())
            regret = torch.stack(regrets)
            spread = regret.std().item() if given.seeds > 1 else 0.0
            known = REFERENCE[name, kind] if given.episodes == 100_000 else None
            ratio = f"{known:10,} {regret.mean().item() / known:6.3f}" if known else f"{'-':>10} {'-':>6}"
            held = "always" if optimistic else "NO"
            print(
                f"{name:14} {kind:17} {regret.mean().item():8,.0f} {spread:7,.0f} {ratio} {held:>10}  "
                f"{sorted(seconds)[len(seconds) // 2]:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
