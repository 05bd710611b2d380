"""A finished run as the report reads it: numbers, text and pictures, without the model."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from brainleaks.data.cochlea import Cochlea
from brainleaks.errors import InputError, printable
from brainleaks.evaluation.panel import rates_seen
from brainleaks.files import atomic
from brainleaks.files.yaml import load_yaml
from brainleaks.report.figures import Picture, picture, pictures
from brainleaks.runs import (
    read_images,
    read_inputs,
    read_provenance,
    read_results,
    read_samples,
)

Values = NDArray[np.float32]
#: Among the pictures beside reconstructions: the mean of each class's held-out samples.
CLASS_MEAN = "class-mean"

_JUDGED = {"judges", "likeness", "controls", "statistics", "verdict"}


@dataclass(frozen=True)
class Run:
    """A run folder's content.

    ``results`` and ``provenance`` are its JSON files, ``study`` the text of its study file.
    """

    folder: Path
    results: dict[str, Any]
    provenance: dict[str, Any]
    study: str

    @property
    def class_names(self) -> list[str]:
        """In the order of the labels, with control characters escaped."""
        return [printable(name) for name in self.results["dataset"]["class_names"]]

    @property
    def attacks(self) -> list[str]:
        """Each attack once, however many evaluators judged it."""
        judged = [entry["name"] for entry in self.results["attacks"]]
        return list(dict.fromkeys([*judged, *self.results["likeness"]]))

    @property
    def leading_attack(self) -> str:
        """The attack of the highest level that names one of the reconstructions, else the first."""
        verdict = self.results["verdict"]
        if not self.attacks:
            raise InputError(f"{self.folder} has no class reconstructions to compare.")
        rungs = sorted(verdict.get("levels", ()), key=lambda r: (r["status"] == "yes", r["level"]))
        named = [verdict["attack"], *(rung["attack"] for rung in reversed(rungs))]
        return next((name for name in named if name in self.attacks), self.attacks[0])

    def metrics(self, attack: str, control: str | None = None) -> dict[str, Any]:
        """What was measured of an attack, or of one of its controls; empty without that control."""
        if control is None:
            measured: dict[str, Any] = self.results["likeness"][attack]["metrics"]
            return measured
        entries = self.results["controls"]
        beside = [e for e in entries if (e["attack"], e["control"]) == (attack, control)]
        return beside[0]["metrics"] if beside else {}

    @cached_property
    def frame_us(self) -> int | None:
        """Length of a frame if the target was attacked with recordings, else ``None``."""
        path = self.folder / "study.yaml"
        frames = load_yaml(path, self.study).get("frames")
        if not frames or self.results["target"]["family"] != "snn":
            return None
        length = frames.get("frame_us") if isinstance(frames, dict) else None
        if not isinstance(length, int) or length < 1:
            raise InputError(f"{path}: frames.frame_us is {length!r}; expected microseconds.")
        return length

    @property
    def truth(self) -> Values:
        """Each class's first training sample, ``(C, T, 1, D)`` or ``(C, 1, D)``."""
        return self._inputs("truth.safetensors")

    def reconstruction(self, attack: str) -> Values:
        """What an attack made, ``(C, T, 1, D)`` or ``(C, 1, D)``."""
        return self._inputs(f"reconstructions/{attack}.safetensors")

    def rates(self, values: Values) -> list[Picture]:
        """One picture a class, spikes as firing rates, each stretched to its own range."""
        return self._turned(pictures(values, tuple(self.results["dataset"]["input_shape"])))

    @cached_property
    def stored(self) -> dict[str, Values]:
        """``(classes, C, H, W)`` by ``ATTACK.nearest``, ``ATTACK.control``, and ``class-mean``."""
        found = read_images(self.folder, "evidence.safetensors", self.results)
        return {key: images.numpy() for key, images in found.items()}

    @cached_property
    def cochlea(self) -> Cochlea | None:
        """What made its recordings of sound, if they were."""
        settings, shape = (self.results["dataset"].get(key) for key in ("sound", "input_shape"))
        if settings is None:
            return None
        try:
            cochlea = Cochlea(**settings)
        except (TypeError, ValueError):
            cochlea = None
        if cochlea and shape == [1, cochlea.steps, cochlea.channels] and cochlea.playable:
            return cochlea
        raise InputError(
            f"{self.folder / 'results.json'}: dataset.sound is {settings!r}; expected what made "
            f"recordings of shape {shape}. Run the study again."
        )

    @cached_property
    def evidence(self) -> dict[str, list[Picture]]:
        """One picture a class, by ``ATTACK.nearest`` and ``ATTACK.control``; may be empty.

        Of streams, ``ATTACK.seen`` has the nearest recordings as they are judged, blurred in time.
        """
        stored = {key: images for key, images in self.stored.items() if key != CLASS_MEAN}
        for name, found in self.results["likeness"].items():
            pair = {f"{name}.nearest", f"{name}.control"}
            if len(pair & stored.keys()) != (2 if found["strongest_control"] else 0):
                raise InputError(
                    f"{self.folder / 'evidence.safetensors'} does not hold the pictures beside "
                    f"{name}'s that results.json names; run the study again."
                )
        if self.is_stream:
            for name in [key for key in stored if key.endswith(".nearest")]:
                blurred = rates_seen(torch.from_numpy(stored[name]), "stream")
                stored[name.replace(".nearest", ".seen")] = blurred.numpy()
        return {key: self._turned(map(picture, images)) for key, images in stored.items()}

    def samples(self, name: str, count: int) -> list[Picture]:
        """So many real samples, one picture each."""
        read = read_samples(self.folder, name, self.results, count)
        return self._turned(map(picture, read.numpy()))

    def _turned(self, found: Iterable[Picture]) -> list[Picture]:
        """Pictures to look at: of a stream, time runs to the right and channels upward."""
        return [np.rot90(one) for one in found] if self.is_stream else list(found)

    @cached_property
    def is_stream(self) -> bool:
        """Whether the inputs are recordings of channels."""
        encoding = load_yaml(self.folder / "study.yaml", self.study).get("encoding")
        coded = isinstance(encoding, dict) and encoding.get("encoding") == "stream"
        return coded or self.results["dataset"].get("sound") is not None

    def _inputs(self, name: str) -> Values:
        return read_inputs(self.folder, name, self.results).numpy()


def read_run(folder: Path, *, derived: bool = True) -> Run:
    """Read a run folder.

    Args:
        folder: the run folder.
        derived: whether its report, too, has to be as the run left it.

    Raises:
        InputError: if it is not a finished run, was changed since, or has no verdict, as older
            versions wrote it.
    """
    results = read_results(folder, derived=derived)
    if not results.keys() >= _JUDGED:
        raise InputError(
            f"{folder} has no verdict because an older version wrote it; run the study again, "
            "which retrains nothing."
        )
    study = atomic.read_text(folder / "study.yaml")
    if not isinstance(load_yaml(folder / "study.yaml", study), dict):
        raise InputError(f"{folder / 'study.yaml'} is not a study; run the study again.")
    return Run(folder, results, read_provenance(folder), study)
