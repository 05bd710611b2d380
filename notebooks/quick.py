"""Settings that make a preset a matter of seconds: what the notebooks are tested with."""

from dataclasses import fields

from brainleaks.studies import Study, load_study

_SPIKING = "{architecture: spiking-mlp, hidden: 30, beta: 0.7, surrogate: {surrogate: arctan}}"
_ORDINARY = "{architecture: mlp, hidden: 30}"
_SUBSETS = {"mnist": (600, 100), "nmnist-1k": (100, 20)}
_STEPS = {"time_steps": 6, "iterations": 4}


def settings(preset: str) -> tuple[str, ...]:
    """Small networks, little training, few and short spike trains, for ``load_study``."""
    study = load_study(preset)
    return (
        "draws=2",
        "judging=null",
        "target.network.hidden=60",
        "target.training.epochs=2",
        *(f"{field}" for field in _inputs(study)),
        *(
            setting
            for name in study.evaluators
            for setting in (
                f"evaluators.{name}.network={_SPIKING if study.spiking else _ORDINARY}",
                f"evaluators.{name}.training.epochs=2",
            )
        ),
        *(
            f"attacks.{name}.{field.name}={_STEPS[field.name]}"
            for name, attack in study.attacks.items()
            for field in fields(attack)
            if field.name in _STEPS
        ),
    )


def _inputs(study: Study) -> list[str]:
    """Fewer samples, and fewer steps of their code."""
    found = []
    if study.dataset in _SUBSETS:
        train, test = _SUBSETS[study.dataset]
        found.append(f"subset={{train: {train}, test: {test}}}")
    if study.encoding is not None:
        found.append(f"encoding.steps={_STEPS['time_steps']}")
    return found
