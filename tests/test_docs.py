"""What the README and the documentation pages show, a reader can run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def python_of(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", list(filter(python_of, PAGES)), ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {"__name__": "page"}
    for block in python_of(page):
        try:
            exec(compile(block, str(page), "exec"), scope)
        except FileNotFoundError as error:
            if page.name != "gui_browser.md":  # which needs a browser and MiniWoB++'s pages
                raise
            pytest.skip(str(error))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_the_index_of_the_documentation_lists_every_page():
    listed = re.findall(r"\]\(([^)#]+)\)", (ROOT / "docs" / "README.md").read_text())
    assert {page.name for page in (ROOT / "docs").rglob("*.md")} == {*listed, "README.md"}


def test_the_gallery_shows_every_example():
    readme = (ROOT / "README.md").read_text()
    gallery = dict(re.findall(r"^\| .*\(examples/(\w+)\.py\).*src=\"docs/pictures/(\w+)\.png\"", readme, re.MULTILINE))
    assert gallery == {path.stem: path.stem for path in (ROOT / "examples").glob("*.py")}
    for name in gallery:
        assert (ROOT / "docs" / "pictures" / f"{name}.png").stat().st_size <= 65_536


NAMES = [
    *PAGES,
    *(p for room in ("simulator", "envs", "agents", "examples", "benchmarks") for p in ROOT.glob(f"{room}/**/*.py")),
]


def test_files_and_modules_that_are_spoken_of_are_there():
    """Paths such as ``docs/mesa.md`` and modules such as ``ethogram.simulator.gym``, in prose of any kind."""
    gone = []
    for page in NAMES:
        text = page.read_text()
        paths = re.findall(r"\b((?:simulator|envs|agents|tests|examples|benchmarks|docs)/[\w/]+\.\w+)\b", text)
        modules = re.findall(r"`(ethogram\.[a-z_.]+[a-z_])`", text)
        gone += [f"{page.name}: {path}" for path in paths if not (ROOT / path).exists()]
        for module in modules:
            place = ROOT / module.removeprefix("ethogram.").replace(".", "/")
            if not place.exists() and not place.with_suffix(".py").exists():
                gone.append(f"{page.name}: {module}")
    assert not gone
