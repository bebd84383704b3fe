"""Stable-Baselines3 trains on our vector environments, and its models act as policies."""

import gymnasium
import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason='needs pip install "ethogram[sb3]"')
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv

import ethogram.envs  # noqa: F401  (registers the ids)
from ethogram.agents.sb3 import SB3Policy, SB3VecEnv
from ethogram.envs.sessions import CascadingSession, FlatSlates, Slates, trap
from ethogram.simulator.checks import check_policy
from ethogram.simulator.gym import WorldVectorEnv
from ethogram.simulator.rollout import rollout

SESSION = "ethogram/CascadingSession-v0"
SLATES = Slates(6, 2)
WORLD = CascadingSession(trap())


def ours(rows, **settings):
    return SB3VecEnv(gymnasium.make_vec(SESSION, num_envs=rows, flat=True, autoreset_mode="SameStep", **settings))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return PPO("MlpPolicy", ours(8), n_steps=16, batch_size=64, n_epochs=1, seed=0, device="cpu").learn(256)


def test_the_vector_environment_has_the_semantics_of_sb3s_own():
    mine, theirs = ours(4, horizon=3), DummyVecEnv([lambda: gymnasium.make(SESSION, flat=True, horizon=3)] * 4)
    for envs in (mine, theirs):
        assert envs.seed(5) == [5, 6, 7, 8]
    mine.action_space.seed(0)
    assert (mine.reset() == theirs.reset()).all()
    for _ in range(20):
        action = np.stack([mine.action_space.sample() for _ in range(4)])
        (*left, infos), (*right, expected) = mine.step(action), theirs.step(action)
        assert all((a == b).all() and a.dtype == b.dtype for a, b in zip(left, right, strict=True))
        for info, wanted in zip(infos, expected, strict=True):
            same = {"TimeLimit.truncated": False} | info  # theirs says so at every step
            assert same.pop("terminal_observation", None) == wanted.pop("terminal_observation", None)
            assert same == wanted
    assert (mine.reset() == theirs.reset()).all()
    assert mine.get_attr("num_envs", indices=[0, 2]) == [4, 4]
    assert mine.env_is_wrapped(gymnasium.Wrapper) == [False] * 4
    mine.close()


def test_rows_that_terminate_are_not_called_truncated():
    class Ends(CascadingSession):
        def step(self, *args):
            return super().step(*args)._replace(terminated=torch.tensor([True, False]))

    envs = SB3VecEnv(WorldVectorEnv(FlatSlates(Ends(trap())), 2, 1, "SameStep"))
    envs.reset()
    *_, done, infos = envs.step(np.zeros((2, 2), dtype=np.int64))
    assert done.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]


def test_what_it_cannot_do_is_refused_with_a_reason():
    with pytest.raises(ValueError, match="expected SAME_STEP"):
        SB3VecEnv(gymnasium.make_vec(SESSION, num_envs=2))
    envs = ours(2)
    envs.set_options({"mood": 1})
    with pytest.raises(ValueError, match="expected none"):
        envs.reset()
    with pytest.raises(NotImplementedError, match="of their own"):
        envs.set_attr("horizon", 3)
    with pytest.raises(NotImplementedError, match="of their own"):
        envs.env_method("step")


def test_training_repeats_to_the_bit():
    def trained():
        return PPO("MlpPolicy", ours(8), n_steps=8, batch_size=64, n_epochs=1, seed=3, device="cpu").learn(64)

    one, two = trained().policy.state_dict(), trained().policy.state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_model_keeps_the_contract_of_policies(model, deterministic):
    check_policy(SB3Policy(model, SLATES, deterministic), WORLD)
    check_policy(SB3Policy(model, None, deterministic), FlatSlates(WORLD))


def test_a_model_does_what_it_predicts(model):
    history = rollout(WORLD, SB3Policy(model, SLATES), rows=50, horizon=6)
    for state in (0, 1):
        slate = SLATES.unflatten(model.predict(np.array(state), deterministic=True)[0])
        shown = history.action[history.observation[:, :-1] == state]
        assert (shown == torch.from_numpy(slate)).all()


def test_samples_have_the_models_probabilities(model):
    """20,000 rows in state 0; six counts, each within 5 standard deviations: fails once in 300,000 seeds."""
    history = rollout(FlatSlates(WORLD), SB3Policy(model, deterministic=False), rows=20_000, horizon=1)
    state = model.policy.obs_to_tensor(np.array([0]))[0]
    with torch.no_grad():
        expected = model.policy.get_distribution(state).distribution[0].probs[0]
    share = history.action[:, 0, 0].bincount(minlength=6) / 20_000
    assert ((share - expected).abs() < 5 * (expected * (1 - expected) / 20_000).sqrt()).all()


def test_a_model_without_a_distribution_acts_by_its_best_action_only():
    model = DQN("MlpPolicy", gymnasium.make("CartPole-v1"), learning_starts=1, buffer_size=10, device="cpu")
    with pytest.raises(ValueError, match="use deterministic=True"):
        SB3Policy(model, deterministic=False).act(torch.zeros(2, 4), None, None)


def test_the_usual_entry_of_sb3_works():
    with pytest.raises(TypeError, match="unknown keyword 'flatt'"):
        make_vec_env(SESSION, n_envs=2, env_kwargs={"flatt": True})
    envs = make_vec_env(SESSION, n_envs=2, seed=0, env_kwargs={"flat": True})
    assert envs.render_mode == "rgb_array"  # SB3's default
    PPO("MlpPolicy", envs, n_steps=8, batch_size=16, n_epochs=1, device="cpu").learn(16)
    assert envs.render("rgb_array").ndim == 3


def test_a_video_of_our_vector_has_its_rows():
    envs = ours(2, render_mode="rgb_array")
    envs.reset()
    assert len(envs.get_images()) == 2
    assert envs.get_images()[0].dtype == np.uint8


def test_an_algorithm_that_knows_no_slates_says_what_to_do():
    with pytest.raises(AssertionError, match=r"Slates\(6, 2\) \(make the environment with flat=True for MultiDiscrete"):
        PPO("MlpPolicy", make_vec_env(SESSION), device="cpu")


def test_dqn_learns_in_numbered_slates_and_its_model_is_a_policy():
    envs = make_vec_env(SESSION, env_kwargs={"discrete": True})
    model = DQN("MlpPolicy", envs, learning_starts=10, buffer_size=100, seed=0, device="cpu").learn(40)
    check_policy(SB3Policy(model, SLATES), WORLD)


def test_ppo_learns_everybodys_choices_in_an_epidemic_and_its_model_is_a_policy():
    envs = make_vec_env("ethogram/Epidemic-v0", n_envs=2, seed=0, env_kwargs={"num_people": 30, "horizon": 8})
    model = PPO("MultiInputPolicy", envs, n_steps=8, batch_size=8, n_epochs=1, seed=0, device="cpu").learn(32)
    world = envs.get_attr("world")[0]
    best = rollout(world, SB3Policy(model), rows=3, horizon=4)
    drawn = [rollout(world, SB3Policy(model, deterministic=False), rows=3, horizon=4) for _ in range(2)]
    assert best.action.shape == (3, 4, 60)
    assert set(best.action.unique().tolist()) <= {0, 1}
    assert drawn[0].equals(drawn[1])
    assert not torch.equal(drawn[0].action, best.action)
    native = SB3VecEnv(WorldVectorEnv(world, num_envs=2, horizon=8, autoreset_mode="SameStep"))
    PPO("MultiInputPolicy", native, n_steps=8, batch_size=8, n_epochs=1, device="cpu").learn(16)
