"""Runs in processes and on Ray give the same numbers as here; killed workers are replaced, and nothing is lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.simulator import Do, Processes, Ray, Setup, contrast, ensemble
from ethogram.simulator.networks import small_world

N = 200
WORLD = Adoption(small_world(N, 6, 0.1))
SETUP = Setup(WORLD, Fixed(0.0), rows=N, horizon=10)
NUDGED = [Do("propensity", lambda p: p.clamp(min=0.3), who=torch.arange(N) < 10)]
RUN = {"setup": SETUP, "seeds": range(4), "scenarios": {"as it is": (), "nudged": NUDGED}}


def adopters(history):
    return history.observation[:, :, 0].double().mean(0)


def same(a, b):
    return all(torch.equal(a.values[name], b.values[name]) for name in RUN["scenarios"])


def killed_once(folder):
    """An outcome whose first run to get there takes its worker with it."""

    def outcome(history):
        try:
            os.mkdir(folder / "killed")
        except FileExistsError:
            return adopters(history)
        os.kill(os.getpid(), signal.SIGKILL)

    return outcome


@pytest.fixture(scope="module")
def ray():
    """Ray on loopback with two workers, for this module."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ethogram[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    yield ray
    ray.shutdown()


def test_processes_give_the_same_numbers():
    assert same(ensemble(**RUN, outcome=adopters, backend=Processes(2)), ensemble(**RUN, outcome=adopters))


def test_ray_gives_the_same_numbers(ray):
    assert same(ensemble(**RUN, outcome=adopters, backend=Ray(2)), ensemble(**RUN, outcome=adopters))


def test_a_killed_process_is_replaced(tmp_path):
    found = ensemble(**RUN, outcome=killed_once(tmp_path), backend=Processes(2))
    assert (tmp_path / "killed").exists()
    assert same(found, ensemble(**RUN, outcome=adopters))


def test_a_killed_ray_worker_is_replaced(ray, tmp_path):
    found = ensemble(**RUN, outcome=killed_once(tmp_path), backend=Ray(2))
    assert (tmp_path / "killed").exists()
    assert same(found, ensemble(**RUN, outcome=adopters))


def test_workers_that_keep_dying_are_an_error():
    def outcome(history):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(RuntimeError, match="lost its worker 2 times"):
        ensemble(**RUN, outcome=outcome, backend=Processes(2, retries=1))


def test_an_error_in_a_run_is_that_error(ray):
    def outcome(history):
        raise ArithmeticError("no such number")

    for backend in (None, Processes(2), Ray(2)):
        with pytest.raises(ArithmeticError, match="no such number"):
            ensemble(**RUN, outcome=outcome, backend=backend)


def test_effects_in_processes_are_effects():
    how = {"outcome": lambda h: adopters(h)[-1], "seeds": range(4)}
    here, there = contrast(SETUP, NUDGED, **how), contrast(SETUP, NUDGED, **how, backend=Processes(2))
    assert torch.equal(here.difference, there.difference)


@pytest.mark.parametrize("backend", [None, Processes(1)])
def test_an_interrupted_ensemble_goes_on_where_it_was(backend, tmp_path):
    """The first try breaks off at the fifth run; the second one runs only what is left, and ends with the same."""
    file = tmp_path / "saved.pt"

    def outcome(history, folder=tmp_path):
        number = len(list(Path(folder).glob("run*")))
        (Path(folder) / f"run{time.monotonic_ns()}").touch()
        if number == 4 and not (Path(folder) / "broken").exists():
            (Path(folder) / "broken").touch()
            raise KeyError("interrupted")
        return adopters(history)

    how = {"backend": backend, "checkpoint": file, "checkpoint_every": 0}
    with pytest.raises(KeyError, match="interrupted"):
        ensemble(**RUN, outcome=outcome, **how)
    assert file.exists()
    found = ensemble(**RUN, outcome=outcome, **how)
    assert same(found, ensemble(**RUN, outcome=adopters))
    if backend is None:  # a process may have gone on with others before it was stopped
        assert len(list(tmp_path.glob("run*[0-9]"))) == 5 + 4  # one of five was lost
    assert not file.exists()


def test_unknown_backends_are_refused():
    for backend in ("processes", Processes):
        with pytest.raises(TypeError, match=r"expected Processes\(\), Ray\(\), or None for here"):
            ensemble(**RUN, outcome=adopters, backend=backend)
    with pytest.raises(ValueError, match="workers is 0"):
        Processes(workers=0)


WORKER = """
import os, time
import cloudpickle
from ethogram.simulator.whatif import backends

backends._begin(cloudpickle.dumps(None), os.getppid())
print(os.getpid(), flush=True)
time.sleep(100)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_a_worker_at_work_goes_when_its_parent_is_killed():
    """A plain process as its parent, since loky's would at times take its workers with it."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, WORKER], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 6  # it looks every second
    try:
        while is_running(worker):
            assert time.monotonic() < deadline, "the worker goes on without its parent"
            time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def is_running(worker):
    """Neither gone nor a zombie that nobody has fetched."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
