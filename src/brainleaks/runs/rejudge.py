"""Evaluate reconstructions from a file with the evaluators of a run."""

import time
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from brainleaks.data.encoding import RateCode
from brainleaks.errors import InputError
from brainleaks.files import atomic
from brainleaks.files.checkpoints import is_torch, read_torch
from brainleaks.files.tensors import check_extent, is_dense
from brainleaks.networks.weights import refuse_the_target
from brainleaks.pipeline.evidence.reconstruction import attack_entry, from_release
from brainleaks.pipeline.stages import judge_all
from brainleaks.runs import folder, read_results

Form = Literal["spikes", "images"]

_READABLE = {
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
}  # fmt: skip


def evaluate_file(path: Path, run_dir: Path, *, device: str) -> dict[str, Any]:
    """Evaluate the reconstructions in a file as ``brainleaks run`` does.

    Args:
        path: safetensors with one tensor, or a plain tensor written by ``torch.save``.
        run_dir: a finished run's folder.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        InputError: if the file cannot be read without unpickling, or does not fit the run, or an
            evaluator is the run's target itself.
    """
    results, study = read_results(run_dir), folder.read_study(run_dir)
    data = results["dataset"]
    released = read_reconstruction(path)
    forms: list[Form] = ["spikes"] if study.spiking else ["images"]
    if isinstance(study.encoding, RateCode):
        forms.append("images")
    check(path, released, data["classes"], tuple(data["input_shape"]), forms)
    evaluators = folder.load_evaluators(run_dir, device)
    _refuse_the_target(run_dir, evaluators)
    values = from_release(released, tuple(data["input_shape"])).to(device)
    if isinstance(study.encoding, RateCode) and values.ndim == 4:
        values = values.expand(study.encoding.steps, *values.shape)
    entries = []
    for name, evaluator in evaluators.items():
        started = time.perf_counter()
        judgement = judge_all(evaluator, values, draws=study.draws, name=name, seed=results["seed"])
        seconds = round(time.perf_counter() - started, 3)
        entries.append(attack_entry(path.stem, name, judgement) | {"seconds": seconds})
    return {"file": str(path), "run_dir": str(run_dir), "attacks": entries}


def _refuse_the_target(run_dir: Path, evaluators: dict[str, nn.Module]) -> None:
    """The evaluators' files are a run's own, but anyone may put others in their place.

    A target that was built elsewhere leaves no weights in the run folder to compare with.
    """
    if not (run_dir / "target.safetensors").exists():
        return
    files = {str(run_dir / "evaluators" / f"{n}.safetensors"): e for n, e in evaluators.items()}
    refuse_the_target(folder.load_target(run_dir), files)


def read_reconstruction(path: Path) -> Tensor:
    """The one tensor in a safetensors file, or in a file written by ``torch.save``, as float32.

    Raises:
        InputError: if it holds anything else; nothing is unpickled.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}.")
    value = _read_torch(path) if is_torch(path) else _read_safetensors(path)
    if not is_dense(value) or value.dtype not in _READABLE:
        raise InputError(
            f"{path} holds a {value.layout} tensor of {value.dtype}; expected a dense one of "
            "numbers: torch.float32, or spikes as torch.bool or torch.uint8."
        )
    check_extent(path, [value])
    return value.float()


def check(
    path: Path, values: Tensor, classes: int, input_shape: tuple[int, ...], forms: list[Form]
) -> None:
    """Refuse reconstructions that the run's evaluators cannot take.

    ``forms`` are those that they can: spikes of a spiking run, images of an ordinary run and of one
    that encodes images.

    Raises:
        InputError: for a wrong shape or type, NaN or infinity, or values outside [0, 1] (images
            for an ordinary network are min-max scaled before they are judged and may have any).
    """
    size = int(torch.tensor(input_shape).prod())
    shape = tuple(values.shape)
    as_spikes = len(shape) == 4 and shape[0] == classes and shape[1] > 0 and shape[2:] == (1, size)
    found = {"spikes": as_spikes, "images": shape == (classes, 1, size)}
    if not any(found[form] for form in forms):
        shapes = {"spikes": f"({classes}, T, 1, {size})", "images": f"({classes}, 1, {size})"}
        expected = " or ".join(f"{shapes[form]} {form}" for form in forms)
        raise InputError(f"{path} has shape {shape}; expected {expected}.")
    if not values.isfinite().all():
        raise InputError(f"{path} holds values that are not finite numbers (NaN or infinity).")
    low, high = float(values.min()), float(values.max())
    if "spikes" in forms and not (low >= 0 and high <= 1):
        raise InputError(f"{path} holds values from {low:g} to {high:g}; expected 0 to 1.")


def _read_safetensors(path: Path) -> Tensor:
    tensors = atomic.read_tensors(path)
    if len(tensors) != 1:
        raise InputError(
            f"{path} holds {len(tensors)} tensors ({', '.join(sorted(tensors)[:5])}); expected one."
        )
    return next(iter(tensors.values()))


def _read_torch(path: Path) -> Tensor:
    value = read_torch(path)
    if not isinstance(value, Tensor):
        raise InputError(f"{path} holds a {type(value).__name__}; expected one plain tensor.")
    return value
