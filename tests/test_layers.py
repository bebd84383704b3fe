"""The rules of docs/architecture.md hold: who imports whom, where each heavy library lives, what a room costs."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("simulator", "envs", "agents")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).glob("**/*.py"))]

HOMES = {  # the only files that may import a library
    "numba": ["*/kernels.py", "*/*_kernels.py"],
    "matplotlib": ["simulator/plots.py", "simulator/report.py"],
    "mesa": ["simulator/mesa_model.py"],
    "openai": ["agents/llm*.py"],
    "stable_baselines3": ["agents/sb3.py"],
}
DEFERRED = {"pandas", "pyarrow", "minari", "ray", "loky", "cloudpickle"}  # imported inside the functions that need them


class Import(NamedTuple):
    """One imported module, by its absolute name; ``from package import module`` counts as the module."""

    file: str
    line: int
    module: str
    level: int  # leading dots in the source
    on_load: bool  # False inside a function and under TYPE_CHECKING

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def name_of(path: Path) -> str:
    """The module that a file is: simulator/draws.py is ethogram.simulator.draws."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("ethogram", *parts)).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def imports_of(path: Path) -> Iterator[Import]:
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]

    def visit(node: ast.AST, on_load: bool) -> Iterator[Import]:
        names: list[tuple[str, int]] = []
        if isinstance(node, ast.Import):
            names = [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            submodules = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in MODULES]
            whole = len(submodules) < len(node.names)
            names = [(name, node.level) for name in submodules + [base] * whole]
        for name, level in names:
            yield Import(str(path.relative_to(ROOT)), node.lineno, name, level, on_load)
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        for child in ast.iter_child_nodes(node):
            yield from visit(child, on_load and not deferred)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


IMPORTS = [found for path in FILES for found in imports_of(path)]


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "ethogram" and len(parts) > 1 else None


def is_world(path: Path) -> bool:
    """Whether a module defines a world: a class that can be reset and stepped."""
    classes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    methods = [{item.name for item in node.body if isinstance(item, ast.FunctionDef)} for node in classes]
    return any({"reset", "step"} <= names for names in methods)


def listed_in_architecture() -> dict[str, list[str]]:
    """Room -> its modules in the order in which docs/architecture.md lists them."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms: dict[str, list[str]] = {}
    for block in re.findall(r"^```\n(.*?)^```", page, re.M | re.S):
        room = ""
        for line in block.splitlines():
            if match := re.fullmatch(r"(\w+)/", line.strip()):
                room = match[1]
            elif (match := re.match(r"\s+(\w+)\.py\s{2,}\S", line)) and room in ROOMS:
                rooms.setdefault(room, []).append(f"ethogram.{room}.{match[1]}")
    return rooms


def test_the_walk_sees_imports_of_every_kind():
    """Guards the tests below: an import that the walk misses breaks no rule."""
    seen = {str(found.module) for found in IMPORTS}
    assert {"ethogram.simulator.draws", "ethogram.simulator.kernels", "numba", "torch", "matplotlib.axes"} <= seen
    assert {room_of(found.module) for found in IMPORTS if found.file.startswith("agents/")} >= {"simulator"}


def test_the_simulator_knows_no_world_and_no_agent():
    wrong = [found for found in IMPORTS if found.file.startswith("simulator/") and room_of(found.module) in ROOMS[1:]]
    assert not wrong, [str(found) for found in wrong]


def test_worlds_know_no_agent():
    wrong = [found for found in IMPORTS if found.file.startswith("envs/") and room_of(found.module) == "agents"]
    assert not wrong, [str(found) for found in wrong]


def test_agents_know_data_of_worlds_but_no_world():
    """An agent may import arrays and spaces, from a module of ``envs`` that defines no world."""
    data = {name for name, path in MODULES.items() if room_of(name) == "envs" and not is_world(path)} - {
        "ethogram.envs"
    }
    assert "ethogram.envs.mdp" in data
    assert "ethogram.envs.cascade" not in data
    wrong = [
        found
        for found in IMPORTS
        if found.file.startswith("agents/") and room_of(found.module) == "envs" and found.module not in data
    ]
    assert not wrong, [str(found) for found in wrong]


def test_imports_are_relative_inside_a_room_and_absolute_across():
    for found in IMPORTS:
        same_room = room_of(found.module) == found.file.split("/")[0]
        assert bool(found.level) == same_room or room_of(found.module) is None, str(found)


@pytest.mark.parametrize("library", HOMES)
def test_heavy_libraries_are_imported_in_their_own_files_only(library):
    homes = HOMES[library]
    users = [found for found in IMPORTS if found.module.split(".")[0] == library]
    wrong = [str(found) for found in users if not any(fnmatch(found.file, home) for home in homes)]
    assert not wrong, f"{wrong}: expected {library} in {homes} only"


def test_optional_libraries_are_imported_where_they_are_used():
    wrong = [found for found in IMPORTS if found.module.split(".")[0] in DEFERRED and found.on_load]
    assert not wrong, f"{[str(found) for found in wrong]}: expected inside a function"


@pytest.mark.parametrize("room", ROOMS)
def test_architecture_lists_every_module_after_those_it_imports(room):
    listed = listed_in_architecture()[room]
    present = {name for name in MODULES if room_of(name) == room and name != f"ethogram.{room}"}
    assert set(listed) == present, "docs/architecture.md and the folder differ in these modules"
    place = {name: listed.index(name) for name in listed}
    inside = [f for f in IMPORTS if f.on_load and name_of(ROOT / f.file) in place and f.module in place]
    late = [str(f) for f in inside if place[f.module] >= place[name_of(ROOT / f.file)]]
    assert not late, f"{late}: expected what is imported further up in docs/architecture.md"


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter holds after a statement."""
    command = [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("room", ["simulator", "agents"])
def test_importing_a_room_loads_no_heavy_library_but_numba(room):
    heavy = (set(HOMES) | DEFERRED) - {"numba"}
    assert not heavy & loaded_by(f"import ethogram.{room}")


def test_importing_the_worlds_registers_ids_and_loads_neither_torch_nor_a_world():
    loaded = loaded_by("import ethogram.envs, gymnasium\nassert 'ethogram/CascadingSession-v0' in gymnasium.registry")
    assert not {"torch", "numba"} & loaded
    assert not {name for name in loaded if name.startswith(("ethogram.envs.", "ethogram.simulator"))}


@pytest.mark.parametrize("room", ["simulator", "agents"])
def test_every_public_name_of_a_room_can_be_imported_from_it(room):
    package = importlib.import_module(f"ethogram.{room}")
    assert len(package.__all__) == len(set(package.__all__)) > 0
    for name in package.__all__:
        assert getattr(package, name).__module__.startswith(f"ethogram.{room}."), name
