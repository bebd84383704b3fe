"""The rules of docs/architecture.md hold: which file stands where, who imports whom, what a room costs."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("simulator", "envs", "agents")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
LONGEST, MOST = 350, 12  # lines of a file, files of a folder
LONGEST_FUNCTION = 60  # lines, its docstring left out

HOMES = {  # the only files that may import a library
    "numba": ["*/kernels.py", "*/*_kernels.py"],
    "matplotlib": ["simulator/report/*.py"],
    "mesa": ["simulator/populations/mesa_model.py"],
    "openai": ["agents/llm/client.py"],
    "stable_baselines3": ["agents/sb3.py"],
}
DEFERRED = {  # imported inside the functions that need them
    *("pandas", "pyarrow", "minari", "ray", "loky", "cloudpickle", "transformers", "peft", "safetensors"),
}
DOORS = {  # a file that opens a folder or file further down inside a method: (file, what it opens)
    ("simulator/history.py", "simulator/formats/__init__.py"),
    ("simulator/history.py", "simulator/report/__init__.py"),
    ("simulator/networks/contacts.py", "simulator/networks/sums.py"),
    ("envs/people/population.py", "envs/people/tables.py"),
    ("envs/epidemics/epidemic.py", "envs/epidemics/cities.py"),
}


class Import(NamedTuple):
    """One ``import`` or ``from … import`` of a file."""

    file: str
    line: int
    module: str  # absolute
    names: tuple[str, ...]  # what is imported from it; () for a plain import
    written: str  # as it stands in the source, with its dots
    on_load: bool  # False inside a function and under TYPE_CHECKING

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {', '.join(self.names)} from {self.written or self.module}"


def imports_of(path: Path) -> Iterator[Import]:
    file = str(path.relative_to(ROOT))
    package = ["ethogram", *Path(file).parent.parts]

    def visit(node: ast.AST, on_load: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, (), alias.name, on_load)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            names, written = tuple(alias.name for alias in node.names), "." * node.level + (node.module or "")
            inside = ROOT / "/".join(module.split(".")[1:])
            for name in names:  # ``from package import module`` is an import of the module, or of the folder
                ours = (inside / f"{name}.py").exists() or (inside / name / "__init__.py").exists()
                if ours and module.startswith("ethogram"):
                    yield Import(file, node.lineno, f"{module}.{name}", (), written, on_load)
                else:
                    yield Import(file, node.lineno, module, (name,), written, on_load)
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        for child in ast.iter_child_nodes(node):
            yield from visit(child, on_load and not deferred)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


IMPORTS = [found for path in FILES for found in imports_of(path)]


def target(found: Import) -> str | None:
    """The file or face of ours that is imported: "simulator/draws.py", "simulator/networks/__init__.py"."""
    parts = found.module.split(".")
    if parts[0] != "ethogram" or len(parts) < 2:
        return None
    here = "/".join(parts[1:])
    return f"{here}.py" if (ROOT / f"{here}.py").exists() else f"{here}/__init__.py"


OURS = [(found, there) for found in IMPORTS if (there := target(found)) is not None]


def folder(file: str) -> str:
    return file.rpartition("/")[0]


def listing() -> Iterator[tuple[str, set[str], bool]]:
    """(path, folders it may import, whether it is a folder) for each line of the listing, in its order."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    room = inside = ""
    for line in re.search(r"^```\n(simulator/.*?)^```", page, re.M | re.S)[1].splitlines():
        indent, name, rest = re.fullmatch(r"( *)(\S+)\s*(.*)", line).groups()
        if name.endswith("/"):
            room, inside = (name[:-1], name[:-1]) if not indent else (room, f"{room}/{name[:-1]}")
            yield inside, {f"{room}/{other}" for other in re.findall(r"\w+", rest.removeprefix("may import"))}, True
        else:
            yield f"{room if len(indent) == 4 else inside}/{name}", set(), False


LISTED = [path for path, _, is_folder in listing() if not is_folder]
MAY = {path: may for path, may, is_folder in listing() if is_folder}


def is_world(path: Path) -> bool:
    """Whether a module defines a world: a class that can be reset and stepped."""
    classes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    methods = [{item.name for item in node.body if isinstance(item, ast.FunctionDef)} for node in classes]
    return any({"reset", "step"} <= names for names in methods)


def test_the_walk_sees_imports_of_every_kind():
    """Guards the tests below: an import that the walk misses breaks no rule."""
    seen = {there for _, there in OURS} | {found.module for found in IMPORTS}
    assert {"simulator/draws.py", "simulator/networks/__init__.py", "numba", "torch", "matplotlib.axes"} <= seen
    assert {
        there for found, there in OURS if found.module.endswith("kernels") and not found.names
    }  # from . import kernels
    assert len(OURS) > 200
    assert len(MAY) > 10


def test_every_file_is_listed_where_it_stands_and_no_file_or_folder_is_too_large():
    present = [str(path.relative_to(ROOT)) for path in FILES if path.name != "__init__.py"]
    assert sorted(LISTED) == sorted(present), "docs/architecture.md and the folders differ"
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {file: n for file, n in lines.items() if n > LONGEST}
    assert not [inside for inside in MAY if sum(folder(file) == inside for file in LISTED) > MOST]


def test_every_file_of_tests_has_a_name_of_its_own():
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []  # pytest takes the second for the first


def test_every_function_fits_a_screen():
    long = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {lines}")
    assert not long


def test_each_file_imports_only_what_is_listed_above_it():
    place = {file: number for number, file in enumerate(LISTED)}
    late = [
        str(found)
        for found, there in OURS
        if found.file in place and there in place and place[there] >= place[found.file] and found.on_load
    ]
    assert not late, f"{late}: expected what stands further up in docs/architecture.md"
    hidden = [
        str(found)
        for found, there in OURS
        if not found.on_load
        and place.get(there, -1) >= place.get(found.file, len(place))
        and (found.file, there) not in DOORS
    ]
    assert not hidden, f"{hidden}: expected a door of DOORS"


def test_a_folder_imports_the_root_of_its_room_and_the_folders_it_may():
    wrong = []
    for found, there in OURS:
        here, file = folder(found.file), found.file
        inside, face = folder(there), there.endswith("__init__.py")
        compiled = there.endswith("kernels.py")
        if here == inside or file.endswith("__init__.py") or (file, there) in DOORS:
            good = found.written.startswith(".")
        elif here.split("/")[0] == inside.split("/")[0]:  # one room: the root by file, a sister by its face
            good = found.written.startswith(".") and (inside in ROOMS or (inside in MAY[here] and (face or compiled)))
        elif here.startswith("agents") and inside.startswith("envs"):  # data, by file; which files: the next test
            good = not face
        else:
            good = inside.startswith("simulator") and (face or there == "simulator/kernels.py")
        if not good:
            wrong.append(str(found))
    assert not wrong


def test_the_simulator_knows_no_world_and_no_agent_and_worlds_know_no_agent():
    rooms = {"simulator": {"simulator"}, "envs": {"simulator", "envs"}, "agents": set(ROOMS)}
    wrong = [str(f) for f, there in OURS if there.split("/")[0] not in rooms[f.file.split("/")[0]]]
    assert not wrong


def test_agents_know_data_of_worlds_but_no_world():
    """An agent may import arrays and spaces, from a module of ``envs`` that defines no world."""
    asked = {there for found, there in OURS if found.file.startswith("agents/") and there.startswith("envs/")}
    assert "envs/sessions/mdp.py" in asked
    assert is_world(ROOT / "envs/sessions/cascade.py")
    assert not {there for there in asked if is_world(ROOT / there)}


@pytest.mark.parametrize("library", HOMES)
def test_heavy_libraries_are_imported_in_their_own_files_only(library):
    homes = HOMES[library]
    users = [found for found in IMPORTS if found.module.split(".")[0] == library]
    wrong = [str(found) for found in users if not any(fnmatch(found.file, home) for home in homes)]
    assert not wrong, f"{wrong}: expected {library} in {homes} only"


def test_optional_libraries_are_imported_where_they_are_used():
    wrong = [found for found in IMPORTS if found.module.split(".")[0] in DEFERRED and found.on_load]
    assert not wrong, f"{[str(found) for found in wrong]}: expected inside a function"


def test_every_folder_is_packed():
    """One that is not named in pyproject.toml imports well when editable, and is missing from the wheel."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    folders = {"ethogram." + folder(str(p.relative_to(ROOT))).replace("/", ".") for p in FILES}
    assert sorted(named) == sorted({"ethogram", "ethogram.examples", *folders})


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter holds after a statement."""
    command = [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("room", ["simulator", "agents", "simulator.populations", "envs.epidemics"])
def test_importing_a_room_loads_no_heavy_library_but_numba(room):
    heavy = (set(HOMES) | DEFERRED) - {"numba"}
    assert not heavy & loaded_by(f"import ethogram.{room}")


def test_importing_the_worlds_registers_ids_and_loads_neither_torch_nor_a_world():
    loaded = loaded_by("import ethogram.envs, gymnasium\nassert 'ethogram/CascadingSession-v0' in gymnasium.registry")
    assert not {"torch", "numba"} & loaded
    assert not {name for name in loaded if name.startswith(("ethogram.envs.", "ethogram.simulator"))}


@pytest.mark.parametrize("face", [path for path in MAY if path != "envs"])
def test_every_public_name_of_a_face_can_be_imported_from_it(face):
    module = f"ethogram.{face.replace('/', '.')}"
    package = importlib.import_module(module)
    assert len(package.__all__) == len(set(package.__all__)) > 0
    for name in package.__all__:
        assert hasattr(package, name), f"{module} has no {name}"
