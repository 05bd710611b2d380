"""The pipeline from a study to its results, each stage stored."""

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from brainleaks.data import Dataset
from brainleaks.data.files import data_folder
from brainleaks.data.own import OwnData
from brainleaks.errors import InputError
from brainleaks.files.tensors import Weights, read_weights
from brainleaks.networks.weights import refuse_the_target
from brainleaks.pipeline.cache import Cache
from brainleaks.pipeline.controls import OwnTargets, Targets
from brainleaks.pipeline.evaluate import Trial, hold, not_held
from brainleaks.pipeline.external import Built, ExternalTargets, shown_samples
from brainleaks.pipeline.keys import digest
from brainleaks.pipeline.loading import as_taken, load_dataset
from brainleaks.pipeline.pipeline import Pipeline, Reconstruction, Trained
from brainleaks.pipeline.provenance import provenance
from brainleaks.studies.config import External, Study


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
    failures: list[dict[str, str]]
    provenance: dict[str, Any]

    @property
    def verdict(self) -> dict[str, Any]:
        """See :class:`brainleaks.evaluation.verdict.Verdict`."""
        decided: dict[str, Any] = self.trial.facts["verdict"]
        return decided


Build = Callable[[External, Tensor, int], Built]


def load_external(target: External, samples: Tensor, classes: int) -> Built:
    """The target in a file.

    Args:
        target: which file, and how to read it.
        samples: of the data, as the model takes them.
        classes: how many there are.

    Raises:
        InputError: if it cannot be read, or its framework is not installed.
    """
    path = Path(target.model) if target.model else None
    if path is not None and not path.is_file():
        raise InputError(f"no such file: {path}; expected a model.")
    from brainleaks import adapters  # imported late: it brings frameworks

    adapted = adapters.load_model(
        path,
        framework=target.framework,
        factory=target.factory,
        samples=samples,
        classes=classes,
        dt=target.dt,
        reset=target.reset,
    )
    weights = {"file": path.name, "sha256": _sha256(path)} if path else None
    return Built(adapted.network, adapted.framework, adapted.lowered, adapted.facts, weights)


def run_study(
    study: Study,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    device: str = "cpu",
    cache: Cache | None = None,
    command: str | None = None,
    target_weights: Path | None = None,
    dataset: Dataset | None = None,
    build: Build = load_external,
) -> Outcome:
    """Train, attack and judge; what is in the cache already is not made again.

    Args:
        study: the experiment.
        seed: where all randomness comes from.
        data_dir: folder to find data in; see :func:`brainleaks.data.files.data_folder`.
        device: ``"cpu"`` or ``"cuda"``.
        cache: where stages are kept.
        command: what to type to run this again; by default the run folder's study file.
        target_weights: file with the target's state dict, to attack that instead of training one;
            see :func:`brainleaks.networks.weights.read_weights`.
        dataset: the whole data set, where it was read or handed over already.
        build: gives a target that was built elsewhere.

    Raises:
        InputError: if the data cannot be had or is too small for a network, the target's weights
            are not those of the study's network, a judge is the target itself, training diverges,
            or a result cannot be written.
    """
    weights = read_weights(target_weights) if target_weights else None
    cache = cache or Cache()
    if dataset is None:
        place = Path() if isinstance(study.dataset, OwnData) else data_folder(data_dir)
        dataset = load_dataset(study, place, cache)
    else:
        dataset = as_taken(study, dataset)
    _check_networks(study, dataset)
    pipeline = Pipeline(study, seed, dataset, device, cache)
    target, targets = _target(pipeline, weights, build)
    failures = pipeline.failures
    evaluators = [
        trained
        for name, model in study.evaluators.items()
        if (trained := failures.attempt("evaluator", name, partial(pipeline.train, name, model)))
    ]
    refuse_the_target(target.network, {f"evaluators.{e.name}": e.network for e in evaluators})
    reconstructions = []
    for name, attack in study.attacks.items():
        call = partial(pipeline.attack, name, attack, target, evaluators)
        if (made := failures.attempt("attack", name, call)) is not None:
            reconstructions.append(made)
    if not reconstructions and failures.first is not None:
        raise failures.first
    return Outcome(
        study=study,
        seed=seed,
        dataset=dataset,
        target=target,
        evaluators=evaluators,
        reconstructions=reconstructions,
        trial=hold(pipeline, study.judging, target, reconstructions, targets)
        if study.judging
        else not_held(),
        failures=failures.entries,
        provenance=provenance(
            study=digest(study.model_dump(mode="json")),
            seed=seed,
            data=dataset.fingerprint,
            device=device,
            command=command or _command(seed, target_weights),
        )
        | ({"target_weights": weights.origin} if weights else {}),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _target(pipeline: Pipeline, weights: Weights | None, build: Build) -> tuple[Trained, Targets]:
    """The target, and what makes the controls' targets as it was made."""
    if not isinstance(pipeline.study.target, External):
        own = (
            pipeline.load_target(weights)
            if weights
            else pipeline.train("target", pipeline.study.target)
        )
        return own, OwnTargets(pipeline)
    if weights is not None:
        raise InputError("--target-weights: the study's target is a file already; leave it out.")
    samples = shown_samples(pipeline)
    built = build(pipeline.study.target, samples, len(pipeline.dataset.class_names))
    targets = ExternalTargets(pipeline, built, samples)
    return targets.target, targets


def _command(seed: int, target_weights: Path | None) -> str:
    words = ["brainleaks", "run", "study.yaml", "--seed", str(seed)]
    return shlex.join(words + (["--target-weights", str(target_weights)] if target_weights else []))


def _check_networks(study: Study, dataset: Dataset) -> None:
    """Build every network without memory, so that what does not fit is said before the work."""
    models = {} if isinstance(study.target, External) else {"target": study.target}
    models |= {f"evaluators.{name}": model for name, model in study.evaluators.items()}
    for field, model in models.items():
        try:
            with torch.device("meta"):
                model.network.build(dataset.input_shape, len(dataset.class_names))
        except ValueError as error:
            raise InputError(f"{field}.network: {error}") from error
