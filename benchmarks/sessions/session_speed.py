"""How many steps of recommendation sessions does a CPU second buy, here and elsewhere?

Run: python benchmarks/sessions/session_speed.py        (under three minutes)

One world for all rows but RecSim's: a cascading MDP of 200 items, 20 user states and slates of 5. Ours is stepped by
``rollout``, by ``gymnasium.make_vec`` and as a Stable-Baselines3 VecEnv; the peers step the same world written by
hand as an ordinary Python environment (in this file), in Gymnasium's SyncVectorEnv and SB3's DummyVecEnv. All of
them are given the same slates, made beforehand, and run on one thread. RecSim and SARDINE run worlds of their own, one
session at a time: interest evolution, slates of 5 of 50 documents; SlateTopK-Bored, slates of 10 of 1,000 items.

CPU seconds; rates are medians over rounds, and so are ratios, each within a round. Stable-Baselines3 comes with
``pip install "ethogram[sb3]"``. RecSim needs TensorFlow and Dopamine only for its agents, which are not used:

    pip install --no-deps --target peers recsim gym==0.26.2 gym-notices gin-config absl-py six sardine-rec==1.0.8
    PYTHONPATH=peers python benchmarks/sessions/session_speed.py
"""

import argparse
import statistics
import sys
import time
import types
from bisect import bisect
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import ethogram.envs  # noqa: F401  (registers the id)
from ethogram.agents.simple import Fixed
from ethogram.envs.sessions import CascadingMDP, CascadingSession, rating_mdp
from ethogram.simulator.rollout import rollout

SESSION = "ethogram/CascadingSession-v0"
Run = Callable[[], int]  # does some work and says how many steps it was


class HandWritten(gymnasium.Env[Any, Any]):
    """The cascading session as one writes it without a library: plain Python on lists, one row."""

    def __init__(self, mdp: CascadingMDP, tables: tuple[Any, Any, Any]) -> None:
        self.observation_space = gymnasium.spaces.Discrete(mdp.num_states)
        self.action_space = gymnasium.spaces.MultiDiscrete([mdp.num_items] * mdp.length)
        self.attraction, self.reward, self.cumulative = tables
        self.nothing, self.last, self.horizon, self.initial = (
            mdp.num_items,
            mdp.num_states - 1,
            mdp.horizon,
            mdp.initial,
        )

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        """A new session."""
        super().reset(seed=seed)
        self.random = self.np_random.random
        self.state, self.steps = self.initial, 0
        return self.state, {}

    def step(self, action: np.ndarray[Any, Any]) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """One slate, looked down until the first click."""
        attraction, random = self.attraction[self.state], self.random
        clicked, reward = self.nothing, 0.0
        slate = action.tolist()
        if len(set(slate)) < len(slate) or min(slate) < 0 or max(slate) >= self.nothing:  # as ours looks at them too
            raise ValueError(f"slate {slate}: expected distinct items below {self.nothing}")
        for item in slate:
            if random() < attraction[item]:
                clicked, reward = item, self.reward[self.state][item]
                break
        self.state = min(bisect(self.cumulative[self.state][clicked], random()), self.last)
        self.steps += 1
        return self.state, reward, False, self.steps == self.horizon, {}


def by_hand(mdp: CascadingMDP, rows: int) -> list[Callable[[], HandWritten]]:
    """What makes the hand-written environments, which share their tables."""
    tables = mdp.attraction.tolist(), mdp.reward.tolist(), mdp.transition.cumsum(2).tolist()
    return [lambda: HandWritten(mdp, tables)] * rows


def world(horizon: int) -> CascadingMDP:
    """200 items, 20 states, slates of 5; made-up ratings."""
    state, item = torch.arange(20)[:, None], torch.arange(200)
    rating = 0.5 * (1 + (7 * state + 11 * item + 3 * state * item) % 10).double()
    return rating_mdp(rating, attraction=0.5 * rating / 5, length=5, horizon=horizon)


def stepping(step: Callable[[Any], Any], slates: Any, rows: int, calls: int) -> Run:
    """Step an environment that is reset already: ``calls`` times a round, going on where the last round ended."""
    count = 0

    def run() -> int:
        nonlocal count
        for _ in range(calls):
            step(slates[count % len(slates)])
            count += 1
        return rows * calls

    return run


def contenders(rows: int, horizon: int) -> dict[str, Run | str]:
    """Name -> what runs it, or why it does not."""
    mdp, rng = world(horizon), np.random.default_rng(0)
    slates = np.ascontiguousarray(rng.random((8, rows, mdp.num_items)).argsort(axis=2)[:, :, : mdp.length])
    runs: dict[str, Run | str] = {}
    session, policy = CascadingSession(mdp), Fixed(torch.from_numpy(slates[0, 0].copy()))

    def rolled() -> int:
        rollout(session, policy, rows=rows, horizon=200)
        return rows * 200

    runs["ethogram: rollout"] = rolled
    for name, settings in (("make_vec", {}), ("make_vec, same-step resets", {"autoreset_mode": "SameStep"})):
        envs = gymnasium.make_vec(SESSION, num_envs=rows, mdp=mdp, **settings)
        envs.reset(seed=0)
        runs[f"ethogram: {name}"] = stepping(envs.step, slates, rows, calls=200)
    sync = SyncVectorEnv(by_hand(mdp, rows))
    sync.reset(seed=0)
    runs["by hand: Gymnasium SyncVectorEnv"] = stepping(sync.step, slates, rows, calls=5)
    runs |= stable_baselines(mdp, rows, slates)
    runs["RecSim: interest evolution"] = recsim()
    runs["SARDINE: SlateTopK-Bored"] = sardine()
    return runs


def stable_baselines(mdp: CascadingMDP, rows: int, slates: Any) -> dict[str, Run | str]:
    """Ours and the hand-written one as Stable-Baselines3 sees them."""
    try:
        from stable_baselines3.common.vec_env import DummyVecEnv

        from ethogram.agents.sb3 import SB3VecEnv
    except ImportError:
        return {"by hand: SB3 DummyVecEnv": 'not installed; pip install "ethogram[sb3]"'}
    envs = gymnasium.make_vec(SESSION, num_envs=rows, mdp=mdp, flat=True, autoreset_mode=AutoresetMode.SAME_STEP)
    ours, theirs = SB3VecEnv(envs), DummyVecEnv(by_hand(mdp, rows))
    ours.seed(0)
    ours.reset()
    theirs.seed(0)
    theirs.reset()
    codes = envs.unwrapped.world.world.action_space.flatten(slates)
    return {
        "ethogram: SB3 VecEnv, flat slates": stepping(ours.step, codes, rows, calls=200),
        "by hand: SB3 DummyVecEnv": stepping(theirs.step, slates, rows, calls=5),
    }


def recsim() -> Run | str:
    """RecSim's environment, with empty modules in the place of TensorFlow and Dopamine."""
    try:
        import gin
        import recsim as _  # noqa: F401  (before anything is put in the place of others)
    except ImportError:
        return "not installed; --help says how"
    except Exception as error:
        return f"does not import: {error}"
    try:
        import tensorflow  # noqa: F401
    except ImportError:
        gin.tf = sys.modules["gin.tf"] = gin
        for name in ("tensorflow.compat.v1", "dopamine.discrete_domains.checkpointer"):
            parts = name.split(".")
            for depth in range(len(parts), 0, -1):
                sys.modules[".".join(parts[:depth])] = types.ModuleType(".".join(parts[:depth]))
            for depth in range(1, len(parts)):
                parent = sys.modules[".".join(parts[:depth])]
                setattr(parent, parts[depth], sys.modules[".".join(parts[: depth + 1])])
    from recsim.environments import interest_evolution

    env = interest_evolution.create_environment(
        {"num_candidates": 50, "slate_size": 5, "resample_documents": False, "seed": 0}
    )
    env.reset()
    rng = np.random.default_rng(0)
    slates = [rng.permutation(50)[:5] for _ in range(100)]

    def step(slate: Any) -> None:
        *_, done, _ = env.step(slate)
        if done:
            env.reset()

    return stepping(step, slates, rows=1, calls=2000)


def sardine() -> Run | str:
    """One of SARDINE's environments."""
    try:
        import sardine as _  # noqa: F401  (registers its ids)
    except ImportError:
        return "not installed; --help says how"
    env = gymnasium.make("sardine/SlateTopK-Bored-v0")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    slates = [rng.permutation(1000)[:10] for _ in range(100)]

    def step(slate: Any) -> None:
        _, _, terminated, truncated, _ = env.step(slate)
        if terminated or truncated:
            env.reset()

    return stepping(step, slates, rows=1, calls=1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096, help="sessions at once (default 4096)")
    parser.add_argument("--horizon", type=int, default=20, help="steps of a session (default 20)")
    parser.add_argument("--rounds", type=int, default=7, help="paired rounds (default 7)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs = contenders(arguments.rows, arguments.horizon)
    rates: dict[str, list[float]] = {name: [] for name, run in runs.items() if callable(run)}
    for round_ in range(arguments.rounds + 1):
        for name in rates:
            start = time.process_time()
            steps = runs[name]()
            if round_:  # the first warms up: compilation, caches
                rates[name].append(steps / (time.process_time() - start))
    sync, other = rates["by hand: Gymnasium SyncVectorEnv"], rates.get("RecSim: interest evolution")
    print(f"{arguments.rows} sessions of {arguments.horizon} steps, one thread, {arguments.rounds} rounds")
    print(f"{'':<36} {'steps/CPU s':>12} {'x SyncVectorEnv':>16} {'x RecSim':>9}")
    for name, run in runs.items():
        if not callable(run):
            print(f"{name:<36} {run}")
            continue
        ratio = statistics.median(a / b for a, b in zip(rates[name], sync, strict=True))
        beside = statistics.median(a / b for a, b in zip(rates[name], other, strict=True)) if other else float("nan")
        print(f"{name:<36} {statistics.median(rates[name]):>12,.0f} {ratio:>16.1f} {beside:>9.1f}")


if __name__ == "__main__":
    main()
