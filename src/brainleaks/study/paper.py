"""The paper as one study: every preset that belongs to it, over several seeds."""

from importlib import resources
from pathlib import Path
from typing import NamedTuple

import yaml

from brainleaks.data import DATASETS
from brainleaks.data.files import data_folder
from brainleaks.errors import InputError
from brainleaks.study.config import load_study
from brainleaks.study.loading import load_dataset
from brainleaks.study.store import Store


class Cell(NamedTuple):
    """A preset of the paper's study.

    ``why`` explains where it departs from the printed figures; ``note`` is what its figures are
    never shown without.
    """

    preset: str
    why: str = ""
    note: str = ""


class Paper(NamedTuple):
    """The paper's study: its cells, and whose pictures make its central figure.

    Of each row of ``figure``, the first preset that was run is shown.
    """

    cells: list[Cell]
    figure: list[list[str]]


def paper() -> Paper:
    """The paper's study, as ``paper.yaml`` has it."""
    source = resources.files("brainleaks.study") / "paper.yaml"
    content = yaml.safe_load(source.read_text(encoding="utf-8"))
    return Paper([Cell(**cell) for cell in content["cells"]], content["figure"])


def left_out(preset: str, data_dir: Path | None, store: Store) -> str | None:
    """Why a preset cannot be run on the whole of its data, or ``None`` if it can."""
    study, base = load_study(preset), data_folder(data_dir)
    source = DATASETS[study.data_name]
    if not source.present(base):
        name = study.data_name
        return f"{name} is not in the data folder (brainleaks data fetch {name})"
    try:
        dataset = load_dataset(study, base, store)
    except InputError as error:
        return str(error)
    found = (len(dataset.train.labels), len(dataset.test.labels))
    if source.SIZE is not None and found != source.SIZE:
        whole = " + ".join(f"{n:,}" for n in source.SIZE)
        return f"only {found[0]:,} + {found[1]:,} of {study.data_name}'s {whole} samples are there"
    return None
