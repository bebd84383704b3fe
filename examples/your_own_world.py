"""Does a learner leave fish in the lake, in a world of your own? Run: python examples/your_own_world.py [--quick]"""

import argparse

from gymnasium.spaces import Box, Discrete
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import ethogram as eg
from ethogram.agents.sb3 import SB3Policy
from ethogram.simulator.report import plots


class Lake:
    """Fish, as a share of what the lake holds: action k catches k quarters, and what is left multiplies, with luck."""

    observation_space, action_space = Box(0, 1, (1,)), Discrete(5)

    def reset(self, draws, site):
        stock = 0.5 + draws.uniform("stock") / 2  # (n,)
        return stock, stock[:, None]

    def step(self, stock, action, draws, site):
        catch, weather = site("catch", stock * action / 4), site("weather", 1.2 * draws.uniform("weather"))
        stock = site("stock", ((stock - catch) * (1 + weather * (1 - stock + catch))).clamp(0, 1))
        return eg.Transition(stock, stock[:, None], catch, stock == 0)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="a shorter training")
parser.add_argument("--out", default="outputs", help="folder of the picture (default outputs)")
options = parser.parse_args()
eg.check_world(Lake())
envs = make_vec_env(eg.WorldEnv, 8, seed=0, env_kwargs={"world": Lake(), "horizon": 30})
model = PPO("MlpPolicy", envs, learning_rate=1e-3, n_steps=120, seed=0).learn(5_000 if options.quick else 40_000)
policies = {"PPO": SB3Policy(model), "always a quarter": eg.Fixed(1), "everything at once": eg.Fixed(4)}
runs = {name: eg.rollout(Lake(), policy, rows=1000, horizon=30) for name, policy in policies.items()}
stocks = {f"{name}: {run.reward.sum(1).mean():.2f} caught": run.observation[..., 0] for name, run in runs.items()}
ax = plots.curves(plots.axes("Fish in 1,000 lakes", "season", "share of what a lake holds"), stocks, range(31))
print(*stocks, f"Picture: {plots.save(ax, f'{options.out}/your_own_world.png')}", sep="\n")
