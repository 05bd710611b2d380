"""``make recognisable``: from which likeness on do people recognise a reconstruction?

Trains small networks, attacks them, and compares two opinions of every picture: the digit that one
of the authors named, blind (``benchmarks/names.yaml``), and the likeness that decides level 2 of
the verdict. Writes ``docs/recognisable.md``. ``--sheets FOLDER`` writes the numbered pictures, to
be named anew.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from brainleaks.data.files import data_folder
from brainleaks.data.parts import parts
from brainleaks.evaluation.class_content import RECOGNISABLE
from brainleaks.evaluation.controls import class_means
from brainleaks.evaluation.judge import scale_each
from brainleaks.evaluation.likeness import blurred, correlations
from brainleaks.evaluation.panel import as_rates
from brainleaks.files import atomic
from brainleaks.pipeline import Cache
from brainleaks.pipeline.loading import load_dataset
from brainleaks.pipeline.pipeline import Pipeline
from brainleaks.pipeline.provenance import machine
from brainleaks.studies import load_study

#: Attacks were tuned on seeds from 100 on, and are reported on 0 to 4.
SEED = 100
NAMES = Path(__file__).with_name("names.yaml")
_RESAMPLES = 2000
_SIDE, _COLUMNS, _ROWS = 112, 12, 6


class Case(NamedTuple):
    """One attack on one study: a picture and its likeness for each class."""

    study: str
    attack: str
    pictures: NDArray[np.float32]
    relative: NDArray[np.float64]


def main() -> None:
    """Write the page, or the sheets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheets", type=Path, help="write numbered pictures there instead")
    parser.add_argument("--out", type=Path, default=Path("docs/recognisable.md"))
    options = parser.parse_args()
    content = yaml.safe_load(NAMES.read_text())
    cases = {name: list(_cases(name, **study)) for name, study in content["studies"].items()}
    if options.sheets:
        for number, studies in enumerate(content["sheets"], 1):
            _write_sheets(options.sheets, number, [c for name in studies for c in cases[name]])
        return
    every = [case for found in cases.values() for case in found]
    right = [_right(content["names"][case.study][case.attack]) for case in every]
    atomic.write_text(options.out, _page(every, right))


def _cases(name: str, preset: str, settings: list[str]) -> Iterator[Case]:
    study, cache = load_study(preset, tuple(settings)), Cache()
    dataset = load_dataset(study, data_folder(None), cache)
    pipeline = Pipeline(study, SEED, dataset, "cpu", cache)
    target = pipeline.train("target", study.model)
    divided, classes = parts(dataset), len(dataset.class_names)
    truth = blurred(class_means(divided.members, classes, None))
    reached = correlations(blurred(class_means(divided.held_out, classes, None)), truth).diagonal()
    for label, attack in study.attacks.items():
        made = pipeline.attack(label, attack, target, []).values
        pictures = scale_each(as_rates(made)).cpu()
        likeness = correlations(blurred(pictures), truth).diagonal() / reached.mean()
        yield Case(name, label, pictures.mean(1).numpy(), likeness.double().numpy())


def _right(named: str) -> NDArray[np.bool_]:
    return np.array([name == str(c) for c, name in enumerate(named)])


def _half(likeness: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Where half of the pictures are named correctly, by logistic regression."""
    model = LogisticRegression(C=1e6).fit(likeness[:, None], right)
    return float(-model.intercept_[0] / model.coef_[0, 0])


def _page(cases: list[Case], right: list[NDArray[np.bool_]]) -> str:
    likeness = [case.relative for case in cases]
    value = _half(np.concatenate(likeness), np.concatenate(right))
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(cases), len(cases)) for _ in range(_RESAMPLES)]
    halves = [
        _half(np.concatenate([likeness[i] for i in d]), np.concatenate([right[i] for i in d]))
        for d in drawn
    ]
    low, high = np.percentile(halves, [2.5, 97.5])
    area = roc_auc_score(np.concatenate(right), np.concatenate(likeness))
    rows = sorted(zip(cases, right, strict=True), key=lambda found: -found[0].relative.mean())
    on = machine("cpu")
    return "\n".join(
        [
            "# From which likeness on is a reconstruction recognisable?",
            "",
            "Written by `make recognisable`. Level 2 of [the verdict](judgement.md) says that a "
            "person would recognise what a class",
            "looks like. No person looks at the pictures of an audit; a measure stands in: the "
            "correlation of a reconstruction with",
            "the mean of its class, both blurred, as a share of what the mean of held-out samples "
            "reaches. This page places its bar.",
            "One of the authors named the digit on each of "
            f"{sum(map(len, right))} reconstructions, mixed in random order, without knowing",
            "attack or class. Names that were right are counted below.",
            "",
            f"By logistic regression, half of the pictures are named correctly at a share of "
            f"**{value:.2f}** (95 % interval {low:.2f} to",
            f"{high:.2f}, by bootstrap over attacks). The verdict's bar is {RECOGNISABLE}. A "
            "picture that was named has a larger share than",
            f"one that was not with probability {area:.2f}.",
            "",
            "| network | attack | share of the class mean's correlation | named correctly |",
            "|---|---|---|---|",
            *(
                f"| {c.study} | {c.attack} | {c.relative.mean():.2f} | {r.sum()} of {len(r)} |"
                for c, r in rows
            ),
            "",
            _errors(rows),
            "",
            "One person and one kind of picture are few: faces, on which names cannot be guessed, "
            "are not among them. The names are",
            "in `benchmarks/names.yaml`, and `python benchmarks/recognisable.py --sheets FOLDER` "
            f"writes the sheets. Seed {SEED}.",
            f"Machine: {on['processor']}, {on['threads']} threads, {on['device']}.",
            "",
        ]
    )


def _errors(rows: list[tuple[Case, NDArray[np.bool_]]]) -> str:
    """The attacks on which the bar and the names disagree."""

    def named(some: list[tuple[Case, NDArray[np.bool_]]]) -> str:
        found = [f"{c.attack} on {c.study} ({r.sum()} of {len(r)})" for c, r in some]
        return ", ".join(found) or "none"

    over = [(c, r) for c, r in rows if c.relative.mean() > RECOGNISABLE and r.mean() <= 0.5]
    under = [(c, r) for c, r in rows if c.relative.mean() <= RECOGNISABLE and r.mean() > 0.5]
    return (
        "The bar and the names disagree about these attacks. Above the bar, but at most half were "
        f"named: {named(over)}. Below it, but\nmore than half were named: {named(under)}. Strokes "
        "in the right places can be read although most of the picture is wrong."
    )


def _write_sheets(folder: Path, number: int, cases: list[Case]) -> None:
    """Pictures in random order, with their numbers; what they are goes into a file beside them."""
    tiles = [(case, c) for case in cases for c in range(len(case.pictures))]
    random.Random(7).shuffle(tiles)
    key: dict[str, Any] = {
        str(i): [case.study, case.attack, c] for i, (case, c) in enumerate(tiles)
    }
    atomic.write_json(folder / f"sheet-{number}.json", key)
    each = _COLUMNS * _ROWS
    for first in range(0, len(tiles), each):
        sheet = Image.new("L", (_COLUMNS * (_SIDE + 6), _ROWS * (_SIDE + 20)), 255)
        draw = ImageDraw.Draw(sheet)
        for i, (case, c) in enumerate(tiles[first : first + each]):
            x, y = (i % _COLUMNS) * (_SIDE + 6), (i // _COLUMNS) * (_SIDE + 20)
            tile = Image.fromarray((255 * case.pictures[c]).astype(np.uint8))
            sheet.paste(tile.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), (x, y + 14))
            draw.text((x + 2, y + 1), str(first + i), fill=0)
        sheet.save(folder / f"sheet-{number}-{first // each}.png")


if __name__ == "__main__":
    main()
