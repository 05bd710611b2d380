"""What the documentation shows is run, and what it names is there."""

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = (
    "attacks.boundary",
    "attacks.brainleaks_v1",
    "attacks.brainleaks_v2",
    "attacks.evolution",
    "attacks.fredrikson",
    "attacks.gamin",
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


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_every_room_is_on_the_map():
    text = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "src" / "brainleaks"
    for path in package.iterdir():
        if path.suffix == ".py" and not path.name.startswith("__"):
            listed = {
                "_gpu.py": "exact_on_gpu",
                "_memory.py": "keep_freed_memory",
                "_threads.py": "number of threads",
            }
            assert listed.get(path.name, path.name) in text, path.name
        elif path.is_dir() and path.name != "__pycache__":
            assert f"{path.name}/" in text, path.name
