"""Audits in Python, in one call: what does a model leak about its training data?"""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from brainleaks.audit.budget import seconds_of
from brainleaks.audit.infer import EncodingName, Inputs, Polarity
from brainleaks.audit.plan import Extent
from brainleaks.audit.steps import Model, Plan, plan, run, within
from brainleaks.data.event_arrays import TimeUnit
from brainleaks.data.own import OwnData
from brainleaks.errors import InputError
from brainleaks.pipeline import Cache
from brainleaks.result import Result
from brainleaks.runs import folder
from brainleaks.target import RANKS, Access

_CHOICES: dict[str, tuple[str, ...]] = {
    "access": RANKS,
    "encoding": get_args(EncodingName),
    "membership": get_args(Extent),
    "polarity": get_args(Polarity),
    "reset": ("subtract", "zero"),
}
_READING = ("holdout", "classes", "channels", "sensor", "time_unit", "repair_times")
_PLANNED = (
    "framework", "factory", "recipe", "dt", "reset", "service_id", "initial_weights", "access",
    "membership",
)  # fmt: skip


def audit(
    model: Model,
    data: Any,
    *,
    framework: str | None = None,
    factory: str | None = None,
    recipe: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    holdout: float | None = None,
    classes: Sequence[str] | None = None,
    channels: str | None = None,
    encoding: EncodingName | None = None,
    steps: int | None = None,
    sensor: tuple[int, int] | None = None,
    time_unit: TimeUnit | None = None,
    repair_times: bool = False,
    frame_us: int | None = None,
    denoise_us: int | None = None,
    polarity: Polarity | None = None,
    service_id: str | None = None,
    initial_weights: str | Path | None = None,
    access: Access = "gradients",
    attacks: str | Sequence[str] = (),
    membership: Extent = "quick",
    settings: str | Sequence[str] = (),
    budget: float | str | None = None,
    seed: int = 0,
    device: str = "cpu",
    out: str | Path | None = None,
    cache: Cache | None = None,
) -> Result:
    """Run attacks against a trained model and report what they reveal about its training data.

    The arguments are the options of ``brainleaks audit``.

    Args:
        model: the network itself or a function of a service; a file (weights, whose network
            ``factory`` builds, or a ``.nir`` graph); or ``None`` where the ``factory`` gives all of
            it.
        data: NumPy arrays or tensors ``(x, y)``, a torch data set or a ``DataLoader``, or a pair of
            these, to train and to test; a path as in :class:`~brainleaks.data.own.OwnData`; or one
            of those. ``x`` is images ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)`` in [0, 1]
            or as bytes, or recordings ``(N, T, channels)`` or ``(N, T, C, H, W)``; ``y`` is
            integers ``(N,)``.
        framework: that the model is of, one of ``brainleaks.adapters.FRAMEWORKS``; by default it
            is detected from the model.
        factory: ``module:function`` that builds the network whose weights are in the file; it may
            take the data's ``shape``, ``(C, H, W)``, and number of ``classes``.
        recipe: ``module:function`` that trains a network like the model, for the controls and the
            reference networks; it may take a torch ``dataset`` and a ``seed``, and returns the
            network. By default the architecture is retrained by a recipe of our own.
        dt: time step of a ``.nir`` graph, in the unit of its time constants.
        reset: how its neurons are reset, ``"subtract"`` or ``"zero"``.
        holdout: share of each class to hold out, in (0, 1), where the data has no test part.
        classes: names of the classes in the order of the model's outputs.
        channels: ``"grey"`` or ``"rgb"`` converts images.
        encoding: how images become what the model takes; by default the rate code, and none for a
            model of the framework torch.
        steps: time steps of the encoding, or frames of the median recording.
        sensor: ``(height, width)`` of event recordings; by default as large as they need.
        time_unit: of event timestamps, ``"us"``, ``"ms"`` or ``"s"``.
        repair_times: whether events whose time runs backwards are sorted or dropped.
        frame_us: length of a frame of events, in microseconds.
        denoise_us: drop events with no neighbour within this many microseconds.
        polarity: of events, ``"first"``, ``"merged"`` or ``"both"``.
        service_id: name and version of a service, where the model is a function that shows no
            weights; what is computed of it is kept under this name, and not at all without.
        initial_weights: a file like ``model`` with the weights before training; attacks are
            granted them.
        access: what the attacker may see.
        attacks: names of :data:`~brainleaks.attacks.ATTACKS`; by default all that suit.
        membership: how far membership is tested if ``attacks`` are not named: ``"none"``,
            ``"quick"`` (strong attacks with four reference networks) or ``"full"`` (all with 16).
        settings: changes of the study's fields, ``"path.to.field=value"``.
        budget: what the audit should take, in seconds or as ``"10m"``; what does not fit is left
            out, and the study's description says what (:func:`within`).
        seed: where all randomness comes from.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; ``"auto"`` is a GPU where there is one.
        out: the run folder to write, with its report; by default none is kept.
        cache: where stages are kept.

    Returns:
        What was found. It shows itself in a notebook.

    Raises:
        InputError: if the data or the model cannot be read, they do not fit each other, or what
            the model answers is no answer.

    Example:
        >>> from brainleaks.audit import audit
        >>> result = audit(network, (x, y), holdout=0.2, steps=25)  # doctest: +SKIP
        >>> print(result.verdict["sentence"])  # doctest: +SKIP
    """
    given = {name: value for name, value in locals().items() if name not in ("cache", "out")}
    planned = plan_of(given)
    if out is not None:
        folder.prepare(Path(out), planned.study, seed)
    how: dict[str, Any] = {"seed": seed, "device": device, "cache": cache}
    if budget is not None:
        planned, _ = within(planned, seconds_of(budget), **how)
    return Result.of(run(planned, **how, command=in_words(given)), out)


def plan_of(given: Mapping[str, Any]) -> Plan:
    """The plan of a call of :func:`audit`.

    Args:
        given: arguments by name; what is missing has its default value.

    Raises:
        TypeError: if :func:`audit` has no such argument.
        InputError: if an argument is none of its choices, and as :func:`~brainleaks.audit.plan`.
    """
    bound = inspect.signature(audit).bind(**given)
    bound.apply_defaults()
    given = bound.arguments
    _check(given)
    lists = {name: given[name] for name in ("attacks", "settings")}
    named: dict[str, Any] = {k: [v] if isinstance(v, str) else v for k, v in lists.items()}
    return plan(
        given["model"],
        given["data"],
        reading={name: given[name] for name in _READING if given[name] not in (None, False)},
        inputs=Inputs(**{field.name: given[field.name] for field in dataclasses.fields(Inputs)}),
        **named,
        **{name: given[name] for name in _PLANNED},
    )


def in_words(given: dict[str, Any]) -> str:
    """The call of :func:`audit` as Python code, for the record of a run.

    Args:
        given: its arguments by name; those with their default value are left out.
    """
    model, data = given["model"], given["data"]
    in_files = isinstance(model, str | Path | None), isinstance(data, str | Path | OwnData)
    named = [n for n, in_file in zip(("model", "data"), in_files, strict=True) if not in_file]
    words = [_literal(model) if in_files[0] else "model", _literal(data) if in_files[1] else "data"]
    for name, parameter in inspect.signature(audit).parameters.items():
        value = given.get(name, parameter.default)
        if parameter.kind is parameter.KEYWORD_ONLY and value != parameter.default:
            words.append(f"{name}={_literal(value)}")
    lines = ["from brainleaks.audit import audit"]
    if isinstance(data, OwnData):
        lines.append("from brainleaks.data.own import OwnData")
    if named:
        are = "are the objects" if len(named) > 1 else "is the object"
        lines.append(f"# {' and '.join(named)} {are} that the audit was given, not read from files")
    return "\n".join([*lines, f"audit({', '.join(words)})"])


def _literal(value: Any) -> str:
    if isinstance(value, OwnData):
        shown = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        defaults = {f.name: f.default for f in dataclasses.fields(value)}
        words = [f"{n}={_literal(v)}" for n, v in shown.items() if v != defaults[n]]
        return f"OwnData({', '.join(words)})"
    return repr(str(value) if isinstance(value, Path) else value)


def _check(given: dict[str, Any]) -> None:
    """Refuse what is none of an argument's choices."""
    for name, choices in _CHOICES.items():
        if given[name] is not None and given[name] not in choices:
            raise InputError(
                f"{name}={given[name]!r}: unknown; expected one of {', '.join(choices)}."
            )
    if given["model"] is None and given["factory"] is None:
        raise InputError("model: missing; hand over a network or a file, or name a factory.")
