"""The notebooks run, at a reduced size, and show what they promise."""

import base64
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import pytest
from PIL import Image

FOLDER = Path(__file__).parent.parent / "notebooks"
#: How many pictures each shows, and which of them moves.
PICTURES = {
    "MNIST_ANN_Attack_and_Evaluation": (5, None),
    "MNIST_SNN_Attack": (5, None),
    "MNIST_SNN_Evaluation": (3, None),
    "Face_ANN_Attack_and_Evaluation": (4, None),
    "Face_SNN_Attack_and_Evaluation": (4, None),
    "NMNIST_SNN_Attack_and_Evaluation": (6, 4),
    "DVSGesture_SNN_Attack_and_Evaluation": (6, 4),
}
#: Needs no data, and is not reduced.
AUDIT = "Audit_in_Python"
STREAMS = (
    ("MNIST_ANN_Attack_and_Evaluation", "Face_ANN_Attack_and_Evaluation",
     "NMNIST_SNN_Attack_and_Evaluation"),
    ("Face_SNN_Attack_and_Evaluation", "DVSGesture_SNN_Attack_and_Evaluation"),
)  # fmt: skip


def render(out: Path, cache: Path, *names: str) -> list[Path]:
    """Execute notebooks as ``make notebooks`` does, and list what is in the store then."""
    env = os.environ | {"BRAINLEAKS_STORE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, FOLDER / "render.py", "--quick", "--out", out, *names]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return sorted(cache.rglob("*"))


@pytest.fixture(scope="module")
def rendered(real_data, tmp_path_factory):
    """The folder of the executed notebooks, and the store after the two of MNIST's SNN."""
    base = tmp_path_factory.mktemp("notebooks")
    out = base / "out"

    def mnist_snn():
        names = ("MNIST_SNN_Attack", "MNIST_SNN_Evaluation")
        stores = [render(out, base / "store", name) for name in names]
        render(out, base / "store", *STREAMS[0])
        return stores

    with ThreadPoolExecutor() as pool:
        stores = pool.submit(mnist_snn)
        pool.submit(render, out, base / "other", *STREAMS[1]).result()
    return out, stores.result()


def test_all_are_there():
    assert {path.stem for path in FOLDER.glob("*_*.py")} == {*PICTURES, AUDIT}


@pytest.mark.parametrize("name", [*PICTURES, AUDIT])
def test_what_is_rendered_is_what_the_source_says(name):
    """Whoever changes a notebook's source renders it again."""
    source, shown = (
        [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]
        for path in (FOLDER / f"{name}.py", FOLDER / "rendered" / f"{name}.ipynb")
    )
    assert shown == source


@pytest.mark.data
@pytest.mark.parametrize("name", PICTURES)
def test_runs_and_shows_its_pictures(rendered, name):
    cells = json.loads((rendered[0] / f"{name}.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]

    shown = [o["data"] for o in outputs if "data" in o]
    pictures = [Image.open(io.BytesIO(base64.b64decode(d["image/png"])))
                for d in shown if "image/png" in d]  # fmt: skip
    count, moving = PICTURES[name]
    assert len(pictures) == count
    assert [i for i, p in enumerate(pictures) if getattr(p, "n_frames", 1) > 1] == (
        [] if moving is None else [moving]
    )
    assert all(p.convert("L").getextrema()[0] < p.convert("L").getextrema()[1] for p in pictures)

    texts = ["".join(d["text/markdown"]) for d in shown if "text/markdown" in d]
    assert any(text.startswith("```python\n") for text in texts)
    assert any(text.startswith("| attack |") for text in texts) == ("Evaluation" in name)


@pytest.mark.data
def test_the_evaluation_of_mnist_makes_nothing_that_its_attack_did_not(rendered):
    after_attack, after_evaluation = rendered[1]
    assert len(after_attack) > 4
    assert after_evaluation == after_attack


def test_the_audit_in_python(tmp_path):
    """A newcomer's thirty lines: results show themselves, as tables and as figures."""
    render(tmp_path / "out", tmp_path / "store", AUDIT)
    cells = json.loads((tmp_path / "out" / f"{AUDIT}.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    lines = [line for cell in code for line in cell["source"] if line.strip()]
    assert len(lines) <= 40
    outputs = [output for cell in code for output in cell["outputs"]]
    assert [sorted(output["data"]) for output in outputs] == [
        ["text/html", "text/plain"],
        ["text/html", "text/plain"],
        ["image/png", "text/plain"],
        ["image/png", "text/plain"],
    ]
    shown = "".join(outputs[0]["data"]["text/html"])
    assert "smooth-inversion" in shown
    assert shown.count("<img ") == 30
    assert "recognisable class content" in "".join(outputs[1]["data"]["text/plain"])
