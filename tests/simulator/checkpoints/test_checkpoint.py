"""Checkpoints: verified, of this run alone, and there after Ctrl-C, kills and full or read-only disks."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ethogram.agents import Fixed
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import Do, Setup, contrast, ensemble, rollout
from ethogram.simulator.checkpoints import write_atomically
from ethogram.simulator.checkpoints.checkpoint import MAGIC, Checkpoint

WORLD = CascadingSession(trap())
RATE = 1


def run(policy, file, **more):
    return rollout(WORLD, policy, rows=5, horizon=4, seed=1, checkpoint=file, checkpoint_every=0, **more)


class Linear:
    """Ranks by a network; ``dies`` at a step, which is no part of it."""

    def __init__(self, weight=1.0, dies=None):
        self.layers = [torch.nn.Linear(1, 6, bias=False)]
        torch.nn.init.constant_(self.layers[0].weight, weight)
        self.dies = [dies]

    def __fingerprint__(self):
        return self.layers

    def act(self, observation, history, draws):
        if draws.step == self.dies[0]:
            raise RuntimeError("killed")
        return self.layers[0](observation[:, None].float()).argsort(descending=True, stable=True)[:, :2]


class Counting:
    """Remembers how often it has acted."""

    def __init__(self, dies=None):
        self.dies, self.times = dies, {"acted": 0}
        self.luck = np.random.default_rng(0)

    def __fingerprint__(self):
        return self.times, self.luck

    def act(self, observation, history, draws):
        if draws.step == self.dies:
            raise RuntimeError("killed")
        self.times["acted"] += 1
        first = (observation + self.times["acted"] + int(self.luck.integers(6))) % 6
        return torch.stack([first, (first + 1) % 6], 1)


class Saved(Counting):
    """The same, with its memory in the open."""

    whole = True

    def state_dict(self):
        return {"times": self.times, "luck": self.luck.bit_generator.state, "seen": (np.float32(1), [None], "text")}

    def load_state_dict(self, state):
        assert state["seen"] == (np.float32(1), [None], "text")
        self.times = state["times"]
        if self.whole:
            self.luck.bit_generator.state = state["luck"]


def dies(policy, file):
    with pytest.raises(RuntimeError, match="killed"):
        run(policy, file)


def test_no_changed_byte_is_read(tmp_path):
    file, chance = tmp_path / "c", np.random.default_rng(0)
    dies(Linear(dies=3), file)
    whole = file.read_bytes()
    for place in [*range(len(MAGIC) + 40), *chance.integers(len(whole), size=80)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(chance.integers(8))
        file.write_bytes(changed)
        with pytest.raises(ValueError, match="is not a checkpoint that can be read") as error:
            run(Linear(), file)
        assert "weights_only" not in str(error.value)
    for kept in (0, 10, len(MAGIC) + 32, len(whole) - 1):
        file.write_bytes(whole[:kept])
        with pytest.raises(ValueError, match="is not a checkpoint that can be read"):
            run(Linear(), file)
    file.write_bytes(whole)
    assert run(Linear(), file).equals(run(Linear(), tmp_path / "other"))


def test_a_file_with_other_things_in_it_is_refused_without_advice_to_trust_it(tmp_path):
    import hashlib

    content = io.BytesIO()
    torch.save({"run": Path("x")}, content)
    file = tmp_path / "c"
    file.write_bytes(MAGIC + hashlib.sha256(content.getvalue()).digest() + content.getvalue())
    with pytest.raises(ValueError, match="holds more than tensors, numbers and text; remove it") as error:
        run(Linear(), file)
    assert "weights_only" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_other_weights_are_another_run(tmp_path):
    dies(Linear(dies=2), tmp_path / "c")
    with pytest.raises(ValueError, match="checkpoint of another run: expected the same policy, to the last parameter"):
        run(Linear(-1.0), tmp_path / "c")
    assert run(Linear(), tmp_path / "c").equals(run(Linear(), tmp_path / "other"))


def test_another_global_of_a_function_is_another_run(tmp_path, monkeypatch):
    change = Do("reward", lambda reward: reward * RATE)

    def go(policy):
        return run(policy, tmp_path / "c", interventions=[change])

    with pytest.raises(RuntimeError, match="killed"):
        go(Linear(dies=2))
    monkeypatch.setattr(sys.modules[__name__], "RATE", 2)
    with pytest.raises(ValueError, match="another run: expected the same interventions"):
        go(Linear())


def test_a_policy_that_remembers_is_saved_with_its_state_dict_or_refused(tmp_path):
    file = tmp_path / "c"
    whole = run(Saved(), tmp_path / "other")
    dies(Saved(dies=2), file)
    assert run(Saved(), file).equals(whole)
    dies(Saved(dies=2), file)
    half = Saved()
    half.whole = False
    with pytest.raises(ValueError, match=r"state_dict.. of the policy, a Saved, does not hold all that it remembers"):
        run(half, file)
    with pytest.raises(TypeError, match="the policy, a Counting, has changed while it ran, so it remembers"):
        run(Counting(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


STEPS = """
import signal, sys, threading, time, warnings
import ethogram.simulator.checkpoints.checkpoint as checkpoint
from ethogram.agents import UniformSlates
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import rollout
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began this may ignore it
class Slow(UniformSlates):
    def act(self, observation, history, draws):
        print(draws.step, flush=True)
        time.sleep(0.02)
        return super().act(observation, history, draws)
slow, save = sys.argv[3] == "slow", checkpoint.torch.save
def slowly(content, file):
    save(content, file)
    print("saving", flush=True)
    time.sleep(0.5)
    file.write(b"")
checkpoint.torch.save = slowly if slow else save
rollout(CascadingSession(trap()), Slow(6, 2), rows=9, horizon=400, checkpoint=sys.argv[1],
        checkpoint_every=0 if slow else 1000).save(sys.argv[2])
"""


@pytest.mark.parametrize("during", ["step", "slow"])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, during):
    file, out = tmp_path / "run.pt", tmp_path / "out.npz"
    command = [sys.executable, "-c", STEPS, str(file), str(out), during]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.strip() == ("saving" if during == "slow" else "5"):
            break
    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=60)
    last = [int(line) for line in rest.split() if line != "saving"]
    assert process.returncode != 0
    assert f"KeyboardInterrupt: {file} holds what is done: make the same call to go on from there" in said
    assert "Make room" not in said
    assert not last  # the present step is the last
    assert sorted(tmp_path.iterdir()) == [file]
    saved = Checkpoint(file, {}, 0)
    saved.prints = checkpoint_prints(file)
    assert saved.read(file)["step"] == (1 if during == "slow" else 6)


def checkpoint_prints(file):
    from ethogram.simulator.checkpoints.checkpoint import _content_at

    return _content_at(file)["run"]


def test_ctrl_c_in_an_ensemble_keeps_what_is_done(tmp_path):
    log = tmp_path / "log"

    def outcome(history):
        with open(log, "a") as file:
            print(history.seed, file=file)
        if log.read_text().split() == ["0", "1", "2"]:
            signal.raise_signal(signal.SIGINT)
        return history.reward.sum()

    def go(checkpoint=tmp_path / "e"):
        setup = Setup(WORLD, Linear(), rows=4, horizon=3)
        return ensemble(setup, outcome=outcome, seeds=range(6), checkpoint=checkpoint)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began this may ignore it
    try:
        with pytest.raises(KeyboardInterrupt, match="make the same call to go on"):
            go()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    resumed = go()
    assert log.read_text().split() == ["0", "1", "2", "2", "3", "4", "5"]
    assert torch.equal(resumed.mean("factual"), go(None).mean("factual"))


def test_a_contrast_goes_on_from_where_it_was(tmp_path):
    def outcome(history):
        if history.seed == 2 and (tmp_path / "die").exists():
            raise RuntimeError("killed")
        return history.reward.sum()

    def go(checkpoint):
        setup, change = Setup(WORLD, Linear(), rows=4, horizon=3), [Do("reward", 2.0)]
        return contrast(setup, change, outcome=outcome, seeds=range(4), checkpoint=checkpoint, checkpoint_every=0)

    (tmp_path / "die").touch()
    with pytest.raises(RuntimeError, match="killed"):
        go(tmp_path / "c")
    assert (tmp_path / "c").exists()
    (tmp_path / "die").unlink()
    assert torch.equal(go(tmp_path / "c").difference, go(None).difference)
    assert not (tmp_path / "c").exists()


def test_where_no_file_can_be_written_is_said_before_the_run(tmp_path):
    acted = []

    class Acts(Fixed):
        def act(self, observation, history, draws):
            acted.append(draws.step)
            return super().act(observation, history, draws)

    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "c", tmp_path, Path("/proc/c")):
        with pytest.raises(OSError, match=r"cannot be written to .*expected a file in a folder"):
            run(Acts([0, 1]), place)
    assert not acted


def test_a_finished_run_is_never_lost(tmp_path, monkeypatch):
    def refuse(self, missing_ok=False):
        raise PermissionError("read-only")

    def go(file):
        return rollout(WORLD, Linear(), rows=5, horizon=4, seed=1, checkpoint=file, checkpoint_every=0)

    whole = go(tmp_path / "c")
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.warns(UserWarning, match="the run is complete, but .* is still there .read-only.: remove it"):
        assert go(tmp_path / "c").equals(whole)
    with pytest.warns(UserWarning, match="is still there"):
        assert go(tmp_path / "c").equals(whole)


def test_what_a_kill_leaves_is_taken_by_the_next_write(tmp_path):
    file, left = tmp_path / "c", tmp_path / "c.tmp"
    left.write_bytes(b"half of a file, and longer than what comes next")
    write_atomically(file, lambda open_file: open_file.write(b"whole"))
    assert file.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [file]
    file.unlink()
    left.touch()
    run(Linear(), file)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    file = tmp_path / "c"
    file.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        write_atomically(file, lambda open_file: open_file.write(b"new" * (1 // 0)))
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_threads_with_one_path_write_whole_files(tmp_path):
    file, wrong = tmp_path / "c", []
    write_atomically(file, lambda open_file: open_file.write(b"0" * 3000))

    def write(letter):
        def slowly(open_file):
            for _ in range(30):
                open_file.write(letter * 100)
                open_file.flush()
                time.sleep(1e-5)

        for _ in range(20):
            try:
                write_atomically(file, slowly)
            except OSError as error:
                wrong.append(error)
            content = file.read_bytes()
            if len(content) != 3000 or len(set(content)) != 1:
                wrong.append(content)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert list(tmp_path.iterdir()) == [file]


def test_files_are_made_as_others_are(tmp_path):
    (tmp_path / "other").touch()
    write_atomically(tmp_path / "c", lambda open_file: open_file.write(b"x"))
    assert os.stat(tmp_path / "c").st_mode == os.stat(tmp_path / "other").st_mode


@pytest.mark.parametrize(("files", "kills"), [(15, 3), pytest.param(500, 100, marks=pytest.mark.slow)])
def test_no_damaged_file_and_no_kill_gives_another_result(files, kills):
    script = Path(__file__).parents[3] / "benchmarks" / "reliability.py"
    command = [sys.executable, str(script), "--files", str(files), "--kills", str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("\n0 wrong\n"), done.stdout + done.stderr
