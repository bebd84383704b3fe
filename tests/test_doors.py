"""No public door into compiled code crashes or hangs, whatever arrays it is given."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ethogram.agents.bandits import CTS, play
from ethogram.agents.cascading import AdaptVI, CascadingVI, learn_in, learning_curve
from ethogram.agents.simple import UniformSlates
from ethogram.envs.epidemics import SEIR
from ethogram.envs.sessions import CascadingSession, cascading_bandit, trap
from ethogram.simulator import Draws, Sites, rollout
from ethogram.simulator.networks import erdos_renyi, sum_over_contacts

MDP, WORLD = trap(), CascadingSession(trap())
LOG = rollout(WORLD, UniformSlates(MDP.num_items, MDP.length), rows=3, horizon=2, record=["click"])
FUZZ = Path(__file__).with_name("fuzz_doors.py")


@pytest.mark.parametrize("tries", [6, pytest.param(80, marks=pytest.mark.slow)])
def test_no_door_crashes_or_hangs(tries):
    """In a process of its own, which a crash takes with it: its last line says at which door."""
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(FUZZ), "0", str(tries)], capture_output=True, text=True, timeout=1200
    )
    last = run.stdout.strip().splitlines()[-1:]
    assert (run.returncode, last) == (0, ["done"]), f"at {last}: {run.stderr[-2000:]}"


def log_but(**changes):
    """A log of which some columns are others, past the checks of ``History.of``."""
    length = changes.pop("length", LOG.length)
    by_time = {**LOG._by_time, **{name: column.swapaxes(0, 1) for name, column in changes.items()}}
    return replace(LOG, _by_time=by_time, length=length)


CLICK = LOG.column("click")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": LOG.length + 1}, "'length' of the history goes from 3 to 3: expected 0 to 2"),
        ({"click": CLICK[:, :1]}, "'click' of the history is torch.int64 .3, 1.: expected integers"),
        ({"click": CLICK + 0.5}, "'click' of the history is torch.float32"),
        ({"click": CLICK + 9}, "'click' of row 0"),
        ({"action": torch.full_like(LOG.action, -1), "click": CLICK * 0}, "expected the place of an item"),
        ({"observation": LOG.observation[:, :2]}, "'observation' of the history is torch.int64 .3, 2."),
        ({"observation": LOG.observation + 99}, "'observation' of row 0"),
    ],
)
@pytest.mark.parametrize("kind", [CascadingVI, AdaptVI])
def test_learners_refuse_records_that_are_not_whole(kind, changes, message):
    if kind is AdaptVI and "click" in changes:
        pytest.skip("it does not look at clicks")
    first = (MDP.reward,) if kind is CascadingVI else (MDP.num_states, MDP.num_items)
    with pytest.raises(ValueError, match=message):
        kind(*first, MDP.length, MDP.horizon, 9).learn(log_but(**changes))


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("state", [[0, 1, 99], [0, -1, 0], [0, 1], [0, 1, 0, 1], [[0], [1], [0]], [0.0, 1.0, 0.0]])
def test_a_state_of_another_world_is_refused(state, watched):
    site, draws = Sites(record=lambda *_: None) if watched else Sites(), Draws(0, torch.arange(3))
    slate = torch.arange(MDP.length).expand(len(state), -1)
    with pytest.raises(ValueError, match=r"state is|slates are"):
        WORLD.step(torch.tensor(state), slate, draws, site)


def test_people_of_another_city_are_refused():
    few, many = erdos_renyi(5, 2), erdos_renyi(9, 2)
    draws = Draws(0, torch.arange(9))
    state = SEIR(few).reset(Draws(0, torch.arange(5)), Sites())[0]
    for people in (5, 9):
        with pytest.raises(ValueError, match=r"expected \(9,\), one a person"):
            SEIR(many).step(state, torch.zeros(people, dtype=torch.int64), draws, Sites())


def test_learning_in_small_parts_gives_the_same_bits(monkeypatch):
    """Compiled runs return to Python every some tenth of a second, so that they can be interrupted."""
    runs = {}
    for at_once in (10**8, 10**3):
        monkeypatch.setattr(learning_curve, "AT_ONCE", at_once)
        for kind, first in ((CascadingVI, (MDP.reward,)), (AdaptVI, (MDP.num_states, MDP.num_items))):
            agent = kind(*first, MDP.length, MDP.horizon, 300)
            runs[at_once, kind] = learn_in(MDP, agent, 300, seed=2).value
    for kind in (CascadingVI, AdaptVI):
        assert torch.equal(runs[10**8, kind], runs[10**3, kind])


def test_bandits_played_in_small_parts_show_the_same_lists(monkeypatch):
    bandit, runs = cascading_bandit(torch.linspace(0.1, 0.5, 6, dtype=torch.float64), 2), []
    for at_once in (10**6, 60):
        monkeypatch.setattr(sys.modules[play.__module__], "AT_ONCE", at_once)
        runs.append(play(CTS(6, 2), bandit, 200, seed=3))
    assert torch.equal(*runs)


FACTOR, TABLE = 1.0, np.array([1.0])


@pytest.mark.parametrize("message", [lambda x: x * FACTOR, lambda x: x * TABLE[0]])
def test_a_message_that_reads_a_global_sees_its_new_value(message, monkeypatch):
    contacts, sent = erdos_renyi(20, 4, seed=1), torch.ones(20)
    once = sum_over_contacts(contacts, sent, message=message)
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    monkeypatch.setitem(globals(), "TABLE", np.array([2.0]))
    assert torch.equal(sum_over_contacts(contacts, sent, message=message), 2 * once)
