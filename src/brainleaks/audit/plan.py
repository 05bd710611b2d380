"""Make a study of a user's data and model."""

import dataclasses
import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from brainleaks.attacks import (
    ATTACKS,
    Fredrikson,
    StreamInversion,
    WithinPrior,
    by_default,
    suits,
)
from brainleaks.audit.infer import Seen
from brainleaks.errors import InputError, option
from brainleaks.studies.config import Study
from brainleaks.studies.reading import apply_setting, parse_study
from brainleaks.studies.testing import Judging
from brainleaks.target import RANKS, Access

#: How far an audit tests membership.
Extent = Literal["none", "quick", "full"]
_DRAWS = 100
#: Members, and as many others, of which an audit tests membership.
_CANDIDATES = 500
#: Strong attacks by each access, for which few reference networks suffice.
_QUICK = ("loss-threshold", "lira", "rmia", "noise-agreement", "weight-credit")
_FEW_SHADOWS, _MANY_SHADOWS = 4, 16
#: The protocol's learning rate for its evaluators of few samples; it suits most networks.
_LEARNING_RATE = 1e-3
#: Attacks that an audit leaves out behind an encoding unless they are named: Fredrikson's searches
#: every value of a recording by itself, without a prior, which is slow and resembles nothing.
_LEFT_OUT: dict[str | None, tuple[str, ...]] = {"stream": ("fredrikson",)}
#: Of the evaluator of streams.
_HIDDEN = 64
_STEP_BYTES = 2 << 30
#: Behind these codes, an iteration on an image is one on a spiking network over all its time steps:
#: Fredrikson's attack takes a tenth of the protocol's 5,000.
_CODES, _BEHIND_A_CODE = ("latency", "direct", "stream"), 500
#: Recordings that stream inversion searches at once, of all classes together, and of each at least.
_SEARCHED, _FEWEST_STARTS = 160, 4
#: From this side on, images get the protocol's 5 x 5 kernels.
_LARGE_SIDE = 16


def study_of(
    seen: Seen,
    target: dict[str, Any],
    *,
    name: str,
    spiking: bool,
    access: Access = "gradients",
    attacks: Sequence[str] = (),
    membership: Extent = "quick",
    settings: Sequence[str] = (),
) -> Study:
    """The study of an audit.

    The protocol's evaluator and the controls' targets are trained for as many steps as the judges.

    Args:
        seen: the data.
        target: the study's field, whose ``training`` is filled in where it is absent; behind an
            encoding only if it was built elsewhere.
        name: of the study.
        spiking: whether the target is asked about spike trains.
        access: what the attacker may see.
        attacks: names; by default all of the most access granted that suit the kind of network.
        membership: how far membership is tested if ``attacks`` are not named: not at all, by strong
            attacks with four reference networks, or by all attacks with 16.
        settings: changes, ``"path.to.field=value"``.

    Raises:
        InputError: if no attack suits, or a field is not valid.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        apply_setting(changes, setting)
    judging = changes.get("judging")
    given = judging.get("judge_steps") if isinstance(judging, dict) else None
    training = _recipe(seen, given if isinstance(given, int) else Judging().judge_steps, spiking)
    evaluator, network = _evaluator(seen, spiking)
    inverting = suitable(access, spiking, seen.encoding)
    names = attacks or [*inverting, *_of_membership(access, membership)]
    content = {
        "name": name,
        "description": " ".join(seen.said),
        "dataset": dataclasses.asdict(seen.own),
        "encoding": _encoding(seen) if "model" in target else None,
        "frames": seen.frames,
        "target": {"training": training, **target},
        "access": access,
        "evaluators": {evaluator: {"network": network, "training": training}},
        "attacks": {attack: _attack(attack, seen) for attack in names},
        "draws": _DRAWS,
        "judging": {},
    }
    if any(name in ATTACKS and ATTACKS[name].kind == "membership" for name in names):
        shadows = _MANY_SHADOWS if membership == "full" else _FEW_SHADOWS
        content["membership"] = {"samples": _CANDIDATES, "shadows": shadows}
    return parse_study("audit", _merged(content, changes))


def _of_membership(access: Access, extent: Extent) -> list[str]:
    """The membership attacks of the most access granted, and those by initial weights."""
    if extent == "none":
        return []
    used = {"labels" if access == "labels" else "scores"}
    used |= {access} & {"initial-weights"}
    needed: dict[str, Any] = {name: attack.access for name, attack in ATTACKS.items()}
    return [
        name
        for name, attack in ATTACKS.items()
        if attack.kind == "membership"
        and by_default(attack)
        and needed[name] in used
        and (extent == "full" or name in _QUICK)
    ]


def granted_by(initial: str | Path, access: Access, *, in_file: bool, recipe: str | None) -> Access:
    """The access that initial weights give.

    Raises:
        InputError: if they cannot be used.
    """
    if not Path(initial).is_file():
        raise InputError(f"no such file: {initial}; expected the model's initial weights.")
    if not in_file:
        raise InputError(f"{option('initial-weights')}: the model must be a file, too.")
    if recipe is not None:
        raise InputError(
            f"{option('initial-weights')}: those of networks that {option('recipe')} trains are "
            "not known; leave out one of the two."
        )
    if access not in ("gradients", "initial-weights"):
        raise InputError(
            f"{option('initial-weights')}: they include the weights, and "
            f"{option('access', access)} withholds them; leave out one of the two."
        )
    return "initial-weights"


def suitable(access: Access, spiking: bool, encoding: str | None = None) -> list[str]:
    """The attacks of the most access granted, of those that suit the network and its encoding.

    Raises:
        InputError: if there is none.
    """
    granted = RANKS[: RANKS.index(access) + 1]
    needed: dict[str, Any] = {name: attack.access for name, attack in ATTACKS.items()}
    fitting = {
        name: needed[name]
        for name, attack in ATTACKS.items()
        if attack.kind == "class-reconstruction"
        and by_default(attack)
        and attack.spiking in (None, spiking)
        and suits(attack, encoding)
        and name not in _LEFT_OUT.get(encoding, ())
        and needed[name] in granted
    }
    if not fitting:
        raise InputError(
            f"{option('access', access)}: no attack works with this access on a network that takes "
            f"{'spikes' if spiking else 'images'}; see brainleaks list."
        )
    most = max(fitting.values(), key=RANKS.index)
    return [name for name, access in fitting.items() if access == most]


def _encoding(seen: Seen) -> dict[str, Any] | None:
    if seen.recorded or seen.encoding == "none":
        return None
    return {"encoding": seen.encoding, "steps": seen.steps}


def _evaluator(seen: Seen, spiking: bool) -> tuple[str, dict[str, Any]]:
    """The protocol's evaluator, with kernels that fit the data; of streams, a perceptron."""
    if seen.encoding == "stream":
        return "ann-mlp", {"architecture": "mlp", "hidden": _HIDDEN}
    small = min(seen.shape[1:]) < _LARGE_SIDE
    kernels = {"kernel": 3, "padding": 1} if small else {"kernel": 5, "padding": 0}
    if not spiking:
        return "ann-conv", {"architecture": "conv", **kernels}
    neuron: dict[str, Any] = {"beta": 0.7, "surrogate": {"surrogate": "fast-sigmoid", "slope": 40}}
    if seen.recorded:
        neuron = {"beta": 0.8, "surrogate": {"surrogate": "arctan", "alpha": 1.5}}
    return "snn-conv", {"architecture": "spiking-conv", **kernels, **neuron}


def _recipe(seen: Seen, steps: int, spiking: bool) -> dict[str, Any]:
    """As many steps as asked, on batches that grow with the data and that memory bears."""
    batch = max(8, min(50, seen.training_samples // 50))
    if spiking:
        bytes_each = 4 * seen.steps * 72 * math.prod(seen.shape[1:])
        batch = max(2, min(batch, _STEP_BYTES // bytes_each))
    return {
        "learning_rate": _LEARNING_RATE,
        "batch_size": batch,
        "epochs": math.ceil(steps / math.ceil(seen.training_samples / batch)),
        "gradient_clip": 1.0,
    }


def _attack(name: str, seen: Seen) -> dict[str, Any]:
    if name == WithinPrior.attack:
        raise InputError(
            f"{option('attack', name)}: searches a prior of classes that the model does not know, "
            "which a study for 'brainleaks run' declares; an audit has none."
        )
    if name not in ATTACKS:
        near = difflib.get_close_matches(name, ATTACKS, 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(ATTACKS)}."
        raise InputError(f"{option('attack', name)}: unknown attack; {hint}")
    known_of_inputs: dict[str, Any] = {
        "time_steps": seen.steps,
        "rate": seen.rate,
        "filled": seen.filled,
    }
    if seen.encoding in _CODES and name == Fredrikson.attack:
        known_of_inputs["iterations"] = _BEHIND_A_CODE
    if seen.dataset is not None and name == StreamInversion.attack:
        shared = _SEARCHED // len(seen.dataset.class_names)
        known_of_inputs["starts"] = min(StreamInversion.starts, max(_FEWEST_STARTS, shared))
    fields = {field.name for field in dataclasses.fields(ATTACKS[name])}
    return {"attack": name} | {k: v for k, v in known_of_inputs.items() if k in fields}


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second's values before the first's."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
