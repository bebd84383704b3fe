"""Long runs of a city lose nothing: killed at any moment, or with a full disk, they go on to the same bits."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from ethogram.agents.citizens import Heuristic
from ethogram.envs.epidemics import Epidemic, Measures
from ethogram.envs.people import city_layers, synthetic_city
from ethogram.simulator import Do, Record, rollout

N, DAYS = 2000, 60

RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import resource, signal
import torch
from test_population_runs import whole_run

class Told:
    days = 0

    def __fingerprint__(self):
        return "told"  # which counts the days, and makes no difference to anything

    def __call__(self, value):
        self.days += 1
        if len(sys.argv) > 4 and self.days == int(sys.argv[4]):  # from this day on the disk is full
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        print("day", flush=True)
        return value.sum()

history = whole_run(Told(), checkpoint=sys.argv[2], checkpoint_every=0)
torch.save((history.columns, history.series), sys.argv[3])
"""


def whole_run(told, **how):
    people = synthetic_city(N, seed=1)
    world = Epidemic(
        city_layers(people, daily=2, seed=1),
        people["age"],
        people["area"],
        measures=Measures(vaccination=0.01, announced=5),
        initial=0.02,
    )
    interventions = [
        Do("attends_school", 0.0, start=10),
        Do("vaccination", 0.2, start=20, who=people["age"] >= 60),
    ]
    record = [
        "infected",
        Record("died", reduce=told),
        Record("jobless", reduce="mean"),
        Record("isolates", reduce="sum", by=people["area"]),
    ]
    return rollout(world, Heuristic(), rows=N, horizon=DAYS, seed=9, interventions=interventions, record=record, **how)


def command(tmp_path, *more):
    here = os.path.dirname(__file__)
    return [sys.executable, "-c", RUN, here, str(tmp_path / "city.checkpoint"), str(tmp_path / "out.pt"), *more]


def assert_whole(tmp_path):
    whole = whole_run(lambda value: value.sum())
    columns, series = torch.load(tmp_path / "out.pt", weights_only=True)
    for found, expected in ((columns, whole.columns), (series, whole.series)):
        assert found.keys() == expected.keys()
        for name, column in expected.items():
            for part in column if isinstance(column, dict) else [None]:
                a, b = (c if part is None else c[part] for c in (found[name], column))
                assert torch.equal(a, b), (name, part)
    assert whole.column("infected").sum() > 50


def test_a_city_killed_at_random_moments_goes_on_to_the_same_bits(tmp_path):
    for days, moment in ((7, 0.004), (18, 0.0)):
        process = subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, text=True)
        for _ in range(days):
            process.stdout.readline()
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert (tmp_path / "city.checkpoint").exists()
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout.count("day") < DAYS - 20  # only what was left
    assert_whole(tmp_path)
    assert not (tmp_path / "city.checkpoint").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="limits on the size of files are POSIX's")
def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path):
    """Half way through, files can no longer grow."""
    first = subprocess.run(command(tmp_path, "30"), capture_output=True, text=True, check=False)
    assert first.returncode != 0
    assert "could not be written" in first.stderr
    assert "is whole" in first.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["city.checkpoint"]  # no half-written file beside it
    assert first.stdout.count("day") == 30
    again = subprocess.run(command(tmp_path), capture_output=True, text=True, check=True)
    assert again.stdout.count("day") == DAYS - 29  # the 30th was run, but not saved
    assert_whole(tmp_path)
