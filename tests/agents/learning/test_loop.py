"""The loop that trains: to the same bits after a stop, with a curve, and loud about numbers that are none."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from torch import nn

from ethogram.agents.learning import (
    Categorical,
    Cloning,
    Training,
    load_weights,
    read_about,
    rows_of,
    save_weights,
    train,
)
from ethogram.simulator import History


class Line(nn.Module):
    """Least squares, with data that hang on the update."""

    def __init__(self, stops_at=None):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.0, 0.0]))
        self.stops = [] if stops_at is None else [stops_at]

    def losses(self, update):
        if update in self.stops:
            self.stops.clear()
            raise RuntimeError("power cut")
        x = torch.linspace(0, 1, 8) + update % 3
        loss = (self.weight[0] + self.weight[1] * x - 2 * x).square().mean()
        yield loss, {"slope": self.weight[1].item()}
        yield loss.detach() * 0 + (self.weight[0] - 0.1).square(), {}

    def __fingerprint__(self):
        return str(self.weight.tolist())


def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path):
    whole = Line()
    curve = train(whole, 40, rate=0.1, progress=False)
    path = tmp_path / "line.pt"
    with pytest.raises(RuntimeError, match="power cut"):
        train(Line(stops_at=23), 40, rate=0.1, progress=False, checkpoint=path, checkpoint_every=0)
    again = Line()
    rest = train(again, 40, rate=0.1, progress=False, checkpoint=path, checkpoint_every=0)
    assert torch.equal(whole.weight, again.weight)
    assert all(torch.equal(curve[name], rest[name]) for name in ("loss", "slope"))
    assert not path.exists()
    assert len(curve["loss"]) == 40


KILLED = """
    import sys, torch
    from torch import nn
    from ethogram.agents.learning import Categorical, Cloning, train
    from ethogram.simulator import History
    torch.manual_seed(0)
    torch.set_num_threads(1)
    history = History.of(action=torch.randint(4, (64, 5)), reward=torch.zeros(64, 5),
                         observation=torch.randint(4, (64, 6)))
    policy = Categorical(nn.Embedding(4, 4), 4)
    train(Cloning(policy, history, batch=16), 60, rate=1e-2, progress=False, checkpoint=sys.argv[1] or None,
          checkpoint_every=0)
    print(policy.net.weight.tolist())
"""


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path):
    script = tmp_path / "training.py"
    script.write_text(textwrap.dedent(KILLED))
    path = tmp_path / "training.pt"
    whole = subprocess.run([sys.executable, script, ""], capture_output=True, text=True, check=True).stdout
    for _ in range(2):
        process = subprocess.Popen([sys.executable, script, path], stdout=subprocess.DEVNULL)
        before = path.stat().st_mtime_ns if path.exists() else 0
        while process.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert path.exists()
    rest = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=True).stdout
    assert rest == whole
    assert not path.exists()


def test_the_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "line.pt"
    with pytest.raises(RuntimeError):
        train(Line(stops_at=3), 9, progress=False, checkpoint=path, checkpoint_every=0)
    with pytest.raises(ValueError, match="rate"):
        train(Line(), 9, rate=0.2, progress=False, checkpoint=path)


def test_a_loss_that_is_no_number_stops_the_training_and_leaves_the_weights():
    class Broken(Line):
        def losses(self, update):
            yield self.weight.sum() * (math.nan if update == 2 else 1.0), {}

    trainee = Broken()
    with pytest.raises(FloatingPointError, match="update 2"):
        train(trainee, 5, progress=False)
    assert trainee.weight.isfinite().all()


def test_measures_have_names_and_a_picture():
    training = train(Line(), 12, progress=False)
    assert len(training.plot("loss", "slope").axes) == 2
    assert "12 updates" in repr(training)
    with pytest.raises(LookupError, match="slope"):
        training["slop"]


def test_cloning_finds_the_frequencies_of_what_was_done():
    """With a table for a policy, cross-entropy is least at the frequencies themselves; padding counts for nothing."""
    torch.manual_seed(0)
    seen = torch.randint(3, (400, 7))
    action = (seen[:, :6] + (torch.rand(400, 6) < 0.3)) % 3
    length = torch.randint(1, 7, (400,))
    history = History.of(action=action, reward=torch.zeros(400, 6), observation=seen, length=length)
    policy = Categorical(nn.Embedding(3, 3), 3)
    train(Cloning(policy, history, batch=400), 300, rate=0.1, progress=False)
    count = torch.zeros(3, 3)
    for row in range(400):
        for step in range(int(length[row])):
            count[seen[row, step], action[row, step]] += 1
    frequency = count / count.sum(1, keepdim=True)
    assert torch.allclose(policy.net.weight.detach().softmax(1), frequency, atol=0.01)


def test_batches_take_each_row_once_an_epoch():
    rows = torch.cat([rows_of(update, 6, 10, seed=0) for update in range(5)])
    assert [sorted(rows[k : k + 10].tolist()) for k in (0, 10, 20)] == [list(range(10))] * 3
    assert rows[:10].tolist() != rows[10:20].tolist()
    assert sorted(rows_of(0, 20, 10, seed=0).tolist()) == sorted([*range(10)] * 2)


@pytest.mark.parametrize(("arguments", "error"), [
    ({"updates": 0}, "updates"),
    ({"rate": -1.0}, "rate"),
    ({"clip_norm": math.nan}, "clip_norm"),
    ({"trainee": nn.Linear(2, 2)}, "trainee"),
])  # fmt: skip
def test_wrong_arguments_are_named(arguments, error):
    with pytest.raises((ValueError, TypeError), match=error):
        train(**({"trainee": Line(), "updates": 3, "progress": False} | arguments))


def test_weights_come_back_with_what_is_said_about_them(tmp_path):
    path, net = tmp_path / "net.npz", nn.Linear(3, 2)
    save_weights(net, path, {"width": 3})
    again = nn.Linear(read_about(path)["width"], 2)
    load_weights(again, path)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_weights_of_another_module_and_other_files_are_refused(tmp_path):
    path = tmp_path / "net.npz"
    save_weights(nn.Linear(3, 2), path)
    with pytest.raises(ValueError, match=r"'weight' as torch.float32 \(2, 3\): expected torch.float32 \(2, 4\)"):
        load_weights(nn.Linear(4, 2), path)
    with pytest.raises(ValueError, match="'bias' is in only one"):
        load_weights(nn.Linear(3, 2, bias=False), path)
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="holds no weights"):
        load_weights(nn.Linear(3, 2), path)


def test_progress_is_quiet_where_nobody_looks(capsys):
    """Not a line an update, but the first and the last."""
    train(Line(), 500, rate=0.1)
    shown = capsys.readouterr().err
    assert "500/500" in shown
    assert len(shown.replace("\r", "\n").split("\n")) < 8


def test_what_was_not_written_to_its_end_is_no_weights(tmp_path):
    path = tmp_path / "net.npz"
    save_weights(nn.Linear(3, 2), path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[150] ^= 255
    for found in (whole[: len(whole) // 2], b"", bytes(flipped)):
        path.write_bytes(found)
        with pytest.raises(ValueError, match=r"net\.npz holds no weights .* in full"):
            load_weights(nn.Linear(3, 2), path)


def test_a_loss_without_a_gradient_is_named_and_no_updates_have_no_picture():
    with torch.no_grad(), pytest.raises(ValueError, match=r"no gradient: .* under torch\.no_grad"):
        train(Line(), 3, progress=False)
    assert repr(Training({})) == "Training of 0 updates"
    with pytest.raises(ValueError, match="nothing to plot"):
        Training({}).plot()
