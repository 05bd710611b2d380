"""``make notebooks``: execute the notebooks, and write them with what they show."""

import argparse
import os
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
NAMES = (
    "MNIST_ANN_Attack_and_Evaluation",
    "MNIST_SNN_Attack",
    "MNIST_SNN_Evaluation",
    "Face_ANN_Attack_and_Evaluation",
    "Face_SNN_Attack_and_Evaluation",
    "NMNIST_SNN_Attack_and_Evaluation",
    "DVSGesture_SNN_Attack_and_Evaluation",
    "Audit_in_Python",
)
QUICK = "import quick\n\nSETTINGS = quick.settings(PRESET)  # reduced: a test, not a result"


def main() -> None:
    parser = argparse.ArgumentParser(description="Execute the notebooks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of them by default")
    parser.add_argument("--out", type=Path, default=FOLDER / "rendered")
    parser.add_argument("--quick", action="store_true", help="tiny networks: seconds, no results")
    arguments = parser.parse_args()
    if arguments.quick and arguments.out == FOLDER / "rendered":
        parser.error("--quick needs another --out: rendered/ holds results")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NAMES:
        notebook = jupytext.read(FOLDER / f"{name}.py")
        if arguments.quick:
            _reduce(notebook)
        _execute(notebook)
        place = arguments.out / f"{name}.ipynb"
        nbformat.write(notebook, place)
        print(place)


def _execute(notebook: nbformat.NotebookNode) -> None:
    """Run every cell beside this file; the first that fails ends it all with its traceback."""
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
        extra_arguments=["--log-level=ERROR"],  # or each says that it listens on this machine
    )
    client.execute(env=os.environ | {"PYTHONWARNINGS": "ignore:IProgress not found"})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # named at random when read; the diff shall show what changed


def _reduce(notebook: nbformat.NotebookNode) -> None:
    """Follow the parameters, if there are any, by settings that make them small."""
    cells = notebook.cells
    for i, cell in enumerate(cells):
        if "parameters" in cell.metadata.get("tags", ()):
            cells.insert(i + 1, nbformat.v4.new_code_cell(QUICK))
            break


if __name__ == "__main__":
    main()
