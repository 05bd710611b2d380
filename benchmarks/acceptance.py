"""``make acceptance``: networks of every framework, trained on real data and audited in full.

Trains what is in ``examples`` and audits the files that it saves on the command line, beside a
network of this package that is as large and was trained alike, and beside untrained ones. Fully
connected networks get the AT&T faces at half their size, convolutions MNIST's first samples.
Writes ``docs/acceptance.md`` and ``docs/acceptance.json``, anew after each audit; what is in
``runs/acceptance`` is not done again. Needs both data sets (``brainleaks data fetch``).
"""

import argparse
import hashlib
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

from brainleaks import keep_freed_memory
from brainleaks.audit import Plan, run, write
from brainleaks.audit.infer import Inputs, look
from brainleaks.audit.plan import study_of
from brainleaks.data import att_faces, mnist
from brainleaks.data.dataset import Dataset, Samples
from brainleaks.data.files import data_folder
from brainleaks.data.own import OwnData
from brainleaks.evaluation.statistics import paired
from brainleaks.files import atomic
from brainleaks.pipeline.provenance import machine
from brainleaks.pipeline.run import load_external

WORK, STEPS = Path("runs/acceptance"), 25
FRAMEWORKS = {
    "snntorch": "snnTorch",
    "spikingjelly": "SpikingJelly",
    "norse": "Norse",
    "sinabs": "sinabs",
    "rockpool": "Rockpool",
    "nir": "NIR",
}
ATTACKS = ("brainleaks-v1", "smooth-inversion", "pattern-inversion")
MEASURES = {"correlation_members": "correlation", "ssim_members": "SSIM", "panel": "panel accuracy"}


@dataclass(frozen=True)
class Cell:
    """An architecture, its data, and how networks of it are trained.

    ``settings`` are the audit's; ``network`` is this package's own of the same size, if it has one.
    ``without`` names the frameworks that have no such example.
    """

    data: str
    said: str
    epochs: int
    batch: int
    rate: float
    settings: tuple[str, ...]
    network: dict[str, Any] | None = None
    without: tuple[str, ...] = ()


_NEURON = {"beta": 0.9, "surrogate": {"surrogate": "fast-sigmoid", "slope": 25}}
CELLS = {
    "fc": Cell(
        data="faces",
        said="AT&T faces, 56 x 46",
        epochs=16,
        batch=16,
        rate=2e-4,
        settings=(
            "judging={judge_steps: 600, reconstructions: 1}",
            "target.training.learning_rate=2e-4",
            "draws=10",
        ),
        network={"architecture": "spiking-mlp", "hidden": 500, **_NEURON},
    ),
    "conv": Cell(
        data="mnist",
        said="MNIST, first 5,000",
        epochs=2,
        batch=50,
        rate=2e-3,
        settings=(
            "judging={judge_steps: 200, reconstructions: 1}",
            "target.training.learning_rate=2e-3",
            "draws=10",
        ),
        network={"architecture": "spiking-conv", "kernel": 5, "padding": 2, **_NEURON},
        without=("rockpool",),
    ),
}
CELLS["residual"] = replace(CELLS["conv"], network=None, without=("sinabs", "nir"))
CELLS["recurrent"] = replace(CELLS["fc"], network=None, without=("sinabs", "nir"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Audit what the examples train, at full size.")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--architecture", choices=CELLS, action="append", help="by default all")
    arguments = parser.parse_args()
    keep_freed_memory()
    WORK.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []

    def done(row: dict[str, Any]) -> None:
        rows.append(row)
        _write(rows, arguments.docs)

    chosen = arguments.architecture or list(CELLS)
    for architecture in chosen:
        _data(CELLS[architecture].data)
        if (own := CELLS[architecture].network) is not None:
            done(_own(architecture, own))
        for framework in _having(architecture):
            done(_audited(framework, architecture, trained=True))
    for architecture in chosen:
        for framework in _having(architecture):
            done(_audited(framework, architecture, trained=False))


def _having(architecture: str) -> list[str]:
    """The frameworks that have an example of an architecture."""
    return [name for name in FRAMEWORKS if name not in CELLS[architecture].without]


def _data(name: str) -> Path:
    """The data as a user has it, an ``.npz``."""
    path = WORK / f"{name}.npz"
    if not path.exists():
        whole: Dataset = {"faces": att_faces, "mnist": mnist}[name].load(data_folder(None))
        arrays = {}
        for part, count in (("train", 5000), ("test", 1000)):
            samples: Samples = getattr(whole, part)
            images, labels, _ = samples.first(min(count, len(samples.labels)))
            images = avg_pool2d(images, 2) if name == "faces" else images
            arrays[f"x_{part}"] = (images * 255).round().byte().numpy()
            arrays[f"y_{part}"] = labels.numpy()
        np.savez(path, class_names=np.array(whole.class_names), **arrays)
    return path


def _audited(framework: str, architecture: str, *, trained: bool) -> dict[str, Any]:
    """One network of a framework: trained by its example, its file audited."""
    cell = CELLS[architecture]
    data = _data(cell.data)
    name = f"{framework}-{architecture}" + ("" if trained else "-untrained")
    file = WORK / f"{name}.{'nir' if framework == 'nir' else 'net'}"
    train = ["python", f"examples/{framework}_net.py", data, "--architecture", architecture]
    train += ["--epochs", cell.epochs if trained else 0, "--batch", cell.batch, "--lr", cell.rate]
    audit = ["brainleaks", "audit", file, "--data", data, "--encoding", "rate", "--steps", STEPS]
    if framework == "nir":
        audit += ["--dt", "1e-4", "--reset", "zero"]
    else:
        audit += ["--factory", f"examples.{framework}_net:{architecture}"]
    audit += [word for attack in ATTACKS for word in ("--attack", attack)]
    audit += [word for setting in cell.settings for word in ("--set", setting)]
    commands = [
        shlex.join(map(str, words))
        for words in ([*train, "--out", file], [*audit, "--out", WORK / name])
    ]

    def make() -> dict[str, Any]:
        spent = [_seconds(command) for command in commands]
        return {"seconds": spent[1], "training_seconds": spent[0]} | _found(WORK / name)

    about = {"framework": framework, "architecture": architecture, "trained": trained}
    about |= {"data": cell.said, "commands": commands}
    return _once(name, about, Path(f"examples/{framework}_net.py").read_bytes(), make)


def _own(architecture: str, network: dict[str, Any]) -> dict[str, Any]:
    """The network of this package, by the same attacks and judges."""
    cell = CELLS[architecture]
    seen = look(OwnData(str(_data(cell.data))), Inputs(encoding="rate", steps=STEPS), None)
    recipe = {"learning_rate": cell.rate, "batch_size": cell.batch, "epochs": cell.epochs}
    study = study_of(
        seen,
        {"network": network, "training": recipe},
        name=f"own-{architecture}",
        spiking=True,
        attacks=ATTACKS,
        # the recipe by which audits train the controls is here the target's own
        settings=[
            f"encoding={{encoding: rate, steps: {STEPS}}}",
            *(setting for setting in cell.settings if not setting.startswith("target")),
        ],
    )

    def make() -> dict[str, Any]:
        started = time.perf_counter()
        planned = Plan(study, seen.said, seen.dataset, load_external)
        write(run(planned), WORK / study.name)
        return {"seconds": time.perf_counter() - started} | _found(WORK / study.name)

    about = {"framework": "brainleaks", "architecture": architecture, "trained": True}
    about |= {"data": cell.said, "commands": []}
    return _once(study.name, about, study.model_dump_json().encode(), make)


def _once(
    name: str, about: dict[str, Any], source: bytes, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """A row of the table, unless it was made before by the same commands and source."""
    key = hashlib.sha256(repr(about).encode() + source).hexdigest()
    path = WORK / f"{name}.json"
    kept = atomic.read_json(path) if path.exists() else {}
    if kept.get("key") != key:
        kept = about | make() | {"key": key, "machine": machine("cpu")}
        atomic.write_json(path, kept)
    print(f"{name}: accuracy {kept['accuracy']:.3f}, level {kept['level']}", flush=True)
    return kept


def _seconds(command: str) -> float:
    """Run what the page shows, by this interpreter."""
    program, *words = shlex.split(command)
    module = ["-m", "brainleaks"] if program == "brainleaks" else []
    started = time.perf_counter()
    with (WORK / "log").open("a") as log:
        subprocess.run([sys.executable, *module, *words], check=True, stdout=log, stderr=log)
    return time.perf_counter() - started


def _found(folder: Path) -> dict[str, Any]:
    """What an audit found."""
    results = atomic.read_json(folder / "results.json")
    target = results["target"]
    adapter = target.get("adapter", {})
    return {
        "accuracy": target["test_accuracy"],
        "lowered": target.get("lowered"),
        "parity": adapter.get("parity"),
        "why_not_lowered": adapter.get("why_not_lowered"),
        "level": results["verdict"]["level"],
        "sentence": results["verdict"]["sentence"],
        "reasons": results["verdict"]["reasons"],
        "attacks": {
            attack: {key: found["metrics"][key] for key in MEASURES if key in found["metrics"]}
            for attack, found in results["likeness"].items()
        },
    }


def _write(rows: list[dict[str, Any]], docs: Path) -> None:
    facts = machine("cpu")
    trained = [row for row in rows if row["trained"]]
    foreign = [row for row in trained if row["framework"] != "brainleaks"]
    untrained = {
        (row["framework"], row["architecture"]): _level(row) for row in rows if not row["trained"]
    }
    content = {"command": "python benchmarks/acceptance.py", "machine": facts, "rows": rows}
    atomic.write_json(docs / "acceptance.json", content)
    cells = {row["architecture"]: row["data"] for row in rows}
    lines = [
        "# Acceptance",
        "",
        "Written by `make acceptance`. The networks of `examples/`, each framework's own, are "
        "trained on real data, saved, and audited by [two commands](audit.md), which stand below; "
        "beside them `brainleaks`, a network of this package of the same size, where it has "
        f"one ({STEPS} time steps, rate code); all are trained by cross-entropy. Fully connected "
        "networks have 500 hidden units, convolutional ones two convolutions, residual ones (of "
        "Rockpool, fully connected) a block around a shortcut; in recurrent ones the hidden "
        "layer's spikes come back to it. Data: "
        + "; ".join(f"{name}, {data}" for name, data in cells.items())
        + ". Faces are halved and MNIST is cut for an audit to take minutes on one thread.",
        "",
        f"Machine: {facts['processor']}, {facts['threads']} threads, torch {torch.__version__}. "
        "The first audit of a data set trains the judges, which the others share; seconds are "
        "those of the audit, controls included.",
        "",
        *_table(
            ["framework", "network", "test accuracy", "lowered", "level", "untrained", "seconds"],
            [
                [
                    FRAMEWORKS.get(row["framework"], row["framework"]),
                    row["architecture"],
                    f"{row['accuracy']:.3f}",
                    _lowered(row),
                    _level(row),
                    untrained.get((row["framework"], row["architecture"]), ""),
                    f"{row['seconds']:.0f}",
                ]
                for row in trained
            ],
        ),
        "",
        "*Lowered* networks run on this package's operator, and answer the samples that they are "
        "shown as their framework does, spike for spike, or, where they answer with the membrane, "
        "up to rounding. *Level* is that of [the verdict](judgement.md); *untrained*, that of the "
        "same network as it is initialised.",
        "",
        "## As good as on our own network?",
        "",
        "Reconstructions are compared with the training sample of their class that they resemble "
        "most (correlation, SSIM), and shown to the judges (panel accuracy). In brackets: the "
        "difference from our own network, paired by class, with its 95 % interval.",
        "",
        *_table(["framework", "network", "attack", *MEASURES.values()], _likeness(trained)),
        "",
    ]
    if missing := _missing(rows):
        lines += [f"Not run yet: {'; '.join(missing)}.", ""]
    remarks = [_remark(row) for row in rows if _odd(row)]
    if remarks:
        lines += ["## What is not as hoped", "", *remarks, ""]
    lines += ["## Commands", "", "```", *(c for row in foreign for c in row["commands"]), "```", ""]
    atomic.write_text(docs / "acceptance.md", "\n".join(lines))


def _missing(rows: list[dict[str, Any]]) -> list[str]:
    """What of the whole is not in the table."""
    have = {(row["framework"], row["architecture"], row["trained"]) for row in rows}
    whole = [("brainleaks", a, True) for a, cell in CELLS.items() if cell.network is not None]
    whole += [(f, a, trained) for trained in (True, False) for a in CELLS for f in _having(a)]
    return [
        f"{FRAMEWORKS.get(f, f)} {a}{'' if trained else ', untrained'}"
        for f, a, trained in whole
        if (f, a, trained) not in have
    ]


def _lowered(row: dict[str, Any]) -> str:
    if row["lowered"] is None:
        return ""
    if not row["lowered"]:
        return "no"
    parity = row["parity"]
    return f"yes: {parity['compared']}, {parity['samples']} samples"


def _likeness(rows: list[dict[str, Any]]) -> list[list[str]]:
    own = {row["architecture"]: row for row in rows if row["framework"] == "brainleaks"}
    return [
        [
            FRAMEWORKS.get(row["framework"], row["framework"]),
            row["architecture"],
            attack,
            *(
                _beside(measures, own.get(row["architecture"], row), row, attack, key)
                for key in MEASURES
            ),
        ]
        for row in rows
        for attack, measures in row["attacks"].items()
    ]


def _beside(
    measures: dict[str, Any], own: dict[str, Any], row: dict[str, Any], attack: str, key: str
) -> str:
    if key not in measures or measures[key]["value"] is None:
        return ""
    value = f"{measures[key]['value']:.3f}"
    found = None
    if row is not own:
        sides = (measures[key]["by_class"], own["attacks"][attack][key]["by_class"])
        found = paired(*(np.array(side, np.float64) for side in sides))
    if found is None:
        return value
    return f"{value} ({found['difference']:+.3f}, {found['low']:+.3f} to {found['high']:+.3f})"


def _odd(row: dict[str, Any]) -> bool:
    return not _is_hoped(row) or row["lowered"] is False


def _is_hoped(row: dict[str, Any]) -> bool:
    """A trained network shows its classes, at least to classifiers; an untrained one nothing."""
    return bool(row["level"]) == row["trained"]


def _level(row: dict[str, Any]) -> str:
    return "not decided" if row["level"] is None else str(row["level"])


def _remark(row: dict[str, Any]) -> str:
    name = f"{FRAMEWORKS.get(row['framework'], row['framework'])}, {row['architecture']}"
    name += "" if row["trained"] else ", untrained"
    said = []
    if row["lowered"] is False:
        said.append(f"It was audited as it is: {row['why_not_lowered']}")
    if not _is_hoped(row):
        said += [row["sentence"], *row["reasons"]]
    return f"- **{name}.** {' '.join(said)}"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


if __name__ == "__main__":
    main()
