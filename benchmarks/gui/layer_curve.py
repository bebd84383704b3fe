"""At which layer does a policy no longer need its past screens, its past actions, or both?

Run: python benchmarks/gui/layer_curve.py [--quick]        (about three minutes a seed on one free core)

HiconAgent's curve in small: a policy of six layers is warmed up as in hcpo_claims.py and trained by GRPO with whole
histories. Then tokens of the past are dropped at the input of each layer in turn, without any training for that, and
success is measured at steps of unseen episodes at which the past is needed: the value that was on the last screen, and
the button after the last press.
"""

import argparse
from pathlib import Path

import torch
from hcpo_claims import chosen, steps, warmed

from ethogram.agents.gui_learning import HCPO, Drop, Steps, successes
from ethogram.agents.learning import train
from ethogram.simulator import report
from ethogram.simulator.whatif import standard_error

plots = report.plots
LAYERS = 6
DROPS: tuple[Drop, ...] = ("screens", "actions", "both")


def one_seed(seed: int, warm: int, updates: int, episodes: int, tested: int) -> list[list[list[float]]]:
    """Success by task, by what is dropped, by layer from 0 to 6, at which nothing is."""
    shown, tests = steps(episodes, seed), steps(tested, 10**6 + seed)
    policy = warmed(seed, shown, tests, warm, LAYERS)
    train(
        HCPO(policy, Steps.mixed(shown.values()), updates, lengths="full", branches="full", seed=seed),
        updates,
        rate=3e-4,
        progress=False,
    )
    needs = {
        "a value seen before": chosen(tests["carry"], tests["carry"].truth["text"] > 0),
        "the last press": chosen(tests["in turn"], tests["in turn"].step > 0),
    }
    return [
        [
            [
                successes(policy, part, drop_at=k if k < LAYERS else None, drop=drop).mean().item()
                for k in range(LAYERS + 1)
            ]
            for drop in DROPS
        ]
        for part in needs.values()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two seeds and few updates: a check that it runs")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the picture (default outputs)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = (2, 2, 60, 10) if given.quick else (150, 100, 1000, 100)
    found = []
    for seed in range(2 if given.quick else given.seeds):
        found.append(one_seed(seed, *sizes))
        print(f"seed {seed}: done", flush=True)
    shares = torch.tensor(found)  # (seeds, tasks, drops, layers)
    reach = 1.96 * standard_error(shares)
    print(
        f"\nsuccess in %, means of {len(shares)} seeds ± 1.96 standard errors, by the layer at whose input is dropped"
    )
    print(f"{'step needs':22}{'dropped':9}" + "".join(f"{k}".rjust(10) for k in (*range(LAYERS), "none")))
    axes = plots.panels(2)
    for i, need in enumerate(("a value seen before", "the last press")):
        for j, drop in enumerate(DROPS):
            mean = shares[:, i, j].mean(0)
            print(
                f"{need:22}{drop:9}"
                + "".join(f"{100 * m:.0f} ± {100 * r:.0f}".rjust(10) for m, r in zip(mean, reach[i, j], strict=True))
            )
        plots.label(axes[i], f"Steps that need {need}", "dropped at the input of layer", "share that is right")
        lines = {f"past {drop} dropped": shares[:, i, j] for j, drop in enumerate(DROPS)}
        plots.curves(axes[i], lines, list(range(LAYERS + 1)), band="stderr").set_ylim(-0.02, 1.02)
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"\nPicture: {plots.save(axes, given.out / 'layer_curve.png')}")


if __name__ == "__main__":
    main()
