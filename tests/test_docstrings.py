"""Whatever a reader can reach says what it is: every public module, class, function and method has a docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for room in ("simulator", "envs", "agents") for path in sorted((ROOT / room).glob("**/*.py"))]
SCRIPTS = [
    path
    for folder in ("examples", "benchmarks")
    for path in sorted((ROOT / folder).glob("**/*.py"))
    if path.parent.name != "small" and path.name != "claims.py"  # parts of small_runs.py, of ..._claims.py
]


def undocumented(node: ast.Module | ast.ClassDef, inside: str) -> Iterator[str]:
    """Names, by their path from the module, of public definitions without a docstring."""
    for item in node.body:
        if not isinstance(item, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or item.name.startswith("_"):
            continue
        if "overload" in map(ast.unparse, item.decorator_list):
            continue
        if not ast.get_docstring(item):
            yield f"{inside}.{item.name}"
        if isinstance(item, ast.ClassDef):
            yield from undocumented(item, f"{inside}.{item.name}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_definition_has_a_docstring(path):
    module = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(module), f"{path.name} has no docstring"
    assert not list(undocumented(module, path.stem))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_script_says_how_to_run_it(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert f"python {path.relative_to(ROOT)}" in text, "expected a docstring with the command that runs the script"
    if path.parent.name == "examples":
        assert "?" in text.splitlines()[0], "expected the first line of an example to be the question it answers"


def test_a_missing_docstring_is_found():
    source = '"""m"""\nclass A:\n    """a"""\n    def f(self): ...\n    def _g(self): ...\ndef h(): ...\n'
    assert list(undocumented(ast.parse(source), "m")) == ["m.A.f", "m.h"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_say_what_a_thing_is_or_does(path):
    """A first line that begins with "What", "Of" or "That" is half a sentence about something else."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    texts = [ast.get_docstring(n) or "" for n in nodes if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    assert not [text.splitlines()[0] for text in texts if text.startswith(("What ", "Of ", "That "))]
