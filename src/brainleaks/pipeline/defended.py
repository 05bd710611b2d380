"""Networks as a study's defences leave them: the target's, and those of controls and attackers."""

import copy
from dataclasses import replace
from typing import Any

from brainleaks.data import Dataset
from brainleaks.defences import acting
from brainleaks.errors import InputError
from brainleaks.files.tensors import Weights
from brainleaks.monitor import Monitor
from brainleaks.networks.weights import load_weights, weights_digest
from brainleaks.pipeline import stages
from brainleaks.pipeline.cache import Artefact
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.pipeline.versions import of_defences
from brainleaks.randomness import stream
from brainleaks.studies.config import Model


def train(pipeline: Pipeline, name: str, model: Model, dataset: Dataset | None = None) -> Trained:
    """Train a network with the study's defences, or load it.

    Args:
        pipeline: the stages.
        name: of the network.
        model: what it is, and how it is trained.
        dataset: what it is trained on; by default the study's data, and then it is measured.
    """
    defences = acting(pipeline.study.defences, "training")
    trained = pipeline.train(name, model, dataset, defences=defences)
    found = deployed(pipeline, trained, dataset)
    if dataset is not None or found is trained:
        return found
    return replace(found, facts=found.facts | _measured(pipeline, found, {"measured": found.key}))


def load(pipeline: Pipeline, weights: Weights) -> Trained:
    """The target with the weights of a file, defended, and measured as a trained one is.

    Raises:
        InputError: if the weights are not those of the study's network, or a defence acts on
            training.
    """
    if acts := acting(pipeline.study.defences, "training"):
        raise InputError(
            f"--target-weights: the defence {acts[0].name} acts on training, and these weights are "
            "trained already; leave one of the two out."
        )
    name, model = "target", pipeline.study.model
    network = pipeline.new_network(name, model, pipeline.dataset).eval()
    load_weights(network, weights.path, weights.tensors)
    config = model.network
    key = pipeline.network_key(
        name,
        pipeline.dataset,
        config,
        network=config.model_dump(mode="json"),
        weights=weights_digest(network),
        batch_size=model.training.batch_size,
    )
    found = deployed(pipeline, Trained(name, network, {}, key, config.readout))
    return replace(found, facts=_measured(pipeline, found, found.key) | {"weights": weights.origin})


def deployed(pipeline: Pipeline, trained: Trained, dataset: Dataset | None = None) -> Trained:
    """A trained network after the defences of weights and neurons.

    Args:
        pipeline: the stages.
        trained: the network; it is not changed.
        dataset: what it was trained on; by default the study's data.
    """
    defences = acting(pipeline.study.defences, "weights", "neurons")
    if not defences:
        return trained
    told, network = of_defences(defences), trained.network
    samples = (dataset or pipeline.dataset).train
    for defence in defences:
        generator = stream(pipeline.seed, trained.name, "defence", defence.name)
        network = defence(network, samples, generator=generator)
    return replace(trained, network=network.eval(), key={**trained.key, "deployed": told})


def _measured(pipeline: Pipeline, trained: Trained, key: dict[str, Any]) -> dict[str, Any]:
    """The accuracy of the target as it is deployed, and what measuring it took."""
    model, network = pipeline.study.model, copy.deepcopy(trained.network)
    common: Any = {"encode": pipeline.encode, "name": trained.name, "seed": pipeline.seed}

    def make(monitor: Monitor) -> Artefact:
        how = model.network, model.training, pipeline.dataset
        return Artefact({}, stages.measure(network, *how, **common))

    facts = pipeline.cache.get_or_make(f"measure:{trained.name}", key, make).facts
    again = {"seconds", "curve"} & trained.facts.keys()
    return {name: value for name, value in facts.items() if name not in again}
