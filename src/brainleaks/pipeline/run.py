"""The pipeline from a study to its results, each stage stored."""

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks._gpu import device_at_hand
from brainleaks.data import Dataset
from brainleaks.data.files import data_folder
from brainleaks.data.own import OwnData
from brainleaks.errors import InputError, option
from brainleaks.evaluation.verdict import decide
from brainleaks.files.tensors import Weights, read_weights
from brainleaks.networks.weights import refuse_the_target
from brainleaks.pipeline import defended
from brainleaks.pipeline.built import Built, shown_samples
from brainleaks.pipeline.cache import Cache
from brainleaks.pipeline.controls import OwnTargets, Targets
from brainleaks.pipeline.evaluate import not_evaluated
from brainleaks.pipeline.evidence import KINDS, Case, Evidence
from brainleaks.pipeline.evidence.reconstruction import Reconstructed
from brainleaks.pipeline.external import ExternalTargets
from brainleaks.pipeline.forecast import forecast
from brainleaks.pipeline.keys import digest
from brainleaks.pipeline.loading import as_taken, load_dataset
from brainleaks.pipeline.pipeline import Pipeline, Reconstruction, Trained
from brainleaks.pipeline.provenance import provenance
from brainleaks.pipeline.utility import spikes_a_sample
from brainleaks.studies.config import External, Study


@dataclass
class Outcome:
    """All that a run found out."""

    study: Study
    seed: int
    dataset: Dataset
    target: Trained
    evaluators: list[Trained]
    evidence: dict[str, Evidence]
    failures: list[dict[str, str]]
    provenance: dict[str, Any]

    @property
    def verdict(self) -> dict[str, Any]:
        """See :func:`brainleaks.evaluation.verdict.decide`."""
        claims = [claim for evidence in self.evidence.values() for claim in evidence.claims]
        remarks = [remark for evidence in self.evidence.values() for remark in evidence.remarks]
        return dict(decide(claims, remarks))

    @property
    def reconstructions(self) -> list[Reconstruction]:
        """What the attacks that reconstruct classes returned."""
        return self._reconstructed.reconstructions if self._reconstructed else []

    @property
    def facts(self) -> dict[str, Any]:
        """What was found, as JSON: of class reconstructions in its own keys, else by kind."""
        found = dict(not_evaluated().facts, attacks=[])
        if self._reconstructed:
            found |= self._reconstructed.facts
        others = {k: e.facts for k, e in self.evidence.items() if e is not self._reconstructed}
        return found | {"evidence": others, "verdict": self.verdict}

    @property
    def _reconstructed(self) -> Reconstructed | None:
        found = [e for e in self.evidence.values() if isinstance(e, Reconstructed)]
        return found[0] if found else None


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

    load = partial(
        adapters.load_model,
        framework=target.framework,
        factory=target.factory,
        samples=samples,
        classes=classes,
        dt=target.dt,
        reset=target.reset,
    )
    adapted = load(path)
    initial = None
    if target.initial is not None:
        initial = load(Path(target.initial)).network
        _check_alike(target.initial, initial, adapted.network)
    weights = {"file": path.name, "sha256": _sha256(path)} if path else None
    how = adapted.framework, adapted.lowered, adapted.facts
    return Built(adapted.network, *how, weights, initial)


def _check_alike(where: str, initial: nn.Module, network: nn.Module) -> None:
    """Refuse initial weights of another architecture, or of a network that runs in another form."""
    ours, others = (
        {name: tuple(p.shape) for name, p in n.named_parameters()} for n in (network, initial)
    )
    if ours != others:
        raise InputError(
            f"{option('initial-weights')}: {where} does not hold the initial weights of the model: "
            f"its parameters are {', '.join(others)}, the model's are {', '.join(ours)}."
        )


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
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; ``"auto"`` is a GPU where there is one.
        cache: where stages are kept.
        command: what to type to run this again; by default the run folder's study file.
        target_weights: file with the target's state dict, to attack that instead of training one;
            see :func:`brainleaks.networks.weights.read_weights`.
        dataset: the whole data set, where it was read or handed over already.
        build: gives a target that was built elsewhere.

    Raises:
        InputError: if there is no such device, the data cannot be had or is too small for a
            network, the target's weights are not those of the study's network, a judge is the
            target itself, training diverges, or a result cannot be written.
    """
    weights = read_weights(target_weights) if target_weights else None
    pipeline = prepare(study, seed, data_dir, device, cache or Cache(), dataset)
    dataset = pipeline.dataset
    with pipeline.cache.counted(forecast(study, dataset)):
        target, targets = target_of(pipeline, weights, build)
        count = partial(spikes_a_sample, pipeline, target)
        if (spikes := pipeline.failures.attempt("measurement", "spikes", count)) is not None:
            target = replace(target, facts=target.facts | {"spikes": spikes})
        evaluators = _evaluators(pipeline, target)
        evidence = _gather(pipeline, target, targets, evaluators)
    return Outcome(
        study=study,
        seed=seed,
        dataset=dataset,
        target=target,
        evaluators=evaluators,
        evidence=evidence,
        failures=pipeline.failures.entries,
        provenance=provenance(
            study=digest(study.model_dump(mode="json")),
            seed=seed,
            data=dataset.fingerprint,
            device=pipeline.device,
            command=command or _command(seed, target_weights),
        )
        | ({"target_weights": weights.origin} if weights else {}),
    )


def prepare(
    study: Study,
    seed: int,
    data_dir: Path | None,
    device: str,
    cache: Cache,
    dataset: Dataset | None,
) -> Pipeline:
    """The stages of a study, once its data is there and its networks fit the data."""
    device = device_at_hand(device)
    dataset = _data(study, data_dir, cache) if dataset is None else as_taken(study, dataset)
    _check_networks(study, dataset)
    return Pipeline(study, seed, dataset, device, cache)


def _data(study: Study, data_dir: Path | None, cache: Cache) -> Dataset:
    place = Path() if isinstance(study.dataset, OwnData) else data_folder(data_dir)
    return load_dataset(study, place, cache)


def _evaluators(pipeline: Pipeline, target: Trained) -> list[Trained]:
    """The study's evaluators, trained; none may be the target.

    Raises:
        InputError: if one has the weights of the target.
    """
    attempt = pipeline.failures.attempt
    evaluators = [
        trained
        for name, model in pipeline.study.evaluators.items()
        if (trained := attempt("evaluator", name, partial(pipeline.train, name, model)))
    ]
    refuse_the_target(target.network, {f"evaluators.{e.name}": e.network for e in evaluators})
    return evaluators


def _gather(
    pipeline: Pipeline, target: Trained, targets: Targets, evaluators: list[Trained]
) -> dict[str, Evidence]:
    """The evidence of every kind that the study's attacks give.

    Raises:
        Exception: the first failure, if every attack failed.
    """
    attacks, failures = pipeline.study.attacks, pipeline.failures
    gathered = {}
    for name in sorted({attack.kind for attack in attacks.values()}):
        chosen = {label: a for label, a in attacks.items() if a.kind == name}
        case = Case(pipeline, target, targets, evaluators, chosen)
        evidence = failures.attempt("evidence", name, partial(KINDS[name].gather, case))
        if evidence is not None:
            gathered[name] = evidence
    failed = {entry["name"] for entry in failures.entries if entry["part"] == "attack"}
    if failures.first is not None and (not gathered or failed >= attacks.keys()):
        raise failures.first
    return gathered


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def target_of(pipeline: Pipeline, weights: Weights | None, build: Build) -> tuple[Trained, Targets]:
    """The target, and a builder of the controls' targets that works as it was built."""
    if not isinstance(pipeline.study.target, External):
        own = (
            defended.load(pipeline, weights)
            if weights
            else defended.train(pipeline, "target", pipeline.study.target)
        )
        return own, OwnTargets(pipeline)
    if weights is not None:
        raise InputError(
            f"{option('target-weights')}: the study's target is a file already; leave it out."
        )
    samples = shown_samples(pipeline)
    try:
        built = build(pipeline.study.target, samples, len(pipeline.dataset.class_names))
    except InputError as error:
        hint = _hint(pipeline)
        if not hint or type(error) is not InputError:  # a service that fails is no mistake here
            raise
        raise InputError(f"{error}{hint}") from error
    targets = ExternalTargets(pipeline, built, samples)
    return targets.target, targets


def _hint(pipeline: Pipeline) -> str:
    """What arrays may be that a model does not take as images."""
    data, shape = pipeline.study.dataset, pipeline.dataset.input_shape
    arrays = isinstance(data, OwnData) and not data.in_folders
    if not arrays or pipeline.dataset.signal != "image" or shape[0] != 1:
        return ""
    use = option("encoding", "stream")
    return f" If each input is {shape[1]} time steps of {shape[2]} channels, use {use}."


def _command(seed: int, target_weights: Path | None) -> str:
    words = ["brainleaks", "run", "study.yaml", "--seed", str(seed)]
    return shlex.join(words + (["--target-weights", str(target_weights)] if target_weights else []))


def _check_networks(study: Study, dataset: Dataset) -> None:
    """Build every network without memory, so that what does not fit is said before the work."""
    if study.encoding is not None and dataset.signal not in study.encoding.takes:
        raise InputError(
            f"encoding: {study.encoding.encoding} takes {study.encoding.takes[0]} inputs; "
            f"{dataset.name} has {dataset.signal} inputs."
        )
    models = {} if isinstance(study.target, External) else {"target": study.target}
    models |= {f"evaluators.{name}": model for name, model in study.evaluators.items()}
    for field, model in models.items():
        if dataset.signal not in model.network.takes:
            raise InputError(
                f"{field}.network: {model.network.architecture} takes "
                f"{' or '.join(model.network.takes)} inputs; {dataset.name} has {dataset.signal} "
                "inputs. Choose another architecture, such as mlp or spiking-mlp."
            )
        try:
            with torch.device("meta"):
                study.build(model.network, dataset.input_shape, len(dataset.class_names))
        except ValueError as error:
            raise InputError(f"{field}.network: {error}") from error
