"""The Gymnasium shells: Gymnasium's own checks, one row against many, the autoreset modes, foreign environments."""

import subprocess
import sys
import warnings
from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest
import torch
from bits import same
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, TimeLimit

import ethogram.envs
from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR, epidemic_planner_world, small_city
from ethogram.envs.sessions import CascadingSession, FlatSlates, good_medium_bad, trap
from ethogram.simulator.gym import WorldEnv, WorldVectorEnv, episode_ids
from ethogram.simulator.networks import RandomMeetings, small_world
from ethogram.simulator.populations import Everybody
from ethogram.simulator.rollout import rollout
from ethogram.simulator.world import Transition

SESSION = "ethogram/CascadingSession-v0"
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


@dataclass(frozen=True)
class Browsing:
    """A user who reads pages until bored: rows end at different steps; state, observation and action are nested.

    A taste drawn at reset stays; whether the user leaves is drawn anew at each step.
    """

    leave: float = 0.3

    observation_space = spaces.Dict(
        {
            "page": spaces.Box(0, 1, (2,), np.float32),
            "seen": spaces.Discrete(1000),
            "title": spaces.Text(8),
        }
    )
    action_space = spaces.Dict({"push": spaces.Box(-1, 1, (), np.float32), "kind": spaces.Discrete(3)})

    def reset(self, draws, site):
        taste = draws.uniform("taste", 2)
        state = {"taste": taste, "seen": torch.zeros_like(draws.ids)}
        return state, self.observe(state)

    def observe(self, state):
        titles = np.array([f"page{k}" for k in state["seen"].tolist()], dtype=object)
        return {"page": state["taste"], "seen": state["seen"], "title": titles}

    def step(self, state, action, draws, site):
        shift = (draws.uniform("noise", 2) + action["push"][:, None] + action["kind"][:, None]) % 1
        state = {"taste": (state["taste"] + shift) / 2, "seen": state["seen"] + 1}
        leaves = draws.uniform("leaves") < self.leave
        return Transition(state, self.observe(state), shift[:, 0], leaves)


def row(values, i):
    """Row i of a batch."""
    return {key: row(value, i) for key, value in values.items()} if isinstance(values, dict) else values[i]


@pytest.mark.parametrize("flat", [False, True])
def test_gymnasium_finds_no_fault(flat):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(SESSION, flat=flat).unwrapped)
        check_env(gymnasium.make(SESSION, mdp=good_medium_bad(9), horizon=5, flat=flat).unwrapped)


def test_gymnasium_finds_no_fault_with_nested_spaces():
    with pytest.warns(UserWarning, match="does not have a spec|not having a spec") as caught:
        check_env(WorldEnv(Browsing(), horizon=9))
    assert len(caught) == 1  # the spec, which only gymnasium.make gives


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("world", "horizon"),
    [(CascadingSession(trap()), 6), (Browsing(), 4), (Browsing(0.9), 1), (FlatSlates(CascadingSession(trap())), 3)],
)
def test_a_vector_environment_equals_gymnasiums_vector_of_single_ones(world, horizon, mode):
    ours = WorldVectorEnv(world, 5, horizon, mode)
    theirs = SyncVectorEnv([lambda: WorldEnv(world, horizon)] * 5, autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] is mode
    assert ours.single_action_space == theirs.single_action_space
    assert ours.observation_space == theirs.observation_space
    ours.action_space.seed(1)
    for seed in (3, None, 0):  # None: both go on with the next episodes
        assert same(ours.reset(seed=seed), theirs.reset(seed=seed))
        for _ in range(6 * horizon + 3):
            action = ours.action_space.sample()
            left, right = ours.step(action), theirs.step(action)
            assert all(same(a, b) for a, b in zip(left[:4], right[:4], strict=True))
            assert same(left[4], right[4])
            assert left[0] in ours.observation_space


@pytest.mark.parametrize("num_envs", [1, 7])
def test_row_i_is_the_single_environment_of_seed_s_plus_i(num_envs):
    many = WorldVectorEnv(Browsing(), num_envs, 5, AutoresetMode.SAME_STEP)
    single = WorldEnv(Browsing(), 5)
    many.action_space.seed(0)
    actions = [many.action_space.sample() for _ in range(40)]
    first, _ = many.reset(seed=11)
    played = [many.step(action) for action in actions]
    for i in range(num_envs):
        assert same(single.reset(seed=11 + i)[0], row(first, i))
        for action, (observation, reward, terminated, truncated, info) in zip(actions, played, strict=True):
            seen, *rest, _ = single.step(row(action, i))
            assert rest == [reward[i], terminated[i], truncated[i]]
            if terminated[i] or truncated[i]:
                assert same(seen, info["final_obs"][i])
                seen, _ = single.reset()
            assert same(seen, row(observation, i))


def test_an_episode_in_gymnasium_is_a_row_of_a_rollout():
    world, action = CascadingSession(good_medium_bad(9)), [3, 1, 4]
    env = gymnasium.make(SESSION, mdp=world.mdp, horizon=20)
    env.reset(seed=8)
    env.reset()  # episode 1
    played = [env.step(np.array(action)) for _ in range(20)]
    assert played[-1][3]
    history = rollout(world, Fixed(action), rows=episode_ids(8, 1), horizon=20)
    assert [float(reward) for _, reward, *_ in played] == history.reward[0].tolist()
    assert [int(observation) for observation, *_ in played] == history.observation[0, 1:].tolist()


def test_episode_ids_are_all_different():
    """10^6 ids of 64 bits collide by chance once in 37 million seeds."""
    ids = episode_ids(torch.arange(1000).repeat(1000), torch.arange(1000).repeat_interleave(1000))
    assert len(ids.unique()) == 10**6
    assert torch.equal(episode_ids(5, torch.arange(3))[2:], episode_ids(5, 2))


def test_disabled_autoreset_resets_the_rows_in_the_mask():
    def theirs():
        return SyncVectorEnv([lambda: WorldEnv(Browsing(), 4)] * 5, autoreset_mode=AutoresetMode.DISABLED)

    ours, other = WorldVectorEnv(Browsing(), 5, 4, "Disabled"), theirs()
    ours.reset(seed=2)
    other.reset(seed=2)
    ours.action_space.seed(0)
    for _ in range(40):
        action = ours.action_space.sample()
        left, right = ours.step(action), other.step(action)
        assert all(same(a, b) for a, b in zip(left[:4], right[:4], strict=True))
        done = left[2] | left[3]
        if done.any():
            with pytest.raises(ResetNeeded, match="rows have ended"):
                ours.step(action)
            options = {"reset_mask": done}
            assert same(ours.reset(options=options)[0], other.reset(options=dict(options))[0])
            assert "reset_mask" in options  # an argument is not taken apart
    mask = np.array([True, False, False, True, False])  # seeds of rows out of the mask stay
    left, right = (envs.reset(seed=9, options={"reset_mask": mask}) for envs in (ours, other))
    assert same(left[0], right[0])
    assert same(ours.step(action)[0], other.step(action)[0])


def test_next_step_autoreset_ignores_the_action_and_gives_no_reward():
    envs = WorldVectorEnv(CascadingSession(trap()), 3, horizon=1)
    envs.reset(seed=0)
    _, _, _, truncated, _ = envs.step(np.array([[0, 1]] * 3))
    assert truncated.all()
    observation, reward, terminated, truncated, infos = envs.step(np.full((3, 2), 99))  # no slates, and not looked at
    assert not terminated.any()
    assert not truncated.any()
    assert reward.tolist() == [0, 0, 0]
    assert observation.tolist() == [0, 0, 0]
    assert infos["clicked_item"].tolist() == [-1, -1, -1]  # of the new episodes


def test_a_list_of_seeds_sets_each_and_none_leaves_a_row():
    envs = WorldVectorEnv(Browsing(), 3, 4)
    envs.reset(seed=0)
    second, _ = envs.reset()
    envs.reset(seed=0)
    mixed, _ = envs.reset(seed=[7, None, 5])
    assert same(mixed["page"][1], second["page"][1])
    for i, seed in ((0, 7), (2, 5)):
        assert same(mixed["page"][i], WorldEnv(Browsing(), 4).reset(seed=seed)[0]["page"])


def test_without_a_seed_two_environments_differ_and_the_generator_decides():
    one, two = (WorldVectorEnv(Browsing(), 4, 4) for _ in range(2))
    assert not same(one.reset()[0]["page"], two.reset()[0]["page"])  # by chance once in 2^240
    one, two = (WorldVectorEnv(Browsing(), 4, 4) for _ in range(2))
    one.np_random, two.np_random = np.random.default_rng(1), np.random.default_rng(1)
    assert same(one.reset()[0], two.reset()[0])
    pages = one.reset()[0]["page"]
    assert len(np.unique(pages)) == pages.size


def test_what_is_handed_out_and_what_is_kept_are_not_the_same_memory():
    envs = WorldVectorEnv(CascadingSession(trap()), 4, 6)
    expected = WorldVectorEnv(CascadingSession(trap()), 4, 6)
    action = np.array([[0, 1]] * 4)
    observation, _ = envs.reset(seed=0)
    expected.reset(seed=0)
    for _ in range(20):
        observation[:] = 1  # a caller normalising in place, say
        given = action.copy()
        observation, *_ = envs.step(given)
        given[:] = 0
        assert same(observation, expected.step(action)[0])


def test_a_world_may_keep_the_action_in_its_state_though_the_caller_reuses_the_array():
    class Remembers(CascadingSession):
        def step(self, state, slate, draws, site):
            return Transition(slate, state[..., 0], torch.zeros(len(slate)), torch.zeros(len(slate), dtype=torch.bool))

        def reset(self, draws, site):
            slate = torch.zeros(len(draws.ids), 2, dtype=torch.int64)
            return slate, slate[:, 0]

    envs, action = WorldVectorEnv(Remembers(trap()), 2, 5), np.array([[3, 4], [1, 2]])
    envs.reset(seed=0)
    envs.step(action)
    action[:] = 0
    assert envs.step(action)[0].tolist() == [3, 1]
    frozen = np.array([[3, 4], [1, 2]])
    frozen.flags.writeable = False
    envs.step(frozen)
    assert envs.step(frozen)[0].tolist() == [3, 1]


def test_the_ids_work_through_make_and_make_vec():
    env = gymnasium.make(SESSION)
    assert env.unwrapped.horizon == trap().horizon
    env = RecordEpisodeStatistics(TimeLimit(FlattenObservation(env), 3))
    env.reset(seed=0)
    results = [env.step(np.array([0, -1])) for _ in range(3)]
    assert results[-1][0].shape == (2,)
    assert results[-1][4]["episode"]["l"] == 3
    envs = gymnasium.make_vec(SESSION, num_envs=3, vectorization_mode="vector_entry_point", horizon=2)
    assert isinstance(envs, WorldVectorEnv)
    assert envs.spec.id == SESSION
    assert gymnasium.make_vec(SESSION, num_envs=3, autoreset_mode="SameStep").autoreset_mode is MODES[1]
    statistics = gymnasium.wrappers.vector.RecordEpisodeStatistics(envs)
    statistics.reset(seed=0)
    statistics.step(np.zeros((3, 2), dtype=np.int64) + [0, 1])
    assert statistics.step(np.zeros((3, 2), dtype=np.int64) + [0, 1])[4]["episode"]["l"].tolist() == [2, 2, 2]
    sync = gymnasium.make_vec(SESSION, num_envs=3, vectorization_mode="sync")
    assert same(sync.reset(seed=4)[0], gymnasium.make_vec(SESSION, num_envs=3).reset(seed=4)[0])


def test_an_mdp_may_be_given_by_its_arrays():
    mdp = trap()
    arrays = {"attraction": mdp.attraction.numpy(), "transition": mdp.transition.tolist(), "reward": mdp.reward}
    env = gymnasium.make(SESSION, **arrays, length=2, horizon=6, initial=1)
    assert env.reset()[0] == 1
    assert torch.equal(env.unwrapped.world.mdp.transition, mdp.transition)
    for wrong, message in (
        ({"mdp": mdp, "length": 2}, "one or the other"),
        ({"length": 2}, r"expected \['attraction', 'reward', 'transition'\] too"),
        (arrays | {"length": 2}, "horizon is None"),
    ):
        with pytest.raises(ValueError, match=message):
            gymnasium.make(SESSION, **wrong)
    with pytest.raises(TypeError, match="unknown keyword 'mpd': expected some of mdp, "):
        gymnasium.make(SESSION, mpd=mdp)


@pytest.mark.parametrize("kind", ["Adoption", "Epidemic", "EpidemicPlanner"])
def test_an_id_says_which_world_it_takes(kind):
    with pytest.raises(TypeError, match=f"world is a CascadingSession: expected an {kind.removesuffix('Planner')}"):
        gymnasium.make(f"ethogram/{kind}-v0", world=CascadingSession(trap()))


def test_importing_the_environments_registers_them_and_imports_nothing_heavy():
    code = (
        "import sys, gymnasium, ethogram.envs; assert 'ethogram/CascadingSession-v0' in gymnasium.registry; "
        "assert 'ethogram/MovieLensSession-v0' in gymnasium.registry; "
        "print(sorted({'torch', 'pandas', 'numba', 'matplotlib', 'stable_baselines3'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    assert ethogram.envs.__doc__


def test_bad_input_is_refused_with_a_reason():
    session = CascadingSession(trap())
    env, envs = WorldEnv(session, 6), WorldVectorEnv(session, 3, 6)
    with pytest.raises(ResetNeeded, match="has not begun"):
        env.step(np.array([0, 1]))
    with pytest.raises(ResetNeeded, match="have not begun"):
        envs.step(np.array([[0, 1]] * 3))
    with pytest.raises(ResetNeeded, match="have not begun"):
        envs.reset(options={"reset_mask": np.array([True, False, False])})
    env.reset(seed=0)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"action is int64 \(3,\): expected int64 \(2,\)"):
        env.step(np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r"action is float64 \(2,\): expected int64"):
        env.step(np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"action is int64 \(2, 2\): expected int64 \(3, 2\), one a row"):
        envs.step(np.array([[0, 1]] * 2))
    with pytest.raises(ValueError, match=r"slate of row 0 is \[1, 1\]"):
        env.step(np.array([1, 1]))
    browsing = WorldEnv(Browsing(), 6)
    browsing.reset()
    with pytest.raises(ValueError, match="expected a dict with keys"):
        browsing.step(0)
    for mask, message in (
        ([True] * 3, "reset_mask is list"),
        (np.array([True, False]), r"reset_mask is bool \(2,\)"),
        (np.array([False] * 3), "at least one row"),
    ):
        with pytest.raises(ValueError, match=message):
            envs.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match=r"reset has options \['mask'\]: expected \['reset_mask'\]"):
        envs.reset(options={"mask": 1})
    with pytest.raises(ValueError, match="2 seeds for 3 rows"):
        envs.reset(seed=[1, 2])
    with pytest.raises(ValueError, match=r"seed is 9223372036854775808: expected an int from 0 to"):
        env.reset(seed=2**63)
    with pytest.raises(ValueError, match="horizon is 0"):
        WorldEnv(session, 0)
    with pytest.raises(ValueError, match="num_envs is 0"):
        WorldVectorEnv(session, 0, 6)
    for _ in range(6):
        env.step(np.array([0, 1]))
    with pytest.raises(ResetNeeded, match="has ended"):
        env.step(np.array([0, 1]))


@dataclass(frozen=True)
class Pair(Browsing):
    """A world whose action space has parts without names."""

    action_space = spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)])


def test_a_population_in_other_rows_than_people_is_refused_where_it_is_made():
    for world in (Adoption(small_world(20, 4, 0.1)), SEIR(RandomMeetings(20, 4), 0.1), small_city(20)):
        assert WorldVectorEnv(world, 20, 3).reset(seed=0)
        for make in (lambda world=world: WorldVectorEnv(world, 3, 3), lambda world=world: WorldEnv(world, 3)):
            with pytest.raises(ValueError, match=r"is a population of 20 people, .* Everybody\(world, 20\)"):
                make()
        assert WorldVectorEnv(Everybody(world, 20), 3, 3).reset(seed=0)
        with pytest.raises(ValueError, match="num_people is 19: expected 20, as many as the world has"):
            Everybody(world, 19)
    with pytest.raises(ValueError, match="num_people is 19: expected 20"):
        replace(epidemic_planner_world(20), num_people=19)


def test_parts_of_a_space_need_names():
    with pytest.raises(ValueError, match="name the parts"):
        WorldEnv(Pair(), 3)


def test_movielens_sessions_are_made_by_id(monkeypatch):
    """From a formula in place of the data, which may not be there: the id's arguments arrive, and the shells agree."""
    from ethogram.envs.datasets import movielens_mdp

    asked = {}

    def formula(path, **settings):
        asked.update(settings, path=path)
        return CascadingSession(good_medium_bad(9))

    monkeypatch.setattr(movielens_mdp, "movielens_world", formula)
    settings = {"path": "ratings.csv", "num_items": 9, "horizon": 3}
    one = gymnasium.make("ethogram/MovieLensSession-v0", **settings)
    assert asked == settings
    assert one.unwrapped.horizon == 3
    many = gymnasium.make_vec("ethogram/MovieLensSession-v0", num_envs=2, flat=True, **settings)
    assert many.single_action_space == spaces.MultiDiscrete([9, 9, 8])
    assert many.reset(seed=1)[0][0] == one.reset(seed=1)[0]
