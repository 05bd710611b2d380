"""Collections: presets that are run together, over several seeds, such as the paper's."""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from brainleaks.data import DATASETS
from brainleaks.data.files import data_folder
from brainleaks.errors import InputError
from brainleaks.pipeline.cache import Cache
from brainleaks.pipeline.loading import load_dataset
from brainleaks.studies.reading import load_study


class Cell(NamedTuple):
    """A preset of a collection.

    ``why`` explains where it departs from the printed figures; ``note`` is what its figures are
    never shown without; ``settings`` are its own changes of the preset.
    """

    preset: str
    why: str = ""
    note: str = ""
    settings: tuple[str, ...] = ()


class Collection(NamedTuple):
    """Presets that are run together.

    ``settings`` change each of its studies; ``title`` heads the table, ``page`` names its
    file, and ``picture`` the figure, if there is one, of whose rows in ``figure`` the first preset
    that was run is shown. Where defences are swept, the table is ``frontier``.
    """

    name: str
    description: str
    settings: tuple[str, ...]
    title: str
    page: str
    cells: list[Cell]
    picture: str = ""
    figure: Sequence[list[str]] = ()
    frontier: bool = False


def collection(name: str) -> Collection:
    """Read a collection from its file; of a sweep, every preset with every list of defences."""
    source = resources.files("brainleaks.campaigns") / "collections" / f"{name}.yaml"
    content = yaml.safe_load(source.read_text(encoding="utf-8"))
    cells = [
        Cell(**cell)._replace(settings=tuple(cell.get("settings", ())))
        for cell in content.pop("cells")
    ]
    settings = tuple(content.pop("settings"))
    if sweep := content.pop("sweep", None):
        swept = [_with_defences(cell, *chosen) for cell in cells for chosen in sweep.items()]
        return Collection(name=name, settings=settings, cells=swept, frontier=True, **content)
    return Collection(name=name, settings=settings, cells=cells, **content)


def _with_defences(cell: Cell, label: str, defences: list[dict[str, Any]]) -> Cell:
    settings = (f"name={cell.preset}-{label}", f"defences={json.dumps(defences)}")
    return cell._replace(settings=settings)


def left_out(preset: str, data_dir: Path | None, cache: Cache) -> str | None:
    """Why a preset cannot be run on all the data that it asks for, or ``None`` if it can."""
    study, base = load_study(preset), data_folder(data_dir)
    source = DATASETS[study.data_name]
    if not source.present(base):
        name = study.data_name
        return f"{name} is not in the data folder (brainleaks data fetch {name})"
    try:
        # whole: a prior's classes are set apart afterwards
        dataset = load_dataset(study.model_copy(update={"prior": None}), base, cache)
    except InputError as error:
        return str(error)
    found = (len(dataset.train.labels), len(dataset.test.labels))
    subset = study.subset
    wanted = (subset.train, subset.test) if subset else source.SIZE
    if wanted is not None and found != wanted:
        whole = " + ".join(f"{n:,}" for n in wanted)
        return f"only {found[0]:,} + {found[1]:,} of {study.data_name}'s {whole} samples are there"
    return None
