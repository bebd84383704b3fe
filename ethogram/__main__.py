"""``python -m ethogram``: what there is, and its examples by name."""

import argparse
import ast
import platform
import runpy
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import gymnasium

from . import __version__, envs

PARTS = ("torch", "numpy", "numba", "gymnasium", "mesa", "networkx", "stable-baselines3")


def examples() -> dict[str, Path]:
    """Name -> file of each example."""
    (folder,) = import_module("ethogram.examples").__path__
    return {path.stem: path for path in sorted(Path(folder).glob("*.py"))}


def question(path: Path) -> str:
    """The first paragraph of an example's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def installed(name: str) -> str:
    """The name of a distribution with its version."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} not installed"


def overview() -> str:
    """What ``python -m ethogram`` prints."""
    ids = sorted(name for name in gymnasium.registry if name.startswith("ethogram/"))
    lines = [f"ethogram {__version__}, Python {platform.python_version()}, {', '.join(map(installed, PARTS))}", ""]
    lines += ["Examples: python -m ethogram NAME [--quick] [--help]"]
    lines += [f"  {name:30} {question(path)}" for name, path in examples().items()]
    lines += ["", f"Gymnasium ids: gymnasium.make(ID), after import {envs.__package__}"]
    lines += [f"  {name}" for name in ids]
    return "\n".join(lines)


def main() -> None:
    """List what there is, or run the example that the first argument names, with the arguments after it."""
    parser = argparse.ArgumentParser(prog="python -m ethogram", description="List what there is, or run an example.")
    parser.add_argument("example", nargs="?", metavar="NAME", help="an example to run; left out: list them")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of the example; --help shows them")
    asked = parser.parse_args()
    if asked.example is None:
        print(overview())
        return
    if asked.example not in examples():
        parser.error(f"no example {asked.example!r}: expected one of {', '.join(examples())}")
    sys.argv[1:] = asked.options
    runpy.run_module(f"ethogram.examples.{asked.example}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
