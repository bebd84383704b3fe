"""After how many episodes does CascadingBPI know that its policy is good enough?

Run: python benchmarks/cascading/cascading_bpi.py        (under a minute on one CPU core)

Episodes until the stop, beside reference numbers from an independent simulation, and the true gap of the policy
that it stops with. The bonuses are derived, not the paper's, which could not be recovered.
"""

import argparse

import torch

from ethogram.agents.cascading import CascadingBPI, learn_in, policy_value
from ethogram.envs.sessions import good_medium_bad

REFERENCE = {
    (4, 1.0): "44,600 to 45,300",
    (4, 0.5): "123,200",
    (8, 1.0): "61,900 to 63,100",
    (8, 0.5): "137,000 to 139,300",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--most", type=int, default=1_000_000, help="give up after so many episodes")
    given = parser.parse_args()
    print(
        f"{'instance':8} {'epsilon':>7} {'episodes, least to most':>25} {'reference':>20} {'true gap':>9}  bounds held"
    )
    for (num_items, epsilon), reference in REFERENCE.items():
        mdp = good_medium_bad(num_items)
        counts, gaps, held = [], [], True
        for seed in range(given.seeds):
            agent = CascadingBPI(mdp.reward, mdp.length, mdp.horizon, epsilon)
            curve = learn_in(mdp, agent, given.most, seed=seed)
            if not agent.stopped:
                raise SystemExit(f"no stop within {given.most:,} episodes: raise --most")
            counts.append(len(curve.value))
            slates = torch.from_numpy(agent.model.plan.slates)
            gaps.append(curve.optimal - policy_value(mdp, slates)[0, mdp.initial].item())
            held &= bool(curve.optimistic.all() and (curve.error >= curve.upper - curve.value - 1e-9).all())
        span = f"{min(counts):,} to {max(counts):,}"
        print(
            f"GMB({num_items})   {epsilon:7} {span:>25} {reference:>20} {max(gaps):9.4f}  {'always' if held else 'NO'}",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
