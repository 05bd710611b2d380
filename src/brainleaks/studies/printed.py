"""The figures that the paper's release prints, as studies state them and runs repeat them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Figures(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PrintedDraws(_Figures):
    """Means and deviations over 1,000 Bernoulli draws as the paper's release prints them."""

    attack_accuracy: _Share
    top3_accuracy: _Share
    attack_accuracy_std: _Share | None = None
    top3_accuracy_std: _Share | None = None


class PrintedAttack(_Figures):
    """An attack's figures as the paper's release prints them."""

    attack_accuracy: _Share
    top3_accuracy: _Share
    confidence: _Share
    daa: _Share
    draws: PrintedDraws | None = None


class Printed(_Figures):
    """The figures that the paper's release prints for this study (PROTOCOL, Figures printed)."""

    target_test_accuracy: _Share | None = None
    evaluator_test_accuracy: _Share | None = None
    attacks: dict[_Label, PrintedAttack] = Field(default_factory=dict)
