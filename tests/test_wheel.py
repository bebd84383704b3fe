"""What is built is what stands in the tree: each package with its py.typed, and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("simulator", "envs", "agents")
FRONT = ("ethogram", "examples")
pytestmark = pytest.mark.slow  # builds in an isolated environment


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True)
    return folder


def sources() -> set[str]:
    """Files of the packages that git knows of, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FRONT, *ROOMS]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return {name for name in tracked if (ROOT / name).exists()}


def test_the_wheel_holds_the_packages_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {f"ethogram/{name.removeprefix('ethogram/')}" for name in sources()}
    assert {"ethogram/py.typed", *(f"ethogram/{room}/py.typed" for room in ROOMS)} <= names


def test_the_wheel_carries_the_licence(built):
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (licence,) = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
    assert archive.read(licence).startswith(b"MIT License")


def test_the_sdist_holds_the_packages_and_no_tests(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources() | {"pyproject.toml", "README.md", "LICENSE"} <= names
    assert not [name for name in names if name.startswith("tests")]
