"""``make ablation``: what each part of the strongest attacks is worth.

On targets of a seed on which the attacks were tuned, never on those that are reported on, runs each
attack whole, with a part left out, and with other settings, beside the paper's. Writes
``docs/attacks/ablation.md``. Trains what the store does not hold yet.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from brainleaks import Target, keep_freed_memory
from brainleaks.attacks import Attack
from brainleaks.attacks.priors import smooth
from brainleaks.data.encoding import bernoulli
from brainleaks.data.files import data_folder
from brainleaks.data.parts import images
from brainleaks.evaluation.judge import confidences
from brainleaks.evaluation.likeness import correlations, ssim
from brainleaks.evaluation.metrics import metrics
from brainleaks.evaluation.panel import as_rates, scale_each
from brainleaks.files import atomic
from brainleaks.pipeline import Cache
from brainleaks.pipeline.loading import load_dataset
from brainleaks.pipeline.pipeline import Pipeline, Trained
from brainleaks.pipeline.provenance import machine
from brainleaks.randomness import stream
from brainleaks.studies import load_study
from brainleaks.studies.config import Study

#: SSIM is taken with the most correlated samples of the class only, as the judgement does.
CANDIDATES, DRAWS = 32, 10
#: By preset and attack, what is changed: fields of the attack, or ``weights`` kept from it.
CHANGES: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "nmnist-1k-snn-best": (
        "pattern-inversion",
        {
            "no ground": {"weights": False},
            "the ground only": {"strength": 0.0},
            "no blur": {"blur": 0.0},
            "the weights' covariance": {"covariance": True},
            "until the log-odds reach 8": {"enough": 8.0, "strength": 2.8, "looks": 20},
            "one look": {"looks": 1, "draws": 40},
            "the network's own surrogate": {"slope": 40.0},
            "twice the strength": {"strength": 2.8},
        },
    ),
    "mnist-snn-best": (
        "pattern-inversion",
        {
            "no weights: neither ground nor covariance": {"weights": False},
            "no covariance": {"covariance": False},
            "no blur": {"blur": 0.0},
            "no limit of the log-odds": {"enough": None, "strength": 0.7, "looks": 7},
            "the network's own surrogate": {"slope": 40.0},
            "half the log-odds": {"enough": 4.0},
            "twice the log-odds": {"enough": 16.0, "strength": 4.0, "looks": 40},
        },
    ),
    "faces-snn-best": (
        "smooth-inversion",
        {
            "no ground": {"ground": 0.0},
            "no first look": {"look": 0.0},
            "the ground and the first look only": {
                "iterations": 1,
                "learning_rate": 1e-9,
                "common_rate": 0.0,
                "detail": 0.0,
            },
            "no last look": {"detail": 0.0},
            "the last look only": {"detail": 1.0},
            "no shared part": {"common_rate": 0.0},
            "the network's own surrogate": {"slope": None},
            "almost no prior": {"variation": (1e-6, 1e-6)},
        },
    ),
}
#: Presets whose attack is set beside what the training data itself would give.
LIMITS = ("faces-snn-best",)
FIGURES = {
    "ssim": "SSIM, nearest trained on",
    "held_out": "SSIM, nearest held out",
    "mean": "correlation with the class mean",
    "accuracy": "attack accuracy",
    "confidence": "confidence",
    "own": "the target's own accuracy",
}


class Blind(Target):
    """A target whose first layer's weights are kept from the attack."""

    def first_weights(self) -> Tensor | None:
        return None


@dataclass(frozen=True)
class Setting:
    """A preset's trained networks and data."""

    study: Study
    pipeline: Pipeline
    target: Trained
    evaluator: Trained


def main() -> None:
    parser = argparse.ArgumentParser(description="What each part of an attack is worth.")
    parser.add_argument("--seed", type=int, default=100, help="of the targets that were tuned on")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    keep_freed_memory()
    sections = []
    for preset in CHANGES:
        setting = _trained(preset, arguments.seed)
        rows = []
        for row in _rows(preset, setting):
            print(preset, row, flush=True)
            rows.append(row)
        sections.append(_section(preset, setting, rows))
        text = _HEAD.format(seed=arguments.seed, **machine("cpu")) + "".join(sections)
        atomic.write_text(arguments.docs / "attacks" / "ablation.md", text)


def _trained(preset: str, seed: int) -> Setting:
    study, cache = load_study(preset, ("judging=null",)), Cache()
    pipeline = Pipeline(study, seed, load_dataset(study, data_folder(None), cache), "cpu", cache)
    ((name, model),) = study.evaluators.items()
    return Setting(
        study, pipeline, pipeline.train("target", study.target), pipeline.train(name, model)
    )


def _rows(preset: str, setting: Setting) -> Iterator[dict[str, Any]]:
    name, changes = CHANGES[preset]
    attacks = setting.study.attacks
    for paper in ("brainleaks-v1", "brainleaks-v2"):
        yield _attacked(paper, attacks[paper], setting)[1]
    found, row = _attacked(f"**{name}**", attacks[name], setting)
    yield row
    for title, change in changes.items():
        fields = {key: value for key, value in change.items() if key != "weights"}
        kind = Blind if change.get("weights") is False else Target
        yield _attacked(title, replace(attacks[name], **fields), setting, kind)[1]
    if preset in LIMITS:
        yield from _limits(found, setting)


def _attacked(
    title: str, attack: Attack, setting: Setting, kind: type[Target] = Target
) -> tuple[Tensor, dict[str, Any]]:
    dataset = setting.pipeline.dataset
    classes = torch.arange(len(dataset.class_names))
    target = kind(setting.target.network, input_shape=dataset.input_shape, classes=len(classes))
    generator = stream(setting.pipeline.seed, "ablation")
    started = time.perf_counter()
    found = attack(target, classes, generator=generator)
    seconds = time.perf_counter() - started
    return found, {"title": title, "seconds": f"{seconds:.1f}"} | _measured(found, setting)


def _limits(found: Tensor, setting: Setting) -> Iterator[dict[str, Any]]:
    """Pictures that no attack can make, as the training data is in them."""
    means, seen = _class_means(setting), scale_each(as_rates(found))
    pictures = {
        "the class means": means,
        "the class means, blurred by 2 pixels": smooth(means, 2.0),
        "the class means, projected onto the span of the first layer's weights": _spanned(
            means, setting
        ),
        "the reconstruction, with the shared part of the class means": seen
        - seen.mean(0)
        + means.mean(0),
        "the reconstruction, with the own parts of the class means": seen.mean(0)
        + means
        - means.mean(0),
    }
    for title, picture in pictures.items():
        rates = picture.clamp(0, 1).expand(len(found), *picture.shape)
        yield {"title": f"*{title}*", "seconds": ""} | _measured(rates, setting)


def _spanned(means: Tensor, setting: Setting) -> Tensor:
    """Pictures projected on a grey one and the weights' leading components, one a class, blurred.

    What a layer learned lies in the span of its inputs; the components that follow hold what it was
    initialised with. Of blurs from none to 3 pixels, 2 gave the largest SSIM on the faces.
    """
    shape, classes = setting.pipeline.dataset.input_shape, len(means)
    target = Target(setting.target.network, input_shape=shape, classes=classes)
    weights = target.first_weights()
    units = (weights - weights.mean(0)).flatten(1)
    leading = torch.linalg.eigh(units @ units.T).eigenvectors[:, -classes:]
    components = smooth((leading.T @ units).view_as(means), 2.0)
    pictures = torch.cat([components, torch.ones_like(means[:1])])
    basis = torch.linalg.qr(pictures.flatten(1).T).Q
    return (means.flatten(1) @ basis @ basis.T).view_as(means)


def _measured(found: Tensor, setting: Setting) -> dict[str, Any]:
    pipeline, network = setting.pipeline, setting.target.network
    noise = stream(pipeline.seed, "ablation", "draws")
    drawn = [bernoulli(found, noise) for _ in range(DRAWS)]
    judged = [metrics(confidences(setting.evaluator.network, spikes)) for spikes in drawn]
    own = [metrics(confidences(network, spikes))["attack_accuracy"] for spikes in drawn]
    row = {
        "accuracy": sum(m["attack_accuracy"] for m in judged) / DRAWS,
        "confidence": sum(m["confidence"] for m in judged) / DRAWS,
        "own": sum(own) / DRAWS,
    }
    seen, means = scale_each(as_rates(found)), _class_means(setting)
    for key, samples in (("ssim", pipeline.dataset.train), ("held_out", pipeline.dataset.test)):
        real = scale_each(images(samples))
        each = [_nearest(seen[c], real[samples.labels == c]) for c in range(len(means))]
        row[key] = sum(each) / len(each)
    row["mean"] = float(correlations(seen, means).diagonal().mean())
    return row


def _class_means(setting: Setting) -> Tensor:
    """Means ``(classes, C, H, W)`` of the training samples, each scaled to [0, 1]."""
    train = setting.pipeline.dataset.train
    real, classes = scale_each(images(train)), range(len(setting.pipeline.dataset.class_names))
    return torch.stack([real[train.labels == c].mean(0) for c in classes])


def _nearest(image: Tensor, real: Tensor) -> float:
    """The largest SSIM with one of the most correlated samples."""
    order = correlations(image.unsqueeze(0), real)[0].argsort(descending=True)
    return max(ssim(image, real[i]) for i in order[:CANDIDATES])


def _section(preset: str, setting: Setting, rows: list[dict[str, Any]]) -> str:
    lines = [
        f"\n## {preset}\n",
        f"The target's test accuracy is {setting.target.facts['test_accuracy']:.3f}, the "
        f"evaluator's {setting.evaluator.facts['test_accuracy']:.3f}.\n",
        "| variant | " + " | ".join(FIGURES.values()) + " | seconds |",
        "|---|" + "---|" * (len(FIGURES) + 1),
    ]
    for row in rows:
        figures = " | ".join(f"{row[key]:.3f}" for key in FIGURES)
        lines.append(f"| {row['title']} | {figures} | {row['seconds']} |")
    return "\n".join(lines) + "\n"


_HEAD = (
    """# Ablation of the strongest attacks

Written by `make ablation`. It compares each attack with variants in which one part is left out or
changed, and with the paper's attacks, on targets of seed {seed}, on which the attacks were tuned.
*Ground* and *look* are explained on the attacks' pages. Means over classes; attack
accuracy and confidence are the protocol's evaluator's, over """
    f"{DRAWS}"
    """ Bernoulli draws. Reconstructions are min-max scaled and compared as images; the figures that
are *reported* come from other targets ([the strongest attacks](../strongest.md)). In italics,
pictures made from the training samples themselves, which no attack can make: an upper reference.
Seconds are wall-clock times and include other load on the machine.
Machine: {processor}, threads: {threads}, {device}.
"""
)


if __name__ == "__main__":
    main()
