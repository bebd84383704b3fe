"""Users and citizens who remember see what they saw and did, as a plain loop over them does, however they are run."""

from dataclasses import dataclass, replace

import by_hand
import numpy as np
import pytest
import torch
from bits import digests

from ethogram.agents.citizens import Heuristic
from ethogram.agents.simple import Fixed, UniformSlates
from ethogram.envs.clicks import PBM
from ethogram.envs.epidemics import epidemic_planner_world
from ethogram.envs.sessions import CascadingSession, good_medium_bad
from ethogram.simulator import Do, Draws, Memory, Record, Remembering, Sites, WorldEnv, WorldVectorEnv, rollout
from ethogram.simulator.draws import derived_ids
from ethogram.simulator.gym import episode_ids
from ethogram.simulator.memory import nothing_yet
from ethogram.simulator.trees import leaves_of, rebuild, select_rows

MDP = good_medium_bad(6)
SHOWN = UniformSlates(6, MDP.length)
N = by_hand.N


@dataclass(frozen=True)
class Tired:
    """A user whom each of the last lists with a click makes click less, most of all lists like the one of now."""

    memory: int = 3

    def act(self, observation, history, draws):
        assert history.num_steps <= self.memory
        assert (history.ids == draws.ids).all()
        again = (history.observation["slate"][:, :-1] == observation["slate"][:, None]).any(-1)  # (n, T)
        tired = ((history.action.any(-1) * (1 + again.int())) * history.valid).sum(1)
        return draws.uniform("clicks", observation["slate"].shape[1]) < observation["attraction"] / (1 + tired)[:, None]


def sessions_by_hand(ids, horizon, seed):
    """(states, clicks) of each user, in plain lists."""
    found = []
    for user in ids.tolist():
        state, past, states, clicked = MDP.initial, [], [], []
        for t in range(horizon):
            draws = Draws(seed, torch.tensor([user]), t, "world")
            slate = SHOWN.act(None, None, draws.scoped("policy"))[0].tolist()
            tired = sum(
                1 + any(a == b for a, b in zip(shown, slate, strict=True)) for shown, did in past[-3:] if any(did)
            )
            luck = draws.scoped("user").uniform("clicks", len(slate))[0]
            did = [bool(u < MDP.attraction[state, item] / (1 + tired)) for u, item in zip(luck, slate, strict=True)]
            past.append((slate, did))
            item = next((item for item, click in reversed(list(zip(slate, did, strict=True))) if click), 6)
            table = MDP.transition.cumsum(-1)[state, item][None]
            state = int(draws.inverse_cdf("state", table, torch.zeros(1, dtype=torch.int64))[0])
            states.append(state)
            clicked.append(did)
        found.append((states, clicked))
    return found


def test_sessions_with_a_tired_user_are_those_of_a_plain_loop():
    ids = torch.tensor([4, 1, 7, 100])
    history = rollout(CascadingSession(MDP, Tired()), SHOWN, rows=ids, horizon=12, seed=3, record=["clicks"])
    for row, (states, clicks) in enumerate(sessions_by_hand(ids, 12, 3)):
        assert history.observation[row, 1:].tolist() == states
        assert history.sites["clicks"][row].tolist() == clicks


def test_users_remember_in_a_vector_env_whose_rows_have_different_ages():
    world = CascadingSession(MDP, Tired())
    envs = WorldVectorEnv(world, 4, horizon=9, autoreset_mode="Disabled")
    singles = [WorldEnv(world, horizon=9) for _ in range(4)]
    envs.reset(seed=2)
    for i, one in enumerate(singles):
        one.reset(seed=2 + i)
    for t in range(9):
        action = SHOWN.act(None, None, Draws(0, torch.arange(4), t)).numpy()
        seen, reward, *_ = envs.step(action)
        for i, one in enumerate(singles):
            assert one.step(action[i])[:2] == (seen[i], reward[i])
        if t < 4:
            envs.reset(options={"reset_mask": np.arange(4) == t})
            singles[t].reset()


def test_rows_of_different_ages_may_step_in_one_call():
    """The number of steps that a row remembers is its own."""
    world, draws = CascadingSession(MDP, Tired()), Draws(3, torch.arange(6), 5, "world")
    state, _ = world.reset(draws, Sites())
    for t in range(5):
        slate = SHOWN.act(None, None, draws.at(t))
        new = world.step(state, slate, draws.at(t), Sites()).state
        stays = select_rows(state, torch.arange(t, 6))  # row t has lived t + 1 steps
        moves = select_rows(new, torch.arange(t))
        joined = [torch.cat([b, a]) for a, b in zip(leaves_of(stays), leaves_of(moves), strict=True)]
        state = rebuild(state, iter(joined))
    assert state.memory.count.tolist() == [3, 3, 2, 1, 0, 0]
    slate = SHOWN.act(None, None, draws)
    together = world.step(state, slate, draws, Sites()).state
    for row in range(6):
        one = torch.tensor([row])
        alone = world.step(select_rows(state, one), slate[one], draws.of(one), Sites()).state
        assert torch.equal(alone.state, together.state[one])
        count = int(alone.memory.count)
        for a, b in zip(leaves_of(alone.memory), leaves_of(select_rows(together.memory, one)), strict=True):
            assert torch.equal(a[:, :count] if a.dim() > 1 else a, b[:, :count] if b.dim() > 1 else b)


@pytest.mark.parametrize("kind", ["session", "planner"])
def test_a_run_with_memories_resumes_to_the_same_bits(kind, tmp_path):
    if kind == "session":
        world, policy, run = CascadingSession(MDP, Tired()), SHOWN, {"rows": 5, "horizon": 8}
    else:
        world, policy, run = epidemic_planner_world(world=by_hand.city(), citizens=Habit()), by_hand.Levers(), PLANNED
    whole, dies = digests(lambda: rollout(world, policy, **run)), by_hand.Dies(policy, run["horizon"] - 2)
    run |= {"checkpoint": tmp_path / "run", "checkpoint_every": 0}
    with pytest.raises(KeyboardInterrupt):
        rollout(world, dies, **run)
    assert digests(lambda: rollout(world, dies, **run)) == whole


@dataclass(frozen=True)
class Habit:
    """Citizens who isolate the more likely the more they did so, and lost by it, in the last three days."""

    memory: int = 3

    def act(self, observation, history, draws):
        past = history.action[:, -3:, 0].sum(1) if history.num_steps else 0
        felt = history.reward[:, -3:].sum(1) if history.num_steps else 0
        ill = history.observation["ill"][:, -3:].sum(1)  # today's too
        isolates = draws.uniform("habit") < 0.1 + 0.2 * past + 0.1 * ill - 0.1 * felt
        return torch.stack([isolates, torch.ones_like(isolates)], 1).to(torch.int8)

    def repeated(self, times):
        return self


PLANNED = {"rows": torch.tensor([3, 9]), "horizon": 4, "seed": 6}


def test_citizens_under_a_planner_remember_as_in_a_rollout_of_their_own():
    seat = epidemic_planner_world(world=by_hand.city(), citizens=Habit())
    history = rollout(seat, Fixed([0, 0, 0, 0]), **PLANNED)
    for row, q in enumerate(PLANNED["rows"]):
        ids = derived_ids(q.expand(N), torch.arange(N))
        run = {"rows": ids, "horizon": 28, "seed": 6, "record": [Record("isolates", reduce="mean")]}
        alone = rollout(seat.world, Habit(), **run).series["isolates"]
        expected = (1000 * alone).view(4, 7).mean(1).float()
        assert torch.equal(history.observation[row, 1:, 2], expected)
        forgetful = rollout(seat.world, Habit(memory=0), **run).series["isolates"]  # a rollout hands on all it has
        assert torch.equal(forgetful, alone)


def test_citizens_remember_what_they_did_under_the_levers_and_one_by_one():
    """A lever on the action is what they did; and a batch of populations is its populations."""

    class Alone(Habit):  # a subclass does not say that it acts for several populations: each is asked by itself
        pass

    def forced(action):
        return [Do("action", torch.tensor([1, 1], dtype=torch.int8), who=torch.arange(N) < 30)] if action[0] else []

    kinds = []
    for citizens in (Habit(), Alone()):
        seat = replace(epidemic_planner_world(world=by_hand.city(), citizens=citizens), levers=forced)
        together = rollout(seat, by_hand.Levers(), **PLANNED)
        alone = [rollout(seat, by_hand.Levers(), **PLANNED | {"rows": q[None]}) for q in PLANNED["rows"]]
        assert [digests(lambda h=h: h) for h in alone] == [digests(lambda h=h: h) for h in (together[0], together[1])]
        kinds.append(digests(lambda h=together: h))
    assert kinds[0] == kinds[1]


def test_memories_hold_the_last_steps_of_each_row():
    """Columns of tensors and of text, in dicts and not, against lists."""
    generator = np.random.default_rng(0)
    memory = Memory.empty(
        3, {"x": torch.zeros(4, 2), "text": np.full(4, "", object)}, torch.zeros(4, dtype=torch.int64)
    )
    lists = [[] for _ in range(4)]
    for t in range(8):
        seen = {
            "x": torch.from_numpy(generator.random((4, 2))).float(),
            "text": np.array([f"{t} {i}" for i in range(4)], object),
        }
        action, reward = torch.from_numpy(generator.integers(0, 9, 4)), torch.from_numpy(generator.random(4)).float()
        present = memory.seeing(seen)
        history = present.history(Draws(1, torch.arange(4) * 5))
        assert history.length.tolist() == [len(past[-3:]) for past in lists]
        for i, past in enumerate(past[-3:] for past in lists):
            one = history[i, : len(past)]
            assert one.action[0].tolist() == [step[2] for step in past]
            assert one.reward[0].tolist() == [step[3] for step in past]
            assert one.observation["text"][0].tolist() == [*(step[1] for step in past), f"{t} {i}"]
            assert one.observation["x"][0, -1].tolist() == seen["x"][i].tolist()
            assert not one.truncated.any()
        after = present.after(action, reward)
        again = torch.from_numpy(generator.random(4) < 0.3)  # some begin anew
        memory = Memory(after.observation, after.action, after.reward, after.count.where(~again, 0))
        for i in range(4):
            lists[i] = [] if again[i] else [*lists[i], (None, f"{t} {i}", int(action[i]), reward[i].item())]


def test_who_does_not_remember_costs_nothing_and_bad_memories_are_refused():
    draws = Draws(0, torch.arange(3), scope="world")
    state, _ = CascadingSession(MDP, PBM(MDP.attraction, torch.ones(MDP.length))).reset(draws, Sites())
    assert isinstance(state, torch.Tensor)
    state, _ = epidemic_planner_world(world=by_hand.city(), citizens=Heuristic()).reset(draws, Sites())
    assert state._fields == ("people", "seen")
    assert isinstance(Tired(), Remembering)
    assert not isinstance(Heuristic(), Remembering)
    with pytest.raises(ValueError, match=r"memory of Tired is -1: expected how many past steps"):
        rollout(CascadingSession(MDP, Tired(memory=-1)), SHOWN, rows=1, horizon=1)


def test_an_episode_with_a_memory_can_be_played_again():
    world = CascadingSession(MDP, Tired())
    env = WorldEnv(world, horizon=6)
    env.reset(seed=4)
    rewards = [env.step(np.array([1, 2, 0][: MDP.length]))[1] for _ in range(6)]
    again = rollout(world, Fixed([1, 2, 0][: MDP.length]), rows=episode_ids(4), horizon=6)
    assert again.reward[0].tolist() == rewards


def test_what_another_thread_asks_in_between_changes_nobodys_history():
    theirs = Draws(0, torch.arange(3))

    class Seed(int):
        """Where it is compared, another thread has its turn."""

        __hash__ = int.__hash__

        def __ne__(self, other):
            nothing_yet(theirs)
            return int(self) != int(other)

    ours = Draws(Seed(0), torch.arange(2))
    assert [len(nothing_yet(ours)) for _ in range(2)] == [2, 2]
