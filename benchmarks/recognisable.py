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
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from brainleaks.data.dataset import Samples
from brainleaks.data.files import data_folder
from brainleaks.data.parts import images, parts
from brainleaks.evaluation.class_content import DISTINCT, RECOGNISABLE
from brainleaks.evaluation.controls import class_means
from brainleaks.evaluation.judge import scale_each
from brainleaks.evaluation.likeness import (
    blurred,
    correlations,
    distinctness,
    nearest_of_each_class,
)
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
    """One attack on one study: a picture and its likeness for each class.

    ``relative`` is the correlation with the class, and ``distinct`` the distinctness, both as
    shares of what the means of held-out samples reach.
    """

    study: str
    attack: str
    pictures: NDArray[np.float32]
    relative: NDArray[np.float64]
    distinct: NDArray[np.float64]

    @property
    def recognised(self) -> NDArray[np.bool_]:
        """Of which pictures the two bars say that they are recognisable."""
        return (self.relative > RECOGNISABLE) & (self.distinct > DISTINCT)


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
    raters = [content["names"], *content["others"]]
    right = [[_right(names[case.study][case.attack]) for case in every] for names in raters]
    atomic.write_text(options.out, _page(every, *right))


def _cases(name: str, preset: str, settings: list[str]) -> Iterator[Case]:
    study, cache = load_study(preset, tuple(settings)), Cache()
    dataset = load_dataset(study, data_folder(None), cache)
    pipeline = Pipeline(study, SEED, dataset, "cpu", cache)
    target = pipeline.train("target", study.model)
    divided, classes = parts(dataset), len(dataset.class_names)
    truth = blurred(class_means(divided.members, classes, None))
    means = class_means(divided.held_out, classes, None)
    reached = correlations(blurred(means), truth).diagonal()
    for label, attack in study.attacks.items():
        made = pipeline.attack(label, attack, target, []).values
        pictures = scale_each(as_rates(made)).cpu()
        likeness = correlations(blurred(pictures), truth).diagonal() / reached.mean()
        distinct = _distinct(pictures, divided.members) / _distinct(means, divided.members).mean()
        shown = pictures.mean(1).numpy()
        yield Case(name, label, shown, likeness.double().numpy(), distinct.double().numpy())


def _distinct(pictures: Tensor, members: Samples) -> Tensor:
    labels = torch.arange(len(pictures))
    by_class = nearest_of_each_class(
        scale_each(pictures), images(members), members.labels, len(pictures)
    )
    return distinctness(by_class, labels)


def _right(named: str) -> NDArray[np.bool_]:
    return np.array([name == str(c) for c, name in enumerate(named)])


def _half(measure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Where half of the pictures are named correctly, by logistic regression."""
    model = LogisticRegression(C=1e6).fit(measure[:, None], right)
    return float(-model.intercept_[0] / model.coef_[0, 0])


def _interval(each: list[NDArray[np.float64]], right: list[NDArray[np.bool_]]) -> str:
    """The same with its bootstrap interval over attacks."""
    rng, halves = np.random.default_rng(0), []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(0, len(each), len(each))
        found = np.concatenate([right[i] for i in drawn])
        if 0 < found.sum() < len(found):
            halves.append(_half(np.concatenate([each[i] for i in drawn]), found))
    low, high = np.percentile(halves, [2.5, 97.5])
    value = _half(np.concatenate(each), np.concatenate(right))
    return f"**{value:.2f}** ({low:.2f} to {high:.2f})"


def _page(cases: list[Case], right: list[NDArray[np.bool_]], *others: list[Any]) -> str:
    likeness = [case.relative for case in cases]
    similar = [case.relative > RECOGNISABLE for case in cases]
    distinct = [case.distinct[kept] for case, kept in zip(cases, similar, strict=True)]
    named_similar = [found[kept] for found, kept in zip(right, similar, strict=True)]
    named, passed = (np.concatenate(x) for x in (right, [case.recognised for case in cases]))
    high = np.concatenate(similar)
    further = [np.concatenate(found).sum() for found in others]
    rows = sorted(zip(cases, right, *others, strict=True), key=lambda row: -row[0].relative.mean())
    on = machine("cpu")
    return "\n".join(
        [
            "# Which reconstructions are recognisable?",
            "",
            "Written by `make recognisable`. Level 2 of [the verdict](judgement.md) says that a "
            "person would recognise what a class looks like. No person looks at the pictures of an "
            "audit; two measures stand in: the correlation of a reconstruction with the mean of "
            "its class, both blurred, and its distinctness, which is how much nearer it is to a "
            "training sample of its class than to any of another. Both are given as shares of "
            f"what the means of held-out samples reach; the bars are {RECOGNISABLE} and "
            f"{DISTINCT}. One of the authors named the digit on each of {len(named)} "
            "reconstructions, mixed in random "
            "order, without knowing attack or class. (Pattern inversion of convolutional networks "
            "was named again when the attack had changed, knowing the attack but not the class.)",
            "",
            "| measure | half of the pictures are named at | AUC |",
            "|---|---|---|",
            f"| correlation | {_interval(likeness, right)} | {_area(likeness, right)} |",
            f"| distinctness, where the correlation is above {RECOGNISABLE} | "
            f"{_interval(distinct, named_similar)} | {_area(distinct, named_similar)} |",
            "",
            "Intervals are at 95 %, by bootstrap over attacks. AUC is the probability that a "
            "picture that was named has more than one that was not.",
            "",
            f"Of the pictures above the bar of correlation alone, {named[high].mean():.2f} were "
            f"named, of those above both bars {named[passed].mean():.2f}, and of all others "
            f"{named[~passed].mean():.2f}. Both bars find {named[passed].sum()} of the "
            f"{named.sum()} pictures that were named. Two vision-language models that were told "
            f"not to guess named {' and '.join(map(str, further))} correctly.",
            "",
            "| network | attack | correlation | distinctness | above both bars | named correctly | "
            "by the models |",
            "|---|---|---|---|---|---|---|",
            *map(_row, rows),
            "",
            "A verdict decides by the lower ends of intervals over classes, not picture by "
            "picture. One person and one kind of picture are few: faces, on which names cannot be "
            "guessed, are not among them. The names are in `benchmarks/names.yaml`, and `python "
            "benchmarks/recognisable.py --sheets FOLDER` writes the sheets. "
            f"Seed {SEED}. Machine: {on['processor']}, {on['threads']} threads, {on['device']}.",
            "",
        ]
    )


def _area(measure: list[NDArray[np.float64]], right: list[NDArray[np.bool_]]) -> str:
    return f"{roc_auc_score(np.concatenate(right), np.concatenate(measure)):.2f}"


def _row(row: tuple[Any, ...]) -> str:
    case, named, *others = row
    counts = [f"{found.sum()} of {len(found)}" for found in (case.recognised, named)]
    models = ", ".join(str(found.sum()) for found in others)
    values = f"{case.relative.mean():.2f} | {case.distinct.mean():.2f}"
    return f"| {case.study} | {case.attack} | {values} | {' | '.join(counts)} | {models} |"


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
