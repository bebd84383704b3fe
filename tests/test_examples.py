"""Each example and benchmark answers --help, at once and without running."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ethogram.envs.sessions import trap

ROOT = Path(__file__).parents[1]
SCRIPTS = [
    path
    for folder in ("examples", "benchmarks")
    for path in sorted((ROOT / folder).glob("**/*.py"))
    if path.parent.name != "small" and path.name != "claims.py"  # parts of small_runs.py, of ..._claims.py
]

# All in one process, because importing torch takes longer than all the rest.
ASK_ALL = """
import contextlib, io, json, os, runpy, sys
answers = {}
for path in sys.argv[1:]:
    sys.argv, said = [path, "--help"], io.StringIO()
    sys.path[0] = os.path.dirname(path)  # as python has it
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(path, run_name="__main__")
        status = "went on to run"
    except SystemExit as end:
        status = end.code
    answers[path] = [status, said.getvalue()]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Script -> (exit status, what it printed)."""
    command = [sys.executable, "-c", ASK_ALL, *map(str, SCRIPTS)]
    folder = tmp_path_factory.mktemp("empty")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir()), "asking for help left files behind"
    return json.loads(done.stdout)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_script_explains_itself(path, answers):
    status, said = answers[str(path)]
    assert status == 0
    assert said.startswith("usage:")
    if path.parent.name == "examples":
        assert "--quick" in said


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("your_own_*.py")), ids=lambda path: path.stem)
def test_what_is_your_own_takes_forty_lines_at_most(script):
    assert len(script.read_text().splitlines()) <= 40


def test_a_world_of_your_own_takes_fewer_than_25_lines():
    lines = (ROOT / "examples" / "your_own_world.py").read_text().splitlines()
    rest = lines[lines.index("class Lake:") :]
    assert next(i for i, line in enumerate(rest) if i and line[:1].strip()) < 25
    assert "make_vec_env(" in "".join(rest)
    assert "check_world(" in "".join(rest)


def test_your_own_log_reads_the_log_it_writes(tmp_path):
    script = ROOT / "examples" / "your_own_log.py"
    for log in ([], ["own/your_own_log.csv"]):
        command = [sys.executable, str(script), *log, "--quick", "--out", "own"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Clicks a list under the new ranking: 0.7" in done.stdout.splitlines()[-1]
    assert {path.name for path in tmp_path.glob("own/*")} == {"your_own_log.csv", "your_own_log.png"}


def test_the_first_example_compares_its_agents_over_the_same_sessions():
    example = runpy.run_path(str(ROOT / "examples" / "movielens_sessions.py"))
    agents = example["learn"](trap(), 400, 2, 0.01)
    stateless = example["learn_without_states"](trap(), 400, 2)
    assert {tuple(stateless.shape), *((len(found), len(found[0].value)) for found in agents.values())} == {(2, 400)}
    best = example["recommenders"](trap())
    assert best["state-free"] < best["myopic"] < stateless.max() < best["optimal"]


def test_claims_go_on_from_the_seeds_that_are_kept(tmp_path, capsys):
    claims = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "gui" / "claims.py")))
    kept, asked = tmp_path / "rows.jsonl", []

    def one_seed(seed):
        asked.append(seed)
        yield {"a, right": 0.5 + 0.1 * seed}
        yield {"b, right": 0.4 + 0.1 * seed + 0.01 * (seed % 2)}

    kept.write_text('{"seed": 1, "a, right": 0.6}\n')  # stopped before it had all
    names = ("a, right", "b, right")
    for seeds in (range(2), range(3)):
        rows = claims.rows_of(seeds, one_seed, names, kept)
    assert sorted(asked) == [0, 1, 2]
    assert [claims.column(sorted(rows, key=lambda row: row["seed"]), name).tolist() for name in names] == [
        pytest.approx([0.5, 0.6, 0.7]),
        pytest.approx([0.4, 0.51, 0.6]),
    ]
    said = [claims.Claim("more", "right", *ways) for ways in ("ab", "ba", "ac")]
    claims.show_claims(rows, [*said, claims.Claim("as much", "right", "a", "b", equal=True)])
    verdicts = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert verdicts == ["holds", "reversed", "measured", "fails"]


def test_gui_memory_shows_a_recorded_session_or_says_where_one_is_shown(tmp_path, monkeypatch):
    """Of the sessions it takes one that was done, with the most kinds of actions."""
    page = SimpleNamespace(**runpy.run_path(str(ROOT / "examples" / "gui_memory.py"))).recorded_page
    click, press = {"action": {"type": "click", "x": 20, "y": 30}}, {"action": {"type": "press", "key": "Enter"}}
    taps = {"task": "click-test", "goal": "Click it.", "steps": [click] * 3, "episode_id": "a"}
    mixed = {**taps, "goal": "Click and press.", "steps": [click, press], "episode_id": "b"}
    failed = {**mixed, "goal": "In vain.", "steps": [click, press, click], "episode_id": "c", "raw_reward": -1}
    path = tmp_path / "demos.jsonl"
    path.write_text("\n".join(map(json.dumps, (taps, failed, mixed))))
    said = page("miniwob", path, tmp_path / "page.html")
    assert said == f"A recorded session of 2 steps ('Click and press.'): {tmp_path / 'page.html'}"
    assert "Click and press." in (tmp_path / "page.html").read_text()
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert "replay_human_demos" in page("android_control", None, tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        page("android_control", tmp_path / "nowhere", tmp_path / "none.html")
