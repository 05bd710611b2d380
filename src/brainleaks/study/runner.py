"""The road from a study to its results, each stage stored."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.attacks import Attack
from brainleaks.data import DATASETS, Dataset
from brainleaks.data.encoding import as_images
from brainleaks.data.files import data_folder
from brainleaks.errors import InputError
from brainleaks.evaluation import Judgement, judge_images, judge_spikes
from brainleaks.monitor import Monitor
from brainleaks.randomness import stream
from brainleaks.study.config import Model, Study
from brainleaks.study.provenance import provenance
from brainleaks.study.store import Artefact, Recorder, Store, digest, environment
from brainleaks.target import Target
from brainleaks.training import accuracy, fit


@dataclass
class Trained:
    """A trained network, with what is reported of it."""

    name: str
    network: nn.Module
    facts: dict[str, Any]


@dataclass
class Reconstruction:
    """One attack's result: ``(T, C, channels, H, W)`` spikes or ``(C, channels, H, W)`` images."""

    name: str
    values: Tensor
    facts: dict[str, Any]
    judgements: dict[str, Judgement]


@dataclass
class Outcome:
    """All that a run found out."""

    study: Study
    seed: int
    dataset: Dataset
    target: Trained
    evaluators: list[Trained]
    reconstructions: list[Reconstruction]
    provenance: dict[str, Any]


def run_study(
    study: Study,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    device: str = "cpu",
    store: Store | None = None,
    command: str | None = None,
) -> Outcome:
    """Train, attack and judge; what is in the store already is not made again.

    Args:
        study: the experiment.
        seed: where all randomness comes from.
        data_dir: folder to find data in; see :func:`brainleaks.data.files.data_folder`.
        device: ``"cpu"`` or ``"cuda"``.
        store: where stages are kept.
        command: what to type to run this again; by default the run folder's study file.

    Raises:
        InputError: if the data cannot be had or is too small for a network, training diverges, or
            a result cannot be written.
    """
    dataset = DATASETS[study.dataset].load(data_folder(data_dir))
    _check_networks(study, dataset)
    road = _Road(study, seed, dataset, device, store or Store())
    target = road.train("target", study.target)
    evaluators = [road.train(name, model) for name, model in study.evaluators.items()]
    return Outcome(
        study=study,
        seed=seed,
        dataset=dataset,
        target=target,
        evaluators=evaluators,
        reconstructions=[
            road.attack(name, attack, target, evaluators) for name, attack in study.attacks.items()
        ],
        provenance=provenance(
            study=digest(study.model_dump(mode="json")),
            seed=seed,
            data=dataset.fingerprint,
            device=device,
            command=command or f"brainleaks run study.yaml --seed {seed}",
        ),
    )


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


def judge(
    evaluator: nn.Module,
    reconstruction: Tensor,
    *,
    draws: int,
    generator: torch.Generator,
    monitor: Monitor | None = None,
) -> Judgement:
    """Judge one reconstruction a class by a spiking or an ordinary evaluator."""
    if not evaluator.spiking:
        return judge_images(evaluator, reconstruction)
    return judge_spikes(
        evaluator, reconstruction, draws=draws, generator=generator, monitor=monitor
    )


class _Road:
    """The stages of one study, each under the hash of what determines it."""

    def __init__(
        self, study: Study, seed: int, dataset: Dataset, device: str, store: Store
    ) -> None:
        self.study, self.seed, self.dataset = study, seed, dataset
        self.device, self.store = device, store
        self.encode = study.encoding or as_images
        self.classes = len(dataset.class_names)

    def train(self, name: str, model: Model) -> Trained:
        """Train one network, or load it."""
        key = self._training_key(name, model)

        def make(monitor: Monitor) -> Artefact:
            network = self._new(model, name)
            generator = stream(self.seed, name, "training")
            fit(
                network,
                self.dataset.train,
                model.training,
                encode=self.encode,
                generator=generator,
                monitor=monitor,
            )
            return Artefact(dict(network.state_dict()), self._accuracies(network, name, model))

        artefact = self.store.get_or_make(f"train:{name}", key, make)
        network = self._new(model, name)
        network.load_state_dict(artefact.tensors)
        return Trained(name, network.eval(), artefact.facts)

    def attack(
        self, name: str, attack: Attack, target: Trained, evaluators: list[Trained]
    ) -> Reconstruction:
        """Attack every class, and have each evaluator judge the result."""
        key = {
            "attack": _plain(attack),
            "name": name,
            "target": self._training_key("target", self.study.target),
        }

        def make(monitor: Recorder) -> Artefact:
            shape = self.dataset.input_shape
            view = Target(target.network, input_shape=shape, classes=self.classes)
            monitor.count_queries(view)
            labels = torch.arange(self.classes)
            generator = stream(self.seed, name, "attack")
            values = attack(view, labels, generator=generator, monitor=monitor)
            return Artefact({"reconstruction": values}, {"queries": view.queries})

        artefact = self.store.get_or_make(f"attack:{name}", key, make)
        values = artefact.tensors["reconstruction"].to(self.device)
        judgements = {e.name: self._judge(key, values, e) for e in evaluators}
        return Reconstruction(name, values, artefact.facts, judgements)

    def _judge(self, attack_key: dict[str, Any], values: Tensor, evaluator: Trained) -> Judgement:
        model = self.study.evaluators[evaluator.name]
        key = {
            "attack": attack_key,
            "evaluator": self._training_key(evaluator.name, model),
            "draws": self.study.draws,
        }

        def make(monitor: Monitor) -> Artefact:
            generator = stream(self.seed, evaluator.name, "judgement")
            judgement = judge(
                evaluator.network,
                values,
                draws=self.study.draws,
                generator=generator,
                monitor=monitor,
            )
            facts = {"metrics": judgement.metrics, "draws": judgement.draws}
            return Artefact({"matrix": judgement.matrix}, facts)

        artefact = self.store.get_or_make(f"judge:{evaluator.name}", key, make)
        facts = artefact.facts
        return Judgement(facts["metrics"], artefact.tensors["matrix"], facts["draws"])

    def _training_key(self, name: str, model: Model) -> dict[str, Any]:
        return {
            "model": model.model_dump(mode="json"),
            "name": name,
            "encoding": _plain(self.study.encoding),
            "data": self.dataset.fingerprint,
            "seed": self.seed,
            "environment": environment(self.device),
        }

    def _new(self, model: Model, name: str) -> nn.Module:
        seed = stream(self.seed, name, "initial weights").initial_seed()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = model.network.build(self.dataset.input_shape, self.classes)
        return network.to(self.device)

    def _accuracies(self, network: nn.Module, name: str, model: Model) -> dict[str, float]:
        parts = {"train": self.dataset.train, "test": self.dataset.test}
        return {
            f"{part}_accuracy": accuracy(
                network,
                samples,
                encode=self.encode,
                readout=model.network.readout,
                generator=stream(self.seed, name, part),
            )
            for part, samples in parts.items()
        }


def _plain(settings: Any) -> dict[str, Any] | None:
    """A settings dataclass as JSON; ``None`` stays."""
    return None if settings is None else asdict(settings)
