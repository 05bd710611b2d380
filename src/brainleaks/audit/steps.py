"""The steps of an audit: plan it, fit it into a time, run it, write its report."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from brainleaks.audit.budget import fit
from brainleaks.audit.costs import measure
from brainleaks.audit.infer import Inputs, Seen, look
from brainleaks.audit.plan import Extent, granted_by, study_of
from brainleaks.data import Dataset
from brainleaks.data.own import OwnData
from brainleaks.errors import InputError, option
from brainleaks.pipeline import Cache, Outcome, run_study
from brainleaks.pipeline.built import Built
from brainleaks.pipeline.run import Build, load_external, prepare, target_of
from brainleaks.report import write_comparison, write_report
from brainleaks.result import Result
from brainleaks.runs import folder
from brainleaks.studies import Study
from brainleaks.studies.config import External
from brainleaks.target import Access

MODEL_IN_PYTHON, DATA_IN_PYTHON = "handed over in Python", "data in memory"
#: How such an audit is made again.
_IN_MEMORY = (
    "# In Python: brainleaks.audit.run(plan), where brainleaks.audit.plan was given the model and\n"
    "# the data as objects. Their digests and all settings are below."
)
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

    @property
    def in_memory(self) -> bool:
        """Whether the model or the data was handed over in Python, so that no file has it."""
        data, target = self.study.dataset, self.study.target
        model = target.model if isinstance(target, External) else None
        return model == MODEL_IN_PYTHON or getattr(data, "path", None) == DATA_IN_PYTHON


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
    reading: Mapping[str, Any] | None = None,
    access: Access = "gradients",
    attacks: Sequence[str] = (),
    membership: Extent = "quick",
    settings: Sequence[str] = (),
    twin: bool = False,
) -> Plan:
    """Read the data and infer open settings.

    Args:
        model: as :func:`~brainleaks.audit.audit` takes it, and so for what is not named here.
        data: likewise.
        framework: likewise.
        factory: likewise.
        recipe: likewise.
        dt: likewise.
        reset: likewise.
        service_id: likewise.
        initial_weights: likewise.
        inputs: what the model takes.
        reading: arguments of :class:`~brainleaks.data.own.OwnData`, how the data is read.
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
    own, handed_over = _own(data, reading or {})
    seen = look(own, inputs, framework, handed_over)
    target = {
        "model": (model and str(model)) if in_file else MODEL_IN_PYTHON,
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
    build = load_external if in_file else builder_of(model, framework)
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
        seed: as in :func:`~brainleaks.audit.audit`.
        device: likewise.
        cache: likewise.

    Returns:
        The plan, and sentences: the estimate, and what was left out.

    Raises:
        InputError: as :func:`~brainleaks.audit.audit`.
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
    if command is None and planned.in_memory:
        command = _IN_MEMORY
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


def write(
    outcome: Outcome | Result, out: str | Path, twin: Outcome | None = None
) -> dict[str, Any]:
    """Write the run folder with its report.

    Args:
        outcome: of an audit that was run here.
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
    made = outcome.outcome if isinstance(outcome, Result) else outcome
    if made is None:
        raise InputError(f"{option('out')}: the result was loaded from a folder; copy that one.")
    results = folder.write(made, place, write_report)
    if twin is None:
        return results
    beside = folder.write(twin, place / "twin", write_report)
    compared = write_comparison([place, place / "twin"], place / "compare.html")
    return results | {"twin": beside, "comparison": compared}


def _own(data: Any, reading: Mapping[str, Any]) -> tuple[OwnData, Any]:
    """How the data is read, and the data itself if it was passed in memory."""
    in_file = isinstance(data, str | Path | OwnData)
    try:
        if isinstance(data, OwnData):
            return dataclasses.replace(data, **reading), None
        own = OwnData(str(data) if in_file else DATA_IN_PYTHON, **reading)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name, why = str(first["loc"][0]), str(first["msg"])
        raise InputError(f"{option(name, first['input'])}: {why[:1].lower()}{why[1:]}.") from error
    return own, None if in_file else data


def builder_of(model: Any, framework: str | None) -> Build:
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
