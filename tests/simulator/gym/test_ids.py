"""Every id takes what Gymnasium and its users pass, refuses what it cannot use, and tells and draws what happened."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from bits import same
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import ethogram.envs  # noqa: F401  (registers the ids)
from ethogram.envs.clicks import CascadeModel
from ethogram.envs.datasets import movielens_mdp
from ethogram.envs.sessions import CascadingSession, DiscreteSlates, Slates, good_medium_bad, trap
from ethogram.simulator import Transition, World
from ethogram.simulator.checks import check_world
from ethogram.simulator.gym import View, WorldEnv, WorldVectorEnv

SESSION = "ethogram/CascadingSession-v0"
SETTINGS = {
    "CascadingSession": {},
    "MovieLensSession": {},
    "Choosing": {},
    "Adoption": {"num_people": 60},
    "Epidemic": {"num_people": 60},
    "EpidemicPlanner": {"num_people": 60},
}
MODES = list(AutoresetMode)


@pytest.fixture(autouse=True)
def formula_in_place_of_ratings(monkeypatch):
    monkeypatch.setattr(movielens_mdp, "movielens_world", lambda path, **_: CascadingSession(good_medium_bad(9)))


@pytest.fixture(params=SETTINGS)
def kind(request):
    return request.param


def one(kind, **settings):
    return gymnasium.make(f"ethogram/{kind}-v0", **SETTINGS[kind], **settings)


def many(kind, rows=3, **settings):
    return gymnasium.make_vec(f"ethogram/{kind}-v0", num_envs=rows, **SETTINGS[kind], **settings)


def test_an_unknown_keyword_is_a_type_error_that_names_it(kind):
    for make in (one, many):
        with pytest.raises(TypeError, match=r"unknown keyword 'flatt', 'mpd': expected some of .*render_mode, device"):
            make(kind, flatt=True, mpd=1)


@pytest.mark.filterwarnings("ignore:.*not in the possible render_modes")  # Gymnasium's own word, before ours
def test_render_modes_and_a_device_are_taken(kind):
    for make in (one, many):
        assert make(kind, render_mode=None, device="cpu").render_mode is None
        with pytest.raises(ValueError, match="render_mode is 'ascii': expected None or 'rgb_array'"):
            make(kind, render_mode="ascii")


def changed(before, after):
    return (before.shape != after.shape) or (before != after).any()


def test_an_episode_is_drawn(kind):
    env = one(kind, render_mode="rgb_array")
    with pytest.raises(ResetNeeded):
        env.unwrapped.render()
    env.reset(seed=1)
    env.action_space.seed(0)
    start = env.render()
    assert start.dtype == np.uint8
    assert start.ndim == 3
    assert start.shape[2] == 3
    for _ in range(2):
        env.step(env.action_space.sample())
    assert changed(start, env.render())
    env.reset(seed=1)
    assert not changed(start, env.render())


@pytest.mark.parametrize("mode", MODES)
def test_a_row_is_drawn_as_the_single_environment_is(mode):
    ours = many("CascadingSession", 2, horizon=3, autoreset_mode=mode, render_mode="rgb_array")
    alone = [one("CascadingSession", horizon=3, render_mode="rgb_array") for _ in range(2)]
    theirs = SyncVectorEnv([lambda env=env: env for env in alone], autoreset_mode=mode)
    for envs in (ours, theirs):
        envs.reset(seed=4)
    for t in range(5):
        action = np.array([[t, 5], [3, -1]])
        step = ours.step(action)
        theirs.step(action)
        if mode is AutoresetMode.DISABLED and step[3].any():
            for envs in (ours, theirs):
                envs.reset(options={"reset_mask": step[3]})
        assert all((a == b).all() for a, b in zip(ours.render(), (env.render() for env in alone), strict=True))


def test_without_a_render_mode_nothing_is_kept_or_drawn():
    env, envs = one("CascadingSession"), many("CascadingSession")
    for shell, action in ((env, np.array([0, 1])), (envs, np.array([[0, 1]] * 3))):
        shell.reset(seed=0)
        shell.step(action)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert shell.unwrapped.render() is None
        assert "expected render_mode='rgb_array'" in str(caught[0].message)
    assert env.unwrapped._notes == []
    assert envs._notes == [[], [], []]


def test_a_world_without_a_view_has_a_picture_of_its_rewards():
    env = WorldEnv(CascadingSession(trap()), 4, render_mode="rgb_array")
    env.reset(seed=0)
    start = env.render()
    for _ in range(3):
        env.step(np.array([0, 1]))
    assert changed(start, env.render())
    assert View().note(0, None, 1.5, {}) == 1.5


def test_a_limit_of_steps_is_taken_by_make_and_make_vec(kind):
    single, vector = one(kind, max_episode_steps=2), many(kind, max_episode_steps=2)
    assert single.spec.max_episode_steps == vector.spec.max_episode_steps == 2
    vector.action_space.seed(0)
    first = single.reset(seed=5)[0], vector.reset(seed=5)[0]
    assert same(first[0], {k: v[0] for k, v in first[1].items()} if isinstance(first[1], dict) else first[1][0])
    for last in (False, True):
        action = vector.action_space.sample()
        *_, truncated, _ = vector.step(action)
        assert truncated.tolist() == [last] * 3
        assert single.step(action[0])[3] == last
    for limit in (0, "3", True):
        with pytest.raises((TypeError, ValueError), match=r"max_episode_steps is .*: expected an int, 1 or more"):
            many(kind, max_episode_steps=limit)
    assert many(kind, max_episode_steps=-1).horizon == many(kind).horizon == one(kind).unwrapped.horizon


def test_a_spec_states_when_episodes_end_and_makes_the_same_again(kind):
    horizon = one(kind).unwrapped.horizon
    assert one(kind).spec.max_episode_steps == many(kind).spec.max_episode_steps == horizon
    assert gymnasium.make(one(kind).spec).unwrapped.horizon == horizon
    assert gymnasium.make_vec(many(kind).spec).horizon == horizon


def test_infos_have_the_same_keys_at_every_step_and_reset(kind):
    env = one(kind, max_episode_steps=3)
    env.action_space.seed(1)
    _, info = env.reset(seed=0)
    names = set(info)
    assert names
    for _ in range(3):
        *_, info = env.step(env.action_space.sample())
        assert set(info) == names
    assert set(env.reset()[1]) == names


@pytest.mark.parametrize("mode", MODES)
def test_infos_of_a_vector_are_those_of_gymnasiums_vector_of_single_ones(kind, mode):
    ours = many(kind, max_episode_steps=2, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: one(kind, max_episode_steps=2)] * 3, autoreset_mode=mode)
    assert same(ours.reset(seed=3)[1], theirs.reset(seed=3)[1])
    ours.action_space.seed(0)
    for _ in range(5):
        action = ours.action_space.sample()
        left, right = ours.step(action), theirs.step(action)
        assert same(left[4], right[4])
        if mode is AutoresetMode.DISABLED and left[3].any():
            mask = left[3] & np.array([True, False, True])
            infos = [envs.reset(options={"reset_mask": mask.copy()})[1] for envs in (ours, theirs)]
            assert same(*infos)
            rest = left[3] & ~mask
            assert same(*[envs.reset(options={"reset_mask": rest.copy()})[1] for envs in (ours, theirs)])


def test_a_session_tells_the_item_clicked_and_a_population_its_counts():
    always, never = np.ones((1, 2)), np.zeros((1, 2))
    stays = np.ones((1, 3, 1))
    for attraction, clicked in ((always, 1), (never, -1)):
        for user in (None, CascadeModel(torch.from_numpy(attraction))):
            mdp = {"attraction": attraction, "transition": stays, "reward": always, "length": 2}
            env = gymnasium.make(SESSION, **mdp, horizon=3, user=user)
            assert env.reset()[1] == {"clicked_item": -1}
            assert env.step(np.array([1, 0]))[4] == {"clicked_item": clicked}
    env = one("Epidemic")
    _, info = env.reset(seed=0)
    assert list(info) == ["susceptible", "exposed", "infectious", "recovered", "dead"]
    for _ in range(5):
        *_, info = env.step(env.action_space.sample())
        stage = env.unwrapped._run.state.stage[0]
        assert list(info.values()) == stage.long().bincount(minlength=5).tolist()


BAD = {  # what is not in the space, for each kind of part
    spaces.Discrete: [-5, 7, 10**9, 2**40],
    spaces.MultiDiscrete: [-5, 7, 10**9, 256],
    spaces.MultiBinary: [-1, 2, 10**9, 256],
    spaces.Box: [np.nan, -7.0, 1e9, np.inf],
}


class Boxed:
    """A world of one number, which it would take whatever it is."""

    def __init__(self, action_space):
        self.observation_space, self.action_space = spaces.Discrete(2), action_space

    def reset(self, draws, site):
        return draws.ids, draws.ids * 0

    def step(self, state, action, draws, site):
        return Transition(state, state * 0, torch.zeros(len(state)), torch.zeros(len(state), dtype=torch.bool))


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4),
        spaces.Discrete(3, start=-1),
        spaces.MultiDiscrete([3, 4]),
        spaces.MultiDiscrete([2, 2], dtype=np.int8),
        spaces.MultiBinary(3),
        spaces.Box(-1, 1, (), np.float32),
        spaces.Box(-1, 1, (2, 3), np.float64),
    ],
)
def test_actions_outside_the_space_are_refused_in_every_shell(space):
    world = Boxed(space)
    assert isinstance(world, World)
    env, envs = WorldEnv(world, 100), WorldVectorEnv(world, 3, 100)
    env.reset(seed=0)
    envs.reset(seed=0)
    space.seed(0)
    for value in BAD[type(space)]:
        good = np.array([space.sample() for _ in range(3)])
        env.step(good[0])
        envs.step(good)
        kind = np.int64 if good.dtype.kind == "i" else good.dtype
        bad = good.astype(kind)
        bad[2].flat[-1:] = value
        if bad.ndim == 1:
            bad[2] = value
        with pytest.raises(ValueError, match=r"action of row 2 is .*: expected an element of "):
            envs.step(bad)
        with pytest.raises(ValueError, match="action of row 0 is "):
            env.step(bad[2])
        envs.step(good)  # nothing happened


def test_only_the_actions_of_rows_that_go_on_are_looked_at():
    envs = many("CascadingSession", 2, horizon=2, flat=True, autoreset_mode="NextStep")
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(np.zeros((2, 2), np.int64))
    envs.step(np.full((2, 2), 99))


class Even(spaces.Space):
    """A space of one's own: even numbers."""

    def __init__(self):
        super().__init__((), np.int64)

    def sample(self, mask=None, probability=None):
        return 2 * self.np_random.integers(3)

    def contains(self, x):
        return int(x) % 2 == 0


def test_a_space_of_ones_own_is_asked():
    env = WorldEnv(Boxed(Even()), 5)
    env.reset(seed=0)
    env.step(2)
    with pytest.raises(ValueError, match="action of row 0 is 3: expected an element of <"):
        env.step(3)


def test_seeds_may_be_numpys_and_nothing_but_ints():
    env, envs = one("CascadingSession"), many("CascadingSession")
    assert same(env.reset(seed=np.int64(7)), env.reset(seed=7))
    assert same(envs.reset(seed=np.int32(7)), envs.reset(seed=7))
    assert same(envs.reset(seed=np.arange(3)), envs.reset(seed=[0, 1, 2]))
    for shell in (env, envs):
        for wrong in (True, 1.0, "1", np.float64(3)):
            with pytest.raises(TypeError, match=r"seed is .*: expected an int"):
                shell.reset(seed=wrong)
        with pytest.raises(ValueError, match="seed is -1"):
            shell.reset(seed=-1)


def test_slates_can_be_numbered():
    every = Slates(4, 2).every()
    assert every.tolist()[:5] == [[0, -1], [1, -1], [2, -1], [3, -1], [0, 1]]
    assert len({tuple(slate) for slate in every.tolist()}) == len(every) == 4 + 4 * 3
    assert all(slate in Slates(4, 2) for slate in every)
    with pytest.raises(ValueError, match=r"Slates\(50, 3\) has 120,100 lists: expected at most 10,000"):
        Slates(50, 3).every()
    world = DiscreteSlates(CascadingSession(trap()))
    assert world.action_space == spaces.Discrete(36)
    check_world(world)
    numbered, plain = one("CascadingSession", discrete=True), one("CascadingSession")
    for k in range(36):
        for env in (numbered, plain):
            env.reset(seed=k)
        assert same(numbered.step(k), plain.step(Slates(6, 2).every()[k]))
    with pytest.raises(ValueError, match="expected one encoding"):
        one("CascadingSession", flat=True, discrete=True)
