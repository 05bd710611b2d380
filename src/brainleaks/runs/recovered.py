"""What ``results.json`` holds under ``evidence`` and ``recovered-batch``, field by field."""

from typing import Annotated

from pydantic import Field

from brainleaks.runs.fields import Count, Label, Name, Number, Part, Share


class _Measure(Part):
    value: Number | None
    low: Number | None
    high: Number | None


class _Measures(Part):
    vectors: _Measure
    bits: _Measure
    label: _Measure
    correlation: _Measure
    ssim: _Measure
    reidentified: _Measure


class _Invented(Part):
    vectors: Count


class _Controls(Part):
    other_batch: Annotated[_Measures, Field(alias="other-batch")]
    shuffled_gradient: Annotated[_Invented, Field(alias="shuffled-gradient")]


class _Attack(Part):
    measures: _Measures
    hidden: _Measure | None = None
    controls: _Controls
    whole_batches: Count
    seconds: Annotated[list[Number], Field(min_length=1, max_length=1000)]
    ranks: Annotated[list[Count], Field(min_length=1, max_length=1000)]


class RecoveredBatch(Part):
    """As :mod:`brainleaks.pipeline.evidence.recovered` finds it."""

    seen: Name = "the gradient of one training step"
    batch_size: Annotated[Count, Field(ge=1, le=10_000)]
    batches: Count
    time_steps: Count
    neurons: Count
    known: Count
    accuracy: Share | None
    limit: _Measures
    attacks: dict[Label, _Attack]
