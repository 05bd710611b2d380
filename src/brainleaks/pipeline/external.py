"""An external target: validated, measured, identified by its outputs, and retrained."""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from brainleaks.data import Dataset, Samples
from brainleaks.data.codes import IMAGE_CODES
from brainleaks.data.parts import of_classes, select, with_shuffled_labels
from brainleaks.errors import InputError, option
from brainleaks.evaluation.class_content import bar
from brainleaks.evaluation.controls import Control
from brainleaks.monitor import Monitor
from brainleaks.networks import Readout, respond, respond_in_pieces
from brainleaks.networks.views import Coded, OfClasses
from brainleaks.pipeline import stages
from brainleaks.pipeline.built import FEW, Built, check_access
from brainleaks.pipeline.cache import Artefact
from brainleaks.pipeline.controls import too_few_to_halve
from brainleaks.pipeline.defended import deployed
from brainleaks.pipeline.keys import UNKNOWN
from brainleaks.pipeline.outputs import (
    check_answers,
    check_finite,
    check_order,
    gradient_of,
    hear,
    share,
)
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.pipeline.recipe import identity, train_by
from brainleaks.pipeline.reinitialise import reinitialise, why_not_trainable
from brainleaks.pipeline.retraining import constants, fill, restore, state, too_little
from brainleaks.randomness import draw_seed, stream
from brainleaks.studies.config import External
from brainleaks.target import RANKS
from brainleaks.training import settings, summed_cross_entropy

#: So many samples of either part say how well a target recognises them.
_MEASURED = 2000
_BATCH = 50


class ExternalTargets:
    """The target of an audit, and its architecture retrained for the controls.

    Args:
        pipeline: the stages of the audit.
        built: the target.
        samples: of :func:`shown_samples`.

    Raises:
        InputError: if the model does not take the samples, what it answers is no answer, or the
            recipe cannot be imported.
    """

    def __init__(self, pipeline: Pipeline, built: Built, samples: Tensor) -> None:
        if not isinstance(pipeline.study.target, External):
            raise ValueError("a foreign target is of a study that says so.")
        self._pipeline, self._config = pipeline, pipeline.study.target
        self._classes = len(pipeline.dataset.class_names)
        check_access(pipeline.study.access, built)
        if self._config.recipe:
            identity(self._config.recipe)  # imported before the work begins
        few = min(FEW, samples.shape[-4])
        check_answers(built.network, samples.narrow(samples.ndim - 4, 0, few), self._classes)
        self._network = _of_images(pipeline, built.network).to(pipeline.device)
        self._built, self._samples = built, samples
        self._identity = self._known_by(samples)

    @cached_property
    def target(self) -> Trained:
        """The target itself, with what it recognises of the data.

        Raises:
            InputError: if it tells the classes apart, but in another order.
        """
        pipeline = self._pipeline

        key = {
            "foreign": self._identity,
            "data": pipeline.dataset.fingerprint,
            "seed": pipeline.seed,
        }
        found = deployed(pipeline, Trained("target", self._network, {}, key))

        def make(monitor: Monitor) -> Artefact:
            return Artefact({}, self._measured(copy.deepcopy(found.network)))

        facts = dict(pipeline.cache.get_or_make("measure:target", found.key, make).facts)
        built = self._built
        facts |= {"framework": built.framework, "lowered": built.lowered, "adapter": built.facts}
        facts |= {"weights": built.weights} if built.weights else {}
        initial = self._before if built.initial else None
        return replace(found, facts=facts, readout=facts["readout"], initial=initial)

    @cached_property
    def missing(self) -> Mapping[Control, str]:
        """Controls that cannot be made, and why.

        A control that retrains the architecture is valid only if the recipe can train it: networks
        trained on half of the classes, or on all if there are few, must recognise these, or at
        least as well as the target does.
        """
        if reason := self._not_trainable:
            why = f"the target's architecture cannot be retrained: {reason}"
            return dict.fromkeys(("untrained", "shuffled-labels", "without-class"), why)
        few = too_few_to_halve(self._classes)
        try:
            found = self._recognised_anew() if few else min(map(self._recognised_by_half, (0, 1)))
        except InputError as error:
            if self._config.recipe is None:
                raise
            why = f"the target's architecture cannot be retrained: {str(error).rstrip('.')}"
            return dict.fromkeys(("shuffled-labels", "without-class"), why)
        known = self._classes if few else -(-self._classes // 2)
        least = min(bar(known), self.target.facts["test_accuracy"])
        if found >= least:
            return few
        why = too_little(found, least, "all" if few else "half")
        return dict.fromkeys(("shuffled-labels", "without-class"), why)

    def _recognised_anew(self) -> float:
        """How much a network that was retrained on the data recognises of it."""
        dataset = self._pipeline.dataset
        return self._recognised(self.retrained("control-anew", dataset), dataset.test)

    def _recognised_by_half(self, fold: int) -> float:
        """How much a network that was retrained on half of the classes recognises of them."""
        known = list(range(fold, self._classes, 2))
        some = of_classes(self._pipeline.dataset, known).test
        return self._recognised(self.half(fold, known), some)

    def _recognised(self, trained: Trained, samples: Samples) -> float:
        answers = self._answers(trained.network, samples)
        return max(share(named, samples.labels) for named in answers.values())

    @property
    def remarks(self) -> list[str]:
        """That the target recognises little, where it does: it may not be asked as it should."""
        found, least = self.target.facts["test_accuracy"], bar(self._classes)
        if found >= least:
            return []
        return [
            f"The model recognises {found:.2f} of the held-out samples. If it was trained to do "
            f"better, it is not given them as it was trained on: look at {option('encoding')}, "
            f"{option('steps')}, {option('classes')} and how it takes its inputs."
        ]

    def untrained(self) -> Trained:
        name = "control-untrained"
        environment = self._pipeline.environment("reinitialise")
        key = {"anew": self._identity, "name": name, "seed": self._pipeline.seed}
        key |= {"environment": environment}
        made = Trained(name, self._anew(name).eval(), {}, key, self.target.readout)
        return deployed(self._pipeline, made)

    def shuffled(self) -> Trained:
        generator = stream(self._pipeline.seed, "shuffled labels")
        shuffled = with_shuffled_labels(self._pipeline.dataset, generator)
        name = "control-shuffled-labels"
        return self._train(name, self._anew(name), shuffled)

    def half(self, fold: int, known: list[int]) -> Trained:
        name = f"control-half-{fold + 1}"
        network = OfClasses(self._anew(name), known)
        return self._train(name, network, of_classes(self._pipeline.dataset, known), known)

    def retrained(self, name: str, dataset: Dataset) -> Trained:
        trained = self._train(name, self._anew(name), dataset)
        return replace(trained, initial=partial(self._anew, name))

    def _before(self) -> nn.Module:
        """The target before its training."""
        if self._built.initial is None:
            raise ValueError("the initial weights are not known.")
        return _of_images(self._pipeline, self._built.initial).to(self._pipeline.device)

    def _train(
        self, name: str, network: nn.Module, dataset: Dataset, known: Sequence[int] | None = None
    ) -> Trained:
        pipeline, recipe, training = self._pipeline, self._config.recipe, self._config.training
        known = range(self._classes) if known is None else known
        key = {
            "anew": self._identity,
            "name": name,
            "training": identity(recipe) if recipe else settings(training),
            "data": dataset.fingerprint,
            "seed": pipeline.seed,
            "environment": pipeline.environment("train", "reinitialise"),
        }

        def make(monitor: Monitor) -> Artefact:
            if recipe is None:
                stages.train(
                    network, training, dataset.train, encode=pipeline.encode, name=name,
                    seed=pipeline.seed, readout=self.target.readout, monitor=monitor,
                )  # fmt: skip
            else:
                learned = train_by(
                    recipe, dataset.train, known, draw_seed(stream(pipeline.seed, name))
                )
                fill(network, self._adapted(learned), recipe)
            kept = state(network) | (constants(network) if recipe else {})
            return Artefact({k: v.detach().clone() for k, v in kept.items()})

        artefact = pipeline.cache.get_or_make(f"train:{name}", key, make)
        restore(network, artefact.tensors)
        made = Trained(name, network.eval(), artefact.facts, key, self.target.readout)
        return deployed(pipeline, made, dataset)

    def _adapted(self, module: nn.Module) -> nn.Module:
        """A network that the user's recipe trained, in the form of the target."""
        if self._built.framework != "brainleaks":
            from brainleaks import adapters  # imported late: it brings frameworks

            module = adapters.adapt(
                module,
                framework=self._config.framework,
                samples=self._samples,
                classes=self._classes,
            ).network
        return _of_images(self._pipeline, module)

    def _anew(self, name: str) -> nn.Module:
        return reinitialise(self._network, stream(self._pipeline.seed, name, "initial weights"))

    @cached_property
    def _not_trainable(self) -> str | None:
        pipeline = self._pipeline
        if self._config.recipe and any(w.numel() > 1 for w in self._network.parameters()):
            return None  # the user's recipe differentiates it in its own way
        batch = pipeline.dataset.train.inputs[
            torch.arange(min(2, len(pipeline.dataset.train.labels)))
        ]
        inputs = pipeline.encode(
            batch.to(pipeline.device), stream(0, "trial", device=pipeline.device)
        )
        labels = pipeline.dataset.train.labels[:2].to(pipeline.device)
        return why_not_trainable(
            self._network, lambda fresh: summed_cross_entropy(respond(fresh, inputs), labels)
        )

    def _measured(self, network: nn.Module) -> dict[str, Any]:
        """Accuracy on both parts, by the readout that is stated, else by what recognises more."""
        dataset = self._pipeline.dataset
        parts = {part: _some(getattr(dataset, part)) for part in ("train", "test")}
        named = self._answers(network, parts["test"])
        shares = {r: share(answers, parts["test"].labels) for r, answers in named.items()}
        stated = self._built.facts.get("readout")
        readout = stated if stated in named else max(shares, key=lambda r: shares[r])
        check_order(named[readout], parts["test"].labels, dataset.class_names)
        train = self._answers(network, parts["train"])[readout]
        return {
            "train_accuracy": share(train, parts["train"].labels),
            "test_accuracy": shares[readout],
            "readout": readout,
        }

    @torch.no_grad()
    def _answers(self, network: nn.Module, samples: Samples) -> dict[Readout, Tensor]:
        """The class that each readout names, ``(N,)``."""
        pipeline, found = self._pipeline, dict[Readout, list[Tensor]]()
        noise = stream(pipeline.seed, "target", "test", device=pipeline.device)
        size = min(_BATCH, self._config.training.batch_size)
        for batch in torch.arange(len(samples.labels)).split(size):
            inputs = pipeline.encode(samples.inputs[batch].to(pipeline.device), noise)
            spikes, membrane = respond_in_pieces(network, inputs)
            found.setdefault("membrane", []).append(membrane.sum(0).argmax(1).cpu())
            if spikes is not None:
                found.setdefault("spikes", []).append(spikes.sum(0).argmax(1).cpu())
        return {readout: torch.cat(named) for readout, named in found.items()}

    def _known_by(self, samples: Tensor) -> dict[str, Any]:
        """What tells this target from any other: weights, form, answers and their gradients."""
        pipeline = self._pipeline
        network = self._built.network.to(pipeline.device)
        inputs = samples.to(pipeline.device)
        heard = hashlib.sha256()
        answers = respond_in_pieces(network, inputs).membrane
        check_finite(answers)
        hear(heard, answers)
        if RANKS.index(pipeline.study.access) >= RANKS.index("gradients"):
            few = inputs.narrow(inputs.ndim - 4, 0, min(FEW, inputs.shape[-4]))
            hear(heard, gradient_of(network, few))
        for name, tensor in state(network).items():
            heard.update(name.encode())
            hear(heard, tensor)
        for tensor in state(self._built.initial).values() if self._built.initial else ():
            hear(heard, tensor)
        encoding = pipeline.study.encoding
        shows_weights = any(weight.numel() > 1 for weight in state(network).values())
        service = {} if shows_weights else {"service": self._config.service_id or UNKNOWN}
        return {
            **service,
            "answers": heard.hexdigest(),
            "printed": hashlib.sha256(repr(network).encode()).hexdigest(),
            "encoding": asdict(encoding) if encoding else None,
        }


def _of_images(pipeline: Pipeline, network: nn.Module) -> nn.Module:
    """The network as it is asked: behind its encoding, where that is not the rate code."""
    encoding = pipeline.study.encoding
    if isinstance(encoding, IMAGE_CODES):
        return Coded(network, encoding, encoding.steps)
    return network


def _some(samples: Samples) -> Samples:
    """At most so many samples, spread evenly."""
    count = len(samples.labels)
    if count <= _MEASURED:
        return samples
    return select(samples, torch.linspace(0, count - 1, _MEASURED).long())
