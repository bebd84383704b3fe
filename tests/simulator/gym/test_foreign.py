"""Foreign environments as worlds: what their rows see, when they end, and what is refused."""

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from bits import same
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from test_gym import Browsing

from ethogram.agents.simple import Fixed
from ethogram.simulator import Draws, Sites
from ethogram.simulator.checks import check_world
from ethogram.simulator.gym import FromGym, WorldEnv, WorldVectorEnv, episode_ids
from ethogram.simulator.rollout import rollout


def push_right(observation, history, draws):
    return (observation[:, 2] > 0).long()


class Upright:
    """Pushes the cart towards where the pole leans."""

    act = staticmethod(push_right)


@pytest.mark.parametrize("env", ["CartPole-v1", partial(gymnasium.make, "CartPole-v1"), gymnasium.make("CartPole-v1")])
def test_a_foreign_environment_runs_as_a_world(env):
    history = rollout(FromGym(env), Upright(), rows=4, horizon=60, seed=5)
    again = rollout(FromGym(env), Upright(), rows=torch.tensor([2]), horizon=60, seed=5)
    length = int(history.length[2])
    assert torch.equal(history.observation[2, : length + 1], again.observation[0, : length + 1])
    assert torch.equal(history.reward.sum(1), history.length.float())  # CartPole: one a step
    assert history.terminated.any()
    assert len(history.observation[:, 0].unique(dim=0)) == 4  # each row has its own seed
    ours = rollout(FromGym(env), Upright(), rows=4, horizon=60, seed=6)
    assert not torch.equal(ours.observation[:, 0], history.observation[:, 0])


def test_a_foreign_row_is_the_environment_itself():
    history = rollout(FromGym("FrozenLake-v1"), Fixed(1), rows=3, horizon=25, seed=5)
    env = gymnasium.make("FrozenLake-v1")
    for i, length in enumerate(history.length.tolist()):
        seed = int(episode_ids(5, i)) & (1 << 62) - 1
        seen = [env.reset(seed=seed)[0]] + [env.step(1)[0] for _ in range(length)]
        assert history.observation[i, : length + 1].tolist() == seen


def test_one_of_ours_survives_the_way_out_and_back():
    world = Browsing()
    back = FromGym(partial(WorldEnv, world, 50))
    action = {"push": 0.5, "kind": 1}

    class Same:
        def act(self, observation, history, draws):
            n = len(draws.ids)
            return {"push": torch.full((n,), action["push"]), "kind": torch.full((n,), action["kind"])}

    ids = torch.tensor([4, 9])
    seeds = episode_ids(2, ids) & (1 << 62) - 1
    there = rollout(back, Same(), rows=ids, horizon=12, seed=2)
    direct = rollout(world, Same(), rows=episode_ids(seeds, torch.zeros(2, dtype=torch.int64)), horizon=12)
    assert torch.equal(there.length, direct.length)
    assert torch.equal(there.reward, direct.reward)
    for i, length in enumerate(there.length.tolist()):
        for key in ("page", "seen", "title"):
            assert same(there.observation[key][i][: length + 1], direct.observation[key][i][: length + 1])


class Mission(spaces.Space):
    """Text as MiniGrid's missions are: a space of its own, which Gymnasium does not know."""

    def __init__(self):
        super().__init__(dtype=str)

    def contains(self, x):
        return isinstance(x, str) and x.startswith("go ")

    def sample(self, mask=None, probability=None):
        return f"go {self.np_random.integers(9)}"

    def __eq__(self, other):
        return isinstance(other, Mission)


class Maze(gymnasium.Env):
    """Ends by itself: by an exit found, or by a limit drawn anew in each episode."""

    observation_space = spaces.Dict(
        {"image": spaces.Box(0, 255, (2, 2), np.uint8), "mission": Mission(), "direction": spaces.Discrete(4)}
    )
    action_space = spaces.Discrete(3)

    def seen(self):
        image = np.full((2, 2), self.t, np.uint8)
        return {"image": image, "mission": f"go {self.t}", "direction": self.t % 4}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.limit = 0, int(self.np_random.integers(2, 8))
        return self.seen(), {}

    def step(self, action):
        self.t += 1
        return self.seen(), float(action), bool(self.np_random.random() < 0.1), self.t >= self.limit, {}


def test_rows_end_when_their_environments_do():
    history = rollout(FromGym(Maze), Fixed(1), rows=40, horizon=9, seed=3)
    ways = set()
    for i in range(40):
        env, t = Maze(), 0
        env.reset(seed=int(episode_ids(3, i)) & (1 << 62) - 1)
        terminated = truncated = False
        while not (terminated or truncated):
            seen, reward, terminated, truncated, _ = env.step(1)
            t += 1
            assert history.observation["mission"][i, t] == seen["mission"]
            assert history.reward[i, t - 1] == reward
        assert history.length[i] == t
        assert history.terminated[i].nonzero()[:, 0].tolist() == [t - 1] * terminated
        assert history.truncated[i].nonzero()[:, 0].tolist() == [t - 1] * (truncated and not terminated)
        ways.add((terminated, truncated))
    assert len(ways) > 1


@pytest.mark.parametrize("env", [Maze, Maze(), "CartPole-v1", "FrozenLake-v1"])
def test_a_foreign_environment_keeps_the_contract_of_worlds(env):
    check_world(FromGym(env), rows=4)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_in_a_vector_rows_begin_and_end_whenever_they_like(mode):
    world = FromGym(Maze)
    ours = WorldVectorEnv(world, 4, 6, mode)
    theirs = SyncVectorEnv([lambda: WorldEnv(world, 6)] * 4, autoreset_mode=mode)
    assert same(ours.reset(seed=1), theirs.reset(seed=1))
    ways = set()
    for _ in range(30):
        action = ours.action_space.sample()
        left, right = ours.step(action), theirs.step(action)
        assert all(same(a, b) for a, b in zip(left, right, strict=True))
        ways |= set(zip(left[2].tolist(), left[3].tolist(), strict=True))
    assert ways == {(False, False), (False, True), (True, False)}


def test_a_state_may_be_stepped_again_and_gives_the_same():
    world, draws, site = FromGym("CartPole-v1"), Draws(0, torch.arange(2)), Sites()
    left, right = torch.zeros(2, dtype=torch.int64), torch.ones(2, dtype=torch.int64)
    first, _ = world.reset(draws, site)
    second = world.step(first, left, draws, site)
    third = world.step(second.state, right, draws, site)
    other = world.step(first, right, draws, site)
    assert not torch.equal(other.observation, second.observation)
    assert torch.equal(world.step(first, left, draws, site).observation, second.observation)
    assert torch.equal(world.step(second.state, right, draws, site).observation, third.observation)


class Wordless(Maze):
    observation_space = spaces.Tuple([spaces.Discrete(2), Mission()])


def test_what_cannot_run_is_refused_at_once():
    with pytest.raises(ValueError, match="vector environment"):
        FromGym(gymnasium.make_vec("CartPole-v1", num_envs=2))
    with pytest.raises(ValueError, match=r"observation space holds Tuple.*: expected arrays, text, or a Dict"):
        FromGym(Wordless)
    with pytest.raises(TypeError, match="env is a int: expected an id, an environment, or a function"):
        FromGym(3)
    with pytest.raises(TypeError, match=r"env makes a int: expected a gymnasium.Env"):
        FromGym(lambda: 3)
