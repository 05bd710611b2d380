"""The road from a study to its results, each stage stored."""

import inspect
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.attacks import Attack
from brainleaks.data import Dataset
from brainleaks.data.encoding import as_images
from brainleaks.data.files import data_folder
from brainleaks.errors import InputError
from brainleaks.evaluation import Judgement
from brainleaks.monitor import Monitor
from brainleaks.study import stages
from brainleaks.study.config import Model, Study
from brainleaks.study.loading import load_dataset
from brainleaks.study.provenance import provenance
from brainleaks.study.store import Artefact, Recorder, Store, digest, environment
from brainleaks.study.tensors import Weights, load_weights, read_weights, weights_digest
from brainleaks.target import Target


@dataclass
class Trained:
    """A trained network, with what is reported of it and what determines it."""

    name: str
    network: nn.Module
    facts: dict[str, Any]
    key: dict[str, Any]


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
            are not those of the study's network, training diverges, or a result cannot be written.
    """
    weights = read_weights(target_weights) if target_weights else None
    store = store or Store()
    dataset = load_dataset(study, data_folder(data_dir), store)
    _check_networks(study, dataset)
    road = _Road(study, seed, dataset, device, store)
    target = road.load_target(weights) if weights else road.train("target", study.target)
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


class _Road:
    """The stages of one study, each under the hash of what determines it."""

    def __init__(
        self, study: Study, seed: int, dataset: Dataset, device: str, store: Store
    ) -> None:
        self.study, self.seed, self.dataset = study, seed, dataset
        self.device, self.store = device, store
        self.encode = study.encoding or as_images

    def train(self, name: str, model: Model) -> Trained:
        """Train one network, or load it."""
        network = self._new(name, model)
        config, recipe = model.network, model.training

        def make(monitor: Monitor) -> Artefact:
            common: Any = {"encode": self.encode, "name": name, "seed": self.seed}
            samples = self.dataset.train
            stages.train(network, recipe, samples, **common, monitor=monitor)
            facts = stages.measure(network, config, recipe, self.dataset, **common)
            return Artefact(dict(network.state_dict()), facts)

        key = self._network_key(name, model=model.model_dump(mode="json"))
        artefact = self.store.get_or_make(f"train:{name}", key, make)
        network.load_state_dict(artefact.tensors)
        return Trained(name, network.eval(), artefact.facts, key)

    def load_target(self, weights: Weights) -> Trained:
        """The target with the weights of a file, measured as a trained one is."""
        name, config, recipe = "target", self.study.target.network, self.study.target.training
        network = self._new(name, self.study.target).eval()
        load_weights(network, weights.path, weights.tensors)

        def make(monitor: Monitor) -> Artefact:
            common: Any = {"encode": self.encode, "name": name, "seed": self.seed}
            return Artefact({}, stages.measure(network, config, recipe, self.dataset, **common))

        key = self._network_key(
            name,
            network=config.model_dump(mode="json"),
            weights=weights_digest(network),
            batch_size=recipe.batch_size,
        )
        facts = self.store.get_or_make(f"measure:{name}", key, make).facts
        return Trained(name, network, facts | {"weights": weights.origin}, key)

    def attack(
        self, name: str, attack: Attack, target: Trained, evaluators: list[Trained]
    ) -> Reconstruction:
        """Attack every class, and have each evaluator judge the result."""
        key = {
            "attack": asdict(attack),
            "name": name,
            "target": target.key,
            "environment": self._environment(stages.attack_all, attack),
        }

        def make(monitor: Recorder) -> Artefact:
            shape, classes = self.dataset.input_shape, len(self.dataset.class_names)
            view = Target(target.network, input_shape=shape, classes=classes)
            monitor.count_queries(view)
            values = stages.attack_all(attack, view, name=name, seed=self.seed, monitor=monitor)
            return Artefact({"reconstruction": values}, {"queries": view.queries})

        artefact = self.store.get_or_make(f"attack:{name}", key, make)
        values = artefact.tensors["reconstruction"].to(self.device)
        judgements = {e.name: self._judge(key, values, e) for e in evaluators}
        return Reconstruction(name, values, artefact.facts, judgements)

    def _judge(self, attack_key: dict[str, Any], values: Tensor, evaluator: Trained) -> Judgement:
        name, draws = evaluator.name, self.study.draws
        key = {
            "attack": attack_key,
            "evaluator": evaluator.key,
            "draws": draws,
            "environment": self._environment(stages.judge_all),
        }

        def make(monitor: Monitor) -> Artefact:
            judgement = stages.judge_all(
                evaluator.network, values, draws=draws, name=name, seed=self.seed, monitor=monitor
            )
            facts = {"metrics": judgement.metrics, "draws": judgement.draws}
            return Artefact({"matrix": judgement.matrix}, facts)

        artefact = self.store.get_or_make(f"judge:{name}", key, make)
        facts = artefact.facts
        return Judgement(facts["metrics"], artefact.tensors["matrix"], facts["draws"])

    def _network_key(self, name: str, **made_of: Any) -> dict[str, Any]:
        """What determines a network and what is measured of it; ``made_of`` is its own part."""
        encoding = self.study.encoding
        return {
            **made_of,
            "name": name,
            "encoding": asdict(encoding) if encoding else None,
            "data": self.dataset.fingerprint,
            "seed": self.seed,
            "environment": self._environment(stages.train, self.encode),
        }

    def _environment(self, *code: object) -> dict[str, Any]:
        """The environment of a stage that these functions or objects compute."""
        owners = [item if inspect.isfunction(item) else type(item) for item in code]
        return environment(self.device, *(owner.__module__ for owner in owners))

    def _new(self, name: str, model: Model) -> nn.Module:
        return stages.new_network(
            model.network, self.dataset, name=name, seed=self.seed, device=self.device
        )
