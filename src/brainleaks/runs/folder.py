"""The run folder: writing and reading it.

======================================  ==========================================================
``study.yaml``                          the study as resolved; runs again as it is
``results.json``                        every number
``provenance.json``                     versions, seed, hashes, machine, command
``target.safetensors``                  weights, unless the target was built elsewhere
``evaluators/NAME.safetensors``         weights
``reconstructions/NAME.safetensors``    ``reconstruction``: ``(classes, T, 1, D)`` spikes or spike
                                        probabilities, ``(classes, 1, D)`` images
``truth.safetensors``                   ``inputs``: each class's first training sample, likewise
``evidence.safetensors``                images ``(C, channels, H, W)`` beside each attack's:
                                        ``ATTACK.nearest``, the training samples that it resembles
                                        most, and ``ATTACK.control``, its strongest control's
``membership.safetensors``              scores ``(N,)`` by attack, ``member``, and ``sample``,
                                        its place in the training part followed by the test part
``user-membership.safetensors``         scores ``(K, U)`` of users by attack, of each network, and
                                        ``member``, whether it learned from the user
``exposed.safetensors``                 images ``(n, channels, H, W)`` of the training samples that
                                        membership attacks find most easily, where they are found
``recovered-NAME.safetensors``          images ``(2 B, channels, H, W)`` of a batch's private
                                        samples, and of what the attack recovered of each
``figures/``, ``report.html``           see :mod:`brainleaks.report`
``digests.json``                        SHA-256 of each of these (:mod:`brainleaks.runs.digests`)
``release/``                            see :mod:`brainleaks.runs.release`; there once exported
======================================  ==========================================================
"""

import contextlib
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from brainleaks.data import Dataset, SpikeTrains
from brainleaks.defences import Defence
from brainleaks.errors import InputError, option
from brainleaks.files import atomic
from brainleaks.files.yaml import load_yaml
from brainleaks.networks.weights import check_weights, load_weights, weights_digest
from brainleaks.pipeline.evidence.reconstruction import to_release
from brainleaks.pipeline.keys import digest
from brainleaks.pipeline.loading import one_a_class
from brainleaks.pipeline.pipeline import Trained
from brainleaks.pipeline.run import Outcome
from brainleaks.runs import in_order, read_provenance, read_results, seal
from brainleaks.studies.config import Model, Study
from brainleaks.studies.reading import parse_study

#: How often a run folder is put in its place while other processes do the same.
_ATTEMPTS = 20


def prepare(folder: Path, study: Study | None = None, seed: int = 0) -> None:
    """Check, before hours of work, that the run folder can be written.

    Args:
        folder: the run folder.
        study: what will be run, if it is known.
        seed: with which seed.

    Raises:
        InputError: if it cannot, or holds something else than a run, or the export of another.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "study.yaml").exists():
        raise InputError(
            f"{option('out')}: {folder} contains files that are not a brainleaks run; choose "
            "another folder."
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{option('out')}: {folder} is a file; choose a folder.")
    if study is not None and _release(folder).is_dir():
        made = read_provenance(folder)
        if (made["study"], made["seed"]) != (digest(study.model_dump(mode="json")), seed):
            raise _would_be_lost(folder)
    atomic.remove_abandoned(folder.absolute().parent)
    probe = atomic.scratch_path(folder.absolute()) / "probe"
    atomic.write_bytes(probe, b"")
    shutil.rmtree(probe.parent)


def write(
    outcome: Outcome, folder: Path, report: Callable[[Path], object] | None = None
) -> dict[str, Any]:
    """Write the run folder to a temporary place, and move it into position atomically.

    An export of the run in ``release/`` stays if the run is the same again.

    Args:
        outcome: of a run.
        folder: the run folder.
        report: what adds the report to the folder it is given.

    Returns:
        The content of ``results.json``.

    Raises:
        InputError: if it cannot be written, or another run's export would be lost; what was there
            before stays.
    """
    scratch = atomic.scratch_path(folder.absolute())
    try:
        results = _write_into(scratch, outcome, folder)
        seal(scratch)
        if report is not None:
            report(scratch)
        _keep_release(folder, scratch)
        _replace(folder, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return results


def _write_into(scratch: Path, outcome: Outcome, folder: Path) -> dict[str, Any]:
    results = in_order(summary(outcome, folder))
    if isinstance(outcome.study.target, Model):  # another is in a file already, and not ours
        state = outcome.target.network.state_dict()
        atomic.write_tensors(scratch / "target.safetensors", state)
    for trained in outcome.evaluators:
        path = scratch / "evaluators" / f"{trained.name}.safetensors"
        atomic.write_tensors(path, trained.network.state_dict())
    for evidence in outcome.evidence.values():
        for name, tensors in evidence.tensors.items():
            atomic.write_tensors(scratch / f"{name}.safetensors", tensors)
    atomic.write_tensors(scratch / "truth.safetensors", {"inputs": _truth(outcome.dataset)})
    weights = {t.name: _digest(t) for t in (outcome.target, *outcome.evaluators)}
    atomic.write_json(scratch / "provenance.json", outcome.provenance | {"weights": weights})
    atomic.write_json(scratch / "results.json", results)
    plain = outcome.study.model_dump(mode="json")
    atomic.write_text(scratch / "study.yaml", yaml.safe_dump(plain, sort_keys=False))
    return results


def _digest(trained: Trained) -> str:
    """Of a network's weights; of one that was built elsewhere, of its answers as well."""
    foreign = trained.key.get("foreign")
    return str(foreign["answers"]) if foreign else weights_digest(trained.network)


def _release(folder: Path) -> Path:
    return folder / "release"


def _keep_release(folder: Path, scratch: Path) -> None:
    """Bring an export along if it is one of the run that replaces its own."""
    if not _release(folder).is_dir():
        return
    if _exportable(folder) != _exportable(scratch):
        raise _would_be_lost(folder)
    shutil.copytree(_release(folder), _release(scratch))


def _exportable(folder: Path) -> dict[Path, str]:
    """Digests of what an export is made of."""
    parts = ("target.safetensors", "evaluators/*", "reconstructions/*")
    files = [path for part in parts for path in folder.glob(part)]
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _would_be_lost(folder: Path) -> InputError:
    return InputError(
        f"{option('out')}: {_release(folder)} holds the export of another run, which would be "
        "lost; move it or choose another folder. Results are cached and will not be recomputed."
    )


def _replace(folder: Path, scratch: Path) -> None:
    """Put a finished folder in its place; of several processes that do, the last one wins."""
    old = atomic.scratch_path(folder.absolute())
    for attempt in range(_ATTEMPTS):
        try:
            with contextlib.suppress(FileNotFoundError):  # another process has moved it away
                folder.rename(old)
            scratch.rename(folder)
        except OSError as error:
            if attempt + 1 == _ATTEMPTS or not folder.exists():
                raise InputError(f"cannot write {folder}: {error.strerror or error}.") from error
        else:
            break
        finally:
            shutil.rmtree(old, ignore_errors=True)


def summary(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """Every number of a run, as JSON."""
    dataset, study = outcome.dataset, outcome.study
    target = dict(outcome.target.facts)
    told = target.pop("defences", {})
    return {
        "run_dir": str(folder),
        "preset": study.name,
        "description": study.description,
        "seed": outcome.seed,
        "dataset": {
            "name": dataset.name,
            "classes": len(dataset.class_names),
            "class_names": list(dataset.class_names),
            "input_shape": list(dataset.input_shape),
            "train": len(dataset.train.labels),
            "test": len(dataset.test.labels),
            "fingerprint": dataset.fingerprint,
            **({"sound": asdict(dataset.sound)} if dataset.sound else {}),
            "set_apart": 0 if dataset.others is None else len(dataset.others),
        },
        "target": {"family": study.family, **target},
        "evaluators": [{"name": e.name, **e.facts} for e in outcome.evaluators],
        "printed": study.printed.model_dump(mode="json"),
        **outcome.facts,
        **({"defences": [_defence(d, told) for d in study.defences]} if study.defences else {}),
        "failures": outcome.failures,
    }


def _defence(defence: Defence, told: dict[str, Any]) -> dict[str, Any]:
    """A defence's settings, and what it reports of its training."""
    settings = {key: value for key, value in asdict(defence).items() if key != "name"}
    entry = {"name": defence.name, "acts": defence.acts, "settings": settings}
    return entry | ({"facts": told[defence.name]} if defence.name in told else {})


def read_study(folder: Path) -> Study:
    """The study of a run folder.

    Raises:
        InputError: if it is not there, or not valid.
    """
    path = folder / "study.yaml"
    return parse_study(str(path), load_yaml(path, atomic.read_text(path)))


def load_target(folder: Path) -> nn.Module:
    """A run's target, with the weights in its folder.

    Raises:
        InputError: as :func:`load_evaluators`.
    """
    results = read_results(folder)
    study = read_study(folder)
    return _load(study, study.model, folder / "target.safetensors", results)


def load_evaluators(folder: Path, device: str) -> dict[str, nn.Module]:
    """A run's evaluators, with the weights in its folder.

    Raises:
        InputError: if the weights are missing, or those of another architecture.
    """
    study, results = read_study(folder), read_results(folder)
    files = {name: folder / "evaluators" / f"{name}.safetensors" for name in study.evaluators}
    return {
        name: _load(study, model, files[name], results).to(device)
        for name, model in study.evaluators.items()
    }


def _load(study: Study, model: Model, path: Path, results: dict[str, Any]) -> nn.Module:
    data, tensors = results["dataset"], atomic.read_tensors(path)
    shape, classes = tuple(data["input_shape"]), data["classes"]
    try:
        with torch.device("meta"):  # so that no study asks for more memory than its weights take
            check_weights(study.build(model.network, shape, classes), path, tensors)
        network = study.build(model.network, shape, classes)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    load_weights(network, path, tensors)
    return network.eval()


def _truth(dataset: Dataset) -> Tensor:
    """One training sample a class in the layout of the release; spikes as bytes."""
    samples = to_release(one_a_class(dataset))
    return samples.byte() if isinstance(dataset.train.inputs, SpikeTrains) else samples
