"""What the documentation shows is run, and what it names is there."""

import ast
import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

from brainleaks.defences import DEFENCES

ROOT = Path(__file__).parent.parent
MODULES = (
    "attacks.inversion.boundary",
    "attacks.inversion.brainleaks_v1",
    "attacks.inversion.brainleaks_v2",
    "attacks.inversion.evolution",
    "attacks.inversion.fredrikson",
    "attacks.inversion.gamin",
    "attacks.inversion.statistics_inversion",
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    found = doctest.testmod(import_module(f"brainleaks.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


def test_readme_example(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert "torch.Size([25, 10, 1, 28, 28])" in capsys.readouterr().out


def test_defences_example():
    text, found = (ROOT / "docs" / "reduce.md").read_text(), {}
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "reduce.md", "exec"), found)
    assert 7.5 < found["spent"]["dp-sgd"]["epsilon"] <= 8
    assert len(found["stored"].fc1.weight[0].unique()) <= 15


def test_every_defence_is_explained():
    names = set(
        re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs" / "reduce.md").read_text(), re.M)
    )
    assert names == set(DEFENCES)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_every_room_is_on_the_map():
    text = (ROOT / "docs" / "architecture.md").read_text()
    for path in (ROOT / "src" / "brainleaks").iterdir():
        if path.suffix == ".py" and not path.name.startswith("__"):
            assert f"`{path.name}`" in text, path.name
        elif path.is_dir() and path.name != "__pycache__":
            assert f"`{path.name}/`" in text, path.name


def test_imports_follow_the_map():
    """A room imports only rooms in rows below its own."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", text, re.MULTILINE)
    place = {room: row for row, room in enumerate(rows)}
    package = ROOT / "src" / "brainleaks"
    wrong = []
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("brainleaks."):
                other = str(node.module).split(".")[1]
                if {room, other} <= place.keys() and place[other] < place[room]:
                    wrong.append(f"{path.relative_to(package)} imports {other}")
    assert len(place) > 15
    assert not wrong
