"""The loop: what is recorded, what is refused, and that a kill loses nothing."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest
import torch

from ethogram.agents.simple import Fixed, Replay, UniformSlates
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator.checkpoints import fingerprint
from ethogram.simulator.draws import Draws
from ethogram.simulator.recording import Record
from ethogram.simulator.rollout import episodes, rollout
from ethogram.simulator.sites import Do
from ethogram.simulator.world import Transition

WORLD, POLICY = CascadingSession(trap()), UniformSlates(6, 2)


@dataclass(frozen=True)
class Countdown:
    """Row i ends after i + 1 steps; each step is worth 1. Sees dicts."""

    observation_space = gymnasium.spaces.Dict({"left": gymnasium.spaces.Discrete(100)})
    action_space = gymnasium.spaces.Discrete(2)
    reward_shape: int = 1

    def reset(self, draws, site):
        return draws.ids + 1, {"left": draws.ids + 1}

    def step(self, state, action, draws, site):
        left = site("left", state - 1)
        reward = torch.ones(len(left)) if self.reward_shape else torch.ones(1)
        return Transition(left, {"left": left}, reward, left == 0)


class Gives:
    """A policy that returns what it holds."""

    def __init__(self, action):
        self.action = action

    def act(self, observation, history, draws):
        return self.action


@pytest.mark.parametrize("action", [None, [0, 0], {"kind": [0, 0]}])
def test_a_policy_that_returns_no_tensor_is_named(action):
    with pytest.raises(TypeError, match=f"Gives acts with a {type(action).__name__}: expected a tensor"):
        rollout(WORLD, Gives(action), rows=2, horizon=3)


def test_an_action_for_all_rows_is_no_action_for_each():
    with pytest.raises(ValueError, match=r"Gives gives actions of shape \(\): expected 2 rows"):
        rollout(WORLD, Gives(torch.tensor(1)), rows=2, horizon=3)


def test_a_gymnasium_environment_is_no_world_yet():
    for env in (gymnasium.make("CartPole-v1"), gymnasium.make_vec("CartPole-v1", num_envs=2)):
        with pytest.raises(TypeError, match=r"world is a Gymnasium environment, .* wrap it as FromGym\(env\)"):
            rollout(env, Fixed(0), rows=2, horizon=3)


def test_uniform_slates_are_checked_where_they_are_made():
    with pytest.raises(ValueError, match="length is 6: expected an int from 1 to 2"):
        UniformSlates(2, 6)


def test_rows_end_when_they_terminate():
    history = rollout(Countdown(), Fixed(0), rows=4, horizon=10)
    assert history.num_steps == 4
    assert history.length.tolist() == [1, 2, 3, 4]
    assert history.reward.tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert history.terminated.nonzero().tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert not history.truncated.any()
    assert torch.equal(history.valid, history.reward.bool())
    assert history.observation["left"].shape == (4, 5)


def test_time_running_out_is_truncation():
    history = rollout(Countdown(), Fixed(0), rows=4, horizon=2)
    assert history.truncated.tolist() == [[False, False], [False, False], [False, True], [False, True]]
    assert history.length.tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize("step", [3, 9, torch.arange(4)])
def test_a_run_begins_at_step_0_whatever_step_its_draws_were_at(step):
    ours = rollout(WORLD, POLICY, rows=4, horizon=5, draws=Draws(1, torch.arange(4), step, scope="world"))
    assert ours.equals(rollout(WORLD, POLICY, rows=4, horizon=5, seed=1))


def test_policies_see_the_past_and_only_the_past():
    class Looks:
        def act(self, observation, history, draws):
            t = draws.step
            assert history.num_steps == t
            assert torch.equal(history.observation["left"][:, -1], observation["left"])
            assert history.action.shape == (3, t) if t else True
            return torch.full((3,), t % 2)

    assert rollout(Countdown(), Looks(), rows=3, horizon=3).action.tolist() == [[0, 1, 0]] * 3


def test_prefixes_and_rows_are_views():
    history = rollout(WORLD, POLICY, rows=5, horizon=6, record="all")
    assert sorted(history.sites) == ["attraction", "click", "state"]
    assert history[:, :2].action.shape == (5, 2, 2)
    assert history[:, :2].observation.shape == (5, 3)
    assert history[2].ids.tolist() == [2]
    assert torch.equal(history[2:4, :3].reward, history.reward[2:4, :3])
    assert history[:, :2].reward.data_ptr() == history.reward.data_ptr()
    with pytest.raises(IndexError, match="a prefix"):
        history[:, 2:]


def test_records_thin_and_reduce_as_they_go():
    group = torch.arange(6) % 2
    full = rollout(WORLD, POLICY, rows=6, horizon=6, record=["click"])
    thin = rollout(
        WORLD,
        POLICY,
        rows=6,
        horizon=6,
        record=[
            Record("click", every=4),
            Record("reward", reduce="mean", by=group),
            Record("observation", reduce="sum"),
        ],
    )
    assert torch.equal(thin.thinned["click"], full.sites["click"][:, [0, 4]])
    assert torch.equal(thin.series["observation"], full.observation.T.double().sum(1))
    by_hand = torch.stack([full.reward[group == g].double().mean(0) for g in (0, 1)], 1)
    assert torch.allclose(thin.series["reward"], by_hand, atol=1e-12)
    with pytest.raises(LookupError, match=r"history\.series has it"):
        thin.reward  # noqa: B018


def test_actions_rewards_and_observations_can_be_intervened_on():
    forced = Do("action", torch.tensor([3, 4]), start=1)
    assert (
        rollout(WORLD, POLICY, rows=3, horizon=3, interventions=[forced]).action[:, 1:].eq(torch.tensor([3, 4])).all()
    )
    paid = rollout(WORLD, POLICY, rows=3, horizon=3, interventions=[Do("reward", 2.0, stop=1)])
    assert paid.reward[:, 0].tolist() == [2, 2, 2]
    assert paid.scenario == "reward"
    assert rollout(WORLD, POLICY, rows=3, horizon=3, interventions=[forced], scenario="").scenario == ""


def test_unknown_sites_are_refused():
    with pytest.raises(LookupError, match=r"no site named \['atraction'\]; this model names \['action', 'attraction'"):
        rollout(WORLD, POLICY, rows=2, horizon=2, interventions=[Do("atraction", 0.1)])
    with pytest.raises(LookupError, match=r"no site named \['clik'\]"):
        rollout(WORLD, POLICY, rows=2, horizon=2, record=["clik"])
    with pytest.raises(ValueError, match=r"a list of names such as \['click'\]"):
        rollout(WORLD, POLICY, rows=2, horizon=2, record="click")


def test_an_intervention_that_would_never_act_is_refused():
    with pytest.raises(ValueError, match=r"Do\('reward'\) starts at step 2 of a run of 2 steps"):
        rollout(WORLD, POLICY, rows=2, horizon=2, interventions=[Do("reward", 0.0, start=2)])


def test_a_world_that_breaks_its_contract_is_refused():
    with pytest.raises(ValueError, match=r"reward of Countdown is torch.float32 \(1,\): expected float32 \(3,\)"):
        rollout(Countdown(reward_shape=0), Fixed(0), rows=3, horizon=2)
    with pytest.raises(ValueError, match="rows is 0: expected an int, 1 or more"):
        rollout(WORLD, POLICY, rows=0, horizon=2)


def test_a_replayed_history_is_the_history():
    history = rollout(WORLD, POLICY, rows=50, horizon=6, seed=8)
    assert rollout(WORLD, Replay(history), rows=history.ids, horizon=6, seed=8).equals(history)
    with pytest.raises(ValueError, match=r"pass rows=recorded\.ids"):
        rollout(WORLD, Replay(history), rows=7, horizon=6, seed=8)
    with pytest.raises(IndexError, match="replay of 6 recorded steps at step 6: expected a horizon of at most 6"):
        rollout(WORLD, Replay(history), rows=history.ids, horizon=9, seed=8)


def test_an_agent_learns_after_every_episode():
    class Counts:
        def __init__(self):
            self.seen = []

        def act(self, observation, history, draws):
            return torch.tensor([[len(self.seen) % 6, -1]])

        def learn(self, history):
            self.seen.append(int(history.ids))
            return self

    agent = Counts()
    shown = [int(h.action[0, 0, 0]) for h in episodes(WORLD, agent, 4, horizon=2, seed=1, first=10)]
    assert shown == [0, 1, 2, 3]
    assert agent.seen == [10, 11, 12, 13]


RUN = """
import sys, time, torch
from ethogram.agents.simple import UniformSlates
from ethogram.envs.sessions import CascadingSession
from ethogram.envs.sessions import trap
from ethogram.simulator.checkpoints import fingerprint
from ethogram.simulator.rollout import rollout

class Slow(UniformSlates):
    def act(self, observation, history, draws):
        print(draws.step, flush=True)
        time.sleep(0.005)
        return super().act(observation, history, draws)

history = rollout(CascadingSession(trap()), Slow(6, 2), rows=100, horizon=200, seed=4, record="all",
                  checkpoint=sys.argv[1], checkpoint_every=0)
torch.save({name: history.column(name) for name in history.columns}, sys.argv[2])
"""


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    """Three kills with SIGKILL at arbitrary moments, then the run completes."""
    file, out = tmp_path / "run.checkpoint", tmp_path / "out.pt"
    command = [sys.executable, "-c", RUN, str(file), str(out)]
    first_steps = []
    for kill_after in (20, 40, 55):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "NUMBA_NUM_THREADS": "1"}
        )
        first_steps.append(int(process.stdout.readline()))
        for _ in range(kill_after):
            process.stdout.readline()
        time.sleep(0.003)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert file.exists()
        assert not out.exists()
    subprocess.run(command, check=True, capture_output=True)
    assert first_steps[0] == 0
    assert 15 <= first_steps[1] < first_steps[2]  # each run went on where the last had got to
    assert not file.exists()
    whole = rollout(WORLD, POLICY, rows=100, horizon=200, seed=4, record="all")
    resumed = torch.load(out, weights_only=True)
    assert resumed.keys() == whole.columns.keys()
    assert all(torch.equal(resumed[name], whole.column(name)) for name in resumed)


@dataclass(frozen=True)
class Chatter:
    """Observations and actions with text; the state is a NumPy array."""

    observation_space = gymnasium.spaces.Dict({"text": gymnasium.spaces.Text(20)})
    action_space = gymnasium.spaces.Text(20)

    def reset(self, draws, site):
        return np.zeros(len(draws.ids)), {"text": np.array(["hello"] * len(draws.ids), dtype=object)}

    def step(self, state, action, draws, site):
        said = site("said", np.array([f"{a}, {k:g}" for a, k in zip(action, state, strict=True)], dtype=object))
        return Transition(state + 1, {"text": said}, torch.ones(len(state)), torch.zeros(len(state), dtype=torch.bool))


def test_text_and_arrays_survive_a_kill_too(tmp_path):
    class Answers:
        def act(self, observation, history, draws):
            if draws.step == 3 and not (tmp_path / "died").exists():
                (tmp_path / "died").touch()
                raise RuntimeError("killed")
            return np.array([text[-3:] + "!" for text in observation["text"]], dtype=object)

    run = {"rows": 3, "horizon": 6, "record": ["said", Record("reward", reduce="sum")]}
    saved = {"checkpoint": tmp_path / "c", "checkpoint_every": 0}
    with pytest.raises(RuntimeError, match="killed"):
        rollout(Chatter(), Answers(), **run, **saved)
    assert rollout(Chatter(), Answers(), **run, **saved).equals(rollout(Chatter(), Answers(), **run))


class Dies:
    """Acts like ``POLICY`` until a step, then fails."""

    def __init__(self, at):
        self.at = at

    def act(self, observation, history, draws):
        if draws.step == self.at:
            raise RuntimeError("killed")
        return POLICY.act(observation, history, draws)


def test_resuming_knows_rows_that_had_ended(tmp_path):
    file = tmp_path / "c"

    class Dying(Fixed):
        def act(self, observation, history, draws):
            if draws.step == 3 and not (tmp_path / "died").exists():
                (tmp_path / "died").touch()
                raise RuntimeError
            return super().act(observation, history, draws)

    def run():
        return rollout(Countdown(), Dying(0), rows=6, horizon=9, checkpoint=file, checkpoint_every=0)

    with pytest.raises(RuntimeError):
        run()
    assert run().equals(rollout(Countdown(), Fixed(0), rows=6, horizon=9))


def test_a_checkpoint_of_another_run_or_a_broken_one_is_refused(tmp_path):
    file = tmp_path / "c"

    def run(world, seed):
        return rollout(world, Dies(2), rows=5, horizon=4, seed=seed, checkpoint=file, checkpoint_every=0)

    with pytest.raises(RuntimeError, match="killed"):
        run(WORLD, 0)
    with pytest.raises(ValueError, match="checkpoint of another run"):
        run(WORLD, 1)
    with pytest.raises(ValueError, match="checkpoint of another run"):
        run(CascadingSession(replace(trap(), reward=trap().reward / 2)), 0)
    with pytest.raises(ValueError, match="checkpoint of another run"):  # another constant in a function
        rollout(WORLD, Dies(2), rows=5, horizon=4, interventions=[Do("reward", lambda r: r * 2)], checkpoint=file)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match="not a checkpoint that can be read"):
        run(WORLD, 0)


def test_functions_differ_by_their_constants_and_what_they_close_over():
    def scaled(by):
        return lambda p: p * by

    assert fingerprint(lambda p: 0.9 * p) != fingerprint(lambda p: 0.8 * p)
    assert fingerprint(scaled(2)) != fingerprint(scaled(3))
    assert fingerprint(scaled(2)) == fingerprint(scaled(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 2.5}, "rows is a float: expected how many"),
        ({"rows": -2}, "rows is -2: expected an int, 1 or more"),
        ({"rows": [1, 2]}, "or their ids, an int64 tensor"),
        ({"horizon": 2.0}, "horizon is 2.0: expected an int"),
        ({"seed": None}, "seed is None: expected an int"),
        ({"policy": UniformSlates}, "policy is the class UniformSlates: expected an object with act"),
        ({"world": trap()}, "world is a CascadingMDP: expected an object with reset, step"),
        ({"interventions": Do("reward", 0.0)}, "expected a list of Do"),
        ({"interventions": WORLD}, "interventions is a CascadingSession: expected a list of Do"),
        ({"record": [3]}, "expected names of sites, and Records"),
        ({"record": Record("click")}, r"record is Record\('click'\): expected a list"),
    ],
)
def test_a_wrong_argument_is_named(change, message):
    arguments = {"world": WORLD, "policy": POLICY, "rows": 2, "horizon": 2} | change
    with pytest.raises((TypeError, ValueError), match=message):
        rollout(arguments.pop("world"), arguments.pop("policy"), **arguments)


def test_numpy_integers_count_as_integers():
    assert rollout(WORLD, POLICY, rows=np.int64(3), horizon=np.int64(2), seed=np.int64(1)).equals(
        rollout(WORLD, POLICY, rows=3, horizon=2, seed=1)
    )


def test_only_a_learner_learns():
    with pytest.raises(TypeError, match=r"agent is a UniformSlates, without learn\(history\)"):
        next(episodes(WORLD, POLICY, 3, horizon=2))


def test_plain_objects_differ_by_their_attributes():
    assert fingerprint(Dies(1)) != fingerprint(Dies(2))
    assert fingerprint(Dies(1)) == fingerprint(Dies(1))
    assert fingerprint(Dies(Dies(1))) != fingerprint(Dies(Dies(2)))


def test_series_of_a_run_that_was_over_early_end_with_it():
    left = [Record("left", reduce="sum"), Record("observation", every=2)]
    history = rollout(Countdown(), Fixed(0), rows=3, horizon=9, record=left)
    assert history.num_steps == 3
    assert history.series["left"].tolist() == [0 + 1 + 2, -1 + 0 + 1, -2 - 1 + 0]
    assert history.thinned["observation"]["left"].tolist() == [[1, -1], [2, 0], [3, 1]]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (["click", "click"], r"record names \['click'\] more than once"),
        ([Record("reward", reduce="sum", by=torch.tensor([0, 1]))], "has 2 rows: expected 3"),
    ],
)
def test_records_that_do_not_fit_are_refused(record, message):
    with pytest.raises(ValueError, match=message):
        rollout(WORLD, POLICY, rows=3, horizon=2, record=record)
