"""What the notebooks show of a run: rows of pictures, a table of metrics, source."""

import inspect
from textwrap import dedent
from typing import Any

from torch import Tensor

from brainleaks.pipeline import Outcome
from brainleaks.pipeline.evidence.reconstruction import to_release
from brainleaks.pipeline.loading import one_a_class
from brainleaks.report.figures import Picture, pictures
from brainleaks.report.page import METRICS


def outcome_rows(outcome: Outcome) -> dict[str, list[Picture]]:
    """A training sample of each class and what each attack made of it, for a grid of pictures."""
    rows = {"training sample": one_a_class(outcome.dataset)}
    rows |= {item.name: item.values for item in outcome.reconstructions}
    return {label: as_pictures(values) for label, values in rows.items()}


def as_pictures(values: Tensor) -> list[Picture]:
    """Images ``(B, C, H, W)``, or the firing rates of spikes ``(T, B, C, H, W)``, as pictures."""
    _, height, width = values.shape[-3:]
    return pictures(to_release(values.float().cpu()).numpy(), (values.shape[-3], height, width))


def metrics_table(outcome: Outcome) -> str:
    """The metrics of every attack as a Markdown table, the paper's printed figures among them."""
    lines = [
        "| attack | judged by | " + " | ".join(METRICS.values()) + " |",
        "|---" * (len(METRICS) + 2) + "|",
    ]
    for item in outcome.reconstructions:
        for evaluator, judgement in item.judgements.items():
            lines.append(_line(item.name, evaluator, judgement.metrics))
            if draws := judgement.draws:
                mean, std = dict(draws["mean"]), dict(draws["std"])
                spread = {key: f"{mean[key]:.3f} ± {std[key]:.3f}" for key in METRICS}
                lines.append(_line("", f"over {draws['n']} draws", spread))
        if paper := outcome.study.printed.attacks.get(item.name):
            lines.append(_line("", "*printed by the paper*", paper.model_dump()))
    return "\n".join(lines)


def _line(name: str, judge: str, figures: Any) -> str:
    cells = [f if isinstance(f, str) else f"{f:.3f}" for f in (figures[key] for key in METRICS)]
    return f"| {name} | {judge} | " + " | ".join(cells) + " |"


def source(*functions: Any) -> str:
    """The source of functions or classes, as Markdown."""
    code = "\n\n".join(dedent(inspect.getsource(function)).rstrip() for function in functions)
    return f"```python\n{code}\n```"
