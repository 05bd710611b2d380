"""The road from a study to its results, each stage stored."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from brainleaks.data import Dataset
from brainleaks.data.files import data_folder
from brainleaks.errors import InputError
from brainleaks.study.config import Study
from brainleaks.study.loading import load_dataset
from brainleaks.study.provenance import provenance
from brainleaks.study.road import Reconstruction, Road, Trained
from brainleaks.study.store import Store, digest
from brainleaks.study.tensors import read_weights, refuse_the_target
from brainleaks.study.trial import Trial, hold, not_held


@dataclass
class Outcome:
    """All that a run found out."""

    study: Study
    seed: int
    dataset: Dataset
    target: Trained
    evaluators: list[Trained]
    reconstructions: list[Reconstruction]
    trial: Trial
    provenance: dict[str, Any]


def run_study(
    study: Study,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    device: str = "cpu",
    store: Store | None = None,
    command: str | None = None,
    target_weights: Path | None = None,
) -> Outcome:
    """Train, attack and judge; what is in the store already is not made again.

    Args:
        study: the experiment.
        seed: where all randomness comes from.
        data_dir: folder to find data in; see :func:`brainleaks.data.files.data_folder`.
        device: ``"cpu"`` or ``"cuda"``.
        store: where stages are kept.
        command: what to type to run this again; by default the run folder's study file.
        target_weights: file with the target's state dict, to attack that instead of training one;
            see :func:`brainleaks.study.tensors.read_weights`.

    Raises:
        InputError: if the data cannot be had or is too small for a network, the target's weights
            are not those of the study's network, a judge is the target itself, training diverges,
            or a result cannot be written.
    """
    weights = read_weights(target_weights) if target_weights else None
    store = store or Store()
    dataset = load_dataset(study, data_folder(data_dir), store)
    _check_networks(study, dataset)
    road = Road(study, seed, dataset, device, store)
    target = road.load_target(weights) if weights else road.train("target", study.target)
    evaluators = [road.train(name, model) for name, model in study.evaluators.items()]
    refuse_the_target(target.network, {f"evaluators.{e.name}": e.network for e in evaluators})
    reconstructions = [
        road.attack(name, attack, target, evaluators) for name, attack in study.attacks.items()
    ]
    return Outcome(
        study=study,
        seed=seed,
        dataset=dataset,
        target=target,
        evaluators=evaluators,
        reconstructions=reconstructions,
        trial=hold(road, study.judging, target, reconstructions) if study.judging else not_held(),
        provenance=provenance(
            study=digest(study.model_dump(mode="json")),
            seed=seed,
            data=dataset.fingerprint,
            device=device,
            command=command or _command(seed, target_weights),
        )
        | ({"target_weights": weights.origin} if weights else {}),
    )


def _command(seed: int, target_weights: Path | None) -> str:
    words = ["brainleaks", "run", "study.yaml", "--seed", str(seed)]
    return shlex.join(words + (["--target-weights", str(target_weights)] if target_weights else []))


def _check_networks(study: Study, dataset: Dataset) -> None:
    """Build every network without memory, so that what does not fit is said before the work."""
    models = {"target": study.target}
    models |= {f"evaluators.{name}": model for name, model in study.evaluators.items()}
    for field, model in models.items():
        try:
            with torch.device("meta"):
                model.network.build(dataset.input_shape, len(dataset.class_names))
        except ValueError as error:
            raise InputError(f"{field}.network: {error}") from error
