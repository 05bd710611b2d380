"""Audits in Python: what does a model leak about its training data?"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from brainleaks.audit.budget import fit
from brainleaks.audit.costs import measure
from brainleaks.audit.infer import EncodingName, Inputs, Seen, look
from brainleaks.audit.plan import Extent, granted_by, study_of
from brainleaks.data import Dataset
from brainleaks.data.own import OwnData
from brainleaks.errors import InputError
from brainleaks.pipeline import Cache, Outcome, run_study
from brainleaks.pipeline.built import Built
from brainleaks.pipeline.run import Build, load_external, prepare, target_of
from brainleaks.report import write_comparison, write_report
from brainleaks.runs import folder
from brainleaks.studies import Study
from brainleaks.studies.config import External
from brainleaks.target import Access

_IN_PYTHON = "handed over in Python"
#: Settings of an audit that are its twin's too.
_SHARED = ("judging", "draws", "subset")

Model = str | Path | nn.Module | Callable[[Tensor], Tensor] | None


@dataclass(frozen=True)
class Plan:
    """An audit that is planned but not yet run.

    ``said`` are sentences on the data and on what was inferred of it; ``twin`` is the same audit of
    an ordinary network.
    """

    study: Study
    said: tuple[str, ...]
    dataset: Dataset | None
    build: Build
    twin: Study | None = None


def audit(
    model: Model,
    data: Any,
    *,
    framework: str | None = None,
    factory: str | None = None,
    recipe: str | None = None,
    service_id: str | None = None,
    initial_weights: str | Path | None = None,
    encoding: EncodingName | None = None,
    steps: int | None = None,
    access: Access = "gradients",
    attacks: Sequence[str] = (),
    membership: Extent = "quick",
    settings: Sequence[str] = (),
    budget: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    cache: Cache | None = None,
) -> Outcome:
    """Attack a trained model and evaluate the reconstructions, with controls.

    Args:
        model: a file (weights, whose network ``factory`` builds, or a ``.nir`` graph), the network
            itself, or ``None`` where the ``factory`` gives all of it.
        data: a path as in :class:`~brainleaks.data.own.OwnData`, one of those, or a pair of torch
            data sets, to train and to test.
        framework: that the model is of, one of ``brainleaks.adapters.FRAMEWORKS``; by default it
            is detected from the model.
        factory: ``module:function`` that builds the network whose weights are in the file; it may
            take the data's ``shape``, ``(C, H, W)``, and number of ``classes``.
        recipe: ``module:function`` that trains a network like the model, for the controls and the
            reference networks; it may take a torch ``dataset`` and a ``seed``, and returns the
            network. By default the architecture is retrained by a recipe of our own.
        service_id: name and version of a service, where the model is a function that shows no
            weights; what is computed of it is kept under this name, and not at all without.
        initial_weights: a file like ``model`` with the weights before training; attacks are
            granted them.
        encoding: how images become what the model takes.
        steps: time steps of the encoding, or frames of the median recording.
        access: what the attacker may see.
        attacks: names of :data:`~brainleaks.attacks.ATTACKS`; by default all that suit.
        membership: how far membership is tested if ``attacks`` are not named: ``"none"``,
            ``"quick"`` (strong attacks with four reference networks) or ``"full"`` (all with 16).
        settings: changes of the study's fields, ``"path.to.field=value"``.
        budget: seconds that the audit should take; what does not fit is left out, and the study's
            description says what (:func:`within`).
        seed: where all randomness comes from.
        device: ``"cpu"`` or ``"cuda"``.
        cache: where stages are kept.

    Returns:
        What was found: its ``verdict``, and all that :func:`write` makes the report of.

    Raises:
        InputError: if the data or the model cannot be read, they do not fit each other, or what
            the model answers is no answer.
    """
    planned = plan(
        model,
        data,
        framework=framework,
        factory=factory,
        recipe=recipe,
        service_id=service_id,
        initial_weights=initial_weights,
        inputs=Inputs(encoding=encoding, steps=steps),
        access=access,
        attacks=attacks,
        membership=membership,
        settings=settings,
    )
    how: dict[str, Any] = {"seed": seed, "device": device, "cache": cache}
    if budget is not None:
        planned, _ = within(planned, budget, **how)
    return run(planned, **how)


def plan(
    model: Model,
    data: Any,
    *,
    framework: str | None = None,
    factory: str | None = None,
    recipe: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    service_id: str | None = None,
    initial_weights: str | Path | None = None,
    inputs: Inputs,
    access: Access = "gradients",
    attacks: Sequence[str] = (),
    membership: Extent = "quick",
    settings: Sequence[str] = (),
    twin: bool = False,
) -> Plan:
    """Read the data and infer open settings; takes the arguments of :func:`audit`.

    Args:
        model: see there, as the others that are not named here.
        data: likewise.
        framework: likewise.
        factory: likewise.
        recipe: likewise.
        dt: time step of a ``.nir`` graph, in the unit of its time constants.
        reset: how its neurons are reset.
        service_id: as there.
        initial_weights: as there.
        inputs: what the model takes.
        access: likewise.
        attacks: likewise.
        membership: likewise.
        settings: likewise.
        twin: whether to audit an ordinary network as well.

    Raises:
        InputError: as there, as far as it is not about the model.
    """
    in_file = model is None or isinstance(model, str | Path)
    if isinstance(model, str | Path) and not Path(model).is_file():
        raise InputError(f"no such file: {model}; expected a model.")
    if initial_weights is not None:
        access = granted_by(initial_weights, access, in_file=in_file, recipe=recipe)
    own, handed_over = _own(data)
    seen = look(own, inputs, framework, handed_over)
    target = {
        "model": (model and str(model)) if in_file else _IN_PYTHON,
        "framework": framework,
        "factory": factory,
        "dt": dt,
        "reset": reset,
        "service_id": service_id,
        "recipe": recipe,
        "initial": initial_weights and str(initial_weights),
    }
    name = f"audit-{_label(seen.own.name)}"
    study = study_of(
        seen,
        target,
        name=name,
        spiking=seen.spiking,
        access=access,
        attacks=attacks,
        membership=membership,
        settings=settings,
    )
    build = load_external if in_file else _handed_over(model, framework)
    ordinary = _twin(seen, name, access, membership, settings) if twin else None
    return Plan(study, seen.said, seen.dataset, build, ordinary)


def within(
    planned: Plan,
    budget: float,
    *,
    seed: int = 0,
    device: str = "cpu",
    cache: Cache | None = None,
) -> tuple[Plan, tuple[str, ...]]:
    """The plan that fits a time, by measuring what each part of it takes.

    Args:
        planned: what would be done without a budget.
        budget: seconds.
        seed: as in :func:`audit`.
        device: likewise.
        cache: likewise.

    Returns:
        The plan, and sentences: the estimate, and what was left out.

    Raises:
        InputError: as :func:`audit`.
    """
    where = (seed, None, device, cache or Cache())
    pipeline = prepare(planned.study, *where, planned.dataset)
    target, _ = target_of(pipeline, None, planned.build)
    fitted = fit(planned.study, measure(pipeline, target), budget)
    return dataclasses.replace(planned, study=fitted.study), fitted.said


def run(
    planned: Plan,
    *,
    seed: int = 0,
    device: str = "cpu",
    cache: Cache | None = None,
    command: str | None = None,
) -> Outcome:
    """Run a plan; see :func:`brainleaks.pipeline.run_study`."""
    return run_study(
        planned.study,
        seed=seed,
        device=device,
        cache=cache,
        command=command,
        dataset=planned.dataset,
        build=planned.build,
    )


def run_twin(planned: Plan, **how: Any) -> Outcome:
    """Run the twin of a plan; takes the arguments of :func:`run`.

    Raises:
        ValueError: if the plan has none.
    """
    if planned.twin is None:
        raise ValueError("the plan has no twin.")
    return run(dataclasses.replace(planned, study=planned.twin), **how)


def write(outcome: Outcome, out: str | Path, twin: Outcome | None = None) -> dict[str, Any]:
    """Write the run folder with its report.

    Args:
        outcome: of an audit.
        out: the folder.
        twin: of its twin, whose run folder is ``twin`` in it; ``compare.html`` sets both beside
            each other.

    Returns:
        The content of ``results.json``; with a twin also that of the twin's, under ``twin``, and
        what is said of both, under ``comparison``.

    Raises:
        InputError: if it cannot be written.
    """
    place = Path(out)
    results = folder.write(outcome, place, write_report)
    if twin is None:
        return results
    beside = folder.write(twin, place / "twin", write_report)
    compared = write_comparison([place, place / "twin"], place / "compare.html")
    return results | {"twin": beside, "comparison": compared}


def _own(data: Any) -> tuple[OwnData, Any]:
    """The location of the data, and the data itself if it was passed in memory."""
    if isinstance(data, OwnData):
        return data, None
    if isinstance(data, str | Path):
        return OwnData(str(data)), None
    return OwnData(_IN_PYTHON), data


def _handed_over(model: Any, framework: str | None) -> Build:
    """The network itself; one with this package's interface needs no adapter."""

    def build(target: External, samples: Tensor, classes: int) -> Built:
        if hasattr(model, "spiking") and hasattr(model, "activations"):
            return Built(model, "brainleaks", lowered=False, facts={})
        from brainleaks import adapters  # imported late: it brings frameworks

        found = adapters.adapt(model, framework=framework, samples=samples, classes=classes)
        return Built(found.network, found.framework, found.lowered, found.facts)

    return build


def _twin(
    seen: Seen, name: str, access: Access, membership: Extent, settings: Sequence[str]
) -> Study:
    """The paper's ordinary target, trained on the same data."""
    return study_of(
        seen,
        {"network": {"architecture": "mlp", "hidden": 3000}},
        name=f"{name}-twin",
        spiking=False,
        access=access,
        membership=membership,
        settings=[text for text in settings if text.strip().startswith(_SHARED)],
    )


def _label(name: str) -> str:
    """A name that is valid in a study."""
    label = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40].strip("-")
    return label or "data"
