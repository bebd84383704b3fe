"""Does a learner leave fish in the lake, in a world of your own?

Run: python examples/your_own_world.py        (under a minute; --quick for a shorter training)"""

import argparse

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import ethogram as eg
from ethogram.agents.sb3 import SB3Policy
from ethogram.simulator.report import plots


class Lake:
    """Fish, as a share of what the lake holds: action k catches k quarters, and what is left multiplies, with luck."""

    observation_space, action_space = spaces.Box(0, 1, (1,), np.float32), spaces.Discrete(5)

    def reset(self, draws, site):
        stock = 0.5 + draws.uniform("stock") / 2  # (n,)
        return stock, stock[:, None]

    def step(self, stock, action, draws, site):
        catch, weather = site("catch", stock * action / 4), site("weather", 1.2 * draws.uniform("weather"))
        left = stock - catch
        stock = site("stock", (left + weather * left * (1 - left)).clamp(0, 1))
        return eg.Transition(stock, stock[:, None], catch, torch.zeros_like(stock, dtype=torch.bool))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--quick", action="store_true", help="a shorter training")
parser.add_argument("--out", default="outputs", help="folder of the picture (default outputs)")
options = parser.parse_args()
torch.set_num_threads(1)  # the network is small
eg.check_world(Lake())
envs = make_vec_env(eg.WorldEnv, 8, seed=0, env_kwargs={"world": Lake(), "horizon": 30})
model = PPO("MlpPolicy", envs, n_steps=120, batch_size=240, learning_rate=1e-3, seed=0, device="cpu")
model.learn(5_000 if options.quick else 40_000)
policies = {"PPO": SB3Policy(model), "always a quarter": eg.Fixed(1), "everything at once": eg.Fixed(4)}
runs = {name: eg.rollout(Lake(), policy, rows=1000, horizon=30) for name, policy in policies.items()}
ax = plots.axes("Fish in 1,000 lakes", "season", "share of what a lake holds")
plots.curves(ax, {name: run.observation[..., 0] for name, run in runs.items()}, range(31))
print(f"Picture: {plots.save(ax, f'{options.out}/your_own_world.png')}", "Caught in 30 seasons:", sep="\n")
print(*(f"  {name:<20} {run.reward.sum(1).mean():.3f}" for name, run in runs.items()), sep="\n")
