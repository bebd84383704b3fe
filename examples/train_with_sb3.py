"""Does a policy trained with Stable-Baselines3 see through clickbait?

Run: python examples/train_with_sb3.py        (under two minutes; --help for options)
Needs: pip install "ethogram[sb3]"

In TRAP three items are clicked at once and bore the user, and three are clicked less and keep the user. A myopic
recommender shows the first three. PPO trains on the same sessions through Gymnasium's vector interface; what it has
learnt then acts as a policy of ethogram, whose value is computed exactly. PPO sees the user's state and not the step;
the best of all 1,296 policies that do so is worth 3.8845.
"""

import argparse
from itertools import product
from pathlib import Path

import gymnasium
import numpy as np
import torch
from tqdm import tqdm

import ethogram.envs  # noqa: F401  (registers the ids)
from ethogram.agents.cascading import myopic_policy, optimal_values, policy_value
from ethogram.envs.sessions import CascadingMDP, CascadingSession, Slates, trap
from ethogram.simulator import rollout
from ethogram.simulator.report import plots
from ethogram.simulator.whatif import mean_return


def train(mdp: CascadingMDP, seed: int, updates: int, rows: int) -> tuple[list[float], list[float]]:
    """Clicks a session before training and after each update: of the model's best lists, and of lists it samples."""
    from stable_baselines3 import PPO

    from ethogram.agents.sb3 import SB3Policy, SB3VecEnv

    envs = gymnasium.make_vec(
        "ethogram/CascadingSession-v0", num_envs=rows, mdp=mdp, flat=True, autoreset_mode="SameStep"
    )
    model = PPO(
        "MlpPolicy",
        SB3VecEnv(envs),
        n_steps=2 * mdp.horizon,
        batch_size=rows * mdp.horizon // 2,
        gamma=1.0,  # a session is short: clicks count alike whenever they come
        learning_rate=2e-3,
        ent_coef=0.01,
        seed=seed,
        device="cpu",
    )
    world, slates = CascadingSession(mdp), Slates(mdp.num_items, mdp.length)
    states = np.arange(mdp.num_states)
    best, sampled = [], []
    for update in range(updates + 1):
        if update:
            model.learn(rows * model.n_steps, reset_num_timesteps=False)
        lists = torch.from_numpy(slates.unflatten(model.predict(states, deterministic=True)[0]))  # (S, m)
        best.append(policy_value(mdp, lists.expand(mdp.horizon, -1, -1))[0, mdp.initial].item())
        policy = SB3Policy(model, slates, deterministic=False)
        sampled.append(mean_return(rollout(world, policy, rows=2000, horizon=mdp.horizon)).item())
    return best, sampled


def best_without_the_step(mdp: CascadingMDP) -> float:
    """The most clicks a session of a policy that sees the state alone, as PPO does: all of them are tried."""
    lists = torch.from_numpy(Slates(mdp.num_items, mdp.length).every())
    policies = (lists[list(chosen)] for chosen in product(range(len(lists)), repeat=mdp.num_states))
    return max(policy_value(mdp, p.expand(mdp.horizon, -1, -1))[0, mdp.initial].item() for p in policies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="trainings (default 3)")
    parser.add_argument("--updates", type=int, default=20, help="of PPO in each training (default 20)")
    parser.add_argument("--rows", type=int, default=128, help="sessions at once (default 128)")
    parser.add_argument("--quick", action="store_true", help="two short trainings, for a first look")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for the figure (default outputs)")
    arguments = parser.parse_args()
    seeds, updates = (2, 8) if arguments.quick else (arguments.seeds, arguments.updates)
    torch.set_num_threads(1)  # the network is small

    mdp = trap()
    runs = []
    for seed in tqdm(range(seeds), unit="training"):
        runs.append(train(mdp, seed, updates, arguments.rows))
    best, sampled = (torch.tensor(curve, dtype=torch.float64) for curve in zip(*runs, strict=True))  # (seeds, K)
    myopic = policy_value(mdp, myopic_policy(mdp))[0, mdp.initial].item()
    optimum, attainable = optimal_values(mdp)[0][0, mdp.initial].item(), best_without_the_step(mdp)

    ax = plots.axes(f"PPO in the trap, {seeds} trainings", "sessions trained on (thousands)", "clicks a session")
    sessions = torch.arange(updates + 1) * 2 * arguments.rows / 1000
    plots.curves(ax, {"PPO, best lists (exact value)": best, "PPO, lists as it samples them": sampled}, sessions)
    ax.axhline(optimum, color="0.2", linestyle=":", label=f"optimum, knowing the step: {optimum:.4f}")
    ax.axhline(attainable, color="0.35", linestyle="--", label=f"attainable, by state alone: {attainable:.4f}")
    ax.axhline(myopic, color="0.55", linestyle="-.", label=f"myopic {myopic:.3f}")
    style = {"frameon": False, "fontsize": 8, "title_fontsize": 8}
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.3), title="band: ± 1 standard deviation", **style)
    path = plots.save(ax, arguments.out / "train_with_sb3.png")

    last = best[:, -1]
    error = (last.std() / len(last) ** 0.5).item()
    print(f"Figure: {path}")
    print(f"Clicks a session: myopic {myopic:.5f}, attainable by state alone {attainable:.5f}, optimum {optimum:.5f}")
    print(f"PPO, best lists, by training: {', '.join(f'{value:.4f}' for value in last)}")
    print(f"PPO, best lists: {last.mean():.4f} ± {error:.4f}, {last.mean() / myopic:.2f} times the myopic policy's")


if __name__ == "__main__":
    main()
