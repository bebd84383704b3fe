"""``import ethogram``: common names on first use, and ``python -m ethogram``."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import ethogram

ROOT = Path(__file__).parents[1]


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, cwd=ROOT)


def test_each_name_is_that_of_its_room():
    for name, place in ethogram._PLACE_OF.items():
        assert getattr(ethogram, name) is getattr(import_module(f"ethogram.{place}"), name)
    assert set(ethogram.__all__) <= set(dir(ethogram))


def test_type_checkers_see_the_same_names():
    (block,) = [node for node in ast.parse(Path(ethogram.__file__).read_text()).body if isinstance(node, ast.If)][1:2]
    seen = {alias.asname or alias.name for node in block.body for alias in node.names}
    assert seen == set(ethogram.__all__) - {"envs"}


def test_a_name_that_is_not_there_says_what_there_is():
    with pytest.raises(AttributeError, match=r"has no 'rolout': expected one of .*rollout"):
        _ = ethogram.rolout


def test_import_loads_no_torch_and_registers_the_ids():
    code = "import sys, gymnasium, ethogram; assert 'torch' not in sys.modules; gymnasium.spec('ethogram/Adoption-v0')"
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


def test_the_program_lists_examples_ids_and_versions():
    said = run("-m", "ethogram").stdout
    assert f"ethogram {ethogram.__version__}" in said
    assert "torch 2" in said
    assert "ethogram/CascadingSession-v0" in said
    assert all(path.stem in said for path in (ROOT / "examples").glob("*.py"))


def test_the_program_runs_an_example_with_its_options():
    assert "--seeds" in run("-m", "ethogram", "plug_in_a_policy", "--help").stdout


def test_the_program_refuses_an_unknown_example():
    done = run("-m", "ethogram", "plugin")
    assert done.returncode == 2
    assert "no example 'plugin': expected one of a_nudge_spreads" in done.stderr
