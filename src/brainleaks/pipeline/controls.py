"""What the controls attack: the target's architecture, not trained or trained on other data."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from brainleaks.data import Dataset
from brainleaks.data.parts import of_classes, with_shuffled_labels
from brainleaks.evaluation.controls import Control, possible
from brainleaks.pipeline.defended import deployed, train
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.randomness import stream


def too_few_to_halve(classes: int) -> dict[Control, str]:
    """That the control without the class is not possible, if there are too few classes."""
    if possible("without-class", classes):
        return {}
    why = f"a target without half of the classes would know one alone, as there are {classes}"
    return {"without-class": why}


class Targets(Protocol):
    """Networks that the controls attack."""

    @property
    def missing(self) -> Mapping[Control, str]:
        """Controls that are not possible, each with a sentence that says why."""

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences about the target that a reader of the verdict should know."""

    def untrained(self) -> Trained:
        """A network of the target's architecture that was never trained."""

    def shuffled(self) -> Trained:
        """The same, trained on the data with shuffled labels."""

    def half(self, fold: int, known: list[int]) -> Trained:
        """It was trained on some classes only, renumbered in the order given."""

    def retrained(self, name: str, dataset: Dataset) -> Trained:
        """A network as the target, trained on other data of the same classes."""


class OwnTargets:
    """Targets that a study builds, trains and defends."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline, self._model = pipeline, pipeline.study.model

    @property
    def missing(self) -> Mapping[Control, str]:
        """One that cannot be made of few classes."""
        return too_few_to_halve(len(self._pipeline.dataset.class_names))

    @property
    def remarks(self) -> Sequence[str]:
        """None."""
        return ()

    def untrained(self) -> Trained:
        pipeline = self._pipeline
        return deployed(pipeline, pipeline.untrained("control-untrained", self._model))

    def shuffled(self) -> Trained:
        generator = stream(self._pipeline.seed, "shuffled labels")
        shuffled = with_shuffled_labels(self._pipeline.dataset, generator)
        return train(self._pipeline, "control-shuffled-labels", self._model, shuffled)

    def half(self, fold: int, known: list[int]) -> Trained:
        some = of_classes(self._pipeline.dataset, known)
        return train(self._pipeline, f"control-half-{fold + 1}", self._model, some)

    def retrained(self, name: str, dataset: Dataset) -> Trained:
        return train(self._pipeline, name, self._model, dataset)
