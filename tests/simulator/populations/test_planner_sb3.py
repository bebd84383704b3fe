"""A planner in EpidemicPlanner-v0 trains with Stable-Baselines3, acts in rollouts, and beats the best fixed levers."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest
import torch

pytest.importorskip("stable_baselines3", reason='needs pip install "ethogram[sb3]"')
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import DummyVecEnv

import ethogram.envs  # noqa: F401  (registers the ids)
from ethogram.agents.sb3 import SB3Policy, SB3VecEnv
from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import epidemic_planner_world, small_city
from ethogram.simulator import WorldVectorEnv, rollout
from ethogram.simulator.checks import check_policy

PLANNER = "ethogram/EpidemicPlanner-v0"
EXAMPLE = Path(__file__).parents[3] / "examples" / "which_policy_next.py"
spec = importlib.util.spec_from_file_location("which_policy_next", EXAMPLE)
example = importlib.util.module_from_spec(spec)
sys.modules["which_policy_next"] = example  # where pickle and dataclasses look
spec.loader.exec_module(example)


@pytest.fixture(scope="module")
def world():
    return epidemic_planner_world(world=small_city(100))


def test_vectorised_planners_are_the_single_ones_that_sb3_would_make(world):
    settings = {"world": world.world, "horizon": 3, "autoreset_mode": "SameStep"}
    mine = SB3VecEnv(gymnasium.make_vec(PLANNER, num_envs=2, **settings))
    theirs = DummyVecEnv([lambda: gymnasium.make(PLANNER, world=world.world, horizon=3)] * 2)
    mine.seed(5)
    theirs.seed(5)
    assert (mine.reset() == theirs.reset()).all()
    for _ in range(4):
        action = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0]], dtype=torch.int8).numpy()
        for left, right in zip(mine.step(action)[:3], theirs.step(action)[:3], strict=True):
            assert (left == right).all()


def test_a_trained_model_is_a_policy_for_the_planners_seat(world):
    envs = SB3VecEnv(WorldVectorEnv(world, 2, 3, "SameStep"))
    policy = SB3Policy(A2C("MlpPolicy", envs, n_steps=3, seed=0, device="cpu").learn(12))
    history = rollout(world, policy, rows=2, horizon=3)
    predicted, _ = policy.model.predict(history.observation[:, 1].numpy(), deterministic=True)
    assert (history.action[:, 1].numpy() == predicted).all()
    assert history.reward.isfinite().all()
    check_policy(policy, world)


def test_the_examples_planner_trains_and_acts_on_a_batch_as_on_its_rows(world):
    planner = example.train(world, weeks=208)
    assert planner.model.num_timesteps == 208
    together = rollout(world, planner, rows=2, horizon=3)
    for row in (0, 1):
        alone = rollout(world, planner, rows=torch.tensor([row]), horizon=3)
        assert torch.equal(alone.action[0], together.action[row])


def test_the_rule_closes_the_community_after_cases(world):
    observation = torch.tensor([[0.2, 0, 0, 0, 1], [0.1, 9, 9, 9, 1]])
    assert example.CloseAbove(0.1).act(observation, None, None).tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    check_policy(example.CloseAbove(0.1), world)


def test_comparing_shows_infections_and_changes_nothing_else(world):
    rule = example.CloseAbove(0.1)
    (watched,) = example.compare(world, {"rule": rule}, 2).values()
    alone = rollout(world, rule, rows=2, horizon=example.WEEKS, seed=example.COMPARING)
    assert torch.equal(watched.observation[..., [0, 1, 2, 3, 5]], alone.observation)
    assert torch.equal(watched.reward, alone.reward)
    unseen = replace(world, unseen=())
    with pytest.raises(KeyError, match="infected"):  # the reward counts them
        rollout(unseen, rule, rows=1, horizon=1)


@pytest.mark.slow
def test_the_examples_planner_beats_every_fixed_setting_in_cities_it_has_not_seen():
    """Two fixed settings are left after choosing; both are compared, so that the better has hindsight."""
    world = epidemic_planner_world(example.PEOPLE)
    best_two = list(example.fixed_levers(world, 3))[:2]
    policies = {str(setting): Fixed(torch.tensor(setting)) for setting in best_two}
    runs = example.compare(world, {**policies, "trained": example.train(world, example.STEPS)}, 16)
    trained = runs.pop("trained")
    for fixed in runs.values():
        gain = example.better(trained, fixed)
        assert gain.mean > 2 * gain.stderr
