"""Rows of a vector environment at steps of their own: one call moves them, and each is the single environment."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from bits import same
from by_hand import Reading
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ethogram.envs.clicks import DBN
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator.gym import FromGym, WorldEnv, WorldVectorEnv
from ethogram.simulator.world import Transition

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


@pytest.mark.parametrize("mode", MODES)
def test_a_foreign_environment_in_a_vector_equals_gymnasiums_vector_of_single_ones(mode):
    """CartPole pushed to one side falls after 8 to 11 steps, each row at its own; the horizon cuts some short."""
    world = FromGym("CartPole-v1")
    ours = WorldVectorEnv(world, 6, 9, mode)
    theirs = SyncVectorEnv([lambda: WorldEnv(world, 9)] * 6, autoreset_mode=mode)
    assert same(ours.reset(seed=4)[0], theirs.reset(seed=4)[0])
    kinds = set()
    for _ in range(40):
        left, right = ours.step(np.ones(6, np.int64)), theirs.step(np.ones(6, np.int64))
        assert all(same(a, b) for a, b in zip(left, right, strict=True))
        kinds |= set(np.argwhere(left[2:4])[:, 0].tolist())
    assert kinds == {0, 1}  # some fell, some were cut short


@dataclass(frozen=True)
class Calls(Reading):
    """Notes how it is called."""

    seen: list = field(default_factory=list)

    def step(self, state, action, draws, site):
        self.seen.append((len(draws.ids), draws.step if draws.together else draws.step.tolist()))
        return super().step(state, action, draws, site)


@pytest.mark.parametrize("mode", [*MODES, AutoresetMode.DISABLED])
def test_one_call_moves_the_rows_that_go_on_wherever_they_are(mode):
    world = Calls()
    envs = WorldVectorEnv(world, 50, 9, mode)
    envs.reset(seed=1)
    age, done, mixed = np.zeros(50, int), np.zeros(50, bool), 0
    for call in range(60):
        if done.any() and mode is AutoresetMode.DISABLED:
            envs.reset(options={"reset_mask": done})
        if mode is not AutoresetMode.NEXT_STEP:
            age[done], done[:] = 0, False
        _, _, terminated, truncated, _ = envs.step(envs.action_space.sample())
        steps = age[~done].tolist()
        assert len(world.seen) == call + bool(steps) or done.all()
        assert world.seen[-1] == (len(steps), steps[0] if len(set(steps)) == 1 else steps)
        mixed += len(set(steps)) > 1
        age = np.where(done, 0, age + 1)
        done = terminated | truncated
    assert mixed > 40


def test_a_step_that_fails_changes_nothing():
    @dataclass(frozen=True)
    class Fussy(Reading):
        def step(self, state, action, draws, site):
            if (action["kind"] == 2).any():
                raise ValueError("not 2")
            return super().step(state, action, draws, site)

    for mode in MODES:
        envs, others = WorldVectorEnv(Fussy(), 8, 5, mode), WorldVectorEnv(Reading(), 8, 5, mode)
        envs.reset(seed=3)
        others.reset(seed=3)
        for _ in range(20):
            action = {"push": np.full(8, 0.25, np.float32), "kind": np.ones(8, np.int64)}
            with pytest.raises(ValueError, match="not 2"):
                envs.step(action | {"kind": np.full(8, 2)})
            assert all(same(a, b) for a, b in zip(envs.step(action), others.step(action), strict=True))


@dataclass(frozen=True)
class Ageing(Reading):
    """Its state counts steps in a number of its own, or changes its type."""

    start: object = 0

    def reset(self, draws, site):
        return (torch.zeros_like(draws.ids), self.start), super().reset(draws, site)[1]

    def step(self, state, action, draws, site):
        after = state[1] + 1 if isinstance(self.start, int) else 0.5 + torch.zeros_like(draws.ids)
        seen = self._shown(draws.uniform("taste", 2), state[0])[1]
        return Transition((state[0] + 1, after), seen, seen["page"][:, 0], draws.uniform("x") < 0.5)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (0, "it holds 0 where an episode begins, and . later"),
        (torch.zeros(6, dtype=torch.int64), "it holds torch.int64"),
    ],
)
def test_a_state_that_is_not_made_of_rows_is_refused_where_they_part(start, message):
    envs = WorldVectorEnv(Ageing(start=start), 6, 9)
    envs.reset(seed=0)

    def play():
        for _ in range(9):
            envs.step(envs.action_space.sample())

    with pytest.raises(TypeError, match=message):
        play()


@dataclass(frozen=True)
class Tabled(Reading):
    """Its state holds a table that is no row's."""

    def reset(self, draws, site):
        state, seen = super().reset(draws, site)
        return (state, torch.arange(100.0)), seen

    def step(self, state, action, draws, site):
        new = super().step(state[0], action, draws, site)
        return new._replace(state=(new.state, state[1]))


@pytest.mark.parametrize("mode", [*MODES, AutoresetMode.DISABLED])
def test_a_table_in_a_state_is_refused_rather_than_cut(mode):
    envs = WorldVectorEnv(Tabled(), 6, 9, mode)
    envs.reset(seed=0)

    def play():
        for _ in range(9):
            _, _, terminated, truncated, _ = envs.step(envs.action_space.sample())
            if mode is AutoresetMode.DISABLED and (terminated | truncated).any():
                envs.reset(options={"reset_mask": terminated | truncated})

    with pytest.raises(TypeError, match=r"it holds torch.float32 \(\d+,\) for \d+ rows"):
        play()


USER = DBN(trap().attraction, trap().attraction / 2, 0.8)


@pytest.mark.parametrize("world", [CascadingSession(trap()), CascadingSession(trap(), USER), Reading(0.1)])
def test_rows_may_be_reset_at_any_time(world):
    """Resets of some rows put rows at different steps in a world that never ends early."""
    ours = WorldVectorEnv(world, 6, 20, "Disabled")
    theirs = SyncVectorEnv([lambda: WorldEnv(world, 20)] * 6, autoreset_mode=AutoresetMode.DISABLED)
    assert same(ours.reset(seed=8)[0], theirs.reset(seed=8)[0])
    ours.action_space.seed(2)
    luck = np.random.default_rng(0)
    for _ in range(40):
        action = ours.action_space.sample()
        left, right = ours.step(action), theirs.step(action)
        assert all(same(a, b) for a, b in zip(left[:4], right[:4], strict=True))
        mask = left[2] | left[3] | (luck.random(6) < 0.1)
        if mask.any():
            options = {"reset_mask": mask}
            assert same(ours.reset(options=options)[0], theirs.reset(options=dict(options))[0])
