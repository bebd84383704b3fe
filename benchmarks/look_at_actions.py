"""What does it cost a vector environment to look whether actions are in its space?

Run: python benchmarks/look_at_actions.py        (under a minute)

The least CPU time of a whole step, of the look at its actions, and of copying them alone, which a step needs anyway;
the share of the step is that of the look without the copy.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch

import ethogram.envs  # noqa: F401  (registers the ids)

IDS: tuple[tuple[str, dict[str, Any], tuple[int, ...]], ...] = (
    ("CascadingSession-v0", {}, (8, 256, 4096)),
    ("CascadingSession-v0", {"flat": True}, (8, 256, 4096)),
    ("Adoption-v0", {"num_people": 100}, (1, 32)),
    ("Epidemic-v0", {"num_people": 100}, (1, 32)),
)


def least(run: Callable[[], Any], calls: int, repeats: int = 25) -> float:
    """CPU microseconds a call, the least of several repeats."""
    run()
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(calls):
            run()
        taken.append((time.process_time() - began) / calls)
    return 1e6 * min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':<44} {'step, us':>9} {'look, us':>9} {'copy, us':>9} {'share':>7}")
    for name, settings, sizes in IDS:
        for size in sizes:
            envs = gymnasium.make_vec(f"ethogram/{name}", num_envs=size, **settings)
            envs.reset(seed=0)
            envs.action_space.seed(0)
            action, look = envs.action_space.sample(), envs.unwrapped._actions
            step = least(lambda envs=envs, action=action: envs.step(action), 40)
            looked = least(lambda look=look, action=action, size=size: look(action, (size,)), 200)
            copied = least(lambda look=look, action=action: torch.from_numpy(np.array(action, look.dtype)), 200)
            print(
                f"{f'{name} {settings or str()}, {size}':<44} {step:>9.1f} {looked:>9.1f} {copied:>9.1f} "
                f"{(looked - copied) / step:>7.1%}"
            )


if __name__ == "__main__":
    main()
