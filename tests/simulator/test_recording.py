"""What is kept once is what every step had, to the bit; what changes is kept step by step."""

import math
from functools import partial

import pytest
import torch
from gymnasium import spaces

from ethogram.agents.simple import Fixed
from ethogram.envs.epidemics import SEIR
from ethogram.simulator.checkpoints import Checkpoint
from ethogram.simulator.history import History
from ethogram.simulator.networks import small_world
from ethogram.simulator.recording import Record, Recorder, Tape
from ethogram.simulator.rollout import rollout
from ethogram.simulator.world import Transition

STEPS, ROWS = 6, 20_000  # large enough for a tape to look whether anything changes


def written(values):
    """A tape of these values, one a step, as the recorder drives it."""
    tape = Tape.begun(len(values), values[0], once=True)
    for step, value in enumerate(values[1:], 1):
        tape.write(step, value)
    return tape.array


def steps_of(value, changes, at):
    values = [value.clone() for _ in range(STEPS)]
    for step in range(at, STEPS):
        values[step] = changes.clone()
    return values


@pytest.mark.parametrize("at", [1, 3, 5])
@pytest.mark.parametrize(
    ("value", "changed"),
    [
        (torch.ones(ROWS), torch.ones(ROWS).index_fill(0, torch.tensor([7]), 2.0)),
        (torch.zeros(ROWS), torch.full((ROWS,), -0.0)),
        (torch.full((ROWS,), math.nan), torch.zeros(ROWS)),
        (torch.arange(ROWS), torch.arange(ROWS).flip(0)),
        (torch.zeros(ROWS, 2, dtype=torch.bool), torch.ones(ROWS, 2, dtype=torch.bool)),
        (torch.ones(ROWS, dtype=torch.bfloat16), torch.zeros(ROWS, dtype=torch.bfloat16)),
        (torch.tensor([3, 4]).expand(ROWS, 2), torch.arange(2 * ROWS).view(ROWS, 2)),
        (torch.arange(2 * ROWS).view(ROWS, 2), torch.tensor([3, 4]).expand(ROWS, 2)),
    ],
)
def test_a_tape_holds_what_was_written_to_the_bit(value, changed, at):
    values = steps_of(value, changed, at)
    assert torch.equal(written(values).view(torch.uint8), torch.stack(values).view(torch.uint8))


def test_what_does_not_change_takes_one_step_of_memory():
    same = written(steps_of(torch.arange(ROWS), torch.arange(ROWS), 1))
    assert same.shape == (STEPS, ROWS)
    assert same.untyped_storage().nbytes() == 8 * ROWS
    alike = written([torch.tensor(5).expand(ROWS)] * STEPS)
    assert alike.untyped_storage().nbytes() == 8


def test_what_is_kept_once_is_no_view_of_what_was_written():
    value = torch.arange(ROWS)
    kept = written([value] * STEPS)
    value += 1
    assert torch.equal(kept[0], torch.arange(ROWS))


@pytest.mark.parametrize("rows", [3, ROWS])
@pytest.mark.parametrize(
    "change",
    [
        lambda x: torch.complex(x, x).conj(),
        lambda x: torch.complex(x, x).conj().imag,
        lambda x: x.to(torch.float8_e5m2),
        lambda x: x if x[0] < 2 else x.bfloat16(),
    ],
)
def test_a_tape_takes_what_numpy_does_not(change, rows):
    values = [change(torch.full((rows,), float(step))) for step in (0, 0, 1, 2, 3)]
    assert torch.equal(written(values).float(), torch.stack([value.float() for value in values]))


def test_what_does_not_fit_on_a_tape_is_an_error_of_torch():
    with pytest.raises(RuntimeError, match=r"expanded size of the tensor \(2\) must match the existing size \(3\)"):
        written([torch.zeros(4, 2), torch.zeros(4, 3)])


def test_gradients_pass_through_a_tape():
    weight = torch.ones(ROWS, requires_grad=True)
    values = [weight.detach(), weight * 2, weight.detach(), weight * 3]
    tape = Tape.begun(4, values[0], once=True)
    tape.spread(1)
    for step in range(1, 4):
        tape.write(step, values[step])
    tape.array.sum().backward()
    assert torch.equal(weight.grad, torch.full((ROWS,), 5.0))


def test_a_site_of_the_start_is_kept_at_the_start_only():
    world = SEIR(small_world(ROWS, 4, 0.1, seed=1), 0.2, initial=0.5)
    history = rollout(world, Fixed(1), rows=ROWS, horizon=3, record=["initial"])
    assert history.sites["initial"][:, 0].any()
    assert not history.sites["initial"][:, 1:].any()


class Late:
    """A world that names a site from its third step on, and another at each second step."""

    observation_space = action_space = spaces.Discrete(2)

    def reset(self, draws, site):
        return draws.ids, torch.zeros_like(draws.ids)

    def step(self, state, action, draws, site):
        for name, first, every in (("late", 2, 1), ("odd", 1, 2)):
            if draws.step >= first and draws.step % every == first % every:
                site(name, torch.full((len(state),), 7.0))
        reward = torch.zeros(len(state))
        return Transition(state, torch.zeros_like(state), reward, torch.zeros_like(state, dtype=torch.bool))


@pytest.mark.parametrize("rows", [2, ROWS])
def test_a_site_that_is_named_late_stands_at_its_steps(rows):
    history = rollout(Late(), Fixed(1), rows=rows, horizon=5, record="all")
    assert history.sites["late"][1].tolist() == [0, 0, 7, 7, 7]
    assert history.sites["odd"][1].tolist() == [0, 7, 0, 7, 0]


@pytest.mark.parametrize("rows", [2, ROWS])
@pytest.mark.parametrize("killed", range(1, 5))
def test_a_site_that_is_named_now_and_then_is_the_same_after_a_kill(rows, killed, tmp_path):
    class Dies:
        def act(self, observation, history, draws):
            assert draws.step < killed, "killed"
            return Fixed(1).act(observation, history, draws)

    def run(policy):
        checkpoint = partial(Checkpoint, tmp_path / "run.ck")
        return rollout(
            Late(),
            policy,
            rows=rows,
            horizon=5,
            record="all",
            checkpoint=lambda parts, every: checkpoint({}, every),  # whoever acts
            checkpoint_every=0,
        )

    with pytest.raises(AssertionError, match="killed"):
        run(Dies())
    assert run(Fixed(1)).equals(rollout(Late(), Fixed(1), rows=rows, horizon=5, record="all"))


def test_what_was_recorded_is_gone_on_from():
    recorder, ids = Recorder(["site"], 3, torch.arange(2)), torch.arange(2)
    for step in range(2):
        recorder("site", step, ids + step)
    later = Recorder(["site"], 3, ids)
    later.restore(2, recorder.kept)
    later("site", 2, ids + 2)
    assert later.columns["site"].tolist() == [[0, 1], [1, 2], [2, 3]]


def test_what_has_no_rows_is_a_series_when_it_is_thinned(tmp_path):
    class Weather(Late):
        def step(self, state, action, draws, site):
            site("degrees", torch.tensor(float(draws.step)))
            site("wind", torch.tensor([draws.step, 0]))
            return super().step(state, action, draws, site)

    record = [Record("degrees", every=2), Record("wind", every=3)]
    history = rollout(Weather(), Fixed(1), rows=5, horizon=5, record=record)
    assert history.series["degrees"].tolist() == [0, 2, 4]
    assert history.series["wind"].tolist() == [[0, 0], [3, 0]]
    assert history[4].series["wind"].shape == (2, 2)
    history.save(tmp_path / "weather.npz")
    assert History.load(tmp_path / "weather.npz").equals(history)


class SaysWhatItSaw:
    """Repeats the sum of the actions of its history, which is kept once while it is the same."""

    def __init__(self):
        self.seen = []

    def act(self, observation, history: History, draws):
        self.seen.append(
            (history.num_steps, history.length.tolist()[:2], history.action.sum().item() if draws.step else 0)
        )
        return torch.full_like(draws.ids, int(draws.step >= 2))


def test_a_policy_sees_the_history_so_far_while_it_is_kept_once_and_after():
    policy = SaysWhatItSaw()
    world = SEIR(small_world(ROWS, 4, 0.1, seed=1), 0.2, initial=0.5)
    rollout(world, policy, rows=ROWS, horizon=5)
    assert policy.seen == [(t, [t, t], ROWS * max(0, t - 2)) for t in range(5)]


def test_one_row_of_a_history_equals_itself_and_no_other():
    world = SEIR(small_world(ROWS, 4, 0.1, seed=1), 0.2, initial=0.5)
    history = rollout(world, Fixed(1), rows=ROWS, horizon=3)
    assert history[5].equals(history[5])
    assert not history[5].equals(history[6])
